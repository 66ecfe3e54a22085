"""The redo log, and the store that recovers from it: cut, damaged, refused, checkpointed; and against a plain dict."""

import asyncio
import os
import shutil
import sqlite3

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cumulet.kernel import rows as rows_module
from cumulet.kernel import store as store_module
from cumulet.kernel.database import StoreUnavailable
from cumulet.kernel.faults import Faults
from cumulet.kernel.keys import pack
from cumulet.kernel.redolog import RedoLog
from cumulet.kernel.store import Store

from .store_bench import SCOPE, append, full, put, replayed


def run(coroutine):
    return asyncio.run(coroutine)


def test_a_log_gives_back_its_frames_in_order(tmp_path):
    log = RedoLog(tmp_path / "redo")
    frames = [{b"a": b"1", b"b": None}, None, {b"": b""}, {b"a": b"\x00" * 10_000}]
    for frame in frames:
        append(log, frame)
    assert replayed(tmp_path / "redo") == frames


def test_a_log_goes_on_behind_what_it_replayed(tmp_path):
    log = RedoLog(tmp_path / "redo")
    append(log, {b"a": b"1"})
    log.close()
    again = RedoLog(tmp_path / "redo")
    assert list(again.replay()) == [{b"a": b"1"}]
    append(again, {b"b": b"2"})
    assert replayed(tmp_path / "redo") == [{b"a": b"1"}, {b"b": b"2"}]


def test_frames_of_an_older_generation_are_not_read(tmp_path):
    """The log starts again at the front: right behind the new frames old ones may begin."""
    log = RedoLog(tmp_path / "redo")
    for number in range(9):
        append(log, {b"old%d" % number: b"x" * 40})
    ends = log.size // 9
    log.restart()
    for number in range(3):
        append(log, {b"new%d" % number: b"y" * 40})
    assert log.size == 3 * ends
    assert replayed(tmp_path / "redo") == [{b"new%d" % number: b"y" * 40} for number in range(3)]


def test_reading_ends_at_a_damaged_frame(tmp_path):
    path = tmp_path / "redo"
    log = RedoLog(path)
    ends = []
    for number in range(5):
        append(log, {b"k%d" % number: b"x" * 50})
        ends.append(log.size)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        sound = sum(end <= at for end in ends)
        assert len(replayed(path)) == sound or (at < 8 and len(replayed(path)) == 0)


def test_a_frame_that_was_refused_is_not_found_again(tmp_path, monkeypatch):
    path = tmp_path / "redo"
    log = RedoLog(path)
    append(log, {b"kept": b"1"})
    true_write = os.pwrite

    def full(file, data, at):
        true_write(file, bytes(data)[: len(data) // 2], at)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        append(log, {b"refused": b"x" * 100})
    monkeypatch.undo()
    assert replayed(path) == [{b"kept": b"1"}]
    append(log, {b"after": b"2"})
    assert replayed(path) == [{b"kept": b"1"}, {b"after": b"2"}]


def test_a_short_write_goes_on_where_it_ended(tmp_path, monkeypatch):
    true_write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: true_write(file, bytes(data)[:7], at))
    log = RedoLog(tmp_path / "redo")
    append(log, {b"k": b"x" * 100})
    assert replayed(tmp_path / "redo") == [{b"k": b"x" * 100}]


# the store on it


async def filled(folder, faults=None):
    store = Store(folder, faults)
    for number in range(30):

        def both(tx, number=number):
            tx.put(("a", number), b"x" * (number * 37 % 900))
            tx.put(("b", number), b"y")

        await store.transact(both)
    return store


def found_in(folder):
    store = Store(folder)
    tx = store.begin(SCOPE)
    a = [tx.get_bytes(("a", number)) is not None for number in range(30)]
    b = [tx.get_bytes(("b", number)) is not None for number in range(30)]
    store.close()
    assert a == b
    assert a == sorted(a, reverse=True)
    return sum(a)


def test_a_log_cut_at_any_byte_reopens_with_a_prefix_of_the_commits(tmp_path):
    """Every commit is whole or absent, and no later one is there without an earlier one."""

    async def fill():
        store = await filled(tmp_path / "source")
        shutil.copytree(tmp_path / "source", tmp_path / "copy")  # the store is open: what a crash would leave
        store.close()

    run(fill())
    log = (tmp_path / "copy/cumulet.redo").read_bytes()
    seen = set()
    for cut in [*range(0, len(log), max(1, len(log) // 80)), len(log) - 1, len(log)]:
        folder = tmp_path / f"cut-{cut}"
        shutil.copytree(tmp_path / "copy", folder)
        os.truncate(folder / "cumulet.redo", cut)
        seen.add(found_in(folder))
        shutil.rmtree(folder)
    assert max(seen) == 30
    assert len(seen) > 20


def test_what_a_power_cut_takes_from_the_database_comes_back_from_the_log(tmp_path, monkeypatch):
    """SQLite's own log is not synced at its commits: any part of its end may be missing."""
    monkeypatch.setattr(rows_module, "_COMMIT_OVER_ROWS", 10)

    async def fill():
        store = await filled(tmp_path / "source")
        shutil.copytree(tmp_path / "source", tmp_path / "copy")
        store.close()

    run(fill())
    log = (tmp_path / "copy/cumulet.db-wal").read_bytes()
    assert len(log) > 8192
    for cut in range(0, len(log), max(1, len(log) // 25)):
        folder = tmp_path / f"cut-{cut}"
        shutil.copytree(tmp_path / "copy", folder)
        os.truncate(folder / "cumulet.db-wal", cut)
        assert found_in(folder) == 30
        shutil.rmtree(folder)


def test_the_log_starts_again_when_the_database_has_everything(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "_CHECKPOINT_OVER_BYTES", 20_000)

    async def main():
        store = Store(tmp_path / "data")
        for number in range(200):
            await store.transact(put(("k", number), b"x" * 1000))
        await store.settle()
        assert (tmp_path / "data/cumulet.redo").stat().st_size < 30_000
        shutil.copytree(tmp_path / "data", tmp_path / "copy")
        store.close()
        assert (tmp_path / "data/cumulet.redo").stat().st_size == 0

    run(main())
    for folder in ("data", "copy"):
        store = Store(tmp_path / folder)
        assert sum(1 for _ in store.begin(SCOPE).scan_keys(("k",))) == 200
        store.close()


def test_reads_go_on_and_writes_wait_while_the_database_is_synced(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "_CHECKPOINT_OVER_BYTES", 5_000)

    async def main():
        store = Store(tmp_path)
        asked = []

        def look():
            tx = store.begin(SCOPE)
            asked.append(sum(1 for _ in tx.scan_keys(("k",))))

        for number in range(40):
            await store.transact(put(("k", number), b"x" * 400))
            look()
        assert asked == list(range(1, 41))
        store.close()

    run(main())


def test_rows_that_the_database_refuses_are_read_from_memory_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(rows_module, "_COMMIT_OVER_ROWS", 5)

    async def main():
        faults = Faults()
        store = Store(tmp_path / "data", faults)
        await store.transact(put(("k", 0), b"0"))
        faults.arm("store.apply", full)
        for number in range(1, 4):
            await store.transact(put(("k", number), b"%d" % number))
        await store.transact(lambda tx: tx.delete(("k", 1)))
        assert store.failing
        with pytest.raises(StoreUnavailable, match="disk is full"):
            await store.transact(put(("lost",), b""))
        tx = store.begin(SCOPE)
        assert [key[1] for key in tx.scan_keys(("k",))] == [0, 2, 3]
        assert tx.get_bytes(("k", 3)) == b"3"
        assert tx.get_bytes(("k", 1)) is None
        shutil.copytree(tmp_path / "data", tmp_path / "copy")
        faults.disarm()
        await store.transact(put(("k", 4), b"4"))
        assert not store.failing
        assert [key[1] for key in store.begin(SCOPE).scan_keys(("k",))] == [0, 2, 3, 4]
        store.close()

    run(main())
    for folder, numbers in (("copy", [0, 2, 3]), ("data", [0, 2, 3, 4])):
        store = Store(tmp_path / folder)
        assert [key[1] for key in store.begin(SCOPE).scan_keys(("k",))] == numbers
        store.close()


def test_a_commit_under_way_when_the_database_refuses_the_one_before_is_kept_too(tmp_path, monkeypatch):
    monkeypatch.setattr(rows_module, "_COMMIT_OVER_ROWS", 1)

    async def main():
        faults = Faults()
        store = Store(tmp_path, faults)
        faults.arm("store.apply", full)
        first = asyncio.ensure_future(store.transact(put(("k", 0), b"0")))
        await asyncio.sleep(0)
        store._flush()
        assert store.in_flight is not None
        second = asyncio.ensure_future(store.transact(put(("k", 1), b"1")))
        await asyncio.gather(first, second)
        assert store.rows.unapplied.writes.keys() == {pack(("k", 0)), pack(("k", 1))}
        assert [key[1] for key in store.begin(SCOPE).scan_keys(("k",))] == [0, 1]
        store.close()

    run(main())


def test_a_stop_that_cannot_sync_the_database_leaves_the_log(tmp_path):
    async def main():
        faults = Faults()
        store = Store(tmp_path, faults)
        await store.transact(put(("k",), b"1"))
        faults.arm("store.checkpoint", full)
        store.close()

    run(main())
    assert replayed(tmp_path / "cumulet.redo")


def test_a_start_that_cannot_write_the_database_goes_on_with_the_log(tmp_path):
    async def main():
        store = Store(tmp_path / "data")
        await store.transact(put(("k",), b"1"))
        shutil.copytree(tmp_path / "data", tmp_path / "copy")
        store.close()
        faults = Faults()
        faults.arm("store.apply", full)
        again = Store(tmp_path / "copy", faults)
        assert again.begin(SCOPE).get_bytes(("k",)) == b"1"
        faults.disarm()
        await again.transact(put(("l",), b"2"))
        shutil.copytree(tmp_path / "copy", tmp_path / "third")
        again.close()

    run(main())
    store = Store(tmp_path / "third")
    assert [store.begin(SCOPE).get_bytes((name,)) for name in "kl"] == [b"1", b"2"]
    store.close()


def test_a_checkpoint_that_fails_leaves_the_log(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "_CHECKPOINT_OVER_BYTES", 3_000)

    async def main():
        faults = Faults()
        store = Store(tmp_path / "data", faults)
        faults.arm("store.checkpoint", full)
        for number in range(40):
            await store.transact(put(("k", number), b"x" * 400))
        await store.settle()
        assert (tmp_path / "data/cumulet.redo").stat().st_size > 16_000
        shutil.copytree(tmp_path / "data", tmp_path / "copy")
        faults.disarm()
        for number in range(40, 50):
            await store.transact(put(("k", number), b"x" * 400))
        if store._copier is not None:
            await asyncio.to_thread(store._copier.join)
        await store.settle()
        assert store._redo.size < 16_000
        store.close()

    run(main())
    store = Store(tmp_path / "copy")
    assert sum(1 for _ in store.begin(SCOPE).scan_keys(("k",))) == 40
    store.close()


def test_a_database_from_before_the_log_is_taken_over(tmp_path):
    connection = sqlite3.connect(tmp_path / "cumulet.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE kv(k BLOB PRIMARY KEY, v BLOB NOT NULL)")
    connection.execute("INSERT INTO kv VALUES (?, ?)", (b"\x02k\x00", b"old"))
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    store = Store(tmp_path)
    assert store.begin(SCOPE).get_bytes(("k",)) == b"old"
    store.close()


class Stored(RuleBasedStateMachine):
    """A store with tiny limits, killed at any time, against a dict of what was acknowledged."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.faults = Faults()
        self.model = {}
        self.copies = 0

    @initialize(rows=st.integers(1, 6), size=st.integers(50, 600))
    def begin(self, rows, size):
        import tempfile
        from pathlib import Path

        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(rows_module, "_COMMIT_OVER_ROWS", rows)
        self.patch.setattr(store_module, "_CHECKPOINT_OVER_BYTES", size)
        self.patch.setattr(rows_module, "_ROWS_AT_ONCE", 2)
        self.patch.setattr(rows_module, "_PUT_SEVERAL", rows_module._PUT.replace("(?, ?)", "(?, ?), (?, ?)"))
        self.root = Path(tempfile.mkdtemp(prefix="cumulet-redo-"))
        self.store = Store(self.root / "0", self.faults)

    @rule(
        writes=st.dictionaries(
            st.integers(0, 12), st.one_of(st.none(), st.binary(max_size=60)), min_size=1, max_size=5
        ),
        point=st.sampled_from([None, None, None, "store.commit", "store.apply", "store.checkpoint"]),
    )
    def write(self, writes, point):
        def work(tx):
            for key, value in writes.items():
                if value is None:
                    tx.delete(("k", key))
                else:
                    tx.put(("k", key), value)

        if point is not None:
            self.faults.arm(point, full)
        try:
            self.loop.run_until_complete(self.store.transact(work))
        except StoreUnavailable:
            assert point is not None
        else:
            for key, value in writes.items():
                self.model.pop(key, None)
                if value is not None:
                    self.model[key] = value
        self.loop.run_until_complete(self.store.settle())
        self.faults.disarm()

    @rule()
    def empty(self):
        self.loop.run_until_complete(self.store.clear())
        self.model.clear()

    @rule()
    def crash(self):
        """What is on disk now is all there is."""
        self.copies += 1
        after = self.root / str(self.copies)
        shutil.copytree(self.root / str(self.copies - 1), after)
        self.store.close()
        self.store = Store(after, self.faults)

    @rule()
    def restart(self):
        self.store.close()
        self.store = Store(self.root / str(self.copies), self.faults)

    @invariant()
    def holds(self):
        if not hasattr(self, "store"):
            return
        tx = self.store.begin(SCOPE)
        raw = list(tx.scan_bytes(b"", b"\xff"))
        assert raw == sorted(raw)
        assert {key[1]: tx.get_bytes(key) for key in tx.scan_keys(("k",))} == self.model

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.root)
            self.patch.undo()
        self.loop.close()


TestStored = Stored.TestCase
TestStored.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
