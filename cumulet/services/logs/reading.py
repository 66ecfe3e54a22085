"""Reading a stream's events in order of time, forwards or backwards, over batches that may overlap."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

from cumulet.kernel.context import Context
from cumulet.services.logs.model import Batch, Stream, place_of, time_of

_END_MS = 10**13


class Event(NamedTuple):
    """One event, ordered by its place."""

    place: int
    at_ms: int
    message: str
    ingested_ms: int


def forwards(ctx: Context, stream: Stream, first: int, low_ms: int, high_ms: int) -> Iterator[Event]:
    """The events with place >= `first` and low_ms <= time < high_ms, oldest first."""
    held: list[Event] = []
    low_ms = max(low_ms, time_of(first))
    prefix = stream.batches
    start = (*prefix, max(0, low_ms - stream.span_ms))
    for key, batch in ctx.tx.scan(prefix, Batch, start=start, end=(*prefix, min(high_ms, _END_MS))):
        at_ms, order = int(key[-2]), int(key[-1])  # type: ignore[arg-type]
        bound = place_of(at_ms, order, 0)
        while held and held[0].place < bound:
            yield heapq.heappop(held)
        for event in _events(batch, order):
            if event.place >= first and low_ms <= event.at_ms < high_ms:
                heapq.heappush(held, event)
    while held:
        yield heapq.heappop(held)


def backwards(ctx: Context, stream: Stream, before: int | None, low_ms: int, high_ms: int) -> Iterator[Event]:
    """The events with place < `before` and low_ms <= time < high_ms, newest first."""
    held: list[tuple[int, Event]] = []
    if before is not None:
        high_ms = min(high_ms, time_of(before) + 1)
    prefix = stream.batches
    start = (*prefix, max(0, low_ms - stream.span_ms))
    rows = ctx.tx.scan(prefix, Batch, start=start, end=(*prefix, min(high_ms, _END_MS)), reverse=True)
    for key, batch in rows:
        at_ms, order = int(key[-2]), int(key[-1])  # type: ignore[arg-type]
        latest = at_ms + stream.span_ms  # of this batch and all that follow
        while held and held[0][1].at_ms > latest:
            yield heapq.heappop(held)[1]
        for event in _events(batch, order):
            if (before is None or event.place < before) and low_ms <= event.at_ms < high_ms:
                heapq.heappush(held, (-event.place, event))
    while held:
        yield heapq.heappop(held)[1]


def newest(ctx: Context, stream: Stream) -> tuple[int, int] | None:
    """(time of the newest event, when it came in), or None for an empty stream."""
    best: tuple[int, int] | None = None
    for key, batch in ctx.tx.scan(stream.batches, Batch, reverse=True):
        if best is not None and int(key[-2]) + stream.span_ms <= best[0]:  # type: ignore[arg-type]
            break
        last = (batch.events[-1][0], batch.ingested_ms)
        best = last if best is None else max(best, last)
    return best


def oldest_ms(ctx: Context, stream: Stream) -> int | None:
    """The time of the oldest event."""
    for _, batch in ctx.tx.scan(stream.batches, Batch, limit=1):
        return batch.events[0][0]
    return None


def _events(batch: Batch, order: int) -> Iterator[Event]:
    for index, (at_ms, message) in enumerate(batch.events):
        yield Event(place_of(at_ms, order, index), at_ms, message, batch.ingested_ms)
