"""Queues and messages as rows.

A queue's messages are rows under the number of its *shelf*; a purge gives the queue a new shelf and leaves the old one
to a sweep. On a shelf:

    message  / seq             the message, written once
    body     / seq             its body, when that is between 4 and 64 KiB (smaller ones are in the message, larger ones blobs)
    later    / at / seq        a Flight: in flight or delayed until `at` (milliseconds)
    back     / seq             a Flight: visible again, or its delay is over
    place    / seq             where in `later` a message is whose visibility was changed
    waiting  / group / seq     a Flight, or nothing: visible, of a message group (groups.py)
    group    / group           what a group has waiting, in flight, delayed
    ready    / rank / seq      groups that can be received from, by the first message that waits
    counts                     one row of numbers, Counts

A message without a group that was never received nor delayed has no row but its own: every such message is visible and has
`seq >= counts.head`. A receive takes `back` first, then goes on at `head`. So sending writes one row, receiving one, deleting
removes two, whatever waits; the counts are one row more for all that commits together.
"""

from __future__ import annotations

from struct import Struct as Form
from typing import Any

import msgspec

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key, pack
from cumulet.kernel.meter import Series
from cumulet.kernel.record import Record

ROOT = "sqs"
NEVER = 2**62
INLINE_BYTES = 4096
BLOB_OVER_BYTES = 64 * 1024
DEDUPLICATION_S = 300
IN_FLIGHT = 120_000
DEFAULT_RETENTION_S = 345_600
MAX_BYTES = 1_048_576


class Queue(Record):
    """A queue's settings. `uid` names it for ever, `shelf` is where its messages are until the next purge."""

    account: str
    region: str
    name: str
    uid: int
    shelf: int
    created: float
    modified: float
    fifo: bool = False
    visibility_s: int = 30
    delay_s: int = 0
    max_bytes: int = MAX_BYTES
    retention_s: int = DEFAULT_RETENTION_S
    wait_s: int = 0
    policy: str = ""
    redrive: str = ""  # RedrivePolicy as it was given
    dead_letter_arn: str = ""
    max_receives: int = 0
    redrive_allow: str = ""
    content_deduplication: bool = False
    deduplication_scope: str = ""  # "" on standard queues
    throughput_limit: str = ""
    managed_sse: bool = True
    kms_key: str = ""  # KmsMasterKeyId as it was given; "": messages are stored as they are
    kms_reuse_s: int = 300
    purged: float = 0.0
    tags: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def key(self) -> Key:
        return queue_key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        return f"arn:aws:sqs:{self.region}:{self.account}:{self.name}"


class Message(msgspec.Struct, frozen=True, array_like=True):
    """A message, never changed. New fields go to the end, with a default."""

    id: str
    body: str  # the text, the blob's id, or "" when it is in the row `body`
    body_in: int  # INLINE, ROW, BLOB
    size: int
    sent_ms: int
    sender: str
    trace: str
    md5: str = ""  # of the body, where that is not inline
    attributes: dict[str, tuple[str, Any]] | None = None  # type, str or bytes
    attributes_md5: str = ""
    trace_header: str = ""
    group: str = ""
    deduplication: str = ""
    sequence: str = ""
    source: str = ""  # the ARN of the queue whose dead letter it is
    arrived_ms: int = 0  # when it came here, if that is not when it was sent
    receives_before: int = 0  # in the queue it came from
    first_ms: int = 0  # when it was first received there
    delayed: bool = False
    finisher: str = ""  # the service that finishes the body when it is read
    sealed: bool = False  # the body is what sealing.py made of body and attributes


INLINE, ROW, BLOB = 0, 1, 2


class Flight(msgspec.Struct, frozen=True, array_like=True):
    """What changes about a message: kept in `later`, `back` or `waiting`."""

    receives: int = 0
    first_ms: int = 0
    group: str = ""
    large: bool = False  # its body is not in its row
    moved: bool = False  # it has a row in `place`
    delayed: bool = False  # not yet visible for the first time
    taken_ms: int = 0  # when it was received last
    changed: bool = False  # its visibility was changed since
    takes: int = 0  # receives, including those that were returned: what tells receipts apart


class Remembered(msgspec.Struct, frozen=True, array_like=True):
    """A deduplication id's first message."""

    id: str
    sequence: str
    until_ms: int


class Deleted(Record):
    """When a queue was deleted: its name is free again 60 seconds later."""

    at: float


decode_message = msgspec.msgpack.Decoder(Message).decode
decode_flight = msgspec.msgpack.Decoder(Flight).decode
decode_remembered = msgspec.msgpack.Decoder(Remembered).decode
encode = msgspec.msgpack.Encoder().encode


def queue_key(account: str, region: str, name: str) -> Key:
    return (ROOT, "queue", account, region, name)


def number(n: int) -> bytes:
    """A key's part of fixed width, made faster than by `pack`, and read by `unpack`."""
    return b"\x28" + n.to_bytes(8, "big")


def number_of(k: bytes, end: int | None = None) -> int:
    """The number that a key ends with (before `end`)."""
    return int.from_bytes(k[end - 8 : end] if end is not None else k[-8:], "big")


_MESSAGE, _BODY, _LATER, _BACK, _PLACE, _WAITING, _GROUP, _READY, _COUNTS = (
    pack((ROOT, "shelf", part)) for part in ("m", "b", "l", "v", "p", "w", "g", "r", "n")
)
SHELF_PARTS = (_MESSAGE, _BODY, _LATER, _BACK, _PLACE, _WAITING, _GROUP, _READY, _COUNTS)
_REMEMBERED = pack((ROOT, "seen"))
_FORGET = pack((ROOT, "forget"))


class Shelf:
    """The prefixes of a shelf's rows; what is signalled when something arrives; the metrics' series of its queue, as far as used."""

    __slots__ = (
        "arrival",
        "back",
        "body",
        "counts",
        "group",
        "later",
        "message",
        "number",
        "place",
        "ready",
        "series",
        "waiting",
    )

    def __init__(self, n: int) -> None:
        tail = number(n)
        self.number = n
        self.message, self.body, self.later = _MESSAGE + tail, _BODY + tail, _LATER + tail
        self.back, self.place, self.waiting = _BACK + tail, _PLACE + tail, _WAITING + tail
        self.group, self.ready, self.counts = _GROUP + tail, _READY + tail, _COUNTS + tail
        self.arrival = pack(arrival_key(n))
        self.series: dict[str, Series] = {}


def seen_key(uid: int, kind: str, name: str) -> bytes:
    """A deduplication id ("d") or a receive attempt ("r") of a queue."""
    return seen_prefix(uid) + pack((kind, name))


def seen_prefix(uid: int) -> bytes:
    return _REMEMBERED + number(uid)


def forget_key(uid: int, minute: int, kind: str, name: str) -> bytes:
    """Marks that the row of `seen_key` may go when the minute is over."""
    return _FORGET + number(uid) + number(minute) + pack((kind, name))


def forget_prefix(uid: int, minute: int) -> bytes:
    return _FORGET + number(uid) + number(minute)


def queue_prefixes(uid: int) -> tuple[bytes, ...]:
    """All that a queue has beside its shelf."""
    return _REMEMBERED + number(uid), _FORGET + number(uid)


class Counts:
    """A shelf's numbers.

    head, tail   the first sequence number that may be fresh, and the next to give
    ready        visible messages; of these `back` are in back, `grouped` in waiting, the others fresh
    flying, delayed   in flight; delayed
    due          nothing in `later` is due before (milliseconds)
    watched      a timer looks after the retention period
    """

    __slots__ = ("back", "delayed", "due", "flying", "grouped", "head", "ready", "tail", "watched")
    _form = Form(">9Q")

    def __init__(self, raw: bytes | None = None, tail: int = 1) -> None:
        if raw is None:
            self.head = self.tail = tail
            self.ready = self.back = self.grouped = self.flying = self.delayed = self.watched = 0
            self.due = NEVER
        else:
            (
                self.head,
                self.tail,
                self.ready,
                self.back,
                self.grouped,
                self.flying,
                self.delayed,
                self.due,
                self.watched,
            ) = self._form.unpack(raw)

    def pack(self) -> bytes:
        return self._form.pack(
            self.head,
            self.tail,
            self.ready,
            self.back,
            self.grouped,
            self.flying,
            self.delayed,
            self.due,
            self.watched,
        )

    @property
    def fresh(self) -> int:
        return self.ready - self.back - self.grouped

    @property
    def held(self) -> int:
        return self.ready + self.flying + self.delayed


class Group:
    """What a message group has: waiting (visible), in flight, delayed messages, and its row in `ready`.

    head     the first that waits; 0: none; `stale`: it is gone, look for the next
    shown    the rank under which the group is in `ready`, with `shown_head`; -1: it is not
    """

    __slots__ = ("delayed", "flying", "head", "shown", "shown_head", "stale", "waiting")
    _form = Form(">6q")

    def __init__(self, raw: bytes | None = None) -> None:
        self.stale = False
        if raw is None:
            self.waiting = self.flying = self.delayed = self.head = self.shown_head = 0
            self.shown = -1
        else:
            fields = self._form.unpack(raw)
            self.waiting, self.flying, self.delayed, self.head, self.shown, self.shown_head = fields

    def pack(self) -> bytes:
        return self._form.pack(self.waiting, self.flying, self.delayed, self.head, self.shown, self.shown_head)


class Open:
    """A queue opened by one operation: its record, its counts, its groups as far as they were looked at.

    now_ms   the time, rounded down: what is to come is counted from it
    sent     the sizes of the messages that were sent, to be metered; `sender`: whose they are
    due_ms   what is due by now: a microsecond ahead, because `seconds` is half of one early; so nothing that waits for a time in
             seconds wakes before that time in milliseconds has come, nor later than the time it was counted from says
    """

    __slots__ = (
        "counts",
        "ctx",
        "due_ms",
        "groups",
        "now_ms",
        "queue",
        "sender",
        "sent",
        "shelf",
        "signalled",
        "stored",
        "trace",
        "tx",
    )

    def __init__(self, ctx: Context, queue: Queue, used: bool = True) -> None:
        self.ctx, self.tx, self.queue = ctx, ctx.tx, queue
        if used:
            in_use(ctx)[queue.uid] = queue.account, queue.region, queue.name, ctx.now
        self.shelf = _shelf(ctx, queue.shelf)
        self.stored = ctx.tx.get_bytes(self.shelf.counts)
        self.counts = Counts(self.stored)
        self.groups: dict[str, Group] = {}
        self.sent: list[int] = []
        self.sender = ""
        self.signalled = False
        self.trace = ctx.trace
        self.now_ms = int(ctx.now * 1000)
        self.due_ms = int(ctx.now * 1000 + 0.001)

    @property
    def arrival(self) -> Key:
        """What a receiver waits on."""
        return arrival_key(self.queue.shelf)

    def signal(self) -> None:
        """Something can be received."""
        if not self.signalled:
            self.signalled = True
            self.tx.signal(self.shelf.arrival)

    def count(self, metric: str, value: float, unit: str = "Count", times: int = 1) -> None:
        """Meter the queue."""
        series = self.shelf.series.get(metric)
        if series is None:
            queue = self.queue
            dimensions = (("QueueName", queue.name),)
            series = queue.account, queue.region, "AWS/SQS", metric, unit, dimensions
            self.shelf.series[metric] = series
        self.ctx.pipeline.meter.add(series, self.ctx.now, value, times)


def in_use(ctx: Context) -> dict[int, tuple[str, str, str, float]]:
    """Where the queues are that were used since the start, and when they were last."""
    found: dict[int, tuple[str, str, str, float]] = ctx.pipeline.volatile.setdefault("sqs.used", {})
    return found


def seconds(at_ms: int) -> float:
    """When to wake for what is due at `at_ms`."""
    return at_ms / 1000 - 5e-7


def arrival_key(shelf: int) -> Key:
    return (ROOT, "arrival", shelf)


def _shelf(ctx: Context, n: int) -> Shelf:
    known: dict[int, Shelf] = ctx.pipeline.volatile.setdefault("sqs.shelves", {})
    found = known.get(n)
    if found is None:
        if len(known) > 4096:
            known.clear()
        found = known[n] = Shelf(n)
    return found
