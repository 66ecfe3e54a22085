"""CloudWatch's CloudFormation types: alarms, composite alarms, dashboards."""

import json

import pytest
from botocore.exceptions import ClientError

ALARM = {
    "Type": "AWS::CloudWatch::Alarm",
    "Properties": {
        "AlarmDescription": "too many", "Namespace": "App", "MetricName": "n", "Statistic": "Sum", "Period": "60",
        "EvaluationPeriods": "1", "Threshold": "10", "ComparisonOperator": "GreaterThanThreshold",
        "AlarmActions": [{"Ref": "Topic"}], "Dimensions": [{"Name": "f", "Value": "x"}],
        "Tags": [{"Key": "team", "Value": "ops"}],
    },
}  # fmt: skip
TEMPLATE = {
    "Parameters": {"Limit": {"Type": "Number", "Default": 10}},
    "Resources": {
        "Topic": {"Type": "AWS::SNS::Topic"},
        "High": ALARM,
        "Any": {
            "Type": "AWS::CloudWatch::CompositeAlarm",
            "Properties": {"AlarmName": "any", "AlarmRule": {"Fn::Sub": "ALARM(${High}) OR ALARM(${High.Arn})"}},
        },
        "Board": {
            "Type": "AWS::CloudWatch::Dashboard",
            "Properties": {"DashboardName": "board", "DashboardBody": json.dumps({"widgets": [{"type": "text"}]})},
        },
    },
    "Outputs": {
        "High": {"Value": {"Ref": "High"}},
        "HighArn": {"Value": {"Fn::GetAtt": ["High", "Arn"]}},
        "AnyArn": {"Value": {"Fn::GetAtt": ["Any", "Arn"]}},
        "Board": {"Value": {"Ref": "Board"}},
    },
}


@pytest.fixture
def deploy(aws, clock):
    """deploy(template): creates or updates the stack "s"; its status, reasons and outputs."""
    client = aws("cloudformation")

    def deploy(template, update=False):
        action = client.update_stack if update else client.create_stack
        action(StackName="s", TemplateBody=json.dumps(template))
        for _ in range(20):
            clock.advance(30)
            (stack,) = client.describe_stacks(StackName="s")["Stacks"]
            if not stack["StackStatus"].endswith("IN_PROGRESS"):
                break
        events = client.describe_stack_events(StackName="s")["StackEvents"]
        reasons = " ".join(event.get("ResourceStatusReason", "") for event in events)
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}
        return stack["StackStatus"], reasons, outputs

    return deploy


def changed(**resources):
    return {**TEMPLATE, "Resources": {**TEMPLATE["Resources"], **resources}}


def test_a_stack_with_alarms_and_a_dashboard(deploy, aws, clock):
    status, reasons, outputs = deploy(TEMPLATE)
    assert status == "CREATE_COMPLETE", reasons
    client = aws("cloudwatch")
    (alarm,) = client.describe_alarms(AlarmNames=[outputs["High"]])["MetricAlarms"]
    assert (alarm["AlarmArn"], alarm["Threshold"], alarm["Period"]) == (outputs["HighArn"], 10.0, 60)
    assert alarm["AlarmActions"] == [f"arn:aws:sns:us-east-1:000000000000:{alarm['AlarmActions'][0].split(':')[-1]}"]
    tags = {tag["Key"]: tag["Value"] for tag in client.list_tags_for_resource(ResourceARN=outputs["HighArn"])["Tags"]}
    assert (tags["team"], tags["aws:cloudformation:logical-id"]) == ("ops", "High")
    assert outputs["AnyArn"].endswith(":alarm:any")
    assert json.loads(client.get_dashboard(DashboardName=outputs["Board"])["DashboardBody"])["widgets"]
    data = [{"MetricName": "n", "Value": 11.0, "Dimensions": [{"Name": "f", "Value": "x"}]}]
    client.put_metric_data(Namespace="App", MetricData=data)
    clock.advance(65)  # a period ends, and its alarms are looked at three seconds later
    (composite,) = client.describe_alarms(AlarmNames=["any"], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    assert composite["StateValue"] == "ALARM"


def test_a_stack_is_updated_and_deleted(deploy, aws, clock):
    _, _, before = deploy(TEMPLATE)
    alarm = {**ALARM, "Properties": {**ALARM["Properties"], "Threshold": 20, "Tags": [{"Key": "new", "Value": "1"}]}}
    body = {"Type": "AWS::CloudWatch::Dashboard", "Properties": {"DashboardName": "board", "DashboardBody": "{}"}}
    rule = {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": {"AlarmName": "any", "AlarmRule": "FALSE"}}
    status, reasons, outputs = deploy(changed(High=alarm, Board=body, Any=rule), update=True)
    assert (status, outputs["High"]) == ("UPDATE_COMPLETE", before["High"]), reasons
    client = aws("cloudwatch")
    (alarm,) = client.describe_alarms(AlarmNames=[outputs["High"]])["MetricAlarms"]
    assert alarm["Threshold"] == 20.0
    tags = {tag["Key"] for tag in client.list_tags_for_resource(ResourceARN=outputs["HighArn"])["Tags"]}
    assert "new" in tags
    assert "team" not in tags
    assert client.get_dashboard(DashboardName="board")["DashboardBody"] == "{}"
    (composite,) = client.describe_alarms(AlarmNames=["any"], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    assert composite["AlarmRule"] == "FALSE"
    aws("cloudformation").delete_stack(StackName="s")
    clock.advance(65)  # a period ends, and its alarms are looked at three seconds later
    found = client.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    assert found["MetricAlarms"] + found["CompositeAlarms"] == []
    assert client.list_dashboards()["DashboardEntries"] == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AlarmActions", ["arn:aws:automate:us-east-1:ec2:stop"], "arn:aws:automate"),
        ("Period", 45, "Period must be"),
    ],
)
def test_what_the_api_refuses_a_template_refuses(deploy, name, value, words):
    alarm = {**ALARM, "Properties": {**ALARM["Properties"], name: value}}
    status, reasons, _ = deploy({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}, "High": alarm}})
    assert status.startswith("ROLLBACK")
    assert words in reasons


def test_a_property_that_is_not_honoured_is_refused_by_name(deploy):
    alarm = {**ALARM, "Properties": {**ALARM["Properties"], "ThresholdMetricId": "m"}}
    with pytest.raises(ClientError, match="ThresholdMetricId"):
        deploy(changed(High=alarm))
