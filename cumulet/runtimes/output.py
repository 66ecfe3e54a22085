"""What an environment prints, cut into log lines.

Lines longer than Lambda's largest log event are cut into several. What one invocation may keep in memory is
bounded; the rest is counted and named in the log. A function that prints faster than the server reads is held back
by the full pipe.
"""

from __future__ import annotations

from collections.abc import Callable

LINE_LIMIT_BYTES = 256 * 1024
LOG_LIMIT_BYTES = 16 << 20

Log = list[tuple[float, str]]


class Output:
    """Collects the lines of one environment; `take` hands over what has been collected."""

    __slots__ = ("_buffer", "_dropped", "_kept_bytes", "_marker", "_now", "_on_marker", "lines")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._buffer = bytearray()
        self._marker: bytes | None = None
        self._on_marker: Callable[[], None] | None = None
        self._kept_bytes = 0
        self._dropped = 0
        self.lines: Log = []

    def expect(self, marker: bytes, then: Callable[[], None]) -> None:
        """Call `then` when `marker` appears: between the lines before it and those after it."""
        self._marker, self._on_marker = marker, then

    def feed(self, data: bytes) -> None:
        """Take in what was read from the pipe."""
        self._buffer += data
        if self._marker is not None and self._on_marker is not None:
            at = self._buffer.find(self._marker)
            if at >= 0:
                after = bytes(self._buffer[at + len(self._marker) :])
                del self._buffer[at:]
                self.flush()
                then, self._marker, self._on_marker = self._on_marker, None, None
                then()
                self._buffer += after
        self._cut()

    def flush(self) -> None:
        """Make a line of what has no line feed yet."""
        self._cut()
        if self._buffer:
            self._keep(bytes(self._buffer))
            self._buffer.clear()

    def add(self, text: str) -> None:
        """Add a line of the platform's own."""
        self.lines.append((self._now(), text))

    def take(self) -> Log:
        """Hand over the lines collected so far."""
        if self._dropped:
            self.add(f"[cumulet] {self._dropped} more lines were not kept: one invocation logs up to 16 MB")
        lines, self.lines = self.lines, []
        self._kept_bytes = self._dropped = 0
        return lines

    def _cut(self) -> None:
        buffer = self._buffer
        if b"\n" in buffer:
            *lines, rest = bytes(buffer).split(b"\n")
            buffer[:] = rest
            for line in lines:
                self._keep(line)
        while len(buffer) >= LINE_LIMIT_BYTES + 64:  # 64: a marker stays whole
            self._keep(bytes(buffer[:LINE_LIMIT_BYTES]))
            del buffer[:LINE_LIMIT_BYTES]

    def _keep(self, line: bytes) -> None:
        if self._kept_bytes + len(line) > LOG_LIMIT_BYTES:
            self._dropped += 1
            return
        self._kept_bytes += len(line) + 64
        now = self._now()
        for start in range(0, len(line) or 1, LINE_LIMIT_BYTES):
            text = line[start : start + LINE_LIMIT_BYTES].decode("utf-8", "replace")
            self.lines.append((now, text.rstrip("\r").replace("\r", "\n")))
