"""Event streams, decoded by botocore."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import botocore.model
import botocore.parsers
import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.loaders import Loader

from cumulet import wire
from cumulet.aws.errors import GenericAwsError
from cumulet.aws.http import HttpResponse

MODELS = wire.Models()


async def collect(response: HttpResponse) -> bytes:
    assert callable(response.body)
    return b"".join([part async for part in response.body()])


def events(service: str, operation: str, response: HttpResponse) -> list[dict[str, Any]]:
    """The events as botocore's parser gives them."""
    model = botocore.model.ServiceModel(Loader().load_service_model(service, "service-2"), service)
    shape = model.operation_model(operation).get_event_stream_output()
    protocol = MODELS.service(service).protocol
    parser = botocore.parsers.create_parser(protocol)._event_stream_parser
    buffer = EventStreamBuffer()
    buffer.add_data(asyncio.run(collect(response)))
    found = []
    for message in buffer:
        raw = message.to_response_dict()
        found.append(raw if raw["headers"].get(":event-type") == "initial-response" else parser.parse(raw, shape))
    return found


def test_s3_select() -> None:
    stream = [
        {"Records": {"Payload": b"a,b\n"}},
        {"Stats": {"Details": {"BytesScanned": 4, "BytesProcessed": 4, "BytesReturned": 4}}},
        {"End": {}},
    ]
    response = MODELS.service("s3").operation("SelectObjectContent").serialize({"Payload": stream}, "r")
    assert dict(response.headers)["content-type"] == "application/vnd.amazon.eventstream"
    assert events("s3", "SelectObjectContent", response) == stream


def test_lambda_response_streams_from_an_async_iterator() -> None:
    async def stream() -> AsyncIterator[dict[str, Any]]:
        yield {"PayloadChunk": {"Payload": b"hello "}}
        yield {"PayloadChunk": {"Payload": b"\xff"}}
        yield {"InvokeComplete": {"ErrorCode": "", "LogResult": "bG9n"}}

    operation = MODELS.service("lambda").operation("InvokeWithResponseStream")
    response = operation.serialize({"StatusCode": 200, "EventStream": stream()}, "r")
    assert events("lambda", "InvokeWithResponseStream", response) == [
        {"PayloadChunk": {"Payload": b"hello "}},
        {"PayloadChunk": {"Payload": b"\xff"}},
        {"InvokeComplete": {"ErrorCode": "", "LogResult": "bG9n"}},
    ]


def test_kinesis_begins_with_the_initial_response_and_may_end_in_an_error() -> None:
    def stream() -> Any:
        record = {"SequenceNumber": "1", "Data": b"x", "PartitionKey": "p"}
        yield {
            "SubscribeToShardEvent": {"Records": [record], "ContinuationSequenceNumber": "1", "MillisBehindLatest": 0}
        }
        raise GenericAwsError("ResourceNotFoundException", "gone", 400)

    operation = MODELS.service("kinesis").operation("SubscribeToShard")
    found = events("kinesis", "SubscribeToShard", operation.serialize({"EventStream": stream()}, "r"))
    assert found[0]["headers"][":event-type"] == "initial-response"
    assert found[1]["SubscribeToShardEvent"]["Records"][0]["Data"] == b"x"
    assert found[2]["Error"] == {"Code": "ResourceNotFoundException", "Message": "gone"}


@pytest.mark.parametrize("size", [0, 1, 70_000])
def test_frames_carry_any_size(size: int) -> None:
    operation = MODELS.service("s3").operation("SelectObjectContent")
    response = operation.serialize({"Payload": [{"Records": {"Payload": b"x" * size}}]}, "r")
    found = events("s3", "SelectObjectContent", response)
    assert found == [{"Records": {"Payload": b"x" * size}}]
