"""How far a mapping has read a stream: the records of shards and of their readers, and their keys.

A shard that is read has one `Shard` row and `factor` readers, each with a `Reader` row. A reader's `parts` are the pieces of a batch that
failed, in order; without any it takes a new batch after its checkpoint.
"""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record
from cumulet.services.lambda_.model import ROOT

READER, SHARDS = "lambda.shard", "lambda.shards"


class Layout(Record):
    """How far a shard was read when it had another number of readers."""

    factor: int
    checkpoints: tuple[str, ...]


class Shard(Record):
    """A shard that is read, or was (`done`): its children may begin then."""

    factor: int
    done: bool = False
    earlier: tuple[Layout, ...] = ()


class Part(Record):
    """Records of one lane that are tried together: the first and last sequence number, when those came, how many there are.

    tries       invocations that failed and count against MaximumRetryAttempts
    invoked     all invocations
    status      of the last one (0: there was none), with its request id, error and version
    """

    start: str
    end: str
    first_at: float
    last_at: float
    size: int
    tries: int = 0
    invoked: int = 0
    status: int = 0
    request_id: str = ""
    error: str = ""
    version: str = ""


class Window(Record):
    """A tumbling window that is open: `state` is JSON as the function gave it.

    `early` says that it grew too large and ends before its time. `part` counts the tries of its last invocation.
    """

    start: float
    size_s: int
    state: bytes
    early: bool = False
    last: str = ""  # the last record's sequence number and time
    last_at: float = 0.0
    part: Part | None = None

    @property
    def end(self) -> float:
        return self.start + self.size_s


class Reader(Record):
    """One lane of a shard. `checkpoint` is the last sequence number that is done with; "" is the shard's beginning.

    `failures` in a row hold it back until `retry_at`.
    """

    checkpoint: str = ""
    parts: tuple[Part, ...] = ()
    failures: int = 0
    retry_at: float = 0.0
    window: Window | None = None
    done: bool = False


def shard_key(place: Key, shard: str) -> Key:
    return (ROOT, "source-shard", *place, shard)


def reader_key(reader: Key) -> Key:
    """`reader` is (account, region, mapping, shard, number), as the timer has it."""
    return (ROOT, "source-reader", *reader)


def started_key(place: Key) -> Key:
    """There once the mapping's starting position was found."""
    return (ROOT, "source-started", *place)


def follows(sequence: str, checkpoint: str) -> bool:
    """Whether a record comes after a checkpoint; sequence numbers are decimal and may differ in length."""
    return not checkpoint or int(sequence) > int(checkpoint)


def wake_reader(ctx: Context, reader: Key) -> None:
    """Have a reader look now; one that is parked already looks again."""
    ctx.tx.wake(ctx.now, READER, reader, fresh=True)


def wake_shards(ctx: Context, place: Key) -> None:
    """Have a mapping's shards looked at."""
    ctx.tx.wake(ctx.now, SHARDS, place, fresh=True)
