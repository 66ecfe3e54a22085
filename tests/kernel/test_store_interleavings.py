"""The store between two steps: who is told, or wakes, or undoes at that moment finds what was committed, and no more."""

import asyncio
import os

import pytest

from cumulet.aws.errors import AwsError
from cumulet.kernel import rows as rows_module
from cumulet.kernel.blobs import Blobs
from cumulet.kernel.database import StoreUnavailable
from cumulet.kernel.faults import Faults
from cumulet.kernel.redolog import RedoLog
from cumulet.kernel.store import Store
from cumulet.services.sqs import SERVICE as SQS
from cumulet.testing.inprocess import InProcess

from .store_bench import SCOPE, full, run


def put(store, name, done):
    tx = store.begin(SCOPE)
    tx.put(("k", name), b"1")
    store.finish(tx, done)


def files(blobs):
    return sorted(path.name for path in blobs.folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("refuses", ["database", "frame"])
def test_who_is_refused_reads_the_commit_before(tmp_path, monkeypatch, refuses):
    """A, B and C follow one another; C is refused while B, committed, is on its way into the database."""
    monkeypatch.setattr(rows_module, "_COMMIT_OVER_ROWS", 1)

    async def main():
        faults = Faults()
        store = Store(tmp_path, faults)
        told = asyncio.get_running_loop().create_future()

        def a_is_in(error):
            if refuses == "frame":
                monkeypatch.setattr(store._redo, "frame", lambda writes: full())
            put(store, "C", c_is_refused)

        def c_is_refused(error):
            told.set_result((error, store.begin(SCOPE).get_bytes(("k", "B"))))

        if refuses == "database":
            faults.arm("store.apply", full)
        put(store, "A", a_is_in)
        store._flush()
        put(store, "B", lambda error: None)
        error, found = await told
        assert isinstance(error, StoreUnavailable)
        assert found == b"1"
        monkeypatch.undo()
        faults.disarm()
        await store.settle()
        store.close()

    run(main())
    store = Store(tmp_path)
    assert [key[1] for key in store.begin(SCOPE).scan_keys(("k",))] == ["A", "B"]
    store.close()


def test_a_signal_is_heard_though_the_batch_that_it_came_with_is_refused(tmp_path):
    async def main():
        faults = Faults()
        store = Store(tmp_path, faults)
        heard = asyncio.get_running_loop().create_future()
        store.on_commit = lambda writes, signals: signals and heard.set_result(len(signals))
        faults.arm("store.commit", full)
        put(store, "refused", lambda error: None)
        tx = store.begin(SCOPE)
        tx.signal(("wanted",))
        store.finish(tx, lambda error: None)
        assert await heard == 1
        store.close()

    run(main())


def test_a_blob_made_before_a_savepoint_survives_the_rollback_of_its_deletion(tmp_path):
    async def main():
        store = Store(tmp_path)

        def work(tx):
            blob = tx.put_blob(b"x")
            mark = tx.savepoint()
            tx.delete_blob(blob)
            tx.rollback(mark)
            return blob

        blob = await store.transact(work)
        assert store.begin(SCOPE).read_blob(blob) == b"x"
        store.close()

    run(main())


def test_a_blob_whose_making_was_rolled_back_leaves_no_file(tmp_path):
    async def main():
        store = Store(tmp_path)

        def work(tx):
            kept = tx.put_blob(b"x")
            mark = tx.savepoint()
            tx.put_blob(b"y")
            tx.rollback(mark)
            return kept

        kept = await store.transact(work)
        assert files(store.blobs) == [kept]
        store.close()

    run(main())


def test_a_blob_is_copied_while_the_commit_moves_it(tmp_path, monkeypatch):
    blobs = Blobs(tmp_path)
    blob = blobs.write(b"x")
    link = os.link

    def late(source, target):
        if os.path.exists(source):
            monkeypatch.setattr(os, "link", link)
            blobs.settle([blob])
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    copy = blobs.link(blob)
    assert blobs.path(copy).read_bytes() == b"x"
    with pytest.raises(FileNotFoundError):
        blobs.link("0" * 32)


def test_that_a_frame_was_taken_back_is_on_disk(tmp_path, monkeypatch):
    """A reset that was refused must not come true with a power cut."""
    lengths = []
    sync = os.fsync
    log = RedoLog(tmp_path / "log")
    log.append(log.frame({b"k": b"1"}))
    kept = log.size
    log.append(log.frame(None))
    monkeypatch.setattr(os, "fsync", lambda file: (sync(file), lengths.append(os.fstat(file).st_size)))
    log.take_back()
    assert lengths == [kept]
    log.close()


async def polling(cloud):
    """A receive call that waits for a message of the new queue."""
    made = await cloud.call("sqs", "CreateQueue", {"QueueName": "q"})
    request = {"QueueUrl": made["QueueUrl"], "WaitTimeSeconds": 20}
    receive = asyncio.ensure_future(cloud.call("sqs", "ReceiveMessage", request))
    await asyncio.sleep(0)
    await cloud.quiet()
    assert not receive.done()
    return made["QueueUrl"], receive


def test_a_request_that_waits_is_answered_when_the_cloud_is_emptied():
    async def main():
        async with InProcess([SQS]) as cloud:
            _, receive = await polling(cloud)
            cloud.pipeline.volatile["of the rows"] = 1
            await cloud.pipeline.reset()
            assert cloud.pipeline.volatile == {}
            with pytest.raises(AwsError) as caught:
                await receive
            assert caught.value.wire_code == "QueueDoesNotExist"

    run(main())


def test_a_request_waits_on_when_the_cloud_cannot_be_emptied():
    async def main():
        async with InProcess([SQS]) as cloud:
            url, receive = await polling(cloud)
            cloud.store.faults.arm("store.apply", full)
            with pytest.raises(StoreUnavailable):
                await cloud.pipeline.reset()
            cloud.store.faults.disarm()
            await cloud.call("sqs", "SendMessage", {"QueueUrl": url, "MessageBody": "here"})
            assert [each["Body"] for each in (await receive)["Messages"]] == ["here"]

    run(main())


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_store_that_is_never_idle_is_emptied_and_goes_on(tmp_path, on_disk):
    """What runs at that moment is kept and then deleted; what came after it is told that it is not kept."""

    async def main():
        store = Store(tmp_path if on_disk else None)
        stop, refused = False, []

        async def write(number):
            while not stop:
                try:
                    await store.transact(lambda tx: tx.put(("k", number), b"1"))
                except StoreUnavailable as error:
                    refused.append(str(error))
                await asyncio.sleep(0)

        writers = [asyncio.ensure_future(write(number)) for number in range(16)]
        for round_ in range(5):
            for _ in range(50):
                await asyncio.sleep(0)
            await store.clear()
            assert list(store.begin(SCOPE).scan_keys(("k",))) == [], round_
        stop = True
        await asyncio.gather(*writers)
        assert set(refused) <= {"The cloud was emptied while this request was running."}
        await store.clear()
        await store.transact(lambda tx: tx.put(("k", "after"), b"1"))
        store.close()

    run(main())
    if on_disk:
        store = Store(tmp_path)
        assert [key[1] for key in store.begin(SCOPE).scan_keys(("k",))] == ["after"]
        store.close()
