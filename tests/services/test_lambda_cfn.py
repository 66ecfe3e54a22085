"""Lambda's and CloudWatch Logs' CloudFormation types, through stacks."""

import io
import json
import urllib.request
import zipfile

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::000000000000:role/functions"
CODE = "import os\ndef handler(event, context):\n    return [context.function_version, os.environ.get('WHO')]\n"


def function(**properties):
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": "python3.12", "Handler": "index.handler", "Role": ROLE, "Code": {"ZipFile": CODE}, **properties,
        },
    }  # fmt: skip


@pytest.fixture
def stack(aws, clock):
    """Creates a stack, updates it the next time; returns its outputs."""
    cloudformation = aws("cloudformation")

    def deploy(resources, outputs=None):
        template = json.dumps({
            "Resources": resources,
            "Outputs": {name: {"Value": value} for name, value in (outputs or {}).items()},
        })  # fmt: skip
        try:
            cloudformation.describe_stacks(StackName="s")
        except ClientError:
            cloudformation.create_stack(StackName="s", TemplateBody=template)
        else:
            cloudformation.update_stack(StackName="s", TemplateBody=template)
        clock.advance(120)
        found = cloudformation.describe_stacks(StackName="s")["Stacks"][0]
        events = cloudformation.describe_stack_events(StackName="s")["StackEvents"]
        if found["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            pytest.fail("\n".join(str(event.get("ResourceStatusReason")) for event in events))
        return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", ())}

    return deploy


def invoke(client, name, **request):
    return json.load(client.invoke(FunctionName=name, **request)["Payload"])


def test_a_function_with_inline_code_is_created_updated_and_deleted(aws, stack, clock):
    client = aws("lambda")
    shown = {"Name": {"Ref": "F"}, "Arn": {"Fn::GetAtt": ["F", "Arn"]}}
    first = stack(
        {
            "F": function(
                Tags=[{"Key": "team", "Value": "a"}], ReservedConcurrentExecutions=5, Timeout=9, MemorySize=256
            )
        },
        shown,
    )
    assert first["Arn"].endswith(f":function:{first['Name']}")
    assert first["Name"].startswith("s-F-")
    assert invoke(client, first["Name"]) == ["$LATEST", None]
    tags = client.list_tags(Resource=first["Arn"])["Tags"]
    assert (tags["team"], tags["aws:cloudformation:stack-name"]) == ("a", "s")
    second = stack({"F": function(Environment={"Variables": {"WHO": 7}}, MemorySize=256,
                                  Code={"ZipFile": CODE.replace("return [", "return ['new', ")})}, shown)  # fmt: skip
    assert second == first
    assert invoke(client, first["Name"]) == ["new", "$LATEST", "7"]
    after = client.get_function(FunctionName=first["Name"])
    assert (after["Configuration"]["Timeout"], after["Configuration"]["MemorySize"]) == (3, 256)
    assert "Concurrency" not in after
    assert "team" not in after["Tags"]
    third = stack({"F": function(FunctionName="named")}, shown)
    assert third["Name"] == "named"
    assert [f["FunctionName"] for f in client.list_functions()["Functions"]] == ["named"]
    aws("cloudformation").delete_stack(StackName="s")
    clock.advance(120)
    assert client.list_functions()["Functions"] == []


def test_a_template_may_allow_loops_but_not_have_them_ended(aws, stack, clock):
    stack({"F": function(FunctionName="f", RecursiveLoop="Allow", RuntimeManagementConfig={"UpdateRuntimeOn": "Auto"})})
    assert invoke(aws("lambda"), "f") == ["$LATEST", None]
    with pytest.raises(pytest.fail.Exception, match="RecursiveLoop Terminate is not implemented"):
        stack({"F": function(FunctionName="f", RecursiveLoop="Terminate")})


def test_versions_aliases_permissions_layers_and_urls(aws, stack, clock):
    s3, client = aws("s3"), aws("lambda")
    s3.create_bucket(Bucket="code")
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo("python/shared.py"), "VALUE = 5\n")
    s3.put_object(Bucket="code", Key="layer.zip", Body=sink.getvalue())
    code = "import shared\ndef handler(event, context):\n    return [context.function_version, shared.VALUE]\n"
    resources = {
        "Layer": {"Type": "AWS::Lambda::LayerVersion",
                  "Properties": {"Content": {"S3Bucket": "code", "S3Key": "layer.zip"}, "CompatibleRuntimes": ["python3.12"]}},
        "Shared": {"Type": "AWS::Lambda::LayerVersionPermission",
                   "Properties": {"Action": "lambda:GetLayerVersion", "LayerVersionArn": {"Ref": "Layer"}, "Principal": "*"}},
        "F": function(FunctionName="f", Code={"ZipFile": code}, Layers=[{"Ref": "Layer"}]),
        "V": {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "F"}, "Description": "one"}},
        "A": {"Type": "AWS::Lambda::Alias",
              "Properties": {"FunctionName": {"Ref": "F"}, "FunctionVersion": {"Fn::GetAtt": ["V", "Version"]}, "Name": "live"}},
        "P": {"Type": "AWS::Lambda::Permission",
              "Properties": {"FunctionName": {"Ref": "A"}, "Action": "lambda:InvokeFunctionUrl", "Principal": "*",
                             "FunctionUrlAuthType": "NONE"}},
        "U": {"Type": "AWS::Lambda::Url", "DependsOn": "A",
              "Properties": {"TargetFunctionArn": {"Ref": "F"}, "Qualifier": "live", "AuthType": "NONE"}},
    }  # fmt: skip
    outputs = stack(resources, {"Url": {"Fn::GetAtt": ["U", "FunctionUrl"]}, "Alias": {"Ref": "A"}, "Version": {"Ref": "V"},
                                "Layer": {"Ref": "Layer"}})  # fmt: skip
    assert outputs["Alias"].endswith(":function:f:live")
    assert outputs["Version"].endswith(":function:f:1")
    assert outputs["Layer"].endswith(":1")
    with urllib.request.urlopen(outputs["Url"]) as answer:
        assert json.load(answer) == ["1", 5]
    policy = json.loads(client.get_policy(FunctionName="f", Qualifier="live")["Policy"])
    assert policy["Statement"][0]["Principal"] == "*"
    aws("cloudformation").delete_stack(StackName="s")
    clock.advance(120)
    assert client.list_functions()["Functions"] == []
    assert client.list_layers()["Layers"] == []


def test_a_second_version_of_an_unchanged_function_fails(aws, stack, clock):
    version = {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "F"}}}
    stack({"F": function(FunctionName="f"), "V": version})
    with pytest.raises(pytest.fail.Exception, match="A version for this Lambda function exists"):
        stack({"F": function(FunctionName="f"), "W": version})
    assert [v["Version"] for v in aws("lambda").list_versions_by_function(FunctionName="f")["Versions"]] == [
        "$LATEST",
        "1",
    ]
    stack({"F": function(FunctionName="f", Timeout=9), "W": version})
    assert [v["Version"] for v in aws("lambda").list_versions_by_function(FunctionName="f")["Versions"]] == [
        "$LATEST",
        "2",
    ]


def test_log_groups_and_streams(aws, stack, clock):
    logs = aws("logs")
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "g", "RetentionInDays": 7}}
    stream = {"Type": "AWS::Logs::LogStream", "Properties": {"LogGroupName": {"Ref": "G"}, "LogStreamName": "s"}}
    outputs = stack(
        {"G": group, "S": stream}, {"Arn": {"Fn::GetAtt": ["G", "Arn"]}, "Name": {"Ref": "G"}, "S": {"Ref": "S"}}
    )
    assert outputs == {"Arn": "arn:aws:logs:us-east-1:000000000000:log-group:g:*", "Name": "g", "S": "s"}
    assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 7
    assert logs.describe_log_streams(logGroupName="g")["logStreams"][0]["logStreamName"] == "s"
    stack({"G": {**group, "Properties": {"LogGroupName": "g", "Tags": [{"Key": "a", "Value": "b"}]}}, "S": stream})
    assert "retentionInDays" not in logs.describe_log_groups()["logGroups"][0]
    assert logs.list_tags_log_group(logGroupName="g")["tags"]["a"] == "b"
    aws("cloudformation").delete_stack(StackName="s")
    clock.advance(120)
    assert logs.describe_log_groups()["logGroups"] == []


def test_how_events_end_is_set_by_a_template(aws, stack, clock):
    def resources(**settings):
        return {
            "Dead": {"Type": "AWS::SQS::Queue"},
            "F": function(DeadLetterConfig={"TargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}}),
            "Events": {
                "Type": "AWS::Lambda::EventInvokeConfig",
                "Properties": {"FunctionName": {"Ref": "F"}, "Qualifier": "$LATEST", **settings},
            },
        }

    shown = {"Name": {"Ref": "F"}, "Queue": {"Fn::GetAtt": ["Dead", "Arn"]}, "Ref": {"Ref": "Events"}}
    outputs = stack(resources(MaximumRetryAttempts="1", MaximumEventAgeInSeconds=600), shown)
    client, name = aws("lambda"), outputs["Name"]
    assert outputs["Ref"] == f"{name}|$LATEST"
    configuration = client.get_function_configuration(FunctionName=name)
    assert configuration["DeadLetterConfig"] == {"TargetArn": outputs["Queue"]}
    config = client.get_function_event_invoke_config(FunctionName=name)
    assert (config["MaximumRetryAttempts"], config["MaximumEventAgeInSeconds"]) == (1, 600)
    stack(resources(DestinationConfig={"OnFailure": {"Destination": {"Fn::GetAtt": ["Dead", "Arn"]}}}), shown)
    config = client.get_function_event_invoke_config(FunctionName=name)
    assert "MaximumRetryAttempts" not in config
    assert config["DestinationConfig"]["OnFailure"] == {"Destination": outputs["Queue"]}
    stack({"Dead": {"Type": "AWS::SQS::Queue"}, "F": function()}, {"Name": {"Ref": "F"}})
    with pytest.raises(ClientError):
        client.get_function_event_invoke_config(FunctionName=name)
    assert "DeadLetterConfig" not in client.get_function_configuration(FunctionName=name)


def test_a_stack_waits_until_environments_stand_ready(aws, stack, clock, cloud):
    def resources(count):
        config = {"ProvisionedConcurrencyConfig": {"ProvisionedConcurrentExecutions": count}} if count else {}
        return {
            "F": function(FunctionName="f", Code={"ZipFile": "import os\ndef handler(event, context):\n"
                                                             "    return os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']\n"}),
            "V": {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "F"}}},
            "A": {"Type": "AWS::Lambda::Alias", "Properties": {
                "FunctionName": {"Ref": "F"}, "FunctionVersion": {"Fn::GetAtt": ["V", "Version"]}, "Name": "live", **config,
            }},
        }  # fmt: skip

    stack(resources(2))
    client = aws("lambda")
    config = client.get_provisioned_concurrency_config(FunctionName="f", Qualifier="live")
    assert (config["Status"], config["AllocatedProvisionedConcurrentExecutions"]) == ("READY", 2)
    assert invoke(client, "f", Qualifier="live") == "provisioned-concurrency"
    stack(resources(0))
    with pytest.raises(ClientError) as caught:
        client.get_provisioned_concurrency_config(FunctionName="f", Qualifier="live")
    assert caught.value.response["Error"]["Code"] == "ProvisionedConcurrencyConfigNotFoundException"
