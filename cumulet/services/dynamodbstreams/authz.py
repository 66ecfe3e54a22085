"""What DynamoDB Streams' operations need of IAM: they are actions of DynamoDB's on the stream.

Source: Service Authorization Reference, "Amazon DynamoDB" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from cumulet.kernel.authz import Authz, Need
from cumulet.kernel.context import Context

Json = dict[str, Any]


def _on_stream(action: str) -> Callable[[Context, Json], Iterable[Need]]:
    return lambda ctx, req: (Need(f"dynamodb:{action}", req["StreamArn"]),)


def _records(ctx: Context, req: Json) -> Iterable[Need]:
    """An iterator names its stream before the first bar."""
    return (Need("dynamodb:GetRecords", req["ShardIterator"].partition("|")[0]),)


AUTHZ = Authz(
    "dynamodb",
    {
        "DescribeStream": _on_stream("DescribeStream"),
        "GetShardIterator": _on_stream("GetShardIterator"),
        "GetRecords": _records,
        "cumulet:Latest": _on_stream("GetShardIterator"),
        "cumulet:Read": _on_stream("GetRecords"),
        "cumulet:Shards": _on_stream("DescribeStream"),
    },
)
