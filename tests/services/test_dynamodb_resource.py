"""boto3's resource layer over DynamoDB, unmodified: tables, items, conditions, pages, batches and transactions in Python's types."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import Binary
from botocore.exceptions import ClientError


@pytest.fixture
def dynamodb(aws: Any) -> Any:
    return aws("dynamodb", resource=True)


@pytest.fixture
def orders(dynamodb: Any, clock: Any) -> Any:
    definitions = {"customer": "S", "number": "N", "state": "S", "total": "N"}

    def schema(hash_: str, sort: str) -> list[dict[str, str]]:
        return [{"AttributeName": hash_, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]

    table = dynamodb.create_table(
        TableName="orders",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in definitions.items()],
        KeySchema=schema("customer", "number"),
        LocalSecondaryIndexes=[
            {"IndexName": "by-total", "KeySchema": schema("customer", "total"), "Projection": {"ProjectionType": "KEYS_ONLY"}}
        ],
        GlobalSecondaryIndexes=[
            {"IndexName": "by-state", "KeySchema": schema("state", "number"), "Projection": {"ProjectionType": "ALL"}}
        ],
    )  # fmt: skip
    clock.quiet()
    table.wait_until_exists()
    return table


def test_a_table_is_loaded_listed_updated_and_deleted(dynamodb: Any, orders: Any, clock: Any) -> None:
    assert [table.name for table in dynamodb.tables.all()] == ["orders"]
    again = dynamodb.Table("orders")
    assert (again.table_status, again.item_count, again.key_schema[0]["AttributeName"]) == ("ACTIVE", 0, "customer")
    assert again.update(DeletionProtectionEnabled=True).deletion_protection_enabled is True
    clock.quiet()
    with pytest.raises(ClientError, match="protected against deletion"):
        again.delete()
    again.update(DeletionProtectionEnabled=False)
    clock.quiet()
    again.delete()
    clock.quiet()
    again.wait_until_not_exists()
    with pytest.raises(dynamodb.meta.client.exceptions.ResourceNotFoundException):
        again.reload()


def test_values_are_pythons(orders: Any) -> None:
    item: dict[str, Any] = {
        "customer": "ann",
        "number": 1,
        "exact": Decimal("12345678901234567890123456789012345678"),
        "small": Decimal("1E-130"),
        "raw": b"\x00\xff",
        "sets": {"strings": {"a", "b"}, "numbers": {Decimal(1), Decimal("2.5")}, "binaries": {b"\x00", b"\x01"}},
        "deep": [None, True, False, "", [], {}, {"parts": [Decimal(1)]}],
    }
    orders.put_item(Item=item)
    found = orders.get_item(Key={"customer": "ann", "number": 1}, ConsistentRead=True)["Item"]
    binaries = {each.value for each in found["sets"].pop("binaries")}
    assert binaries == item["sets"].pop("binaries")
    assert found == {**item, "raw": Binary(b"\x00\xff")}
    part = orders.get_item(Key={"customer": "ann", "number": 1}, ProjectionExpression="deep[6].parts[0], #s.strings",
                           ExpressionAttributeNames={"#s": "sets"})["Item"]  # fmt: skip
    assert part == {"deep": [{"parts": [1]}], "sets": {"strings": {"a", "b"}}}


def test_updates_and_deletes_return_what_is_asked_for(dynamodb: Any, orders: Any) -> None:
    key = {"customer": "ann", "number": 1}
    orders.put_item(Item={**key, "count": 1, "tags": {"a"}, "map": {"n": {"m": 1}}})
    answer = orders.update_item(
        Key=key,
        UpdateExpression="SET #map.#n.m = #map.#n.m + :one, fresh = if_not_exists(fresh, :list) ADD #count :one, tags :tags",
        ConditionExpression=Attr("map.n.m").eq(1) & Attr("tags").contains("a") & Attr("gone").not_exists(),
        ExpressionAttributeNames={"#count": "count", "#map": "map", "#n": "n"},
        ExpressionAttributeValues={":one": 1, ":list": [], ":tags": {"b"}},
        ReturnValues="ALL_NEW",
        ReturnConsumedCapacity="INDEXES",
    )
    assert answer["Attributes"] == {**key, "count": 2, "tags": {"a", "b"}, "map": {"n": {"m": 2}}, "fresh": []}
    assert answer["ConsumedCapacity"]["Table"]["CapacityUnits"] == 1
    with pytest.raises(dynamodb.meta.client.exceptions.ConditionalCheckFailedException) as caught:
        orders.delete_item(
            Key=key, ConditionExpression=Attr("count").lt(2), ReturnValuesOnConditionCheckFailure="ALL_OLD"
        )
    assert caught.value.response["Item"]["count"] == {"N": "2"}
    assert orders.delete_item(Key=key, ReturnValues="ALL_OLD")["Attributes"]["count"] == 2


@pytest.mark.parametrize(
    ("condition", "numbers"),
    [
        (Key("number").eq(3), [3]), (Key("number").lt(2), [0, 1]), (Key("number").lte(1), [0, 1]), (Key("number").gt(7), [8, 9]),
        (Key("number").gte(8), [8, 9]), (Key("number").between(4, 6), [4, 5, 6]),
    ],
)  # fmt: skip
def test_key_conditions_choose_a_range(orders: Any, condition: Any, numbers: list[int]) -> None:
    with orders.batch_writer() as batch:
        for number in range(10):
            batch.put_item(Item={"customer": "ann", "number": number})
    found = orders.query(KeyConditionExpression=Key("customer").eq("ann") & condition)
    assert [item["number"] for item in found["Items"]] == numbers


def test_pages_go_on_over_tables_and_indexes(orders: Any) -> None:
    with orders.batch_writer(overwrite_by_pkeys=["customer", "number"]) as batch:
        for number in [*range(60), 7]:
            state = "old" if number % 2 else "new"
            batch.put_item(Item={"customer": "ann", "number": number, "state": state, "total": 100 - number})

    def every(read: Any, **more: Any) -> list[int]:
        found: list[int] = []
        while True:
            page = read(Limit=7, **more)
            found += [int(item["number"]) for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return found
            more["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    ann = Key("customer").eq("ann")
    assert every(orders.query, KeyConditionExpression=ann) == list(range(60))
    assert every(orders.query, KeyConditionExpression=ann, IndexName="by-total", ScanIndexForward=True) == list(
        range(59, -1, -1)
    )
    old = Key("state").eq("old") & Key("number").gt(30)
    assert every(orders.query, KeyConditionExpression=old, IndexName="by-state") == list(range(31, 60, 2))
    few = Attr("total").between(50, 55) | Attr("state").begins_with("o") & Attr("number").is_in([1, 2, 3]) & ~Attr(
        "total"
    ).eq(97)
    assert sorted(every(orders.scan, FilterExpression=few)) == [1, *range(45, 51)]
    with orders.batch_writer() as batch:
        for number in range(50):
            batch.delete_item(Key={"customer": "ann", "number": number})
    assert orders.scan(Select="COUNT")["Count"] == 10


def test_the_resources_batches_and_the_clients_transactions_take_pythons_values(dynamodb: Any, orders: Any) -> None:
    puts = [{"PutRequest": {"Item": {"customer": "ann", "number": n, "tags": {"x"}}}} for n in range(3)]
    assert dynamodb.batch_write_item(RequestItems={"orders": puts})["UnprocessedItems"] == {}
    keys = [{"customer": "ann", "number": n} for n in range(5)]
    found = dynamodb.batch_get_item(RequestItems={"orders": {"Keys": keys, "ConsistentRead": True}})
    assert sorted(item["number"] for item in found["Responses"]["orders"]) == [0, 1, 2]
    client = dynamodb.meta.client
    change = {
        "TableName": "orders",
        "Key": keys[0],
        "UpdateExpression": "SET n = :n",
        "ExpressionAttributeValues": {":n": Decimal("1.5")},
    }
    client.transact_write_items(TransactItems=[{"Update": change}, {"Delete": {"TableName": "orders", "Key": keys[1]}}])
    with pytest.raises(client.exceptions.TransactionCanceledException) as caught:
        check = {"TableName": "orders", "Key": keys[1], "ConditionExpression": "attribute_exists(customer)"}
        client.transact_write_items(TransactItems=[{"ConditionCheck": check}])
    assert [reason["Code"] for reason in caught.value.response["CancellationReasons"]] == ["ConditionalCheckFailed"]
    read = client.transact_get_items(TransactItems=[{"Get": {"TableName": "orders", "Key": key}} for key in keys[:2]])
    assert [each.get("Item", {}).get("n") for each in read["Responses"]] == [Decimal("1.5"), None]
