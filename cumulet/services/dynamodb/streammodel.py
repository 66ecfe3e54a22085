"""What DynamoDB keeps of streams: the streams, their shards, the records, and the keys of all of them.

`dynamodb/stream/{account}/{region}/{table}/{label}`   Stream
`dynamodb/shard/{stream}/{shard}`                      Shard
`dynamodb/record/{stream}/{shard}/{position}`          StreamRecord; positions count from 1 without a gap
`dynamodb/sequence/{stream}/{shard}`                   the position of the shard's last record; written with each record

States of a shard: open -> closed (4 hours old, split, or its stream disabled) -> gone (24 hours later). A child opens when its
parent closes. What remains of a stream that is disabled or whose table is deleted is read and expires as before.
"""

from __future__ import annotations

import re

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key, pack
from cumulet.kernel.record import Record
from cumulet.services.dynamodb.errors import ResourceNotFoundException, ValidationException
from cumulet.services.dynamodb.model import Table

BUCKETS = 16
RETENTION_S = 24 * 3600.0
GROWN_RECORDS = 10_000  # so often a shard is looked at: whether it grows so fast that it should split
_FIRST_NUMBER = 10**20  # sequence numbers have 21 digits and more
_SHARD_NUMBERS = 10**12
_ARN = re.compile(r"arn:aws[a-z-]*:dynamodb:([a-z0-9-]+):([0-9]{12}):table/([a-zA-Z0-9_.-]{3,255})/stream/([0-9T:.-]+)")
_SHARD_ID = re.compile(r"shardId-[0-9]{20}-([0-9a-f]{8})")


class Stream(Record):
    """A stream of a table; `number` names its shards. `opened` counts the shards that it ever had."""

    number: int
    account: str
    region: str
    table: str
    label: str
    view: str
    pk: str
    created_at: float
    sk: str | None = None
    opened: int = 0
    disabled_at: float = 0.0

    @property
    def place(self) -> tuple[str, str, str, str]:
        return (self.account, self.region, self.table, self.label)

    @property
    def key(self) -> Key:
        return stream_key(self.place)

    @property
    def arn(self) -> str:
        return f"arn:aws:dynamodb:{self.region}:{self.account}:table/{self.table}/stream/{self.label}"

    @property
    def shards(self) -> Key:
        return ("dynamodb", "shard", self.number)


class Shard(Record):
    """The changes of the keys in the buckets from `low` to before `high`, while it was open."""

    number: int
    low: int
    high: int
    opened_at: float
    parent: str = ""
    closed_at: float = 0.0
    trimmed: int = 0  # the position of the last record that is gone

    @property
    def id(self) -> str:
        return f"shardId-{int(self.opened_at * 1000):020d}-{self.number:08x}"


class StreamRecord(Record):
    """One change of one item. `keys` is JSON; `old` and `new` are rows, as far as the stream's view shows them."""

    name: str
    at: float
    keys: bytes
    trace: str
    old: bytes = b""
    new: bytes = b""
    expired: bool = False


class StreamLayout:
    """An enabled stream made ready for writes: its view, and for each bucket the prefix of its shard's records and its counter."""

    __slots__ = ("new", "old", "place", "shards")

    def __init__(self, table: Table) -> None:
        stream = table.stream
        assert stream is not None
        self.new = stream.view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")
        self.old = stream.view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES")
        self.place = (table.account, table.region, table.name, stream.label)
        self.shards = tuple(
            (pack(record_rows(stream.number, shard)), pack(sequence_key(stream.number, shard)), shard)
            for shard in stream.open
        )


def stream_key(place: tuple[str, str, str, str]) -> Key:
    return ("dynamodb", "stream", *place)


def shard_key(stream: int, shard: int) -> Key:
    return ("dynamodb", "shard", stream, shard)


def record_rows(stream: int, shard: int) -> Key:
    return ("dynamodb", "record", stream, shard)


def sequence_key(stream: int, shard: int) -> Key:
    return ("dynamodb", "sequence", stream, shard)


def sequence_number(shard: int, position: int) -> str:
    """A child's numbers are above its parent's, and within a shard they count."""
    return str(_FIRST_NUMBER + shard * _SHARD_NUMBERS + position)


def position_of(shard: int, number: str) -> int:
    """The position that a sequence number stands for; negative for one below the shard's."""
    return int(number) - _FIRST_NUMBER - shard * _SHARD_NUMBERS


def find_stream(ctx: Context, arn: str) -> Stream:
    """Raises: ResourceNotFoundException, ValidationException for what is no stream's ARN."""
    match = _ARN.fullmatch(arn)
    if match is None:
        raise ValidationException(f"Invalid StreamArn: {arn}")
    region, account, table, label = match.groups()
    stream = ctx.tx.get(stream_key((account, region, table, label)), Stream)
    if stream is None or region != ctx.region:
        raise ResourceNotFoundException(f"Requested resource not found: Stream: {arn} not found")
    return stream


def shard_number(shard_id: str) -> int:
    """Raises: ResourceNotFoundException for what is no shard's id."""
    match = _SHARD_ID.fullmatch(shard_id)
    if match is None:
        raise no_shard()
    return int(match[1], 16)


def find_shard(ctx: Context, stream: Stream, shard_id: str) -> Shard:
    """Raises: ResourceNotFoundException."""
    shard = ctx.tx.get(shard_key(stream.number, shard_number(shard_id)), Shard)
    if shard is None or shard.id != shard_id:
        raise no_shard()
    return shard


def no_shard() -> ResourceNotFoundException:
    return ResourceNotFoundException("Requested resource not found: Shard does not exist")
