"""CloudFormation as boto3 sees it, over sockets, with the real types of other services."""

from __future__ import annotations

import io
import json
import urllib.request
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Aws = Callable[..., Any]

TABLE = {
    "Type": "AWS::DynamoDB::Table",
    "Properties": {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    },
}
GROUP = {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": "7"}}
HANDLE = {"Type": "AWS::CloudFormation::WaitConditionHandle"}


@pytest.fixture
def cf(aws: Aws) -> Any:
    return aws("cloudformation")


def body(resources: dict[str, Any], **sections: Any) -> str:
    return json.dumps({"Resources": resources, **sections})


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call(**request)
    found = error.value.response["Error"]
    return found["Code"], found["Message"]


def settled(cf: Any, clock: Any, name: str) -> dict[str, Any]:
    clock.advance(30)
    return dict(cf.describe_stacks(StackName=name)["Stacks"][0])


def package(files: dict[str, str]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return data.getvalue()


def test_a_stack_of_real_resources_is_created_described_and_deleted(aws: Aws, cf: Any, clock: Any) -> None:
    template = body(
        {"Table": TABLE, "Group": GROUP},
        Description="Two things",
        Outputs={"Arn": {"Value": {"Fn::GetAtt": ["Table", "Arn"]}, "Description": "the table"}},
    )
    made = cf.create_stack(StackName="two", TemplateBody=template, Tags=[{"Key": "team", "Value": "one"}])
    stack = settled(cf, clock, "two")
    cf.get_waiter("stack_create_complete").wait(StackName="two", WaiterConfig={"Delay": 0, "MaxAttempts": 2})
    assert (stack["StackId"], stack["Description"]) == (made["StackId"], "Two things")
    (output,) = stack["Outputs"]
    resources = {r["LogicalResourceId"]: r for r in cf.describe_stack_resources(StackName="two")["StackResources"]}
    table = aws("dynamodb").describe_table(TableName=resources["Table"]["PhysicalResourceId"])["Table"]
    assert output == {"OutputKey": "Arn", "OutputValue": table["TableArn"], "Description": "the table"}
    assert (
        cf.describe_stack_resource(StackName="two", LogicalResourceId="Group")["StackResourceDetail"]["ResourceStatus"]
        == "CREATE_COMPLETE"
    )
    assert cf.describe_stack_resources(PhysicalResourceId=table["TableName"])["StackResources"][0]["StackName"] == "two"
    assert [r["LogicalResourceId"] for r in cf.list_stack_resources(StackName="two")["StackResourceSummaries"]] == [
        "Group",
        "Table",
    ]
    assert cf.get_template(StackName="two")["TemplateBody"] == json.loads(template)
    cf.delete_stack(StackName="two")
    clock.advance(30)
    assert settled(cf, clock, made["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    assert aws("dynamodb").list_tables()["TableNames"] == []
    assert cf.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"][0]["StackName"] == "two"
    assert cf.describe_stacks()["Stacks"] == []


def test_a_deployment_by_change_sets_goes_as_the_cli_does_it(aws: Aws, cf: Any, clock: Any) -> None:
    assert refusal(cf.describe_stacks, StackName="app") == ("ValidationError", "Stack with id app does not exist")
    made = cf.create_change_set(
        StackName="app", ChangeSetName="c1", ChangeSetType="CREATE", TemplateBody=body({"Group": GROUP})
    )
    cf.get_waiter("change_set_create_complete").wait(
        ChangeSetName=made["Id"], WaiterConfig={"Delay": 0, "MaxAttempts": 5}
    )
    assert cf.describe_stacks(StackName="app")["Stacks"][0]["StackStatus"] == "REVIEW_IN_PROGRESS"
    cf.execute_change_set(ChangeSetName=made["Id"])
    assert settled(cf, clock, "app")["StackStatus"] == "CREATE_COMPLETE"
    cf.create_change_set(StackName="app", ChangeSetName="c2", TemplateBody=body({"Group": GROUP}))
    same = cf.describe_change_set(StackName="app", ChangeSetName="c2")
    assert (same["Status"], same["StatusReason"][:47]) == ("FAILED", "The submitted information didn't contain change")
    longer = {**GROUP, "Properties": {"RetentionInDays": 14}}
    cf.create_change_set(StackName="app", ChangeSetName="c3", TemplateBody=body({"Group": longer}))
    change = cf.describe_change_set(StackName="app", ChangeSetName="c3")["Changes"][0]["ResourceChange"]
    assert (change["Action"], change["Replacement"], change["Scope"]) == ("Modify", "False", ["Properties"])
    cf.execute_change_set(StackName="app", ChangeSetName="c3")
    assert settled(cf, clock, "app")["StackStatus"] == "UPDATE_COMPLETE"
    assert aws("logs").describe_log_groups()["logGroups"][0]["retentionInDays"] == 14


@pytest.mark.parametrize(("template", "message"), [
    ("Resources: {a: b]", "Template format error: YAML not well-formed. (line 1, column 17)"),
    ('{"Resources": {,}}', "Template format error: JSON not well-formed. (line 1, column 16)"),
    ("just text", "Template format error: unsupported structure."),
    ("Description: x", "Template format error: At least one Resources member must be defined."),
    ("Resources:\n  A: {Type: 'AWS::Logs::LogGroup'}\nResurces: {}", "Invalid template property or properties [Resurces] (line 3)"),
    ("Resources:\n  A:\n    Type: AWS::Logs::LogGroup\n    Properties:\n      LogGroupName: !Ref Nope\n",
     "Template format error: Unresolved resource dependencies [Nope] in the Resources block of the template (line 5)"),
    ("Resources:\n  A:\n    Type: AWS::Logs::LogGroup\n    Properties:\n      LogGroupName: !GetAtt Nope.Arn\n",
     "Template error: instance of Fn::GetAtt references undefined resource Nope (line 5)"),
    ("Resources:\n  A:\n    Type: AWS::Logs::LogGroup\n    DependsOn: B\n  B:\n    Type: AWS::Logs::LogGroup\n    DependsOn: A\n",
     "Circular dependency between resources: [A, B]"),
    ("Resources:\n  A:\n    Type: AWS::Nope::Thing\n", "Template format error: Unrecognized resource types: [AWS::Nope::Thing] (A) (line 2)"),
    ("Resources:\n  A:\n    Type: AWS::Logs::LogGroup\n    Properties:\n      Colour: red\n",
     "Property Colour of AWS::Logs::LogGroup is not supported by Cumulet (resource A) (line 5)"),
    ("Resources:\n  A:\n    Typ: AWS::Logs::LogGroup\n",
     "Template format error: [/Resources/A] Every Resources object must contain a Type member. (line 2)"),
    ("Parameters: {P: {Type: String}}\nResources:\n  A: {Type: 'AWS::Logs::LogGroup'}\n", "Parameters: [P] must have values"),
    ("Parameters: {P: {Type: Number, Default: 3, MaxValue: 2}}\nResources:\n  A: {Type: 'AWS::Logs::LogGroup'}\n",
     "Parameter 'P' must be a number not greater than 2"),
    ("Parameters: {P: {Type: String, Default: x, AllowedValues: [a, b]}}\nResources:\n  A: {Type: 'AWS::Logs::LogGroup'}\n",
     "Parameter 'P' must be one of AllowedValues"),
    ("Conditions: {C: !Equals [a, b]}\nResources:\n  A: {Type: 'AWS::Logs::LogGroup', Condition: C}\n  B:\n    Type: AWS::Logs::LogGroup\n"
     "    Properties:\n      LogGroupName: !Ref A\n",
     "Template format error: Unresolved resource dependencies [A] in the Resources block of the template (line 7)"),
])  # fmt: skip
def test_a_template_that_is_wrong_is_refused_before_anything_is_created(cf: Any, template: str, message: str) -> None:
    assert refusal(cf.create_stack, StackName="bad", TemplateBody=template) == ("ValidationError", message)
    assert cf.list_stacks()["StackSummaries"] == []


def test_what_a_request_says_wrongly_gets_aws_own_words(cf: Any, clock: Any) -> None:
    cf.create_stack(StackName="x", TemplateBody=body({"H": HANDLE}), ClientRequestToken="t1")
    cf.create_stack(StackName="x", TemplateBody=body({"H": HANDLE}), ClientRequestToken="t1")
    template = body({"H": HANDLE})
    assert refusal(cf.create_stack, StackName="x", TemplateBody=template) == (
        "AlreadyExistsException",
        "Stack [x] already exists",
    )
    code, message = refusal(cf.create_stack, StackName="1x", TemplateBody=template)
    assert (code, "'1x' at 'stackName' failed to satisfy constraint" in message) == ("ValidationError", True)
    assert refusal(cf.update_stack, StackName="x", TemplateBody=template) == (
        "ValidationError",
        "No updates are to be performed.",
    )
    assert refusal(cf.update_stack, StackName="y", TemplateBody=template) == (
        "ValidationError",
        "Stack [y] does not exist",
    )
    code, message = refusal(
        cf.create_stack, StackName="z", TemplateBody=template, Parameters=[{"ParameterKey": "P", "ParameterValue": "1"}]
    )
    assert message == "Parameters: [P] do not exist in the template"
    role = body({"R": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "r"}}})
    assert refusal(cf.create_stack, StackName="z", TemplateBody=role, Capabilities=["CAPABILITY_IAM"]) == (
        "InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_NAMED_IAM]",
    )  # fmt: skip
    code, _ = refusal(cf.create_stack, StackName="z", TemplateBody=template, StackPolicyBody="{}")
    assert code == "NotImplemented"


def test_functions_in_yaml_give_what_they_should(cf: Any, clock: Any) -> None:
    template = """
AWSTemplateFormatVersion: 2010-09-09
Parameters:
  List: {Type: CommaDelimitedList, Default: "a, b ,c"}
  Secret: {Type: String, NoEcho: true, Default: hush}
  Env: {Type: String, Default: dev}
Mappings:
  Sizes: {dev: {size: 1}, prod: {size: 2}}
Conditions:
  IsProd: !Equals [!Ref Env, prod]
  Either: !Or [!Condition IsProd, !Not [!Condition IsProd]]
  Both: !And [!Condition IsProd, !Condition Either]
Resources:
  H: {Type: 'AWS::CloudFormation::WaitConditionHandle'}
  Never: {Type: 'AWS::CloudFormation::WaitConditionHandle', Condition: Both}
Outputs:
  Join: {Value: !Join ["-", !Ref List]}
  Select: {Value: !Select [1, !Split [":", "x:y:z"]]}
  Sub: {Value: !Sub ["${AWS::StackName}/${V}/${!Kept}/${Env}", {V: !FindInMap [Sizes, !Ref Env, size]}]}
  If: {Value: !If [IsProd, big, small]}
  Base64: {Value: !Base64 hello}
  Cidr: {Value: !Select [1, !Cidr [10.0.0.0/16, 2, 8]]}
  Zone: {Value: !Select [0, !GetAZs ""]}
  Pseudo: {Value: !Sub "${AWS::Partition} ${AWS::Region} ${AWS::AccountId} ${AWS::URLSuffix}"}
  Gone: {Condition: Both, Value: no}
"""
    cf.create_stack(StackName="fn", TemplateBody=template)
    stack = settled(cf, clock, "fn")
    assert {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]} == {
        "Join": "a-b-c", "Select": "y", "Sub": "fn/1/${Kept}/dev", "If": "small", "Base64": "aGVsbG8=", "Cidr": "10.0.1.0/24",
        "Zone": "us-east-1a", "Pseudo": "aws us-east-1 000000000000 amazonaws.com",
    }  # fmt: skip
    shown = {p["ParameterKey"]: p["ParameterValue"] for p in stack["Parameters"]}
    assert shown == {"List": "a, b ,c", "Secret": "****", "Env": "dev"}
    cf.update_stack(
        StackName="fn", UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": "Env", "ParameterValue": "prod"}, {"ParameterKey": "List", "UsePreviousValue": True}],
    )  # fmt: skip
    changed = {o["OutputKey"]: o["OutputValue"] for o in settled(cf, clock, "fn")["Outputs"]}
    assert (changed["If"], changed["Gone"], changed["Join"]) == ("big", "false", "a-b-c")


def test_language_extensions_unroll_loops(aws: Aws, cf: Any, clock: Any) -> None:
    template = """
Transform: AWS::LanguageExtensions
Parameters: {Names: {Type: CommaDelimitedList, Default: "One,Two"}}
Resources:
  Fn::ForEach::Groups:
    - Name
    - !Ref Names
    - Group${Name}: {Type: 'AWS::Logs::LogGroup', Properties: {LogGroupName: !Sub "/x/${Name}"}}
Outputs:
  Count: {Value: {"Fn::Length": !Ref Names}}
  Json: {Value: {"Fn::ToJsonString": {a: [1]}}}
"""
    assert refusal(cf.create_stack, StackName="loop", TemplateBody=template)[0] == "InsufficientCapabilitiesException"
    cf.create_stack(StackName="loop", TemplateBody=template, Capabilities=["CAPABILITY_AUTO_EXPAND"])
    outputs = {o["OutputKey"]: o["OutputValue"] for o in settled(cf, clock, "loop")["Outputs"]}
    assert outputs == {"Count": "2", "Json": '{"a":[1]}'}
    assert [g["logGroupName"] for g in aws("logs").describe_log_groups()["logGroups"]] == ["/x/One", "/x/Two"]


def test_include_and_nested_stacks_come_from_s3(aws: Aws, cf: Any, clock: Any) -> None:
    s3 = aws("s3")
    s3.create_bucket(Bucket="templates")
    child = {
        "Parameters": {"P": {"Type": "String"}},
        "Resources": {"G": GROUP},
        "Outputs": {"Got": {"Value": {"Ref": "P"}}},
    }
    s3.put_object(Bucket="templates", Key="child.json", Body=json.dumps(child))
    s3.put_object(Bucket="templates", Key="more.yaml", Body="RetentionInDays: 30\n")
    parent = {
        "Child": {
            "Type": "AWS::CloudFormation::Stack",
            "Properties": {
                "TemplateURL": "https://s3.amazonaws.com/templates/child.json",
                "Parameters": {"P": {"Ref": "AWS::StackName"}},
            },
        },
        "Included": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {
                "LogGroupName": "/included",
                "Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": "s3://templates/more.yaml"}},
            },
        },
    }
    template = body(parent, Outputs={"Got": {"Value": {"Fn::GetAtt": ["Child", "Outputs.Got"]}}})
    cf.create_stack(StackName="parent", TemplateBody=template, Capabilities=["CAPABILITY_AUTO_EXPAND"])
    stack = settled(cf, clock, "parent")
    assert (stack["StackStatus"], stack["Outputs"][0]["OutputValue"]) == ("CREATE_COMPLETE", "parent")
    groups = {g["logGroupName"]: g["retentionInDays"] for g in aws("logs").describe_log_groups()["logGroups"]}
    assert groups["/included"] == 30
    nested = next(s for s in cf.describe_stacks()["Stacks"] if s["StackName"] != "parent")
    assert nested["ParentId"] == nested["RootId"] == stack["StackId"]
    cf.delete_stack(StackName="parent")
    assert settled(cf, clock, stack["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    assert aws("logs").describe_log_groups()["logGroups"] == []


def test_exports_are_listed_with_their_users(cf: Any, clock: Any) -> None:
    export = {"Outputs": {"O": {"Value": "7", "Export": {"Name": "seven"}}}}
    cf.create_stack(StackName="giver", TemplateBody=body({"H": HANDLE}, **export))
    clock.advance(1)
    user = body({"H": HANDLE}, Outputs={"O": {"Value": {"Fn::ImportValue": "seven"}}})
    cf.create_stack(StackName="user", TemplateBody=user)
    assert settled(cf, clock, "user")["Outputs"][0]["OutputValue"] == "7"
    assert [(e["Name"], e["Value"]) for e in cf.list_exports()["Exports"]] == [("seven", "7")]
    assert cf.list_imports(ExportName="seven")["Imports"] == ["user"]
    assert refusal(cf.list_imports, ExportName="nope")[1] == "Export 'nope' is not imported by any stack."


def test_templates_are_validated_and_summarized(cf: Any) -> None:
    template = body(
        {"R": {"Type": "AWS::IAM::Role", "Properties": {}}},
        Description="d",
        Parameters={"P": {"Type": "Number", "Default": 3, "NoEcho": True, "AllowedValues": [3, 4]}},
    )
    found = cf.validate_template(TemplateBody=template)
    assert found["Parameters"] == [{"ParameterKey": "P", "DefaultValue": "3", "NoEcho": True}]
    assert (found["Capabilities"], found["Description"]) == (["CAPABILITY_IAM"], "d")
    summary = cf.get_template_summary(TemplateBody=template)
    assert (summary["ResourceTypes"], summary["Version"]) == (["AWS::IAM::Role"], "2010-09-09")
    assert summary["Parameters"][0]["ParameterConstraints"] == {"AllowedValues": ["3", "4"]}
    assert "(line 2, column 1)" in refusal(cf.validate_template, TemplateBody="Resources: [\n")[1]


HANDLER = """
import json, os, urllib.request
def handler(event, context):
    if "ResponseURL" not in event:
        return {"statusCode": 200, "body": os.environ.get("GREETING", "")}
    fine = event["ResourceProperties"].get("Fail") != "true"
    answer = {"Status": "SUCCESS" if fine else "FAILED", "Reason": "as asked", "PhysicalResourceId": "made-" + event["LogicalResourceId"],
              "StackId": event["StackId"], "RequestId": event["RequestId"], "LogicalResourceId": event["LogicalResourceId"],
              "Data": {"Kind": event["RequestType"], "Given": event["ResourceProperties"].get("Given", "")}}
    request = urllib.request.Request(event["ResponseURL"], data=json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request).read()
"""


def code(aws: Aws) -> dict[str, str]:
    s3 = aws("s3")
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key="code.zip", Body=package({"app.py": HANDLER}))
    return {"S3Bucket": "code", "S3Key": "code.zip"}


def function(aws: Aws) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Code": code(aws),
            "Handler": "app.handler",
            "Runtime": "python3.11",
            "Role": "arn:aws:iam::000000000000:role/any",
        },
    }


def test_a_custom_resource_is_made_by_a_function(aws: Aws, cf: Any, clock: Any) -> None:
    custom = {
        "Type": "Custom::Thing",
        "Properties": {"ServiceToken": {"Fn::GetAtt": ["F", "Arn"]}, "Given": 5, "Flag": True},
    }
    outputs = {"Kind": {"Value": {"Fn::Sub": "${C.Kind} ${C.Given} ${C}"}}}
    template = {"F": function(aws), "C": custom}
    cf.create_stack(StackName="custom", TemplateBody=body(template, Outputs=outputs))
    stack = settled(cf, clock, "custom")
    assert (stack["StackStatus"], stack["Outputs"][0]["OutputValue"]) == ("CREATE_COMPLETE", "Create 5 made-C")
    template["C"] = {**custom, "Properties": {**custom["Properties"], "Given": 6, "Fail": True}}
    cf.update_stack(StackName="custom", TemplateBody=body(template, Outputs=outputs))
    assert settled(cf, clock, "custom")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    reasons = [e.get("ResourceStatusReason", "") for e in cf.describe_stack_events(StackName="custom")["StackEvents"]]
    assert any(
        "Received response status [FAILED] from custom resource. Message returned: as asked" in reason
        for reason in reasons
    )


SERVERLESS = """
Transform: AWS::Serverless-2016-10-31
Globals: {Function: {Runtime: python3.11, Handler: app.handler}}
Parameters: {Greeting: {Type: String, Default: hello}}
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: s3://code/code.zip
      Role: arn:aws:iam::000000000000:role/any
      Environment: {Variables: {GREETING: !Ref Greeting}}
      Events:
        Get: {Type: HttpApi, Properties: {Path: /hello, Method: GET}}
Outputs:
  Api: {Value: !Ref ServerlessHttpApi}
"""


def test_a_serverless_application_is_deployed_called_and_changed(aws: Aws, cf: Any, clock: Any) -> None:
    code(aws)
    given = {"TemplateBody": SERVERLESS, "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]}
    made = cf.create_change_set(StackName="sam", ChangeSetName="c1", ChangeSetType="CREATE", **given)
    clock.advance(0)
    found = cf.describe_change_set(ChangeSetName=made["Id"])
    assert (found["Status"], found.get("StatusReason")) == ("CREATE_COMPLETE", None)
    kinds = {c["ResourceChange"]["ResourceType"] for c in found["Changes"]}
    assert {"AWS::Lambda::Function", "AWS::ApiGatewayV2::Api", "AWS::Lambda::Permission"} <= kinds
    cf.execute_change_set(ChangeSetName=made["Id"])
    stack = settled(cf, clock, "sam")
    assert stack["StackStatus"] == "CREATE_COMPLETE", cf.describe_stack_events(StackName="sam")["StackEvents"]
    processed = cf.get_template(StackName="sam", TemplateStage="Processed")
    assert "AWS::Serverless::Function" not in json.dumps(processed["TemplateBody"])
    endpoint = cf.meta.endpoint_url
    url = f"{endpoint}/_aws/execute-api/{stack['Outputs'][0]['OutputValue']}/$default/hello"
    with urllib.request.urlopen(url) as response:
        assert response.read() == b"hello"
    cf.update_stack(StackName="sam", Parameters=[{"ParameterKey": "Greeting", "ParameterValue": "bonjour"}], **given)
    assert settled(cf, clock, "sam")["StackStatus"] == "UPDATE_COMPLETE"
    with urllib.request.urlopen(url) as response:
        assert response.read() == b"bonjour"


def test_a_change_set_that_was_executed_is_deleted_and_its_name_used_again(cf: Any, clock: Any) -> None:
    first = "Resources: {Api: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: first, ProtocolType: HTTP}}}"
    names = {"StackName": "twice", "ChangeSetName": "deployment"}
    cf.create_change_set(**names, ChangeSetType="CREATE", TemplateBody=first)
    clock.advance(0)
    cf.execute_change_set(**names)
    assert settled(cf, clock, "twice")["StackStatus"] == "CREATE_COMPLETE"
    cf.delete_change_set(**names)
    assert cf.list_change_sets(StackName="twice")["Summaries"] == []
    cf.create_change_set(**names, TemplateBody=first.replace("first", "second"))
    clock.advance(0)
    cf.execute_change_set(**names)
    assert settled(cf, clock, "twice")["StackStatus"] == "UPDATE_COMPLETE"


def test_only_a_change_set_expands_macros_without_the_capability(cf: Any, clock: Any) -> None:
    assert refusal(cf.create_stack, StackName="sam", TemplateBody=SERVERLESS) == (
        "InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_AUTO_EXPAND]",
    )  # fmt: skip
    cf.create_change_set(StackName="sam", ChangeSetName="c1", ChangeSetType="CREATE", TemplateBody=SERVERLESS)
    clock.advance(0)
    assert cf.describe_change_set(StackName="sam", ChangeSetName="c1")["Status"] == "CREATE_COMPLETE"


def test_what_sam_finds_wrong_is_the_change_sets_reason(cf: Any, clock: Any) -> None:
    template = SERVERLESS.replace("s3://code/code.zip", "src/")
    cf.create_change_set(StackName="sam", ChangeSetName="c1", ChangeSetType="CREATE", TemplateBody=template)
    clock.advance(0)
    found = cf.describe_change_set(StackName="sam", ChangeSetName="c1")
    reason = (
        "Transform AWS::Serverless-2016-10-31 failed with: Invalid Serverless Application Specification document. Number of errors "
        "found: 1. Resource with id [Hello] is invalid. 'CodeUri' is not a valid S3 Uri"
    )
    assert (found["Status"], found["StatusReason"].startswith(reason)) == ("FAILED", True)
    cf.create_stack(StackName="direct", TemplateBody=template, Capabilities=["CAPABILITY_AUTO_EXPAND"])
    assert settled(cf, clock, "direct")["StackStatus"] == "ROLLBACK_COMPLETE"


def test_events_have_times_that_grow_though_the_clock_stands_still(cf: Any, clock: Any) -> None:
    """SAM's CLI shows the events that are later than the last it saw, and waits for the stack's own among them."""
    cf.create_stack(StackName="still", TemplateBody=body({"Group": GROUP, "Handle": HANDLE}))
    clock.advance(0)
    times = [event["Timestamp"] for event in cf.describe_stack_events(StackName="still")["StackEvents"]]
    assert len(times) >= 4
    assert times == sorted(set(times), reverse=True)
