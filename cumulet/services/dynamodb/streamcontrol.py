"""Streams that come and go with a table's StreamSpecification."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.dynamodb.errors import ValidationException, invalid
from cumulet.services.dynamodb.model import COUNTER, Table, TableStream
from cumulet.services.dynamodb.streammodel import BUCKETS, Stream, stream_key
from cumulet.services.dynamodb.streamshards import close_shards, open_shards, wake_stream

Json = dict[str, Any]
_ON_DEMAND_SHARDS = 4
_PARTITION_WRITES, _PARTITION_READS = 1000, 3000


def with_stream(ctx: Context, table: Table, spec: Json) -> Table:
    """The table with its stream enabled or disabled, as a StreamSpecification says. A table that is CREATING has none yet.

    Raises: ValidationException.
    Source: DynamoDB API_StreamSpecification, API_UpdateTable (read 2026-11).
    """
    enabled = table.stream is not None and bool(table.stream.open)
    if spec["StreamEnabled"]:
        if "StreamViewType" not in spec:
            raise invalid("StreamViewType must be specified when StreamEnabled is true")
        if enabled:
            raise ValidationException(f"Table already has an enabled stream: TableName: {table.name}")
        return _enabled(ctx, table, spec["StreamViewType"])
    creating = table.status == "CREATING"
    if "StreamViewType" in spec:
        raise invalid(
            "Table is being created with a stream disabled, UpdateViewType should not be specified"
            if creating
            else "If stream is being disabled, then UpdateViewType must not be specified"
        )
    if creating:
        return table
    if not enabled:
        raise ValidationException(f"Table has no stream to disable: TableName: {table.name}")
    return without_stream(ctx, table)


def _enabled(ctx: Context, table: Table, view: str) -> Table:
    label, created_at = _label(ctx, table)
    stream = Stream(
        number=ctx.tx.add(COUNTER), account=table.account, region=table.region, table=table.name, label=label, view=view,
        pk=table.pk, sk=table.sk, created_at=created_at,
    )  # fmt: skip
    count = _first_shards(table)
    width = BUCKETS // count
    stream, shards = open_shards(ctx, stream, [(low, low + width, "") for low in range(0, BUCKETS, width)])
    ctx.tx.put(stream.key, stream)
    wake_stream(ctx, stream, shards)
    open_ = tuple(shards[bucket // width].number for bucket in range(BUCKETS))
    return replace(table, stream=TableStream(number=stream.number, label=label, view=view, open=open_))


def _first_shards(table: Table) -> int:
    """How many partitions AWS would give the table: four on demand, else by its throughput; here a power of two, up to 16.

    Source: developer guide, "Partitions and data distribution"; "DynamoDB on-demand capacity mode" (read 2026-11).
    """
    if table.billing_mode == "PAY_PER_REQUEST":
        return _ON_DEMAND_SHARDS
    partitions = table.write_units / _PARTITION_WRITES + table.read_units / _PARTITION_READS
    count = 1
    while count < partitions and count < BUCKETS:
        count *= 2
    return count


def _label(ctx: Context, table: Table) -> tuple[str, float]:
    """A label that no other stream of a table of this name has, and its time: now, or some milliseconds later."""
    millis = int(ctx.now * 1000)
    while True:
        label = datetime.fromtimestamp(millis / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{millis % 1000:03d}"
        if ctx.tx.get(stream_key((table.account, table.region, table.name, label)), Stream) is None:
            return label, millis / 1000
        millis += 1


def without_stream(ctx: Context, table: Table) -> Table:
    """The table with its stream, if it has one, disabled; what is in it can be read for 24 hours."""
    if table.stream is None or not table.stream.open:
        return table
    stream = ctx.tx.get(stream_key((table.account, table.region, table.name, table.stream.label)), Stream)
    assert stream is not None
    close_shards(ctx, stream, set(table.stream.open))
    stream = replace(stream, disabled_at=ctx.now)
    ctx.tx.put(stream.key, stream)
    ctx.tx.wake(ctx.now, "dynamodb.stream", stream.place)
    return replace(table, stream=replace(table.stream, open=()))
