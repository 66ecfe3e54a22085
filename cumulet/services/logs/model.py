"""Log groups, streams and batches of events, and their keys.

Events are kept as they come in: one row a batch, keyed by stream, the batch's first time stamp and an order number. An
event's place is (time stamp, order number of its batch, index in it), written as one integer. Batches of a stream may
overlap in time; the stream's `span_ms` bounds what one batch covers, so that a reader knows how far before a time it has
to begin. Streams are kept by name, their events by an id: what a deleted stream leaves cannot come back.
"""

from __future__ import annotations

from typing import Any

from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record

ROOT = "logs"
DAY_MS = 86_400_000


class SubscriptionFilter(Record):
    """Sends a group's events that match `pattern` to a function."""

    name: str
    pattern: str
    destination: str
    distribution: str
    created_ms: int


class MetricFilter(Record):
    """Makes a metric of a group's events that match `pattern`; `transformation` is the API's."""

    name: str
    pattern: str
    transformation: dict[str, Any]
    created_ms: int


class Group(Record):
    """A log group. `id` is new with each creation; `policy` counts the changes of its retention."""

    account: str
    region: str
    name: str
    id: str
    created_ms: int
    retention_days: int | None = None
    policy: int = 0
    log_class: str = "STANDARD"
    tags: dict[str, str] | None = None
    protected: bool = False
    subscriptions: dict[str, SubscriptionFilter] | None = None
    metrics: dict[str, MetricFilter] | None = None

    @property
    def key(self) -> Key:
        return group_key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{self.name}"

    def oldest_ms(self, now: float) -> int:
        """Events before this time have expired."""
        return int(now * 1000) - self.retention_days * DAY_MS if self.retention_days is not None else 0


class Stream(Record):
    """A log stream. `watched` is the group's policy number that a timer follows for it, or 0."""

    group_id: str
    name: str
    id: str
    created_ms: int
    span_ms: int = 0
    watched: int = 0

    @property
    def key(self) -> Key:
        return stream_key(self.group_id, self.name)

    @property
    def batches(self) -> Key:
        return (ROOT, "batch", self.group_id, self.id)


class Batch(Record):
    """Events that came in together, by time: (milliseconds, message)."""

    ingested_ms: int
    events: list[tuple[int, str]]


def group_key(account: str, region: str, name: str) -> Key:
    return (ROOT, "group", account, region, name)


def stream_key(group_id: str, name: str) -> Key:
    return (ROOT, "stream", group_id, name)


def place_of(at_ms: int, order: int, index: int) -> int:
    """An event's place in its stream, which grows with time; its 56 digits are the event's id."""
    return (at_ms * 10**30 + order) * 10**12 + index


def time_of(place: int) -> int:
    """The time stamp in a place, in milliseconds."""
    return place // 10**42
