"""Published messages survive SIGKILL: every acknowledged one reaches every subscriber at least once."""

import contextlib
import http.client
import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from .test_sns_http import Endpoint

pytestmark = pytest.mark.crash

MESSAGES = 40
QUEUES = ("billing", "shipping", "audit")


def prepare(server):
    """A topic with three queues; returns its ARN."""
    sns, sqs = server.client("sns"), server.client("sqs")
    topic = sns.create_topic(Name="orders")["TopicArn"]
    for name in QUEUES:
        sqs.create_queue(QueueName=name)
        arn = f"arn:aws:sqs:us-east-1:000000000000:{name}"
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    return topic


def publish(server, topic, numbers):
    """Publish until the server is gone; returns what it acknowledged."""
    sns, acknowledged = server.client("sns"), set()
    with contextlib.suppress(BotoCoreError, ClientError):
        for number in numbers:
            sns.publish(TopicArn=topic, Message=str(number))
            acknowledged.add(str(number))
    return acknowledged


def received(server, name):
    """Everything a queue has to give."""
    sqs, found = server.client("sqs"), []
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [message["Body"] for message in messages]
    return found


@pytest.mark.parametrize("point", ["store.commit:15", "store.committed:15", "store.commit:31", "store.committed:38"])
def test_an_acknowledged_publish_is_in_all_queues_and_another_in_all_or_none(server_process, point):
    server = server_process("--clock", "virtual").start()
    topic = prepare(server)
    server.stop()
    server.start(crash_at=point)
    acknowledged = publish(server, topic, range(MESSAGES))
    server.ended()
    assert 0 < len(acknowledged) < MESSAGES
    server.start()
    got = [received(server, name) for name in QUEUES]
    for bodies in got:
        assert acknowledged <= set(bodies)
        assert len(bodies) == len(set(bodies)) <= len(acknowledged) + 1
        assert set(bodies) == set(got[0])


def test_everything_acknowledged_under_load_is_in_all_queues_after_a_kill(server_process):
    server = server_process("--clock", "virtual").start()
    topic = prepare(server)
    enough = threading.Semaphore(0)

    def publisher(first):
        sns, acknowledged = server.client("sns"), set()
        with contextlib.suppress(BotoCoreError, ClientError):
            for number in itertools.count(first, 4):
                sns.publish(TopicArn=topic, Message=str(number))
                acknowledged.add(str(number))
                enough.release()
        return acknowledged

    with ThreadPoolExecutor(4) as pool:
        publishers = [pool.submit(publisher, first) for first in range(4)]
        for _ in range(100):
            assert enough.acquire(timeout=60)
        server.kill()
        acknowledged = set().union(*(future.result() for future in publishers))
    assert len(acknowledged) >= 100
    server.start()
    for name in QUEUES:
        assert acknowledged <= set(received(server, name))


def test_what_waits_for_an_http_endpoint_is_sent_after_a_kill(server_process):
    server = server_process("--clock", "virtual").start()
    endpoint = Endpoint()
    try:
        sns = server.client("sns")
        topic = sns.create_topic(Name="orders")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint.url)
        _, asked = endpoint.next()
        sns.confirm_subscription(TopicArn=topic, Token=asked["Token"])
        endpoint.statuses = [500]
        sent = sns.publish(TopicArn=topic, Message="kept")
        endpoint.next()
        server.advance(1)  # the failure is settled, the retry is a timer
        server.kill()
        server.start()
        server.advance(1)
        assert endpoint.posts.empty()
        server.advance(20)
        _, again = endpoint.next()
        assert again["MessageId"] == sent["MessageId"]
        server.advance(3600)
        assert endpoint.posts.empty()
    finally:
        endpoint.close()


@pytest.mark.parametrize("point", ["effect.perform:3", "effect.settle:2", "timer.fire:4"])
def test_an_endpoint_gets_every_acknowledged_message_wherever_the_server_dies(server_process, point):
    server = server_process("--clock", "virtual").start()
    endpoint = Endpoint()
    try:
        sns = server.client("sns")
        topic = sns.create_topic(Name="orders")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint.url)
        sns.confirm_subscription(TopicArn=topic, Token=endpoint.next()[1]["Token"])
        server.advance(0)
        server.stop()
        server.start(crash_at=point)
        acknowledged = publish(server, topic, range(10))
        with contextlib.suppress(OSError, http.client.HTTPException):
            server.advance(1)
        server.ended()
        server.start()
        server.advance(1)
        got = set()
        while not endpoint.posts.empty():
            got.add(endpoint.next()[1]["Message"])
        assert acknowledged and acknowledged <= got
    finally:
        endpoint.close()


class Held(list):
    """Statuses of an endpoint that takes its time with the first one: until `go` is set."""

    def __init__(self, *statuses):
        super().__init__(statuses)
        self.go = threading.Event()

    def pop(self, place=-1):
        assert self.go.wait(120)
        return super().pop(place)


def test_a_delivery_under_way_when_the_server_is_stopped_has_not_failed(server_process):
    """A3: it is made again at the next start, and counts as no attempt of the only one that there may be."""
    server = server_process().start()
    endpoint = Endpoint()
    endpoint.statuses = held = Held()
    try:
        sns, sqs = server.client("sns"), server.client("sqs")
        dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
        topic = sns.create_topic(Name="orders")["TopicArn"]
        policy = {"healthyRetryPolicy": {"numRetries": 0, "minDelayTarget": 1, "maxDelayTarget": 1}}
        redrive = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead"}
        sns.subscribe(
            TopicArn=topic, Protocol="http", Endpoint=endpoint.url,
            Attributes={"DeliveryPolicy": json.dumps(policy), "RedrivePolicy": json.dumps(redrive)},
        )  # fmt: skip
        sns.confirm_subscription(TopicArn=topic, Token=endpoint.next()[1]["Token"])
        held.append(200)
        sent = sns.publish(TopicArn=topic, Message="kept")
        assert endpoint.next()[1]["MessageId"] == sent["MessageId"]
        server.stop()
        held.go.set()
        server.start()
        assert endpoint.next()[1]["MessageId"] == sent["MessageId"]
        assert "Messages" not in sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=1)
    finally:
        held.go.set()
        endpoint.close()
