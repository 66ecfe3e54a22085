"""Order-preserving encoding of key tuples: `pack(a) < pack(b)` exactly when `a < b` part by part.

Parts are None, bytes, str, int, float and bool; parts of different types order in that sequence. A packed key is
the concatenation of its parts' encodings, so `pack((a, b)) == pack((a,)) + pack((b,))` and a prefix scan is a range.
"""

import struct

Part = None | bytes | str | int | float | bool
Key = tuple[Part, ...]

_NONE, _BYTES, _STR, _INT_ZERO, _FLOAT, _FALSE, _TRUE = 0x00, 0x01, 0x02, 0x20, 0x30, 0x40, 0x41
_INT_MAX_BYTES = 15
_DOUBLE = struct.Struct(">d")


def _pack_int(value: int) -> bytes:
    if value == 0:
        return b"\x20"
    size = (abs(value).bit_length() + 7) // 8
    if size > _INT_MAX_BYTES:
        raise ValueError("a key's integer has at most 120 bits")
    if value > 0:
        return bytes((_INT_ZERO + size,)) + value.to_bytes(size, "big")
    return bytes((_INT_ZERO - size,)) + (value + (1 << (8 * size)) - 1).to_bytes(size, "big")


def _pack_float(value: float) -> bytes:
    raw = bytearray(_DOUBLE.pack(value))
    if raw[0] & 0x80:
        for i in range(8):
            raw[i] ^= 0xFF
    else:
        raw[0] ^= 0x80
    return b"\x30" + bytes(raw)


def pack_part(part: Part) -> bytes:
    """The encoding of one part."""
    kind = type(part)
    if kind is str:
        raw = part.encode("utf-8", "surrogatepass")  # type: ignore[union-attr]
        return b"\x02" + (raw.replace(b"\x00", b"\x00\xff") if b"\x00" in raw else raw) + b"\x00"
    if kind is bytes:
        return b"\x01" + (part.replace(b"\x00", b"\x00\xff") if b"\x00" in part else part) + b"\x00"  # type: ignore
    if kind is int:
        return _pack_int(part)  # type: ignore[arg-type]
    if kind is float:
        return _pack_float(part)  # type: ignore[arg-type]
    if part is None:
        return b"\x00"
    if kind is bool:
        return b"\x41" if part else b"\x40"
    raise TypeError(f"a key part cannot be a {kind.__name__}")


def pack(key: Key) -> bytes:
    """The encoding of a key tuple."""
    return b"".join([pack_part(part) for part in key])


def _unpack_text(data: bytes, at: int) -> tuple[bytes, int]:
    end = data.index(b"\x00", at)
    if data[end + 1 : end + 2] != b"\xff":
        return data[at:end], end + 1
    chunks = []
    while data[end + 1 : end + 2] == b"\xff":
        chunks.append(data[at:end])
        at = end + 2
        end = data.index(b"\x00", at)
    chunks.append(data[at:end])
    return b"\x00".join(chunks), end + 1


def _unpack_int(data: bytes, at: int) -> tuple[int, int]:
    size = data[at] - _INT_ZERO
    if size >= 0:
        return int.from_bytes(data[at + 1 : at + 1 + size], "big"), at + 1 + size
    raw = int.from_bytes(data[at + 1 : at + 1 - size], "big")
    return raw - (1 << (8 * -size)) + 1, at + 1 - size


def _unpack_float(data: bytes, at: int) -> tuple[float, int]:
    raw = bytearray(data[at + 1 : at + 9])
    if raw[0] & 0x80:
        raw[0] ^= 0x80
    else:
        for i in range(8):
            raw[i] ^= 0xFF
    return float(_DOUBLE.unpack(bytes(raw))[0]), at + 9


def unpack(data: bytes) -> Key:
    """The key tuple of an encoding. Raises: ValueError for bytes that `pack` did not make."""
    parts: list[Part] = []
    at = 0
    while at < len(data):
        kind = data[at]
        part: Part
        if kind == _STR:
            raw, at = _unpack_text(data, at + 1)
            part = raw.decode("utf-8", "surrogatepass")
        elif kind == _BYTES:
            part, at = _unpack_text(data, at + 1)
        elif _INT_ZERO - _INT_MAX_BYTES <= kind <= _INT_ZERO + _INT_MAX_BYTES:
            part, at = _unpack_int(data, at)
        elif kind == _FLOAT:
            part, at = _unpack_float(data, at)
        elif kind == _NONE:
            part, at = None, at + 1
        elif kind in (_FALSE, _TRUE):
            part, at = kind == _TRUE, at + 1
        else:
            raise ValueError(f"not a packed key: type byte {kind:#x} at {at}")
        parts.append(part)
    return tuple(parts)


def after_prefix(prefix: bytes) -> bytes:
    """The first key behind every key that extends `prefix` by whole parts (no part's type byte is 0xff)."""
    return prefix + b"\xff"
