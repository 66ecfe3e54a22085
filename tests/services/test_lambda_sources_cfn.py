"""AWS::Lambda::EventSourceMapping and SAM's SQS events, through stacks."""

import json

import pytest

ROLE = "arn:aws:iam::000000000000:role/functions"
CODE = (
    "import json\ndef handler(event, context):\n    print('got ' + json.dumps([r['body'] for r in event['Records']]))\n"
)


@pytest.fixture
def stack(aws, clock):
    """Creates a stack, updates it the next time; returns its status and its resources' physical ids."""
    cloudformation = aws("cloudformation")
    names = set()

    def deploy(template, name="s"):
        body = json.dumps(template)
        action = cloudformation.update_stack if name in names else cloudformation.create_stack
        names.add(name)
        action(StackName=name, TemplateBody=body, Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])
        clock.advance(120)
        found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        resources = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
        return found["StackStatus"], {r["LogicalResourceId"]: r.get("PhysicalResourceId") for r in resources}

    return deploy


def resources(**mapping):
    return {
        "Q": {"Type": "AWS::SQS::Queue"},
        "F": {
            "Type": "AWS::Lambda::Function",
            "Properties": {"Runtime": "python3.12", "Handler": "index.handler", "Role": ROLE, "Code": {"ZipFile": CODE}},
        },
        "M": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "EventSourceArn": {"Fn::GetAtt": ["Q", "Arn"]}, "FunctionName": {"Fn::GetAtt": ["F", "Arn"]}, **mapping,
            },
        },
    }  # fmt: skip


def got(aws, function):
    pages = aws("logs").get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}")
    return [json.loads(e["message"][4:]) for page in pages for e in page["events"] if e["message"].startswith("got ")]


def test_a_mapping_is_created_updated_replaced_and_deleted(aws, stack, clock):
    client = aws("lambda")
    template = {
        "Resources": resources(BatchSize="5", Tags=[{"Key": "team", "Value": "a"}]),
        "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["M", "EventSourceMappingArn"]}},
                    "Id": {"Value": {"Fn::GetAtt": ["M", "Id"]}}},
    }  # fmt: skip
    status, ids = stack(template)
    assert status == "CREATE_COMPLETE"
    found = client.get_event_source_mapping(UUID=ids["M"])
    assert (found["State"], found["BatchSize"]) == ("Enabled", 5)
    outputs = aws("cloudformation").describe_stacks(StackName="s")["Stacks"][0]["Outputs"]
    assert {o["OutputKey"]: o["OutputValue"] for o in outputs} == {
        "Arn": found["EventSourceMappingArn"],
        "Id": ids["M"],
    }
    tags = client.list_tags(Resource=found["EventSourceMappingArn"])["Tags"]
    assert (tags["team"], tags["aws:cloudformation:logical-id"]) == ("a", "M")
    aws("sqs").send_message(QueueUrl=ids["Q"], MessageBody="hello")
    clock.quiet()
    assert got(aws, ids["F"]) == [["hello"]]

    status, again = stack({"Resources": resources(Enabled="false", ScalingConfig={"MaximumConcurrency": "7"})})
    assert (status, again["M"]) == ("UPDATE_COMPLETE", ids["M"])
    found = client.get_event_source_mapping(UUID=ids["M"])
    assert (found["State"], found["BatchSize"], found["ScalingConfig"]) == ("Disabled", 10, {"MaximumConcurrency": 7})
    assert "team" not in client.list_tags(Resource=found["EventSourceMappingArn"])["Tags"]

    other = resources()
    other["Q2"] = {"Type": "AWS::SQS::Queue"}
    other["M"]["Properties"]["EventSourceArn"] = {"Fn::GetAtt": ["Q2", "Arn"]}
    status, third = stack({"Resources": other})
    assert status == "UPDATE_COMPLETE"
    assert third["M"] != ids["M"]
    [left] = client.list_event_source_mappings()["EventSourceMappings"]
    assert (left["UUID"], left["State"]) == (third["M"], "Enabled")

    aws("cloudformation").delete_stack(StackName="s")
    clock.advance(120)
    assert client.list_event_source_mappings()["EventSourceMappings"] == []
    stacks = aws("cloudformation").list_stacks()["StackSummaries"]
    assert [each["StackStatus"] for each in stacks] == ["DELETE_COMPLETE"]


def test_a_stack_that_fails_takes_its_mapping_back(aws, stack):
    broken = resources()
    broken["Bad"] = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 99_999}}
    status, _ = stack({"Resources": broken})
    assert status == "ROLLBACK_COMPLETE"
    assert aws("lambda").list_event_source_mappings()["EventSourceMappings"] == []


def test_a_template_is_refused_what_the_api_refuses(aws, stack):
    for properties in ({"BatchSize": 11}, {"ProvisionedPollerConfig": {"MinimumPollers": 2}}):
        status, _ = stack({"Resources": resources(**properties)}, name=f"s{len(properties)}{next(iter(properties))}")
        assert status == "ROLLBACK_COMPLETE"


def test_sams_sqs_event_deploys_and_runs(aws, stack, clock):
    event = {
        "Queue": {"Fn::GetAtt": ["Q", "Arn"]},
        "BatchSize": 5,
        "MaximumBatchingWindowInSeconds": 1,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": 2},
        "FilterCriteria": {"Filters": [{"Pattern": '{"body": [{"prefix": "yes"}]}'}]},
        "Enabled": True,
    }
    template = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Q": {"Type": "AWS::SQS::Queue"},
            "F": {
                "Type": "AWS::Serverless::Function",
                "Properties": {
                    "Runtime": "python3.12", "Handler": "index.handler", "InlineCode": CODE,
                    "Events": {"E": {"Type": "SQS", "Properties": event}},
                },
            },
        },
    }  # fmt: skip
    status, ids = stack(template)
    assert status == "CREATE_COMPLETE"
    found = aws("lambda").get_event_source_mapping(UUID=ids["FE"])
    assert (found["State"], found["BatchSize"], found["MaximumBatchingWindowInSeconds"]) == ("Enabled", 5, 1)
    assert found["ScalingConfig"] == event["ScalingConfig"]
    assert found["FunctionResponseTypes"] == event["FunctionResponseTypes"]
    for body in ("yes 1", "no", "yes 2"):
        aws("sqs").send_message(QueueUrl=ids["Q"], MessageBody=body)
    clock.advance(2)
    assert [sorted(batch) for batch in got(aws, ids["F"])] == [["yes 1", "yes 2"]]
