"""Where the outcome of an asynchronous invocation goes: the dead-letter queue, and the destinations for success and failure.

Both are written in the settlement's own transaction. A delivery that is refused is counted (DeadLetterErrors,
DestinationDeliveryFailures) and named in the log; it does not hold up the queue.
Source: Lambda developer guide, "Capturing records of Lambda asynchronous invocations" (read 2026-11).
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from cumulet.aws.arn import Arn
from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.services.lambda_ import metering
from cumulet.services.lambda_.acting import acting
from cumulet.services.lambda_.model import LATEST, ROOT, Version
from cumulet.services.lambda_.names import Ref

_SNS_LIMIT_BYTES = 262_144
# what SQS and SNS take: #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF
_NOT_IN_A_MESSAGE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_encode = msgspec.json.Encoder().encode

log = logging.getLogger("cumulet")


@dataclass(slots=True, frozen=True)
class Ending:
    """How an event ended. `status` is 200 when the function ran last, 429 when it was throttled, 500 when the platform failed."""

    request_id: str
    condition: str  # Success, RetriesExhausted, EventAgeExceeded, ZeroReservedConcurrency
    attempts: int
    payload: bytes
    status: int
    version: str
    function_error: str
    error: str
    response: bytes


def dead_letter_sources(ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
    """Internal `cumulet:DeadLetterSources`: the functions whose dead letters go to `TargetArn`, for playing them again."""
    found = {
        version.arn: None
        for _, version in ctx.tx.scan((ROOT, "version", ctx.account, ctx.region), Version)
        if version.dead_letter == req["TargetArn"]
    }
    return {"FunctionArns": list(found)}


def bury(ctx: Context, where: Ref, target: str, ending: Ending) -> None:
    """Send the event, as it was accepted, to the dead-letter queue or topic, with the three attributes."""
    attributes = {
        "RequestID": {"DataType": "String", "StringValue": ending.request_id},
        "ErrorCode": {"DataType": "Number", "StringValue": str(ending.status)},
    }
    error = _NOT_IN_A_MESSAGE.sub("", ending.error)
    if error:
        attributes["ErrorMessage"] = {"DataType": "String", "StringValue": error}
    try:
        extra = {"MessageAttributes": attributes}
        role = acting(ctx, where)
        ctx.deliver(target, ending.payload, principal=role, extra=extra, via=_function_arn(where), lost=True)
    except AwsError as refusal:
        log.warning("event %s for %s is lost: its dead-letter queue %s refused it: %s: %s",
                    ending.request_id, where.arn, target, refusal.wire_code, refusal.message)  # fmt: skip
        metering.count(ctx, where, "DeadLetterErrors", 1.0)


def send(ctx: Context, where: Ref, target: str, ending: Ending) -> None:
    """Send the invocation record to a destination."""
    try:
        _deliver(ctx, where, target, ending)
    except AwsError as error:
        log.warning("the record of event %s for %s did not reach %s: %s: %s",
                    ending.request_id, where.arn, target, error.wire_code, error.message)  # fmt: skip
        metering.count(ctx, where, "DestinationDeliveryFailures", 1.0)


def _deliver(ctx: Context, where: Ref, target: str, ending: Ending) -> None:
    arn = Arn.parse(target)
    record = _encode(_record(ctx, where, ending, payloads=True))
    if arn.service == "sns" and len(record) > _SNS_LIMIT_BYTES and ending.condition != "Success":
        record = _encode(_record(ctx, where, ending, payloads=False))
    if arn.service == "s3":
        ctx.call("s3", "PutObject", {"Bucket": arn.resource, "Key": _object_key(ctx, where), "Body": record,
                                     "ContentType": "application/json"},
                 principal=acting(ctx, where), account=where.account, region=where.region)  # fmt: skip
        return
    extra: dict[str, Any] = {}
    if arn.service == "events":
        outcome = "Success" if ending.condition == "Success" else "Failure"
        extra = {
            "Source": "lambda",
            "DetailType": f"Lambda Function Invocation Result - {outcome}",
            "Resources": [target, _function_arn(where)],
        }
    lost = ending.condition != "Success"
    role = acting(ctx, where)
    ctx.deliver(target, record, principal=role, extra=extra, via=_function_arn(where), lost=lost)


def _function_arn(where: Ref) -> str:
    return where.arn if where.qualifier else f"{where.arn}:{LATEST}"


def _object_key(ctx: Context, where: Ref) -> str:
    at = datetime.fromtimestamp(ctx.now, UTC)
    return f"aws/lambda/async/{where.name}/{at:%Y/%m/%d}/{at:%Y-%m-%dT%H.%M.%S}-{ctx.ids.uuid()}"


def _record(ctx: Context, where: Ref, ending: Ending, *, payloads: bool) -> dict[str, Any]:
    at = datetime.fromtimestamp(ctx.now, UTC)
    context: dict[str, Any] = {"statusCode": ending.status}
    if ending.version:
        context["executedVersion"] = ending.version
    if ending.function_error and ending.status == 200:
        context["functionError"] = ending.function_error
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z",
        "requestContext": {
            "requestId": ending.request_id,
            "functionArn": _function_arn(where),
            "condition": ending.condition,
            "approximateInvokeCount": ending.attempts,
        },
    }
    if payloads:
        record["requestPayload"] = msgspec.Raw(ending.payload)
    record["responseContext"] = context
    if payloads:
        record["responsePayload"] = msgspec.Raw(ending.response or b"null")
    return record
