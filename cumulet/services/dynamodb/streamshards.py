"""The life of shards: they roll over, split, lose what is older than 24 hours, and go.

One timer per stream, `dynamodb.stream`, finds what is due by what is there and sets itself to the next time at which something
will be; when it runs again, or twice, it finds nothing to do. A run deletes a limited number of records.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import replace
from cumulet.services.dynamodb.model import Table, table_key
from cumulet.services.dynamodb.streammodel import (
    BUCKETS,
    GROWN_RECORDS,
    RETENTION_S,
    Shard,
    Stream,
    StreamRecord,
    record_rows,
    sequence_key,
    shard_key,
    stream_key,
)

ROLL_S = 4 * 3600.0
GROWING_PER_S = 500
_TRIMMED_A_STEP = 1000
_TRIM_GRID_S = 60


def open_shards(ctx: Context, stream: Stream, ranges: Iterable[tuple[int, int, str]]) -> tuple[Stream, list[Shard]]:
    """New open shards for (low, high, the parent's id), and the stream, which the caller must put."""
    shards = []
    for low, high, parent in ranges:
        shard = Shard(number=stream.opened, low=low, high=high, opened_at=ctx.now, parent=parent)
        ctx.tx.put(shard_key(stream.number, shard.number), shard)
        ctx.tx.put(sequence_key(stream.number, shard.number), b"0")
        stream = replace(stream, opened=stream.opened + 1)
        shards.append(shard)
    return stream, shards


def close_shards(ctx: Context, stream: Stream, numbers: Iterable[int]) -> list[Shard]:
    """Close open shards; whoever waits for their next record learns of it."""
    closed = []
    for number in sorted(numbers):
        shard = ctx.tx.get(shard_key(stream.number, number), Shard)
        assert shard is not None
        shard = replace(shard, closed_at=ctx.now)
        ctx.tx.put(shard_key(stream.number, number), shard)
        ctx.tx.signal(sequence_key(stream.number, number))
        closed.append(shard)
    return closed


def _succeed(ctx: Context, stream: Stream, numbers: Iterable[int], split: bool) -> Stream:
    """Close shards and open their children: one each, or two that halve the range."""
    ranges: list[tuple[int, int, str]] = []
    for parent in close_shards(ctx, stream, numbers):
        middle = (parent.low + parent.high) // 2 if split else parent.high
        ranges.append((parent.low, middle, parent.id))
        if middle < parent.high:
            ranges.append((middle, parent.high, parent.id))
    stream, children = open_shards(ctx, stream, ranges)
    ctx.tx.put(stream.key, stream)
    table = ctx.tx.get(table_key(*stream.place[:3]), Table)
    assert table is not None and table.stream is not None and table.stream.number == stream.number
    numbers_of = list(table.stream.open)
    for child in children:
        numbers_of[child.low : child.high] = [child.number] * (child.high - child.low)
    assert len(numbers_of) == BUCKETS
    ctx.tx.put(table.key, replace(table, stream=replace(table.stream, open=tuple(numbers_of))))
    return stream


def _shards(ctx: Context, stream: Stream) -> list[Shard]:
    return [shard for _, shard in ctx.tx.scan(stream.shards, Shard)]


def wake_stream(ctx: Context, stream: Stream, shards: Sequence[Shard], oldest: Iterable[float] = ()) -> None:
    """Set the stream's timer to when something will be due; `oldest`: times of the oldest records of shards that were trimmed."""
    times = [math.ceil((at + RETENTION_S) / _TRIM_GRID_S) * float(_TRIM_GRID_S) for at in oldest]
    for shard in shards:
        if not shard.closed_at:
            times.append(shard.opened_at + ROLL_S)
        elif shard.opened_at + RETENTION_S > ctx.now:
            times.append(shard.opened_at + RETENTION_S)
        elif shard.closed_at + RETENTION_S > ctx.now:
            times.append(shard.closed_at + RETENTION_S)
    if times:
        ctx.tx.wake(min(times), "dynamodb.stream", stream.place, fresh=True)


def _stream(ctx: Context, key: Key) -> Stream | None:
    account, region, table, label = key[:4]
    return ctx.tx.get(stream_key((str(account), str(region), str(table), str(label))), Stream)


def stream_step(ctx: Context, key: Key) -> None:
    """Timer: roll open shards over after four hours, trim records after 24, remove closed shards and at last the stream."""
    stream = _stream(ctx, key)
    if stream is None:
        return
    due = [s.number for s in _shards(ctx, stream) if not s.closed_at and s.opened_at + ROLL_S <= ctx.now]
    if due:
        stream = _succeed(ctx, stream, due, split=False)
    left = _TRIMMED_A_STEP
    oldest: list[float] = []
    kept: list[Shard] = []
    for shard in _shards(ctx, stream):
        if shard.opened_at + RETENTION_S > ctx.now:
            kept.append(shard)
            continue
        left, first = _trim(ctx, stream, shard, left)
        if not left:
            ctx.tx.wake(ctx.now, "dynamodb.stream", stream.place, fresh=True)
            return
        if first is None and shard.closed_at and shard.closed_at + RETENTION_S <= ctx.now:
            ctx.tx.delete(shard_key(stream.number, shard.number))
            ctx.tx.delete(sequence_key(stream.number, shard.number))
            continue
        kept.append(shard)
        if first is not None:
            oldest.append(first)
    if kept:
        wake_stream(ctx, stream, kept, oldest)
    else:
        _forget(ctx, stream)


def _trim(ctx: Context, stream: Stream, shard: Shard, limit: int) -> tuple[int, float | None]:
    """Delete up to `limit` records older than 24 hours; (how many of the limit are left, when the oldest that stays was written)."""
    oldest: float | None = None
    trimmed = shard.trimmed
    for key, record in ctx.tx.scan(record_rows(stream.number, shard.number), StreamRecord, limit=limit):
        if record.at + RETENTION_S > ctx.now:
            oldest = record.at
            break
        ctx.tx.delete(key)
        trimmed = int(key[-1])  # type: ignore[arg-type]
    gone = trimmed - shard.trimmed
    if gone:
        ctx.tx.put(shard_key(stream.number, shard.number), replace(shard, trimmed=trimmed))
    return limit - gone, oldest


def _forget(ctx: Context, stream: Stream) -> None:
    """The last shard of a disabled stream is gone."""
    ctx.tx.delete(stream.key)
    table = ctx.tx.get(table_key(*stream.place[:3]), Table)
    if table is not None and table.stream is not None and table.stream.number == stream.number:
        ctx.tx.put(table.key, replace(table, stream=None))


def split(ctx: Context, key: Key) -> None:
    """Timer: split a shard in two that took its last records at more than 500 a second; the key ends with (shard, how many)."""
    stream = _stream(ctx, key)
    number, position = key[4:]
    assert isinstance(number, int) and isinstance(position, int)
    if stream is None or stream.disabled_at:
        return
    shard = ctx.tx.get(shard_key(stream.number, number), Shard)
    if shard is None or shard.closed_at or shard.high - shard.low < 2:
        return
    first = ctx.tx.get((*record_rows(stream.number, number), position - GROWN_RECORDS + 1), StreamRecord)
    if first is not None and ctx.now - first.at <= GROWN_RECORDS / GROWING_PER_S:
        stream = _succeed(ctx, stream, [number], split=True)
        wake_stream(ctx, stream, _shards(ctx, stream))
