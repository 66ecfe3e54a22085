"""What the DynamoDB Streams API reads: operations of our own, for the service `dynamodbstreams`.

A position in a shard is given as a sequence number: that of the first record to read. Positions have no gap, so the number behind
the last one read, or behind the last one there is, is a position too.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.keys import after_prefix, pack, pack_part
from cumulet.services.dynamodb.errors import ValidationException
from cumulet.services.dynamodb.layout import decode_item, item_of, item_raw, item_size
from cumulet.services.dynamodb.streammodel import (
    Shard,
    Stream,
    StreamRecord,
    find_shard,
    find_stream,
    position_of,
    record_rows,
    sequence_key,
    sequence_number,
    shard_key,
    shard_number,
    stream_key,
)
from cumulet.services.dynamodb.values import measured

Json = dict[str, Any]


def streams(ctx: Context, req: Json) -> Json:
    """Streams of the account and region, of one table where TableName is given, in the order of their ARNs, behind After.

    {"TableName"?, "After"?: ARN, "Limit"} -> {"Streams": [...], "More": bool}
    """
    prefix = ("dynamodb", "stream", ctx.account, ctx.region, *((req["TableName"],) if "TableName" in req else ()))
    start = None
    if "After" in req:
        _, _, place = req["After"].partition(":table/")
        table, _, label = place.partition("/stream/")
        start = stream_key((ctx.account, ctx.region, table, label + "\0"))
    limit: int = req["Limit"]
    found = [stream for _, stream in ctx.tx.scan(prefix, Stream, start=start, limit=limit + 1)]
    described = [{"StreamArn": s.arn, "TableName": s.table, "StreamLabel": s.label} for s in found[:limit]]
    return {"Streams": described, "More": len(found) > limit}


def stream(ctx: Context, req: Json) -> Json:
    """A stream without its shards, and the key that is written whenever shards open or go.

    {"StreamArn"} -> {"Stream": {...}, "Changes": key}. Raises: ResourceNotFoundException, ValidationException.
    """
    found = find_stream(ctx, req["StreamArn"])
    schema = [{"AttributeName": found.pk, "KeyType": "HASH"}]
    if found.sk:
        schema.append({"AttributeName": found.sk, "KeyType": "RANGE"})
    described = {
        "StreamArn": found.arn,
        "StreamLabel": found.label,
        "StreamStatus": "DISABLED" if found.disabled_at else "ENABLED",
        "StreamViewType": found.view,
        "CreationRequestDateTime": found.created_at,
        "TableName": found.table,
        "KeySchema": schema,
    }
    return {"Stream": described, "Changes": found.key}


def shards(ctx: Context, req: Json) -> Json:
    """Shards of a stream in the order in which they opened, behind After; with Parent, the children of that one.

    {"StreamArn", "After"?: id, "Parent"?: id, "Limit"?} -> {"Shards": [Shard, ...], "More": bool}
    Raises: ResourceNotFoundException, ValidationException.
    """
    found = find_stream(ctx, req["StreamArn"])
    start = shard_key(found.number, shard_number(req["After"]) + 1) if "After" in req else None
    limit: int | None = req.get("Limit")
    listed: list[Json] = []
    for _, shard in ctx.tx.scan(found.shards, Shard, start=start):
        if "Parent" in req and shard.parent != req["Parent"]:
            continue
        if limit is not None and len(listed) == limit:
            return {"Shards": listed, "More": True}
        listed.append(_described(ctx, found, shard))
    return {"Shards": listed, "More": False}


def _described(ctx: Context, stream: Stream, shard: Shard) -> Json:
    numbers = {"StartingSequenceNumber": sequence_number(shard.number, 0)}
    if shard.closed_at:
        last = ctx.tx.counter(sequence_key(stream.number, shard.number))
        numbers["EndingSequenceNumber"] = sequence_number(shard.number, last)
    out: Json = {"ShardId": shard.id, "SequenceNumberRange": numbers}
    if shard.parent:
        out["ParentShardId"] = shard.parent
    return out


def records(ctx: Context, req: Json) -> Json:
    """Records of a shard from a position on, up to Limit and (all but the first) up to MaxBytes of rows.

    {"StreamArn", "ShardId", "From"?: sequence number, "At"?: time, "Limit", "MaxBytes"?, "Raw"?: images as JSON}
    -> {"Records": [...], "Traces": [...], "Next", "Oldest", "End": positions, "Closed": bool, "Arrivals": key}
    From is the oldest record by default; "End" is where the next record will be. With Raw images are msgspec.Raw.
    Raises: ResourceNotFoundException, ValidationException for a position that the shard does not have.
    """
    found = find_stream(ctx, req["StreamArn"])
    shard = find_shard(ctx, found, req["ShardId"])
    counter = sequence_key(found.number, shard.number)
    last = ctx.tx.counter(counter)
    at = _start(ctx, found, shard, req, last)
    rows = pack(record_rows(found.number, shard.number))
    decode = ctx.pipeline.store.codec.decode
    ids = hashlib.md5(f"{found.number} {found.arn} ".encode(), usedforsecurity=False)
    images = item_raw if req.get("Raw") else item_of
    out: list[Json] = []
    traces: list[str] = []
    room = req.get("MaxBytes", math.inf)
    following = max(at, shard.trimmed + 1)
    for _, row in ctx.tx.scan_bytes(rows + pack_part(following), after_prefix(rows), limit=req["Limit"]):
        record = decode(row, StreamRecord)
        room -= len(record.keys) + len(record.old) + len(record.new)
        if room < 0 and out:
            break
        out.append(_record(found, sequence_number(shard.number, following), record, images, ids.copy()))
        traces.append(record.trace)
        following += 1
    return {
        "Records": out,
        "Traces": traces,
        "From": sequence_number(shard.number, at),
        "Next": sequence_number(shard.number, following),
        "Oldest": sequence_number(shard.number, shard.trimmed + 1),
        "End": sequence_number(shard.number, last + 1),
        "Closed": bool(shard.closed_at),
        "Arrivals": counter,
    }


def _start(ctx: Context, stream: Stream, shard: Shard, req: Json, last: int) -> int:
    """Where to begin; the number before a shard's first stands for its beginning. Raises: ValidationException."""
    if "From" in req:
        at = position_of(shard.number, req["From"])
        if not 0 <= at <= last + 1:
            raise ValidationException(f"Invalid SequenceNumber: {req['From']}")
        return max(at, 1)
    if "At" in req:
        return _position_at(ctx, stream, shard, req["At"], last)
    return shard.trimmed + 1


def _position_at(ctx: Context, stream: Stream, shard: Shard, time: float, last: int) -> int:
    """The position of the first record that is not older than `time`: records are in the order of their times."""
    low, high = shard.trimmed + 1, last + 1
    while low < high:
        middle = (low + high) // 2
        record = ctx.tx.get((*record_rows(stream.number, shard.number), middle), StreamRecord)
        if record is not None and record.at < time:
            low = middle + 1
        else:
            high = middle
    return low


def _record(stream: Stream, number: str, record: StreamRecord, images: Any, id_: Any) -> Json:
    """A record in the form of Lambda's event; GetRecords names the members of userIdentity in capitals.

    Source: DynamoDB API_streams_Record, API_streams_StreamRecord; developer guide, "Using time to live (TTL)" (read 2026-11).
    """
    keys = decode_item(record.keys)
    size = measured(keys)[0]
    change: Json = {"ApproximateCreationDateTime": float(math.floor(record.at)), "Keys": keys}
    for name, row in (("NewImage", record.new), ("OldImage", record.old)):
        if row:
            change[name] = images(row)
            size += item_size(row)
    change["SequenceNumber"] = number
    change["SizeBytes"] = size
    change["StreamViewType"] = stream.view
    id_.update(number.encode())
    out: Json = {
        "eventID": id_.hexdigest(),
        "eventName": record.name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": stream.region,
        "dynamodb": change,
    }
    if record.expired:
        out["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    return out
