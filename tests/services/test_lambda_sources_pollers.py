"""Lambda: who reads a queue, against a runtime that ends when the test says so; a model of a queue with its function."""

import asyncio
import io
import json
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cumulet.kernel.outcome import EffectFailed
from cumulet.kernel.service import Service
from cumulet.runtimes.model import InvocationResult
from cumulet.services.lambda_ import SERVICE as LAMBDA
from cumulet.services.lambda_.names import Ref
from cumulet.services.lambda_.sources.model import STATES, Mapping
from cumulet.services.lambda_.sources.queues import Pollers, most
from cumulet.services.lambda_.sources.records import PAYLOAD_LIMIT_BYTES, failed_of, payload_of
from cumulet.services.logs import SERVICE as LOGS
from cumulet.services.sqs import SERVICE as SQS
from cumulet.testing.inprocess import InProcess

ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/r"


def _credentials(ctx, req):
    return {"AccessKeyId": "k", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": ctx.now + 7200}


STS = Service("sts", internals={"cumulet:RoleCredentials": _credentials})


class Machine:
    """A runtime: `batches` are the bodies of each invocation, in order. With `hold` invocations end one by one, by `end`."""

    def __init__(self, hold=False):
        self.hold = hold
        self.batches, self.ends, self.receives = [], [], []
        self.most = 0
        self.answer = lambda bodies: b"null"
        self.changed = asyncio.Event()

    async def run(self, span, spec, code, layers, invocation):
        records = json.loads(invocation.payload)["Records"]
        bodies = [record["body"] for record in records]
        self.batches.append(bodies)
        self.receives.extend(r["attributes"]["ApproximateReceiveCount"] for r in records if "attributes" in r)
        if self.hold:
            end = asyncio.get_running_loop().create_future()
            self.ends.append(end)
            self.most = max(self.most, len(self.ends))
            self.changed.set()
            await end
            self.ends.remove(end)
        answer = self.answer(bodies)
        if isinstance(answer, Exception):
            raise answer
        failed = answer if isinstance(answer, str) else None
        payload = b"{}" if failed else answer
        return InvocationResult(payload, failed, [], "stream", 1.0, 1, None, 1, "ok")

    async def running(self, count):
        """Until exactly so many run."""
        while len(self.ends) != count:
            assert len(self.ends) < count
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 10)

    def end(self, count=1):
        for end in self.ends[:count]:
            if not end.done():
                end.set_result(None)


class Bench:
    """A cloud with a queue, a function, and a mapping between them."""

    def __init__(self, cloud):
        self.cloud = cloud

    async def queue(self, name="q", **attributes):
        if name.endswith(".fifo"):
            attributes |= {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        await self.cloud.call("sqs", "CreateQueue", {"QueueName": name, "Attributes": attributes})
        return f"http://127.0.0.1:4566/{ACCOUNT}/{name}"

    async def function(self, name="f", reserved=None):
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as archive:
            archive.writestr("index.py", "")
        request = {"FunctionName": name, "Runtime": "python3.12", "Handler": "index.h", "Role": ROLE,
                   "Code": {"ZipFile": sink.getvalue()}}  # fmt: skip
        await self.cloud.call("lambda", "CreateFunction", request)
        if reserved is not None:
            await self.reserve(reserved, name)

    async def reserve(self, count, name="f"):
        request = {"FunctionName": name, "ReservedConcurrentExecutions": count}
        await self.cloud.call("lambda", "PutFunctionConcurrency", request)

    async def map(self, queue="q", name="f", **request):
        arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{queue}"
        request = {"EventSourceArn": arn, "FunctionName": name, **request}
        return (await self.cloud.call("lambda", "CreateEventSourceMapping", request))["UUID"]

    async def send(self, url, *bodies, group=None):
        for body in bodies:
            extra = {"MessageGroupId": group} if group else {}
            await self.cloud.call("sqs", "SendMessage", {"QueueUrl": url, "MessageBody": body, **extra})

    async def counts(self, url):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        request = {"QueueUrl": url, "AttributeNames": names}
        found = (await self.cloud.call("sqs", "GetQueueAttributes", request))["Attributes"]
        return tuple(int(found[name]) for name in names)

    async def pass_time(self, seconds):
        """Move the clock although functions run, which `advance` would wait for."""
        pipeline = self.cloud.pipeline
        for _ in range(round(seconds * 10)):
            pipeline._move(pipeline.clock.now() + 0.1)
            await pipeline.store.settle()
            for _ in range(20):
                await asyncio.sleep(0)


def in_cloud(test, hold=False, folder=None):
    async def main():
        machine = Machine(hold)
        async with InProcess([LAMBDA, LOGS, STS, SQS], {"invoke": machine.run}, folder) as cloud:
            await test(Bench(cloud), machine)
            machine.hold = False
            machine.end(len(machine.ends))
            await cloud.quiet()

    asyncio.run(main())


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
        await bench.pass_time(61)
        await bench.queue()
        await bench.pass_time(61)
        await bench.send(url, "y")
        await machine.running(1)
        assert machine.batches == [["x"], ["y"]]

    in_cloud(test, hold=True)


def test_what_ran_when_the_server_died_is_visible_again_at_its_start_and_was_not_received(tmp_path):
    seen = []

    async def main(hold, then):
        machine = Machine(hold)
        cloud = InProcess([LAMBDA, LOGS, STS, SQS], {"invoke": machine.run}, tmp_path)
        async with cloud:
            await then(Bench(cloud), machine)

    async def before(bench, machine):
        url = await bench.queue(VisibilityTimeout="43200")
        await bench.function()
        await bench.map(BatchSize=1)
        await bench.pass_time(0.5)
        await bench.send(url, *"abcdefg")
        await machine.running(5)
        await bench.cloud.store.settle()
        bench.cloud.pipeline._tasks.clear()  # as by kill -9: nobody waits for the functions

    async def after(bench, machine):
        await bench.cloud.quiet()
        seen.extend(machine.batches)
        assert await bench.counts(f"http://127.0.0.1:4566/{ACCOUNT}/q") == (0, 0)

    asyncio.run(main(True, before))
    asyncio.run(main(False, after))
    assert sorted(seen) == [[body] for body in "abcdefg"]


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


def test_the_table_of_states_is_whole():
    assert {state for state, _ in STATES} == {"Creating", "Enabling", "Updating", "Disabling", "Deleting"}
    assert all(
        result == ("Enabled" if enabled else "Disabled") or not result for (_, enabled), result in STATES.items()
    )


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (b"", set()),
        (b"null", set()),
        (b"{}", set()),
        (b'{"batchItemFailures": null}', set()),
        (b'{"batchItemFailures": []}', set()),
        (b'{"batchItemFailures": [{"itemIdentifier": "a"}]}', {"a"}),
        (b'{"other": 1, "batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "a"}]}', {"a"}),
        (b'{"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "b"}]}', {"a", "b"}),
        (b'{"batchItemFailures": [{"itemIdentifier": ""}]}', {"a", "b"}),
        (b'{"batchItemFailures": [{"itemIdentifier": null}]}', {"a", "b"}),
        (b'{"batchItemFailures": [{"messageId": "a"}]}', {"a", "b"}),
        (b'{"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "unknown"}]}', {"a", "b"}),
        (b'{"batchItemFailures": ["a"]}', {"a", "b"}),
        (b'{"batchItemFailures": {}}', {"a", "b"}),
        (b"{no json", {"a", "b"}),
        (b"[1]", {"a", "b"}),
    ],
)
def test_a_partial_response_is_read_by_awss_rules(answer, failed):
    assert failed_of(answer, {"a", "b"}) == failed


def test_a_payload_has_six_megabytes_and_not_a_byte_more():
    frame = len(b'{"Records":[]}')
    body = {"body": "x" * (PAYLOAD_LIMIT_BYTES - frame - len('{"body":""}'))}
    payload, count = payload_of([body])
    assert (len(payload), count) == (PAYLOAD_LIMIT_BYTES, 1)
    assert payload_of([{"body": body["body"] + "x"}]) == (b'{"Records":[]}', 0)
    half = {"body": "x" * (PAYLOAD_LIMIT_BYTES // 2 - 20)}
    payload, count = payload_of([half, half, half])
    assert count == 2
    assert json.loads(payload) == {"Records": [half, half]}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 6)),
        st.tuples(st.just("bad"), st.integers(1, 2)),
        st.tuples(st.just("advance"), st.sampled_from([0.5, 5, 31])),
        st.tuples(st.just("enable"), st.booleans()),
        st.tuples(st.just("reserve"), st.sampled_from([0, 1, 3])),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("fifo", [False, True])
def test_every_message_runs_until_it_succeeds_or_is_a_dead_letter(fifo):
    """B2.4, B2.5, B8.8: whatever happens to mapping and function meanwhile; a model of at-least-once delivery."""

    @settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(STEPS)
    def check(steps):
        in_cloud(lambda bench, machine: _delivered(bench, machine, steps, fifo))

    check()


async def _delivered(bench, machine, steps, fifo):
    end = ".fifo" if fifo else ""
    dead = await bench.queue("dead" + end)
    redrive = {"deadLetterTargetArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead{end}", "maxReceiveCount": 2}
    url = await bench.queue("q" + end, RedrivePolicy=json.dumps(redrive))
    await bench.function()
    uuid = await bench.map("q" + end, BatchSize=3, FunctionResponseTypes=["ReportBatchItemFailures"])
    good, bad, tries, done, sent = [], [], {}, [], 0

    def answer(bodies):
        for body in bodies:
            tries[body] = tries.get(body, 0) + 1
        failed = [i for i, body in enumerate(bodies) if body.startswith("bad")]
        if fifo and failed:  # as AWS asks: what follows a failure of a batch was not tried
            failed = list(range(failed[0], len(bodies)))
        done.extend(body for i, body in enumerate(bodies) if i not in failed)
        ids = [machine.ids[bodies[i]] for i in failed]
        return json.dumps({"batchItemFailures": [{"itemIdentifier": each} for each in ids]}).encode()

    machine.answer, machine.ids = answer, {}
    for step, value in steps:
        if step in ("send", "bad"):
            for _ in range(value):
                sent += 1
                body = f"{'bad' if step == 'bad' else 'good'} {sent}"
                (bad if step == "bad" else good).append(body)
                extra = {"MessageGroupId": "g" + str(sent % 2)} if fifo else {}
                request = {"QueueUrl": url, "MessageBody": body, **extra}
                machine.ids[body] = (await bench.cloud.call("sqs", "SendMessage", request))["MessageId"]
        elif step == "advance":
            await bench.cloud.advance(value)
        elif step == "reserve":
            await bench.reserve(value)
        else:
            await bench.cloud.advance(1)
            await bench.cloud.call("lambda", "UpdateEventSourceMapping", {"UUID": uuid, "Enabled": value})
    await bench.cloud.advance(1)
    await bench.cloud.call("lambda", "UpdateEventSourceMapping", {"UUID": uuid, "Enabled": True})
    await bench.cloud.call("lambda", "DeleteFunctionConcurrency", {"FunctionName": "f"})
    for _ in range(3 * (len(bad) + len(good)) if fifo else 3):
        await bench.cloud.advance(31)
    assert await bench.counts(url) == (0, 0)
    dead_count = (await bench.counts(dead))[0]
    assert len(done) == len(set(done)) == len(good) + len(bad) - dead_count
    if fifo:
        numbers = [int(body.split()[1]) for body in done]
        for group in (0, 1):
            in_group = [number for number in numbers if number % 2 == group]
            assert in_group == sorted(in_group)
        assert all(count <= 2 for count in tries.values())
    else:
        assert set(done) == set(good)
        assert all(tries[body] == 1 for body in good)
        assert all(tries[body] == 2 for body in bad)


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
