"""Row keys: order-preserving bytes of key values, spread over buckets by a hash of the partition key.

As in AWS, Scan goes in the order of a hash, not of the partition keys; a parallel scan's segment is a range of it.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any
from zlib import crc32

from cumulet.kernel.keys import pack_part
from cumulet.services.dynamodb.errors import invalid
from cumulet.services.dynamodb.values import number_parts

BUCKETS = tuple(bytes((0x21, 1 + i)) for i in range(16))  # `pack_part(1 + i)`
HASHES = 1 << 15
_BUCKET_SHIFT = 11
MAX_HASH_KEY_BYTES, MAX_RANGE_KEY_BYTES = 2048, 1024
_COMPLEMENT = str.maketrans("0123456789", "9876543210")


def number_bytes(text: str) -> bytes:
    """Bytes that order as numbers do: sign, exponent, digits; complemented for negative numbers."""
    negative, digits, exponent = number_parts(text)
    if not digits:
        return b"\x80"
    if negative:
        return bytes((0x40, 126 - exponent)) + digits.translate(_COMPLEMENT).encode() + b":"
    return bytes((0xC0, exponent + 129)) + digits.encode()


def key_part(kind: str, raw: Any) -> bytes:
    """A key value's packed part."""
    if kind == "S":
        text: bytes = raw.encode("utf-8", "surrogatepass")
        return b"\x02" + (text.replace(b"\x00", b"\x00\xff") if b"\x00" in text else text) + b"\x00"
    if kind == "N":
        return pack_part(number_bytes(raw))
    return pack_part(b64decode(raw))


def hash_of(part: bytes) -> int:
    return crc32(part) & 0x7FFF


def bucket(part: bytes) -> bytes:
    """The bucket of a packed partition key."""
    return BUCKETS[(crc32(part) & 0x7FFF) >> _BUCKET_SHIFT]


def bucket_number(hashed: int) -> int:
    return hashed >> _BUCKET_SHIFT


def part_size(part: bytes) -> int:
    """The bytes of a packed key value."""
    return len(part) - 2 - part.count(b"\x00\xff")


def check_hash_size(part: bytes) -> None:
    """Raises: ValidationException for a partition key over 2048 bytes."""
    if len(part) - 2 > MAX_HASH_KEY_BYTES and part_size(part) > MAX_HASH_KEY_BYTES:
        raise invalid("Size of hashkey has exceeded the maximum size limit of2048 bytes")


def check_range_size(part: bytes) -> None:
    """Raises: ValidationException for a sort key over 1024 bytes."""
    if len(part) - 2 > MAX_RANGE_KEY_BYTES and part_size(part) > MAX_RANGE_KEY_BYTES:
        raise invalid("Aggregated size of all range keys has exceeded the size limit of 1024 bytes")


def check_index_size(index: str, name: str, part: bytes, hashed: bool) -> None:
    """Raises: ValidationException for a key of an index over 2048 or 1024 bytes."""
    most = MAX_HASH_KEY_BYTES if hashed else MAX_RANGE_KEY_BYTES
    if len(part) - 2 > most and part_size(part) > most:
        size = part_size(part)
        raise invalid(
            f"Size limit exceeded for Index Key {name} Actual Size: {size} bytes Max Size: {most} bytes IndexName: {index}"
        )


def partition(row_key: bytes, prefix: bytes) -> bytes:
    """The packed partition key of a row."""
    start = len(prefix) + 2
    end = row_key.index(b"\x00", start + 1)
    while row_key[end + 1 : end + 2] == b"\xff":
        end = row_key.index(b"\x00", end + 1)
    return row_key[start : end + 1]


def same_partition(one: bytes, two: bytes, prefix: bytes) -> bool:
    return partition(one, prefix) == partition(two, prefix)


def successor(prefix: bytes) -> bytes:
    """The first key behind every key that begins with these bytes."""
    cut = prefix.rstrip(b"\xff")
    return cut[:-1] + bytes((cut[-1] + 1,))


def beginning(kind: str, raw: Any) -> bytes:
    """The common beginning of the parts of all values that begin with `raw` (S or B)."""
    return key_part(kind, raw)[:-1]
