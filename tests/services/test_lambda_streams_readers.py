"""Lambda: who reads a stream's shards, in which order, and what happens to what fails, against a runtime that a test plays."""

import asyncio
import contextlib
import json
import sqlite3
from types import SimpleNamespace

import pytest

from cumulet.aws.errors import InternalFailure
from cumulet.kernel.outcome import EffectFailed
from cumulet.kernel.store import Fate
from cumulet.services.lambda_.sources.gathering import seen_by
from cumulet.services.lambda_.sources.progress import Reader
from cumulet.testing.inprocess import InProcess

from .lambda_streams_bench import STREAM_SERVICES, StreamBench, StreamMachine, in_stream_cloud


def test_changes_reach_the_function_in_order_in_batches():
    """B17.1, D12: one invocation for what is there, not one for each record."""

    async def test(bench, machine):
        await bench.put("a 1", "b 1", "a 2")
        await bench.map_stream(BatchSize=2)
        await bench.cloud.advance(1)
        assert machine.batches == [["a 1", "b 1"], ["a 2"]]
        await bench.put("a -")
        await bench.cloud.quiet()
        assert machine.batches[2:] == [["a -"]]

    in_stream_cloud(test)


def test_a_failing_batch_blocks_its_shard_and_is_retried_with_growing_pauses():
    """B17.2: the same batch over and over, in order, until the function is mended."""

    async def test(bench, machine):
        machine.answer = lambda changes, event: "Unhandled"
        await bench.map_stream(BatchSize=2)
        await bench.cloud.advance(1)
        began = bench.cloud.clock.now()
        await bench.put("a 1", "a 2", "a 3")
        await bench.cloud.advance(1)
        assert machine.batches[0] == ["a 1"]
        await bench.cloud.advance(300)
        assert all(batch == ["a 1"] for batch in machine.batches)
        pauses = [round(time - began) for time in machine.times]
        assert pauses == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]
        machine.answer = lambda changes, event: b"null"
        await bench.cloud.advance(60)
        assert machine.batches[-2:] == [["a 1"], ["a 2", "a 3"]]

    in_stream_cloud(test)


def test_a_throttled_function_gets_every_batch_in_order_and_throttling_is_no_attempt():
    """B17.3: reserved concurrency 1; no batch is lost although no retry is allowed."""

    async def test(bench, machine):
        await bench.reserve(1)
        await bench.map_stream(BatchSize=2, ParallelizationFactor=4, MaximumRetryAttempts=0)
        await bench.pass_time(0.5)
        await bench.put(*(f"{key} {n}" for n in range(4) for key in "abcdef"))
        while sum(len(batch) for batch in machine.batches) < 24 or machine.ends:
            await machine.running(1)
            await bench.pass_time(0.3)
            machine.end()
            await bench.pass_time(0.1)
        assert machine.most == 1
        changes = [change for batch in machine.batches for change in batch]
        for key in "abcdef":
            assert [each for each in changes if each[0] == key] == [f"{key} {n}" for n in range(4)]

    in_stream_cloud(test, hold=True)


def test_lanes_run_at_once_and_keep_the_order_of_a_key():
    """B17.2."""

    async def test(bench, machine):
        await bench.map_stream(ParallelizationFactor=10, BatchSize=3)
        await bench.pass_time(0.5)
        await bench.put(*(f"{key} {n}" for n in range(3) for key in "abcdefghijklmnopqrst"))
        await bench.pass_time(0.2)
        assert 2 < machine.most <= 10
        running = [set(change[0] for change in batch) for batch in machine.batches]
        assert sum(len(keys) for keys in running) == len(set.union(*running))
        machine.hold = False
        machine.end(10)
        await bench.cloud.quiet()
        changes = [change for batch in machine.batches for change in batch]
        assert len(changes) == 60
        for key in "abcdefghijklmnopqrst":
            assert [each for each in changes if each[0] == key] == [f"{key} {n}" for n in range(3)]

    in_stream_cloud(test, hold=True)


def test_another_number_of_lanes_goes_on_where_each_key_was():
    async def test(bench, machine):
        bad = {"b 1"}
        machine.answer = lambda changes, event: "Unhandled" if bad & set(changes) else b"null"
        uuid = await bench.map_stream(ParallelizationFactor=3, BatchSize=1)
        await bench.cloud.advance(1)
        await bench.put(*(f"{key} {n}" for n in range(3) for key in "abcdef"))
        await bench.cloud.advance(1)
        for factor in (1, 7, 2):
            await bench.cloud.call(
                "lambda", "UpdateEventSourceMapping", {"UUID": uuid, "ParallelizationFactor": factor}
            )
            await bench.cloud.advance(1)
            assert len(bench.rows("source-reader")) == factor
            await bench.put(f"g {factor}")
        bad.clear()
        await bench.cloud.advance(100)
        good = [change for batch in machine.batches for change in batch if change != "b 1"]
        assert len(good) == len(set(good)) == 17 + 3
        for key in "acdef":
            assert [each for each in good if each[0] == key] == [f"{key} {n}" for n in range(3)]
        assert machine.batches.index(["b 2"]) > max(n for n, batch in enumerate(machine.batches) if batch == ["b 1"])

    in_stream_cloud(test)


def test_a_window_of_time_gathers_a_batch():
    """D12."""

    async def test(bench, machine):
        await bench.map_stream(BatchSize=5, MaximumBatchingWindowInSeconds=20)
        await bench.cloud.advance(1)
        await bench.put("a 1")
        await bench.cloud.advance(10)
        await bench.put("a 2")
        await bench.cloud.advance(9.5)
        assert machine.batches == []
        await bench.cloud.advance(1)
        assert machine.batches == [["a 1", "a 2"]]
        await bench.put(*(f"b {n}" for n in range(6)))
        await bench.cloud.quiet()
        assert machine.batches[1:] == [["b 0", "b 1", "b 2", "b 3", "b 4"]]
        await bench.cloud.advance(21)
        assert machine.batches[2:] == [["b 5"]]

    in_stream_cloud(test)


def test_a_full_batch_that_waits_for_a_slot_runs_when_there_is_one():
    async def test(bench, machine):
        await bench.map_stream(BatchSize=2, MaximumBatchingWindowInSeconds=300)
        await bench.reserve(0)
        await bench.cloud.advance(1)
        await bench.put("a 1", "a 2", "a 3")
        await bench.cloud.advance(70)
        assert machine.batches == []
        await bench.reserve(1)
        await bench.cloud.quiet()
        assert machine.batches == [["a 1", "a 2"]]
        await bench.cloud.advance(299)
        assert machine.batches[1:] == []
        await bench.cloud.advance(2)
        assert machine.batches[1:] == [["a 3"]]

    in_stream_cloud(test)


def test_latest_begins_where_the_mapping_was_created():
    async def test(bench, machine):
        await bench.put("a 1", "b 1")
        await bench.map_stream(StartingPosition="LATEST")
        await bench.put("a 2")
        await bench.cloud.advance(1)
        assert machine.batches == [["a 2"]]

    in_stream_cloud(test)


def test_a_filter_passes_over_what_is_not_wanted():
    async def test(bench, machine):
        pattern = json.dumps({"eventName": ["INSERT"], "dynamodb": {"NewImage": {"v": {"S": [{"prefix": "y"}]}}}})
        await bench.map_stream(FilterCriteria={"Filters": [{"Pattern": pattern}]}, BatchSize=2)
        await bench.cloud.advance(1)
        await bench.put("a no", "b yes", "c yes2", "b yes3", "d no", "e y")
        await bench.cloud.advance(1)
        assert [change for batch in machine.batches for change in batch] == ["b yes", "c yes2", "e y"]

    in_stream_cloud(test)


def test_what_filters_pass_over_moves_the_checkpoint_now_and_then():
    async def test(bench, machine):
        pattern = json.dumps({"eventName": ["REMOVE"]})
        await bench.map_stream(FilterCriteria={"Filters": [{"Pattern": pattern}]})
        await bench.cloud.advance(1)
        await bench.put(*(f"a {n}" for n in range(999)))
        await bench.cloud.quiet()
        [(key, reader)] = bench.rows("source-reader").items()
        assert reader.checkpoint == ""
        await bench.put("a 999")
        await bench.cloud.quiet()
        reader = bench.rows("source-reader")[key]
        assert reader.checkpoint.endswith("1000")
        await bench.put("a -")
        await bench.cloud.quiet()
        assert machine.batches == [["a -"]]

    in_stream_cloud(test)


def test_children_are_read_after_their_parents():
    """B17.2: a shard that rolls over while a batch of it fails holds its child back."""

    async def test(bench, machine):
        bad = {"a 1"}
        machine.answer = lambda changes, event: "Unhandled" if bad & set(changes) else b"null"
        await bench.map_stream()
        await bench.cloud.advance(1)
        await bench.put("a 1")
        await bench.cloud.advance(5 * 3600)
        await bench.put("a 2")
        await bench.cloud.advance(60)
        assert {tuple(batch) for batch in machine.batches} == {("a 1",)}
        bad.clear()
        await bench.cloud.advance(61)
        assert machine.batches[-2:] == [["a 1"], ["a 2"]]
        await bench.cloud.advance(60 * 3600)
        await bench.put("a 3")
        await bench.cloud.quiet()
        assert machine.batches[-1] == ["a 3"]
        assert len(bench.rows("source-shard")) < 10
        assert len(bench.rows("source-reader")) == 1

    in_stream_cloud(test)


def test_a_disabled_mapping_goes_on_where_it_was():
    async def test(bench, machine):
        uuid = await bench.map_stream()
        await bench.cloud.advance(1)
        await bench.put("a 1")
        await bench.cloud.quiet()
        await bench.cloud.call("lambda", "UpdateEventSourceMapping", {"UUID": uuid, "Enabled": False})
        await bench.cloud.advance(1)
        await bench.put("a 2")
        await bench.cloud.advance(1000)
        assert machine.batches == [["a 1"]]
        await bench.cloud.call("lambda", "UpdateEventSourceMapping", {"UUID": uuid, "Enabled": True})
        await bench.cloud.advance(1)
        assert machine.batches == [["a 1"], ["a 2"]]

    in_stream_cloud(test)


def test_a_deleted_mapping_leaves_nothing():
    async def test(bench, machine):
        uuid = await bench.map_stream(ParallelizationFactor=2)
        await bench.cloud.advance(1)
        await bench.put("a 1")
        await bench.cloud.quiet()
        await bench.cloud.call("lambda", "DeleteEventSourceMapping", {"UUID": uuid})
        await bench.cloud.advance(1)
        await bench.put("a 2")
        await bench.cloud.quiet()
        assert machine.batches == [["a 1"]]
        left = [key for key in bench.cloud.store.begin(None).scan_keys(("lambda",)) if str(key[1]).startswith("source")]
        assert left == []
        running = [key for key in bench.cloud.store.begin(None).scan_keys(("~running",))]
        assert running == []

    in_stream_cloud(test)


def test_an_idle_mapping_does_nothing():
    async def test(bench, machine):
        await bench.map_stream(ParallelizationFactor=2)
        await bench.cloud.advance(1)
        await bench.put("a 1")
        await bench.cloud.quiet()
        timers = [
            key for key in bench.cloud.store.begin(None).scan_keys(("~timer",)) if str(key[2]).startswith("lambda")
        ]
        assert timers == []

    in_stream_cloud(test)


@pytest.mark.parametrize("commit", range(10))
def test_a_disk_that_is_full_for_a_moment_loses_no_record_and_no_reader(tmp_path, commit):
    """What a reader saw of a commit that failed was not there: the next record has its number."""

    async def test(bench, machine):
        cloud = bench.cloud
        cloud.pipeline.timers.rewrite_s = 0.0
        pattern = json.dumps({"dynamodb": {"NewImage": {"v": {"S": [{"anything-but": ["no"]}]}}}})
        await bench.map_stream(BatchSize=1, FilterCriteria={"Filters": [{"Pattern": pattern}]})
        await cloud.advance(1)

        def full():
            cloud.pipeline.faults.disarm()
            raise sqlite3.OperationalError("database or disk is full")

        cloud.pipeline.faults.arm("store.commit", full, after=commit)
        wanted = []
        for item in ("a no", "b no", "c 1", "d no", "e 2", "a no"):
            with contextlib.suppress(InternalFailure):
                await bench.put(item)
                wanted += [] if item.endswith("no") else [item]
            for _ in range(4):  # what could not be written is tried again in the loop's next round
                await asyncio.sleep(0)
                await cloud.quiet()
        cloud.pipeline.faults.disarm()
        await cloud.advance(1)
        await bench.put("f 3")
        await cloud.advance(1)
        assert list(dict.fromkeys(change for batch in machine.batches for change in batch)) == [*wanted, "f 3"]

    in_stream_cloud(test, folder=tmp_path)


def test_what_a_reader_saw_of_a_commit_that_failed_is_forgotten():
    fate = Fate()
    ctx = SimpleNamespace(pipeline=SimpleNamespace(volatile={}, store=SimpleNamespace(fate=fate)))
    seen = seen_by(ctx, ("r",), Reader(checkpoint="5"))
    seen.last = "7"
    assert seen_by(ctx, ("r",), Reader(checkpoint="5")).last == "7"
    assert seen_by(ctx, ("r",), Reader(checkpoint="6")).last == "6"
    seen = seen_by(ctx, ("r",), Reader(checkpoint="5"))
    seen.last = "7"
    fate.failed = True
    ctx.pipeline.store.fate = Fate()
    assert seen_by(ctx, ("r",), Reader(checkpoint="5")).last == "5"


def test_a_second_timer_of_a_busy_reader_does_nothing():
    async def test(bench, machine):
        await bench.map_stream()
        await bench.pass_time(0.5)
        await bench.put("a 1")
        await machine.running(1)
        [key] = bench.rows("source-reader")
        now = bench.cloud.clock.now()
        await bench.cloud.store.transact(lambda tx: tx.wake(now, "lambda.shard", key[2:]))
        await bench.pass_time(1)
        assert machine.batches == [["a 1"]]

    in_stream_cloud(test, hold=True)


@pytest.mark.parametrize("operation", ["DeleteEventSourceMapping", "UpdateEventSourceMapping"])
def test_a_batch_that_runs_ends_as_it_began_when_its_mapping_is_deleted_or_disabled(operation):
    async def test(bench, machine):
        uuid = await bench.map_stream(BatchSize=1)
        await bench.pass_time(0.5)
        await bench.put("a 1", "a 2")
        await machine.running(1)
        extra = {"Enabled": False} if operation.startswith("Update") else {}
        await bench.cloud.call("lambda", operation, {"UUID": uuid, **extra})
        await bench.pass_time(0.5)
        machine.end()
        await bench.pass_time(1)
        assert machine.batches == [["a 1"]]
        if extra:
            [reader] = bench.rows("source-reader").values()
            assert reader.checkpoint.endswith("1")
            await bench.cloud.call("lambda", operation, {"UUID": uuid, "Enabled": True})
            await bench.pass_time(0.5)
            assert machine.batches == [["a 1"], ["a 2"]]
        else:
            assert (bench.rows("source-reader"), bench.rows("source-shard")) == ({}, {})

    in_stream_cloud(test, hold=True)


def test_what_ran_when_the_server_died_runs_again_at_its_start(tmp_path):
    """B17.2: at least once, in order; no retry is used up."""
    seen = []

    async def main(hold, then):
        machine = StreamMachine(hold)
        async with InProcess(STREAM_SERVICES, {"invoke": machine.run}, tmp_path) as cloud:
            machine.clock = cloud.clock
            await then(StreamBench(cloud), machine)

    async def before(bench, machine):
        await bench.table()
        await bench.function()
        await bench.map_stream(BatchSize=2, MaximumRetryAttempts=0)
        await bench.pass_time(0.5)
        await bench.put("a 1", "a 2", "a 3")
        await machine.running(1)
        await bench.cloud.store.settle()
        bench.cloud.pipeline._tasks.clear()  # as by kill -9: nobody waits for the functions

    async def after(bench, machine):
        await bench.cloud.advance(1)
        seen.extend(machine.batches)

    asyncio.run(main(True, before))
    asyncio.run(main(False, after))
    assert seen == [["a 1", "a 2"], ["a 3"]]


def test_the_platforms_own_failure_uses_up_no_retry_and_its_stop_none_and_no_time():
    async def test(bench, machine):
        answers = [EffectFailed("UnusablePackage", "broken"), EffectFailed("RuntimesClosed", "stopping"), b"null"]
        machine.answer = lambda changes, event: answers.pop(0)
        await bench.map_stream(MaximumRetryAttempts=0)
        await bench.cloud.advance(1)
        began = bench.cloud.clock.now()
        await bench.put("a 1")
        await bench.cloud.advance(10)
        assert (machine.batches, answers) == ([["a 1"]] * 3, [])
        assert [round(time - began) for time in machine.times] == [0, 1, 1]

    in_stream_cloud(test)


def test_a_batch_has_six_megabytes_at_most():
    async def test(bench, machine):
        payloads = []
        run = machine.run

        async def measured(span, spec, code, layers, invocation):
            payloads.append(len(invocation.payload))
            return await run(span, spec, code, layers, invocation)

        bench.cloud.pipeline.performers["invoke"] = measured
        for key in "abcdefghijklmnopqrst":
            await bench.put(f"{key} {'x' * 390_000}")
        await bench.map_stream()
        await bench.cloud.advance(1)
        assert [len(batch) for batch in machine.batches] == [16, 4]
        assert all(payload <= 6_291_456 for payload in payloads)

    in_stream_cloud(test)


def test_a_stream_that_expired_ends_its_readers():
    async def test(bench, machine):
        uuid = await bench.map_stream()
        await bench.put("a 1")
        await bench.cloud.advance(1)
        await bench.cloud.call("dynamodb", "DeleteTable", {"TableName": "tab"})
        await bench.cloud.advance(50 * 3600)
        assert machine.batches == [["a 1"]]
        assert (bench.rows("source-reader"), bench.cloud.pipeline.timers.next_due()) == ({}, None)
        await bench.cloud.call("lambda", "DeleteEventSourceMapping", {"UUID": uuid})
        await bench.cloud.advance(1)
        assert bench.rows("source-shard") == {}

    in_stream_cloud(test)


def test_a_deleted_function_is_waited_for():
    async def test(bench, machine):
        await bench.map_stream()
        await bench.cloud.advance(1)
        await bench.cloud.call("lambda", "DeleteFunction", {"FunctionName": "f"})
        await bench.put("a 1")
        await bench.cloud.advance(100)
        assert machine.batches == []
        await bench.function()
        await bench.cloud.advance(61)
        assert machine.batches == [["a 1"]]

    in_stream_cloud(test)


def test_a_table_on_demand_is_read_by_shard_and_all_its_shards_at_once():
    async def test(bench, machine):
        await bench.table("demand", on_demand=True)
        await bench.map_stream()
        await bench.pass_time(0.5)
        await bench.put(*(f"{key} {n}" for n in range(2) for key in "abcdefghijklmnop"), table="demand")
        await bench.pass_time(0.5)
        assert machine.most == len(bench.rows("source-shard")) > 1
        machine.hold = False
        machine.end(10)
        await bench.cloud.quiet()
        changes = [change for batch in machine.batches for change in batch]
        assert len(changes) == 32
        assert all(changes.index(f"{key} 0") < changes.index(f"{key} 1") for key in "abcdefghijklmnop")

    in_stream_cloud(test, hold=True)


def test_queued_events_and_a_stream_take_turns_at_a_throttled_function():
    async def test(bench, machine):
        await bench.reserve(1)
        await bench.map_stream(BatchSize=1)
        await bench.pass_time(0.5)
        record = {"dynamodb": {"Keys": {"k": {"S": "event"}}, "NewImage": {"v": {"S": "0"}}}}
        event = {"FunctionName": "f", "InvocationType": "Event", "Payload": json.dumps({"Records": [record]}).encode()}
        for n in range(10):
            await bench.put(f"record {n}")
            await bench.cloud.call("lambda", "Invoke", event)
        for _ in range(20):
            await bench.pass_time(0.1)
            await machine.running(1)
            machine.end()
        await bench.pass_time(0.1)
        order = [change.split()[0] for [change] in machine.batches]
        assert (order.count("event"), order.count("record")) == (10, 10)
        for half in (order[:10], order[10:]):
            assert 3 <= half.count("event") <= 7

    in_stream_cloud(test, hold=True)


def test_children_wait_for_all_lanes_of_their_parent():
    """B17.2."""

    async def test(bench, machine):
        bad = {"a 1"}
        machine.answer = lambda changes, event: "Unhandled" if bad & set(changes) else b"null"
        await bench.map_stream(ParallelizationFactor=2)
        await bench.cloud.advance(1)
        await bench.put("a 1", *(f"{key} 1" for key in "bcdefgh"))
        await bench.cloud.advance(5 * 3600)
        await bench.put(*(f"{key} 2" for key in "abcdefgh"))
        await bench.cloud.advance(120)
        assert not any(change.endswith("2") for batch in machine.batches for change in batch)
        bad.clear()
        await bench.cloud.advance(61)
        changes = [change for batch in machine.batches for change in batch]
        assert {change for change in changes if change.endswith("2")} == {f"{key} 2" for key in "abcdefgh"}

    in_stream_cloud(test)


def test_another_number_of_lanes_waits_for_the_batches_that_run():
    async def test(bench, machine):
        uuid = await bench.map_stream(BatchSize=1)
        await bench.pass_time(0.5)
        await bench.put("a 1", "a 2")
        await machine.running(1)
        await bench.cloud.call("lambda", "UpdateEventSourceMapping", {"UUID": uuid, "ParallelizationFactor": 2})
        await bench.pass_time(1)
        assert (machine.batches, len(bench.rows("source-reader"))) == ([["a 1"]], 1)
        machine.end()
        await bench.pass_time(0.5)
        assert (machine.batches, len(bench.rows("source-reader"))) == ([["a 1"], ["a 2"]], 2)

    in_stream_cloud(test, hold=True)
