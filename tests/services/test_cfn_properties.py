"""Templates' properties: what a type does not know is refused, what a template drops goes back, what GetAtt gives."""

import json
import urllib.request

import pytest

ROLE = "arn:aws:iam::000000000000:role/functions"
QUEUE = {"Type": "AWS::SQS::Queue"}
QUEUE_ARN = {"Fn::GetAtt": ["Q", "Arn"]}
KEY = {
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
}


def function(code="def handler(event, context): return 1", **properties):
    given = {"Runtime": "python3.12", "Handler": "index.handler", "Role": ROLE, "Code": {"ZipFile": code}}
    return {"Type": "AWS::Lambda::Function", "Properties": {**given, **properties}}


def of(kind, **properties):
    return {"Type": kind, "Properties": properties}


@pytest.fixture
def deploy(aws, cloud, clock):
    """Creates the stack, or updates it; (status, outputs, reasons of what failed)."""
    cfn = aws("cloudformation")

    def run(resources, outputs=None, update=False):
        body = {"Resources": resources, "Outputs": {name: {"Value": value} for name, value in (outputs or {}).items()}}
        (cfn.update_stack if update else cfn.create_stack)(StackName="s", TemplateBody=json.dumps(body))
        cloud.quiet()
        clock.advance(120)
        cloud.quiet()
        stack = cfn.describe_stacks(StackName="s")["Stacks"][0]
        reasons = [
            event["ResourceStatusReason"]
            for event in cfn.describe_stack_events(StackName="s")["StackEvents"]
            if "FAILED" in event["ResourceStatus"]
        ]
        return stack["StackStatus"], {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", ())}, reasons

    return run


VERSION = of("AWS::Lambda::Version", FunctionName={"Ref": "F"})
WEIGHTS = {"AdditionalVersionWeights": [], "Extra": 1}


@pytest.mark.parametrize(
    ("resources", "where"),
    [
        ({"X": function(TracingConfig={"Mode": "Active", "Extra": 1})}, "#/TracingConfig"),
        ({"X": function(Environment={"Variables": {"WHO": "a"}, "Extra": 1})}, "#/Environment"),
        ({"X": function(Tags=[{"Key": "a", "Value": "b", "Extra": 1}])}, "#/Tags/0"),
        ({"F": function(), "V": VERSION,
          "X": of("AWS::Lambda::Alias", FunctionName={"Ref": "F"}, Name="live", RoutingConfig=WEIGHTS,
                  FunctionVersion={"Fn::GetAtt": ["V", "Version"]})}, "#/RoutingConfig"),
        ({"Q": QUEUE, "X": of("AWS::Events::Rule", ScheduleExpression="rate(1 hour)",
                              Targets=[{"Id": "q", "Arn": QUEUE_ARN, "RetryPolicy": {"Extra": 1}}])},
         "#/Targets/0/RetryPolicy"),
        ({"Q": QUEUE, "X": of("AWS::SNS::Topic", Subscription=[{"Protocol": "sqs", "Endpoint": QUEUE_ARN, "Extra": 1}])},
         "#/Subscription/0"),
        ({"X": of("AWS::SNS::Topic", DeliveryStatusLogging=[{"Protocol": "sqs", "Extra": 1}])}, "#/DeliveryStatusLogging/0"),
        ({"X": of("AWS::DynamoDB::Table", **KEY, TimeToLiveSpecification={"AttributeName": "t", "Enabled": True, "Extra": 1})},
         "#/TimeToLiveSpecification"),
        ({"X": of("AWS::DynamoDB::Table", **KEY, GlobalSecondaryIndexes=[{
            "IndexName": "other", "KeySchema": KEY["KeySchema"], "Projection": {"ProjectionType": "ALL", "Extra": 1}}])},
         "#/GlobalSecondaryIndexes/0/Projection"),
        ({"X": of("AWS::DynamoDB::Table", **KEY, GlobalSecondaryIndexes=[{
            "IndexName": "other", "KeySchema": KEY["KeySchema"], "Projection": {"ProjectionType": "ALL"}, "Extra": 1}])},
         "#/GlobalSecondaryIndexes/0"),
        ({"X": of("AWS::S3::Bucket", VersioningConfiguration={"Status": "Enabled", "Extra": 1})}, "#/VersioningConfiguration"),
        ({"X": of("AWS::CloudWatch::Alarm", ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1, Threshold=1,
                  MetricName="m", Namespace="n", Period=60, Statistic="Sum",
                  Dimensions=[{"Name": "a", "Value": "b", "Extra": 1}])}, "#/Dimensions/0"),
    ],
)  # fmt: skip
def test_an_unknown_member_of_a_property_fails_its_resource(deploy, resources, where):
    status, _, reasons = deploy(resources)
    assert status == "ROLLBACK_COMPLETE"
    expected = (
        f"Properties validation failed for resource X with message:\n{where}: extraneous key [Extra] is not permitted"
    )
    assert expected in reasons


def test_an_unknown_member_in_an_update_leaves_the_resource_as_it_was(aws, deploy):
    deploy({"F": function(TracingConfig={"Mode": "Active"})})
    status, _, reasons = deploy({"F": function(TracingConfig={"Mode": "PassThrough", "Extra": 1})}, update=True)
    assert (status, len(reasons)) == ("UPDATE_ROLLBACK_COMPLETE", 1)
    (left,) = aws("lambda").list_functions()["Functions"]
    assert left["TracingConfig"] == {"Mode": "Active"}


CUSTOM = """
import cfnresponse
def handler(event, context):
    wanted = event["ResourceProperties"].get("Fail")
    data = {"Word": event["RequestType"].upper()}
    if wanted:
        cfnresponse.send(event, context, cfnresponse.FAILED, {}, reason=wanted)
    else:
        cfnresponse.send(event, context, cfnresponse.SUCCESS, data, physicalResourceId="made-1")
"""


def test_inline_code_answers_a_custom_resource_with_cfnresponse(deploy):
    resources = {"F": function(CUSTOM), "C": of("Custom::Word", ServiceToken={"Fn::GetAtt": ["F", "Arn"]})}
    status, outputs, reasons = deploy(resources, {"Word": {"Fn::GetAtt": ["C", "Word"]}, "Id": {"Ref": "C"}})
    assert (status, outputs) == ("CREATE_COMPLETE", {"Word": "CREATE", "Id": "made-1"}), reasons
    resources["C"] = of("Custom::Word", ServiceToken={"Fn::GetAtt": ["F", "Arn"]}, Fail="as asked")
    status, _, reasons = deploy(resources, update=True)
    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert any("as asked" in reason for reason in reasons)


def test_cfnresponse_is_only_there_where_it_is_imported_so(aws, deploy):
    code = "from cfnresponse import send\ndef handler(event, context): return 1"
    _, outputs, _ = deploy({"F": function(code)}, {"Name": {"Ref": "F"}})
    answer = aws("lambda").invoke(FunctionName=outputs["Name"])
    assert b"No module named 'cfnresponse'" in answer["Payload"].read()


def test_a_function_url_forgets_the_cors_that_its_template_dropped(aws, deploy):
    def url(**settings):
        return {
            "F": function(),
            "U": of("AWS::Lambda::Url", TargetFunctionArn={"Ref": "F"}, AuthType="NONE", **settings),
        }

    _, outputs, _ = deploy(
        url(Cors={"AllowOrigins": ["https://a.example"]}), {"Url": {"Fn::GetAtt": ["U", "FunctionUrl"]}}
    )

    def allowed():
        request = urllib.request.Request(outputs["Url"], headers={"Origin": "https://a.example"})
        with urllib.request.urlopen(request) as answer:
            return answer.headers.get("Access-Control-Allow-Origin")

    assert allowed() == "https://a.example"
    status, _, reasons = deploy(url(), update=True)
    assert (status, allowed()) == ("UPDATE_COMPLETE", None), reasons


def test_getatt_gives_what_each_type_documents(deploy):
    auth = {"ApiKeyAuthParameters": {"ApiKeyName": "k", "ApiKeyValue": "v"}}
    resources = {
        "C": of("AWS::Events::Connection", Name="c", AuthorizationType="API_KEY", AuthParameters=auth),
        "D": of("AWS::Events::ApiDestination", Name="d", ConnectionArn={"Fn::GetAtt": ["C", "Arn"]}, HttpMethod="GET",
                InvocationEndpoint="https://a.example/"),
        "R": of("AWS::Events::Rule", Name="r", ScheduleExpression="rate(1 hour)"),
        "G": of("AWS::RDS::DBParameterGroup", Family="postgres18", Description="d", DBParameterGroupName="g"),
        "N": of("AWS::RDS::DBSubnetGroup", DBSubnetGroupDescription="d", DBSubnetGroupName="n",
                SubnetIds=["subnet-1", "subnet-2"]),
    }  # fmt: skip
    asked = {
        "C": "ArnForPolicy", "D": "ArnForPolicy", "R": "RuleName", "G": "DBParameterGroupArn", "N": "DBSubnetGroupArn",
    }  # fmt: skip
    status, outputs, reasons = deploy(
        resources, {name: {"Fn::GetAtt": [name, member]} for name, member in asked.items()}
    )
    assert status == "CREATE_COMPLETE", reasons
    assert outputs == {
        "C": "arn:aws:events:us-east-1:000000000000:connection/c",
        "D": "arn:aws:events:us-east-1:000000000000:api-destination/d",
        "R": "r",
        "G": "arn:aws:rds:us-east-1:000000000000:pg:g",
        "N": "arn:aws:rds:us-east-1:000000000000:subgrp:n",
    }


def test_only_a_type_with_snapshots_takes_the_snapshot_policy(aws):
    body = json.dumps({"Resources": {"Q": {**QUEUE, "DeletionPolicy": "Snapshot"}}})
    with pytest.raises(aws("cloudformation").exceptions.ClientError, match="does not support Snapshot deletion policy"):
        aws("cloudformation").create_stack(StackName="s", TemplateBody=body)


def test_a_function_forgets_the_logging_that_its_template_dropped(aws, deploy):
    logging = {"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG", "LogGroup": "/a/b"}
    _, outputs, _ = deploy({"F": function(LoggingConfig=logging)}, {"Name": {"Ref": "F"}})
    name = outputs["Name"]

    def shown():
        return aws("lambda").get_function_configuration(FunctionName=name)["LoggingConfig"]

    assert shown() == {**logging, "SystemLogLevel": "INFO"}
    deploy({"F": function(LoggingConfig={"LogFormat": "JSON"})}, update=True)
    assert (shown()["ApplicationLogLevel"], shown()["LogGroup"]) == ("INFO", f"/aws/lambda/{name}")
    deploy({"F": function()}, update=True)
    assert shown() == {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"}


def test_an_archive_keeps_all_events_when_its_template_drops_the_pattern(aws, deploy):
    bus = of("AWS::Events::EventBus", Name="b")
    source = {"Fn::GetAtt": ["B", "Arn"]}
    deploy(
        {"B": bus, "A": of("AWS::Events::Archive", ArchiveName="a", SourceArn=source, EventPattern={"source": ["x"]})}
    )
    status, _, reasons = deploy(
        {"B": bus, "A": of("AWS::Events::Archive", ArchiveName="a", SourceArn=source)}, update=True
    )
    assert status == "UPDATE_COMPLETE", reasons
    events = aws("events")
    assert "EventPattern" not in events.describe_archive(ArchiveName="a")
    events.put_events(Entries=[{"EventBusName": "b", "Source": "other", "DetailType": "d", "Detail": "{}"}])
    assert events.describe_archive(ArchiveName="a")["EventCount"] == 1


def test_an_application_of_the_repository_is_refused_by_name(aws):
    location = {
        "ApplicationId": "arn:aws:serverlessrepo:us-east-1:077246666028:applications/hello",
        "SemanticVersion": "1",
    }
    template = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {"App": of("AWS::Serverless::Application", Location=location)},
    }
    client = aws("cloudformation")
    with pytest.raises(client.exceptions.ClientError, match=r"Serverless Application Repository .* \(resource App\)"):
        client.create_stack(
            StackName="s", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
        )


def test_a_function_on_the_newest_runtime_says_so_or_is_refused(deploy):
    assert deploy({"F": function(RuntimeManagementConfig={"UpdateRuntimeOn": "Auto"})})[0] == "CREATE_COMPLETE"
    status, _, reasons = deploy(
        {"F": function(RuntimeManagementConfig={"UpdateRuntimeOn": "FunctionUpdate"})}, update=True
    )
    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert any("UpdateRuntimeOn FunctionUpdate is not implemented" in reason for reason in reasons)
