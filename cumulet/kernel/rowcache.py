"""The rows that were written or read last, by key, as committed: a read that finds its row here needs no database page.

Two generations: rows enter the young one; when that is full it becomes the old one, and what was the old one is forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping

_LARGEST_ROW = 8 * 1024
_OVERHEAD = 150  # of a row in the two dictionaries, roughly


class RowCache:
    """Holds at most `size` bytes."""

    def __init__(self, size: int) -> None:
        self._half = size // 2
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}
        self._filled = 0

    def get(self, k: bytes) -> bytes | None:
        found = self._young.get(k)
        return self._old.get(k) if found is None else found

    def put(self, k: bytes, v: bytes) -> None:
        if len(v) > _LARGEST_ROW:
            return
        self._young[k] = v
        self._fill(len(k) + len(v) + _OVERHEAD)

    def _fill(self, added: int) -> None:
        self._filled += added
        if self._filled > self._half:
            self._old, self._young, self._filled = self._young, {}, 0

    def committed(self, writes: Mapping[bytes, bytes | None]) -> None:
        """Take over a commit's rows."""
        young, filled = self._young, 0
        for k, v in writes.items():
            if v is None or len(v) > _LARGEST_ROW:
                young.pop(k, None)
                self._old.pop(k, None)
            else:
                young[k] = v
                filled += len(k) + len(v) + _OVERHEAD
        self._fill(filled)

    def clear(self) -> None:
        self._young, self._old, self._filled = {}, {}, 0
