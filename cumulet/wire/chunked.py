"""The aws-chunked content encoding, decoded as it arrives.

Lines end in CR LF: `size[;chunk-signature=...]`, data, ..., `0[;chunk-signature=...]`, trailers, an empty line.
Signatures of chunks are collected, not verified. Source: S3 API reference, "Signature calculations for the
authorization header: transferring payload in multiple chunks" and "... including trailing headers".
"""

from __future__ import annotations

_MAX_LINE = 8192
_MAX_TRAILERS = 64
_HEX = frozenset("0123456789abcdefABCDEF")


class MalformedChunk(ValueError):
    """A body that is not in the aws-chunked encoding it claims."""


class AwsChunked:
    """An incremental decoder: `feed` gives the payload that is complete so far; `done` says that the body has ended.

    trailers     names in lower case -> values, complete once `done`
    signatures   the chunk signatures in order, the final empty chunk's last
    """

    def __init__(self) -> None:
        self.trailers: dict[str, str] = {}
        self.signatures: list[str] = []
        self.done = False
        self._buffer = bytearray()
        self._left = 0  # bytes of the current chunk that are still to come
        self._state = self._size_line

    def feed(self, data: bytes) -> bytes:
        """Raises: MalformedChunk."""
        if self.done:
            if data.strip(b"\r\n"):
                raise MalformedChunk("data after the end of the body")
            return b""
        out: list[bytes] = []
        if self._left and not self._buffer:  # inside a chunk: no copy through the buffer
            part = data if len(data) <= self._left else data[: self._left]
            self._left -= len(part)
            out.append(part)
            if len(part) == len(data) and self._left:
                return part
            data = data[len(part) :]
            self._state = self._data_end
        self._buffer += data
        while self._state(out):
            pass
        return b"".join(out)

    def finish(self) -> None:
        """To be called at the end of the body. Raises: MalformedChunk when it ended too early."""
        if self.done:
            return
        if self._state == self._trailer and not self._buffer:  # some clients leave out the last empty line
            self.done = True
            return
        raise MalformedChunk("the body ended before its last chunk")

    def _line(self) -> str | None:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > _MAX_LINE:
                raise MalformedChunk("a line is too long")
            return None
        if end > _MAX_LINE:
            raise MalformedChunk("a line is too long")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        try:
            return line.decode()
        except UnicodeDecodeError as e:
            raise MalformedChunk("a line is not text") from e

    def _size_line(self, out: list[bytes]) -> bool:
        line = self._line()
        if line is None:
            return False
        size, *extensions = line.split(";")
        size = size.strip()
        if not size or len(size) > 16 or not _HEX.issuperset(size):
            raise MalformedChunk(f"not a chunk size: {size[:32]!r}")
        for extension in extensions:
            name, _, value = extension.partition("=")
            if name.strip() == "chunk-signature":
                self.signatures.append(value.strip())
        self._left = int(size, 16)
        self._state = self._data if self._left else self._trailer
        return True

    def _data(self, out: list[bytes]) -> bool:
        with memoryview(self._buffer) as view:
            part = bytes(view[: self._left])
        if not part:
            return False
        del self._buffer[: len(part)]
        self._left -= len(part)
        out.append(part)
        if self._left:
            return False
        self._state = self._data_end
        return True

    def _data_end(self, out: list[bytes]) -> bool:
        if len(self._buffer) < 2:
            return False
        if self._buffer[:2] != b"\r\n":
            raise MalformedChunk("a chunk is longer than its size")
        del self._buffer[:2]
        self._state = self._size_line
        return True

    def _trailer(self, out: list[bytes]) -> bool:
        line = self._line()
        if line is None:
            return False
        if not line:
            self.done = True
            return False
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or len(self.trailers) >= _MAX_TRAILERS:
            raise MalformedChunk("not a trailer")
        self.trailers[name.strip().lower()] = value.strip()
        return True
