"""SIGKILL at random moments: no acknowledged write is missing, no operation is half done."""

import http.client
import itertools
import json
import os
import random
import threading
import time

import pytest

from cumulet.kernel.ids import Ids

pytestmark = pytest.mark.crash

KILLS = int(os.environ.get("CUMULET_TEST_KILLS", "50"))
WRITERS = 6
HEADERS = {
    "content-type": "application/x-amz-json-1.0",
    "authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00",
}


class Load:
    """Clients that write pairs of items until the server is gone, and remember what was acknowledged."""

    def __init__(self, port, numbers):
        self.port, self.numbers = port, numbers
        self.acknowledged = set()
        self.threads = [threading.Thread(target=self.write) for _ in range(WRITERS)]
        self.unexpected = []
        self.began = threading.Event()

    def write(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            while True:
                number = next(self.numbers)
                put = [
                    {
                        "Put": {
                            "TableName": "pairs",
                            "Item": {
                                "id": {"S": f"{side}-{number}"},
                                "number": {"N": str(number)},
                                "group": {"S": f"g{number % 7}"},
                            },
                        }
                    }
                    for side in "ab"
                ]
                body = json.dumps({"TransactItems": put})
                connection.request(
                    "POST", "/", body, {**HEADERS, "x-amz-target": "DynamoDB_20120810.TransactWriteItems"}
                )
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != 200:
                    self.unexpected.append((answer.status, text))
                    return
                self.acknowledged.add(number)
                self.began.set()
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()


def missing(client, numbers):
    """Those of these pairs whose first half is not there; both halves are compared at the end."""
    keys = [{"id": {"S": f"a-{number}"}} for number in sorted(numbers)]
    found = set()
    for start in range(0, len(keys), 100):
        answer = client.batch_get_item(
            RequestItems={"pairs": {"Keys": keys[start : start + 100], "ConsistentRead": True}}
        )
        assert not answer["UnprocessedKeys"]
        found |= {int(item["number"]["N"]) for item in answer["Responses"]["pairs"]}
    return set(numbers) - found


def items(client, **request):
    return [
        item
        for page in client.get_paginator("query" if "IndexName" in request else "scan").paginate(
            TableName="pairs", **request
        )
        for item in page["Items"]
    ]


@pytest.mark.slow
def test_kill_9_at_random_moments_of_a_write_load_loses_nothing_acknowledged(server_process):
    seed = random.SystemRandom().randrange(2**32)
    dice = random.Random(seed)
    server = server_process().start()
    client = server.client("dynamodb")
    client.create_table(
        TableName="pairs",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "group", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "groups",
                "KeySchema": [{"AttributeName": "group", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    client.get_waiter("table_exists").wait(TableName="pairs", WaiterConfig={"Delay": 0, "MaxAttempts": 100_000})
    numbers = itertools.count()
    acknowledged = set()
    for kill in range(KILLS):
        load = Load(server.port, numbers)
        for thread in load.threads:
            thread.start()
        if kill % 2:  # the others are killed at any moment, be it before the first transaction is in
            assert load.began.wait(60)
        time.sleep(dice.uniform(0.005, 0.2))  # the moment of the kill is the point of the test
        server.kill()
        for thread in load.threads:
            thread.join()
        assert not load.unexpected, load.unexpected[:3]
        acknowledged |= load.acknowledged
        server.start()
        lost = missing(client, load.acknowledged)
        assert not lost, f"seed {seed}, kill {kill}: acknowledged and missing: {sorted(lost)[:10]}"
    everything = items(client)
    sides = {
        side: {int(item["number"]["N"]) for item in everything if item["id"]["S"].startswith(side)} for side in "ab"
    }
    assert sides["a"] == sides["b"], "half a transaction"
    assert acknowledged <= sides["a"], (
        f"seed {seed}: missing after a later kill: {sorted(acknowledged - sides['a'])[:10]}"
    )
    indexed = [
        item
        for group in range(7)
        for item in items(
            client,
            IndexName="groups",
            KeyConditionExpression="#g = :g",
            ExpressionAttributeNames={"#g": "group"},
            ExpressionAttributeValues={":g": {"S": f"g{group}"}},
        )
    ]
    assert sorted(item["id"]["S"] for item in indexed) == sorted(item["id"]["S"] for item in everything), (
        "the index differs from the table"
    )
    assert len(acknowledged) >= KILLS // 2


@pytest.mark.parametrize("point", ["store.commit", "store.committed"])
def test_a_crash_around_the_sync_of_a_commit_is_all_or_nothing(server_process, point):
    name = Ids().lower(8)
    server = server_process().start(crash_at=f"{point}:40")
    s3 = server.client("s3")
    s3.create_bucket(Bucket=name)
    acknowledged = []
    body = b"x" * 100_000  # a blob: a file beside the row
    with pytest.raises(Exception):  # noqa: B017 - the connection breaks in one of several ways
        for number in range(1000):
            s3.put_object(Bucket=name, Key=f"{number:04d}", Body=body)
            acknowledged.append(f"{number:04d}")
    server.ended()
    server.start()
    found = [entry["Key"] for entry in s3.list_objects_v2(Bucket=name).get("Contents", [])]
    assert acknowledged == found[: len(acknowledged)]
    assert len(found) - len(acknowledged) in (0, 1)
    for key in found:
        assert s3.get_object(Bucket=name, Key=key)["Body"].read() == body
