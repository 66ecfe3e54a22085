"""Operations on streams: which there are, and their shards."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.dynamodbstreams.api import (
    DescribeStreamRequest,
    DescribeStreamResult,
    ListStreamsRequest,
    ListStreamsResult,
    ShardFilter,
)
from cumulet.services.dynamodbstreams.errors import ValidationException, at_most

Json = dict[str, Any]
_PAGE = 100


def list_streams(ctx: Context, req: ListStreamsRequest) -> ListStreamsResult:
    """Streams of the account, or of one table: enabled ones, and those disabled less than 24 hours ago; 100 at a time.

    Raises: ValidationException.
    Source: DynamoDB API_streams_ListStreams (read 2026-11).
    """
    limit = _limit(req)
    asked: Json = {"Limit": limit}
    if "TableName" in req:
        asked["TableName"] = req["TableName"]
    if "ExclusiveStartStreamArn" in req:
        asked["After"] = req["ExclusiveStartStreamArn"]
    found = ctx.call("dynamodb", "cumulet:Streams", asked)
    out: ListStreamsResult = {"Streams": found["Streams"]}
    if found["More"]:
        out["LastEvaluatedStreamArn"] = found["Streams"][-1]["StreamArn"]
    return out


def describe_stream(ctx: Context, req: DescribeStreamRequest) -> DescribeStreamResult:
    """A stream and its shards in the order in which they opened, 100 at a time, or the children of one (ShardFilter).

    Raises: ResourceNotFoundException, ValidationException.
    Source: DynamoDB API_streams_DescribeStream, API_streams_ShardFilter (read 2026-11).
    """
    asked: Json = {"StreamArn": req["StreamArn"], "Limit": _limit(req)}
    if "ExclusiveStartShardId" in req:
        asked["After"] = req["ExclusiveStartShardId"]
    if "ShardFilter" in req:
        asked["Parent"] = _parent(req["ShardFilter"])
    described = ctx.call("dynamodb", "cumulet:Stream", {"StreamArn": req["StreamArn"]})["Stream"]
    page = ctx.call("dynamodb", "cumulet:StreamShards", asked)
    described["Shards"] = page["Shards"]
    if page["More"]:
        described["LastEvaluatedShardId"] = page["Shards"][-1]["ShardId"]
    return {"StreamDescription": described}


def _limit(req: ListStreamsRequest | DescribeStreamRequest) -> int:
    limit = req.get("Limit", _PAGE)
    if limit > _PAGE:
        raise at_most("limit", limit, _PAGE)
    return limit


def _parent(filter_: ShardFilter) -> str:
    if "Type" not in filter_ or "ShardId" not in filter_:
        raise ValidationException("ShardFilter must have both Type and ShardId")
    return filter_["ShardId"]
