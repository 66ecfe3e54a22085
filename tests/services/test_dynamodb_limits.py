"""DynamoDB's limits, each from both sides: what just fits is taken, what is one more is refused.

Source: developer guide, "Quotas in Amazon DynamoDB", "Constraints in Amazon DynamoDB".
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from cumulet.aws.errors import AwsError
from cumulet.services.dynamodb import SERVICE
from cumulet.testing.inprocess import InProcess

KB = 1024


@pytest.fixture
def db(aws: Any) -> Any:
    return aws("dynamodb", config=Config(parameter_validation=False, read_timeout=120))


@pytest.fixture
def table(db: Any, clock: Any) -> Any:
    make(db)
    clock.quiet()
    return db


def make(db: Any, name: str = "things", **more: Any) -> Any:
    also = [{"AttributeName": each, "AttributeType": "S"} for each in more.pop("also", [])]
    return db.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}, *also],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        **{"BillingMode": "PAY_PER_REQUEST", **more},
    )  # fmt: skip


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return str(caught.value.response["Error"]["Message"])


def limited(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == "LimitExceededException"
    return str(caught.value.response["Error"]["Message"])


def key(pk: str = "p", sk: str = "s") -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def put(db: Any, **item: Any) -> Any:
    return db.put_item(TableName="things", Item={**key(), **item})


# names


@pytest.mark.parametrize("name", ["ab", "a" * 256, "a b", "ä" * 5])
def test_table_names_have_3_to_255_letters(db: Any, name: str) -> None:
    make(db, "abc")
    make(db, "a" * 255)
    refused(make, db=db, name=name)


@pytest.mark.parametrize("name", ["ab", "a" * 256, "a b"])
def test_index_names_have_3_to_255_letters(db: Any, name: str) -> None:
    index = {"KeySchema": [{"AttributeName": "sk", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}}
    make(db, GlobalSecondaryIndexes=[{"IndexName": "abc", **index}, {"IndexName": "a" * 255, **index}])
    refused(make, db=db, name="other", GlobalSecondaryIndexes=[{"IndexName": name, **index}])


def test_key_attributes_have_names_of_at_most_255_letters(db: Any) -> None:
    def named(name: str, table: str) -> None:
        db.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"}],
            KeySchema=[{"AttributeName": name, "KeyType": "HASH"}],
        )

    named("a" * 255, "long")
    refused(named, name="a" * 256, table="longer")
    refused(named, name="", table="none")


def test_attributes_have_names_of_1_to_65535_bytes(table: Any) -> None:
    put(table, **{"n" * 65535: {"S": ""}})
    assert "less than or equal to 65535" in refused(put, db=table, **{"n" * 65536: {"S": ""}})
    assert "Empty attribute name" in refused(put, db=table, **{"": {"S": ""}})


# tables and indexes


def index(name: str, *included: str, pk: str = "sk", sk: str | None = None) -> dict[str, Any]:
    schema = [{"AttributeName": pk, "KeyType": "HASH"}, *([{"AttributeName": sk, "KeyType": "RANGE"}] if sk else [])]
    projection = (
        {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(included)} if included else {"ProjectionType": "ALL"}
    )
    return {"IndexName": name, "KeySchema": schema, "Projection": projection}


def test_a_table_has_at_most_20_global_indexes(db: Any, clock: Any) -> None:
    make(db, GlobalSecondaryIndexes=[index(f"gsi{n}") for n in range(20)])
    assert "20" in refused(make, db=db, name="other", GlobalSecondaryIndexes=[index(f"gsi{n}") for n in range(21)])
    clock.quiet()
    more = [{"Create": index("more")}]
    assert "20" in refused(db.update_table, TableName="things", GlobalSecondaryIndexUpdates=more)


def test_a_table_has_at_most_5_local_indexes(db: Any) -> None:
    also = [f"a{n}" for n in range(6)]
    local = [index(f"lsi{n}", pk="pk", sk=f"a{n}") for n in range(6)]
    make(db, LocalSecondaryIndexes=local[:5], also=also[:5])
    assert "5" in refused(make, db=db, name="other", LocalSecondaryIndexes=local, also=also)


def test_all_indexes_together_project_at_most_100_attributes(db: Any) -> None:
    five = [index(f"gsi{n}", *(f"a{n}x{m}" for m in range(20))) for n in range(5)]
    make(db, GlobalSecondaryIndexes=five)
    assert "100" in refused(make, db=db, name="other", GlobalSecondaryIndexes=[*five, index("gsi5", "one")])


def test_one_index_includes_at_most_20_attributes(db: Any) -> None:
    make(db, GlobalSecondaryIndexes=[index("gsi", *(f"a{n}" for n in range(20)))])
    refused(make, db=db, name="other", GlobalSecondaryIndexes=[index("gsi", *(f"a{n}" for n in range(21)))])


def test_one_index_is_created_or_deleted_at_a_time(table: Any, clock: Any) -> None:
    updates = [{"Create": index("gsi1")}, {"Create": index("gsi2")}]
    limited(table.update_table, TableName="things", GlobalSecondaryIndexUpdates=updates)
    table.update_table(TableName="things", GlobalSecondaryIndexUpdates=updates[:1])


def test_a_table_has_at_most_50_tags_with_keys_of_128_and_values_of_256_letters(db: Any) -> None:
    arn = make(db, Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(49)])["TableDescription"]["TableArn"]
    db.tag_resource(ResourceArn=arn, Tags=[{"Key": "k" * 128, "Value": "v" * 256}])
    assert "50" in refused(db.tag_resource, ResourceArn=arn, Tags=[{"Key": "more", "Value": "v"}])
    refused(db.tag_resource, ResourceArn=arn, Tags=[{"Key": "k" * 129, "Value": "v"}])
    refused(db.tag_resource, ResourceArn=arn, Tags=[{"Key": "k1", "Value": "v" * 257}])


def test_a_table_and_an_index_have_at_most_40000_units(db: Any) -> None:
    def units(n: int) -> dict[str, int]:
        return {"ReadCapacityUnits": n, "WriteCapacityUnits": 1}

    make(db, BillingMode="PROVISIONED", ProvisionedThroughput=units(40000))
    assert "40000" in limited(make, db=db, name="other", BillingMode="PROVISIONED", ProvisionedThroughput=units(40001))
    refused(make, db=db, name="other", BillingMode="PROVISIONED", ProvisionedThroughput=units(0))
    limits = db.describe_limits()
    assert (limits["TableMaxReadCapacityUnits"], limits["AccountMaxWriteCapacityUnits"]) == (40000, 80000)


def test_throughput_goes_down_four_times_a_day_and_then_once_an_hour(db: Any, clock: Any) -> None:
    clock.advance(86400 - clock.now() % 86400)
    units = {"ReadCapacityUnits": 100, "WriteCapacityUnits": 100}
    make(db, BillingMode="PROVISIONED", ProvisionedThroughput=units)

    def lower(n: int) -> Any:
        units["ReadCapacityUnits"] = n
        answer = db.update_table(TableName="things", ProvisionedThroughput=units)
        clock.quiet()
        return answer

    clock.quiet()
    for n in range(4):
        lower(99 - n)
    assert "at most once every 3600 seconds" in limited(lower, n=90)
    clock.advance(3600)
    described = lower(90)["TableDescription"]["ProvisionedThroughput"]
    assert described["NumberOfDecreasesToday"] == 5
    limited(lower, n=89)
    clock.advance(86400 - 3600)
    assert lower(88)["TableDescription"]["ProvisionedThroughput"]["NumberOfDecreasesToday"] == 1


def test_a_table_turns_to_on_demand_mode_four_times_in_24_hours(table: Any, clock: Any) -> None:
    def turn(mode: str) -> None:
        units = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
        more = {"ProvisionedThroughput": units} if mode == "PROVISIONED" else {}
        table.update_table(TableName="things", BillingMode=mode, **more)
        clock.quiet()

    for _ in range(4):
        turn("PROVISIONED")
        turn("PAY_PER_REQUEST")
    turn("PROVISIONED")
    assert "4 times in 1 day" in limited(turn, mode="PAY_PER_REQUEST")
    clock.advance(86400)
    turn("PAY_PER_REQUEST")


def test_an_account_has_at_most_2500_tables_in_a_region() -> None:
    async def run() -> None:
        async with InProcess([SERVICE], seed=1) as cloud:
            request: dict[str, Any] = {
                "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
            }
            names = [f"table{n}" for n in range(2500)]
            await asyncio.gather(
                *(cloud.call("dynamodb", "CreateTable", {"TableName": name, **request}) for name in names)
            )
            with pytest.raises(AwsError) as caught:
                await cloud.call("dynamodb", "CreateTable", {"TableName": "more", **request})
            assert caught.value.wire_code == "LimitExceededException"
            await cloud.call("dynamodb", "CreateTable", {"TableName": "more", **request}, region="eu-west-1")

    asyncio.run(run())


# values


def test_an_item_has_at_most_400_kb(table: Any) -> None:
    fixed = len("pk") + 1 + len("sk") + 1 + len("v")
    put(table, v={"S": "x" * (400 * KB - fixed)})
    assert (
        refused(put, db=table, v={"S": "x" * (400 * KB - fixed + 1)})
        == "Item size has exceeded the maximum allowed size"
    )
    grow = {"UpdateExpression": "SET w = :w", "ExpressionAttributeValues": {":w": {"S": ""}}}
    assert refused(table.update_item, TableName="things", Key=key(), **grow) == (
        "Item size to update has exceeded the maximum allowed size"
    )


@pytest.mark.parametrize(("name", "most"), [("pk", 2048), ("sk", 1024)])
@pytest.mark.parametrize("letter", ["x", "ä", "\x00"])
def test_partition_keys_have_2048_bytes_and_sort_keys_1024(table: Any, name: str, most: int, letter: str) -> None:
    width = len(letter.encode())
    put(table, **{name: {"S": letter * (most // width)}})
    assert "size limit" in refused(put, db=table, **{name: {"S": letter * (most // width) + "x"}}).replace(
        "maximum size limit", "size limit"
    )
    assert "empty string value" in refused(put, db=table, **{name: {"S": ""}})
    refused(table.get_item, TableName="things", Key={**key(), name: {"S": letter * (most // width) + "x"}})


def test_values_nest_32_levels_deep(table: Any) -> None:
    def nested(depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {"S": "leaf"}
        for n in range(depth):
            value = {"L": [value]} if n % 2 else {"M": {"m": value}}
        return value

    put(table, v=nested(32))
    assert refused(put, db=table, v=nested(33)) == "Nesting Levels have exceeded supported limits"


@pytest.mark.parametrize(
    ("good", "bad"),
    [("9" * 38, "9" * 39), ("1E+125", "1E+126"), ("9.9999999999999999999999999999999999999E+125", "1E126"),
     ("1E-130", "1E-131"), ("-9.9999999999999999999999999999999999999E+125", "-1E126"), ("0." + "1" * 38, "0." + "1" * 39)],
)  # fmt: skip
def test_numbers_have_38_digits_and_a_range(table: Any, good: str, bad: str) -> None:
    put(table, v={"N": good})
    refused(put, db=table, v={"N": bad})


def test_empty_values_are_taken_but_empty_sets_are_not(table: Any) -> None:
    put(table, a={"S": ""}, b={"B": b""}, c={"L": []}, d={"M": {}})
    for empty in ({"SS": []}, {"NS": []}, {"BS": []}):
        assert "empty" in refused(put, db=table, v=empty)


# expressions


def filtered(db: Any, expression: str, **values: Any) -> Any:
    more = {"ExpressionAttributeValues": values["values"]} if "values" in values else {}
    return db.scan(TableName="things", FilterExpression=expression, **more)


def test_an_expression_has_at_most_4_kb(table: Any) -> None:
    start = "attribute_exists(a)"
    filtered(table, start + " " * (4096 - len(start)))
    message = refused(filtered, db=table, expression=start + " " * (4097 - len(start)))
    assert message == (
        "Invalid FilterExpression: Expression size has exceeded the maximum allowed size; expression size: 4097"
    )


def test_an_expression_has_at_most_300_operators(table: Any) -> None:
    filtered(table, " OR ".join(["a=a1"] * 150) + " OR attribute_exists(a)")
    assert "max operator count: 300" in refused(filtered, db=table, expression=" OR ".join(["a=a1"] * 151))


def test_in_has_at_most_100_operands(table: Any) -> None:
    values = {f":v{n}": {"N": "1"} for n in range(101)}
    hundred = dict(list(values.items())[:100])
    filtered(table, f"a IN ({','.join(hundred)})", values=hundred)
    assert "IN" in refused(filtered, db=table, expression=f"a IN ({','.join(values)})", values=values)


def test_substitutions_have_names_of_255_letters_and_values_of_2_mb(table: Any) -> None:
    for mark, member in (("#", "ExpressionAttributeNames"), (":", "ExpressionAttributeValues")):
        for length, works in ((255, True), (256, False)):
            name = mark + "n" * (length - 1)
            value: Any = "a" if mark == "#" else {"S": "v"}
            expression = f"attribute_exists({name})" if mark == "#" else f"a = {name}"
            call = {"TableName": "things", "FilterExpression": expression, member: {name: value}}
            if works:
                table.scan(**call)
            else:
                assert f"{member} contains invalid key" in refused(table.scan, **call)
    half = 1024 * KB - len(":a")
    filtered(table, "a = :a OR a = :b", values={":a": {"S": "x" * half}, ":b": {"S": "x" * half}})
    message = refused(
        filtered,
        db=table,
        expression="a = :a OR a = :b",
        values={":a": {"S": "x" * half}, ":b": {"S": "x" * (half + 1)}},
    )
    assert "total size" in message


# batches and transactions


def fill(db: Any, count: int, size: int) -> list[dict[str, Any]]:
    keys = [key(f"p{n}") for n in range(count)]
    for each in keys:
        db.put_item(TableName="things", Item={**each, "v": {"S": "x" * size}})
    return keys


def test_a_batch_reads_100_items_and_16_mb(table: Any) -> None:
    keys = [key(f"none{n}") for n in range(101)]
    table.batch_get_item(RequestItems={"things": {"Keys": keys[:100]}})
    refused(table.batch_get_item, RequestItems={"things": {"Keys": keys}})
    large = fill(table, 42, 400 * KB - 20)
    answer = table.batch_get_item(RequestItems={"things": {"Keys": large}})
    assert len(answer["Responses"]["things"]) == 40
    assert len(answer["UnprocessedKeys"]["things"]["Keys"]) == 2


def test_a_batch_writes_25_items(table: Any) -> None:
    requests = [{"PutRequest": {"Item": key(f"p{n}")}} for n in range(26)]
    table.batch_write_item(RequestItems={"things": requests[:25]})
    refused(table.batch_write_item, RequestItems={"things": requests})


def test_a_transaction_has_100_actions_and_4_mb(table: Any) -> None:
    def puts(count: int, size: int = 0) -> list[dict[str, Any]]:
        return [
            {"Put": {"TableName": "things", "Item": {**key(f"q{n:03}"), "v": {"S": "x" * size}}}} for n in range(count)
        ]

    table.transact_write_items(TransactItems=puts(100))
    refused(table.transact_write_items, TransactItems=puts(101))
    room = 4 * 1024 * KB // 16 - len("pkq000skXv")
    table.transact_write_items(TransactItems=puts(16, room))
    message = "Collection size of all items in the transaction has exceeded the maximum limit of 4 MB"
    assert refused(table.transact_write_items, TransactItems=puts(16, room + 1)) == message
    gets = [{"Get": {"TableName": "things", "Key": key(f"q{n:03}")}} for n in range(101)]
    assert len(table.transact_get_items(TransactItems=gets[:16])["Responses"]) == 16
    table.put_item(TableName="things", Item={**key("q015"), "v": {"S": "x" * (room + 1)}})
    assert refused(table.transact_get_items, TransactItems=gets[:16]) == message
    refused(table.transact_get_items, TransactItems=gets)
    twice = [gets[50], gets[50]]
    assert len(table.transact_get_items(TransactItems=twice)["Responses"]) == 2
    assert "multiple operations on one item" in refused(table.transact_write_items, TransactItems=[puts(1)[0]] * 2)


def test_a_client_token_has_at_most_36_letters_and_lives_10_minutes(table: Any, clock: Any) -> None:
    put_once = [
        {"Put": {"TableName": "things", "Item": key("once"), "ConditionExpression": "attribute_not_exists(pk)"}}
    ]
    table.transact_write_items(TransactItems=put_once, ClientRequestToken="t" * 36)
    clock.advance(599)
    table.transact_write_items(TransactItems=put_once, ClientRequestToken="t" * 36)
    clock.advance(2)
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        table.transact_write_items(TransactItems=put_once, ClientRequestToken="t" * 36)
    refused(table.transact_write_items, TransactItems=put_once, ClientRequestToken="t" * 37)


def test_pages_of_query_and_scan_have_at_most_1_mb(table: Any) -> None:
    size = 1024 * KB // 4 - len("pkpskXv")
    for n in range(5):
        table.put_item(TableName="things", Item={**key(sk=str(n)), "v": {"S": "x" * size}})
    query = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "p"}}}
    for page in (table.query(TableName="things", **query), table.scan(TableName="things")):
        assert page["Count"] == 4
        assert page["LastEvaluatedKey"]["sk"] == {"S": "3"}


def test_list_tables_gives_at_most_100_names(db: Any) -> None:
    for n in range(101):
        make(db, f"table{n:03}")
    page = db.list_tables()
    assert (len(page["TableNames"]), page["LastEvaluatedTableName"]) == (100, "table099")
    refused(db.list_tables, Limit=101)
    refused(db.list_tables, Limit=0)


def test_a_scan_has_at_most_a_million_segments(table: Any) -> None:
    assert table.scan(TableName="things", Segment=999_999, TotalSegments=1_000_000)["Count"] == 0
    refused(table.scan, TableName="things", Segment=0, TotalSegments=1_000_001)
