"""Request bodies as they arrive: small ones in memory, large ones in a file, hashed and written outside the loop."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from cumulet.aws.http import Body, HttpRequest
from cumulet.wire.chunked import AwsChunked, MalformedChunk

SPOOL_OVER = 64 * 1024
MEMORY_OVER = 16 * 1024 * 1024  # for requests of protocols whose bodies are parsed as a whole anyway
_JOB_BYTES = 256 * 1024
_BACKLOG_HIGH = 2 * 1024 * 1024
_BACKLOG_LOW = 512 * 1024
_numbers = itertools.count()


class BadBody(Exception):
    """A body that is not what its headers say. `code` and `message` are AWS's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Spool:
    """A file that receives a body; a `Spooled` once finished.

    One job at a time runs in the executor and takes all that has arrived meanwhile. `hold(True)` is called when more
    than 2 MiB wait to be written, `hold(False)` when they are.
    """

    def __init__(self, folder: Path, loop: asyncio.AbstractEventLoop, hold: Callable[[bool], None]) -> None:
        self.path = folder / f"body-{os.getpid()}-{next(_numbers)}"
        self.size = 0
        self.md5 = ""
        self.sha256 = ""
        self._loop = loop
        self._hold = hold
        self._held = False
        self._file: BinaryIO | None = None
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._job: asyncio.Future[None] | None = None
        self._done: Callable[[Exception | None], None] | None = None
        self._failure: Exception | None = None
        self._discarded = False

    def read(self) -> bytes:
        return self.path.read_bytes()

    def write(self, data: bytes) -> None:
        self.size += len(data)
        if self._failure is not None:
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= _JOB_BYTES and self._job is None:
            self._start()
        if self._waiting_bytes > _BACKLOG_HIGH and not self._held:
            self._held = True
            self._hold(True)

    def finish(self, done: Callable[[Exception | None], None]) -> None:
        """`done(failure)` is called when all is written and the digests are known."""
        self._done = done
        if self._job is None:
            self._start()

    def discard(self) -> None:
        """Remove the file, unless a transaction has moved it away."""
        self._discarded = True
        self._waiting.clear()
        self._waiting_bytes = 0
        if self._job is None:
            self._remove()

    def _remove(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self.path.unlink(missing_ok=True)

    def _start(self) -> None:
        parts, self._waiting, self._waiting_bytes = self._waiting, [], 0
        self._job = self._loop.run_in_executor(None, self._write, parts, self._done is not None)
        self._job.add_done_callback(self._written)

    def _write(self, parts: list[bytes], last: bool) -> None:
        if self._file is None:
            self._file = self.path.open("xb", buffering=0)
        data = b"".join(parts) if len(parts) > 1 else (parts[0] if parts else b"")
        view = memoryview(data)
        while view:
            view = view[os.write(self._file.fileno(), view) :]
        self._md5.update(data)
        self._sha256.update(data)
        if last:
            self._file.close()
            self._file = None
            self.md5, self.sha256 = self._md5.hexdigest(), self._sha256.hexdigest()

    def _written(self, job: asyncio.Future[None]) -> None:
        self._job = None
        failure = None if job.cancelled() else job.exception()
        if isinstance(failure, Exception):
            self._failure = self._failure or failure
        if self._discarded:
            self._remove()
            return
        if self._failure is not None:
            self._waiting.clear()
            self._waiting_bytes = 0
        if self._held and self._waiting_bytes <= _BACKLOG_LOW:
            self._held = False
            self._hold(False)
        if self._done is not None and (self.md5 or self._failure is not None):
            self._done(self._failure)
        elif self._done is not None or self._waiting_bytes >= _JOB_BYTES:
            self._start()


def is_plain(request: HttpRequest, data: bytes) -> bool:
    """Whether the first piece of a body is all of it, small, and not to be decoded: most bodies, which need no reader."""
    length = request.headers.get("content-length")
    return length == str(len(data)) and len(data) <= SPOOL_OVER and not _is_aws_chunked(request)


class BodyReader:
    """Collects the body of one request, decodes aws-chunked on the way, and checks the lengths that headers promise."""

    def __init__(
        self, request: HttpRequest, folder: Path, loop: asyncio.AbstractEventLoop, hold: Callable[[bool], None]
    ) -> None:
        self._request = request
        self._folder = folder
        self._loop = loop
        self._hold = hold
        self._parts: list[bytes] = []
        self._size = 0
        self._spool: Spool | None = None
        self._chunked = AwsChunked() if _is_aws_chunked(request) else None
        headers = request.headers
        whole = request.method == "POST" and (
            "x-amz-target" in headers
            or "smithy-protocol" in headers
            or headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        )
        self._limit = MEMORY_OVER if whole else SPOOL_OVER

    def feed(self, data: bytes) -> None:
        """Raises: BadBody."""
        if self._chunked is not None:
            try:
                data = self._chunked.feed(data)
            except MalformedChunk as error:
                raise BadBody("InvalidRequest", f"The aws-chunked body is malformed: {error}.") from error
            if not data:
                return
        self._size += len(data)
        if self._spool is not None:
            self._spool.write(data)
            return
        self._parts.append(data)
        if self._size > self._limit:
            self._spool = Spool(self._folder, self._loop, self._hold)
            for part in self._parts:
                self._spool.write(part)
            self._parts.clear()

    def finish(self, done: Callable[[Body | Exception], None]) -> None:
        """`done` gets the body, at once when it is in memory, or what went wrong."""
        try:
            if self._chunked is not None:
                self._finish_chunked(self._chunked)
        except BadBody as error:
            self.discard()
            done(error)
            return
        spool = self._spool
        if spool is None:
            done(self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))
        else:
            spool.finish(lambda failure: done(failure or spool))

    def discard(self) -> None:
        """The request has ended, or its client is gone."""
        self._parts.clear()
        if self._spool is not None:
            self._spool.discard()

    def _finish_chunked(self, chunked: AwsChunked) -> None:
        headers = self._request.headers
        try:
            chunked.finish()
        except MalformedChunk as error:
            raise BadBody("IncompleteBody", "The request body terminated unexpectedly") from error
        promised = headers.get("x-amz-decoded-content-length")
        if promised is not None and promised != str(self._size):
            raise BadBody(
                "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header"
            )
        encodings = [e for e in headers.get("content-encoding", "").split(",") if e.strip() not in ("", "aws-chunked")]
        if encodings:
            headers["content-encoding"] = ",".join(encodings).strip()
        else:
            headers.pop("content-encoding", None)
        for name, value in chunked.trailers.items():
            headers.setdefault(name, value)


def _is_aws_chunked(request: HttpRequest) -> bool:
    headers = request.headers
    digest = headers.get("x-amz-content-sha256", "")
    if digest.startswith("STREAMING-"):
        return not digest.startswith("STREAMING-AWS4-HMAC-SHA256-EVENTS")
    return "aws-chunked" in headers.get("content-encoding", "")
