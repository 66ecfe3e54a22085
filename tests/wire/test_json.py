"""The JSON protocols' fine print."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cumulet import wire
from cumulet.aws.errors import AwsError
from cumulet.aws.http import HttpRequest

MODELS = wire.Models()


def parse(service: str, operation: str, body: bytes) -> dict[str, Any]:
    return MODELS.service(service).operation(operation).parse(HttpRequest("POST", "/", "", {}, body), "json", {})


def test_null_members_are_absent_at_every_depth() -> None:
    body = b'{"TableName":"t","Limit":null,"Key":{"a":{"S":"null"},"b":null}}'
    assert parse("dynamodb", "GetItem", body) == {"TableName": "t", "Key": {"a": {"S": "null"}}}


def test_an_empty_body_is_an_empty_request() -> None:
    assert parse("sqs", "ListQueues", b"") == {}


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null", b"{", b"\xff", b'{"a":1}x'])
def test_what_is_no_object_is_a_serialization_error(body: bytes) -> None:
    with pytest.raises(AwsError) as caught:
        parse("sqs", "ListQueues", body)
    assert caught.value.wire_code == "SerializationException"


def test_large_integers_stay_exact_and_floats_floats() -> None:
    found = parse("dynamodb", "PutItem", b'{"Item":{"big":123456789012345678901234567890,"one":1.0}}')
    assert found["Item"]["big"] == 123456789012345678901234567890
    assert type(found["Item"]["one"]) is float


def test_blobs_are_bytes_but_attribute_values_stay_text() -> None:
    assert parse("kinesis", "PutRecord", b'{"Data":"aGk="}')["Data"] == b"hi"
    assert parse("dynamodb", "PutItem", b'{"Item":{"b":{"B":"aGk="}}}')["Item"] == {"b": {"B": "aGk="}}
    with pytest.raises(AwsError, match="base64"):
        parse("kinesis", "PutRecord", b'{"Data":"a b"}')


@pytest.mark.parametrize(
    "text", [b"1767225600", b"1767225600.0", b'"2026-01-01T00:00:00Z"', b'"2026-01-01T01:00:00+01:00"']
)
def test_timestamps_are_epoch_seconds(text: bytes) -> None:
    found = parse("events", "PutEvents", b'{"Entries":[{"Time":' + text + b"}]}")
    assert found["Entries"][0]["Time"] == 1767225600.0
    assert type(found["Entries"][0]["Time"]) is float


@pytest.mark.parametrize("text", [b"1e300", b"1767225600000", b'"soon"', b"true", b'"9999-99-99T00:00:00Z"', b"[]"])
def test_what_is_no_timestamp_is_refused(text: bytes) -> None:
    with pytest.raises(AwsError) as caught:
        parse("events", "PutEvents", b'{"Entries":[{"Time":' + text + b"}]}")
    assert caught.value.wire_code == "SerializationException"


def test_a_result_that_needs_no_conversion_is_written_as_it_is() -> None:
    operation = MODELS.service("dynamodb").operation("Query")
    response = operation.serialize({"Items": msgspec.Raw(b'[{"a":{"N":"1"}}]'), "Count": 1}, "r")
    assert response.body == b'{"Items":[{"a":{"N":"1"}}],"Count":1}'
    assert dict(response.headers) == {"x-amzn-requestid": "r", "content-type": "application/x-amz-json-1.0"}


def test_an_operation_without_output_answers_nothing() -> None:
    response = MODELS.service("logs").operation("CreateLogGroup").serialize({}, "r")
    assert (response.status, response.body) == (200, b"")
