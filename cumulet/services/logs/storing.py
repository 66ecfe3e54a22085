"""Writing events: batches into streams, for PutLogEvents and for other services' log lines."""

from __future__ import annotations

import contextlib
from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.logs.forwarding import forward
from cumulet.services.logs.measuring import measure
from cumulet.services.logs.model import DAY_MS, Batch, Group, Stream, group_key, stream_key

_SHORTEST_SPAN_MS = 1024
_EMBEDDED = '"CloudWatchMetrics"'


def append(ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
    """Internal `cumulet:Append`: keep log lines of the platform; makes the group and the stream where they are missing.

    `events` is [(epoch seconds, line)]. Nothing is refused for its age or its size.
    """
    group = ctx.tx.get(group_key(ctx.account, ctx.region, req["logGroupName"]), Group)
    if group is None:
        group = new_group(ctx, req["logGroupName"])
    stream = ctx.tx.get(stream_key(group.id, req["logStreamName"]), Stream)
    if stream is None:
        stream = new_stream(ctx, group, req["logStreamName"])
    if req["events"]:
        store(ctx, group, stream, [(int(at * 1000), line) for at, line in req["events"]])
    return {}


def new_group(ctx: Context, name: str, **settings: Any) -> Group:
    """Write a new group."""
    now_ms = int(ctx.now * 1000)
    group = Group(account=ctx.account, region=ctx.region, name=name, id=ctx.ids.hex(16), created_ms=now_ms, **settings)
    ctx.tx.put(group.key, group)
    return group


def new_stream(ctx: Context, group: Group, name: str) -> Stream:
    """Write a new stream."""
    stream = Stream(group_id=group.id, name=name, id=ctx.ids.hex(16), created_ms=int(ctx.now * 1000))
    ctx.tx.put(stream.key, stream)
    return stream


def store(ctx: Context, group: Group, stream: Stream, events: list[tuple[int, str]]) -> None:
    """Write one batch of events; they are put in order of time."""
    first = last = events[0][0]
    in_order = True
    for at, _ in events:
        if at < last:
            in_order = False
        else:
            last = at
    if not in_order:
        events = sorted(events, key=lambda event: event[0])
        first = events[0][0]
    span = stream.span_ms
    while span < last - first:
        span = span * 2 or _SHORTEST_SPAN_MS
    if span != stream.span_ms:
        stream = replace(stream, span_ms=span)
        ctx.tx.put(stream.key, stream)
    if group.retention_days is not None and stream.watched != group.policy:
        watch(ctx, group, stream, (last + group.retention_days * DAY_MS) / 1000)
    order = _order(ctx)
    ctx.tx.put((*stream.batches, first, order), Batch(ingested_ms=int(ctx.now * 1000), events=events))
    if group.subscriptions:
        forward(ctx, group, stream, events, order)
    if group.metrics:
        measure(ctx, group, events)
    metrics = [message for _, message in events if _EMBEDDED in message]
    if metrics:
        _publish(ctx, metrics)


def _publish(ctx: Context, messages: list[str]) -> None:
    """Have CloudWatch take the metrics that lines carry in the embedded metric format, where CloudWatch is there."""
    with contextlib.suppress(NotImplementedOnCumulet):
        ctx.call("cloudwatch", "cumulet:Embedded", {"Messages": messages})


def watch(ctx: Context, group: Group, stream: Stream, at: float) -> None:
    """Have the stream's expired events removed at `at`, and from then on as long as it has events."""
    ctx.tx.put(stream.key, replace(stream, watched=group.policy))
    ctx.tx.wake(
        max(at, ctx.now), "logs.expire", (group.account, group.region, group.name, group.id, stream.name, group.policy)
    )


def _order(ctx: Context) -> int:
    """A number that grows with every batch, across restarts by the clock, with random digits against collisions."""
    last: int = ctx.pipeline.volatile.get("logs.order", 0)
    order = max(last + 1, int(ctx.now * 1e6))
    ctx.pipeline.volatile["logs.order"] = order
    return (order << 16) | int(ctx.ids.hex(4), 16)
