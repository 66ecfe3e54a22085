"""DynamoDB against a model in plain dicts: items, a sparse global and a local index, pages, transactions."""

import asyncio
from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.aws.errors import AwsError
from cumulet.kernel.keys import pack_part
from cumulet.services.dynamodb import SERVICE
from cumulet.services.dynamodb.keys import number_bytes
from cumulet.services.dynamodb.values import measured, normal_number
from cumulet.testing.inprocess import InProcess

TABLE = {
    "TableName": "model",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": n, "AttributeType": t} for n, t in (("p", "S"), ("s", "N"), ("g", "S"), ("l", "S"))],
    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
    "GlobalSecondaryIndexes": [{
        "IndexName": "global", "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["n"]},
        "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}],
    }],
    "LocalSecondaryIndexes": [{
        "IndexName": "local", "Projection": {"ProjectionType": "ALL"},
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}],
    }],
}  # fmt: skip

PS = st.sampled_from(["a", "b", "\x00c"])
SS = st.sampled_from(["-10", "-1.5", "0", "0.5", "2", "30"])
TEXT = st.sampled_from(["x", "xy", "y\x00", "é"])
REST = st.fixed_dictionaries({}, optional={"g": TEXT, "l": TEXT, "n": st.integers(-5, 5)})
ACTIONS = st.one_of(
    st.tuples(st.just("put"), PS, SS, REST, st.booleans()),
    st.tuples(st.just("update"), PS, SS, REST, st.sampled_from(["g", "l", "n"])),
    st.tuples(st.just("delete"), PS, SS),
    st.tuples(st.just("transact"), PS, SS, SS, REST),
    st.tuples(st.just("query"), PS, SS, st.sampled_from(["<", "<=", ">", ">=", "="]), st.integers(1, 3), st.booleans()),
    st.tuples(st.just("global"), TEXT, st.integers(1, 3), st.booleans()),
    st.tuples(st.just("local"), PS, TEXT, st.booleans()),
    st.tuples(st.just("scan"), st.integers(1, 4), st.integers(1, 5)),
)


def plain(value):
    """An answer as a client sees it."""
    return msgspec.json.decode(msgspec.json.encode(value))


def attribute(value):
    return {"N": str(value)} if isinstance(value, int) else {"S": value}


def key(p, s):
    return {"p": {"S": p}, "s": {"N": s}}


def ordered(items, *names, reverse=False):
    def place(item):
        return [Decimal(v["N"]) if "N" in v else v["S"].encode() for v in (item[name] for name in names)]

    return sorted(items, key=place, reverse=reverse)


def subset(item, names):
    return {name: value for name, value in item.items() if name in names}


class Checked:
    """Runs actions against the service and the model, and compares what they say."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.items = {}

    async def call(self, operation, **req):
        return plain(await self.cloud.call("dynamodb", operation, {"TableName": "model", **req}))

    async def pages(self, operation, limit, **req):
        found, start = [], {}
        while True:
            page = await self.call(operation, Limit=limit, **req, **start)
            assert page["ScannedCount"] <= limit
            found += page["Items"]
            if "LastEvaluatedKey" not in page:
                return found
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    async def put(self, p, s, rest, fresh):
        item = {**key(p, s), **{n: attribute(v) for n, v in rest.items()}}
        more = {"ConditionExpression": "attribute_not_exists(p)"} if fresh else {}
        try:
            answer = await self.call("PutItem", Item=item, ReturnValues="ALL_OLD", **more)
        except AwsError as error:
            assert error.wire_code == "ConditionalCheckFailedException"
            assert fresh and (p, s) in self.items
            return
        assert not (fresh and (p, s) in self.items)
        assert answer.get("Attributes") == self.items.get((p, s))
        self.items[p, s] = item

    async def update(self, p, s, rest, gone):
        rest = {n: v for n, v in rest.items() if n != gone}
        sets = [f"{n} = :{n}" for n in rest if n != "n"]
        text = (f"SET {', '.join(sets)} " if sets else "") + ("ADD n :n " if "n" in rest else "") + f"REMOVE {gone}"
        values = {"ExpressionAttributeValues": {f":{n}": attribute(v) for n, v in rest.items()}} if rest else {}
        answer = await self.call("UpdateItem", Key=key(p, s), UpdateExpression=text, ReturnValues="ALL_NEW", **values)
        if not rest and (p, s) not in self.items:  # what only takes away makes no item
            assert "Attributes" not in answer
            return
        item = dict(self.items.get((p, s), key(p, s)))
        for name, value in rest.items():
            before = int(item.get("n", {"N": "0"})["N"])
            item[name] = attribute(before + value) if name == "n" else attribute(value)
        item.pop(gone, None)
        assert answer["Attributes"] == item
        self.items[p, s] = item

    async def delete(self, p, s):
        answer = await self.call("DeleteItem", Key=key(p, s), ReturnValues="ALL_OLD")
        assert answer.get("Attributes") == self.items.pop((p, s), None)
        assert await self.call("GetItem", Key=key(p, s)) == {}

    async def transact(self, p, s, other, rest):
        if s == other:
            return
        item = {**key(p, s), **{n: attribute(v) for n, v in rest.items()}}
        check = {"TableName": "model", "Key": key(p, other), "ConditionExpression": "attribute_exists(p)"}
        actions = [{"Put": {"TableName": "model", "Item": item}}, {"Delete": check}]
        try:
            await self.call("TransactWriteItems", TransactItems=actions)
        except AwsError as error:
            assert [r["Code"] for r in error.members["CancellationReasons"]] == ["None", "ConditionalCheckFailed"]
            assert (p, other) not in self.items
            return
        del self.items[p, other]
        self.items[p, s] = item

    async def query(self, p, s, operator, limit, forward):
        import operator as op

        holds = {"<": op.lt, "<=": op.le, ">": op.gt, ">=": op.ge, "=": op.eq}[operator]
        want = [item for (q, t), item in self.items.items() if q == p and holds(Decimal(t), Decimal(s))]
        found = await self.pages(
            "Query", limit, KeyConditionExpression=f"p = :p AND s {operator} :s", ScanIndexForward=forward,
            ExpressionAttributeValues={":p": {"S": p}, ":s": {"N": s}},
        )  # fmt: skip
        assert found == ordered(want, "s", reverse=not forward)

    async def global_(self, g, limit, forward):
        want = [i for i in self.items.values() if i.get("g") == {"S": g} and "l" in i]
        found = await self.pages("Query", limit, IndexName="global", KeyConditionExpression="g = :g", ScanIndexForward=forward,
                                 ExpressionAttributeValues={":g": {"S": g}})  # fmt: skip
        shown = [subset(item, "gpsln") for item in want]
        assert ordered(found, "l", "p", "s") == ordered(shown, "l", "p", "s")
        assert [i["l"] for i in found] == [i["l"] for i in ordered(shown, "l", reverse=not forward)]

    async def local(self, p, start, consistent):
        want = [i for (q, _), i in self.items.items() if q == p and i.get("l", {}).get("S", "").startswith(start)]
        found = await self.call("Query", IndexName="local", KeyConditionExpression="p = :p AND begins_with(l, :l)",
                                ConsistentRead=consistent, ExpressionAttributeValues={":p": {"S": p}, ":l": {"S": start}})  # fmt: skip
        assert found["Items"] == ordered(want, "l", "s")

    async def scan(self, total, limit):
        found = []
        for segment in range(total):
            found += await self.pages("Scan", limit, Segment=segment, TotalSegments=total)
        assert ordered(found, "p", "s") == ordered(self.items.values(), "p", "s")
        positive = await self.call(
            "Scan", FilterExpression="n > :z", ExpressionAttributeValues={":z": {"N": "0"}}, Select="COUNT"
        )
        assert positive["Count"] == sum(int(i.get("n", {"N": "0"})["N"]) > 0 for i in self.items.values())


async def run(actions):
    async with InProcess([SERVICE]) as cloud:
        await cloud.call("dynamodb", "CreateTable", TABLE)
        await cloud.quiet()
        checked = Checked(cloud)
        for name, *arguments in actions:
            await getattr(checked, "global_" if name == "global" else name)(*arguments)
        await checked.scan(3, 2)
        for text in ("x", "xy", "y\x00", "é"):
            await checked.global_(text, 2, True)


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTIONS, max_size=30))
def test_the_service_agrees_with_dicts(actions):
    asyncio.run(run(actions))


NUMBERS = st.decimals(
    allow_nan=False, allow_infinity=False, places=3, min_value=-(10**12), max_value=10**12
) | st.builds(lambda m, e: Decimal(m).scaleb(e), st.integers(-(10**30), 10**30), st.integers(-100, 90))


@given(NUMBERS, NUMBERS)
def test_number_keys_order_as_numbers_do(a, b):
    left, right = (pack_part(number_bytes(normal_number(str(n)))) for n in (a, b))
    assert (left < right) == (a < b)
    assert (left == right) == (a == b)


@given(NUMBERS)
def test_normal_numbers_keep_their_value(n):
    text = normal_number(str(n))
    assert Decimal(text) == n
    assert "E" not in text
    assert normal_number(text) == text


VALUES = st.recursive(
    st.one_of(
        st.text(max_size=5).map(lambda s: {"S": s}), NUMBERS.map(lambda n: {"N": str(n)}), st.booleans().map(lambda b: {"BOOL": b}),
        st.just({"NULL": True}), st.sets(st.text(max_size=3), min_size=1, max_size=3).map(lambda s: {"SS": sorted(s)}),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3).map(lambda v: {"L": v}),
                            st.dictionaries(st.text(max_size=3), inner, max_size=3).map(lambda v: {"M": v})),
    max_leaves=6,
)  # fmt: skip


@given(st.dictionaries(st.text(min_size=1, max_size=4), VALUES, max_size=4))
def test_measuring_an_item_twice_changes_nothing_more(item):
    size, normal = measured(item)
    assert measured(normal) == (size, normal)
    assert size >= sum(len(name.encode()) for name in item)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL", "Q"]), inner, max_size=2
        )
    ),
    max_leaves=8,
)


@settings(max_examples=300)
@given(JUNK)
def test_no_value_breaks_the_check(junk):
    try:
        measured({"x": junk})
    except AwsError as error:
        assert error.wire_code in ("ValidationException", "SerializationException")
