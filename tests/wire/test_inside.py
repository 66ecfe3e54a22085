"""Requests out of forms, answers of outcomes, and a template's values, for callers inside."""

import json

import pytest

from cumulet.aws.errors import GenericAwsError, NotImplementedOnCumulet
from cumulet.wire import Models
from cumulet.wire.coerce import coerce
from cumulet.wire.inside import answer, form

MODELS = Models()


def test_a_form_says_nested_members() -> None:
    text = "Action=SendMessage&Version=2012-11-05&MessageBody=a%26b&MessageAttribute.1.Name=n&MessageAttribute.1.Value.DataType=String"
    assert form(MODELS, "sqs", "SendMessage", text) == {
        "MessageBody": "a&b",
        "MessageAttributes": {"n": {"DataType": "String"}},
    }
    entries = "MessageAttributes.entry.1.Name=n&MessageAttributes.entry.1.Value.StringValue=v"
    assert form(MODELS, "sns", "Publish", entries) == {"MessageAttributes": {"n": {"StringValue": "v"}}}
    with pytest.raises(KeyError):
        form(MODELS, "sns", "Nonsense", "")


def test_an_answer_has_the_style_that_is_asked_for() -> None:
    result = {"MessageId": "m"}
    own = answer(MODELS, "sqs", "SendMessage", result, "r")
    assert json.loads(own.body) == result  # type: ignore[arg-type]
    xml = answer(MODELS, "sqs", "SendMessage", result, "r", "xml")
    assert b"<SendMessageResult><MessageId>m</MessageId>" in xml.body  # type: ignore[operator]
    by_json = answer(MODELS, "sqs", "SendMessage", result, "r", "json")
    assert json.loads(by_json.body) == {  # type: ignore[arg-type]
        "SendMessageResponse": {"SendMessageResult": result, "ResponseMetadata": {"RequestId": "r"}}
    }


def test_an_error_has_the_style_that_is_asked_for() -> None:
    error = GenericAwsError("QueueDoesNotExist", "gone")
    assert (
        b"<Code>AWS.SimpleQueueService.NonExistentQueue</Code>"
        in answer(MODELS, "sqs", "SendMessage", error, "r", "xml").body
    )  # type: ignore[operator]
    found = answer(MODELS, "sqs", "SendMessage", error, "r", "json")
    assert json.loads(found.body) == {  # type: ignore[arg-type]
        "Error": {"Code": "AWS.SimpleQueueService.NonExistentQueue", "Message": "gone", "Type": "Sender"},
        "RequestId": "r",
    }
    unknown = answer(MODELS, "nothing", "Do", NotImplementedOnCumulet("no"), "r")
    assert (unknown.status, json.loads(unknown.body)["message"]) == (501, "no")  # type: ignore[arg-type]


def test_text_for_a_blob_is_its_base64_and_stays_where_it_is_none() -> None:
    assert coerce(MODELS, "kinesis", "PutRecords", {"Records": [{"Data": "aGk="}, {"Data": b"x"}, {"Data": "?"}]}) == {
        "Records": [{"Data": b"hi"}, {"Data": b"x"}, {"Data": "?"}]
    }
    item = {"Item": {"a": {"B": "aGk="}}}
    assert coerce(MODELS, "dynamodb", "PutItem", item) == item
    assert coerce(MODELS, "lambda", "Invoke", {"Payload": "aGk="}) == {"Payload": "aGk="}


def test_a_time_may_be_written_out() -> None:
    entries = {"Entries": [{"Time": "2026-01-01T00:00:00Z"}, {"Time": 5.0}, {"Time": "soon"}]}
    assert coerce(MODELS, "events", "PutEvents", entries) == {
        "Entries": [{"Time": 1767225600.0}, {"Time": 5.0}, {"Time": "soon"}]
    }
