"""S3's events survive SIGKILL: every acknowledged PUT has its message, and no message is without its object."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

pytestmark = pytest.mark.crash

QUEUE = "arn:aws:sqs:us-east-1:000000000000:told"
OBJECTS = 40


def prepare(server: Any, keep_queue: bool = True) -> None:
    s3, sqs = server.client("s3"), server.client("sqs")
    s3.create_bucket(Bucket="shop")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    told = {"QueueArn": QUEUE, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(Bucket="shop", NotificationConfiguration={"QueueConfigurations": [told]})
    if not keep_queue:
        sqs.delete_queue(QueueUrl=url)


def put(server: Any, numbers: Any, each: Any = lambda: None) -> set[str]:
    """Put objects until the server is gone; returns what it acknowledged."""
    s3, acknowledged = server.client("s3"), set()
    with contextlib.suppress(BotoCoreError, ClientError):
        for number in numbers:
            s3.put_object(Bucket="shop", Key=str(number), Body=b"x" * 10)
            acknowledged.add(str(number))
            each()
    return acknowledged


def told(server: Any) -> list[str]:
    """The keys that the queue's messages speak of."""
    sqs, found = server.client("sqs"), []
    url = sqs.get_queue_url(QueueName="told")["QueueUrl"]
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        bodies = [json.loads(message["Body"]) for message in messages]
        found += [record["s3"]["object"]["key"] for body in bodies for record in body.get("Records", [])]
    return found


def stored(server: Any) -> set[str]:
    pages = server.client("s3").get_paginator("list_objects_v2").paginate(Bucket="shop")
    return {each["Key"] for page in pages for each in page.get("Contents", [])}


@pytest.mark.parametrize("point", ["store.commit:15", "store.committed:15", "store.commit:31", "store.committed:38"])
def test_an_object_and_its_message_are_one_commit(server_process: Any, point: str) -> None:
    server = server_process("--clock", "virtual").start()
    prepare(server)
    server.stop()
    server.start(crash_at=point)
    acknowledged = put(server, range(OBJECTS))
    server.ended()
    assert 0 < len(acknowledged) < OBJECTS
    server.start()
    keys = told(server)
    assert acknowledged <= set(keys) == stored(server) and len(keys) == len(set(keys))


def test_every_acknowledged_put_of_a_burst_has_its_message_after_a_kill(server_process: Any) -> None:
    server = server_process("--clock", "virtual").start()
    prepare(server)
    enough = threading.Semaphore(0)
    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(put, server, itertools.count(first, 4), enough.release) for first in range(4)]
        for _ in range(100):
            assert enough.acquire(timeout=60)
        server.kill()
        acknowledged = set().union(*(future.result() for future in writers))
    assert len(acknowledged) >= 100
    server.start()
    keys = told(server)
    assert acknowledged <= set(keys) == stored(server) and len(keys) == len(set(keys))


def test_what_a_queue_refused_is_delivered_after_a_kill(server_process: Any) -> None:
    server = server_process("--clock", "virtual").start()
    prepare(server, keep_queue=False)
    acknowledged = put(server, range(5))
    server.kill()
    server.start()
    server.advance(60)  # as long as a deleted queue's name is taken
    server.client("sqs").create_queue(QueueName="told")
    server.advance(600)
    keys = told(server)
    assert acknowledged == set(keys) and len(keys) == 5
