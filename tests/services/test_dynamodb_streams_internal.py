"""What consumers inside see of a stream: positions, waits that wake, traces, splits, bounded trimming."""

import asyncio
from unittest.mock import patch

import pytest

from cumulet.aws.errors import AwsError
from cumulet.services import dynamodb, dynamodbstreams
from cumulet.services.dynamodb import streamshards
from cumulet.services.dynamodb.keys import bucket, key_part
from cumulet.testing.inprocess import InProcess

HOUR = 3600.0
TABLE = {
    "TableName": "table",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PROVISIONED",
    "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
}


class Desk:
    """A table with a stream of one shard."""

    def __init__(self, cloud):
        self.cloud = cloud

    async def db(self, operation, **req):
        return await self.cloud.call("dynamodb", operation, req)

    async def create(self, view="KEYS_ONLY"):
        spec = {"StreamEnabled": True, "StreamViewType": view}
        self.arn = (await self.db("CreateTable", **TABLE, StreamSpecification=spec))["TableDescription"][
            "LatestStreamArn"
        ]
        await self.cloud.quiet()
        return self

    async def put(self, key, n=0):
        await self.db("PutItem", TableName="table", Item={"id": {"S": key}, "n": {"N": str(n)}})

    async def write(self, count, keys=25):
        """So many changes of 25 items, in batches."""
        for at in range(0, count, keys):
            puts = [
                {"PutRequest": {"Item": {"id": {"S": f"k{n % keys}"}, "n": {"N": str(n)}}}}
                for n in range(at, min(at + keys, count))
            ]
            await self.db("BatchWriteItem", RequestItems={"table": puts})

    async def shards(self):
        return await self.cloud.call("dynamodbstreams", "cumulet:Shards", {"StreamArn": self.arn})

    async def read(self, shard, after="", limit=100, **more):
        asked = {"StreamArn": self.arn, "ShardId": shard, "After": after, "Limit": limit, **more}
        return await self.cloud.call("dynamodbstreams", "cumulet:Read", asked)

    async def latest(self, shard):
        asked = {"StreamArn": self.arn, "ShardId": shard}
        return (await self.cloud.call("dynamodbstreams", "cumulet:Latest", asked))["SequenceNumber"]

    def park(self, wait):
        woken = []
        self.cloud.pipeline.park(wait, lambda: woken.append(True))
        return woken


def run(work):
    async def inside():
        async with InProcess([dynamodb.SERVICE, dynamodbstreams.SERVICE]) as cloud:
            return await work(await Desk(cloud).create())

    return asyncio.run(inside())


def keys_of(page):
    return [record["dynamodb"]["Keys"]["id"]["S"] for record in page["Records"]]


def test_a_reader_goes_on_behind_what_it_is_done_with():
    async def work(desk):
        (shard,) = (await desk.shards())["Shards"]
        assert shard == {"ShardId": shard["ShardId"], "Closed": False}
        shard = shard["ShardId"]
        before = await desk.latest(shard)
        for key in "abcd":
            await desk.put(key)
        first = await desk.read(shard, limit=2)
        assert keys_of(first) == ["a", "b"]
        assert first["After"] == first["Records"][-1]["dynamodb"]["SequenceNumber"]
        assert first["Records"][0]["eventSourceARN"] == desk.arn
        assert "Wait" not in first and not first["Closed"]
        assert keys_of(await desk.read(shard, first["After"])) == ["c", "d"]
        assert keys_of(await desk.read(shard, before)) == list("abcd")
        assert keys_of(await desk.read(shard, StartingPosition="TRIM_HORIZON")) == list("abcd")
        newest = await desk.read(shard, StartingPosition="LATEST")
        assert newest["Records"] == []
        assert newest["After"] == await desk.latest(shard)
        await desk.put("e")
        assert keys_of(await desk.read(shard, newest["After"], StartingPosition="LATEST")) == ["e"]
        await desk.cloud.advance(4 * HOUR)
        assert not (await desk.read(shard, limit=4))["Closed"]
        last = await desk.read(shard, limit=5)
        assert last["Closed"] and keys_of(last) == list("abcde")
        with pytest.raises(AwsError, match="Shard does not exist"):
            await desk.read(shard[:-1] + "9")

    run(work)


def test_an_iterator_at_a_time_begins_with_what_was_written_then():
    async def work(desk):
        shard = (await desk.shards())["Shards"][0]["ShardId"]
        times = []
        for key in "abcde":
            times.append(desk.cloud.clock.now())
            await desk.put(key)
            await desk.cloud.advance(1)
        for at, rest in (
            (times[0], "abcde"),
            (times[2], "cde"),
            (times[2] + 0.5, "de"),
            (times[4], "e"),
            (times[4] + 0.5, ""),
        ):
            asked = {"StreamArn": desk.arn, "ShardId": shard, "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": at}
            place = await desk.cloud.call("dynamodbstreams", "GetShardIterator", asked)
            assert keys_of(await desk.cloud.call("dynamodbstreams", "GetRecords", place)) == list(rest)

    run(work)


def test_max_bytes_limits_all_but_the_first_record():
    async def work(desk):
        shard = (await desk.shards())["Shards"][0]["ShardId"]
        for key in "abc":
            await desk.put(key)
        assert keys_of(await desk.read(shard, MaxBytes=1)) == ["a"]
        size = len(b'{"id":{"S":"a"}}')
        assert keys_of(await desk.read(shard, MaxBytes=2 * size)) == ["a", "b"]
        assert keys_of(await desk.read(shard, MaxBytes=2 * size - 1)) == ["a"]

    run(work)


def test_a_parked_reader_wakes_for_a_record_and_for_the_end_of_its_shard_alone():
    async def work(desk):
        shard = (await desk.shards())["Shards"][0]["ShardId"]
        await desk.put("a")
        page = await desk.read(shard, await desk.latest(shard))
        woken = desk.park(page["Wait"])
        await desk.put("a")  # changes nothing
        await desk.cloud.quiet()
        assert woken == []
        await desk.put("b")
        await desk.cloud.quiet()
        assert woken == [True]
        page = await desk.read(shard, await desk.latest(shard))
        woken = desk.park(page["Wait"])
        await desk.cloud.advance(4 * HOUR - 1)
        assert woken == []
        await desk.cloud.advance(1)
        assert woken == [True]
        assert (await desk.read(shard, page["After"]))["Closed"]

    run(work)


def test_whoever_waits_for_shards_wakes_when_they_roll_and_when_they_go():
    async def work(desk):
        woken = desk.park((await desk.shards())["Wait"])
        await desk.put("a")
        await desk.cloud.quiet()
        assert woken == []
        await desk.cloud.advance(4 * HOUR)
        assert woken == [True]
        woken = desk.park((await desk.shards())["Wait"])
        await desk.db("DeleteTable", TableName="table")
        await desk.cloud.quiet()
        assert woken == [True]
        assert all(shard["Closed"] for shard in (await desk.shards())["Shards"])

    run(work)


def test_records_carry_the_trace_of_their_write():
    async def work(desk):
        trace = "Root=1-00000001-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=1"
        item = {"id": {"S": "a"}}
        await desk.cloud.call("dynamodb", "PutItem", {"TableName": "table", "Item": item}, trace=trace)
        shard = (await desk.shards())["Shards"][0]["ShardId"]
        (kept,) = (await desk.read(shard))["Traces"]
        assert kept.startswith("Root=1-00000001-0123456789abcdef01234567;Parent=")

    run(work)


def test_a_shard_that_grows_fast_splits_in_two_by_the_hash_of_the_key():
    async def work(desk):
        await desk.write(9_999)
        await desk.cloud.quiet()
        assert len((await desk.shards())["Shards"]) == 1
        await desk.put("k0", 10_000)
        await desk.cloud.quiet()
        parent, low, high = (await desk.shards())["Shards"]
        assert parent["Closed"] and low["ParentShardId"] == high["ParentShardId"] == parent["ShardId"]
        for n in range(40):
            await desk.put(f"new{n}")
        halves = [keys_of(await desk.read(shard["ShardId"])) for shard in (low, high)]
        expected = [[], []]
        for n in range(40):
            expected[bucket(key_part("S", f"new{n}"))[1] > 8].append(f"new{n}")
        assert halves == expected and all(halves)
        await desk.cloud.advance(4 * HOUR)
        assert len((await desk.shards())["Shards"]) == 5

    run(work)


def test_a_shard_that_grows_slowly_does_not_split():
    async def work(desk):
        await desk.write(5_000)
        await desk.cloud.advance(21)
        await desk.write(5_000)
        await desk.cloud.quiet()
        assert len((await desk.shards())["Shards"]) == 1

    run(work)


def test_trimming_goes_in_steps_and_leaves_what_is_young():
    async def work(desk):
        await desk.write(25)
        await desk.cloud.advance(HOUR)
        for n in range(7):
            await desk.put(f"k{n}", 100)
        shard = (await desk.shards())["Shards"][0]["ShardId"]
        steps = []
        real = streamshards._trim

        def counted(ctx, stream, shard, limit):
            left, oldest = real(ctx, stream, shard, limit)
            steps.append(limit - left)
            return left, oldest

        with patch.object(streamshards, "_TRIMMED_A_STEP", 10), patch.object(streamshards, "_trim", counted):
            await desk.cloud.advance(23 * HOUR + 61)
        assert [step for step in steps if step] == [10, 10, 5]
        assert len((await desk.read(shard))["Records"]) == 7
        assert keys_of(await desk.read(shard, await desk.latest(shard))) == []

    run(work)
