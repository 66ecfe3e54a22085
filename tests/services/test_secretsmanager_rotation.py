"""Secrets rotated by functions, templates with secrets, and secrets after a kill."""

import io
import json
import zipfile

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

DAY = 86_400
CODE = """
import boto3

def handler(event, context):
    client = boto3.client("secretsmanager")
    secret, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    print("step", step)
    shown = client.describe_secret(SecretId=secret)
    stages, tags = shown["VersionIdsToStages"], {tag["Key"]: tag["Value"] for tag in shown["Tags"]}
    assert token in stages, "no such version"
    client.tag_resource(SecretId=secret, Tags=[{"Key": "steps", "Value": tags.get("steps", "") + step[0]}])
    if shown["Name"].startswith("bad"):
        raise ValueError("cannot rotate")
    if step == "createSecret":
        try:
            client.get_secret_value(SecretId=secret, VersionId=token, VersionStage="AWSPENDING")
        except client.exceptions.ResourceNotFoundException:
            value = "rotated " + token
            client.put_secret_value(SecretId=secret, ClientRequestToken=token, SecretString=value, VersionStages=["AWSPENDING"])
    if step == "finishSecret":
        current = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
        client.update_secret_version_stage(
            SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current)
"""


def refused(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    return caught.value.response["Error"]["Code"]


@pytest.fixture
def sm(aws):
    return aws("secretsmanager")


@pytest.fixture
def function(aws):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), CODE)
    return aws("lambda").create_function(
        FunctionName="rotate", Runtime="python3.12", Role="arn:aws:iam::000000000000:role/r", Handler="index.handler",
        Code={"ZipFile": sink.getvalue()}, Timeout=60,
    )["FunctionArn"]  # fmt: skip


def steps(aws):
    pages = (
        aws("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName="/aws/lambda/rotate", filterPattern='"step "')
    )
    return [event["message"].split()[1] for page in pages for event in page["events"]]


def test_a_secret_is_rotated_in_four_steps_now_and_when_it_is_due(aws, sm, function, clock):
    sm.create_secret(Name="s", SecretString="first")
    answer = sm.rotate_secret(SecretId="s", RotationLambdaARN=function, RotationRules={"AutomaticallyAfterDays": 30})
    clock.quiet()
    found = sm.get_secret_value(SecretId="s")
    assert (found["VersionId"], found["SecretString"]) == (answer["VersionId"], f"rotated {answer['VersionId']}")
    assert sm.get_secret_value(SecretId="s", VersionStage="AWSPREVIOUS")["SecretString"] == "first"
    assert sorted(steps(aws)) == ["createSecret", "finishSecret", "setSecret", "testSecret"]
    shown = sm.describe_secret(SecretId="s")
    assert shown["Tags"] == [{"Key": "steps", "Value": "cstf"}]
    assert (shown["RotationEnabled"], shown["RotationLambdaARN"]) == (True, function)
    assert shown["RotationRules"] == {"AutomaticallyAfterDays": 30}
    opens = (clock.now() + 30 * DAY) // DAY * DAY
    assert shown["NextRotationDate"].timestamp() == opens + DAY
    clock.advance(opens - clock.now() - 1)
    assert len(steps(aws)) == 4
    clock.advance(2)
    clock.quiet()
    assert len(steps(aws)) == 8
    second = sm.get_secret_value(SecretId="s")["VersionId"]
    assert second != answer["VersionId"]
    sm.cancel_rotate_secret(SecretId="s")
    clock.advance(60 * DAY)
    assert len(steps(aws)) == 8
    assert sm.describe_secret(SecretId="s")["RotationEnabled"] is False


def test_a_rotation_that_fails_is_tried_again_and_given_up(aws, sm, function, clock):
    sm.create_secret(Name="bad", SecretString="first")
    sm.rotate_secret(SecretId="bad", RotationLambdaARN=function, RotationRules={"AutomaticallyAfterDays": 30})
    clock.quiet()
    assert steps(aws) == ["createSecret"]
    assert refused(sm.rotate_secret, SecretId="bad") == "InvalidRequestException"
    assert sm.get_secret_value(SecretId="bad")["SecretString"] == "first"
    for delay, count in ((61, 2), (120, 3), (240, 4), (480, 5), (10_000, 5)):
        clock.advance(delay)
        clock.quiet()
        assert len(steps(aws)) == count
    shown = sm.describe_secret(SecretId="bad")
    assert [labels for labels in shown["VersionIdsToStages"].values()] == [["AWSCURRENT"]]
    assert "LastRotatedDate" not in shown
    clock.advance(30 * DAY)
    clock.quiet()
    assert len(steps(aws)) > 5


def test_a_rotation_may_only_be_tested_now_and_begin_by_its_schedule(aws, sm, function, clock):
    sm.create_secret(Name="s", SecretString="first")
    rules = {"ScheduleExpression": "cron(0 4 * * ? *)", "Duration": "3h"}
    sm.rotate_secret(SecretId="s", RotationLambdaARN=function, RotationRules=rules, RotateImmediately=False)
    clock.quiet()
    assert steps(aws) == ["testSecret"]
    shown = sm.describe_secret(SecretId="s")
    assert shown["RotationRules"] == rules
    assert list(shown["VersionIdsToStages"].values()) == [["AWSCURRENT"]]
    assert shown["NextRotationDate"].timestamp() % DAY == 7 * 3600
    clock.advance(DAY)
    clock.quiet()
    assert sm.get_secret_value(SecretId="s")["SecretString"].startswith("rotated")


def test_rotations_that_cannot_be(sm, function):
    sm.create_secret(Name="s", SecretString="x")
    sm.create_secret(Name="empty")
    days = {"AutomaticallyAfterDays": 1}
    assert refused(sm.rotate_secret, SecretId="s") == "InvalidRequestException"
    assert refused(sm.rotate_secret, SecretId="empty", RotationLambdaARN=function) == "InvalidRequestException"
    missing = {"RotationLambdaARN": function + "x", "RotationRules": days}
    assert refused(sm.rotate_secret, SecretId="s", **missing) == "AccessDeniedException"
    assert refused(sm.cancel_rotate_secret, SecretId="s") == "InvalidRequestException"
    for rules in (
        {**days, "ScheduleExpression": "rate(4 hours)"}, {"Duration": "3h"}, {"ScheduleExpression": "rate(3 hours)"},
        {"ScheduleExpression": "rate(300 minutes)"}, {"ScheduleExpression": "cron(5 4 * * ? *)"}, {**days, "Duration": "25h"},
        {"ScheduleExpression": "rate(1000 days)"}, {"ScheduleExpression": "sometimes"},
    ):  # fmt: skip
        code = refused(sm.rotate_secret, SecretId="s", RotationLambdaARN=function, RotationRules=rules)
        assert code == "InvalidParameterException", rules
    assert "RotationEnabled" not in sm.describe_secret(SecretId="s")


# templates


@pytest.fixture
def deploy(aws, clock):
    cloudformation = aws("cloudformation")

    def run(resources, outputs, update=False):
        template = {"Resources": resources, "Outputs": {name: {"Value": value} for name, value in outputs.items()}}
        act = cloudformation.update_stack if update else cloudformation.create_stack
        act(StackName="s", TemplateBody=json.dumps(template))
        clock.advance(120)
        stack = cloudformation.describe_stacks(StackName="s")["Stacks"][0]
        events = cloudformation.describe_stack_events(StackName="s")["StackEvents"]
        reasons = [str(event.get("ResourceStatusReason")) for event in events]
        assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), reasons
        return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}

    return run


GENERATED = {
    "Type": "AWS::SecretsManager::Secret",
    "Properties": {
        "Name": "db",
        "GenerateSecretString": {
            "SecretStringTemplate": '{"username": "admin"}', "GenerateStringKey": "password", "PasswordLength": 20,
            "ExcludeCharacters": "\"@/\\",
        },
    },
}  # fmt: skip


def test_a_template_generates_a_secret_and_uses_it(aws, sm, deploy, clock):
    policy = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "*", "Resource": "*"}]}
    resources = {
        "Secret": GENERATED,
        "Policy": {
            "Type": "AWS::SecretsManager::ResourcePolicy",
            "Properties": {"SecretId": {"Ref": "Secret"}, "ResourcePolicy": policy},
        },
        "Topic": {
            "Type": "AWS::SNS::Topic",
            "Properties": {
                "DisplayName": {"Fn::Sub": "{{resolve:secretsmanager:${Secret}:SecretString:password}}"},
            },
        },
    }
    outputs = {"Arn": {"Ref": "Secret"}, "Id": {"Fn::GetAtt": ["Secret", "Id"]}, "Topic": {"Ref": "Topic"}}
    found = deploy(resources, outputs)
    assert found["Arn"] == found["Id"]
    value = json.loads(sm.get_secret_value(SecretId="db")["SecretString"])
    assert (value["username"], len(value["password"])) == ("admin", 20)
    shown = aws("sns").get_topic_attributes(TopicArn=found["Topic"])["Attributes"]["DisplayName"]
    assert shown == value["password"]
    assert json.loads(sm.get_resource_policy(SecretId="db")["ResourcePolicy"]) == policy
    changed = {**GENERATED, "Properties": {**GENERATED["Properties"], "Description": "new"}}
    deploy({**resources, "Secret": changed}, outputs, update=True)
    assert sm.describe_secret(SecretId="db")["Description"] == "new"
    assert json.loads(sm.get_secret_value(SecretId="db")["SecretString"]) == value
    given = {"Type": GENERATED["Type"], "Properties": {"Name": "db", "SecretString": '{"password": "p"}'}}
    del resources["Policy"]
    deploy({**resources, "Secret": given}, outputs, update=True)
    assert sm.get_secret_value(SecretId="db")["SecretString"] == '{"password": "p"}'
    assert "ResourcePolicy" not in sm.get_resource_policy(SecretId="db")
    aws("cloudformation").delete_stack(StackName="s")
    clock.advance(60)
    assert refused(sm.describe_secret, SecretId="db") == "ResourceNotFoundException"


def test_a_template_rotates_a_secret(sm, deploy, function, clock):
    schedule = {
        "Type": "AWS::SecretsManager::RotationSchedule",
        "Properties": {
            "SecretId": {"Ref": "Secret"}, "RotationLambdaARN": function, "RotationRules": {"AutomaticallyAfterDays": 10},
        },
    }  # fmt: skip
    deploy({"Secret": GENERATED, "Schedule": schedule}, {"Id": {"Ref": "Schedule"}})
    clock.quiet()
    assert sm.get_secret_value(SecretId="db")["SecretString"].startswith("rotated")
    deploy({"Secret": GENERATED}, {"Id": {"Ref": "Secret"}}, update=True)
    assert sm.describe_secret(SecretId="db")["RotationEnabled"] is False


@pytest.mark.slow
def test_a_secret_is_attached_to_its_database(sm, deploy):
    database = {
        "Type": "AWS::RDS::DBInstance", "DeletionPolicy": "Delete",
        "Properties": {
            "DBInstanceClass": "db.t4g.micro", "Engine": "postgres", "AllocatedStorage": "20", "DBName": "orders",
            "BackupRetentionPeriod": 0, "MasterUsername": "shop",
            "MasterUserPassword": {"Fn::Sub": "{{resolve:secretsmanager:${Secret}:SecretString:password}}"},
        },
    }  # fmt: skip
    attachment = {
        "Type": "AWS::SecretsManager::SecretTargetAttachment",
        "Properties": {
            "SecretId": {"Ref": "Secret"}, "TargetId": {"Ref": "Db"}, "TargetType": "AWS::RDS::DBInstance",
        },
    }  # fmt: skip
    outputs = {"Port": {"Fn::GetAtt": ["Db", "Endpoint.Port"]}, "Name": {"Ref": "Db"}}
    found = deploy({"Secret": GENERATED, "Db": database, "Attachment": attachment}, outputs)
    value = json.loads(sm.get_secret_value(SecretId="db")["SecretString"])
    wanted = {"username": "admin", "engine": "postgres", "dbname": "orders", "dbInstanceIdentifier": found["Name"]}
    assert {name: value[name] for name in wanted} == wanted
    assert str(value["port"]) == str(found["Port"])
    deploy({"Secret": GENERATED, "Db": database}, outputs, update=True)
    left = json.loads(sm.get_secret_value(SecretId="db")["SecretString"])
    assert set(left) == {"username", "password"}


@pytest.mark.crash
def test_acknowledged_values_survive_a_kill(server_process):
    def client_of(server):
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60)
        return boto3.client("secretsmanager", endpoint_url=server.endpoint, region_name="us-east-1", config=config)

    server = server_process().start()
    client = client_of(server)
    client.create_secret(Name="s", SecretString="value 0")
    for number in range(1, 20):
        client.put_secret_value(SecretId="s", SecretString=f"value {number}")
    server.kill()
    client = client_of(server.start())
    assert client.get_secret_value(SecretId="s")["SecretString"] == "value 19"
    assert client.get_secret_value(SecretId="s", VersionStage="AWSPREVIOUS")["SecretString"] == "value 18"
