"""The query protocol, above all SQS's, which botocore no longer writes."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from cumulet import wire
from cumulet.aws.errors import AwsError
from cumulet.aws.http import HttpRequest

MODELS = wire.Models()
ROUTER = wire.Router(MODELS)
FORM = {"content-type": "application/x-www-form-urlencoded", "host": "localhost:4566"}


def parse(text: str, path: str = "/", query: str = "") -> tuple[str, dict[str, Any]]:
    request = HttpRequest("POST", path, query, FORM, text.encode())
    match = ROUTER.route(request)
    operation = MODELS.service(match.service).operation(match.operation)
    return match.operation, operation.parse(request, match.protocol, match.uri_params)


def test_sqs_attributes_and_tags_are_flat() -> None:
    name, found = parse(
        "Action=CreateQueue&QueueName=MyQueue&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=40"
        "&Attribute.2.Name=DelaySeconds&Attribute.2.Value=5&Tag.1.Key=QueueType&Tag.1.Value=Production&Version=2012-11-05"
    )
    assert name == "CreateQueue"
    assert found == {
        "QueueName": "MyQueue",
        "Attributes": {"VisibilityTimeout": "40", "DelaySeconds": "5"},
        "tags": {"QueueType": "Production"},
    }


def test_sqs_message_attributes_are_flat() -> None:
    _, found = parse(
        "Action=SendMessage&QueueUrl=http://q&MessageBody=This+is+a+test%26&MessageAttribute.1.Name=a"
        "&MessageAttribute.1.Value.StringValue=v&MessageAttribute.1.Value.DataType=String"
        "&MessageAttribute.2.Name=b&MessageAttribute.2.Value.BinaryValue=aGk%3D&MessageAttribute.2.Value.DataType=Binary"
        "&MessageSystemAttribute.1.Name=AWSTraceHeader&MessageSystemAttribute.1.Value.StringValue=Root"
        "&MessageSystemAttribute.1.Value.DataType=String&DelaySeconds=0&Version=2012-11-05"
    )
    assert found == {
        "QueueUrl": "http://q",
        "MessageBody": "This is a test&",
        "DelaySeconds": 0,
        "MessageAttributes": {
            "a": {"StringValue": "v", "DataType": "String"},
            "b": {"BinaryValue": b"hi", "DataType": "Binary"},
        },
        "MessageSystemAttributes": {"AWSTraceHeader": {"StringValue": "Root", "DataType": "String"}},
    }


def test_sqs_lists_are_flat_and_ordered_by_number() -> None:
    _, found = parse(
        "Action=ReceiveMessage&QueueUrl=q&AttributeName.2=SentTimestamp&AttributeName.1=All&MessageAttributeName.1=x"
        "&MaxNumberOfMessages=5&Version=2012-11-05"
    )
    assert found["AttributeNames"] == ["All", "SentTimestamp"]
    assert (found["MessageAttributeNames"], found["MaxNumberOfMessages"]) == (["x"], 5)
    _, found = parse(
        "Action=SendMessageBatch&QueueUrl=q&SendMessageBatchRequestEntry.10.Id=c&SendMessageBatchRequestEntry.2.Id=b"
        "&SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageBody=hi"
        "&SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=n"
        "&SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=String&Version=2012-11-05"
    )
    assert [entry["Id"] for entry in found["Entries"]] == ["a", "b", "c"]
    assert found["Entries"][0]["MessageAttributes"] == {"n": {"DataType": "String"}}


def test_the_queue_may_be_in_the_path() -> None:
    _, found = parse("", "/000000000000/q", "Action=DeleteMessage&ReceiptHandle=r&Version=2012-11-05")
    assert found == {"ReceiptHandle": "r", "QueueUrl": "http://localhost:4566/000000000000/q"}
    assert parse("Action=ListQueues&Version=2012-11-05", "/")[1] == {}


def test_sqs_answers_in_its_old_xml() -> None:
    message = {
        "MessageId": "m",
        "Body": "a<b",
        "Attributes": {"SenderId": "s"},
        "MessageAttributes": {"a": {"StringValue": "v", "DataType": "String"}},
    }
    response = (
        MODELS.service("sqs").operation("ReceiveMessage").serialize({"Messages": [message, message]}, "r", "query")
    )
    root = ElementTree.fromstring(response.body)  # type: ignore[arg-type]
    space = "{http://queue.amazonaws.com/doc/2012-11-05/}"
    assert root.tag == f"{space}ReceiveMessageResponse"
    messages = root.findall(f"{space}ReceiveMessageResult/{space}Message")
    assert [m.findtext(f"{space}Body") for m in messages] == ["a<b", "a<b"]
    assert messages[0].findtext(f"{space}Attribute/{space}Name") == "SenderId"
    assert messages[0].findtext(f"{space}MessageAttribute/{space}Value/{space}StringValue") == "v"
    assert root.findtext(f"{space}ResponseMetadata/{space}RequestId") == "r"


def test_lists_that_are_not_flat_may_be_empty() -> None:
    _, found = parse(
        "Action=CreateStack&StackName=s&Capabilities=&Tags.member.1.Key=k&Tags.member.1.Value=&Version=2010-05-15"
    )
    assert found == {"StackName": "s", "Capabilities": [], "Tags": [{"Key": "k", "Value": ""}]}


@pytest.mark.parametrize(
    "text", ["DelaySeconds=soon", "Attribute.x.Name=1", "MessageAttribute.1=2", "QueueUrl.1=2", "DelaySeconds=1_0"]
)
def test_what_does_not_fit_is_malformed(text: str) -> None:
    operation = MODELS.service("sqs").operation("SetQueueAttributes" if text.startswith("Attr") else "SendMessage")
    with pytest.raises(AwsError) as caught:
        operation.parse(HttpRequest("POST", "/", "", {}, text.encode()), "query", {})
    assert caught.value.wire_code == "MalformedInput"
