"""Changes on their way to a function survive SIGKILL: each reaches it at least once, in order per key."""

import contextlib
import http.client
import io
import json
import random
import threading
import zipfile

import pytest
from botocore.exceptions import BotoCoreError, ClientError

pytestmark = pytest.mark.crash

# The monotonic clock goes on through a restart of the server, and is not the cloud's.
CODE = """
import json, time
def handler(event, context):
    at = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    if at // 1000 % 5 == 0:
        raise ValueError("now and then")
    for record in event["Records"]:
        image = record["dynamodb"]["NewImage"]
        print("change " + json.dumps([at, image["k"]["S"], int(image["v"]["N"])]))
        at += 1
"""
CHANGES, KEYS = 80, 4


class Bench:
    """A table with a stream, a function that fails now and then, a mapping with lanes."""

    def __init__(self, server, **mapping):
        self.server, self.sent, self.acknowledged = server, set(), threading.Semaphore(0)
        dynamodb = server.client("dynamodb")
        dynamodb.create_table(
            TableName="orders", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        )  # fmt: skip
        server.advance(10)
        stream = dynamodb.describe_table(TableName="orders")["Table"]["LatestStreamArn"]
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as archive:
            archive.writestr(zipfile.ZipInfo("index.py"), CODE)
        client = server.client("lambda")
        client.create_function(
            FunctionName="worker", Runtime="python3.12", Role="arn:aws:iam::000000000000:role/worker", Timeout=30,
            Handler="index.handler", Code={"ZipFile": sink.getvalue()},
        )  # fmt: skip
        client.create_event_source_mapping(
            EventSourceArn=stream, FunctionName="worker", StartingPosition="LATEST", BatchSize=3, **mapping
        )
        server.advance(1)

    def write(self, numbers):
        """Write until the server is gone; notes what it acknowledged."""
        client = self.server.client("dynamodb")
        with contextlib.suppress(BotoCoreError, ClientError):
            for number in numbers:
                key = f"k{number % KEYS}"
                client.put_item(TableName="orders", Item={"k": {"S": key}, "v": {"N": str(number)}})
                self.sent.add((key, number))
                self.acknowledged.release()

    def check(self):
        """Everything acknowledged ran, and no key saw a change for the first time after a later one."""
        pages = (
            self.server.client("logs").get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/worker")
        )
        found = sorted(
            json.loads(e["message"][7:]) for page in pages for e in page["events"] if e["message"].startswith("change ")
        )
        first = list(dict.fromkeys((key, number) for _, key, number in found))
        assert self.sent <= set(first)
        for key in {key for key, _ in first}:
            numbers = [number for other, number in first if other == key]
            assert numbers == sorted(numbers)
        return found, first


@pytest.mark.parametrize(
    "point", ["effect.perform:6", "effect.settle:4", "store.commit:30", "store.committed:41", "timer.fire:12"]
)
def test_changes_reach_the_function_wherever_the_server_dies(server_process, point):
    """A3, B17.2."""
    server = server_process("--clock", "virtual").start()
    bench = Bench(server, ParallelizationFactor=2)
    server.stop()
    server.start(crash_at=point)
    bench.write(range(CHANGES))
    with contextlib.suppress(OSError, http.client.HTTPException):
        server.advance(1)  # should it still live, it dies of the rest of its work
    server.ended()
    server.start()
    server.advance(600)
    found, first = bench.check()
    assert len(found) <= len(first) + 4 * 2 * 3  # what ran in the readers of four shards may have run twice


@pytest.mark.parametrize("mapping", [{}, {"ParallelizationFactor": 3, "BisectBatchOnFunctionError": True}])
def test_changes_that_flow_survive_kills_at_random_moments(server_process, mapping):
    """A3, B17.2: five kills under load."""
    server = server_process("--clock", "virtual").start()
    bench, moments = Bench(server, **mapping), random.Random(11)
    for kill in range(5):
        writer = threading.Thread(target=bench.write, args=(range(1000 * kill, 1000 * kill + CHANGES),))
        writer.start()
        assert bench.acknowledged.acquire(timeout=60)
        writer.join(moments.uniform(0.02, 0.4))
        server.kill()
        writer.join()
        server.start()
    server.advance(600)
    assert len(bench.sent) >= 5
    bench.check()
