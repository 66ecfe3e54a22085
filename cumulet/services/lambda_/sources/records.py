"""The event that a function gets from a queue, and what its answer says about the messages.

Source: Lambda developer guide, "Using Lambda with Amazon SQS" (the event), "Handling errors for an SQS event source in Lambda"
(success and failure conditions) (read 2026-11).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import msgspec

from cumulet.aws.jsontext import NotJson, read_json

PAYLOAD_LIMIT_BYTES = 6_291_456
_HEAD, _TAIL = b'{"Records":[', b"]}"
_encode = msgspec.json.Encoder().encode

Json = dict[str, Any]


def record_of(message: Json, source_arn: str, region: str) -> Json:
    """A message, as received, as a record of the event."""
    record: Json = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": {name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": source_arn,
        "awsRegion": region,
    }
    if "MD5OfMessageAttributes" in message:
        record["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
    return record


def _attribute(value: Json) -> Json:
    out: Json = {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
    if "StringValue" in value:
        out["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        out["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode()
    return out


def payload_of(records: Iterable[Json]) -> tuple[bytes, int]:
    """(the event, how many of the records are in it): as many, from the first on, as fit into a payload."""
    size = len(_HEAD) + len(_TAIL) - 1
    parts: list[bytes] = []
    for record in records:
        part = _encode(record)
        size += len(part) + 1
        if size > PAYLOAD_LIMIT_BYTES:
            break
        parts.append(part)
    return _HEAD + b",".join(parts) + _TAIL, len(parts)


def failed_of(payload: bytes, identifiers: set[str]) -> set[str]:
    """Which messages a partial batch response says have failed: none for an empty answer, all for one that makes no sense.

    Nothing, null, an object without `batchItemFailures`, and a null or empty list of them are a complete success. What is no JSON,
    an identifier that is empty, null, missing under its name or unknown in this batch is a complete failure.
    """
    try:
        answer = read_json(payload) if payload.strip() else None
    except NotJson:
        return identifiers
    if answer is None:
        return set()
    if not isinstance(answer, dict):
        return set() if answer == "" else identifiers
    failures = answer.get("batchItemFailures")
    if failures is None:
        return set()
    if not isinstance(failures, list):
        return identifiers
    failed: set[str] = set()
    for failure in failures:
        identifier = failure.get("itemIdentifier") if isinstance(failure, dict) else None
        if not isinstance(identifier, str) or identifier not in identifiers:
            return identifiers
        failed.add(identifier)
    return failed
