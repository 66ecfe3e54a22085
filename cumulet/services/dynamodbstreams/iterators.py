"""Shard iterators: a stream, a shard, a position, and until when the iterator may be used, readable as text by nobody but us."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode

import msgspec

from cumulet.kernel.context import Context
from cumulet.services.dynamodbstreams.errors import ExpiredIteratorException, ValidationException

_VALID_S = 15 * 60.0
_VERSION = "1"


class Position(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where to read on. `number` is the sequence number of the first record to read."""

    shard_id: str
    number: str
    until: float


_decode = msgspec.json.Decoder(Position).decode


def iterator(ctx: Context, arn: str, shard_id: str, number: str) -> str:
    """A new iterator, good for 15 minutes."""
    position = Position(shard_id, number, ctx.now + _VALID_S)
    return f"{arn}|{_VERSION}|{b64encode(msgspec.json.encode(position)).decode()}"


def opened(ctx: Context, text: str) -> tuple[str, Position]:
    """(the stream's ARN, the position). Raises: ValidationException, ExpiredIteratorException."""
    arn, _, rest = text.partition("|")
    version, _, encoded = rest.partition("|")
    try:
        position = _decode(b64decode(encoded, validate=True))
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise ValidationException("Invalid ShardIterator") from error
    if version != _VERSION or not (position.number.isascii() and position.number.isdigit()):
        raise ValidationException("Invalid ShardIterator")
    if position.until <= ctx.now:
        raise ExpiredIteratorException(
            "The shard iterator has expired and can no longer be used to retrieve stream records."
        )
    return arn, position
