"""The redo log: what was committed and is not yet in the database for good, in one file that is written from front to back.

A commit is a frame: the log's generation (8 random bytes), the payload's length and CRC-32, the payload (a batch's rows as
MessagePack; nil for "everything was deleted"). Once the database has all of it on disk, the log starts again at the front under a new
generation, over its old bytes, so that a sync writes data and hardly ever the file's length. Before that, the front is blanked: of a
first frame that loses its beginning to a power cut, old frames would be left that set rows back. Rows are absolute values: applying frames
again that the database has already changes nothing, as long as all that follow are applied, too.

What a crash leaves: whole frames of one generation, perhaps one that is cut off, perhaps old ones behind. Reading ends at the first that
is not whole or not of the first frame's generation.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

Writes = Mapping[bytes, bytes | None]

_FRAME = struct.Struct(">8sII")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[bytes, bytes | None] | None).decode


class RedoLog:
    """The log at `path`. `size` is where the next frame goes."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_DSYNC, 0o644)
        self.size = self._last = 0  # where the last frame begins
        self._generation = os.urandom(8)
        sync_folder(path.parent)  # a file that nobody finds after a power cut holds nothing

    def replay(self) -> Iterator[Writes | None]:
        """What the frames say, oldest first: rows, or None where everything was deleted. The next frame goes behind them."""
        while len(head := os.pread(self._file, _FRAME.size, self.size)) == _FRAME.size:
            generation, length, digest = _FRAME.unpack(head)
            if self.size and generation != self._generation:
                return
            payload = self._read(length, self.size + _FRAME.size)
            if payload is None or _digest(generation, payload) != digest:
                return
            self._generation = generation
            self.size += _FRAME.size + length
            yield _decode(payload)

    def _read(self, length: int, at: int) -> bytes | None:
        if at + length > os.fstat(self._file).st_size:
            return None
        found = os.pread(self._file, length, at)
        while len(found) < length:  # over 2 GiB
            found += os.pread(self._file, length - len(found), at + len(found))
        return found

    def frame(self, writes: Writes | None) -> bytes:
        """The next frame."""
        payload = _encode(writes)
        return _FRAME.pack(self._generation, len(payload), _digest(self._generation, payload)) + payload

    def append(self, frame: bytes) -> None:
        """Write a frame and sync it. Raises: OSError; the log is then as it was."""
        try:
            done = os.pwrite(self._file, frame, self.size)
            while done < len(frame):  # a disk that fills, or over 2 GiB
                done += os.pwrite(self._file, memoryview(frame)[done:], self.size + done)
        except BaseException:
            self._cut()
            raise
        self._last = self.size
        self.size += len(frame)

    def take_back(self) -> None:
        """Forget the frame that was appended last."""
        self.size = self._last
        self._cut()

    def _cut(self) -> None:
        """End the file where the next frame goes, so that no start finds what was refused."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, self.size)
            os.fsync(self._file)  # O_DSYNC is for writes alone

    def restart(self) -> None:
        """Begin again at the front: the database has everything on disk."""
        self.size = 0
        self._generation = os.urandom(8)
        with contextlib.suppress(OSError):  # then the next frame is the one to be written whole
            os.pwrite(self._file, bytes(_FRAME.size), 0)

    def empty(self) -> None:
        """As `restart`, and give the file's space back."""
        self.restart()
        self._cut()

    def close(self) -> None:
        os.close(self._file)


def sync_folder(folder: Path) -> None:
    """Have the names in it on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(generation: bytes, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(generation))
