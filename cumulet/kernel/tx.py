"""A transaction: reads its own writes, buffers them, and commits all or nothing.

Reads look in this order: own writes, the batch that collects (pending), the batch that is being committed (in flight),
the record cache, the database. A read that met a batch makes the transaction's answer wait for that batch's commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cumulet.aws.http import Spooled
from cumulet.kernel.keys import Key, after_prefix, pack, unpack
from cumulet.kernel.record import R, Record

if TYPE_CHECKING:
    from cumulet.kernel.store import Store
    from cumulet.kernel.trace import Span

BLOB_OVER_BYTES = 64 * 1024
TIMER = "~timer"
BLOB = "~blob"
_MISSING: Any = object()


class TimerScope(Record):
    """On whose behalf a timer fires."""

    account: str
    region: str
    trace: str | None = None


class Tx:
    """One transaction. Keys are tuples, or the bytes of `pack` where a hot path keeps them packed."""

    __slots__ = (
        "_store",
        "_undo",
        "_writes",
        "depends",
        "dropped_blobs",
        "earliest_wake",
        "new_blobs",
        "origin",
        "scope",
        "signals",
        "span",
    )

    def __init__(self, store: Store, scope: TimerScope) -> None:
        self._store = store
        self._writes: dict[bytes, bytes | None] = {}
        self._undo: list[tuple[bytes, Any]] | None = None
        self.depends = 0  # 0: only committed data was read; 1: in flight; 2: pending
        self.earliest_wake: float | None = None
        self.new_blobs: list[str] = []
        self.dropped_blobs: list[str] = []
        self.scope = scope
        self.signals: set[bytes] | None = None
        self.span: Span | None = None  # whose trace timers go on with, where `scope` names none
        self.origin: bytes | None = None  # the timer that runs in this transaction: packed (handler, *key)

    # reads

    def get_bytes(self, key: Key | bytes) -> bytes | None:
        """The stored bytes, or None."""
        k = key if type(key) is bytes else pack(key)  # type: ignore[arg-type]
        found = self._buffered(k)
        return self._store.rows.read(k) if found is _MISSING else found

    def get(self, key: Key | bytes, type_: type[R]) -> R | None:
        """The record under `key`, or None. Records are shared: never change what is inside one."""
        k = key if type(key) is bytes else pack(key)  # type: ignore[arg-type]
        found = self._buffered(k)
        if found is not _MISSING:
            return None if found is None else self._store.codec.decode(found, type_)
        return self._store.read_record(k, type_)

    def _buffered(self, k: bytes) -> Any:
        if k in self._writes:
            return self._writes[k]
        store = self._store
        if k in store.pending.writes:
            self.depends = 2
            return store.pending.writes[k]
        if store.in_flight is not None and k in store.in_flight.writes:
            if self.depends == 0:
                self.depends = 1
            return store.in_flight.writes[k]
        unapplied = store.rows.unapplied.writes
        return unapplied.get(k, _MISSING) if unapplied else _MISSING

    def scan(
        self,
        prefix: Key,
        type_: type[R],
        *,
        start: Key | None = None,
        end: Key | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[Key, R]]:
        """(key, record) under `prefix` in key order: from `start` (inclusive, a whole key) to before `end` (a whole key)."""
        low, high = self._range(prefix, start, end)
        decode = self._store.codec.decode
        for k, v in self.scan_bytes(low, high, limit=limit, reverse=reverse):
            yield unpack(k), decode(v, type_)

    def scan_keys(
        self,
        prefix: Key,
        *,
        start: Key | None = None,
        end: Key | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[Key]:
        """As `scan`, the keys alone."""
        low, high = self._range(prefix, start, end)
        for k, _ in self.scan_bytes(low, high, limit=limit, reverse=reverse):
            yield unpack(k)

    @staticmethod
    def _range(prefix: Key, start: Key | None, end: Key | None) -> tuple[bytes, bytes]:
        base = pack(prefix)
        low = base if start is None else max(base, pack(start))
        high = after_prefix(base) if end is None else min(after_prefix(base), pack(end))
        return low, high

    def scan_bytes(
        self, low: bytes, high: bytes, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """(packed key, bytes) with low <= key < high in key order, or in reverse."""
        overlay = self._overlay(low, high)
        rows = self._store.rows.between(low, high, None if limit is None else limit + len(overlay), reverse)
        if not overlay:
            yield from rows
            return
        yield from _merge(rows, overlay, limit, reverse)

    def _overlay(self, low: bytes, high: bytes) -> dict[bytes, bytes | None]:
        store = self._store
        overlay: dict[bytes, bytes | None] = {}
        if store.rows.unapplied.writes:
            overlay.update(store.rows.unapplied.between(low, high))
        if store.in_flight is not None:
            flying = store.in_flight.between(low, high)
            overlay.update(flying)
            if flying and self.depends == 0:
                self.depends = 1
        before = len(overlay)
        pending = store.pending.between(low, high)
        if pending:
            self.depends = 2
            overlay.update(pending)
        if self._writes:
            overlay.update({k: v for k, v in self._writes.items() if low <= k < high})
        return overlay if before or overlay else {}

    # writes

    def put(self, key: Key | bytes, value: Record | bytes) -> None:
        k = key if type(key) is bytes else pack(key)  # type: ignore[arg-type]
        v = value if isinstance(value, bytes) else self._store.codec.encode(value)
        if self._undo is None:
            self._writes[k] = v
        else:
            self._set(k, v)

    def delete(self, key: Key | bytes) -> None:
        """Delete one key; a missing one is fine."""
        self._set(key if type(key) is bytes else pack(key), None)  # type: ignore[arg-type]

    def delete_all(self, prefix: Key) -> None:
        """Delete every key under `prefix`. One transaction: for ranges of thousands, not millions."""
        base = pack(prefix)
        for k, _ in list(self.scan_bytes(base, after_prefix(base))):
            self._set(k, None)

    def add(self, key: Key | bytes, amount: int = 1) -> int:
        """Add to the counter under `key` (0 when missing) and return its new value."""
        raw = self.get_bytes(key)
        value = (int(raw) if raw else 0) + amount
        self.put(key, b"%d" % value)
        return value

    def counter(self, key: Key | bytes) -> int:
        raw = self.get_bytes(key)
        return int(raw) if raw else 0

    def _set(self, k: bytes, v: bytes | None) -> None:
        if self._undo is not None:
            self._undo.append((k, self._writes.get(k, _MISSING)))
        self._writes[k] = v

    def wake(self, at: float, handler: str, key: Key, *, fresh: bool = False) -> None:
        """Run the service's timer `handler` with `key` at `at` (epoch seconds) or soon after, at least once.

        The same (at, handler, key) is one timer. There is no cancel: a handler looks at its record first. The timer goes
        on with this transaction's trace, unless it is `fresh` or one that sets itself again: those begin a new one.
        """
        at = float(at)
        scope = self.scope
        if fresh or (self.origin is not None and self.origin == pack((handler, *key))):
            if scope.trace is not None:
                scope = TimerScope(account=scope.account, region=scope.region)
        elif scope.trace is None and self.span is not None:
            scope = TimerScope(account=scope.account, region=scope.region, trace=self.span.header())
        self.put((TIMER, at, handler, *key), scope)
        if self.earliest_wake is None or at < self.earliest_wake:
            self.earliest_wake = at

    def signal(self, key: Key | bytes) -> None:
        """Wake what waits on `key` (see `Wait`) after the commit, without writing a row."""
        if self.signals is None:
            self.signals = set()
        self.signals.add(key if type(key) is bytes else pack(key))  # type: ignore[arg-type]

    # blobs

    def put_blob(self, data: bytes | Iterable[bytes]) -> str:
        """Store bytes, or pieces of them, as a file; returns its id. For bodies over BLOB_OVER_BYTES; smaller ones belong into the record."""
        blob_id = self._store.blobs.write(data)
        return self._named(blob_id)

    def adopt_blob(self, spooled: Spooled) -> str:
        """Take over a spooled request body; returns the blob's id."""
        return self._named(self._store.blobs.adopt(spooled.path))

    def copy_blob(self, blob_id: str) -> str:
        """A new blob with the same bytes, as a link: no byte is copied, and either may be deleted."""
        return self._named(self._store.blobs.link(blob_id))

    def _named(self, blob_id: str) -> str:
        self.new_blobs.append(blob_id)
        self.put((BLOB, blob_id), b"")
        return blob_id

    def blob_path(self, blob_id: str) -> Path:
        """The file with the blob's bytes; read-only."""
        return self._store.blobs.path(blob_id)

    def committed_blob_path(self, blob_id: str) -> Path:
        """Where the blob's file is once what this transaction read is committed: for effects and answers, which come after."""
        return self._store.blobs.committed_path(blob_id)

    def read_blob(self, blob_id: str) -> bytes:
        try:
            return self.blob_path(blob_id).read_bytes()
        except FileNotFoundError:  # the commit's thread has just moved it to its place
            return self.committed_blob_path(blob_id).read_bytes()

    def delete_blob(self, blob_id: str) -> None:
        self.dropped_blobs.append(blob_id)
        self.delete((BLOB, blob_id))

    # nesting

    def savepoint(self) -> int:
        """Begin a part that can be undone alone; give the mark to `release` or `rollback`."""
        if self._undo is None:
            self._undo = []
        return len(self._undo)

    def rollback(self, mark: int) -> None:
        assert self._undo is not None
        while len(self._undo) > mark:
            k, old = self._undo.pop()
            if old is _MISSING:
                del self._writes[k]
            else:
                self._writes[k] = old
        if self.dropped_blobs:
            self.dropped_blobs = [
                each for each in self.dropped_blobs if self._writes.get(pack((BLOB, each)), b"") is None
            ]
        if self.new_blobs:
            undone = [each for each in self.new_blobs if pack((BLOB, each)) not in self._writes]
            self.new_blobs = [each for each in self.new_blobs if each not in undone]
            self._store.blobs.drop(undone)

    @property
    def writes(self) -> dict[bytes, bytes | None]:
        return self._writes

    def abandon(self) -> None:
        """Forget all writes; what was read stays read."""
        self._writes = {}
        self.earliest_wake = self.signals = None
        if self.new_blobs:
            self._store.blobs.drop(self.new_blobs)
            self.new_blobs = []
        self.dropped_blobs = []


def _merge(
    rows: Iterator[tuple[bytes, bytes]], overlay: dict[bytes, bytes | None], limit: int | None, reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    count = 0
    keys = iter(sorted(overlay, reverse=reverse))
    above = next(keys, None)
    row = next(rows, None)
    while above is not None or row is not None:
        if limit is not None and count >= limit:
            return
        from_overlay = row is None or (above is not None and (above >= row[0] if reverse else above <= row[0]))
        if from_overlay:
            assert above is not None
            value = overlay[above]
            if row is not None and row[0] == above:
                row = next(rows, None)
            if value is not None:
                count += 1
                yield above, value
            above = next(keys, None)
        else:
            assert row is not None
            count += 1
            yield row
            row = next(rows, None)
