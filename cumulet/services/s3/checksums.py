"""Checksums and Content-MD5: held against what the client sent, computed where it sent none, put together for parts.

Source: S3 user guide, "Checking object integrity" (read 2026-11).
"""

from __future__ import annotations

import binascii
import hashlib
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import anycrc  # type: ignore[import-untyped]  # the package has no annotations

from cumulet.services.s3.errors import BadDigest, InvalidDigest, InvalidRequest, refused

_ALGORITHMS = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32, "SHA512": 64, "MD5": 16}
_MODELS = {"CRC32": "CRC32-ISO-HDLC", "CRC32C": "CRC32-ISCSI", "CRC64NVME": "CRC64-NVME"}
_REFUSED = ("XXHASH64", "XXHASH3", "XXHASH128")
DEFAULT = "CRC64NVME"
COMPOSITE, FULL_OBJECT = "COMPOSITE", "FULL_OBJECT"


class _Running(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    def __init__(self, algorithm: str) -> None:
        self._calc = anycrc.Model(_MODELS[algorithm]).calc if algorithm != "CRC32" else None
        self._size = _ALGORITHMS[algorithm]
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value) if self._calc is None else self._calc(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


def _running(algorithm: str) -> _Running:
    return _Crc(algorithm) if algorithm in _MODELS else hashlib.new(algorithm.lower(), usedforsecurity=False)


def sent(req: Mapping[str, Any]) -> dict[str, str]:
    """The checksum members of a request, {"ChecksumCRC32": base64}. Raises: InvalidRequest."""
    for name in _REFUSED:
        if f"Checksum{name}" in req or req.get("ChecksumAlgorithm") == name:
            raise refused(f"the checksum algorithm {name}")
    found = {f"Checksum{name}": req[f"Checksum{name}"] for name in _ALGORITHMS if f"Checksum{name}" in req}
    if len(found) > 1:
        raise InvalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
    return found


def check_md5(header: str | None, md5: str) -> None:
    """Raises: InvalidDigest, BadDigest."""
    if header is None:
        return
    try:
        wanted = b64decode(header, validate=True)
    except (binascii.Error, ValueError):
        wanted = b""
    if len(wanted) != 16:
        raise InvalidDigest("The Content-MD5 you specified was invalid.", members={"Content-MD5": header})
    if wanted.hex() != md5:
        raise BadDigest(
            "The Content-MD5 you specified did not match what we received.",
            members={"ExpectedDigest": wanted.hex(), "CalculatedDigest": b64encode(bytes.fromhex(md5)).decode()},
        )


def compute(algorithm: str, data: Iterable[bytes]) -> str:
    running = _running(algorithm)
    for chunk in data:
        running.update(chunk)
    return b64encode(running.digest()).decode()


def verified(req: Mapping[str, Any], algorithm: str, data: Iterable[bytes]) -> dict[str, str]:
    """The checksum of a body: the one sent, held against the bytes, or one by `algorithm`.

    Raises: BadDigest, InvalidRequest.
    """
    given = sent(req)
    if not given:
        wanted = req.get("ChecksumAlgorithm", algorithm)
        return {f"Checksum{wanted}": compute(wanted, data)}
    (member, value) = next(iter(given.items()))
    name = member.removeprefix("Checksum")
    _check_form(name, value)
    if compute(name, data) != value:
        raise BadDigest(f"The {name} you specified did not match the calculated checksum.")
    return given


def _check_form(name: str, value: str) -> None:
    try:
        raw = b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _ALGORITHMS[name]:
        raise InvalidRequest(f"Value for x-amz-checksum-{name.lower()} header is invalid.")


def type_for(algorithm: str, asked: str | None) -> str:
    """The checksum type of a multipart upload. Raises: InvalidRequest for a type that the algorithm has not."""
    usual = FULL_OBJECT if algorithm == "CRC64NVME" else COMPOSITE
    chosen = asked or usual
    if (algorithm == "CRC64NVME" and chosen == COMPOSITE) or (algorithm not in _MODELS and chosen == FULL_OBJECT):
        raise InvalidRequest(
            f"The {chosen} checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        )
    return chosen


def combined(algorithm: str, type_: str, parts: list[tuple[str, int]]) -> str:
    """The checksum of an object from those of its parts, as (base64, size)."""
    raws = [b64decode(checksum) for checksum, _ in parts]
    if type_ == COMPOSITE:
        return f"{compute(algorithm, raws)}-{len(parts)}"
    model = anycrc.Model(_MODELS[algorithm])
    value = int.from_bytes(raws[0], "big")
    for raw, (_, size) in zip(raws[1:], parts[1:], strict=True):
        value = model.combine(value, int.from_bytes(raw, "big"), size)
    return b64encode(int(value).to_bytes(_ALGORITHMS[algorithm], "big")).decode()
