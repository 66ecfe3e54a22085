"""A table's stream against a model: every write, whatever operation makes it, leaves exactly the records it should."""

import asyncio
import math
from unittest.mock import patch

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.aws.errors import AwsError
from cumulet.kernel.outcome import Wait
from cumulet.services import dynamodb, dynamodbstreams
from cumulet.services.dynamodb import streams, streamshards
from cumulet.testing.inprocess import InProcess

HOUR = 3600.0
KEYS = st.sampled_from([f"k{n}" for n in range(6)])
REST = st.fixed_dictionaries({}, optional={"n": st.integers(0, 3), "t": st.sampled_from(["x", "y", "xy"])})
ACTIONS = st.one_of(
    st.tuples(st.just("put"), KEYS, REST),
    st.tuples(st.just("update"), KEYS, st.integers(0, 3)),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("expire"), KEYS, st.booleans()),
    st.tuples(st.just("batch"), st.dictionaries(KEYS, st.none() | REST, min_size=1, max_size=4)),
    st.tuples(st.just("transact"), st.dictionaries(KEYS, st.none() | REST, min_size=1, max_size=4), st.booleans()),
    st.tuples(st.just("advance"), st.sampled_from([1.0, HOUR, 4 * HOUR, 9 * HOUR])),
)


def item_of(key, rest):
    values = {name: {"N": str(v)} if isinstance(v, int) else {"S": v} for name, v in rest.items()}
    return {"id": {"S": key}, **values}


class Checked:
    """Runs actions against a table with a stream and keeps what its records should be, by key: (time, old, new)."""

    def __init__(self, cloud, view):
        self.cloud, self.view = cloud, view
        self.items, self.changes = {}, {}
        self.began = cloud.clock.now()

    async def call(self, operation, **req):
        answer = await self.cloud.call("dynamodb", operation, req)
        return msgspec.json.decode(msgspec.json.encode(answer))

    async def create(self):
        created = await self.call(
            "CreateTable", TableName="table", BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": self.view},
        )  # fmt: skip
        self.arn = created["TableDescription"]["LatestStreamArn"]
        await self.cloud.quiet()
        await self.call(
            "UpdateTimeToLive", TableName="table", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
        )

    def became(self, key, new, expired=False):
        old = self.items.get(key)
        if old != new:
            self.changes.setdefault(key, []).append((self.cloud.clock.now(), old, new, expired))
        if new is None:
            self.items.pop(key, None)
        else:
            self.items[key] = new

    async def put(self, key, rest):
        await self.call("PutItem", TableName="table", Item=item_of(key, rest))
        self.became(key, item_of(key, rest))

    async def update(self, key, number):
        await self.call(
            "UpdateItem", TableName="table", Key=item_of(key, {}), UpdateExpression="SET n = :n",
            ExpressionAttributeValues={":n": {"N": str(number)}},
        )  # fmt: skip
        self.became(key, {**self.items.get(key, item_of(key, {})), "n": {"N": str(number)}})

    async def delete(self, key):
        await self.call("DeleteItem", TableName="table", Key=item_of(key, {}))
        self.became(key, None)

    async def expire(self, key, twice):
        until = int(self.cloud.clock.now()) + 5
        item = item_of(key, {"until": until})
        for _ in range(1 + twice):
            await self.call("PutItem", TableName="table", Item=item)
        self.became(key, item)
        await self.cloud.advance(20)
        removed = [r for r in await self.records() if r["dynamodb"]["Keys"] == {"id": {"S": key}}][-1]
        assert removed["eventName"] == "REMOVE"
        self.became(key, None, True)

    async def batch(self, entries):
        requests = [
            {"DeleteRequest": {"Key": item_of(key, {})}}
            if rest is None
            else {"PutRequest": {"Item": item_of(key, rest)}}
            for key, rest in entries.items()
        ]
        await self.call("BatchWriteItem", RequestItems={"table": requests})
        for key, rest in entries.items():
            self.became(key, None if rest is None else item_of(key, rest))

    async def transact(self, entries, fails):
        actions = [
            {"Delete": {"TableName": "table", "Key": item_of(key, {})}}
            if rest is None
            else {"Put": {"TableName": "table", "Item": item_of(key, rest)}}
            for key, rest in entries.items()
        ]
        if fails:
            check = {"TableName": "table", "Key": item_of("never", {}), "ConditionExpression": "attribute_exists(id)"}
            actions.append({"ConditionCheck": check})
        try:
            await self.call("TransactWriteItems", TransactItems=actions)
        except AwsError as error:
            assert fails and error.wire_code == "TransactionCanceledException"
            return
        assert not fails
        for key, rest in entries.items():
            self.became(key, None if rest is None else item_of(key, rest))

    async def advance(self, seconds):
        await self.cloud.advance(seconds)

    async def records(self):
        """All records, as a consumer inside reads them: shard after shard, a few at a time, to where it must wait."""
        listed = await self.cloud.call("dynamodbstreams", "cumulet:Shards", {"StreamArn": self.arn})
        assert isinstance(listed["Wait"], Wait)
        found, done = [], set()
        for shard in listed["Shards"]:
            assert shard.get("ParentShardId") in done | {None} or self.cloud.clock.now() - self.began > 24 * HOUR
            done.add(shard["ShardId"])
            after = ""
            while True:
                page = await self.cloud.call(
                    "dynamodbstreams", "cumulet:Read",
                    {"StreamArn": self.arn, "ShardId": shard["ShardId"], "After": after, "Limit": 3},
                )  # fmt: skip
                found += page["Records"]
                assert len(page["Traces"]) == len(page["Records"]) <= 3
                after = page["After"]
                if page["Closed"]:
                    assert shard["Closed"]
                    break
                if not page["Records"]:
                    assert page["Wait"].until == math.inf and not shard["Closed"]
                    break
        return found

    async def check(self):
        now = self.cloud.clock.now()
        records = {}
        numbers = [r["dynamodb"]["SequenceNumber"] for r in await self.records()]
        assert len(set(numbers)) == len(numbers)
        for record in await self.records():
            records.setdefault(record["dynamodb"]["Keys"]["id"]["S"], []).append(record)
        for key in self.changes.keys() | records.keys():
            expected = self.changes.get(key, [])
            young = sum(at > now - 24 * HOUR for at, *_ in expected)
            gone = sum(at <= now - 24 * HOUR - 60 for at, *_ in expected)
            there = records.get(key, [])
            assert young <= len(there) <= len(expected) - gone
            for (_, old, new, expired), record in zip(expected[len(expected) - len(there) :], there, strict=True):
                self.compare(record, old, new, expired)
        if now - self.began < 24 * HOUR:
            await self.replay(records)

    def compare(self, record, old, new, expired):
        change = record["dynamodb"]
        assert record["eventName"] == ("INSERT" if old is None else "REMOVE" if new is None else "MODIFY")
        assert change.get("OldImage") == (old if "OLD" in self.view else None)
        assert change.get("NewImage") == (new if "NEW" in self.view else None)
        assert ("userIdentity" in record) is expired
        assert record["eventSourceARN"] == self.arn

    async def replay(self, records):
        """What the stream says is what the table holds."""
        there = (await self.call("Scan", TableName="table"))["Items"]
        assert {item["id"]["S"]: item for item in there} == self.items
        alive = {key for key, changes in records.items() if changes[-1]["eventName"] != "REMOVE"}
        assert alive == set(self.items)
        if "NEW" in self.view:
            assert {key: records[key][-1]["dynamodb"]["NewImage"] for key in alive} == self.items


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"]),
    st.lists(ACTIONS, min_size=1, max_size=25),
)
def test_each_real_change_leaves_one_record_in_its_keys_order_and_no_op_leaves_none(view, actions):
    """B17.1, B17.2: shards roll every four hours and split every third record here, and records expire meanwhile."""

    async def run():
        async with InProcess([dynamodb.SERVICE, dynamodbstreams.SERVICE]) as cloud:
            checked = Checked(cloud, view)
            await checked.create()
            for name, *arguments in actions:
                await getattr(checked, name)(*arguments)
                await cloud.quiet()
            await checked.check()

    with patch.object(streams, "GROWN_RECORDS", 3), patch.object(streamshards, "GROWN_RECORDS", 3):
        asyncio.run(run())
