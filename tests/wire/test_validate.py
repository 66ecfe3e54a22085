"""Constraints of the models, and AWS's words when they are broken."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader

from cumulet import wire
from cumulet.aws.errors import AwsError

MODELS = wire.Models()


def complaint(service: str, operation: str, request: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(AwsError) as caught:
        MODELS.service(service).operation(operation).check(request)
    return caught.value.wire_code, caught.value.message


ONE = "1 validation error detected: "
KEYS = {
    "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
}


def test_a_missing_member_is_null() -> None:
    assert complaint("dynamodb", "GetItem", {"TableName": "t"}) == (
        "ValidationException",
        ONE + "Value null at 'key' failed to satisfy constraint: Member must not be null",
    )


def test_all_complaints_come_together() -> None:
    code, message = complaint("kinesis", "PutRecord", {"StreamName": "a b", "Data": b"", "PartitionKey": ""})
    assert code == "ValidationException"
    assert message == (
        "2 validation errors detected: Value 'a b' at 'streamName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; "
        "Value '' at 'partitionKey' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1"
    )


def test_paths_lead_through_lists_and_structures() -> None:
    keys = {**KEYS, "KeySchema": [{"AttributeName": "a", "KeyType": "HASHED"}]}
    assert complaint("dynamodb", "CreateTable", {"TableName": "abc", **keys}) == (
        "ValidationException",
        ONE + "Value 'HASHED' at 'keySchema.1.member.keyType' failed to satisfy constraint: "
        "Member must satisfy enum value set: [HASH, RANGE]",
    )


def test_elements_of_a_list_are_reported_at_the_list() -> None:
    code, message = complaint("lambda", "UntagResource", {"Resource": "arn:aws:lambda:us-east-1:000000000000:function:f", "TagKeys": [1]})  # fmt: skip  # noqa: E501
    assert (code, message) == ("SerializationException", "NUMBER_VALUE can not be converted to String")
    code, message = complaint("kms", "UntagResource", {"KeyId": "k", "TagKeys": [""]})
    assert message == ONE + (
        "Value '[]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: "
        "[Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"
    )


def test_numbers_have_limits() -> None:
    request = {"FunctionName": "f", "MemorySize": 64}
    code, message = complaint("lambda", "UpdateFunctionConfiguration", request)
    assert (code, message) == (
        "ValidationException",
        ONE + "Value '64' at 'memorySize' failed to satisfy constraint: "
        "Member must have value greater than or equal to 128",
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, "NUMBER_VALUE can not be converted to String"),
        (True, "BOOLEAN_VALUE can not be converted to String"),
        ([], "Start of list found where not expected"),
        ({}, "Start of structure or map found where not expected."),
    ],
)
def test_a_wrong_type_is_a_serialization_error(value: object, message: str) -> None:
    assert complaint("dynamodb", "DeleteTable", {"TableName": value}) == ("SerializationException", message)
    assert complaint("sqs", "GetQueueUrl", {"QueueName": value}) == ("SerializationException", message)


def test_a_boolean_is_no_number_and_a_number_no_boolean() -> None:
    request = {"QueueUrl": "q", "MaxNumberOfMessages": True}
    assert complaint("sqs", "ReceiveMessage", request)[0] == "SerializationException"
    assert complaint("dynamodb", "GetItem", {"TableName": "t", "Key": {"a": {"S": "x"}}, "ConsistentRead": 1})[0] == (
        "SerializationException"
    )


def test_each_service_has_its_own_code() -> None:
    assert complaint("cognito-idp", "AdminGetUser", {"Username": "u"})[0] == "InvalidParameterException"
    assert complaint("iam", "CreateRole", {"RoleName": "r"})[0] == "ValidationError"
    assert complaint("sqs", "SendMessage", {"QueueUrl": "q"}) == (
        "MissingParameter",
        "The request must contain the parameter MessageBody.",
    )
    assert complaint("rds", "StartDBInstance", {})[0] == "MissingParameter"


def test_s3_complains_of_the_body_as_of_bad_xml() -> None:
    request: dict[str, Any] = {"Bucket": "b", "Delete": {"Objects": [{}]}}
    assert complaint("s3", "DeleteObjects", request)[0] == "MalformedXML"
    assert complaint("s3", "UploadPart", {"Bucket": "b", "Key": "k", "UploadId": "u"})[0] == "InvalidRequest"


def test_secrets_are_not_repeated() -> None:
    _, message = complaint("cognito-idp", "SignUp", {"ClientId": "c", "Username": "u", "Password": "x" * 300})
    assert message.startswith(ONE + "Value at 'password' failed to satisfy constraint")


def test_attribute_values_are_the_services_affair() -> None:
    check = MODELS.service("dynamodb").operation("PutItem").check
    check({"TableName": "tab", "Item": {"a": {"nonsense": 1}}})
    assert complaint("dynamodb", "PutItem", {"TableName": "tab", "Item": {"a": "x"}})[0] == "SerializationException"


@pytest.mark.parametrize(
    ("service", "operation", "request_"),
    [
        ("lambda", "Invoke", {"FunctionName": "f", "Payload": b"{}"}),
        ("sqs", "SendMessage", {"QueueUrl": "q", "MessageBody": "b", "unknown": object()}),
        ("events", "PutEvents", {"Entries": [{"Source": "a", "Time": 1.5}]}),
        ("sns", "TagResource", {"ResourceArn": "a", "Tags": [{"Key": "é x", "Value": "\U0001f600"}]}),
        ("stepfunctions", "CreateStateMachine", {"name": "s", "definition": "{}", "roleArn": "r"}),
        ("logs", "CreateLogGroup", {"logGroupName": "/aws/lambda/f-1.x#y"}),
    ],
)
def test_good_requests_pass(service: str, operation: str, request_: dict[str, Any]) -> None:
    MODELS.service(service).operation(operation).check(request_)


def test_lengths_are_inclusive_and_a_dot_is_any_character() -> None:
    check = MODELS.service("kinesis").operation("DescribeStream").check
    check({"StreamName": "s"})
    check({"StreamName": "s" * 128})
    assert "less than or equal to 128" in complaint("kinesis", "DescribeStream", {"StreamName": "s" * 129})[1]
    check = MODELS.service("events").operation("CreateArchive").check
    check(
        {
            "ArchiveName": "a",
            "EventSourceArn": "arn:aws:events:us-east-1:000000000000:event-bus/b",
            "Description": "two\nlines",
        }
    )


def test_unicode_classes_of_patterns_are_understood() -> None:
    check = MODELS.service("scheduler").operation("CreateScheduleGroup").check
    check({"Name": "g"})
    assert "regular expression" in complaint("scheduler", "CreateScheduleGroup", {"Name": "g g"})[1]
    tags = MODELS.service("events").operation("TagResource").check
    tags(
        {"ResourceARN": "arn:aws:events:us-east-1:000000000000:rule/r", "Tags": [{"Key": "schlüssel 1", "Value": "ж"}]}
    )


PLACEHOLDERS = {  # examples whose ids AWS itself would refuse
    ("lambda", "UpdateEventSourceMapping"),
    ("kms", "CreateCustomKeyStore"),
    ("kms", "UpdateCustomKeyStore"),
}


def typed(service: wire.ServiceModel, shape_name: str, value: Any) -> Any:
    """An example's input as a request: examples write all scalars loosely."""
    shape = service.shapes[shape_name]
    kind = shape["type"]
    if shape.get("opaque"):
        return dict(value)
    if kind == "structure":
        members = shape["members"]
        return {k: typed(service, members[k]["shape"], v) for k, v in value.items() if k in members}
    if kind == "list":
        return [typed(service, shape["member"]["shape"], v) for v in value]
    if kind == "map":
        return {k: typed(service, shape["value"]["shape"], v) for k, v in value.items()}
    casts: dict[str, Any] = {
        "timestamp": lambda v: 1.0,
        "blob": lambda v: str(v).encode(),
        "integer": int,
        "long": int,
        "boolean": lambda v: v in (True, "true"),
        "string": str,
    }
    return casts[kind](value) if kind in casts else value


@pytest.mark.parametrize("name", sorted(set(MODELS.index) - {"ec2"}))  # EC2's examples do not follow its model
def test_the_examples_of_aws_pass(name: str) -> None:
    try:
        examples = Loader().load_service_model(name, "examples-1")["examples"]
    except UnknownServiceError:
        examples = {}
    service = MODELS.service(name)
    for operation_name, cases in examples.items():
        if operation_name in MODELS.names(name).values() and (name, operation_name) not in PLACEHOLDERS:
            operation = service.operation(operation_name)
            for case in cases if operation.input else ():
                operation.check(typed(service, operation.input["shape"], case.get("input", {})))
