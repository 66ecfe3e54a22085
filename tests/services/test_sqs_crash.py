"""SIGKILL at random moments of a load of sends, receives and deletes: nothing acknowledged is missing, nothing deleted comes back."""

import http.client
import itertools
import json
import os
import random
import threading
import time

import pytest

pytestmark = pytest.mark.crash

KILLS = int(os.environ.get("CUMULET_TEST_KILLS", "10"))
SENDERS, RECEIVERS = 3, 3
HEADERS = {
    "content-type": "application/x-amz-json-1.0",
    "authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=00",
}


class Load:
    """Clients that send, receive and delete until the server is gone, and remember what was acknowledged.

    tried     messages whose deletion was asked for: they may be gone
    deleted   messages whose deletion was acknowledged: they must be gone
    """

    def __init__(self, port, queue, numbers, large, name):
        self.port, self.queue, self.numbers, self.large, self.name = port, queue, numbers, large, name
        self.sent, self.tried, self.deleted = {}, set(), set()
        self.seen = []
        self.unexpected = []
        self.began = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(self.send,)) for _ in range(SENDERS)]
        self.threads += [threading.Thread(target=self.run, args=(self.receive,)) for _ in range(RECEIVERS)]

    def run(self, step):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

        def call(operation, **request):
            body = json.dumps({"QueueUrl": self.queue, **request})
            connection.request("POST", "/", body, {**HEADERS, "x-amz-target": f"AmazonSQS.{operation}"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                self.unexpected.append((answer.status, text))
                raise OSError
            return json.loads(text or b"{}")

        try:
            while True:
                step(call)
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()

    def send(self, call):
        number = next(self.numbers)
        request = {}
        if self.queue.endswith(".fifo"):
            # One sender, so that the order of its acknowledgements is the queue's; and of this load alone: what an
            # earlier load's receivers took at their death keeps its group locked, for the clock stands still.
            group = f"{self.name}-{threading.get_ident()}"
            request = {"MessageGroupId": group, "MessageDeduplicationId": str(number)}
        body = str(number) + " " * (self.large if number % 10 == 0 else 0)
        call("SendMessage", MessageBody=body, **request)
        self.sent[number] = request.get("MessageGroupId", "")

    def receive(self, call):
        for message in call("ReceiveMessage", MaxNumberOfMessages=3).get("Messages", ()):
            number = int(message["Body"])
            self.seen.append(number)
            if number % 3 or self.queue.endswith(".fifo"):  # a FIFO queue's group waits for all of it
                self.tried.add(number)
                call("DeleteMessage", ReceiptHandle=message["ReceiptHandle"])
                self.deleted.add(number)
                self.began.set()


@pytest.mark.slow
@pytest.mark.parametrize("queue", ["q", "q.fifo"])
def test_kill_9_at_random_moments_loses_no_message_and_brings_none_back(server_process, queue):
    seed = random.SystemRandom().randrange(2**32)
    dice = random.Random(seed)
    server = server_process("--clock", "virtual").start()
    sqs = server.client("sqs")
    fifo = {"FifoQueue": "true"} if queue.endswith(".fifo") else {}
    sqs.create_queue(QueueName=queue, Attributes={**fifo, "VisibilityTimeout": "30"})
    numbers = itertools.count(1)
    sent, tried, deleted = {}, set(), set()
    for kill in range(KILLS):
        load = Load(server.port, queue, numbers, large=100_000 if kill % 2 else 5_000, name=kill)
        for thread in load.threads:
            thread.start()
        if kill % 2:  # the others are killed at any moment, be it before the first message is deleted
            assert load.began.wait(60), f"seed {seed}, kill {kill}: {load.unexpected[:3]}, received {load.seen[:3]}"
        time.sleep(dice.uniform(0.01, 0.2))  # the moment of the kill is the point of the test
        server.kill()
        for thread in load.threads:
            thread.join()
        assert not load.unexpected, load.unexpected[:3]
        sent.update(load.sent)
        assert not deleted & set(load.seen), f"seed {seed}, kill {kill}: deleted messages came back"
        tried |= load.tried
        deleted |= load.deleted
        server.start()
    found = drain(sqs, queue, server)
    context = f"seed {seed}"
    assert len(found) == len(set(found)), f"{context}: a message twice"
    assert not deleted & set(found), f"{context}: deleted messages came back"
    missing = set(sent) - tried - set(found)
    assert not missing, f"{context}: acknowledged and missing: {sorted(missing)[:10]}"
    if fifo:
        for group in set(sent.values()):
            of_group = [number for number in found if sent.get(number) == group]
            assert of_group == sorted(of_group), f"{context}: group out of order"
    assert len(sent) >= KILLS // 2 and deleted
    counts = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessages"] == counts["ApproximateNumberOfMessagesNotVisible"] == "0"


def drain(sqs, queue, server):
    """All messages that are left, in the order in which they come; they are deleted."""
    server.advance(60)
    found = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=600).get(
        "Messages"
    ):
        found += [int(message["Body"]) for message in messages]
        entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
        assert not sqs.delete_message_batch(QueueUrl=queue, Entries=entries).get("Failed")
    return found


@pytest.mark.parametrize("point", ["store.commit:15", "store.committed:15", "timer.fire:2"])
def test_a_redrive_that_dies_on_its_way_loses_and_doubles_nothing(server_process, point):
    server = server_process("--clock", "virtual").start()
    sqs = server.client("sqs")
    for name in ("dead", "other"):
        sqs.create_queue(QueueName=name)
    arn = "arn:aws:sqs:us-east-1:000000000000"
    policy = json.dumps({"deadLetterTargetArn": f"{arn}:dead", "maxReceiveCount": 1})
    sqs.create_queue(QueueName="q", Attributes={"RedrivePolicy": policy})
    for batch in range(50):
        entries = [{"Id": str(n), "MessageBody": str(batch * 10 + n)} for n in range(10)]
        sqs.send_message_batch(QueueUrl="dead", Entries=entries)
    server.stop()
    server.start(crash_at=point)
    sqs.start_message_move_task(SourceArn=f"{arn}:dead", DestinationArn=f"{arn}:other", MaxNumberOfMessagesPerSecond=20)
    with pytest.raises((OSError, http.client.HTTPException)):
        server.advance(3600)
    server.ended()
    server.start()
    server.advance(60)
    found = drain(sqs, "other", server)
    assert sorted(found) == list(range(500))
    (task,) = sqs.list_message_move_tasks(SourceArn=f"{arn}:dead")["Results"]
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 500)
