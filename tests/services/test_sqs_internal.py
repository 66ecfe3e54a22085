"""What other services use of SQS: polling, backlogs, deleting, returning, looking in; metrics; limits that take many messages."""

import asyncio
import math
from itertools import pairwise

import pytest

from cumulet.kernel.keys import pack
from cumulet.kernel.outcome import Wait
from cumulet.kernel.service import Service
from cumulet.kernel.tx import TimerScope
from cumulet.services.sqs import SERVICE
from cumulet.services.sqs.errors import OverLimit, QueueDoesNotExist
from cumulet.services.sqs.model import Counts, Queue, Shelf
from cumulet.testing.inprocess import ACCOUNT, REGION, InProcess

ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
POINTS = []


def ingest(ctx, req):
    POINTS.extend(req["Points"])
    return {"More": False}


METRICS = Service("metrics", internals={"cumulet:Ingest": ingest})


class Sqs:
    """SQS in process on virtual time."""

    def __init__(self, cloud):
        self.cloud = cloud

    async def __call__(self, operation, **request):
        return await self.cloud.call("sqs", operation, request)

    async def poll(self, count=10, **request):
        return await self("cumulet:Poll", QueueArn=ARN, MaxNumberOfMessages=count, **request)

    async def backlog(self):
        found = await self("cumulet:Backlog", QueueArn=ARN)
        return found["Visible"], found["NotVisible"], found["Delayed"]

    async def send(self, *bodies, **request):
        for body in bodies:
            await self("SendMessage", QueueUrl="q", MessageBody=body, **request)


def in_process(test):
    """Run an async test with a queue `q` in a cloud of its own."""

    def run():
        async def inside():
            POINTS.clear()
            async with InProcess([SERVICE, METRICS]) as cloud:
                cloud.pipeline.meter._sink = ("metrics", "cumulet:Ingest")
                sqs = Sqs(cloud)
                await sqs("CreateQueue", QueueName="q")
                await test(sqs, cloud)

        asyncio.run(inside())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def handles(messages):
    return [message["ReceiptHandle"] for message in messages]


@in_process
async def test_a_poll_takes_many_messages_with_all_attributes_and_their_traces(sqs, cloud):
    await sqs.send(*map(str, range(300)), MessageAttributes={"a": {"DataType": "String", "StringValue": "v"}})
    got = (await sqs.poll(10_000))["Messages"]
    assert [message["Body"] for message in got] == [str(n) for n in range(300)]
    assert len({message["Trace"] for message in got}) == 300
    assert got[0]["Trace"].startswith("Root=1-")
    assert got[0]["Attributes"]["ApproximateReceiveCount"] == "1"
    assert got[0]["MessageAttributes"]["a"]["StringValue"] == "v"
    assert await sqs.backlog() == (0, 300, 0)
    await sqs("cumulet:Delete", QueueArn=ARN, ReceiptHandles=handles(got))
    assert await sqs.backlog() == (0, 0, 0)


@in_process
async def test_a_poll_without_messages_says_what_to_wait_for(sqs, cloud):
    assert (await sqs.poll())["Wait"].until == math.inf
    await sqs.send("later", DelaySeconds=5)
    wait = (await sqs.poll())["Wait"]
    assert isinstance(wait, Wait)
    assert wait.until == pytest.approx(cloud.clock.now() + 5, abs=1e-5)
    await sqs.send("now")
    assert [m["Body"] for m in (await sqs.poll())["Messages"]] == ["now"]


@in_process
async def test_a_poll_takes_no_more_bytes_than_asked_but_always_the_first(sqs, cloud):
    await sqs.send("a" * 600, "b" * 600, "c" * 100, "d" * 5000)
    assert [m["Body"][0] for m in (await sqs.poll(10, MaxBytes=1300))["Messages"]] == ["a", "b", "c"]
    assert [m["Body"][0] for m in (await sqs.poll(10, MaxBytes=1300))["Messages"]] == ["d"]


@in_process
async def test_a_byte_limit_holds_for_messages_that_came_back_and_for_groups(sqs, cloud):
    await sqs.send("a" * 600, "b" * 600, "c" * 600)
    for body in ("x", "y"):
        await sqs.send(body * 600, MessageGroupId="g")
    seen = set()
    for _ in range(2):
        got = []
        while "Messages" in (answer := await sqs.poll(10, MaxBytes=1300)):
            assert 1 <= len(answer["Messages"]) <= 2
            got += answer["Messages"]
        seen.add("".join(sorted(message["Body"][0] for message in got)))
        await cloud.advance(31)
    assert seen == {"abcxy"}


@in_process
async def test_a_returned_message_is_there_at_once_and_its_receive_does_not_count(sqs, cloud):
    """B2.5: throttled deliveries do not raise the receive count, so healthy messages do not become dead letters."""
    dead = await sqs("CreateQueue", QueueName="dead")
    assert dead
    policy = f'{{"deadLetterTargetArn": "arn:aws:sqs:{REGION}:{ACCOUNT}:dead", "maxReceiveCount": 3}}'
    await sqs("SetQueueAttributes", QueueUrl="q", Attributes={"RedrivePolicy": policy})
    await sqs.send("m")
    for _ in range(10):
        (message,) = (await sqs.poll())["Messages"]
        assert message["Attributes"]["ApproximateReceiveCount"] == "1"
        await sqs("cumulet:Return", QueueArn=ARN, ReceiptHandles=handles([message]))
        await sqs("cumulet:Return", QueueArn=ARN, ReceiptHandles=handles([message]))
        assert await sqs.backlog() == (1, 0, 0)


@in_process
async def test_a_poll_that_only_moved_dead_letters_answers_an_empty_list(sqs, cloud):
    await sqs("CreateQueue", QueueName="dead")
    policy = f'{{"deadLetterTargetArn": "arn:aws:sqs:{REGION}:{ACCOUNT}:dead", "maxReceiveCount": 1}}'
    await sqs("SetQueueAttributes", QueueUrl="q", Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "5"})
    await sqs.send("m")
    await sqs.poll()
    await cloud.advance(5)
    assert await sqs.poll() == {"Messages": []}
    assert "Wait" in await sqs.poll()
    assert [m["Body"] for m in (await sqs("ReceiveMessage", QueueUrl="dead"))["Messages"]] == ["m"]


@in_process
async def test_a_peek_shows_messages_without_receiving_them(sqs, cloud):
    await sqs.send("one", "two")
    await sqs.poll(1)
    await sqs.send("three", DelaySeconds=9)
    await sqs.send("four", MessageGroupId="g")
    for _ in range(2):
        found = (await sqs("cumulet:Peek", QueueArn=ARN, Limit=10))["Messages"]
        assert [(m["Body"], m["State"]) for m in found] == [
            ("one", "in flight"), ("two", "visible"), ("three", "delayed"), ("four", "visible"),
        ]  # fmt: skip
        assert "ReceiptHandle" not in found[0] and found[0]["Trace"]
    assert len((await sqs("cumulet:Peek", QueueArn=ARN, Limit=1))["Messages"]) == 1
    assert await sqs.backlog() == (2, 1, 1)


@in_process
async def test_internal_operations_of_a_queue_that_is_not_there(sqs, cloud):
    for operation in ("Poll", "Backlog", "Delete", "Return", "Peek"):
        request = {"QueueArn": f"{ARN}x", "MaxNumberOfMessages": 1, "ReceiptHandles": []}
        with pytest.raises(QueueDoesNotExist):
            await sqs(f"cumulet:{operation}", **request)


async def counts_set(cloud, **changes):
    """Pretend that the queue holds more than a test can send."""

    def work(tx):
        queue = tx.get(("sqs", "queue", ACCOUNT, REGION, "q"), Queue)
        key = Shelf(queue.shelf).counts
        counts = Counts(tx.get_bytes(key))
        for name, value in changes.items():
            setattr(counts, name, value)
        tx.put(key, counts.pack())

    await cloud.store.transact(work)


@in_process
async def test_a_standard_queue_has_120000_messages_in_flight_at_most(sqs, cloud):
    await sqs.send("a", "b", "c")
    await counts_set(cloud, flying=119_998)
    got = await sqs("ReceiveMessage", QueueUrl="q", MaxNumberOfMessages=10)
    assert len(got["Messages"]) == 2
    with pytest.raises(OverLimit):
        await sqs("ReceiveMessage", QueueUrl="q")
    assert "Wait" in await sqs.poll()
    waiting = asyncio.create_task(sqs("ReceiveMessage", QueueUrl="q", WaitTimeSeconds=5))
    await asyncio.sleep(0)
    await cloud.advance(5)
    assert await waiting == {}  # no error while long polling
    waiting = asyncio.create_task(sqs("ReceiveMessage", QueueUrl="q", WaitTimeSeconds=5))
    await asyncio.sleep(0)
    await sqs("DeleteMessage", QueueUrl="q", ReceiptHandle=got["Messages"][0]["ReceiptHandle"])
    await cloud.quiet()
    assert len((await waiting)["Messages"]) == 1


@in_process
async def test_a_fifo_queue_has_120000_messages_in_flight_at_most_and_reports_no_error(sqs, cloud):
    await sqs("CreateQueue", QueueName="f.fifo", Attributes={"FifoQueue": "true"})
    for n in range(3):
        request = {"MessageGroupId": f"g{n}", "MessageDeduplicationId": str(n)}
        await sqs("SendMessage", QueueUrl="f.fifo", MessageBody=str(n), **request)

    def work(tx):
        queue = tx.get(("sqs", "queue", ACCOUNT, REGION, "f.fifo"), Queue)
        key = Shelf(queue.shelf).counts
        counts = Counts(tx.get_bytes(key))
        counts.flying = 119_998
        tx.put(key, counts.pack())

    await cloud.store.transact(work)
    got = await sqs("ReceiveMessage", QueueUrl="f.fifo", MaxNumberOfMessages=10)
    assert len(got["Messages"]) == 2
    assert await sqs("ReceiveMessage", QueueUrl="f.fifo") == {}


@in_process
async def test_a_thousand_queues_are_listed_at_once_and_no_more(sqs, cloud):
    for n in range(1001):
        await sqs("CreateQueue", QueueName=f"many-{n:04d}")
    first = await sqs("ListQueues", QueueNamePrefix="many-", MaxResults=1000)
    assert len(first["QueueUrls"]) == 1000
    rest = await sqs("ListQueues", QueueNamePrefix="many-", MaxResults=1000, NextToken=first["NextToken"])
    assert len(rest["QueueUrls"]) == 1 and "NextToken" not in rest
    assert len((await sqs("ListQueues", QueueNamePrefix="many-"))["QueueUrls"]) == 1000


@in_process
async def test_many_messages_that_become_visible_together_are_all_counted_and_received(sqs, cloud):
    await sqs.send(*map(str, range(2500)))
    await sqs.poll(10_000)
    await cloud.advance(31)
    assert await sqs.backlog() == (2500, 0, 0)
    got = []
    while "Messages" in (answer := await sqs.poll(700)):
        got += answer["Messages"]
    assert sorted(int(m["Body"]) for m in got) == list(range(2500))


@in_process
async def test_many_expired_messages_go_although_many_are_in_flight(sqs, cloud):
    await sqs("SetQueueAttributes", QueueUrl="q", Attributes={"MessageRetentionPeriod": "60"})
    await sqs.send(*map(str, range(1700)))
    await sqs("ReceiveMessage", QueueUrl="q")
    got = await sqs("cumulet:Poll", QueueArn=ARN, MaxNumberOfMessages=800, VisibilityTimeout=100)
    assert len(got["Messages"]) == 800
    await cloud.advance(61)
    assert await sqs.backlog() == (0, 800, 0)
    await cloud.advance(60)
    assert await sqs.backlog() == (0, 0, 0)
    tx = cloud.store.begin(TimerScope(account="", region=""))
    assert not list(tx.scan_bytes(pack(("sqs", "shelf", "m")), pack(("sqs", "shelf", "m")) + b"\xff"))


@in_process
async def test_a_receive_drops_what_has_expired_before_its_timer_comes(sqs, cloud):
    await sqs("SetQueueAttributes", QueueUrl="q", Attributes={"MessageRetentionPeriod": "60"})
    await sqs.send("old")
    cloud.clock.set(cloud.clock.now() + 30)  # the clock alone: no timer runs
    await sqs.send("young")
    cloud.clock.set(cloud.clock.now() + 30)
    assert [message["Body"] for message in (await sqs.poll())["Messages"]] == ["young"]
    assert await sqs.backlog() == (0, 1, 0)


# metrics


def points(name):
    return [point for point in POINTS if point["MetricName"] == name]


@in_process
async def test_what_is_sent_received_and_deleted_is_metered(sqs, cloud):
    await sqs.send("x" * 10, "x" * 10, "x" * 30)
    got = await sqs("ReceiveMessage", QueueUrl="q", MaxNumberOfMessages=10)
    await sqs("ReceiveMessage", QueueUrl="q")
    await sqs("DeleteMessage", QueueUrl="q", ReceiptHandle=got["Messages"][0]["ReceiptHandle"])
    await cloud.advance(60)
    for name, values, unit in (
        ("NumberOfMessagesSent", {1.0: 3}, "Count"),
        ("SentMessageSize", {10.0: 2, 30.0: 1}, "Bytes"),
        ("NumberOfMessagesReceived", {3.0: 1}, "Count"),
        ("NumberOfEmptyReceives", {1.0: 1}, "Count"),
        ("NumberOfMessagesDeleted", {1.0: 1}, "Count"),
    ):
        (point,) = points(name)
        assert (point["Values"], point["Unit"], point["Namespace"]) == (values, unit, "AWS/SQS")
        assert point["Dimensions"] == [("QueueName", "q")]
        assert (point["Account"], point["Region"]) == (ACCOUNT, REGION)


@in_process
async def test_a_fifo_queue_meters_duplicates_and_groups_with_messages_in_flight(sqs, cloud):
    await sqs("CreateQueue", QueueName="f.fifo", Attributes={"FifoQueue": "true", "VisibilityTimeout": "90"})
    for body, group in (("a", "x"), ("a", "x"), ("b", "x"), ("c", "y"), ("d", "z")):
        await sqs("SendMessage", QueueUrl="f.fifo", MessageBody=body, MessageGroupId=group, MessageDeduplicationId=body)
    got = await sqs("ReceiveMessage", QueueUrl="f.fifo", MaxNumberOfMessages=3)
    assert [message["Body"] for message in got["Messages"]] == ["a", "b", "c"]
    await cloud.advance(180)
    for name, values in (
        ("NumberOfMessagesSent", [{1.0: 4}]),
        ("NumberOfDeduplicatedSentMessages", [{1.0: 1}]),
        ("ApproximateNumberOfGroupsWithInflightMessages", [{2.0: 1}, {0.0: 1}, {0.0: 1}]),
    ):
        assert [point["Values"] for point in points(name)] == values, name
        assert all(point["Dimensions"] == [("QueueName", "f.fifo")] for point in points(name))


@in_process
async def test_the_state_of_queues_is_metered_each_minute_while_they_hold_messages(sqs, cloud):
    """B5.6: ApproximateNumberOfMessagesVisible is emitted by the platform itself."""
    await sqs.send("a", "b", "c")
    await sqs.send("d", DelaySeconds=900)
    await sqs("ReceiveMessage", QueueUrl="q", VisibilityTimeout=43_200)
    await cloud.advance(300)
    for name, expected in (
        ("ApproximateNumberOfMessagesVisible", [2.0] * 5),
        ("ApproximateNumberOfMessagesNotVisible", [1.0] * 5),
        ("ApproximateNumberOfMessagesDelayed", [1.0] * 5),
    ):
        assert [value for point in points(name) for value in point["Values"]] == expected
    ages = [value for point in points("ApproximateAgeOfOldestMessage") for value in point["Values"]]
    assert all(later - earlier == 60 for earlier, later in pairwise(ages)), ages


@in_process
async def test_a_queue_without_use_is_metered_for_six_hours(sqs, cloud):
    await sqs.send("a")
    await sqs("PurgeQueue", QueueUrl="q")
    await cloud.advance(7 * 3600)
    visible = points("ApproximateNumberOfMessagesVisible")
    assert len(visible) == pytest.approx(360, abs=2)
    assert {value for point in visible for value in point["Values"]} == {0.0}


@in_process
async def test_after_a_restart_queues_that_hold_messages_are_metered_and_idle_ones_are_not(sqs, cloud):
    await sqs("CreateQueue", QueueName="idle")
    await sqs.send("a")
    for name in ("sqs.used", "sqs.gauged"):  # what a restart forgets
        cloud.pipeline.volatile.pop(name, None)
    await cloud.advance(120)
    assert {point["Dimensions"][0][1] for point in points("ApproximateNumberOfMessagesVisible")} == {"q"}
