"""S3's events survive SIGKILL: every acknowledged PUT has its message, and no message is without its object."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

pytestmark = pytest.mark.crash

QUEUE = "arn:aws:sqs:us-east-1:000000000000:told"
OBJECTS = 40


def client_of(server: Any, service: str) -> Any:
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
    return boto3.client(service, endpoint_url=server.endpoint, region_name="us-east-1", config=config)


def prepare(server: Any, keep_queue: bool = True) -> None:
    s3, sqs = client_of(server, "s3"), client_of(server, "sqs")
    s3.create_bucket(Bucket="shop")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    told = {"QueueArn": QUEUE, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(Bucket="shop", NotificationConfiguration={"QueueConfigurations": [told]})
    if not keep_queue:
        sqs.delete_queue(QueueUrl=url)


def put(server: Any, numbers: Any, each: Any = lambda: None) -> set[str]:
    """Put objects until the server is gone; returns what it acknowledged."""
    s3, acknowledged = client_of(server, "s3"), set()
    with contextlib.suppress(BotoCoreError, ClientError):
        for number in numbers:
            s3.put_object(Bucket="shop", Key=str(number), Body=b"x" * 10)
            acknowledged.add(str(number))
            each()
    return acknowledged


def told(server: Any) -> list[str]:
    """The keys that the queue's messages speak of."""
    sqs, found = client_of(server, "sqs"), []
    url = sqs.get_queue_url(QueueName="told")["QueueUrl"]
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        bodies = [json.loads(message["Body"]) for message in messages]
        found += [record["s3"]["object"]["key"] for body in bodies for record in body.get("Records", [])]
    return found


def stored(server: Any) -> set[str]:
    pages = client_of(server, "s3").get_paginator("list_objects_v2").paginate(Bucket="shop")
    return {each["Key"] for page in pages for each in page.get("Contents", [])}


def advance(server: Any, seconds: float) -> None:
    body = json.dumps({"advance": seconds}).encode()
    with urllib.request.urlopen(
        urllib.request.Request(f"{server.endpoint}/_cumulet/clock", body), timeout=60
    ) as answer:
        json.load(answer)


@pytest.mark.parametrize("point", ["store.commit:15", "store.committed:15", "store.commit:31", "store.committed:38"])
def test_an_object_and_its_message_are_one_commit(server_process: Any, point: str) -> None:
    server = server_process("--clock", "virtual").start()
    prepare(server)
    server.stop()
    server.environment["CUMULET_CRASH_AT"] = point
    server.start()
    acknowledged = put(server, range(OBJECTS))
    server.process.wait(30)
    assert 0 < len(acknowledged) < OBJECTS
    del server.environment["CUMULET_CRASH_AT"]
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
    advance(server, 60)  # as long as a deleted queue's name is taken
    client_of(server, "sqs").create_queue(QueueName="told")
    advance(server, 600)
    keys = told(server)
    assert acknowledged == set(keys) and len(keys) == 5
