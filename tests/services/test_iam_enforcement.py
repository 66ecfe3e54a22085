"""IAM's policies enforced: users, roles, functions, and services that act for themselves."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.services.iam_people import ACCOUNT, REGION, Json, Person, allow, deny, document, make_role

pytestmark = pytest.mark.usefixtures("iam_enforced")


def refusal(call: Any, **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def packed(source: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", source)
    return buffer.getvalue()


def make_function(aws: Any, name: str, source: str, role: str, **more: Any) -> str:
    arn: str = aws("lambda").create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": packed(source)},
        **more,
    )["FunctionArn"]
    return arn


ECHO = "def handler(event, context):\n    return event\n"
SENDS = """
import boto3, os
def handler(event, context):
    return boto3.client("sqs").send_message(QueueUrl=event["queue"], MessageBody="hello")["MessageId"]
"""


def test_a_caller_without_the_permission_may_not_invoke_a_function(aws: Any) -> None:
    """B4.3: "only needs to be accessed from within your AWS infrastructure"."""
    arn = make_function(aws, "inner", ECHO, make_role(aws, "runs"))
    ada = Person(aws, "ada")
    assert refusal(ada("lambda").invoke, FunctionName="inner") == (
        "AccessDeniedException",
        f"User: {ada.arn} is not authorized to perform: lambda:InvokeFunction on resource: {arn} "
        "because no identity-based policy allows the lambda:InvokeFunction action",
    )
    ada.may(allow("lambda:InvokeFunction", arn))
    assert json.load(ada("lambda").invoke(FunctionName="inner", Payload=b'{"a": 1}')["Payload"]) == {"a": 1}


def test_a_function_has_the_permissions_of_its_role(aws: Any) -> None:
    queue = aws("sqs").create_queue(QueueName="orders")["QueueUrl"]
    make_role(aws, "mute", allow("sqs:ReceiveMessage"))
    make_function(aws, "sender", SENDS, f"arn:aws:iam::{ACCOUNT}:role/mute")
    request = {"FunctionName": "sender", "Payload": json.dumps({"queue": queue})}
    failed = json.load(aws("lambda").invoke(**request)["Payload"])
    assert failed["errorType"] == "ClientError"
    assert (
        "(AccessDenied) when calling the SendMessage operation: User: arn:aws:sts::000000000000:assumed-role/mute/sender is "
        "not authorized to perform: sqs:sendmessage on resource: arn:aws:sqs:us-east-1:000000000000:orders because no "
        "identity-based policy allows the sqs:sendmessage action"
    ) in failed["errorMessage"]
    statement = allow("sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:orders")
    aws("iam").put_role_policy(RoleName="mute", PolicyName="own", PolicyDocument=document(statement))
    sent = json.load(aws("lambda").invoke(**request)["Payload"])
    assert aws("sqs").receive_message(QueueUrl=queue)["Messages"][0]["MessageId"] == sent


# every service: (service, operation, request, action, resource), made ready by the root user

ROOT_ARN = f"arn:aws:iam::{ACCOUNT}:root"
KEY = [{"AttributeName": "id", "AttributeType": "S"}], [{"AttributeName": "id", "KeyType": "HASH"}]


def world(aws: Any) -> Json:
    """One of each thing."""
    queue = aws("sqs").create_queue(QueueName="q")["QueueUrl"]
    topic = aws("sns").create_topic(Name="t")["TopicArn"]
    aws("dynamodb").create_table(
        TableName="things", AttributeDefinitions=KEY[0], KeySchema=KEY[1], BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )  # fmt: skip
    stream = aws("dynamodbstreams").list_streams(TableName="things")["Streams"][0]["StreamArn"]
    aws("s3").create_bucket(Bucket="box")
    aws("s3").put_object(Bucket="box", Key="k", Body=b"x")
    aws("logs").create_log_group(logGroupName="/g")
    aws("events").put_rule(Name="r", EventPattern='{"source": ["a"]}')
    rest = aws("apigateway").create_rest_api(name="a")["id"]
    http = aws("apigatewayv2").create_api(Name="a", ProtocolType="HTTP")["ApiId"]
    aws("iam").create_user(UserName="eve")
    aws("secretsmanager").create_secret(Name="hush", SecretString="x")
    aws("ssm").put_parameter(Name="/app/p", Value="v", Type="String")
    key = aws("kms").create_key()["KeyMetadata"]["KeyId"]
    blob = aws("kms").encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    return {"queue": queue, "topic": topic, "stream": stream, "rest": rest, "http": http, "key": key, "blob": blob}


CALLS: list[tuple[str, str, Any, str, str]] = [
    ("kms", "encrypt", lambda w: {"KeyId": w["key"], "Plaintext": b"y"}, "kms:Encrypt", "arn:aws:kms:us-east-1:{}:key/*"),
    ("kms", "decrypt", lambda w: {"CiphertextBlob": w["blob"]}, "kms:Decrypt", "arn:aws:kms:us-east-1:{}:key/*"),
    ("secretsmanager", "get_secret_value", lambda w: {"SecretId": "hush"}, "secretsmanager:GetSecretValue",
     "arn:aws:secretsmanager:us-east-1:{}:secret:hush-*"),
    ("ssm", "get_parameter", lambda w: {"Name": "/app/p"}, "ssm:GetParameter", "arn:aws:ssm:us-east-1:{}:parameter/app/*"),
    ("sqs", "send_message", lambda w: {"QueueUrl": w["queue"], "MessageBody": "x"}, "sqs:SendMessage", "arn:aws:sqs:us-east-1:{}:q"),
    ("sqs", "delete_message_batch", lambda w: {"QueueUrl": w["queue"], "Entries": [{"Id": "1", "ReceiptHandle": "x"}]},
     "sqs:DeleteMessage", "arn:aws:sqs:us-east-1:{}:q"),
    ("sqs", "list_queues", lambda w: {}, "sqs:ListQueues", "*"),
    ("sns", "publish", lambda w: {"TopicArn": w["topic"], "Message": "x"}, "sns:Publish", "arn:aws:sns:us-east-1:{}:t"),
    ("sns", "create_topic", lambda w: {"Name": "u"}, "sns:CreateTopic", "arn:aws:sns:us-east-1:{}:u"),
    ("dynamodb", "get_item", lambda w: {"TableName": "things", "Key": {"id": {"S": "1"}}}, "dynamodb:GetItem",
     "arn:aws:dynamodb:us-east-1:{}:table/things"),
    ("dynamodb", "batch_get_item", lambda w: {"RequestItems": {"things": {"Keys": [{"id": {"S": "1"}}]}}}, "dynamodb:BatchGetItem",
     "arn:aws:dynamodb:us-east-1:{}:table/things"),
    ("dynamodb", "transact_write_items",
     lambda w: {"TransactItems": [{"Put": {"TableName": "things", "Item": {"id": {"S": "1"}}}}]}, "dynamodb:PutItem",
     "arn:aws:dynamodb:us-east-1:{}:table/things"),
    ("dynamodb", "execute_statement", lambda w: {"Statement": "SELECT * FROM things"}, "dynamodb:PartiQLSelect",
     "arn:aws:dynamodb:us-east-1:{}:table/things"),
    ("dynamodb", "list_tables", lambda w: {}, "dynamodb:ListTables", "*"),
    ("dynamodbstreams", "describe_stream", lambda w: {"StreamArn": w["stream"]}, "dynamodb:DescribeStream",
     "arn:aws:dynamodb:us-east-1:{}:table/things/stream/*"),
    ("s3", "get_object", lambda w: {"Bucket": "box", "Key": "k"}, "s3:GetObject", "arn:aws:s3:::box/k"),
    ("s3", "put_object", lambda w: {"Bucket": "box", "Key": "k", "Body": b"y"}, "s3:PutObject", "arn:aws:s3:::box/k"),
    ("s3", "list_objects_v2", lambda w: {"Bucket": "box"}, "s3:ListBucket", "arn:aws:s3:::box"),
    ("s3", "list_buckets", lambda w: {}, "s3:ListAllMyBuckets", "*"),
    ("lambda", "get_function", lambda w: {"FunctionName": "f"}, "lambda:GetFunction", "arn:aws:lambda:us-east-1:{}:function:f"),
    ("logs", "create_log_stream", lambda w: {"logGroupName": "/g", "logStreamName": "s"}, "logs:CreateLogStream",
     "arn:aws:logs:us-east-1:{}:log-group:/g:*"),
    ("events", "put_events", lambda w: {"Entries": [{"Source": "a", "DetailType": "b", "Detail": "{}"}]}, "events:PutEvents",
     "arn:aws:events:us-east-1:{}:event-bus/default"),
    ("events", "describe_rule", lambda w: {"Name": "r"}, "events:DescribeRule", "arn:aws:events:us-east-1:{}:rule/r"),
    ("cloudwatch", "put_metric_data", lambda w: {"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 1}]},
     "cloudwatch:PutMetricData", "*"),
    ("cloudwatch", "delete_alarms", lambda w: {"AlarmNames": ["a"]}, "cloudwatch:DeleteAlarms",
     "arn:aws:cloudwatch:us-east-1:{}:alarm:a"),
    ("cloudformation", "describe_stacks", lambda w: {"StackName": "s"}, "cloudformation:DescribeStacks",
     "arn:aws:cloudformation:us-east-1:{}:stack/s/*"),
    ("apigateway", "get_rest_api", lambda w: {"restApiId": w["rest"]}, "apigateway:GET", "arn:aws:apigateway:us-east-1::/restapis/*"),
    ("apigatewayv2", "delete_api", lambda w: {"ApiId": w["http"]}, "apigateway:DELETE", "arn:aws:apigateway:us-east-1::/apis/*"),
    ("iam", "get_user", lambda w: {"UserName": "eve"}, "iam:GetUser", "arn:aws:iam::{}:user/eve"),
    ("sts", "get_access_key_info", lambda w: {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}, "sts:GetAccessKeyInfo", "*"),
    ("rds", "describe_db_instances", lambda w: {}, "rds:DescribeDBInstances", "arn:aws:rds:us-east-1:{}:db:*"),
]  # fmt: skip
CODES = {"sqs": "AccessDenied", "sns": "AuthorizationError", "s3": "AccessDenied", "iam": "AccessDenied", "sts": "AccessDenied",
         "cloudwatch": "AccessDenied", "cloudformation": "AccessDenied", "rds": "AccessDenied"}  # fmt: skip


def test_a_user_needs_a_permission_in_every_service(aws: Any) -> None:
    made, ada = world(aws), Person(aws, "ada")
    for service, operation, request, action, resource in CALLS:
        call = getattr(ada(service), operation)
        ada.may(allow("other:*"))
        code, message = refusal(call, **request(made))
        assert code == CODES.get(service, "AccessDeniedException"), (service, operation)
        assert message.startswith(f"User: {ada.arn} is not authorized to perform: "), (service, operation)
        assert message.lower().endswith(f"because no identity-based policy allows the {action.lower()} action")
        ada.may(allow(action, resource.format(ACCOUNT)))
        try:
            call(**request(made))
        except ClientError as error:  # it got further: what it asks for is not there
            assert error.response["Error"]["Code"] in (
                "ResourceNotFoundException",
                "ValidationError",
                "ResourceNotFound",
                "InvalidClientTokenId",
            ), operation
        ada.may(allow("*"), deny(action, resource.format(ACCOUNT)))
        assert refusal(call, **request(made))[1].endswith("with an explicit deny in an identity-based policy")


# who signs


def test_keys_of_users_are_verified_and_unknown_ones_refused(aws: Any) -> None:
    ada = Person(aws, "ada", allow("*"))
    wrong = {**ada.keys, "aws_secret_access_key": "wrong"}
    unknown = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "x"}
    assert refusal(aws("sqs", **wrong).list_queues)[0] == "InvalidSignatureException"
    assert refusal(aws("sts", **wrong).get_caller_identity)[0] == "SignatureDoesNotMatch"
    assert refusal(aws("s3", **wrong).list_buckets)[0] == "SignatureDoesNotMatch"
    assert refusal(aws("dynamodb", **unknown).list_tables)[0] == "UnrecognizedClientException"
    assert refusal(aws("iam", **unknown).list_users)[0] == "InvalidClientTokenId"
    assert refusal(aws("s3", **unknown).list_buckets)[0] == "InvalidAccessKeyId"
    assert ada("sts").get_caller_identity()["Arn"] == ada.arn
    assert aws("sqs").list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200  # `test` is the root user
    aws("iam").update_access_key(UserName="ada", AccessKeyId=ada.keys["aws_access_key_id"], Status="Inactive")
    assert refusal(ada("sqs").list_queues)[0] == "InvalidClientTokenId"


def test_temporary_credentials_need_their_token(aws: Any) -> None:
    ada = Person(aws, "ada", allow("sqs:*"))
    made = ada("sts").get_session_token()["Credentials"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    assert aws("sqs", **keys, aws_session_token=made["SessionToken"]).list_queues()
    assert refusal(aws("sqs", **keys).list_queues)[0] == "UnrecognizedClientException"
    assert refusal(aws("s3", **keys, aws_session_token="other").list_buckets)[0] == "InvalidToken"


def test_a_request_without_a_signature_is_refused_but_by_s3_where_a_policy_lets_everybody_in(
    aws: Any, cloud: Any
) -> None:
    unsigned = {"config": Config(signature_version=UNSIGNED)}
    assert refusal(aws("sqs", **unsigned).list_queues)[0] == "MissingAuthenticationTokenException"
    s3 = aws("s3")
    s3.create_bucket(Bucket="open")
    s3.put_object(Bucket="open", Key="k", Body=b"x")
    assert refusal(aws("s3", **unsigned).get_object, Bucket="open", Key="k")[0] == "AccessDenied"
    s3.delete_public_access_block(Bucket="open")
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::open/*"}
    s3.put_bucket_policy(Bucket="open", Policy=document(everybody))
    assert aws("s3", **unsigned).get_object(Bucket="open", Key="k")["Body"].read() == b"x"
    assert refusal(aws("s3", **unsigned).delete_object, Bucket="open", Key="k")[0] == "AccessDenied"


# where policies come from


def test_groups_managed_policies_and_their_versions_count(aws: Any) -> None:
    ada, iam = Person(aws, "ada"), aws("iam")
    iam.create_group(GroupName="ops")
    arn = iam.create_policy(PolicyName="queues", PolicyDocument=document(allow("sqs:ListQueues")))["Policy"]["Arn"]
    iam.attach_group_policy(GroupName="ops", PolicyArn=arn)
    assert refusal(ada("sqs").list_queues)[0] == "AccessDenied"
    iam.add_user_to_group(GroupName="ops", UserName="ada")
    assert ada("sqs").list_queues()
    version = iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(allow("sns:*")), SetAsDefault=True)
    assert version["PolicyVersion"]["IsDefaultVersion"]
    assert refusal(ada("sqs").list_queues)[0] == "AccessDenied"
    iam.attach_user_policy(UserName="ada", PolicyArn="arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess")
    assert ada("sqs").list_queues()
    assert refusal(ada("sqs").create_queue, QueueName="q")[0] == "AccessDenied"
    iam.attach_user_policy(UserName="ada", PolicyArn="arn:aws:iam::aws:policy/NoSuchPolicyOfAws")
    assert refusal(ada("sqs").create_queue, QueueName="q")[0] == "AccessDenied"


def test_a_boundary_limits_what_policies_allow(aws: Any) -> None:
    arn = aws("iam").create_policy(PolicyName="only-sqs", PolicyDocument=document(allow("sqs:*")))["Policy"]["Arn"]
    ada = Person(aws, "ada", allow("*"), PermissionsBoundary=arn)
    assert ada("sqs").list_queues()
    assert refusal(ada("sns").list_topics)[1].endswith(
        "because no permissions boundary allows the SNS:ListTopics action"
    )


def test_a_role_is_assumed_by_whom_it_trusts_and_within_the_session_policy(aws: Any) -> None:
    ada, iam = Person(aws, "ada"), aws("iam")
    role = make_role(aws, "reader", allow("s3:*"), service="ec2.amazonaws.com")
    request = {"RoleArn": role, "RoleSessionName": "ss"}
    ada.may(allow("sts:*", role))
    assert refusal(ada("sts").assume_role, **request) == (
        "AccessDenied",
        f"User: {ada.arn} is not authorized to perform: sts:AssumeRole because no role trust policy allows the sts:AssumeRole action",
    )
    trusted = {"Effect": "Allow", "Principal": {"AWS": ROOT_ARN}, "Action": ["sts:AssumeRole", "sts:TagSession"],
               "Condition": {"StringEquals": {"sts:ExternalId": "secret"}}}  # fmt: skip
    iam.update_assume_role_policy(RoleName="reader", PolicyDocument=document(trusted))
    assert refusal(ada("sts").assume_role, **request)[0] == "AccessDenied"
    request |= {"ExternalId": "secret", "Tags": [{"Key": "team", "Value": "red"}]}
    request["Policy"] = document(allow("s3:ListBucket", "arn:aws:s3:::${aws:PrincipalTag/team}"))
    made = ada("sts").assume_role(**request)["Credentials"]
    session = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"],
               "aws_session_token": made["SessionToken"]}  # fmt: skip
    for bucket in ("red", "blue"):
        aws("s3").create_bucket(Bucket=bucket)
    assert aws("s3", **session).list_objects_v2(Bucket="red")["KeyCount"] == 0
    code, message = refusal(aws("s3", **session).list_objects_v2, Bucket="blue")
    assert code == "AccessDenied"
    assert message == (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/reader/ss is not authorized to perform: s3:ListBucket on resource: "
        '"arn:aws:s3:::blue" because no session policy allows the s3:ListBucket action'
    )
    ada.may(allow("sqs:*"))
    assert refusal(ada("sts").assume_role, **request)[1].endswith(
        "because no identity-based policy allows the sts:AssumeRole action"
    )


def test_a_role_is_handed_over_by_those_who_may_pass_it(aws: Any) -> None:
    role = make_role(aws, "runs")
    ada = Person(aws, "ada", allow("lambda:*"))
    request = {
        "FunctionName": "f",
        "Runtime": "python3.11",
        "Role": role,
        "Handler": "app.handler",
        "Code": {"ZipFile": packed(ECHO)},
    }
    assert (
        f"is not authorized to perform: iam:PassRole on resource: {role}"
        in refusal(ada("lambda").create_function, **request)[1]
    )
    condition = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    ada.may(allow("lambda:*"), allow("iam:PassRole", role, Condition=condition))
    assert ada("lambda").create_function(**request)["Role"] == role


def test_the_policy_of_a_key_must_let_a_user_in(aws: Any) -> None:
    """Unlike elsewhere, a user's own policy is not enough."""
    key = aws("kms").create_key()["KeyMetadata"]
    ada = Person(aws, "ada", allow("kms:*"))
    assert ada("kms").encrypt(KeyId=key["KeyId"], Plaintext=b"x")["KeyId"] == key["Arn"]
    others = {"Effect": "Allow", "Principal": {"AWS": Person(aws, "bob").arn}, "Action": "kms:*", "Resource": "*"}
    aws("kms").put_key_policy(
        KeyId=key["KeyId"], PolicyName="default", Policy=document(others), BypassPolicyLockoutSafetyCheck=True
    )
    assert refusal(ada("kms").encrypt, KeyId=key["KeyId"], Plaintext=b"x")[1].endswith(
        "because no resource-based policy allows the kms:Encrypt action"
    )


# conditions of services


def test_leading_keys_and_attributes_of_dynamodb(aws: Any) -> None:
    world(aws)
    own = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${aws:username}"]}}
    ada = Person(aws, "ada", allow("dynamodb:*", Condition=own))
    table = ada("dynamodb")
    table.put_item(TableName="things", Item={"id": {"S": "ada"}})
    assert refusal(table.put_item, TableName="things", Item={"id": {"S": "bob"}})[0] == "AccessDeniedException"
    query = {"TableName": "things", "KeyConditionExpression": "#i = :i", "ExpressionAttributeNames": {"#i": "id"}}
    assert table.query(**query, ExpressionAttributeValues={":i": {"S": "ada"}})["Count"] == 1
    assert refusal(table.query, **query, ExpressionAttributeValues={":i": {"S": "bob"}})[0] == "AccessDeniedException"
    batch = {"things": [{"PutRequest": {"Item": {"id": {"S": key}}}} for key in ("ada", "bob")]}
    assert refusal(table.batch_write_item, RequestItems=batch)[0] == "AccessDeniedException"
    only = {"ForAllValues:StringEquals": {"dynamodb:Attributes": ["id", "name"]}}
    ada.may(allow("dynamodb:*", Condition=only))
    table.get_item(
        TableName="things",
        Key={"id": {"S": "ada"}},
        ProjectionExpression="id, #n",
        ExpressionAttributeNames={"#n": "name"},
    )
    assert refusal(table.get_item, TableName="things", Key={"id": {"S": "ada"}}, ProjectionExpression="id, wage")[
        0
    ] == ("AccessDeniedException")


def test_prefixes_tags_and_missing_objects_of_s3(aws: Any) -> None:
    world(aws)
    home = {"StringLike": {"s3:prefix": "home/${aws:username}/*"}}
    ada = Person(
        aws,
        "ada",
        allow("s3:ListBucket", "arn:aws:s3:::box", Condition=home),
        allow("s3:GetObject", "arn:aws:s3:::box/*"),
    )
    assert ada("s3").list_objects_v2(Bucket="box", Prefix="home/ada/x")["KeyCount"] == 0
    assert refusal(ada("s3").list_objects_v2, Bucket="box", Prefix="home/bob/")[0] == "AccessDenied"
    code, message = refusal(ada("s3").get_object, Bucket="box", Key="none")
    assert (code, "s3:ListBucket" in message) == (
        "AccessDenied",
        True,
    )  # who may not list is not told what is not there
    ada.may(allow(["s3:GetObject", "s3:ListBucket"]))
    assert refusal(ada("s3").get_object, Bucket="box", Key="none")[0] == "NoSuchKey"
    aws("s3").put_object_tagging(Bucket="box", Key="k", Tagging={"TagSet": [{"Key": "level", "Value": "open"}]})
    ada.may(allow("s3:GetObject", Condition={"StringEquals": {"s3:ExistingObjectTag/level": "open"}}))
    assert ada("s3").get_object(Bucket="box", Key="k")["Body"].read() == b"x"
    aws("s3").put_object_tagging(Bucket="box", Key="k", Tagging={"TagSet": [{"Key": "level", "Value": "top"}]})
    assert refusal(ada("s3").get_object, Bucket="box", Key="k")[0] == "AccessDenied"


def test_tags_of_requests_and_of_resources(aws: Any) -> None:
    owned = {
        "StringEquals": {"aws:RequestTag/owner": "${aws:username}"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["owner"]},
    }
    ada = Person(aws, "ada", allow("sqs:CreateQueue", Condition=owned),
                 allow("sqs:SendMessage", Condition={"StringEquals": {"aws:ResourceTag/owner": "ada"}}))  # fmt: skip
    queue = ada("sqs").create_queue(QueueName="mine", tags={"owner": "ada"})["QueueUrl"]
    ada("sqs").send_message(QueueUrl=queue, MessageBody="x")
    assert refusal(ada("sqs").create_queue, QueueName="other", tags={"owner": "bob"})[0] == "AccessDenied"
    assert refusal(ada("sqs").create_queue, QueueName="other", tags={"owner": "ada", "more": "x"})[0] == "AccessDenied"
    other = aws("sqs").create_queue(QueueName="other", tags={"owner": "bob"})["QueueUrl"]
    assert refusal(ada("sqs").send_message, QueueUrl=other, MessageBody="x")[0] == "AccessDenied"


def test_the_clock_is_the_clouds(aws: Any, clock: Any) -> None:
    until = datetime.fromtimestamp(clock.now() + 3600, UTC).isoformat()
    ada = Person(aws, "ada", allow("sqs:*", Condition={"DateLessThan": {"aws:CurrentTime": until}}))
    assert ada("sqs").list_queues()
    clock.advance(3601)
    assert refusal(ada("sqs").list_queues)[0] == "AccessDenied"


@pytest.mark.parametrize(("options", "environment"), [(("--iam", "enforce"), {}), ((), {"CUMULET_IAM": "enforce"})])
def test_a_server_enforces_when_it_is_told_to_and_says_so(server_process: Any, options: Any, environment: Any) -> None:
    server = server_process(*options, environment=environment).start()
    shown = subprocess.run(
        [sys.executable, "-m", "cumulet.cli.main", "status", "--endpoint-url", server.endpoint],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    assert "iam: enforce" in shown
    request = urllib.request.Request(f"{server.endpoint}/", b"Action=ListUsers&Version=2010-05-08")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    assert refused.value.code == 403


def test_enforcement_is_off_unless_it_is_asked_for(cloud: Any) -> None:
    cloud.enforce_iam(False)
    with urllib.request.urlopen(f"{cloud.endpoint}/_cumulet/health", timeout=60) as answer:
        assert json.load(answer)["iam"] == "off"
    cloud.enforce_iam(True)
    with urllib.request.urlopen(f"{cloud.endpoint}/_cumulet/health", timeout=60) as answer:
        assert json.load(answer)["iam"] == "enforce"


def test_a_change_that_was_undone_leaves_nothing_behind(aws: Any) -> None:
    """What is kept of a caller's policies belongs to one state of IAM's records."""
    ada = Person(aws, "ada", allow("sqs:*"))
    assert ada("sqs").list_queues()
    with pytest.raises(ClientError):
        aws("iam").put_user_policy(UserName="ada", PolicyName="own", PolicyDocument="{}")
    assert ada("sqs").list_queues()
    aws("iam").delete_user_policy(UserName="ada", PolicyName="own")
    assert refusal(ada("sqs").list_queues)[0] == "AccessDenied"
