"""What DynamoDB counts for an account, from both sides of each quota: tables under way, units, imports, exports, restores.

What would take hundreds of tables or terabytes is counted beforehand by a service of the tests' own.
Source: developer guide, "Quotas in Amazon DynamoDB", "Constraints in Amazon DynamoDB".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.aws.errors import AwsError, GenericAwsError
from cumulet.kernel.service import Service
from cumulet.services.dynamodb import SERVICE, importing, quotas
from cumulet.services.dynamodb.layout import open_table
from cumulet.services.dynamodb.rows import COLLECTION_LIMIT, collection_key
from cumulet.testing.inprocess import ACCOUNT, REGION, InProcess

Json = dict[str, Any]
SCHEMA: Json = {
    "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
    "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}, {"AttributeName": "n", "AttributeType": "N"}],
}  # fmt: skip
ON_DEMAND: Json = {**SCHEMA, "BillingMode": "PAY_PER_REQUEST"}
KINDS = ("tables", "busy", "ReadCapacityUnits", "WriteCapacityUnits", *quotas.MAX_JOBS)


def units(read: int, write: int = 1) -> Json:
    return {"ProvisionedThroughput": {"ReadCapacityUnits": read, "WriteCapacityUnits": write}}


def by_number(read: int, name: str = "by-number") -> Json:
    schema = [{"AttributeName": "n", "KeyType": "HASH"}]
    return {"IndexName": name, "KeySchema": schema, "Projection": {"ProjectionType": "KEYS_ONLY"}, **units(read)}


class Desk:
    """A cloud of DynamoDB, a bucket of `objects`, and what the account's counters say."""

    def __init__(self, cloud: InProcess) -> None:
        self.cloud = cloud

    async def db(self, operation: str, **req: Any) -> Any:
        return await self.cloud.call("dynamodb", operation, req)

    async def done(self, operation: str, **req: Any) -> Any:
        answer = await self.db(operation, **req)
        await self.cloud.quiet()
        return answer

    async def refused(self, operation: str, **req: Any) -> tuple[str, str]:
        with pytest.raises(AwsError) as caught:
            await self.db(operation, **req)
        return caught.value.wire_code, caught.value.message

    async def count(self, kind: str, amount: int = 0) -> int:
        """The count, after so much was added to it."""
        return int(await self.cloud.call("desk", "cumulet:Count", {"Kind": kind, "Amount": amount}))

    async def size(self) -> int:
        """What is counted of the collection of "p"."""
        return int(await self.cloud.call("desk", "cumulet:Size", {"Item": item()}))

    async def sized(self, item: Json, size: int) -> None:
        """As if an item's collection had so many bytes."""
        await self.cloud.call("desk", "cumulet:Size", {"Item": item, "Size": size})


def sized(ctx: Any, req: Json) -> int:
    at = collection_key(open_table(ctx, "things"), req["Item"])
    if "Size" in req:
        ctx.tx.add(at, req["Size"] - ctx.tx.counter(at))
    return int(ctx.tx.counter(at))


def counted(ctx: Any, req: Json) -> int:
    key = quotas.counter(ACCOUNT, REGION, req["Kind"])
    return int(ctx.tx.add(key, req["Amount"])) if req["Amount"] else int(ctx.tx.counter(key))


class Bucket:
    """A stand-in for S3: its objects hold one item each."""

    def __init__(self, objects: int = 1) -> None:
        self.names = [f"{n:05}" for n in range(objects)]

    def listed(self, ctx: Any, req: Json) -> Json:
        names = [name for name in self.names if name > req.get("StartAfter", "")]
        return {"Contents": [{"Key": name, "Size": len(self.body(name))} for name in names[: req["MaxKeys"]]]}

    def body(self, name: str) -> bytes:
        return b'{"Item": {"k": {"S": "%s"}, "n": {"N": "1"}}}\n' % name.encode()

    def got(self, ctx: Any, req: Json) -> Json:
        return {"Body": self.body(req["Key"])}

    def put(self, ctx: Any, req: Json) -> Json:
        if req["Bucket"] == "missing":
            raise GenericAwsError("NoSuchBucket", "The specified bucket does not exist", 404)
        return {"ETag": '"0"'}

    def service(self) -> Service:
        return Service("s3", internals={"ListObjectsV2": self.listed, "GetObject": self.got, "PutObject": self.put})


def run(test: Callable[[Desk], Coroutine[Any, Any, None]], bucket: Bucket | None = None) -> None:
    async def whole() -> None:
        desk = Service("desk", internals={"cumulet:Count": counted, "cumulet:Size": sized})
        async with InProcess([SERVICE, (bucket or Bucket()).service(), desk], seed=1) as cloud:
            await test(Desk(cloud))

    asyncio.run(whole())


def test_an_account_has_at_most_2500_tables_in_a_region() -> None:
    async def test(desk: Desk) -> None:
        for start in range(0, 2500, 250):
            names = [f"table{n}" for n in range(start, start + 250)]
            await asyncio.gather(*(desk.db("CreateTable", TableName=name, **ON_DEMAND) for name in names))
            await desk.cloud.quiet()
        assert await desk.refused("CreateTable", TableName="more", **ON_DEMAND) == (
            "LimitExceededException",
            "Subscriber limit exceeded: There is a limit of 2500 tables per subscriber",
        )
        await desk.cloud.call("dynamodb", "CreateTable", {"TableName": "more", **ON_DEMAND}, region="eu-west-1")
        await desk.done("DeleteTable", TableName="table7")
        await desk.done("CreateTable", TableName="more", **ON_DEMAND)
        assert await desk.count("tables") == 2500

    run(test)


def test_at_most_500_tables_are_created_updated_or_deleted_at_a_time() -> None:
    words = "Subscriber limit exceeded: Only 500 tables can be created, updated, or deleted simultaneously"

    async def test(desk: Desk) -> None:
        await desk.done("CreateTable", TableName="there", **ON_DEMAND)
        arn = (await desk.done("CreateBackup", TableName="there", BackupName="one"))["BackupDetails"]["BackupArn"]
        requests: list[tuple[str, Json]] = [
            ("CreateTable", {"TableName": "other", **ON_DEMAND}),
            ("RestoreTableFromBackup", {"TargetTableName": "again", "BackupArn": arn}),
            ("UpdateTable", {"TableName": "there", "DeletionProtectionEnabled": False}),
            ("DeleteTable", {"TableName": "there"}),
        ]
        await desk.count("busy", 500)
        for operation, req in requests:
            assert await desk.refused(operation, **req) == ("LimitExceededException", words)
        assert await desk.count("busy", -1) == 499
        for operation, req in requests:
            await desk.done(operation, **req)
            assert await desk.count("busy") == 499

    run(test)


def test_an_accounts_tables_and_global_indexes_have_at_most_80000_units() -> None:
    async def test(desk: Desk) -> None:
        await desk.done("CreateTable", TableName="one", **SCHEMA, **units(40000))
        index = {"GlobalSecondaryIndexes": [by_number(20000)]}
        await desk.done("CreateTable", TableName="two", **SCHEMA, **units(19999), **index)
        code, message = await desk.refused("CreateTable", TableName="three", **SCHEMA, **units(2))
        assert (code, "80000 ReadCapacityUnits" in message) == ("LimitExceededException", True)
        await desk.done("CreateTable", TableName="three", **SCHEMA, **units(1))
        for change in (
            {"TableName": "three", **units(2)},
            {"TableName": "three", **units(1, 79999)},
            {"TableName": "two", "GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "by-number", **units(20001)}}]},
            {"TableName": "two", "AttributeDefinitions": SCHEMA["AttributeDefinitions"],
             "GlobalSecondaryIndexUpdates": [{"Create": by_number(1, "another")}]},
        ):  # fmt: skip
            assert (await desk.refused("UpdateTable", **change))[0] == "LimitExceededException"
        await desk.done("CreateTable", TableName="free", **ON_DEMAND)
        await desk.done("UpdateTable", TableName="two", BillingMode="PAY_PER_REQUEST")
        await desk.done("UpdateTable", TableName="three", **units(40000))
        await desk.done("DeleteTable", TableName="one")
        assert [await desk.count(kind) for kind in KINDS[:4]] == [3, 0, 40000, 1]

    run(test)


@pytest.mark.parametrize("kind", ["table", "index"])
def test_a_global_index_has_1_to_40000_units_as_a_table_has(kind: str) -> None:
    async def test(desk: Desk) -> None:
        def asked(read: int) -> Json:
            index = {"GlobalSecondaryIndexes": [by_number(read)]} if kind == "index" else {}
            return {"TableName": "things", **SCHEMA, **units(1 if index else read), **index}

        assert (await desk.refused("CreateTable", **asked(40001)))[0] == "LimitExceededException"
        await desk.done("CreateTable", **asked(40000))

    run(test)


def test_an_index_is_decreased_as_often_as_a_table_and_apart_from_it() -> None:
    async def test(desk: Desk) -> None:
        await desk.cloud.advance(86400 - desk.cloud.clock.now() % 86400)
        await desk.done(
            "CreateTable", TableName="things", **SCHEMA, **units(100), GlobalSecondaryIndexes=[by_number(100)]
        )

        def lower(table: int, index: int) -> Json:
            updates = [{"Update": {"IndexName": "by-number", **units(index)}}]
            return {"TableName": "things", **units(table), "GlobalSecondaryIndexUpdates": updates}

        for n in range(1, 5):
            await desk.done("UpdateTable", **lower(100, 100 - n))
        code, message = await desk.refused("UpdateTable", **lower(90, 90))
        assert (code, "Number of decreases today: 4." in message) == ("LimitExceededException", True)
        described = (await desk.db("DescribeTable", TableName="things"))["Table"]
        assert described["ProvisionedThroughput"]["ReadCapacityUnits"] == 100  # nothing of the request was done
        found = described["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]
        assert (found["ReadCapacityUnits"], found["NumberOfDecreasesToday"]) == (96, 4)
        for n in range(1, 5):
            await desk.done("UpdateTable", TableName="things", **units(100 - n))
        await desk.cloud.advance(3600)
        await desk.done("UpdateTable", **lower(90, 90))
        assert (await desk.refused("UpdateTable", **lower(89, 90)))[0] == "LimitExceededException"

    run(test)


def test_27_decreases_fit_in_a_day_four_in_a_row() -> None:
    async def test(desk: Desk) -> None:
        await desk.cloud.advance(86400 - desk.cloud.clock.now() % 86400)
        await desk.done("CreateTable", TableName="things", **SCHEMA, **units(1000))
        left = 1000

        async def lower(times: int) -> None:
            nonlocal left
            for _ in range(times):
                await desk.done("UpdateTable", TableName="things", **units(left - 1))
                left -= 1
            assert (await desk.refused("UpdateTable", TableName="things", **units(left - 1)))[
                0
            ] == "LimitExceededException"

        await lower(4)
        for _ in range(17):
            await desk.cloud.advance(3600)
            await lower(1)
        await desk.cloud.advance(5 * 3600)
        await lower(4)  # five hours give no more than four
        await desk.cloud.advance(3600)
        await lower(1)
        answer = await desk.db("DescribeTable", TableName="things")
        assert answer["Table"]["ProvisionedThroughput"]["NumberOfDecreasesToday"] == 26
        await desk.cloud.advance(3600)
        await lower(4)  # a new day

    run(test)


# jobs


async def job(desk: Desk, kind: str, n: int) -> tuple[str, Json]:
    """A request that begins a job."""
    if kind == "import":
        return "ImportTable", {
            "S3BucketSource": {"S3Bucket": "data"},
            "InputFormat": "DYNAMODB_JSON",
            "TableCreationParameters": {"TableName": f"copy{n}", **ON_DEMAND},
        }
    if kind == "export":
        return "ExportTableToPointInTime", {
            "TableArn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/things",
            "S3Bucket": "data" if n else "missing",
        }
    asked = {"SourceTableName": "things", "TargetTableName": f"again{n}", "UseLatestRestorableTime": True}
    return "RestoreTableToPointInTime", asked


@pytest.mark.parametrize(("kind", "most"), [("import", 50), ("export", 300), ("restore", 50)])
def test_jobs_have_a_number_that_runs_at_a_time(kind: str, most: int) -> None:
    async def test(desk: Desk) -> None:
        await desk.done("CreateTable", TableName="things", **ON_DEMAND)
        recovery = {"PointInTimeRecoveryEnabled": True}
        await desk.db("UpdateContinuousBackups", TableName="things", PointInTimeRecoverySpecification=recovery)
        await desk.count(kind, most)
        operation, req = await job(desk, kind, 9)
        assert await desk.refused(operation, **req) == (
            "LimitExceededException",
            f"Subscriber limit exceeded: There is a limit of {most} concurrent {kind}s",
        )
        assert await desk.count(kind, -1) == most - 1
        for n in range(3):  # an export's first one fails: its bucket is missing
            operation, req = await job(desk, kind, n)
            await desk.done(operation, **req)
            assert await desk.count(kind) == most - 1

    run(test)


def test_an_import_takes_at_most_50000_objects() -> None:
    assert importing.MAX_OBJECTS == 50_000

    async def imported(desk: Desk, name: str) -> Json:
        req = (await job(desk, "import", 0))[1]
        req["TableCreationParameters"]["TableName"] = name
        answer = await desk.done("ImportTable", **req)
        arn = answer["ImportTableDescription"]["ImportArn"]
        found: Json = (await desk.db("DescribeImport", ImportArn=arn))["ImportTableDescription"]
        return found

    async def test(desk: Desk) -> None:
        with patch.object(importing, "MAX_OBJECTS", 20):
            done = await imported(desk, "twenty")
            assert (done["ImportStatus"], done["ImportedItemCount"]) == ("COMPLETED", 20)
        with patch.object(importing, "MAX_OBJECTS", 19):
            failed = await imported(desk, "nineteen")
        assert (failed["ImportStatus"], failed["FailureCode"]) == ("FAILED", "ValidationException")
        assert "more than 19 objects" in failed["FailureMessage"]
        assert (await desk.db("ListTables"))["TableNames"] == ["twenty"]

    run(test, Bucket(objects=20))


# item collections


def item(pk: str = "p", n: int = 1, **more: str) -> Json:
    return {"k": {"S": pk}, "n": {"N": str(n)}, **{name: {"S": text} for name, text in more.items()}}


def with_local(*projections: Json) -> Json:
    """A table of items with an attribute `a`, by which local indexes sort."""
    keys = [{"AttributeName": "k", "KeyType": "HASH"}, {"AttributeName": "a", "KeyType": "RANGE"}]
    indexes = [{"IndexName": f"local{n}", "KeySchema": keys, "Projection": each} for n, each in enumerate(projections)]
    definitions = [*SCHEMA["AttributeDefinitions"], {"AttributeName": "a", "AttributeType": "S"}]
    return {**ON_DEMAND, "TableName": "things", "AttributeDefinitions": definitions, "LocalSecondaryIndexes": indexes}


def test_an_item_collection_has_10_gb_with_its_rows_in_local_indexes() -> None:
    assert COLLECTION_LIMIT == 10 * 1024**3
    large = item(n=2, a="a", v="x" * 100)
    size = 2 * (len("kpnava") + 2 + 100)  # the item, and the same in the index
    grow = {
        "UpdateExpression": "SET a = :a, v = :v",
        "ExpressionAttributeValues": {":a": large["a"], ":v": large["v"]},
    }
    put: Json = {"TableName": "things", "Item": large}

    async def test(desk: Desk) -> None:
        await desk.done("CreateTable", **with_local({"ProjectionType": "ALL"}))
        await desk.db("PutItem", TableName="things", Item=item())
        await desk.sized(large, COLLECTION_LIMIT - size)
        answer = await desk.db("PutItem", **put, ReturnItemCollectionMetrics="SIZE")
        assert answer["ItemCollectionMetrics"]["SizeEstimateRangeGB"] == [10.0, 11.0]
        await desk.db("DeleteItem", TableName="things", Key=item(n=2))
        await desk.sized(large, COLLECTION_LIMIT - size + 1)
        for operation, req in (
            ("PutItem", put),
            ("BatchWriteItem", {"RequestItems": {"things": [{"PutRequest": {"Item": large}}]}}),
            ("UpdateItem", {"TableName": "things", "Key": item(n=2), **grow}),
        ):
            refusal = ("ItemCollectionSizeLimitExceededException", "Collection size exceeded.")
            assert await desk.refused(operation, **req) == refusal
        with pytest.raises(AwsError) as caught:
            await desk.db("TransactWriteItems", TransactItems=[{"Put": put}])
        assert caught.value.members["CancellationReasons"][0]["Code"] == "ItemCollectionSizeLimitExceeded"
        await desk.db("PutItem", TableName="things", Item=item("other", a="a", v="x" * 100))
        await desk.db("DeleteItem", TableName="things", Key=item())  # a full collection can shrink
        await desk.db("PutItem", **put)

    run(test)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "update", "delete"]),
        st.integers(1, 3),
        st.sampled_from(["", "a", "bb"]),
        st.text("xä", max_size=9),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_a_collections_size_is_that_of_its_items_and_their_rows(steps: list[Any]) -> None:
    some = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["v"]}
    table = with_local({"ProjectionType": "ALL"}, {"ProjectionType": "KEYS_ONLY"}, some)

    def size(kept: Json, names: str = "knavw") -> int:
        """Of an item's parts: names have one letter, numbers one digit."""
        values = [value for name, value in kept.items() if name in names]
        return sum(1 + (2 if "N" in value else len(value["S"].encode())) for value in values)

    async def test(desk: Desk) -> None:
        await desk.done("CreateTable", **table)
        kept: dict[int, Json] = {}
        for action, n, a, v in steps:
            if action == "put":
                kept[n] = item(n=n, v=v, w="w", **({"a": a} if a else {}))
                await desk.db("PutItem", TableName="things", Item=kept[n])
            elif action == "delete":
                kept.pop(n, None)
                await desk.db("DeleteItem", TableName="things", Key=item(n=n))
            else:
                kept[n] = {**kept.get(n, item(n=n)), "v": {"S": v}}
                change = {"UpdateExpression": "SET v = :v", "ExpressionAttributeValues": {":v": {"S": v}}}
                await desk.db("UpdateItem", TableName="things", Key=item(n=n), **change)
            expected = 0
            for each in kept.values():
                indexed = ("knavw", "kna", "knav") if "a" in each else ()
                expected += sum(size(each, names) for names in ("knavw", *indexed))
            assert await desk.size() == expected

    run(test)


# the counts are those of the tables that are there

NAMES = st.sampled_from(["one", "two"])
ACTIONS = st.one_of(
    st.tuples(st.just("create"), NAMES, st.integers(0, 30000), st.integers(0, 30000)),
    st.tuples(st.just("update"), NAMES, st.integers(0, 30000)),
    st.tuples(st.just("index"), NAMES, st.integers(0, 30000)),
    st.tuples(st.just("drop_index"), NAMES),
    st.tuples(st.just("delete"), NAMES),
    st.tuples(st.just("restore"), NAMES),
)


class Checked(Desk):
    async def create(self, name: str, read: int, index: int) -> None:
        mode = units(read) if read else {"BillingMode": "PAY_PER_REQUEST"}
        spec = by_number(index)
        if not read:
            del spec["ProvisionedThroughput"]
        indexes = {"GlobalSecondaryIndexes": [spec]} if index else {}
        await self.done("CreateTable", TableName=name, **SCHEMA, **mode, **indexes)

    async def update(self, name: str, read: int) -> None:
        mode = {"BillingMode": "PROVISIONED", **units(read)} if read else {"BillingMode": "PAY_PER_REQUEST"}
        await self.done("UpdateTable", TableName=name, **mode)

    async def index(self, name: str, read: int) -> None:
        update = {"Update": {"IndexName": "by-number", **units(read)}}
        await self.done("UpdateTable", TableName=name, GlobalSecondaryIndexUpdates=[update])

    async def drop_index(self, name: str) -> None:
        update = {"Delete": {"IndexName": "by-number"}}
        await self.done("UpdateTable", TableName=name, GlobalSecondaryIndexUpdates=[update])

    async def delete(self, name: str) -> None:
        await self.done("DeleteTable", TableName=name)

    async def restore(self, name: str) -> None:
        arn = (await self.done("CreateBackup", TableName=name, BackupName="one"))["BackupDetails"]["BackupArn"]
        await self.done("RestoreTableFromBackup", TargetTableName="again", BackupArn=arn)

    async def compare(self) -> None:
        """The counters against a recount; what is busy has come to rest."""
        tables = [
            (await self.db("DescribeTable", TableName=name))["Table"]
            for name in (await self.db("ListTables"))["TableNames"]
        ]
        owners = [each for table in tables for each in (table, *table.get("GlobalSecondaryIndexes", ()))]
        held = [owner["ProvisionedThroughput"] for owner in owners]
        expected = [len(tables), 0, sum(each["ReadCapacityUnits"] for each in held), sum(each["WriteCapacityUnits"] for each in held)]  # fmt: skip
        assert [await self.count(kind) for kind in KINDS] == [*expected, 0, 0, 0]


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTIONS, max_size=12))
def test_the_counts_are_those_of_the_tables_that_are_there(actions: list[Any]) -> None:
    async def test(desk: Desk) -> None:
        checked = Checked(desk.cloud)
        for name, *args in actions:
            try:
                await getattr(checked, name)(*args)
            except AwsError as error:
                assert error.wire_code != "InternalFailure"
            await checked.compare()

    run(test)
