"""Request bodies: small ones in memory, large ones in a file with their digests, decoded from aws-chunked on the way."""

from __future__ import annotations

import hashlib
import os
import uuid
from io import BufferedWriter
from pathlib import Path

from cumulet.aws.http import Body
from cumulet.wire.chunked import AwsChunked

IN_MEMORY_BYTES = 64 * 1024


class SpooledFile:
    """A body on disk; satisfies `cumulet.aws.http.Spooled`."""

    def __init__(self, path: Path, size: int, md5: str, sha256: str) -> None:
        self.path, self.size, self.md5, self.sha256 = path, size, md5, sha256

    def read(self) -> bytes:
        return self.path.read_bytes()

    def discard(self) -> None:
        """Remove the file, unless a transaction has moved it away."""
        self.path.unlink(missing_ok=True)


class BodyReader:
    """Collects one request's body."""

    __slots__ = ("_chunks", "_chunked", "_file", "_folder", "_md5", "_path", "_sha256", "size")

    def __init__(self, folder: Path, aws_chunked: bool) -> None:
        self._folder = folder
        self._chunked = AwsChunked() if aws_chunked else None
        self._chunks: list[bytes] = []
        self._file: BufferedWriter | None = None
        self.size = 0

    def feed(self, data: bytes) -> None:
        """Raises: MalformedChunk, OSError (a full disk)."""
        if self._chunked is not None:
            data = self._chunked.feed(data)
        self.size += len(data)
        if self._file is None:
            self._chunks.append(data)
            if self.size > IN_MEMORY_BYTES:
                self._to_file()
            return
        self._write(data)

    def _to_file(self) -> None:
        self._path = self._folder / f"body-{uuid.uuid4().hex}"
        self._file = self._path.open("wb", buffering=256 * 1024)
        self._md5, self._sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        chunks, self._chunks = self._chunks, []
        for chunk in chunks:
            self._write(chunk)

    def _write(self, data: bytes) -> None:
        assert self._file is not None
        self._file.write(data)
        self._md5.update(data)
        self._sha256.update(data)

    @property
    def trailers(self) -> dict[str, str]:
        return dict(self._chunked.trailers) if self._chunked is not None else {}

    def finish(self) -> Body:
        """The whole body. Raises: MalformedChunk when an aws-chunked body ended early."""
        if self._chunked is not None:
            self._chunked.finish()
        if self._file is None:
            return b"".join(self._chunks)
        self._file.flush()
        self._file.close()
        return SpooledFile(self._path, self.size, self._md5.hexdigest(), self._sha256.hexdigest())

    def abandon(self) -> None:
        """The client went away in the middle."""
        if self._file is not None:
            self._file.close()
            if os.path.exists(self._path):
                os.unlink(self._path)
            self._file = None
