"""Messages on their way to a function survive SIGKILL: each one's effect happens, none becomes a dead letter."""

import contextlib
import http.client
import io
import json
import random
import re
import threading
import zipfile

import pytest
from botocore.exceptions import BotoCoreError, ClientError

pytestmark = pytest.mark.crash

CODE = "def handler(event, context):\n    for record in event['Records']:\n        print('message', record['body'], 'ran')\n"
MESSAGES = 60


class Bench:
    """A queue with a dead-letter queue (maxReceiveCount 3), a function, a mapping."""

    def __init__(self, server, fifo=False):
        self.server, self.end, self.acknowledged = server, ".fifo" if fifo else "", threading.Semaphore(0)
        sqs, kind = server.client("sqs"), {"FifoQueue": "true", "ContentBasedDeduplication": "true"} if fifo else {}
        sqs.create_queue(QueueName=f"dead{self.end}", Attributes=kind)
        arn = f"arn:aws:sqs:us-east-1:000000000000:dead{self.end}"
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
        sqs.create_queue(
            QueueName=f"q{self.end}", Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "3600", **kind}
        )
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as archive:
            archive.writestr(zipfile.ZipInfo("index.py"), CODE)
        client = server.client("lambda")
        client.create_function(
            FunctionName="worker", Runtime="python3.12", Role="arn:aws:iam::000000000000:role/worker", Timeout=30,
            Handler="index.handler", Code={"ZipFile": sink.getvalue()},
        )  # fmt: skip
        client.create_event_source_mapping(
            EventSourceArn=f"arn:aws:sqs:us-east-1:000000000000:q{self.end}", FunctionName="worker", BatchSize=2
        )
        server.advance(1)

    def url(self, name):
        return f"{self.server.endpoint}/000000000000/{name}{self.end}"

    def send(self, numbers, sent):
        """Send until the server is gone; adds what it acknowledged to `sent`."""
        client = self.server.client("sqs")
        with contextlib.suppress(BotoCoreError, ClientError):
            for number in numbers:
                extra = {"MessageGroupId": str(number % 3)} if self.end else {}
                client.send_message(QueueUrl=self.url("q"), MessageBody=str(number), **extra)
                sent.add(number)
                self.acknowledged.release()

    def held(self, name):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.server.client("sqs").get_queue_attributes(QueueUrl=self.url(name), AttributeNames=names)
        return sum(int(value) for value in found["Attributes"].values())

    def ran(self):
        """The messages in the order in which they ran, as the log says."""
        pages = (
            self.server.client("logs").get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/worker")
        )
        found = [re.match(r"message (\d+) ran", event["message"]) for page in pages for event in page["events"]]
        return [int(each[1]) for each in found if each]


@pytest.mark.parametrize(
    "point", ["effect.perform:6", "effect.settle:4", "store.commit:30", "store.committed:41", "timer.fire:12"]
)
def test_messages_run_wherever_the_server_dies(server_process, point):
    """A3, B2.5."""
    server = server_process("--clock", "virtual").start()
    bench = Bench(server)
    server.stop()
    server.start(crash_at=point)
    sent = set()
    bench.send(range(MESSAGES), sent)
    with contextlib.suppress(OSError, http.client.HTTPException):
        server.advance(1)  # should it still live, it dies of the rest of its work
    server.ended()
    server.start()
    server.advance(1)  # far less than the visibility timeout: what ran is back at once
    ran = bench.ran()
    assert sent <= set(ran)
    assert len(ran) <= len(set(ran)) + 2 * 5
    assert (bench.held("q"), bench.held("dead")) == (0, 0)


@pytest.mark.parametrize("fifo", [False, True])
def test_messages_that_flow_survive_kills_at_random_moments(server_process, fifo):
    """A3, B2.5, B8.8: five kills under load, more than maxReceiveCount."""
    server = server_process("--clock", "virtual").start()
    bench, sent, moments = Bench(server, fifo), set(), random.Random(7)
    for kill in range(5):
        sender = threading.Thread(target=bench.send, args=(range(100 * kill, 100 * kill + MESSAGES), sent))
        sender.start()
        assert bench.acknowledged.acquire(timeout=60)
        sender.join(moments.uniform(0.02, 0.4))
        server.kill()
        sender.join()
        server.start()
    server.advance(1)
    assert len(sent) >= 5
    assert sent <= set(bench.ran())
    assert (bench.held("q"), bench.held("dead")) == (0, 0)
