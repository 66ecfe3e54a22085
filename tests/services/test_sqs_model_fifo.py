"""A FIFO queue against a model in plain lists while its settings change: delays, retention, dead letters and their way back."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from tests.services.test_sqs_model import ARN, Known, Machine

MAX_RECEIVES = 2
LONG_S = 100_000


class Kept(Known):
    """A message, with when it was sent."""

    def __init__(self, body, until, group, sent):
        super().__init__(body, until, group)
        self.sent = sent


class ChangingFifoQueue(Machine):
    """Order and locks of groups hold, dead letters move in order and come back, what expires is gone, and the counts are right."""

    def __init__(self):
        super().__init__()
        self.messages, self.dead, self.numbers = [], [], 0
        self.delay, self.retention = 0, LONG_S

    @initialize(delay=st.sampled_from([0, 5]))
    def queues(self, delay):
        self.delay = delay
        self.call("CreateQueue", QueueName="dead.fifo", Attributes={"FifoQueue": "true"})
        attributes = {
            "FifoQueue": "true",
            "DelaySeconds": str(delay),
            "MessageRetentionPeriod": str(LONG_S),
            "RedrivePolicy": f'{{"deadLetterTargetArn": "{ARN}:dead.fifo", "maxReceiveCount": {MAX_RECEIVES}}}',
        }
        self.call("CreateQueue", QueueName="q.fifo", Attributes=attributes)

    def peek(self, name):
        return self.call("cumulet:Peek", QueueArn=f"{ARN}:{name}", Limit=1000)["Messages"]

    @rule(groups=st.lists(st.sampled_from("abc"), min_size=1, max_size=5))
    def send(self, groups):
        entries = []
        for group in groups:
            self.numbers += 1
            body = str(self.numbers)
            entries.append({"Id": body, "MessageBody": body, "MessageGroupId": group, "MessageDeduplicationId": body})
            self.messages.append(Kept(body, self.now + self.delay, group, self.now))
        assert not self.call("SendMessageBatch", QueueUrl="q.fifo", Entries=entries)["Failed"]

    def flying(self):
        return [m for m in self.messages if m.flying and m.until > self.now]

    @rule(count=st.integers(1, 10), timeout=st.sampled_from([0, 3, 10, 400]))
    def receive(self, count, timeout):
        locked = {m.group for m in self.flying()}
        free = {
            group: [m for m in self.messages if m.group == group and m.until <= self.now]
            for group in set("abc") - locked
        }
        request = {"MaxNumberOfMessages": count, "VisibilityTimeout": timeout, "AttributeNames": ["All"]}
        got = self.call("ReceiveMessage", QueueUrl="q.fifo", **request).get("Messages", [])
        for message in got:
            found = message["Attributes"]
            waiting = free[found["MessageGroupId"]]
            while waiting[0].receives == MAX_RECEIVES:
                self.bury(waiting.pop(0))
            known = waiting.pop(0)
            assert known.body == message["Body"], "out of order"
            known.receives += 1
            assert found["ApproximateReceiveCount"] == str(known.receives)
            known.flying, known.until, known.handle = True, self.now + timeout, message["ReceiptHandle"]
        there = {message["Body"] for message in self.peek("dead.fifo")}
        for waiting in free.values():
            while waiting and waiting[0].body in there:  # what the receive met behind the messages it gave
                self.bury(waiting.pop(0))
            assert not waiting or len(got) == count, "a message could have been received"

    def bury(self, known):
        assert known.receives == MAX_RECEIVES
        self.messages.remove(known)
        self.dead.append(known)

    @precondition(lambda self: self.flying())
    @rule(data=st.data())
    def delete(self, data):
        known = data.draw(st.sampled_from(self.flying()))
        self.call("DeleteMessage", QueueUrl="q.fifo", ReceiptHandle=known.handle)
        self.messages.remove(known)

    def kept(self):
        """What is in flight and would not have expired by now."""
        return [m for m in self.flying() if m.sent + self.retention > self.now]

    @precondition(lambda self: self.kept())
    @rule(data=st.data(), timeout=st.sampled_from([0, 5, 50]))
    def change_visibility(self, data, timeout):
        known = data.draw(st.sampled_from(self.kept()))
        self.call("ChangeMessageVisibility", QueueUrl="q.fifo", ReceiptHandle=known.handle, VisibilityTimeout=timeout)
        known.until = self.now + timeout

    @rule(seconds=st.sampled_from([1, 5, 10, 61]))
    def time_passes(self, seconds):
        self.forward(seconds)
        self.expire()

    def expire(self):
        """Messages beyond their time go when they are visible."""
        self.messages = [m for m in self.messages if m.sent + self.retention > self.now or m.until > self.now]

    @rule(delay=st.sampled_from([0, 5, 20]))
    def change_the_delay(self, delay):
        self.call("SetQueueAttributes", QueueUrl="q.fifo", Attributes={"DelaySeconds": str(delay)})
        for known in self.delayed():
            known.until = max(self.now, known.until + delay - self.delay)
        self.delay = delay

    def delayed(self):
        return [m for m in self.messages if m.receives == 0 and m.until > self.now]

    @rule(retention=st.sampled_from([60, 100, LONG_S]))
    def change_the_retention_period(self, retention):
        self.call("SetQueueAttributes", QueueUrl="q.fifo", Attributes={"MessageRetentionPeriod": str(retention)})
        self.retention = retention
        self.loop.run_until_complete(self.cloud.quiet())
        self.expire()

    @precondition(lambda self: self.dead)
    @rule()
    def redrive(self):
        self.call("StartMessageMoveTask", SourceArn=f"{ARN}:dead.fifo")
        self.loop.run_until_complete(self.cloud.quiet())
        back = {known.body: known.group for known in self.dead}
        arrived = [message["Body"] for message in self.peek("q.fifo") if message["Body"] in back]
        assert sorted(arrived) == sorted(back)
        self.messages += [Kept(body, self.now, back[body], self.now) for body in arrived]
        self.dead = []

    @invariant()
    def counts_are_right(self):
        if self.numbers:
            flying, delayed = len(self.flying()), len(self.delayed())
            assert self.counted("q.fifo") == (len(self.messages) - flying - delayed, flying, delayed)
            assert self.counted("dead.fifo") == (len(self.dead), 0, 0)


TestChangingFifoQueue = ChangingFifoQueue.TestCase
TestChangingFifoQueue.settings = settings(max_examples=25, stateful_step_count=35, deadline=None)
