"""The embedded store: ordered key-value rows in one SQLite file, group commit, answers only after the redo log is on disk.

Theory of operation. Transactions run one after another in the event loop's thread and merge into the *pending* batch.
When no commit is under way, the pending batch becomes the batch *in flight*: the commit thread appends it to the redo log and
syncs that, while the loop collects the next batch. Then the loop writes the batch's rows into an open SQLite transaction (fast,
nothing is synced) and answers. SQLite commits once so many rows have come together, its pages are synced when the redo log has grown
long; then the log starts anew. Rows are written in the loop because each SQLite call releases the interpreter lock: in a second
thread every row would wait for the busy loop to hand the lock back.

What a crash leaves: before the log was synced, nothing of the batch or all of it; after that, all of it, though perhaps no client was
told. The next start applies the log to what SQLite has. A log that cannot be written (full disk) fails the batch and the pending one,
which may have read from it; both are forgotten and the next one starts clean. Rows that are in the log but that SQLite cannot take
stay in memory, where reads find them; until it takes them, writes fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import tempfile
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec

from cumulet.kernel.blobs import Blobs, not_written
from cumulet.kernel.database import StoreUnavailable, check, connect, corrupt, create, lock, make
from cumulet.kernel.faults import Faults
from cumulet.kernel.keys import after_prefix, pack, unpack
from cumulet.kernel.record import Codec, R
from cumulet.kernel.redolog import RedoLog, Writes
from cumulet.kernel.rowcache import RowCache
from cumulet.kernel.tx import BLOB, TimerScope, Tx

Done = Callable[[Exception | None], None]

_CHECKPOINT_OVER_BYTES = 16 * 1024 * 1024  # of the redo log
_COMMIT_OVER_ROWS, _COMMIT_OVER_BYTES = 4096, 2 * 1024 * 1024
_CACHE_RECORDS = 8192
_WRITER_CACHE_KIB, _READER_CACHE_KIB = 20 * 1024, 4 * 1024
_ROW_CACHE_BYTES = 32 * 1024 * 1024
_CACHE_RECORD_BYTES = 16 * 1024
_FIRST_CHUNK, _CHUNK = 64, 1024
_ROWS_AT_ONCE = 16  # a statement for so many rows takes two thirds of the time of as many statements
_PUT = "INSERT INTO kv(k, v) VALUES (?, ?) ON CONFLICT(k) DO UPDATE SET v = excluded.v"
_PUT_SEVERAL = _PUT.replace("(?, ?)", ", ".join(["(?, ?)"] * _ROWS_AT_ONCE))


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
        self.frame = b""  # in the redo log

    def between(self, low: bytes, high: bytes) -> dict[bytes, bytes | None]:
        """The writes with low <= key < high."""
        if not self.writes:
            return {}
        if len(self._sorted) != len(self.writes):  # two sorted runs, which `sort` merges
            self._sorted.extend(sorted(islice(self.writes, len(self._sorted), None)))
            self._sorted.sort()
        keys = self._sorted[bisect_left(self._sorted, low) : bisect_left(self._sorted, high)]
        return {k: self.writes[k] for k in keys}


_CHECKPOINT = Batch()  # in the commit thread's queue: a checkpoint is wanted


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
        self.unapplied: dict[bytes, bytes | None] = {}  # on disk in the log, and refused by SQLite
        self._cache: dict[bytes, tuple[type, Any]] = {}
        self._rows = RowCache(_ROW_CACHE_BYTES)
        self._scheduled = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock: int | None = None
        self._thread: threading.Thread | None = None
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._redo: RedoLog | None = None
        self._uncommitted: list[Writes] = []  # applied since SQLite's last COMMIT
        self._uncommitted_rows = self._uncommitted_bytes = 0
        self._checkpoint_at = _CHECKPOINT_OVER_BYTES
        self._checkpointing = False
        if folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="cumulet-")
            self.blobs = Blobs(Path(self._temporary.name) / "blobs")
            self._source = self._writer = self._reader = connect(":memory:", _WRITER_CACHE_KIB)
            create(self._writer)
        else:
            self._open(folder)
        self._select = "SELECT v FROM kv WHERE k = ?"

    def _open(self, folder: Path) -> None:
        make(folder)
        self._lock = lock(folder)
        path = folder / "cumulet.db"
        try:
            check(path)
            self._writer = connect(str(path), _WRITER_CACHE_KIB)
            self._reader = connect(str(path), _READER_CACHE_KIB)
            self._source = self._writer  # what reads: all but the log's last rows is there
            create(self._writer)
            self.blobs = Blobs(folder / "blobs")
            self._redo = RedoLog(folder / "cumulet.redo")
            self._recover(self._redo)
        except (sqlite3.DatabaseError, msgspec.DecodeError, StoreUnavailable) as error:
            os.close(self._lock)
            self._lock = None
            if isinstance(error, StoreUnavailable):
                raise
            raise corrupt(path, str(error)) from error
        blobs = (pack((BLOB,)), after_prefix(pack((BLOB,))))
        known = {k for k, _ in self.rows(*blobs, None, False)}
        known.update(k for k in self.unapplied if blobs[0] <= k < blobs[1])
        self.blobs.sweep({str(unpack(k)[1]) for k in known})
        self._thread = threading.Thread(target=self._commit_loop, name="cumulet-commit", daemon=True)
        self._thread.start()

    def _recover(self, redo: RedoLog) -> None:
        """Take over what the log has. On a full disk it is taken into memory, and the log goes on. Raises: StoreUnavailable."""
        emptied = False
        for writes in redo.replay():
            if writes is None:
                emptied = True
                self.unapplied.clear()
            else:
                self.unapplied.update(writes)
        if emptied:
            try:
                self._writer.execute("DELETE FROM kv")
            except sqlite3.OperationalError as error:
                raise StoreUnavailable(not_written(error)) from error
        if (not self.unapplied or self._apply_again() is None) and self._checkpoint():
            redo.restart()

    # reading committed rows

    def read(self, k: bytes) -> bytes | None:
        found = self._rows.get(k)
        if found is not None:
            return found
        row = self._source.execute(self._select, (k,)).fetchone()
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
        if self.unapplied and (error := self._apply_again()) is not None:
            self._finished(batch, error)
            return
        if self._redo is not None:
            try:
                batch.frame = self._redo.frame(batch.writes)
            except Exception as error:
                self._finished(batch, error)
                return
        if self._thread is not None:
            self._queue.put(batch)
        else:
            self._finished(batch, self._tried(batch))

    def _commit(self, batch: Batch) -> None:
        if batch.new_blobs:
            self.blobs.settle(batch.new_blobs)
        self.faults.hit("store.commit")
        if self._redo is not None:
            self._redo.append(batch.frame)
        self.faults.hit("store.committed")

    def _commit_loop(self) -> None:
        while (batch := self._queue.get()) is not None:
            try:
                if batch is _CHECKPOINT:
                    answer: Callable[..., None] = self._checkpointed
                    arguments: tuple[Any, ...] = (self._checkpoint(),)
                else:
                    answer, arguments = self._finished, (batch, self._tried(batch))
                if self._loop is None:
                    return
                self._loop.call_soon_threadsafe(answer, *arguments)
            except RuntimeError:  # the loop is closed: the process ends
                return

    def _tried(self, batch: Batch) -> Exception | None:
        try:
            self._commit(batch)
        except Exception as error:  # whatever it is: who waits is told, and the next batch has a thread
            return error
        return None

    def _finished(self, batch: Batch, error: Exception | None) -> None:
        self.in_flight = None
        if error is not None:
            self._failed(batch, error)
            return
        self.commits += 1
        self.failing = False
        if self._redo is not None and self._redo.size >= self._checkpoint_at:
            self._apply(batch)
            self._begin_checkpoint()
        elif self._redo is not None and self.pending.writes:
            self._flush()  # the commit thread has work while the loop applies
            self._apply(batch)
        else:
            self._apply(batch)
        self._rows.committed(batch.writes)
        if batch.new_blobs:
            self.blobs.settled(batch.new_blobs)
        if batch.dropped_blobs:
            self.blobs.drop(batch.dropped_blobs)
        self.on_commit(batch.writes, batch.signals)
        for done in batch.done:
            done(None)
        if self.pending.signals:
            self._schedule()

    # from the log into the database

    def _apply(self, batch: Batch) -> None:
        """Write a batch's rows into SQLite's open transaction."""
        writes = batch.writes
        if self.unapplied:
            self.unapplied.update(writes)
            return
        self._uncommitted.append(writes)
        self._uncommitted_rows += len(writes)
        self._uncommitted_bytes += len(batch.frame)
        try:
            if not self._writer.in_transaction:
                self._writer.execute("BEGIN IMMEDIATE")
            self._write_rows(writes)
            many = self._uncommitted_rows >= _COMMIT_OVER_ROWS or self._uncommitted_bytes >= _COMMIT_OVER_BYTES
            if many or self._redo is None:
                self._commit_rows()
        except Exception:  # a full disk, the end of memory
            self._refused()

    def _write_rows(self, writes: Writes | None) -> None:
        writer = self._writer
        if writes is None:
            writer.execute("DELETE FROM kv")
            return
        puts = [(k, v) for k, v in writes.items() if v is not None]
        several = len(puts) - len(puts) % _ROWS_AT_ONCE
        for at in range(0, several, _ROWS_AT_ONCE):
            writer.execute(_PUT_SEVERAL, list(chain.from_iterable(puts[at : at + _ROWS_AT_ONCE])))
        if several < len(puts):
            writer.executemany(_PUT, puts[several:])
        if len(puts) < len(writes):
            writer.executemany("DELETE FROM kv WHERE k = ?", [(k,) for k, v in writes.items() if v is None])

    def _commit_rows(self) -> None:
        """Commit what was applied, without a sync: the log has it."""
        if self._writer.in_transaction:
            self.faults.hit("store.apply")
            self._writer.execute("COMMIT")
        self._uncommitted.clear()
        self._uncommitted_rows = self._uncommitted_bytes = 0

    def _refused(self) -> None:
        """SQLite could not write (a full disk) and has perhaps undone what it had: keep in memory what it lacks."""
        self.failing = True
        with contextlib.suppress(sqlite3.Error):
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        for writes in self._uncommitted:
            self.unapplied.update(writes)
        self._uncommitted.clear()
        self._uncommitted_rows = self._uncommitted_bytes = 0

    def _apply_again(self) -> Exception | None:
        """Try once more; why SQLite still refuses, or None."""
        refused, self.unapplied = self.unapplied, {}
        try:
            self._uncommitted.append(refused)
            self._writer.execute("BEGIN IMMEDIATE")
            self._write_rows(refused)
            self._commit_rows()
        except Exception as error:
            self._refused()
            return error
        return None

    def _begin_checkpoint(self) -> None:
        """The log is long: commit, and have the commit thread sync the database. Answers go out, the next batch waits."""
        self._checkpoint_at += _CHECKPOINT_OVER_BYTES  # where it fails, try again when as much has come
        try:
            self._commit_rows()
        except Exception:
            self._refused()
        self._checkpointing = True
        if self.unapplied:
            self._checkpointed(False)
            return
        self._source = self._reader
        self._queue.put(_CHECKPOINT)

    def _checkpoint(self) -> bool:
        """Bring SQLite's pages into the database file and sync it; whether all of them are there."""
        try:
            self.faults.hit("store.checkpoint")
            busy, pages, moved = self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except Exception:  # a full disk: the log stays
            return False
        return not busy and pages == moved

    def _checkpointed(self, whole: bool) -> None:
        self._checkpointing = False
        self._source = self._writer
        if whole and self._redo is not None:
            self._redo.restart()
            self._checkpoint_at = _CHECKPOINT_OVER_BYTES
        if self.pending.writes or self.pending.signals:
            self._flush()

    def _failed(self, batch: Batch, error: Exception) -> None:
        self.failing = True
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
        """Back to empty. Raises: StoreUnavailable; all is then as it was."""
        await self.settle()
        if (error := self._emptied()) is not None:
            raise StoreUnavailable(not_written(error)) from error
        self._cache.clear()
        self._rows.clear()
        self.blobs.clear()

    def _emptied(self) -> Exception | None:
        """Delete all rows; or why they are still there."""
        if self.unapplied and (refused := self._apply_again()) is not None:
            return refused
        frame = b""
        try:
            self._commit_rows()
            self._writer.execute("BEGIN IMMEDIATE")
            self._write_rows(None)
            if self._redo is not None:
                emptied = self._redo.frame(None)
                self._redo.append(emptied)
                frame = emptied
            self._commit_rows()
        except Exception as error:
            if self._redo is not None and frame:
                self._redo.take_back(frame)
            self._refused()
            return error
        return None

    def close(self) -> None:
        """Close after `settle`; what is still in flight ends first."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
        self._reader.close()
        if self._redo is not None:
            with contextlib.suppress(sqlite3.Error, OSError):  # what cannot be written now is in the log
                if not self.unapplied:
                    self._commit_rows()
                    if self.in_flight is None and self._checkpoint():
                        self._redo.empty()
            self._redo.close()
        self._writer.close()
        if self._lock is not None:
            os.close(self._lock)
        if self._temporary is not None:
            self._temporary.cleanup()
