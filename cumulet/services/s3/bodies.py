"""Bytes of objects: small ones in a row, large ones in blobs, an object a list of such segments."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from cumulet.aws.http import Body, FileBody, ResponseBody, Spooled, SpooledPart
from cumulet.kernel.context import Context
from cumulet.kernel.record import Record, replace
from cumulet.kernel.tx import BLOB_OVER_BYTES
from cumulet.services.s3 import sealing
from cumulet.services.s3.model import Segment

CHUNK = 1024 * 1024
_OPEN_AHEAD = 100


class Bytes(Record):
    data: bytes


def store(ctx: Context, body: Body, kms_key: str = "") -> list[Segment]:
    """Keep a request's body; encrypted, where `kms_key` is the ARN of a KMS key. Raises: KMS.NotFoundException, ..."""
    if kms_key:
        return _sealed(ctx, [body] if isinstance(body, bytes) else _spooled(body), _size_of(body), kms_key)
    if not isinstance(body, bytes):
        offset = body.offset if isinstance(body, SpooledPart) else 0
        return [Segment(size=body.size, blob=ctx.tx.adopt_blob(body), offset=offset)]
    if not body:
        return []
    if len(body) > BLOB_OVER_BYTES:
        return [Segment(size=len(body), blob=ctx.tx.put_blob(body))]
    row = ctx.ids.hex(32)
    ctx.tx.put(("s3", "bytes", row), Bytes(data=body))
    return [Segment(size=len(body), row=row)]


def _size_of(body: Body) -> int:
    return len(body) if isinstance(body, bytes) else body.size


def _spooled(body: Spooled) -> Iterator[bytes]:
    left = body.size
    with body.path.open("rb") as file:
        file.seek(body.offset if isinstance(body, SpooledPart) else 0)
        while left:
            data = file.read(min(CHUNK, left))
            if not data:
                raise OSError(f"{body.path} is shorter than it should be")
            left -= len(data)
            yield data


def _sealed(ctx: Context, data: Iterable[bytes], size: int, kms_key: str) -> list[Segment]:
    if not size:
        return []
    cipher, key = sealing.new_key(ctx, kms_key)
    frames = sealing.sealed(cipher, data)
    if size > BLOB_OVER_BYTES:
        return [Segment(size=size, blob=ctx.tx.put_blob(frames), kms_key=kms_key, data_key=key)]
    row = ctx.ids.hex(32)
    ctx.tx.put(("s3", "bytes", row), Bytes(data=b"".join(frames)))
    return [Segment(size=size, row=row, kms_key=kms_key, data_key=key)]


def drop(ctx: Context, segments: list[Segment]) -> None:
    """Forget bytes, when the transaction commits; downloads that are under way keep their open files."""
    for segment in segments:
        if segment.row:
            ctx.tx.delete(("s3", "bytes", segment.row))
        else:
            ctx.tx.delete_blob(segment.blob)


def copy(ctx: Context, segments: list[Segment], start: int, size: int, kms_key: str = "") -> list[Segment]:
    """`size` bytes from `start` as segments of their own, by this KMS key or none; files of the same are linked, not copied."""
    copied = []
    for segment, offset, length in cut(segments, start, size):
        if segment.row:
            copied += store(ctx, _row(ctx, segment)[offset : offset + length], kms_key)
        elif segment.kms_key == kms_key:
            blob = ctx.tx.copy_blob(segment.blob)
            copied.append(replace(segment, size=length, blob=blob, offset=segment.offset + offset))
        else:
            data = chunks(ctx, [segment], offset, length)
            if kms_key:
                copied += _sealed(ctx, data, length, kms_key)
            else:
                copied.append(Segment(size=length, blob=ctx.tx.put_blob(data)))
    return copied


def cut(segments: list[Segment], start: int, size: int) -> Iterator[tuple[Segment, int, int]]:
    """(segment, offset in it, length) for the bytes [start, start + size)."""
    at, end = 0, start + size
    for segment in segments:
        low, high = max(start, at), min(end, at + segment.size)
        if low < high:
            yield segment, low - at, high - low
        at += segment.size


def chunks(ctx: Context, segments: list[Segment], start: int, size: int) -> Iterator[bytes]:
    """The bytes [start, start + size), at most 1 MiB at a time, read now."""
    for segment, offset, length in cut(segments, start, size):
        if segment.row:
            yield _row(ctx, segment)[offset : offset + length]
            continue
        with ctx.tx.blob_path(segment.blob).open("rb") as file:
            if segment.kms_key:
                yield from sealing.opened(_cipher(ctx, segment), file, segment.offset + offset, length)
                continue
            file.seek(segment.offset + offset)
            left = length
            while left:
                data = file.read(min(CHUNK, left))
                if not data:
                    raise OSError(f"blob {segment.blob} is shorter than {segment.offset + offset + length} bytes")
                left -= len(data)
                yield data


def md5_of(ctx: Context, segments: list[Segment], size: int) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for data in chunks(ctx, segments, 0, size):
        digest.update(data)
    return digest.hexdigest()


def _row(ctx: Context, segment: Segment) -> bytes:
    found = ctx.tx.get(("s3", "bytes", segment.row), Bytes)
    assert found is not None, f"the bytes {segment.row} are missing"
    if segment.kms_key:
        return b"".join(sealing.opened(_cipher(ctx, segment), BytesIO(found.data), 0, segment.size))
    return found.data


def _cipher(ctx: Context, segment: Segment) -> Any:
    return sealing.known_key(ctx, segment.kms_key, segment.data_key)


@dataclass(slots=True)
class SealedFile:
    """A piece of an answer that is decrypted as it is sent: `size` bytes from `offset`."""

    path: Path
    offset: int
    size: int
    cipher: Any


def body_of(ctx: Context, segments: list[Segment], start: int, size: int) -> ResponseBody:
    """The bytes [start, start + size) as an answer: bytes for another service, a file or a stream for a client."""
    pieces = list(cut(segments, start, size))
    if ctx.span.kind == "call" or all(segment.row for segment, _, _ in pieces):
        return b"".join(chunks(ctx, segments, start, size))
    answers: list[Piece] = []
    for segment, offset, length in pieces:
        if segment.row:
            answers.append(_row(ctx, segment)[offset : offset + length])
        else:
            path, at = ctx.tx.committed_blob_path(segment.blob), segment.offset + offset
            sealed = segment.kms_key != ""
            answers.append(
                SealedFile(path, at, length, _cipher(ctx, segment)) if sealed else FileBody(path, at, length)
            )
    only = answers[0]
    return only if len(answers) == 1 and not isinstance(only, SealedFile) else Joined(answers)


Piece = bytes | FileBody | SealedFile


class Joined:
    """An answer of several files, one after the other; called by the front, which sends `size` bytes of it."""

    def __init__(self, pieces: list[Piece]) -> None:
        self.pieces = pieces
        self.size = sum(len(piece) if isinstance(piece, bytes) else piece.size for piece in pieces)

    async def __call__(self) -> AsyncIterator[bytes]:
        """Opens the files ahead, so that an overwrite in the meantime does not end the download."""
        opened = {
            i: piece.path.open("rb")
            for i, piece in enumerate(self.pieces[:_OPEN_AHEAD])
            if not isinstance(piece, bytes)
        }
        try:
            for i, piece in enumerate(self.pieces):
                if isinstance(piece, bytes):
                    yield piece
                    continue
                with opened.pop(i, None) or piece.path.open("rb") as file:
                    if isinstance(piece, SealedFile):
                        for data in sealing.opened(piece.cipher, file, piece.offset, piece.size):
                            yield data
                        continue
                    file.seek(piece.offset)
                    left = piece.size
                    while left:
                        data = file.read(min(CHUNK // 4, left))
                        if not data:
                            raise OSError(f"{piece.path} is shorter than it should be")
                        left -= len(data)
                        yield data
        finally:
            for file in opened.values():
                file.close()
