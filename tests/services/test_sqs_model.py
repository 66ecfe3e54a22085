"""SQS against a model in plain lists: standard queues (at least once, visibility, delays, dead letters, counts) and FIFO queues
(order within a group, locks, deduplication)."""

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cumulet.aws.errors import AwsError
from cumulet.services.sqs import SERVICE
from cumulet.testing.inprocess import ACCOUNT, REGION, InProcess

ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT}"
MAX_RECEIVES = 3
GROUPS = st.sampled_from(["", "g", "h"])
SETTINGS = settings(max_examples=30, stateful_step_count=40, deadline=None)


class Machine(RuleBasedStateMachine):
    """A cloud in a loop of its own; `now` is the virtual clock in whole seconds."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.cloud = InProcess([SERVICE])
        self.loop.run_until_complete(self.cloud.__aenter__())
        self.now = 0

    def teardown(self):
        self.loop.run_until_complete(self.cloud.__aexit__(None, None, None))
        self.loop.close()

    def call(self, operation, **request):
        return self.loop.run_until_complete(self.cloud.call("sqs", operation, request))

    def forward(self, seconds):
        self.loop.run_until_complete(self.cloud.advance(seconds))
        self.now += seconds

    def counted(self, queue):
        found = self.call("GetQueueAttributes", QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        return tuple(int(found[f"ApproximateNumberOfMessages{state}"]) for state in ("", "NotVisible", "Delayed"))


class Known:
    """What the model knows of a message. `until`: invisible before; `flying`: received, not merely delayed."""

    def __init__(self, body, until, group=""):
        self.body, self.until, self.group = body, until, group
        self.receives, self.flying, self.handle, self.queue = 0, False, None, "q"


class StandardQueue(Machine):
    """Nothing that was sent and not deleted is lost, nothing deleted comes back, and the counts are right."""

    def __init__(self):
        super().__init__()
        self.messages, self.numbers, self.old_handles = {}, 0, []

    @initialize()
    def queues(self):
        self.call("CreateQueue", QueueName="dead")
        policy = f'{{"deadLetterTargetArn": "{ARN}:dead", "maxReceiveCount": {MAX_RECEIVES}}}'
        self.call("CreateQueue", QueueName="q", Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "10"})

    def visible(self, queue="q"):
        return [m for m in self.messages.values() if m.queue == queue and m.until <= self.now]

    @rule(delay=st.sampled_from([0, 0, 0, 1, 7]), group=GROUPS, large=st.booleans())
    def send(self, delay, group, large):
        self.numbers += 1
        body = f"{self.numbers}" + " " * (5000 if large else 0)
        extra = {"MessageGroupId": group} if group else {}
        self.call("SendMessage", QueueUrl="q", MessageBody=body, DelaySeconds=delay, **extra)
        self.messages[body] = Known(body, self.now + delay, group)

    @rule(count=st.integers(1, 10), timeout=st.sampled_from([0, 3, 10, 30]))
    def receive(self, count, timeout):
        expected = self.visible()
        healthy = [m for m in expected if m.receives < MAX_RECEIVES]
        worn = [m for m in expected if m.receives >= MAX_RECEIVES]
        got = self.call("ReceiveMessage", QueueUrl="q", MaxNumberOfMessages=count, VisibilityTimeout=timeout).get(
            "Messages", []
        )
        bodies = [message["Body"] for message in got]
        assert len(set(bodies)) == len(bodies) == min(count, len(healthy))
        for message in got:
            known = self.messages[message["Body"]]
            assert known in healthy
            if known.handle:
                self.old_handles.append(known.handle)
            known.receives += 1
            known.flying, known.until, known.handle = True, self.now + timeout, message["ReceiptHandle"]
        self.bury(worn, full=len(got) == count)

    def bury(self, worn, full):
        """Worn-out messages that a receive met are in the dead-letter queue: all of them, unless it had enough before."""
        if not worn:
            return
        peeked = self.call("cumulet:Peek", QueueArn=f"{ARN}:dead", Limit=1000)["Messages"]
        there = {message["Body"] for message in peeked}
        for message in worn:
            if message.body in there:
                message.queue, message.receives, message.flying = "dead", 0, False
                if message.handle:
                    self.old_handles.append(message.handle)
                message.handle = None
            else:
                assert full, f"{message.body} should have moved"

    @precondition(lambda self: any(m.handle for m in self.messages.values()))
    @rule(data=st.data())
    def delete(self, data):
        known = data.draw(st.sampled_from([m for m in self.messages.values() if m.handle]))
        self.call("DeleteMessage", QueueUrl="q", ReceiptHandle=known.handle)
        del self.messages[known.body]

    @precondition(lambda self: self.old_handles)
    @rule(data=st.data())
    def delete_by_an_old_handle(self, data):
        self.call("DeleteMessage", QueueUrl="q", ReceiptHandle=data.draw(st.sampled_from(self.old_handles)))

    @precondition(lambda self: any(m.handle for m in self.messages.values()))
    @rule(data=st.data(), timeout=st.sampled_from([0, 1, 20]))
    def change_visibility(self, data, timeout):
        known = data.draw(st.sampled_from([m for m in self.messages.values() if m.handle]))
        request = {"QueueUrl": "q", "ReceiptHandle": known.handle, "VisibilityTimeout": timeout}
        if known.until > self.now:
            self.call("ChangeMessageVisibility", **request)
            known.until = self.now + timeout
        else:
            try:
                self.call("ChangeMessageVisibility", **request)
            except AwsError as error:
                assert error.wire_code == "MessageNotInflight"
            else:
                raise AssertionError("a visible message is not in flight")

    @precondition(lambda self: any(m.handle and m.until > self.now for m in self.messages.values()))
    @rule(data=st.data())
    def give_back(self, data):
        known = data.draw(st.sampled_from([m for m in self.messages.values() if m.handle and m.until > self.now]))
        self.call("cumulet:Return", QueueArn=f"{ARN}:q", ReceiptHandles=[known.handle])
        known.receives -= 1
        known.flying, known.until, known.handle = False, self.now, None

    @rule(seconds=st.sampled_from([1, 3, 10, 31]))
    def time_passes(self, seconds):
        self.forward(seconds)

    @precondition(lambda self: any(m.queue == "dead" for m in self.messages.values()))
    @rule()
    def redrive(self):
        self.call("StartMessageMoveTask", SourceArn=f"{ARN}:dead")
        self.loop.run_until_complete(self.cloud.quiet())
        for known in self.messages.values():
            if known.queue == "dead":
                known.queue, known.until, known.receives, known.flying = "q", self.now, 0, False

    @rule()
    def purge(self):
        try:
            self.call("PurgeQueue", QueueUrl="q")
        except AwsError as error:
            assert error.wire_code == "PurgeQueueInProgress"
            return
        self.old_handles += [m.handle for m in self.messages.values() if m.queue == "q" and m.handle]
        self.messages = {body: m for body, m in self.messages.items() if m.queue == "dead"}

    @invariant()
    def counts_are_right(self):
        if not self.messages and not self.numbers:
            return
        here = [m for m in self.messages.values() if m.queue == "q"]
        hidden = [m for m in here if m.until > self.now]
        flying = [m for m in hidden if m.flying]
        assert self.counted("q") == (len(here) - len(hidden), len(flying), len(hidden) - len(flying))
        assert self.counted("dead") == (len(self.messages) - len(here), 0, 0)


class FifoQueue(Machine):
    """Messages of a group come in the order they were sent, none while another is in flight; duplicates are not added."""

    def __init__(self):
        super().__init__()
        self.groups, self.seen, self.numbers = {"a": [], "b": [], "c": []}, {}, 0
        self.last_sequence = ""

    @initialize()
    def queue(self):
        self.call("CreateQueue", QueueName="q.fifo", Attributes={"FifoQueue": "true", "VisibilityTimeout": "10"})

    @rule(group=st.sampled_from("abc"), token=st.integers(0, 30))
    def send(self, group, token):
        self.numbers += 1
        request = {"MessageGroupId": group, "MessageDeduplicationId": str(token)}
        answer = self.call("SendMessage", QueueUrl="q.fifo", MessageBody=str(self.numbers), **request)
        first = self.seen.get(token)
        if first is not None and self.now < first[1]:
            assert (answer["MessageId"], answer["SequenceNumber"]) == first[0]
            return
        assert answer["SequenceNumber"] > self.last_sequence
        self.last_sequence = answer["SequenceNumber"]
        self.seen[token] = (answer["MessageId"], answer["SequenceNumber"]), self.now + 300
        self.groups[group].append(Known(str(self.numbers), self.now, group))

    def locked(self, group):
        return any(m.flying and m.until > self.now for m in self.groups[group])

    @rule(count=st.integers(1, 10), timeout=st.sampled_from([3, 10, 400]))
    def receive(self, count, timeout):
        free = {group: list(messages) for group, messages in self.groups.items() if not self.locked(group)}
        got = self.call(
            "ReceiveMessage",
            QueueUrl="q.fifo",
            MaxNumberOfMessages=count,
            VisibilityTimeout=timeout,
            AttributeNames=["All"],
        ).get("Messages", [])
        assert len(got) == min(count, sum(map(len, free.values())))
        for message in got:
            group = message["Attributes"]["MessageGroupId"]
            known = free[group].pop(0)
            assert message["Body"] == known.body, "out of order"
            known.receives += 1
            assert message["Attributes"]["ApproximateReceiveCount"] == str(known.receives)
            known.flying, known.until, known.handle = True, self.now + timeout, message["ReceiptHandle"]

    def flying(self):
        return [m for messages in self.groups.values() for m in messages if m.flying and m.until > self.now]

    @precondition(lambda self: self.flying())
    @rule(data=st.data())
    def delete(self, data):
        known = data.draw(st.sampled_from(self.flying()))
        self.call("DeleteMessage", QueueUrl="q.fifo", ReceiptHandle=known.handle)
        self.groups[known.group].remove(known)

    @precondition(lambda self: self.flying())
    @rule(data=st.data(), timeout=st.sampled_from([0, 5, 50]))
    def change_visibility(self, data, timeout):
        known = data.draw(st.sampled_from(self.flying()))
        self.call("ChangeMessageVisibility", QueueUrl="q.fifo", ReceiptHandle=known.handle, VisibilityTimeout=timeout)
        known.until = self.now + timeout

    @rule(seconds=st.sampled_from([1, 5, 10, 299, 300]))
    def time_passes(self, seconds):
        self.forward(seconds)

    @invariant()
    def counts_are_right(self):
        if self.numbers:
            every, flying = sum(map(len, self.groups.values())), len(self.flying())
            assert self.counted("q.fifo") == (every - flying, flying, 0)


TestStandardQueue = StandardQueue.TestCase
TestStandardQueue.settings = SETTINGS
TestFifoQueue = FifoQueue.TestCase
TestFifoQueue.settings = SETTINGS
