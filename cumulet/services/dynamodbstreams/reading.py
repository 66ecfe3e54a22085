"""Operations that read records."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.dynamodbstreams.api import (
    GetRecordsRequest,
    GetRecordsResult,
    GetShardIteratorRequest,
    GetShardIteratorResult,
)
from cumulet.services.dynamodbstreams.errors import LimitExceededException, ValidationException, trimmed
from cumulet.services.dynamodbstreams.iterators import iterator, opened

Json = dict[str, Any]
_RECORDS, _BYTES = 1000, 1024 * 1024


def get_shard_iterator(ctx: Context, req: GetShardIteratorRequest) -> GetShardIteratorResult:
    """A position in a shard, good for 15 minutes: by sequence number or time, the oldest record, or behind the newest.

    Raises: ResourceNotFoundException, TrimmedDataAccessException, ValidationException.
    Source: DynamoDB API_streams_GetShardIterator (read 2026-11).
    """
    kind = req["ShardIteratorType"]
    asked: Json = {"StreamArn": req["StreamArn"], "ShardId": req["ShardId"], "Limit": 0}
    if kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
        asked["From"] = _from(req, kind)
    elif "SequenceNumber" in req:
        raise ValidationException(f"SequenceNumber must not be specified for ShardIteratorType {kind}")
    if kind == "AT_TIMESTAMP":
        if "Timestamp" not in req:
            raise ValidationException("Timestamp must be specified for ShardIteratorType AT_TIMESTAMP")
        asked["At"] = req["Timestamp"]
    shard = ctx.call("dynamodb", "cumulet:StreamRecords", asked)
    number = shard["End"] if kind == "LATEST" else shard["From"]
    if int(number) < int(shard["Oldest"]):
        raise trimmed()
    return {"ShardIterator": iterator(ctx, req["StreamArn"], req["ShardId"], number)}


def _from(req: GetShardIteratorRequest, kind: str) -> str:
    number = req.get("SequenceNumber")
    if number is None:
        raise ValidationException(f"SequenceNumber must be specified for ShardIteratorType {kind}")
    if not (number.isascii() and number.isdigit()):
        raise ValidationException(f"Invalid SequenceNumber: {number}")
    return str(int(number) + (kind == "AFTER_SEQUENCE_NUMBER"))


def get_records(ctx: Context, req: GetRecordsRequest) -> GetRecordsResult:
    """The next records of a shard: at most 1000, and 1 MB unless the first alone is larger; none when there are none yet.

    There is no NextShardIterator behind the last record of a closed shard.
    Raises: ExpiredIteratorException, TrimmedDataAccessException, ResourceNotFoundException, LimitExceededException,
    ValidationException.
    Source: DynamoDB API_streams_GetRecords (read 2026-11).
    """
    limit = req.get("Limit", _RECORDS)
    if limit > _RECORDS:
        raise LimitExceededException(
            f"GetRecords was called with a value of more than {_RECORDS} for the limit request parameter: {limit}"
        )
    arn, position = opened(ctx, req["ShardIterator"])
    asked: Json = {"StreamArn": arn, "ShardId": position.shard_id, "From": position.number}
    page = ctx.call("dynamodb", "cumulet:StreamRecords", {**asked, "Limit": limit, "MaxBytes": _BYTES, "Raw": True})
    if int(position.number) < int(page["Oldest"]):
        raise trimmed()
    for record in page["Records"]:
        if "userIdentity" in record:
            who = record["userIdentity"]
            record["userIdentity"] = {"PrincipalId": who["principalId"], "Type": who["type"]}
    out: GetRecordsResult = {"Records": page["Records"]}
    if not page["Closed"] or page["Next"] != page["End"]:
        out["NextShardIterator"] = iterator(ctx, arn, position.shard_id, page["Next"])
    _, _, table = arn.partition(":table/")
    ctx.meter("AWS/DynamoDB", "ReturnedRecordsCount", len(page["Records"]), "Count",
              Operation="GetRecords", StreamLabel=table.rpartition("/")[2], TableName=table.partition("/")[0])  # fmt: skip
    return out
