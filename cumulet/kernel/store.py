"""The embedded store: ordered key-value rows, group commit, answers only after the redo log is on disk.

Theory of operation. Transactions run one after another in the event loop's thread and merge into the *pending* batch.
When no commit is under way, the pending batch becomes the batch *in flight*: the commit thread appends it to the redo log and
syncs that, while the loop collects the next batch. Then the loop writes the batch's rows into SQLite (`rows`) and answers.
When the redo log has grown long, SQLite is brought to disk (a checkpoint) and the log starts anew.

What a crash leaves: before the log was synced, nothing of the batch or all of it; after that, all of it, though perhaps no client was
told. The next start applies the log to what SQLite has. A log that cannot be written (full disk) fails the batch and the pending one,
which may have read from it; both are forgotten and the next one starts clean. Rows that are in the log but that SQLite cannot take
stay in memory; until it takes them, writes fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from cumulet.kernel.blobs import Blobs, not_written
from cumulet.kernel.database import StoreUnavailable, check, corrupt, lock, make, unopened, unusable
from cumulet.kernel.faults import Faults
from cumulet.kernel.keys import after_prefix, pack, unpack
from cumulet.kernel.overlay import Overlay
from cumulet.kernel.record import Codec, R
from cumulet.kernel.redolog import RedoLog
from cumulet.kernel.rows import Rows
from cumulet.kernel.tx import BLOB, TimerScope, Tx

Done = Callable[[Exception | None], None]

_CHECKPOINT_OVER_BYTES = 16 * 1024 * 1024  # of the redo log
_CACHE_RECORDS = 8192
_CACHE_RECORD_BYTES = 16 * 1024


class Fate:
    """What became of a batch, for what was noted in memory along with its writes: such a note is void once `failed`."""

    __slots__ = ("failed",)

    def __init__(self) -> None:
        self.failed = False


class Batch(Overlay):
    """Writes that commit together, and who waits for them."""

    def __init__(self) -> None:
        super().__init__()
        self.fate = Fate()
        self.signals: set[bytes] = set()
        self.done: list[Done] = []
        self.new_blobs: list[str] = []
        self.dropped_blobs: list[str] = []
        self.frame = b""  # in the redo log


def _wake(waiter: asyncio.Future[None], error: Exception | None) -> None:
    if not waiter.done():
        waiter.set_result(None)


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
        self._cache: dict[bytes, tuple[type, Any]] = {}
        self._refused = False  # the last commit, by the log
        self._last: Batch | None = None  # that is committed before everything is deleted
        self._scheduled = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock: int | None = None
        self._thread: threading.Thread | None = None
        self._queue: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._redo: RedoLog | None = None
        self._checkpoint_at = _CHECKPOINT_OVER_BYTES
        self._copier: threading.Thread | None = None
        self._copied = self._checkpointing = False
        if folder is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="cumulet-")
            self.blobs = Blobs(Path(self._temporary.name) / "blobs")
            self.rows = Rows(None, self.faults)
        else:
            self._open(folder)

    def _open(self, folder: Path) -> None:
        make(folder)
        self._lock = lock(folder)
        path = folder / "cumulet.db"
        try:
            check(path)
            self.rows = Rows(path, self.faults)
            self.blobs = Blobs(folder / "blobs")
            self._redo = RedoLog(folder / "cumulet.redo")
            self._recover(self._redo)
        except (sqlite3.DatabaseError, msgspec.DecodeError, OSError, StoreUnavailable) as error:
            os.close(self._lock)
            self._lock = None
            if isinstance(error, StoreUnavailable):
                raise
            if isinstance(error, OSError):
                raise StoreUnavailable(unusable(folder, error)) from error
            raise (
                corrupt(path, str(error)) if isinstance(error, msgspec.DecodeError) else unopened(path, error)
            ) from error
        blobs = (pack((BLOB,)), after_prefix(pack((BLOB,))))
        known = {k for k, _ in self.rows.between(*blobs, None, False)}
        known.update(self.rows.unapplied.between(*blobs))
        self.blobs.sweep({str(unpack(k)[1]) for k in known})
        self._thread = threading.Thread(target=self._commit_loop, name="cumulet-commit", daemon=True)
        self._thread.start()

    def _recover(self, redo: RedoLog) -> None:
        """Take over what the log has. On a full disk it is taken into memory, and the log goes on. Raises: StoreUnavailable."""
        try:
            refused = self.rows.recover(redo.replay())
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(not_written(error)) from error
        if refused is None:
            self._brought_to_disk()

    @property
    def failing(self) -> bool:
        """The last commit could not be written."""
        return self._refused or bool(self.rows.unapplied.writes)

    def read_record(self, k: bytes, type_: type[R]) -> R | None:
        hit = self._cache.get(k)
        if hit is not None and hit[0] is type_:
            return hit[1]  # type: ignore[no-any-return]
        raw = self.rows.read(k)
        if raw is None:
            return None
        record = self.codec.decode(raw, type_)
        if len(raw) <= _CACHE_RECORD_BYTES:
            if len(self._cache) >= _CACHE_RECORDS:
                self._cache.clear()
            self._cache[k] = (type_, record)
        return record

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
        if self.in_flight is not None or self._checkpointing or self._last not in (None, self.pending):
            return
        if not self.pending.writes:
            if self.pending.signals:
                signals, self.pending.signals = self.pending.signals, set()
                self.on_commit({}, signals)
            return
        batch, self.pending = self.pending, Batch()
        self.in_flight = batch
        if self.rows.unapplied.writes and (error := self.rows.retry()) is not None:
            self._refuse(batch, error)
            return
        if self._redo is not None:
            try:
                batch.frame = self._redo.frame(batch.writes)
            except Exception as error:
                self._refuse(batch, error)
                return
        if self._thread is not None:
            self._queue.put(batch)
        else:
            self._finished(batch, self._tried(batch))

    def _refuse(self, batch: Batch, error: Exception) -> None:
        """Say so in the loop's next turn: the batch before this one may not be where those who are told could read it."""
        assert self._loop is not None
        self._loop.call_soon(self._finished, batch, error)

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
                    arguments: tuple[Any, ...] = (self._brought_to_disk(),)
                else:
                    answer, arguments = self._finished, (batch, self._tried(batch))
                if self._loop is None:
                    return
                self._loop.call_soon_threadsafe(answer, *arguments)
            except RuntimeError:  # the loop is closed: the process ends
                return

    def _brought_to_disk(self) -> bool:
        """A checkpoint, after which the log starts anew; whether there was one, of everything."""
        whole = self.rows.checkpoint()
        if whole and self._redo is not None:
            self._redo.restart()
        return whole

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
        self._refused = False
        redo = self._redo
        if self._copied:
            self.rows.apply(batch.writes, len(batch.frame))
            self._begin_checkpoint()
        else:
            if redo is not None and redo.size >= self._checkpoint_at and self._copier is None:
                self._begin_copy()
            if redo is not None and self.pending.writes:
                self._flush()  # the commit thread has work while the loop applies
            self.rows.apply(batch.writes, len(batch.frame))
        if batch.new_blobs:
            self.blobs.settled(batch.new_blobs)
        if batch.dropped_blobs:
            self.blobs.drop(batch.dropped_blobs)
        self.on_commit(batch.writes, batch.signals)
        for done in batch.done:
            done(None)
        if self.pending.signals:
            self._schedule()

    # checkpoints

    def _begin_copy(self) -> None:
        """The log is long: have most of SQLite's pages brought to disk beside the work, the rest by a checkpoint."""
        self._checkpoint_at += _CHECKPOINT_OVER_BYTES  # where it fails, try again when as much has come
        copier = threading.Thread(target=self._copy, name="cumulet-copy", daemon=True)
        try:
            copier.start()
        except RuntimeError:  # no more threads here
            self._copied = True
        else:
            self._copier = copier

    def _copy(self) -> None:
        self.rows.copy()
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends
            self._loop.call_soon_threadsafe(self._copy_ended)

    def _copy_ended(self) -> None:
        if self._copier is None:  # closed
            return
        self._copier = None
        if self.in_flight is None:
            self._begin_checkpoint()
        else:
            self._copied = True

    def _begin_checkpoint(self) -> None:
        """Answers go out, the next batch waits."""
        self._copied, self._checkpointing = False, True
        if self.rows.begin_checkpoint():
            self._queue.put(_CHECKPOINT)
        else:
            self._checkpointed(False)

    def _checkpointed(self, whole: bool) -> None:
        self._checkpointing = False
        self.rows.end_checkpoint()
        if whole:
            self._checkpoint_at = _CHECKPOINT_OVER_BYTES
        if self.pending.writes or self.pending.signals:
            self._flush()

    def _failed(self, batch: Batch, error: Exception) -> None:
        self._refused = True
        forgotten, self.pending = self.pending, Batch()
        self._cache.clear()
        failure = StoreUnavailable(not_written(error))
        for each in (batch, forgotten):
            each.fate.failed = True
            self.pending.signals |= each.signals  # of transactions that wrote nothing: they have ended, and well
            self.blobs.drop(each.new_blobs)
            for done in each.done:
                done(failure)
        if self.pending.signals:
            self._schedule()

    # the whole

    async def settle(self) -> None:
        """Wait until nothing is pending or in flight."""
        while self.in_flight is not None or self.pending.writes or self._checkpointing:
            await self._end_of(self.pending if self.pending.writes else self.in_flight)

    async def _end_of(self, batch: Batch | None) -> None:
        """Wait until a batch is written or refused; a turn of the loop, where none is meant and a checkpoint runs."""
        if batch is None:
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        batch.done.append(partial(_wake, waiter))
        await waiter

    async def clear(self) -> None:
        """Back to empty. What runs is committed before; what begins meanwhile fails, so that a busy store is emptied, too.

        Raises: StoreUnavailable; all is then as it was.
        """
        self._last = last = self.pending
        try:
            while self.in_flight is not None or self._checkpointing or (self.pending is last and last.writes):
                await self._end_of(self.in_flight or (last if self.pending is last and last.writes else None))
            self._empty()
        finally:
            self._last = None
            if self.pending.writes or self.pending.signals:
                self._schedule()

    def _empty(self) -> None:
        redo = self._redo
        refused = (
            self.rows.empty()
            if redo is None
            else self.rows.empty(lambda: redo.append(redo.frame(None)), redo.take_back)
        )
        if refused is not None:
            raise StoreUnavailable(not_written(refused)) from refused
        self._cache.clear()
        self.blobs.clear()
        forgotten, self.pending = self.pending, Batch()
        self.pending.signals = forgotten.signals
        forgotten.fate.failed = True
        failure = StoreUnavailable("The cloud was emptied while this request was running.")
        for done in forgotten.done:
            asyncio.get_running_loop().call_soon(done, failure)

    def close(self) -> None:
        """Close after `settle`; what is still in flight ends first."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
        if self._copier is not None:
            self._copier.join()
            self._copier = None
        whole = self.rows.close(checkpoint=self._redo is not None and self.in_flight is None)
        if self._redo is not None:
            if whole:
                self._redo.empty()
            self._redo.close()
        if self._lock is not None:
            os.close(self._lock)
        if self._temporary is not None:
            self._temporary.cleanup()
