"""Lambda: who reads a queue, when, and how many at once, against a runtime that ends when the test says so."""

import asyncio
import contextlib
import json
import sqlite3

import pytest

from cumulet.aws.errors import InternalFailure
from cumulet.kernel.outcome import EffectFailed
from cumulet.services.lambda_.names import Ref
from cumulet.services.lambda_.sources import batches
from cumulet.services.lambda_.sources.model import Mapping
from cumulet.services.lambda_.sources.queues import Pollers, most
from cumulet.testing.inprocess import InProcess

from .lambda_sources_bench import ACCOUNT, SERVICES, Bench, Machine, in_cloud


def test_five_batches_run_at_once_and_five_more_each_second_while_there_is_a_backlog():
    async def test(bench, machine):
        url = await bench.queue()
        await bench.function()
        await bench.map(BatchSize=1)
        await bench.pass_time(0.5)
        await bench.send(url, *(str(n) for n in range(40)))
        await machine.running(5)
        for expected in (10, 15, 20):
            await bench.pass_time(1.2)
            assert len(machine.ends) == expected
        machine.end(20)
        await bench.pass_time(0.1)
        assert len(machine.ends) == 20
        machine.end(20)
        await bench.pass_time(0.5)
        assert await bench.counts(url) == (0, 0)
        await bench.send(url, *(str(n) for n in range(20)))
        await bench.pass_time(0.2)
        assert len(machine.ends) == 5

    in_cloud(test, hold=True)


@pytest.mark.parametrize("count", [2, 7])
def test_maximum_concurrency_is_never_passed(count):
    async def test(bench, machine):
        url = await bench.queue()
        await bench.function()
        await bench.map(BatchSize=1, ScalingConfig={"MaximumConcurrency": count})
        await bench.pass_time(0.5)
        await bench.send(url, *(str(n) for n in range(30)))
        await bench.pass_time(10)
        assert len(machine.ends) == count
        for _ in range(20):
            machine.end()
            await bench.pass_time(0.1)
            assert len(machine.ends) == count
        assert machine.most == count

    in_cloud(test, hold=True)


def test_a_lower_maximum_concurrency_lets_pollers_end():
    async def test(bench, machine):
        url = await bench.queue()
        await bench.function()
        uuid = await bench.map(BatchSize=1, ScalingConfig={"MaximumConcurrency": 4})
        await bench.pass_time(0.5)
        await bench.send(url, *(str(n) for n in range(20)))
        await machine.running(4)
        request = {"UUID": uuid, "ScalingConfig": {"MaximumConcurrency": 2}}
        await bench.cloud.call("lambda", "UpdateEventSourceMapping", request)
        for _ in range(5):
            machine.end()
            await bench.pass_time(0.2)
        assert len(machine.ends) == 2

    in_cloud(test, hold=True)


def test_a_second_timer_of_a_busy_poller_does_nothing():
    async def test(bench, machine):
        url = await bench.queue()
        await bench.function()
        uuid = await bench.map()
        await bench.pass_time(0.5)
        await bench.send(url, "x")
        await machine.running(1)
        [busy] = bench.pollers().busy
        now = bench.cloud.clock.now()
        await bench.cloud.store.transact(lambda tx: tx.wake(now, "lambda.poll", (ACCOUNT, "us-east-1", uuid, busy)))
        await bench.pass_time(1)
        assert (machine.batches, await bench.counts(url)) == ([["x"]], (0, 1))

    in_cloud(test, hold=True)


def test_a_thousand_batches_at_most_run_for_one_mapping():
    place = {
        "account": ACCOUNT,
        "region": "us-east-1",
        "uuid": "u",
        "kind": "sqs",
        "source_arn": "arn",
        "modified": 0.0,
    }
    mapping = Mapping(**place, function=Ref(ACCOUNT, "us-east-1", "f"), state="Enabled", enabled=True, batch_size=10)
    assert most(mapping, Pollers(limit=0)) == 5
    assert most(mapping, Pollers(limit=999)) == 999
    assert most(mapping, Pollers(limit=1001)) == 1000


def test_reserved_concurrency_is_never_passed_and_no_receive_is_wasted():
    """B2.1, B2.5: one at a time; what waits was never received."""

    async def test(bench, machine):
        url = await bench.queue()
        await bench.function(reserved=1)
        await bench.map(BatchSize=2)
        await bench.pass_time(0.5)
        await bench.send(url, *(str(n) for n in range(8)))
        done = 0
        while done < 8:
            await machine.running(1)
            await bench.pass_time(0.2)
            runs = len(machine.batches[-1])
            assert await bench.counts(url) == (8 - done - runs, runs)
            machine.end()
            done += runs
            await bench.pass_time(0.1)
        assert machine.most == 1

    in_cloud(test, hold=True)


def test_two_mappings_share_a_throttled_function():
    async def test(bench, machine):
        first, second = await bench.queue("first"), await bench.queue("second")
        await bench.function(reserved=1)
        await bench.map("first", BatchSize=1)
        await bench.map("second", BatchSize=1)
        await bench.pass_time(0.5)
        await bench.send(first, "a1", "a2", "a3")
        await bench.send(second, "b1", "b2", "b3")
        for _ in range(6):
            await machine.running(1)
            machine.end()
            await bench.pass_time(0.1)
        assert machine.most == 1
        assert sorted(body for [body] in machine.batches) == ["a1", "a2", "a3", "b1", "b2", "b3"]

    in_cloud(test, hold=True)


def test_another_invocations_end_lets_the_listener_go_on():
    async def test(bench, machine):
        url = await bench.queue()
        await bench.function(reserved=1)
        await bench.map()
        await bench.pass_time(0.5)
        other = asyncio.create_task(
            bench.cloud.call("lambda", "Invoke", {"FunctionName": "f", "Payload": b'{"Records": [{"body": "direct"}]}'})
        )
        await machine.running(1)
        await bench.send(url, "waits")
        await bench.pass_time(0.5)
        assert (machine.batches, await bench.counts(url)) == ([["direct"]], (1, 0))
        machine.end()
        await other
        await bench.pass_time(0)
        await bench.cloud.pipeline.store.settle()
        await machine.running(1)
        assert machine.batches == [["direct"], ["waits"]]

    in_cloud(test, hold=True)


def test_queued_events_and_messages_take_turns_at_a_throttled_function():
    async def test(bench, machine):
        url = await bench.queue()
        await bench.function(reserved=1)
        await bench.map(BatchSize=1)
        await bench.pass_time(0.5)
        await bench.send(url, *(["message"] * 10))
        for _ in range(10):
            request = {"FunctionName": "f", "InvocationType": "Event", "Payload": b'{"Records": [{"body": "event"}]}'}
            await bench.cloud.call("lambda", "Invoke", request)
        for _ in range(20):
            await bench.pass_time(0.1)
            await machine.running(1)
            machine.end()
        await bench.pass_time(0.1)
        order = [body for [body] in machine.batches]
        assert (order.count("event"), order.count("message")) == (10, 10)
        for half in (order[:10], order[10:]):
            assert 3 <= half.count("event") <= 7

    in_cloud(test, hold=True)


def test_one_batch_of_a_fifo_group_runs_at_a_time_and_groups_run_side_by_side():
    """B8.8."""

    async def test(bench, machine):
        url = await bench.queue("q.fifo")
        await bench.function()
        await bench.map("q.fifo", BatchSize=1)
        await bench.pass_time(0.5)
        for group in ("a", "b"):
            await bench.send(url, f"{group}1", f"{group}2", group=group)
        await bench.pass_time(3)
        assert sorted(machine.batches) == [["a1"], ["b1"]]
        machine.end(2)
        await bench.pass_time(0.2)
        assert sorted(machine.batches) == [["a1"], ["a2"], ["b1"], ["b2"]]

    in_cloud(test, hold=True)


def test_batches_that_run_when_a_mapping_goes_still_delete_what_succeeded():
    async def test(bench, machine):
        url = await bench.queue()
        await bench.function()
        uuid = await bench.map()
        await bench.pass_time(0.5)
        await bench.send(url, "x")
        await machine.running(1)
        await bench.cloud.call("lambda", "DeleteEventSourceMapping", {"UUID": uuid})
        await bench.pass_time(0.5)
        machine.end()
        await bench.pass_time(0.1)
        assert await bench.counts(url) == (0, 0)
        assert not list(bench.cloud.store.begin(None).scan_keys(("lambda", "source-pollers")))
        assert not list(bench.cloud.store.begin(None).scan_keys(("lambda", "source-taken")))

    in_cloud(test, hold=True)


def test_a_disabled_mapping_begins_nothing_after_the_batch_that_runs():
    async def test(bench, machine):
        url = await bench.queue()
        await bench.function()
        uuid = await bench.map(BatchSize=1)
        await bench.pass_time(0.5)
        await bench.send(url, *"abcdefg")
        await machine.running(5)
        await bench.cloud.call("lambda", "UpdateEventSourceMapping", {"UUID": uuid, "Enabled": False})
        machine.end(5)
        await bench.pass_time(2)
        assert (len(machine.batches), await bench.counts(url)) == (5, (2, 0))
        await bench.cloud.call("lambda", "UpdateEventSourceMapping", {"UUID": uuid, "Enabled": True})
        await bench.pass_time(0.5)
        assert len(machine.batches) == 7

    in_cloud(test, hold=True)


def test_a_queue_that_goes_while_its_batch_runs_leaves_the_poller_whole():
    async def test(bench, machine):
        url = await bench.queue()
        await bench.function()
        await bench.map()
        await bench.pass_time(0.5)
        await bench.send(url, "x")
        await machine.running(1)
        await bench.cloud.call("sqs", "DeleteQueue", {"QueueUrl": url})
        machine.end()
        await bench.pass_time(1)
        assert bench.pollers().busy == ()
        await bench.pass_time(60)
        await bench.queue()
        await bench.pass_time(61)
        await bench.send(url, "y")
        await machine.running(1)
        assert machine.batches == [["x"], ["y"]]

    in_cloud(test, hold=True)


@pytest.mark.parametrize("enabled", [True, False])
def test_what_ran_when_the_server_died_is_visible_again_at_its_start_and_was_not_received(tmp_path, enabled):
    seen, url = [], f"http://127.0.0.1:4566/{ACCOUNT}/q"

    async def main(hold, then):
        machine = Machine(hold)
        async with InProcess(SERVICES, {"invoke": machine.run}, tmp_path) as cloud:
            await then(Bench(cloud), machine)

    async def before(bench, machine):
        await bench.queue(VisibilityTimeout="43200")
        await bench.function()
        uuid = await bench.map(BatchSize=1)
        await bench.pass_time(0.5)
        await bench.send(url, *"abcdefg")
        await machine.running(5)
        if not enabled:
            await bench.cloud.call("lambda", "UpdateEventSourceMapping", {"UUID": uuid, "Enabled": False})
        await bench.cloud.store.settle()
        bench.cloud.pipeline._tasks.clear()  # as by kill -9: nobody waits for the functions

    async def after(bench, machine):
        await bench.cloud.advance(1)
        seen.extend(machine.batches)
        assert await bench.counts(url) == ((0, 0) if enabled else (7, 0))
        assert set(machine.receives) <= {"1"}

    asyncio.run(main(True, before))
    asyncio.run(main(False, after))
    assert sorted(seen) == ([[body] for body in "abcdefg"] if enabled else [])


def test_what_ran_when_the_server_died_is_not_given_up_however_long_it_was_down(tmp_path):
    seen, url = [], f"http://127.0.0.1:4566/{ACCOUNT}/q"

    async def main(hold, begin, then):
        machine = Machine(hold)
        async with InProcess(SERVICES, {"invoke": machine.run}, tmp_path, begin=begin) as cloud:
            await then(Bench(cloud), machine)

    async def before(bench, machine):
        await bench.queue("dead")
        redrive = {"deadLetterTargetArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead", "maxReceiveCount": 1}
        await bench.queue(VisibilityTimeout="30", RedrivePolicy=json.dumps(redrive))
        await bench.function()
        await bench.map(BatchSize=1)
        await bench.pass_time(0.5)
        await bench.send(url, *"abcdefg")
        await machine.running(5)
        await bench.cloud.store.settle()
        bench.cloud.pipeline._tasks.clear()  # as by kill -9: nobody waits for the functions

    async def after(bench, machine):
        await bench.cloud.advance(1)
        seen.extend(machine.batches)
        assert set(machine.receives) == {"1"}
        assert await bench.counts(url) == (0, 0)
        assert await bench.counts(url.replace("/q", "/dead")) == (0, 0)

    asyncio.run(main(True, 1_700_000_000.0, before))
    asyncio.run(main(False, 1_700_003_600.0, after))
    assert sorted(seen) == [[body] for body in "abcdefg"]


@pytest.mark.parametrize("commit", range(9))
def test_a_disk_that_is_full_for_a_moment_loses_no_message_and_no_poller(tmp_path, commit):
    async def test(bench, machine):
        cloud = bench.cloud
        cloud.pipeline.timers.rewrite_s = 0.0
        url = await bench.queue()
        await bench.function(reserved=0)
        await bench.map(BatchSize=1)
        await cloud.advance(1)
        await bench.send(url, *"abcdefgh")

        def full():
            cloud.pipeline.faults.disarm()
            raise sqlite3.OperationalError("database or disk is full")

        cloud.pipeline.faults.arm("store.commit", full, after=commit)
        with contextlib.suppress(InternalFailure):
            await bench.reserve(2)
        for _ in range(10):  # what could not be written is tried again in the loop's next round
            await asyncio.sleep(0)
            await cloud.quiet()
        cloud.pipeline.faults.disarm()
        await bench.reserve(3)
        await cloud.advance(31)
        assert {body for [body] in machine.batches} == set("abcdefgh")
        assert (await bench.counts(url), bench.pollers().busy) == ((0, 0), ())
        await bench.send(url, "after")
        await cloud.quiet()
        assert machine.batches[-1] == ["after"]

    in_cloud(test, folder=tmp_path)


def test_an_idle_mapping_costs_no_timer_and_no_write():
    async def test(bench, machine):
        await bench.queue()
        await bench.function()
        await bench.map()
        await bench.cloud.advance(1)
        commits, due = bench.cloud.store.commits, bench.cloud.pipeline.timers.next_due()
        await bench.cloud.advance(86_400)
        assert (due, bench.cloud.pipeline.timers.next_due()) == (None, None)
        assert bench.cloud.store.commits == commits

    in_cloud(test)


def test_the_platforms_own_failure_is_a_failure_of_the_batch_but_its_stop_is_none():
    async def test(bench, machine):
        url = await bench.queue()
        await bench.function()
        await bench.map()
        await bench.cloud.advance(1)
        machine.answer = lambda bodies: EffectFailed("UnusablePackage", "broken")
        await bench.send(url, "x")
        await bench.cloud.quiet()
        assert await bench.counts(url) == (0, 1)
        answers = [EffectFailed("RuntimesClosed", "The server is stopping."), b"null"]
        machine.answer = lambda bodies: answers.pop(0)
        await bench.cloud.advance(31)
        assert (machine.batches, await bench.counts(url)) == ([["x"], ["x"], ["x"]], (0, 0))
        assert machine.receives == ["1", "2", "2"]

    in_cloud(test)


def test_what_fills_a_payload_does_not_wait_for_the_window():
    async def test(bench, machine):
        url = await bench.queue()
        await bench.function()
        await bench.map(BatchSize=100, MaximumBatchingWindowInSeconds=300)
        await bench.cloud.advance(1)
        bodies = [f"{number:02} {'x' * 900_000}" for number in range(7)]
        await bench.send(url, *bodies[:6])
        await bench.cloud.advance(250)
        assert machine.batches == []
        await bench.send(url, bodies[6])
        await bench.cloud.quiet()
        assert machine.batches == [bodies[:6]]
        await bench.cloud.advance(299)
        assert len(machine.batches) == 1
        await bench.cloud.advance(2)
        assert machine.batches[1:] == [bodies[6:]]

    in_cloud(test)


def test_a_window_looks_at_the_size_of_what_waits_a_few_times_only(monkeypatch):
    async def test(bench, machine):
        weighed = []
        ask = batches.ask

        def counted(*asked, **request):
            weighed.extend([1] * ("Weigh" in request))
            return ask(*asked, **request)

        monkeypatch.setattr(batches, "ask", counted)
        url = await bench.queue()
        await bench.function()
        await bench.map(BatchSize=1000, MaximumBatchingWindowInSeconds=300)
        await bench.cloud.advance(1)
        await bench.send(url, *(str(number) for number in range(500)))
        await bench.cloud.quiet()
        assert machine.batches == []
        assert 0 < len(weighed) < 25

    in_cloud(test)
