"""The store against a plain dict: transactions, scans over every layer, failures, reopening."""

import asyncio
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.kernel.database import StoreUnavailable
from cumulet.kernel.faults import Faults
from cumulet.kernel.keys import pack
from cumulet.kernel.record import Record
from cumulet.kernel.store import Store
from cumulet.kernel.tx import TimerScope

SCOPE = TimerScope(account="", region="")
KEY = st.tuples(st.sampled_from("ab"), st.integers(0, 12))
STEP = st.one_of(
    st.tuples(st.just("put"), KEY, st.binary(max_size=4)),
    st.tuples(st.just("delete"), KEY, st.none()),
    st.tuples(st.just("add"), KEY, st.integers(-3, 3)),
)
TRANSACTION = st.tuples(st.lists(STEP, max_size=6), st.sampled_from(["commit", "abandon", "yield", "settle"]))


class Thing(Record):
    name: str
    size: int = 0


def run(coroutine):
    return asyncio.run(coroutine)


def apply(model, tx, step):
    what, key, value = step
    if what == "put":
        tx.put(("m", *key), b"v" + value)
        model[key] = b"v" + value
    elif what == "delete":
        tx.delete(("m", *key))
        model.pop(key, None)
    else:
        raw = model.get(key, b"0")
        if raw.startswith(b"v"):
            return
        model[key] = b"%d" % tx.add(("m", *key), value)
        assert model[key] == b"%d" % (int(raw) + value)


def compare(model, tx, low, limit, reverse):
    want = sorted((("m", *key), value) for key, value in model.items() if key >= low)
    got = [(k, v) for k, v in tx.scan_bytes(pack(("m", *low)), pack(("n",)), limit=limit, reverse=reverse)]
    want = [(pack(k), v) for k, v in (reversed(want) if reverse else want)]
    assert got == (want if limit is None else want[:limit])
    for key in model:
        assert tx.get_bytes(("m", *key)) == model[key]


@settings(max_examples=60, deadline=None)
@given(st.lists(TRANSACTION, max_size=12), KEY, st.none() | st.integers(1, 5), st.booleans(), st.booleans())
def test_any_sequence_of_transactions_reads_as_a_dict_does(transactions, low, limit, reverse, on_disk):
    async def main(folder):
        store = Store(folder)
        model = {}
        for steps, ending in transactions:
            tx = store.begin(SCOPE)
            scratch = dict(model)
            for step in steps:
                apply(scratch, tx, step)
            compare(scratch, tx, low, limit, reverse)
            if ending == "abandon":
                tx.abandon()
                store.finish(tx, lambda error: None)
                continue
            model = scratch
            store.finish(tx, lambda error: None)
            if ending == "yield":
                await asyncio.sleep(0)
            elif ending == "settle":
                await store.settle()
            compare(model, store.begin(SCOPE), low, limit, reverse)
        await store.settle()
        store.close()
        if folder is not None:
            again = Store(folder)
            compare(model, again.begin(SCOPE), low, limit, reverse)
            again.close()

    if not on_disk:
        run(main(None))
        return
    with tempfile.TemporaryDirectory() as folder:
        run(main(Path(folder)))


def test_a_rollback_to_a_savepoint_undoes_only_what_came_after_it():
    async def main():
        store = Store(None)
        tx = store.begin(SCOPE)
        tx.put(("a",), b"1")
        mark = tx.savepoint()
        tx.put(("a",), b"2")
        tx.put(("b",), b"2")
        tx.rollback(mark)
        assert (tx.get_bytes(("a",)), tx.get_bytes(("b",))) == (b"1", None)
        store.close()

    run(main())


def test_a_cached_record_is_never_older_than_its_last_write(tmp_path):
    async def main():
        store = Store(tmp_path)
        for size in range(5):
            await store.transact(lambda tx, size=size: tx.put(("t",), Thing(name="x", size=size)))
            assert store.begin(SCOPE).get(("t",), Thing) == Thing(name="x", size=size)
            assert store.begin(SCOPE).get(("t",), Thing) is store.begin(SCOPE).get(("t",), Thing)
        store.close()

    run(main())


def test_an_answer_that_depends_on_an_uncommitted_write_waits_for_its_commit(tmp_path):
    async def main():
        store = Store(tmp_path)
        writer, reader = store.begin(SCOPE), None
        order = []
        writer.put(("a",), b"1")
        store.finish(writer, lambda error: order.append("write"))
        reader = store.begin(SCOPE)
        assert reader.get_bytes(("a",)) == b"1"
        store.finish(reader, lambda error: order.append("read"))
        assert order == []
        await store.settle()
        assert order == ["write", "read"]
        store.close()

    run(main())


def test_a_failed_commit_is_told_loses_nothing_older_and_the_next_one_works(tmp_path):
    async def main():
        faults = Faults()
        store = Store(tmp_path, faults)
        await store.transact(lambda tx: tx.put(("kept",), b"1"))

        def full():
            raise sqlite3.OperationalError("database or disk is full")

        faults.arm("store.commit", full)
        with pytest.raises(StoreUnavailable, match="disk is full"):
            await store.transact(lambda tx: tx.put(("lost",), b"1"))
        faults.disarm()
        await store.transact(lambda tx: tx.put(("after",), b"1"))
        tx = store.begin(SCOPE)
        assert [tx.get_bytes((name,)) for name in ("kept", "lost", "after")] == [b"1", None, b"1"]
        store.close()

    run(main())


def test_a_blob_lives_and_dies_with_the_transaction_that_names_it(tmp_path):
    async def main():
        store = Store(tmp_path)
        kept = await store.transact(lambda tx: tx.put_blob(b"x" * 100_000))
        tx = store.begin(SCOPE)
        dropped = tx.put_blob(b"y")
        assert tx.read_blob(dropped) == b"y"
        tx.abandon()
        assert store.begin(SCOPE).read_blob(kept) == b"x" * 100_000
        assert [path.name for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == [kept]
        store.close()
        again = Store(tmp_path)
        await again.transact(lambda tx: tx.delete_blob(kept))
        assert not [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
        again.close()

    run(main())


def test_a_blob_that_no_row_names_is_swept_at_the_start(tmp_path):
    async def main():
        Store(tmp_path).close()
        (tmp_path / "blobs/ab").mkdir()
        (tmp_path / "blobs/ab/abc").write_bytes(b"orphan")
        (tmp_path / "blobs/tmp/half").write_bytes(b"orphan")
        Store(tmp_path).close()
        assert not [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]

    run(main())


def test_a_second_server_on_the_directory_is_refused_with_the_pid(tmp_path):
    code = (
        "import sys; from pathlib import Path; from cumulet.kernel.store import Store; s = Store(Path(sys.argv[1])); "
        "print('open', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"open\n"
    with pytest.raises(StoreUnavailable, match=f"pid {other.pid}"):
        Store(tmp_path)
    other.communicate()


@pytest.mark.parametrize("damage", ["header", "middle", "not-a-database"])
def test_a_corrupt_database_is_refused_and_not_touched(tmp_path, damage):
    async def fill():
        store = Store(tmp_path)
        for number in range(200):
            await store.transact(lambda tx, number=number: tx.put(("k", number), b"x" * 1000))
        store.close()

    run(fill())
    path = tmp_path / "cumulet.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    raw = bytearray(path.read_bytes())
    if damage == "header":
        raw[:16] = b"not a database!!"
    elif damage == "middle":
        raw[8192 * 3 : 8192 * 6] = b"\xff" * (8192 * 3)
    else:
        raw = bytearray(b"hello, this is a text file\n" * 1000)
    path.write_bytes(raw)
    before = {p.name: p.read_bytes() for p in tmp_path.glob("cumulet.db*") if not p.name.endswith("-shm")}
    with pytest.raises(StoreUnavailable, match="not a sound database"):
        Store(tmp_path)
    after = {p.name: p.read_bytes() for p in tmp_path.glob("cumulet.db*") if not p.name.endswith("-shm")}
    assert after[path.name] == before[path.name]


def test_the_row_cache_gives_the_newest_value_and_stays_within_its_size():
    from cumulet.kernel.rowcache import RowCache

    cache = RowCache(64 * 1024)
    cache.put(b"k", b"old")
    for number in range(200):  # the young generation becomes the old one
        cache.put(b"n%d" % number, b"x" * 100)
    cache.committed({b"k": b""})
    assert cache.get(b"k") == b""
    cache.committed({b"n199": None, b"n1": b"y" * 10_000})
    assert cache.get(b"n199") is None
    assert cache.get(b"n1") is None, "a row too large to keep leaves no older one behind"
    for number in range(10_000):
        cache.put(b"m%d" % number, b"x" * 100)
    assert sum(len(v) for part in (cache._young, cache._old) for v in part.values()) < 64 * 1024
