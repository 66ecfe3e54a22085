"""Queued events through SIGKILL: each runs to an end, failures reach the dead-letter queue as accepted, nothing healthy does."""

import contextlib
import http.client
import io
import re
import zipfile

import pytest
from botocore.exceptions import BotoCoreError, ClientError

pytestmark = pytest.mark.crash

ROLE = "arn:aws:iam::000000000000:role/worker"
WORKER = ("def handler(event, context):\n    print('event', event['n'], 'ran')\n"
          "    if event['n'] % 3 == 0:\n        raise ValueError('always')\n")  # fmt: skip
CHAIN = ("import boto3, json\ndef handler(event, context):\n    print('link', event['n'])\n"
         "    if event['n']:\n"
         "        boto3.client('lambda').invoke(FunctionName='chain', InvocationType='Event',\n"
         "                                      Payload=json.dumps({'n': event['n'] - 1}))\n")  # fmt: skip


def create(server, name, code, **settings):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), code)
    server.client("lambda").create_function(
        FunctionName=name, Runtime="python3.12", Role=ROLE, Handler="index.handler", Code={"ZipFile": sink.getvalue()},
        Timeout=30, **settings,
    )  # fmt: skip


def body_of(n):
    return f'{{ "n": {n},   "ü": [1] }}'


def send(server, numbers):
    """Queue events until the server is gone; returns those that it acknowledged."""
    client, acknowledged = server.client("lambda"), set()
    with contextlib.suppress(BotoCoreError, ClientError):
        for n in numbers:
            answer = client.invoke(FunctionName="worker", InvocationType="Event", Payload=body_of(n).encode())
            assert answer["StatusCode"] == 202
            acknowledged.add(n)
    return acknowledged


def said(server, name, pattern):
    pages = server.client("logs").get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
    found = [re.match(pattern, event["message"]) for page in pages for event in page["events"]]
    return [int(match[1]) for match in found if match]


def take(server):
    sqs = server.client("sqs")
    url, bodies = sqs.get_queue_url(QueueName="dead")["QueueUrl"], []
    while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        bodies += [message["Body"] for message in got]
        for message in got:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return bodies


@pytest.mark.parametrize("points", [
    ("effect.perform:5", "store.committed:9", "effect.settle:8"),
    ("store.commit:14", "timer.fire:6", "store.committed:21"),
])  # fmt: skip
def test_failures_are_buried_once_and_exactly_and_nothing_healthy_is(server_process, points):
    """A3, B5.3: whatever was acknowledged runs to an end, though the server dies again and again."""
    server = server_process("--clock", "virtual").start()
    server.client("sqs").create_queue(QueueName="dead")
    create(server, "worker", WORKER, DeadLetterConfig={"TargetArn": "arn:aws:sqs:us-east-1:000000000000:dead"})
    server.stop()
    acknowledged = set()
    for number, point in enumerate(points):
        server.start(crash_at=point)
        acknowledged |= send(server, range(12 * number, 12 * number + 12))
        with contextlib.suppress(OSError, http.client.HTTPException):
            server.advance(70)  # should it still live, it dies of the rest of its work
        server.ended()
    server.start()
    server.advance(1000)
    assert acknowledged <= set(said(server, "worker", r"event (\d+) ran"))
    dead = take(server)
    assert len(dead) == len(set(dead))
    assert {body_of(n) for n in acknowledged if n % 3 == 0} <= set(dead)
    assert set(dead) <= {body_of(n) for n in range(36) if n % 3 == 0}


def test_a_chain_of_self_invocations_goes_on_after_a_kill(server_process):
    """B8.6: killed mid-way, the chain resumes where it was."""
    server = server_process("--clock", "virtual").start()
    create(server, "chain", CHAIN)
    server.stop()
    server.start(crash_at="effect.settle:3")
    server.client("lambda").invoke(FunctionName="chain", InvocationType="Event", Payload=b'{"n": 5}')
    with contextlib.suppress(OSError, http.client.HTTPException):
        server.advance(1)
    server.ended()
    server.start()
    server.advance(1)
    assert set(said(server, "chain", r"link (\d+)")) == set(range(6))
