"""The embedded store: ordered key-value rows in one SQLite file, group commit, answers only after the log is on disk.

Theory of operation. Transactions run one after another in the event loop's thread and merge into the *pending* batch.
When no commit is under way, the pending batch becomes the batch *in flight*: its rows are written in the loop's thread
(fast, nothing is synced), then COMMIT, with its fsync, runs in the commit thread while the loop collects the next batch.
Rows are written in the loop because each SQLite call releases the interpreter lock: in a second thread every row would
wait for the busy loop to hand the lock back.

What a crash leaves: before COMMIT returned, nothing of the batch (SQLite's write-ahead log cuts off an unfinished one);
after it, all of it, though perhaps no client was told. A failed commit (full disk) fails the batch and the pending
one, which may have read from it; both are forgotten and the next one starts clean.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import queue
import sqlite3
import sys
import tempfile
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from cumulet.kernel.blobs import Blobs, not_written
from cumulet.kernel.faults import Faults
from cumulet.kernel.keys import after_prefix, pack, unpack
from cumulet.kernel.record import Codec, R
from cumulet.kernel.rowcache import RowCache
from cumulet.kernel.tx import BLOB, TimerScope, Tx

Done = Callable[[Exception | None], None]

_SCHEMA_VERSION = 1
_CHECKPOINT_PAGES = 2048  # 16 MiB
_CHECK_WHOLE_BELOW_BYTES = 32 * 1024 * 1024
_CACHE_RECORDS = 8192
_WRITER_CACHE_KIB, _READER_CACHE_KIB = 8 * 1024, 16 * 1024
_ROW_CACHE_BYTES = 32 * 1024 * 1024
_CACHE_RECORD_BYTES = 16 * 1024
_FIRST_CHUNK, _CHUNK = 64, 1024


class StoreUnavailable(Exception):
    """The store cannot start or cannot write; the message says what, why, and what to do."""


class Fate:
    """What became of a batch, for what was noted in memory along with its writes: such a note is void once `failed`."""

    __slots__ = ("failed",)

    def __init__(self) -> None:
        self.failed = False


class Batch:
    """Writes that commit together, and who waits for them."""

    def __init__(self) -> None:
        self.fate = Fate()
        self.writes: dict[bytes, bytes | None] = {}
        self.signals: set[bytes] = set()
        self.done: list[Done] = []
        self.new_blobs: list[str] = []
        self.dropped_blobs: list[str] = []
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


class Store:
    """One data directory (or memory, when `folder` is None). Use it from one event loop's thread.

    on_commit   called after each commit with what was written and the keys that were signalled (for what is parked)
    """

    def __init__(self, folder: Path | None, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.codec = Codec()
        self.pending = Batch()
        self.in_flight: Batch | None = None
        self.on_commit: Callable[[dict[bytes, bytes | None], set[bytes]], None] = lambda writes, signals: None
        self.commits = 0
        self.failing = False  # the last commit could not be written
        self._cache: dict[bytes, tuple[type, Any]] = {}
        self._rows = RowCache(_ROW_CACHE_BYTES)
        self._scheduled = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock: int | None = None
        self._thread: threading.Thread | None = None
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._log_index: int | None = None
        self._checkpointing = False
        if folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="cumulet-")
            self.blobs = Blobs(Path(self._temporary.name) / "blobs")
            self._writer = self._reader = _connect(":memory:")
            _create(self._writer)
        else:
            self._open(folder)
        self._select = "SELECT v FROM kv WHERE k = ?"

    def _open(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(
                f"Cannot use {folder} as data directory: {error.strerror}. Choose another with --data."
            ) from error
        self._lock = _lock(folder)
        path = folder / "cumulet.db"
        try:
            _check(path)
            self._writer = _connect(str(path))
            self._reader = _connect(str(path), cache_kib=_READER_CACHE_KIB)
            _create(self._writer)
            self._writer.execute("BEGIN IMMEDIATE")  # brings the log's index file into being
            self._writer.execute("COMMIT")
            self._log_index = os.open(folder / "cumulet.db-shm", os.O_RDONLY | os.O_CLOEXEC)
        except (sqlite3.DatabaseError, StoreUnavailable) as error:
            os.close(self._lock)
            self._lock = None
            if isinstance(error, StoreUnavailable):
                raise
            raise _corrupt(path, str(error)) from error
        self.blobs = Blobs(folder / "blobs")
        self.blobs.sweep(
            {str(unpack(k)[1]) for k, _ in self.rows(pack((BLOB,)), after_prefix(pack((BLOB,))), None, False)}
        )
        self._thread = threading.Thread(target=self._commit_loop, name="cumulet-commit", daemon=True)
        self._thread.start()

    # reading committed rows

    def read(self, k: bytes) -> bytes | None:
        found = self._rows.get(k)
        if found is not None:
            return found
        row = self._reader.execute(self._select, (k,)).fetchone()
        if row is None:
            return None
        self._rows.put(k, row[0])
        return row[0]  # type: ignore[no-any-return]

    def read_record(self, k: bytes, type_: type[R]) -> R | None:
        hit = self._cache.get(k)
        if hit is not None and hit[0] is type_:
            return hit[1]  # type: ignore[no-any-return]
        raw = self.read(k)
        if raw is None:
            return None
        record = self.codec.decode(raw, type_)
        if len(raw) <= _CACHE_RECORD_BYTES:
            if len(self._cache) >= _CACHE_RECORDS:
                self._cache.clear()
            self._cache[k] = (type_, record)
        return record

    def rows(self, low: bytes, high: bytes, limit: int | None, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        """Committed rows, fetched in chunks so that no cursor stays open."""
        chunk = _FIRST_CHUNK
        order = "DESC" if reverse else "ASC"
        while limit is None or limit > 0:
            size = chunk if limit is None else min(chunk, limit)
            rows = self._reader.execute(
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

    # transactions

    @property
    def fate(self) -> Fate:
        """The fate of a transaction that runs now: it merges into the batch that collects when its function returns."""
        return self.pending.fate

    def begin(self, scope: TimerScope) -> Tx:
        return Tx(self, scope)

    def finish(self, tx: Tx, done: Done, durable: bool = True) -> None:
        """Merge a transaction's writes; `done(None)` is called once they, and all they depend on, are on disk.

        A transaction that wrote nothing and read only committed rows is done at once. With `durable` False, `done` is
        called at once and the writes follow with the next commit.
        """
        pending = self.pending
        if tx.signals:
            pending.signals |= tx.signals
            self._schedule()
        if tx.writes:
            pending.writes.update(tx.writes)
            if self._cache:
                for k in tx.writes:
                    self._cache.pop(k, None)
            pending.new_blobs += tx.new_blobs
            pending.dropped_blobs += tx.dropped_blobs
            if durable:
                pending.done.append(done)
            self._schedule()
            if not durable:
                done(None)
        elif tx.depends == 2 and durable:
            pending.done.append(done)
        elif tx.depends == 1 and durable and self.in_flight is not None:
            self.in_flight.done.append(done)
        else:
            done(None)

    async def transact(self, work: Callable[[Tx], Any], scope: TimerScope | None = None) -> Any:
        """Run `work(tx)` and wait until it is on disk. Raises: what `work` raises, StoreUnavailable."""
        tx = self.begin(scope or TimerScope(account="", region=""))
        result = work(tx)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(error: Exception | None) -> None:
            if waiter.done():
                return
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)

        self.finish(tx, done)
        await waiter
        return result

    # committing

    def _schedule(self) -> None:
        if self._scheduled or self.in_flight is not None or self._checkpointing:
            return
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.get_running_loop()
        self._scheduled = True
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        if self.in_flight is not None or self._checkpointing:
            return
        if not self.pending.writes:
            if self.pending.signals:
                signals, self.pending.signals = self.pending.signals, set()
                self.on_commit({}, signals)
            return
        batch, self.pending = self.pending, Batch()
        self.in_flight = batch
        try:
            self._write_rows(batch)
        except sqlite3.Error as error:
            self._finished(batch, error)
            return
        if self._thread is not None:
            self._queue.put(batch)
            return
        try:
            self._commit(batch)
        except (sqlite3.Error, OSError) as error:
            self._finished(batch, error)
        else:
            self._finished(batch, None)

    def _write_rows(self, batch: Batch) -> None:
        writer = self._writer
        writer.execute("BEGIN IMMEDIATE")
        puts = [(k, v) for k, v in batch.writes.items() if v is not None]
        if puts:
            writer.executemany("INSERT INTO kv(k, v) VALUES (?, ?) ON CONFLICT(k) DO UPDATE SET v = excluded.v", puts)
        if len(puts) < len(batch.writes):
            writer.executemany("DELETE FROM kv WHERE k = ?", [(k,) for k, v in batch.writes.items() if v is None])

    def _commit(self, batch: Batch) -> None:
        if batch.new_blobs:
            self.blobs.settle(batch.new_blobs)
        self.faults.hit("store.commit")
        self._writer.execute("COMMIT")
        self.faults.hit("store.committed")

    def _commit_loop(self) -> None:
        while (batch := self._queue.get()) is not None:
            error: Exception | None = None
            try:
                self._commit(batch)
            except (sqlite3.Error, OSError) as failure:
                error = failure
            if self._loop is None:
                return
            checkpoint = error is None and self._log_frames() > _CHECKPOINT_PAGES
            if checkpoint:
                self._checkpointing = True  # answers go out, the next batch waits until the log is moved
            try:
                self._loop.call_soon_threadsafe(self._finished, batch, error)
            except RuntimeError:  # the loop is closed: the process ends
                return
            if checkpoint:
                with contextlib.suppress(sqlite3.Error):  # a full disk: the log stays, the next commit tries again
                    self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                self._loop.call_soon_threadsafe(self._checkpointed)

    def _log_frames(self) -> int:
        """Pages in the log: mxFrame, a 32-bit integer at byte 16 of the index file.

        Source: sqlite.org/walformat.html, "The WAL-Index Header".
        """
        if self._log_index is None:
            return 0
        return int.from_bytes(os.pread(self._log_index, 4, 16), sys.byteorder)

    def _checkpointed(self) -> None:
        self._checkpointing = False
        if self.pending.writes or self.pending.signals:
            self._flush()

    def _finished(self, batch: Batch, error: Exception | None) -> None:
        self.in_flight = None
        if error is not None:
            self._failed(batch, error)
            return
        self.commits += 1
        self.failing = False
        self._rows.committed(batch.writes)
        if batch.new_blobs:
            self.blobs.settled(batch.new_blobs)
        if batch.dropped_blobs:
            self.blobs.drop(batch.dropped_blobs)
        if self.pending.writes or self.pending.signals:
            self._flush()
        self.on_commit(batch.writes, batch.signals)
        for done in batch.done:
            done(None)

    def _failed(self, batch: Batch, error: Exception) -> None:
        self.failing = True
        with contextlib.suppress(sqlite3.Error):
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        forgotten, self.pending = self.pending, Batch()
        self._cache.clear()
        failure = StoreUnavailable(not_written(error))
        for each in (batch, forgotten):
            each.fate.failed = True
            self.blobs.drop(each.new_blobs)
            for done in each.done:
                done(failure)

    # the whole

    async def settle(self) -> None:
        """Wait until nothing is pending or in flight."""
        while self.in_flight is not None or self.pending.writes or self._checkpointing:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()

            def done(error: Exception | None, waiter: asyncio.Future[None] = waiter) -> None:
                if not waiter.done():
                    waiter.set_result(None)

            batch = self.pending if self.pending.writes else self.in_flight
            if batch is None:
                await asyncio.sleep(0)
                continue
            batch.done.append(done)
            await waiter

    async def clear(self) -> None:
        """Back to empty."""
        await self.settle()
        self._writer.execute("DELETE FROM kv")
        self._cache.clear()
        self._rows.clear()
        self.blobs.clear()

    def close(self) -> None:
        """Close after `settle`; what is still in flight ends first."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
        self._reader.close()
        self._writer.close()
        for descriptor in (self._log_index, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        if self._temporary is not None:
            self._temporary.cleanup()


def _connect(path: str, cache_kib: int = _WRITER_CACHE_KIB) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    for pragma in (
        "page_size = 8192",
        "journal_mode = WAL",
        "synchronous = FULL",
        f"cache_size = -{cache_kib}",
        "wal_autocheckpoint = 0",
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _create(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == _SCHEMA_VERSION:
        return
    if version != 0:
        raise StoreUnavailable(
            f"The data directory was written by another version of Cumulet (schema {version}, this one reads {_SCHEMA_VERSION}). "
            "Start that version, or choose another directory with --data."
        )
    connection.execute("CREATE TABLE IF NOT EXISTS kv(k BLOB PRIMARY KEY, v BLOB NOT NULL)")
    connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")


def _lock(folder: Path) -> int:
    """Take the directory for this process. Raises: StoreUnavailable with the pid that has it."""
    path = folder / "cumulet.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        pid = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreUnavailable(
            f"{folder} is in use by another Cumulet, pid {pid}. Stop it (cumulet down), or choose another directory with --data."
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def _check(path: Path) -> None:
    """Look at an existing database through a read-only connection. Raises: StoreUnavailable; touches nothing."""
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            pragma = "quick_check(1)" if path.stat().st_size < _CHECK_WHOLE_BELOW_BYTES else "schema_version"
            answer = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
            connection.execute("SELECT 1 FROM kv LIMIT 1").fetchall() if _has_table(connection) else None
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise _corrupt(path, str(error)) from error
    if isinstance(answer, str) and answer != "ok":
        raise _corrupt(path, answer)


def _has_table(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'kv'").fetchone() is not None


def _corrupt(path: Path, why: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"{path} is not a sound database ({why}). Nothing was changed. Restore it from a copy, or move the folder away "
        "and start with an empty one (--data)."
    )
