"""IAM's policies enforced: users, roles, functions, and services that act for themselves."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.services.iam_people import ACCOUNT, REGION, Json, Person, allow, deny, document, make_role, trust

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


_ = (Json, deny, trust)
