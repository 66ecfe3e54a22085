"""The rows in SQLite: what the redo log has on disk, ordered by key. SQLite itself is synced at checkpoints alone.

Rows are written in the loop because each SQLite call releases the interpreter lock: in a second thread every row would wait for the
busy loop to hand the lock back. They enter an open transaction (fast, nothing is synced) that commits once so many have come together.

A checkpoint has two steps. First a thread of its own copies pages into the database file and syncs it, while rows go on being written
and read. Then writes wait while the few pages that have changed meanwhile are copied: after that SQLite has everything on disk.

What SQLite cannot take (a full disk) stays in memory, `unapplied`, where transactions find it, until a retry succeeds.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

from cumulet.kernel.database import connect, create
from cumulet.kernel.faults import Faults
from cumulet.kernel.overlay import Overlay
from cumulet.kernel.redolog import Writes
from cumulet.kernel.rowcache import RowCache

_COMMIT_OVER_ROWS, _COMMIT_OVER_BYTES = 4096, 2 * 1024 * 1024
_WRITER_CACHE_KIB, _READER_CACHE_KIB, _COPIER_CACHE_KIB = 20 * 1024, 4 * 1024, 64
_ROW_CACHE_BYTES = 32 * 1024 * 1024
_FIRST_CHUNK, _CHUNK = 64, 1024
_ROWS_AT_ONCE = 16  # a statement for so many rows takes two thirds of the time of as many statements
_PUT = "INSERT INTO kv(k, v) VALUES (?, ?) ON CONFLICT(k) DO UPDATE SET v = excluded.v"
_PUT_SEVERAL = _PUT.replace("(?, ?)", ", ".join(["(?, ?)"] * _ROWS_AT_ONCE))
_GET = "SELECT v FROM kv WHERE k = ?"


class Rows:
    """The rows of the database file at `path`, or in memory. Raises: StoreUnavailable, sqlite3.DatabaseError."""

    def __init__(self, path: Path | None, faults: Faults) -> None:
        self.unapplied = Overlay()
        self._faults = faults
        self._cache = RowCache(_ROW_CACHE_BYTES)
        self._at_once = path is None  # no log has the rows
        self._uncommitted: list[Writes] = []  # applied since SQLite's last COMMIT
        self._uncommitted_rows = self._uncommitted_bytes = 0
        name = ":memory:" if path is None else str(path)
        self._writer = connect(name, _WRITER_CACHE_KIB)
        create(self._writer)
        self._reader = self._copier = self._writer
        if path is not None:
            self._reader = connect(name, _READER_CACHE_KIB)
            self._copier = connect(name, _COPIER_CACHE_KIB)
        self._source = self._writer  # what reads: it sees what is not committed yet

    # reading

    def read(self, k: bytes) -> bytes | None:
        found = self._cache.get(k)
        if found is not None:
            return found
        row = self._source.execute(_GET, (k,)).fetchone()
        if row is None:
            return None
        self._cache.put(k, row[0])
        return row[0]  # type: ignore[no-any-return]

    def between(self, low: bytes, high: bytes, limit: int | None, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        """Rows with low <= key < high in key order, fetched in chunks so that no cursor stays open."""
        chunk = _FIRST_CHUNK
        order = "DESC" if reverse else "ASC"
        while limit is None or limit > 0:
            size = chunk if limit is None else min(chunk, limit)
            rows = self._source.execute(
                f"SELECT k, v FROM kv WHERE k >= ? AND k < ? ORDER BY k {order} LIMIT ?", (low, high, size)
            ).fetchall()
            yield from rows
            if len(rows) < size:
                return
            if limit is not None:
                limit -= size
            if reverse:
                high = rows[-1][0]
            else:
                low = rows[-1][0] + b"\x00"
            chunk = _CHUNK

    # writing

    def apply(self, writes: Writes, size: int) -> None:
        """Write rows, of `size` bytes about, that are in the log."""
        self._cache.committed(writes)
        if self.unapplied.writes:
            self.unapplied.writes.update(writes)
            return
        self._uncommitted.append(writes)
        self._uncommitted_rows += len(writes)
        self._uncommitted_bytes += size
        try:
            if not self._writer.in_transaction:
                self._writer.execute("BEGIN IMMEDIATE")
            self._write(writes)
            many = self._uncommitted_rows >= _COMMIT_OVER_ROWS or self._uncommitted_bytes >= _COMMIT_OVER_BYTES
            if many or self._at_once:
                self._commit()
        except Exception:  # a full disk, the end of memory
            self._refused()

    def _write(self, writes: Writes) -> None:
        writer = self._writer
        puts = [(k, v) for k, v in writes.items() if v is not None]
        several = len(puts) - len(puts) % _ROWS_AT_ONCE
        for at in range(0, several, _ROWS_AT_ONCE):
            writer.execute(_PUT_SEVERAL, list(chain.from_iterable(puts[at : at + _ROWS_AT_ONCE])))
        if several < len(puts):
            writer.executemany(_PUT, puts[several:])
        if len(puts) < len(writes):
            writer.executemany("DELETE FROM kv WHERE k = ?", [(k,) for k, v in writes.items() if v is None])

    def _commit(self) -> None:
        """Commit what was applied, without a sync: the log has it."""
        if self._writer.in_transaction:
            self._faults.hit("store.apply")
            self._writer.execute("COMMIT")
        self._uncommitted.clear()
        self._uncommitted_rows = self._uncommitted_bytes = 0

    def _refused(self) -> None:
        """SQLite could not write and has perhaps undone what it had: keep in memory what it lacks."""
        with contextlib.suppress(sqlite3.Error):
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        for writes in self._uncommitted:
            self.unapplied.writes.update(writes)
        self._uncommitted.clear()
        self._uncommitted_rows = self._uncommitted_bytes = 0

    def retry(self) -> Exception | None:
        """Try again to write what was refused: why SQLite still refuses, or None."""
        if not self.unapplied.writes:
            return None
        refused, self.unapplied = self.unapplied.writes, Overlay()
        try:
            self._uncommitted.append(refused)
            self._writer.execute("BEGIN IMMEDIATE")
            self._write(refused)
            self._commit()
        except Exception as error:
            self._refused()
            return error
        return None

    def recover(self, frames: Iterable[Writes | None]) -> Exception | None:
        """Take over what a log has (None: everything was deleted), into memory where SQLite refuses. Why it did, or None.

        Raises: sqlite3.OperationalError, where rows that were deleted cannot be.
        """
        for writes in frames:
            if writes is None:
                self._writer.execute("DELETE FROM kv")
                self.unapplied = Overlay()
            else:
                self.unapplied.writes.update(writes)
        return self.retry()

    def empty(
        self, log: Callable[[], None] = lambda: None, take_back: Callable[[], None] = lambda: None
    ) -> Exception | None:
        """Delete all rows, where `log` could say so; or why they are still there, then `take_back` was called."""
        if (refused := self.retry()) is not None:
            return refused
        logged = False
        try:
            self._commit()
            self._writer.execute("BEGIN IMMEDIATE")
            self._writer.execute("DELETE FROM kv")
            log()
            logged = True
            self._commit()
        except Exception as error:
            if logged:
                take_back()
            self._refused()
            return error
        self._cache.clear()
        return None

    # checkpoints

    def copy(self) -> None:
        """Bring the pages of committed rows into the database file; in a thread of its own."""
        with contextlib.suppress(sqlite3.Error):  # then all is left to the checkpoint
            self._copier.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def begin_checkpoint(self) -> bool:
        """Commit, and leave the writing connection to another thread; False where rows are refused."""
        try:
            self._commit()
        except Exception:
            self._refused()
        if self.unapplied.writes:
            return False
        self._source = self._reader
        return True

    def checkpoint(self) -> bool:
        """Bring SQLite's pages into the database file and sync it; whether all of them are there."""
        try:
            self._faults.hit("store.checkpoint")
            busy, pages, moved = self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except Exception:  # a full disk: the log stays
            return False
        return not busy and pages == moved

    def end_checkpoint(self) -> None:
        self._source = self._writer

    def close(self, checkpoint: bool) -> bool:
        """Close, after a checkpoint if wanted; whether there was one, of everything."""
        whole = checkpoint and self.begin_checkpoint() and self.checkpoint()
        for connection in (self._copier, self._reader, self._writer):
            with contextlib.suppress(sqlite3.Error):  # what cannot be written now is in the log
                connection.close()
        return whole
