"""The kinds of streams that mappings read: whom to ask for shards and records, and what is to be known of a record.

Every kind answers three internal operations alike: `cumulet:Shards`, `cumulet:Read` (records in the form of Lambda's event) and
`cumulet:Latest`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import msgspec

from cumulet.kernel.context import Context
from cumulet.services.lambda_.acting import acting
from cumulet.services.lambda_.sources.model import Mapping

GONE = "ResourceNotFoundException"  # of a stream or shard: it expired, and its records with it
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode

Json = dict[str, Any]


@dataclass(slots=True, frozen=True)
class Feed:
    """One kind of stream.

    service      whose internal operations give its shards and records
    info         how AWS names the range of records in a report of discarded ones
    positions    where reading may start
    sequence     a record's sequence number
    arrived      when it came, epoch seconds
    order        what its order depends on: records with the same bytes stay in order, others may overtake each other
    """

    service: str
    info: str
    positions: frozenset[str]
    sequence: Callable[[Json], str]
    arrived: Callable[[Json], float]
    order: Callable[[Json], bytes]

    def lane(self, record: Json, factor: int) -> int:
        """Which of a shard's `factor` lanes the record belongs to, always the same one for the same key."""
        return crc32(self.order(record)) % factor


# With a ParallelizationFactor changes of one item stay in order (partition and sort key).
FEEDS = {
    "dynamodb": Feed(
        service="dynamodbstreams",
        info="DDBStreamBatchInfo",
        positions=frozenset({"TRIM_HORIZON", "LATEST"}),
        sequence=lambda record: str(record["dynamodb"]["SequenceNumber"]),
        arrived=lambda record: float(record["dynamodb"]["ApproximateCreationDateTime"]),
        order=lambda record: _encode_sorted(record["dynamodb"]["Keys"]),
    ),
}


def ask(ctx: Context, mapping: Mapping, operation: str, **request: Any) -> Any:
    """Ask about the mapping's stream. Raises: its AwsErrors (ResourceNotFoundException: the stream or the shard is gone)."""
    return ctx.call(
        FEEDS[mapping.kind].service, operation, {"StreamArn": mapping.source_arn, **request},
        principal=acting(ctx, mapping.function), account=mapping.account, region=mapping.region,
    )  # fmt: skip


def read(ctx: Context, mapping: Mapping, shard: str, after: str, limit: int, max_bytes: int) -> Any:
    """Records that follow `after`, or what is left of them. Raises: the stream's AwsErrors."""
    request: Json = {"ShardId": shard, "After": after, "Limit": limit, "MaxBytes": max_bytes}
    if not after:
        request["StartingPosition"] = "TRIM_HORIZON"
        if mapping.position_at is not None:
            request |= {"StartingPosition": "AT_TIMESTAMP", "Timestamp": mapping.position_at}
    return ask(ctx, mapping, "cumulet:Read", **request)
