"""SIGKILL during writes: a table and its stream agree exactly, and nothing acknowledged is missing from either."""

import http.client
import json
import threading

import pytest

pytestmark = pytest.mark.crash

KILLS, WRITERS, ACKNOWLEDGED = 3, 4, 120
HEADERS = {
    "content-type": "application/x-amz-json-1.0",
    "authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00",
}


class Writer(threading.Thread):
    """Changes three items of its own in turn, each change numbered and marked in the same transaction, until the server is gone."""

    def __init__(self, port, name, numbers, enough):
        super().__init__()
        self.port, self.name_, self.numbers, self.enough = port, name, numbers, enough
        self.count = 0
        self.unexpected = []

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            while True:
                key = f"{self.name_}-{self.count % 3}"
                number = self.numbers.get(key, 0) + 1
                item = {"TableName": "table", "Item": {"id": {"S": key}, "n": {"N": str(number)}}}
                mark = {"TableName": "table", "Item": {"id": {"S": f"{key}-mark-{number}"}, "n": {"N": "0"}}}
                body = json.dumps({"TransactItems": [{"Put": item}, {"Put": mark}]})
                target = {"x-amz-target": "DynamoDB_20120810.TransactWriteItems"}
                connection.request("POST", "/", body, {**HEADERS, **target})
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != 200:
                    self.unexpected.append((answer.status, text))
                    return
                self.numbers[key] = number
                self.count += 1
                if self.count >= ACKNOWLEDGED // WRITERS:
                    self.enough.release()
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()


def table_of(client):
    pages = client.get_paginator("scan").paginate(TableName="table", ConsistentRead=True)
    return {item["id"]["S"]: item for page in pages for item in page["Items"]}


def records_of(api, arn):
    found = []
    for shard in api.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        at = api.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
        while at:
            page = api.get_records(ShardIterator=at)
            found += page["Records"]
            at = page.get("NextShardIterator") if page["Records"] else None
    return found


def test_the_stream_replayed_is_the_table_after_every_kill(server_process):
    server = server_process().start()
    db = server.client("dynamodb")
    arn = db.create_table(
        TableName="table", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]["LatestStreamArn"]  # fmt: skip
    db.get_waiter("table_exists").wait(TableName="table", WaiterConfig={"Delay": 0, "MaxAttempts": 100_000})
    acknowledged = [{} for _ in range(WRITERS)]
    for _ in range(KILLS):
        enough = threading.Semaphore(0)
        writers = [Writer(server.port, f"w{n}", acknowledged[n], enough) for n in range(WRITERS)]
        for writer in writers:
            writer.start()
        assert enough.acquire(timeout=60)
        server.kill()
        for writer in writers:
            writer.join()
            assert not writer.unexpected
        server.start()
        db = server.client("dynamodb")
        there = table_of(db)
        replayed, seen = {}, set()
        for record in records_of(server.client("dynamodbstreams"), arn):
            change = record["dynamodb"]
            key = change["Keys"]["id"]["S"]
            assert change["SequenceNumber"] not in seen
            seen.add(change["SequenceNumber"])
            assert replayed.get(key) == change.get("OldImage")
            assert record["eventName"] == ("INSERT" if key not in replayed else "MODIFY")
            replayed[key] = change["NewImage"]
        assert replayed == there
        for numbers in acknowledged:
            for key, number in numbers.items():
                stored = int(there[key]["n"]["N"])
                assert number <= stored <= number + 1
                assert f"{key}-mark-{stored}" in there
                numbers[key] = stored
