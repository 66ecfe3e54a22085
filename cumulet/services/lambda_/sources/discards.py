"""What a mapping gives up: the report to its on-failure destination, with the range of records. S3 gets the records themselves, too.

The report is written in the commit that moves the checkpoint. One that is refused is counted (DestinationDeliveryFailures) and
named in the log; it does not hold up the shard.
Source: Lambda developer guide, "Retain discarded records for a DynamoDB event source in Lambda" (read 2026-11).
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import msgspec

from cumulet.aws.arn import Arn
from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.services.lambda_ import metering
from cumulet.services.lambda_.acting import acting
from cumulet.services.lambda_.sources.batches import count
from cumulet.services.lambda_.sources.feeds import FEEDS
from cumulet.services.lambda_.sources.model import Mapping
from cumulet.services.lambda_.sources.progress import Part

EXHAUSTED, TOO_OLD = "RetryAttemptsExhausted", "RecordAgeExceeded"
_encode = msgspec.json.Encoder().encode

log = logging.getLogger("cumulet")


def report(ctx: Context, mapping: Mapping, shard: str, part: Part, condition: str, payload: bytes) -> None:
    """Say that the part is given up; `payload` is the event it came in, "" where its records are gone."""
    count(ctx, mapping, "DroppedEventCount", part.size)
    if not mapping.on_failure:
        log.warning("%d records of %s (%s to %s) are discarded: %s",
                    part.size, mapping.source_arn, part.start, part.end, condition)  # fmt: skip
        return
    record = _record(ctx, mapping, shard, part, condition)
    try:
        _send(ctx, mapping, shard, record, payload)
    except AwsError as error:
        log.warning("the report of %d records of %s (%s to %s) did not reach %s: %s: %s", part.size, mapping.source_arn,
                    part.start, part.end, mapping.on_failure, error.wire_code, error.message)  # fmt: skip
        metering.count(ctx, mapping.function, "DestinationDeliveryFailures", 1.0)
        return
    count(ctx, mapping, "OnFailureDestinationDeliveredEventCount", part.size)


def _send(ctx: Context, mapping: Mapping, shard: str, record: dict[str, Any], payload: bytes) -> None:
    arn = Arn.parse(mapping.on_failure)
    if arn.service != "s3":
        role = acting(ctx, mapping.function)
        ctx.deliver(mapping.on_failure, _encode(record), principal=role, via=mapping.function.arn, lost=True)
        return
    at = datetime.fromtimestamp(ctx.now, UTC)
    key = f"aws/lambda/{mapping.uuid}/{shard}/{at:%Y/%m/%d}/{at:%Y-%m-%dT%H.%M.%S}-{ctx.ids.uuid()}"
    body = _encode({**record, "payload": payload.decode()})
    ctx.call("s3", "PutObject", {"Bucket": arn.resource, "Key": key, "Body": body, "ContentType": "application/json"},
             principal=acting(ctx, mapping.function), account=mapping.account, region=mapping.region)  # fmt: skip


def _record(ctx: Context, mapping: Mapping, shard: str, part: Part, condition: str) -> dict[str, Any]:
    response: dict[str, Any] | None = None
    if part.status:
        response = {"statusCode": part.status, "executedVersion": part.version}
        if part.error:
            response["functionError"] = part.error
    at = datetime.fromtimestamp(ctx.now, UTC)
    return {
        "requestContext": {
            "requestId": part.request_id or ctx.request_id,
            "functionArn": mapping.function.arn,
            "condition": condition,
            "approximateInvokeCount": part.invoked,
        },
        "responseContext": response,
        "version": "1.0",
        "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z",
        FEEDS[mapping.kind].info: {
            "shardId": shard,
            "startSequenceNumber": part.start,
            "endSequenceNumber": part.end,
            "approximateArrivalOfFirstRecord": _time(part.first_at),
            "approximateArrivalOfLastRecord": _time(part.last_at),
            "batchSize": part.size,
            "streamArn": mapping.source_arn,
        },
    }


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
