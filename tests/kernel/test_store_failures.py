"""The store when something fails at a bad moment: nothing acknowledged is lost, nothing refused comes back, nobody waits for ever."""

import asyncio
import errno
import os
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from cumulet.kernel import rows as rows_module
from cumulet.kernel import store as store_module
from cumulet.kernel.database import StoreUnavailable
from cumulet.kernel.faults import Faults
from cumulet.kernel.redolog import RedoLog
from cumulet.kernel.store import Store

from .store_bench import SCOPE, append, full, keys, keys_in, put, replayed, run

SECTOR = 512


def out_of_memory():
    raise MemoryError


# the log


def test_a_first_frame_whose_beginning_a_power_cut_took_shows_no_old_frames(tmp_path):
    """They are what the database has in newer versions: a part of them would set rows back."""
    path = tmp_path / "redo"
    log = RedoLog(path)
    for number in range(100):
        append(log, {b"k": b"%d" % number})
    log.restart()
    before = path.read_bytes()
    append(log, {b"new": b"x" * 3000})
    path.write_bytes(before[:SECTOR] + path.read_bytes()[SECTOR:])
    assert replayed(path) == []


def test_a_restart_that_cannot_be_written_goes_on_at_the_front(tmp_path, monkeypatch):
    """How much of it was written nobody knows: behind it no frame would be safe."""
    path = tmp_path / "redo"
    log = RedoLog(path)
    append(log, {b"a": b"1"})
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", refusing(errno.EIO))
        log.restart()
    append(log, {b"b": b"2"})
    assert replayed(path) == [{b"b": b"2"}]


def refusing(code):
    def call(*_, **__):
        raise OSError(code, "refused")

    return call


def test_a_frame_is_read_in_as_many_pieces_as_the_system_gives(tmp_path, monkeypatch):
    """Linux reads 2 GiB at most in one call."""
    log = RedoLog(tmp_path / "redo")
    append(log, {b"k": b"x" * 100})
    true_read = os.pread
    monkeypatch.setattr(os, "pread", lambda file, size, at: true_read(file, min(size, 50), at))
    assert replayed(tmp_path / "redo") == [{b"k": b"x" * 100}]


def test_a_length_of_rubbish_is_not_asked_for(tmp_path, monkeypatch):
    path = tmp_path / "redo"
    path.write_bytes(b"\xff" * 100)
    asked = []
    true_read = os.pread
    monkeypatch.setattr(os, "pread", lambda file, size, at: asked.append(size) or true_read(file, size, at))
    assert replayed(path) == []
    assert max(asked) <= 100


def test_a_frame_that_was_refused_for_any_reason_is_not_found_again(tmp_path, monkeypatch):
    path = tmp_path / "redo"
    log = RedoLog(path)
    append(log, {b"kept": b"1"})
    true_write = os.pwrite

    def written(file, data, at):
        true_write(file, data, at)
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", written)
        with pytest.raises(MemoryError):
            append(log, {b"refused": b"2"})
    assert replayed(path) == [{b"kept": b"1"}]


# rows on their way into the database


def test_rows_are_kept_when_the_database_cannot_even_begin(tmp_path, monkeypatch):
    monkeypatch.setattr(rows_module, "_COMMIT_OVER_ROWS", 1)

    async def main():
        faults = Faults()
        store = Store(tmp_path, faults)
        faults.arm("store.apply", full)
        await store.transact(put(("k", 1), b"1"))
        faults.disarm()
        store.rows._writer.execute("PRAGMA busy_timeout = 0")
        other = sqlite3.connect(tmp_path / "cumulet.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            await store.transact(put(("k", 2), b"2"))
        other.close()
        assert keys(store) == [1]
        await store.transact(put(("k", 3), b"3"))
        assert keys(store) == [1, 3]
        store.close()

    run(main())
    assert keys_in(tmp_path) == [1, 3]


@pytest.mark.parametrize("point", ["store.commit", "store.apply", "store.checkpoint"])
def test_nobody_waits_for_ever_and_nothing_is_lost_when_memory_ends(tmp_path, monkeypatch, point):
    monkeypatch.setattr(rows_module, "_COMMIT_OVER_ROWS", 2)
    monkeypatch.setattr(store_module, "_CHECKPOINT_OVER_BYTES", 200)

    async def main():
        faults = Faults()
        store = Store(tmp_path, faults)
        kept = []
        for number in range(20):
            if number == 10:
                faults.arm(point, out_of_memory)
            if number == 14:
                faults.disarm()
            try:
                await store.transact(put(("k", number), b"x" * 30))
            except StoreUnavailable:
                assert 10 <= number < 14
            else:
                kept.append(number)
            assert keys(store) == kept
        await store.settle()
        store.close()
        assert keys_in(tmp_path) == kept

    run(main())


def test_a_batch_that_makes_no_frame_is_refused_and_the_next_one_commits(tmp_path, monkeypatch):
    async def main():
        store = Store(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(store._redo, "frame", lambda writes: out_of_memory())
            with pytest.raises(StoreUnavailable):
                await store.transact(put(("k", 1), b"1"))
        await store.transact(put(("k", 2), b"2"))
        assert keys(store) == [2]
        store.close()

    run(main())


def test_a_mistake_in_the_commits_thread_does_not_end_it(tmp_path):
    async def main():
        faults = Faults()
        store = Store(tmp_path, faults)

        def mistaken():
            raise RuntimeError("a mistake")

        faults.arm("store.commit", mistaken)
        with pytest.raises(StoreUnavailable, match="a mistake"):
            await store.transact(put(("k", 1), b"1"))
        faults.disarm()
        await store.transact(put(("k", 2), b"2"))
        store.close()

    run(main())


def test_what_a_signal_wakes_reads_all_that_is_committed(tmp_path):
    async def main():
        store = Store(tmp_path)
        seen = []
        store.on_commit = lambda writes, signals: signals and seen.append(store.begin(SCOPE).counter(("n",)))
        first = asyncio.ensure_future(store.transact(lambda tx: tx.add(("n",))))
        await asyncio.sleep(0)
        store._flush()
        assert store.in_flight is not None
        store.finish(signalling(store), lambda error: None)
        await first
        await asyncio.sleep(0)
        assert seen == [1]
        store.close()

    run(main())


def signalling(store):
    tx = store.begin(SCOPE)
    tx.signal(("wanted",))
    return tx


async def checkpointed(store):
    """The copy beside the work, and the checkpoint after it, have ended."""
    if store._copier is not None:
        await asyncio.to_thread(store._copier.join)
    await store.settle()


def test_rows_that_a_checkpoint_finds_refused_refuse_the_next_writes_until_they_are_in(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "_CHECKPOINT_OVER_BYTES", 1)

    async def main():
        faults = Faults()
        store = Store(tmp_path, faults)
        faults.arm("store.apply", full)
        await store.transact(put(("k", 1), b"1"))
        await checkpointed(store)
        assert store.failing
        with pytest.raises(StoreUnavailable, match="full"):
            await store.transact(put(("k", 2), b"2"))
        assert keys(store) == [1]
        faults.disarm()
        await store.transact(put(("k", 3), b"3"))
        assert keys(store) == [1, 3]
        assert not store.failing
        store.close()

    run(main())
    assert keys_in(tmp_path) == [1, 3]


def test_commits_go_on_while_pages_are_copied_and_the_log_starts_anew_after_the_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "_CHECKPOINT_OVER_BYTES", 1000)

    async def main():
        store = Store(tmp_path / "data")
        begun, go_on = threading.Event(), threading.Event()
        copy = store.rows.copy

        def slow():
            begun.set()
            assert go_on.wait(300)
            copy()

        monkeypatch.setattr(store.rows, "copy", slow)
        for number in range(50):
            await store.transact(put(("k", number), b"x" * 100))
        assert begun.wait(60)
        assert keys(store) == list(range(50))
        assert store._redo.size > 5000
        shutil.copytree(tmp_path / "data", tmp_path / "copy")  # what a crash would leave
        go_on.set()
        await checkpointed(store)
        await store.transact(put(("k", 50), b""))
        assert store._redo.size < 100
        store.close()

    run(main())
    assert keys_in(tmp_path / "data") == list(range(51))
    assert keys_in(tmp_path / "copy") == list(range(50))


def test_a_store_closes_while_pages_are_copied(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "_CHECKPOINT_OVER_BYTES", 1)

    async def main():
        store = Store(tmp_path)
        copied = []
        copy = store.rows.copy
        go_on = threading.Event()
        monkeypatch.setattr(store.rows, "copy", lambda: copied.append(go_on.wait(300)) or copy())
        await store.transact(put(("k", 1), b"1"))
        monkeypatch.setattr(store._copier, "join", lambda join=store._copier.join: (go_on.set(), join()))
        store.close()
        assert copied
        await asyncio.sleep(0)

    run(main())
    assert keys_in(tmp_path) == [1]


def test_without_a_thread_to_be_had_a_checkpoint_does_all(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "_CHECKPOINT_OVER_BYTES", 1)

    async def main():
        store = Store(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", no_thread)
            await store.transact(put(("k", 1), b"1"))
            await store.transact(put(("k", 2), b"2"))
            await checkpointed(store)
        assert store._redo.size == 0
        assert keys(store) == [1, 2]
        store.close()

    run(main())


def no_thread(self):
    raise RuntimeError("can't start new thread")


# reset and stop


@pytest.mark.parametrize("point", ["store.apply", "append"])
def test_a_reset_that_is_refused_has_done_nothing(tmp_path, monkeypatch, point):
    async def main():
        faults = Faults()
        store = Store(tmp_path / "data", faults)
        await store.transact(put(("k", 1), b"1"))
        await store.transact(put(("k", 2), b"2"))
        with monkeypatch.context() as patch:
            if point == "append":
                patch.setattr(store._redo, "append", refusing(errno.ENOSPC))
            else:
                faults.arm(point, full, after=1)  # the rows before it go in
            with pytest.raises(StoreUnavailable, match=r"full|refused"):
                await store.clear()
        faults.disarm()
        assert keys(store) == [1, 2]
        await store.transact(put(("k", 3), b"3"))
        shutil.copytree(tmp_path / "data", tmp_path / "copy")
        assert keys(store) == [1, 2, 3]
        store.close()

    run(main())
    assert keys_in(tmp_path / "data") == [1, 2, 3]
    assert keys_in(tmp_path / "copy") == [1, 2, 3]


def test_a_reset_waits_for_rows_that_the_database_refuses(tmp_path, monkeypatch):
    monkeypatch.setattr(rows_module, "_COMMIT_OVER_ROWS", 1)

    async def main():
        faults = Faults()
        store = Store(tmp_path, faults)
        faults.arm("store.apply", full)
        await store.transact(put(("k", 1), b"1"))
        with pytest.raises(StoreUnavailable, match="full"):
            await store.clear()
        assert keys(store) == [1]
        faults.disarm()
        await store.clear()
        assert keys(store) == []
        store.close()

    run(main())
    assert keys_in(tmp_path) == []


def test_a_store_closed_with_a_commit_in_flight_keeps_that_commit(tmp_path):
    async def main():
        store = Store(tmp_path)
        await store.transact(put(("k", 1), b"1"))
        tx = store.begin(SCOPE)
        tx.put(("k", 2), b"2")
        store.finish(tx, lambda error: None)
        store._flush()
        store.close()

    run(main())
    assert keys_in(tmp_path) == [1, 2]


# blobs


def test_a_start_on_a_full_disk_keeps_the_blobs_of_rows_that_only_the_log_has(tmp_path):
    async def main():
        store = Store(tmp_path / "data")
        blob = await store.transact(lambda tx: tx.put_blob(b"x" * 100_000))
        shutil.copytree(tmp_path / "data", tmp_path / "copy")
        store.close()
        faults = Faults()
        faults.arm("store.apply", full)
        again = Store(tmp_path / "copy", faults)
        assert again.rows.unapplied.writes
        assert again.begin(SCOPE).read_blob(blob) == b"x" * 100_000
        again.close()

    run(main())


def test_a_blob_that_cannot_be_removed_keeps_nobody_waiting(tmp_path, monkeypatch):
    async def main():
        faults = Faults()
        store = Store(tmp_path / "data", faults)
        blob = await store.transact(lambda tx: tx.put_blob(b"x"))
        monkeypatch.setattr(Path, "unlink", refusing(errno.EROFS))
        await store.transact(lambda tx: tx.delete_blob(blob))
        faults.arm("store.commit", full)
        with pytest.raises(StoreUnavailable):
            await store.transact(lambda tx: tx.put_blob(b"y"))
        store.close()

    run(main())


def test_a_blob_whose_deletion_was_rolled_back_stays(tmp_path):
    async def main():
        store = Store(tmp_path)
        blob = await store.transact(lambda tx: tx.put_blob(b"x"))

        def work(tx):
            mark = tx.savepoint()
            tx.delete_blob(blob)
            tx.rollback(mark)
            tx.put(("k", 1), b"1")

        await store.transact(work)
        assert store.begin(SCOPE).read_blob(blob) == b"x"
        await store.transact(lambda tx: tx.delete_blob(blob))
        assert not store.blobs.path(blob).exists()
        store.close()

    run(main())


@pytest.fixture
def synced(monkeypatch):
    """The paths that were synced."""
    paths = []
    true_sync = os.fsync

    def sync(file):
        paths.append(Path(os.readlink(f"/proc/self/fd/{file}")))
        true_sync(file)

    monkeypatch.setattr(os, "fsync", sync)
    return paths


def test_the_names_of_the_log_and_of_the_blobs_folder_are_synced(tmp_path, synced):
    async def main():
        store = Store(tmp_path / "new" / "data")
        assert {tmp_path, tmp_path / "new", tmp_path / "new/data"} <= set(synced)
        before = store.blobs.folder.stat().st_ino
        await store.clear()
        assert store.blobs.folder.stat().st_ino == before
        store.close()

    run(main())


def test_a_log_whose_name_was_never_synced_is_synced_at_the_next_start(tmp_path, synced):
    (tmp_path / "redo").touch()
    RedoLog(tmp_path / "redo").close()
    assert synced == [tmp_path]
