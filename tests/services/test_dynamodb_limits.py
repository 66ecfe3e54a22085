"""DynamoDB's limits, each from both sides: what just fits is taken, what is one more is refused.

Source: developer guide, "Quotas in Amazon DynamoDB", "Constraints in Amazon DynamoDB".
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore.config import Config

from .dynamodb_limits import KB, key, limited, make, put, refused


@pytest.fixture
def db(aws: Any) -> Any:
    return aws("dynamodb", config=Config(parameter_validation=False, read_timeout=120))


@pytest.fixture
def table(db: Any, clock: Any) -> Any:
    make(db)
    clock.quiet()
    return db


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


def test_key_attributes_and_included_ones_have_names_of_at_most_255_bytes(db: Any) -> None:
    def named(table: str, key_name: str, included: str) -> None:
        local = index("local", included, pk="pk", sk=key_name)
        make(db, table, also=[key_name], LocalSecondaryIndexes=[local])

    fits = "ä" * 127 + "x"
    named("fits", fits, fits)
    for key_name, included in ((fits + "x", "x"), ("ä" * 128, "x"), ("x", "ä" * 128), ("x", fits + "x")):
        message = refused(named, table="more", key_name=key_name, included=included)
        assert message.endswith("failed to satisfy constraint: Member must have length less than or equal to 255")


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
    again = index("gsi5", "a0x0")  # a name counts in each index that has it
    assert "100" in refused(make, db=db, name="other", GlobalSecondaryIndexes=[*five, again])
    local = index("local", "one", pk="pk", sk="sk")
    assert "100" in refused(make, db=db, name="other", GlobalSecondaryIndexes=five, LocalSecondaryIndexes=[local])
    keys_only = {**index("gsi6"), "Projection": {"ProjectionType": "KEYS_ONLY"}}
    make(db, "other", GlobalSecondaryIndexes=[*five, index("gsi5"), keys_only])


def test_one_index_includes_at_most_20_attributes(db: Any) -> None:
    make(db, GlobalSecondaryIndexes=[index("gsi", *(f"a{n}" for n in range(20)))])
    refused(make, db=db, name="other", GlobalSecondaryIndexes=[index("gsi", *(f"a{n}" for n in range(21)))])


def test_one_index_is_created_or_deleted_at_a_time(table: Any, clock: Any) -> None:
    updates = [{"Create": index("gsi1")}, {"Create": index("gsi2")}]
    named = [{"AttributeName": "sk", "AttributeType": "S"}]
    limited(table.update_table, TableName="things", AttributeDefinitions=named, GlobalSecondaryIndexUpdates=updates)
    table.update_table(TableName="things", AttributeDefinitions=named, GlobalSecondaryIndexUpdates=updates[:1])


def test_a_table_has_at_most_50_tags_with_keys_of_128_and_values_of_256_letters(db: Any) -> None:
    arn = make(db, Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(49)])["TableDescription"]["TableArn"]
    db.tag_resource(ResourceArn=arn, Tags=[{"Key": "k" * 128, "Value": "v" * 256}])
    assert "50" in refused(db.tag_resource, ResourceArn=arn, Tags=[{"Key": "more", "Value": "v"}])
    refused(db.tag_resource, ResourceArn=arn, Tags=[{"Key": "k" * 129, "Value": "v"}])
    refused(db.tag_resource, ResourceArn=arn, Tags=[{"Key": "k1", "Value": "v" * 257}])
    assert "50" in refused(make, db=db, name="other", Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(51)])
    make(db, "other", Tags=[{"Key": f"k{n}", "Value": ""} for n in range(50)])


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


def test_time_to_live_changes_once_an_hour(table: Any, clock: Any) -> None:
    def change(enabled: bool, name: str = "until") -> None:
        spec = {"Enabled": enabled, "AttributeName": name}
        table.update_time_to_live(TableName="things", TimeToLiveSpecification=spec)

    change(True)
    words = "Time to live has been modified multiple times within a fixed interval"
    assert refused(change, enabled=False) == words
    assert "TimeToLive is active on a different AttributeName" in refused(change, enabled=True, name="other")
    clock.advance(3599)
    assert refused(change, enabled=False) == words
    clock.advance(1)
    change(False)
    assert refused(change, enabled=True, name="other") == words
    clock.advance(3600)
    change(True, "other")


def test_time_to_live_names_an_attribute_of_1_to_255_letters(table: Any) -> None:
    def name(letters: str) -> None:
        table.update_time_to_live(
            TableName="things", TimeToLiveSpecification={"Enabled": True, "AttributeName": letters}
        )

    refused(name, letters="")
    refused(name, letters="a" * 256)
    name("a" * 255)


def test_recovery_goes_back_1_to_35_days(table: Any) -> None:
    def recover(days: int) -> Any:
        spec = {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": days}
        answer = table.update_continuous_backups(TableName="things", PointInTimeRecoverySpecification=spec)
        return answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["RecoveryPeriodInDays"]

    assert (recover(1), recover(35)) == (1, 35)
    refused(recover, days=0)
    refused(recover, days=36)


# values


def test_the_documentations_item_has_23_bytes(table: Any) -> None:
    table.put_item(TableName="things", Item={**key("k", "s"), "shirt-color": {"S": "R"}, "shirt-size": {"S": "M"}})
    assert table.describe_table(TableName="things")["Table"]["TableSizeBytes"] == 23 + len("pkkskn")


def test_an_item_and_its_rows_in_local_indexes_have_400_kb_together(db: Any, clock: Any) -> None:
    keys_only = {**index("keys", pk="pk", sk="a"), "Projection": {"ProjectionType": "KEYS_ONLY"}}
    make(db, also=["a"], LocalSecondaryIndexes=[index("some", "v", pk="pk", sk="a"), keys_only])
    clock.quiet()
    keys = len("pkpsksaa")  # in the item and in each of its two rows
    v = {"S": "x" * 100 * KB}  # in the item and in one row
    room = 400 * KB - 3 * keys - 2 * (len("v") + 100 * KB) - len("w")
    put(db, a={"S": "a"}, v=v, w={"S": "x" * room})
    message = "Item size has exceeded the maximum allowed size"
    assert refused(put, db=db, a={"S": "a"}, v=v, w={"S": "x" * (room + 1)}) == message
    put(db, v=v, w={"S": "x" * (room + 1)})  # without the index's key there is no row
    grow = {"UpdateExpression": "SET a = :a", "ExpressionAttributeValues": {":a": {"S": "a"}}}
    assert refused(db.update_item, TableName="things", Key=key(), **grow) == message


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


@pytest.mark.parametrize(("hash_", "sort", "name", "most"), [("a", None, "a", 2048), ("sk", "a", "a", 1024)])
def test_keys_of_indexes_have_the_lengths_of_keys(
    db: Any, clock: Any, hash_: str, sort: str | None, name: str, most: int
) -> None:
    make(db, also=["a"], GlobalSecondaryIndexes=[index("by-a", pk=hash_, sk=sort)])
    clock.quiet()
    put(db, **{name: {"S": "x" * most}})
    assert refused(put, db=db, **{name: {"S": "x" * (most + 1)}}) == (
        f"One or more parameter values were invalid: Size limit exceeded for Index Key {name} "
        f"Actual Size: {most + 1} bytes Max Size: {most} bytes IndexName: by-a"
    )
    assert "cannot contain an empty string value" in refused(put, db=db, **{name: {"S": ""}})
    put(db, **{name: {"S": "x"}})


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
    inside = {"a": {"SS": ["", "x"]}, "b": {"BS": [b""]}, "c": {"L": [{"S": ""}]}, "d": {"M": {"e": {"B": b""}}}}
    put(table, **inside)
    assert table.get_item(TableName="things", Key=key())["Item"] == {**key(), **inside}
    for empty in ({"SS": []}, {"NS": []}, {"BS": []}):
        assert "empty" in refused(put, db=table, v=empty)
