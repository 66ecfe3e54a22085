"""Gathering a batch: records of one lane of a shard that the filters let pass, up to the batch's size, payload and window of time.

What a reader has looked at without finding a record of its own is remembered in memory (`Seen`); a crash makes it look again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Wait
from cumulet.kernel.store import Fate
from cumulet.services.lambda_.sources import feeds
from cumulet.services.lambda_.sources.feeds import FEEDS
from cumulet.services.lambda_.sources.filters import passes
from cumulet.services.lambda_.sources.model import Mapping
from cumulet.services.lambda_.sources.progress import Layout, Reader, Shard, follows
from cumulet.services.lambda_.sources.records import PAYLOAD_LIMIT_BYTES
from cumulet.services.lambda_.sources.trials import Item
from cumulet.services.lambda_.sources.windows import start_of

_PAGE = 100
_PAGE_MAX = 10_000
_SCANNED = 10_000  # records looked at in one transaction, while none is wanted
_FRAME_BYTES = 1024  # of the event around the records, without a window's state

_encode = msgspec.json.Encoder().encode
Json = dict[str, Any]


@dataclass(slots=True)
class Found:
    """What was gathered.

    last      the last sequence number that was looked at: the checkpoint when all `items` are done with
    full      no more records go into this batch
    ended     the shard is closed and everything in it was looked at
    wait      for the next record, where everything was looked at
    looked    how many records were looked at, `filtered` how many the filters did not want
    """

    last: str
    items: list[Item] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    size: int = 0
    full: bool = False
    ended: bool = False
    wait: Wait | None = None
    looked: int = 0
    filtered: int = 0


@dataclass(slots=True)
class Seen:
    """What a reader has seen since its checkpoint: up to `last` there are `count` records for its next batch.

    start    the last sequence number before the first of them
    since    when it saw the first of them
    skipped  how many others it looked at
    full     whether the batching window is over because no more go into the batch
    counted  how many records behind `last` were looked at already, and how many of them the filters did not want
    fate     of the writes that it saw: where they failed, the same numbers are given again
    """

    checkpoint: str
    start: str
    last: str
    fate: Fate
    count: int = 0
    size: int = 0
    since: float = 0.0
    skipped: int = 0
    full: bool = False
    counted: tuple[int, int] = (0, 0)


def seen_by(ctx: Context, key: Key, reader: Reader) -> Seen:
    """What the reader has seen; nothing where its checkpoint moved."""
    table: dict[Key, Seen] = ctx.pipeline.volatile.setdefault("lambda.seen", {})
    found = table.get(key)
    if found is None or found.checkpoint != reader.checkpoint or found.fate.failed:
        found = Seen(reader.checkpoint, reader.checkpoint, reader.checkpoint, ctx.pipeline.store.fate)
        table[key] = found
    return found


def forget(ctx: Context, key: Key) -> None:
    """The reader's checkpoint moves, or it ends."""
    ctx.pipeline.volatile.setdefault("lambda.seen", {}).pop(key, None)


def gather(
    ctx: Context, mapping: Mapping, shard: Shard, key: Key, reader: Reader, after: str, room: int, size: int = 0
) -> Found:
    """Records of the reader's lane behind `after`: at most `room`, or the rest of the part that is to be tried again.

    `size` bytes are gathered already. Raises: the stream's AwsErrors.
    """
    found = Found(last=after, size=size)
    end = reader.parts[0].end if reader.parts else ""
    limit = min(max(room if mapping.factor == 1 and not mapping.filters else _PAGE, room * mapping.factor), _PAGE_MAX)
    while True:
        page = feeds.read(ctx, mapping, str(key[3]), found.last, limit, PAYLOAD_LIMIT_BYTES)
        for record, trace in zip(page["Records"], page["Traces"], strict=True):
            if end and follows(FEEDS[mapping.kind].sequence(record), end):
                found.full = True
            else:
                _add(ctx, mapping, shard, int(str(key[4])), reader, found, record, trace)
                if not end and len(found.items) >= room:
                    found.full = True
            if found.full:
                return found
        found.ended = page["Closed"]
        if found.ended or not page["Records"]:
            found.wait = page.get("Wait")
            return found
        if found.looked >= _SCANNED:
            return found


def _add(
    ctx: Context, mapping: Mapping, shard: Shard, lane: int, reader: Reader, found: Found, record: Json, trace: str
) -> None:
    """Put a record into the batch, or pass it over; `full` where it has to wait for the next batch."""
    feed = FEEDS[mapping.kind]
    sequence, at = feed.sequence(record), feed.arrived(record)
    if not _own(mapping, shard, lane, record, sequence):
        found.last = sequence
        found.looked += 1
        return
    body = _encode(record)
    if passes(ctx, mapping.filters, body):
        if not _in_window(mapping, reader, found, at):
            found.full = True
            return
        state = len(reader.window.state) if reader.window is not None else 0
        if found.size and found.size + len(body) + state + _FRAME_BYTES > PAYLOAD_LIMIT_BYTES:
            found.full = True
            return
        found.items.append(Item(sequence, at))
        found.bodies.append(body)
        found.traces.append(trace)
        found.size += len(body) + 1
    else:
        found.filtered += 1
    found.last = sequence
    found.looked += 1


def _own(mapping: Mapping, shard: Shard, lane: int, record: Json, sequence: str) -> bool:
    feed = FEEDS[mapping.kind]
    if shard.factor > 1 and feed.lane(record, shard.factor) != lane:
        return False
    return not any(_was_read(feed.lane(record, layout.factor), layout, sequence) for layout in shard.earlier)


def _was_read(lane: int, layout: Layout, sequence: str) -> bool:
    checkpoint = layout.checkpoints[lane]
    return bool(checkpoint) and not follows(sequence, checkpoint)


def _in_window(mapping: Mapping, reader: Reader, found: Found, at: float) -> bool:
    """Whether a record belongs into the tumbling window of this batch."""
    if not mapping.tumbling_s:
        return True
    if reader.window is not None:
        return at < reader.window.end
    return not found.items or start_of(at, mapping.tumbling_s) == start_of(found.items[0].at, mapping.tumbling_s)
