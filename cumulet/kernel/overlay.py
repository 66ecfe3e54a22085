"""Writes that are not among SQLite's rows yet, found by key and by range."""

from __future__ import annotations

from bisect import bisect_left
from itertools import islice


class Overlay:
    """Writes by packed key (None: deleted). Keys are only added; begin a new one to forget them."""

    def __init__(self) -> None:
        self.writes: dict[bytes, bytes | None] = {}
        self._sorted: list[bytes] = []

    def between(self, low: bytes, high: bytes) -> dict[bytes, bytes | None]:
        """The writes with low <= key < high."""
        if not self.writes:
            return {}
        if len(self._sorted) != len(self.writes):  # two sorted runs, which `sort` merges
            self._sorted.extend(sorted(islice(self.writes, len(self._sorted), None)))
            self._sorted.sort()
        keys = self._sorted[bisect_left(self._sorted, low) : bisect_left(self._sorted, high)]
        return {k: self.writes[k] for k in keys}
