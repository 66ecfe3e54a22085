"""Messages on their way to a function survive SIGKILL: each one's effect happens, none becomes a dead letter."""

import contextlib
import http.client
import io
import json
import random
import re
import threading
import urllib.request
import zipfile

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

pytestmark = pytest.mark.crash

CODE = "def handler(event, context):\n    for record in event['Records']:\n        print('message', record['body'], 'ran')\n"
MESSAGES = 60


def client_of(server, service):
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
    return boto3.client(service, endpoint_url=server.endpoint, region_name="us-east-1", config=config)


def advance(server, seconds):
    """Move the clock; answered when nothing is in flight any more."""
    body = json.dumps({"advance": seconds}).encode()
    with urllib.request.urlopen(
        urllib.request.Request(f"{server.endpoint}/_cumulet/clock", body), timeout=60
    ) as answer:
        json.load(answer)


class Bench:
    """A queue with a dead-letter queue (maxReceiveCount 3), a function, a mapping."""

    def __init__(self, server, fifo=False):
        self.server, self.end = server, ".fifo" if fifo else ""
        sqs, kind = client_of(server, "sqs"), {"FifoQueue": "true", "ContentBasedDeduplication": "true"} if fifo else {}
        sqs.create_queue(QueueName=f"dead{self.end}", Attributes=kind)
        arn = f"arn:aws:sqs:us-east-1:000000000000:dead{self.end}"
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
        sqs.create_queue(
            QueueName=f"q{self.end}", Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "3600", **kind}
        )
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as archive:
            archive.writestr(zipfile.ZipInfo("index.py"), CODE)
        client = client_of(server, "lambda")
        client.create_function(
            FunctionName="worker", Runtime="python3.12", Role="arn:aws:iam::000000000000:role/worker", Timeout=30,
            Handler="index.handler", Code={"ZipFile": sink.getvalue()},
        )  # fmt: skip
        client.create_event_source_mapping(
            EventSourceArn=f"arn:aws:sqs:us-east-1:000000000000:q{self.end}", FunctionName="worker", BatchSize=2
        )
        advance(server, 1)

    def url(self, name):
        return f"{self.server.endpoint}/000000000000/{name}{self.end}"

    def send(self, numbers, sent):
        """Send until the server is gone; adds what it acknowledged to `sent`."""
        client = client_of(self.server, "sqs")
        with contextlib.suppress(BotoCoreError, ClientError):
            for number in numbers:
                extra = {"MessageGroupId": str(number % 3)} if self.end else {}
                client.send_message(QueueUrl=self.url("q"), MessageBody=str(number), **extra)
                sent.add(number)

    def held(self, name):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = client_of(self.server, "sqs").get_queue_attributes(QueueUrl=self.url(name), AttributeNames=names)
        return sum(int(value) for value in found["Attributes"].values())

    def ran(self):
        """The messages in the order in which they ran, as the log says."""
        pages = (
            client_of(self.server, "logs")
            .get_paginator("filter_log_events")
            .paginate(logGroupName="/aws/lambda/worker")
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
    server.environment["CUMULET_CRASH_AT"] = point
    server.start()
    sent = set()
    bench.send(range(MESSAGES), sent)
    with contextlib.suppress(OSError, http.client.HTTPException):
        advance(server, 1)  # should it still live, it dies of the rest of its work
    server.process.wait(20)
    del server.environment["CUMULET_CRASH_AT"]
    server.start()
    advance(server, 1)  # far less than the visibility timeout: what ran is back at once
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
        sender.join(moments.uniform(0.02, 0.4))
        server.kill()
        sender.join()
        server.start()
    advance(server, 1)
    assert len(sent) > 5
    assert sent <= set(bench.ran())
    assert (bench.held("q"), bench.held("dead")) == (0, 0)
