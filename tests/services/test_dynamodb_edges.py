"""DynamoDB's less obvious rules: what updates do to lists and to items that are not there, tables named by ARN, client tokens."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

KEY = {"pk": {"S": "a"}}


@pytest.fixture
def db(aws: Any) -> Any:
    db = aws("dynamodb")
    db.create_table(
        TableName="edges",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": n, "AttributeType": t} for n, t in (("pk", "S"), ("g", "S"), ("b", "B"))
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-g",
                "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}, {"AttributeName": "b", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    return db


def failure(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def update(db: Any, item: dict[str, Any] | None, text: str, **values: Any) -> Any:
    """The item after an update, or None when there is none."""
    db.delete_item(TableName="edges", Key=KEY)
    if item is not None:
        db.put_item(TableName="edges", Item={**KEY, **item})
    more = {"ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}} if values else {}
    db.update_item(TableName="edges", Key=KEY, UpdateExpression=text, **more)
    return db.get_item(TableName="edges", Key=KEY).get("Item")


def numbers(*values: int) -> dict[str, Any]:
    return {"L": [{"N": str(value)} for value in values]}


def test_elements_go_from_a_list_whatever_else_is_removed_from_the_elements_behind_them(db: Any) -> None:
    """Every path of an update means the item as it was before."""
    nested = {"L": [{"N": "0"}, {"M": {"x": {"S": "x"}, "y": {"SS": ["p", "q"]}}}, numbers(7, 8), numbers(9)]}
    left = update(db, {"l": nested}, "REMOVE l[0], l[1].x")
    assert left["l"] == {"L": [{"M": {"y": {"SS": ["p", "q"]}}}, numbers(7, 8), numbers(9)]}
    assert update(db, {"l": nested}, "REMOVE l[2], l[3][0]")["l"]["L"][2] == {"L": []}
    assert update(db, {"l": nested}, "REMOVE l[0], l[2][1], l[3]")["l"]["L"][1:] == [numbers(7)]
    left = update(db, {"l": nested}, "REMOVE l[0] DELETE l[1].y :s", s={"SS": ["p", "q"]})
    assert left["l"]["L"][0] == {"M": {"x": {"S": "x"}}}
    left = update(db, {"l": numbers(0), "k": numbers()}, "SET l[9] = :n, k[1] = :n REMOVE l[1], k[0]", n={"N": "5"})
    assert (left["l"], left["k"]) == (numbers(0, 5), numbers(5))
    assert update(db, {"l": numbers(0)}, "SET l[9] = :n DELETE l[1] :s", n={"N": "5"}, s={"SS": ["a"]})["l"] == numbers(
        0, 5
    )
    assert update(db, {"l": numbers(0, 1)}, "SET l[9] = :n ADD l[8] :n", n={"N": "5"})["l"] == numbers(0, 1, 5, 5)
    assert update(db, {"l": numbers(0)}, "SET l[9] = :s ADD l[8] :n", n={"N": "5"}, s={"S": "z"})["l"]["L"][1:] == [
        {"N": "5"},
        {"S": "z"},
    ]


def test_an_update_that_only_takes_away_makes_no_item(db: Any) -> None:
    """REMOVE, DELETE and the legacy action DELETE leave an item that is not there as it is."""
    assert update(db, None, "REMOVE x") is None
    assert update(db, None, "DELETE x :s", s={"SS": ["a"]}) is None
    assert update(db, None, "REMOVE x ADD y :n", n={"N": "1"}) == {**KEY, "y": {"N": "1"}}
    db.delete_item(TableName="edges", Key=KEY)
    answer = db.update_item(
        TableName="edges",
        Key=KEY,
        AttributeUpdates={"x": {"Action": "DELETE"}},
        ReturnValues="ALL_NEW",
        ReturnConsumedCapacity="TOTAL",
    )
    assert "Attributes" not in answer
    assert answer["ConsumedCapacity"] == {"TableName": "edges", "CapacityUnits": 1.0}
    db.transact_write_items(
        TransactItems=[{"Update": {"TableName": "edges", "Key": KEY, "UpdateExpression": "REMOVE x"}}]
    )
    assert "Item" not in db.get_item(TableName="edges", Key=KEY)
    assert "invalid for update" in failure(db.update_item, TableName="edges", Key=KEY, UpdateExpression="REMOVE x.y")[1]
    db.update_item(TableName="edges", Key=KEY)
    assert db.get_item(TableName="edges", Key=KEY)["Item"] == KEY


def test_an_update_may_not_empty_an_indexs_key(db: Any) -> None:
    for name, value, word in (("g", {"S": ""}, "string"), ("b", {"B": b""}, "binary")):
        message = failure(
            db.update_item,
            TableName="edges",
            Key=KEY,
            UpdateExpression=f"SET {name} = :v",
            ExpressionAttributeValues={":v": value},
        )[1]
        assert message == (
            "One or more parameter values are not valid. The update expression attempted to update a secondary index key to a "
            f"value that is not supported. The AttributeValue for a key attribute cannot contain an empty {word} value."
        )


def test_a_table_named_by_its_arn_is_named_so_in_the_capacity(db: Any) -> None:
    arn = db.describe_table(TableName="edges")["Table"]["TableArn"]
    asked = {"TableName": arn, "ReturnConsumedCapacity": "TOTAL"}
    put = {"Put": {"TableName": arn, "Item": KEY}}
    get = {"Get": {"TableName": arn, "Key": KEY}}
    write = {"RequestItems": {arn: [{"PutRequest": {"Item": KEY}}]}, "ReturnConsumedCapacity": "TOTAL"}
    read = {"RequestItems": {arn: {"Keys": [KEY]}}, "ReturnConsumedCapacity": "TOTAL"}
    several = [
        db.batch_write_item(**write),
        db.batch_get_item(**read),
        db.transact_write_items(TransactItems=[put], ReturnConsumedCapacity="TOTAL"),
        db.transact_get_items(TransactItems=[get], ReturnConsumedCapacity="TOTAL"),
    ]
    one = [
        db.put_item(Item=KEY, **asked),
        db.get_item(Key=KEY, **asked),
        db.update_item(Key=KEY, **asked),
        db.scan(**asked),
        db.query(KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "a"}}, **asked),
        db.delete_item(Key=KEY, **asked),
    ]
    assert {answer["ConsumedCapacity"]["TableName"] for answer in one} == {arn}
    assert {each["TableName"] for answer in several for each in answer["ConsumedCapacity"]} == {arn}


def test_an_index_is_no_table(db: Any) -> None:
    arn = described(db)["TableArn"] + "/index/by-g"
    assert failure(db.scan, TableName=arn) == ("ValidationException", f"Invalid table ARN: {arn}")
    assert failure(db.describe_table, TableName=arn)[0] == "ValidationException"


def test_an_item_is_named_once_even_when_its_table_is_named_twice(db: Any) -> None:
    """A batch or transaction takes an item once, also through the table's name and its ARN."""
    arn = db.describe_table(TableName="edges")["Table"]["TableArn"]
    put, gone = {"PutRequest": {"Item": KEY}}, {"DeleteRequest": {"Key": KEY}}
    twice = "Provided list of item keys contains duplicates"
    assert failure(db.batch_write_item, RequestItems={arn: [put], "edges": [gone]})[1] == twice
    assert failure(db.batch_get_item, RequestItems={arn: {"Keys": [KEY]}, "edges": {"Keys": [KEY]}})[1] == twice
    get = {"Get": {"TableName": "edges", "Key": KEY}}
    for other in (get, {"Get": {"TableName": arn, "Key": KEY, "ProjectionExpression": "x"}}):
        message = failure(db.transact_get_items, TransactItems=[get, other])[1]
        assert message == "Transaction request cannot include multiple operations on one item"


def test_a_client_token_knows_its_request_whatever_the_order_of_members(db: Any) -> None:
    def write(item: dict[str, Any]) -> None:
        db.transact_write_items(TransactItems=[{"Put": {"TableName": "edges", "Item": item}}], ClientRequestToken="t")

    write({"pk": {"S": "a"}, "x": {"M": {"one": {"N": "1"}, "two": {"N": "2"}}}})
    write({"x": {"M": {"two": {"N": "2"}, "one": {"N": "1"}}}, "pk": {"S": "a"}})
    other = {"pk": {"S": "a"}, "x": {"M": {"one": {"N": "2"}, "two": {"N": "1"}}}}
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        write(other)


def test_a_start_key_outside_the_sort_keys_range_is_told_from_one_of_another_partition(db: Any) -> None:
    asked = {
        "TableName": "edges",
        "IndexName": "by-g",
        "KeyConditionExpression": "g = :g AND b > :b",
        "ExpressionAttributeValues": {":g": {"S": "g"}, ":b": {"B": b"m"}},
    }
    start = {"pk": {"S": "a"}, "g": {"S": "g"}, "b": {"B": b"c"}}
    assert failure(db.query, ExclusiveStartKey=start, **asked)[1] == (
        "The provided starting key does not match the range key predicate"
    )
    assert failure(db.query, ExclusiveStartKey={**start, "g": {"S": "h"}, "b": {"B": b"z"}}, **asked)[1] == (
        "The provided starting key is outside query boundaries based on provided conditions"
    )
    assert db.query(ExclusiveStartKey={**start, "b": {"B": b"z"}}, **asked)["Count"] == 0
    for bad in ({"g": {"S": ""}}, {"b": {"B": b"z" * 1025}}):
        assert "starting key is invalid" in failure(db.query, ExclusiveStartKey={**start, **bad}, **asked)[1]


def test_a_batch_of_too_many_writes_is_refused_in_the_words_for_maps(db: Any) -> None:
    many = [{"PutRequest": {"Item": {"pk": {"S": str(i)}}}} for i in range(26)]
    code, message = failure(db.batch_write_item, RequestItems={"edges": many})
    assert code == "ValidationException"
    assert message.endswith(
        "at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than "
        "or equal to 25, Member must have length greater than or equal to 1]"
    )
    assert db.scan(TableName="edges")["Items"] == []


def definitions(**kinds: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in kinds.items()]


def new_index(name: str, pk: str, **more: Any) -> list[dict[str, Any]]:
    key = [{"AttributeName": pk, "KeyType": "HASH"}]
    return [{"Create": {"IndexName": name, "KeySchema": key, "Projection": {"ProjectionType": "ALL"}, **more}}]


def described(db: Any) -> dict[str, Any]:
    table: dict[str, Any] = db.describe_table(TableName="edges")["Table"]
    return table


def test_an_update_of_a_table_changes_no_attributes_type(db: Any) -> None:
    """An attribute that is a key keeps its type, whatever UpdateTable says; its items stay where they are."""
    db.put_item(TableName="edges", Item={**KEY, "g": {"S": "g"}, "b": {"B": b"b"}, "h": {"N": "1"}})
    db.update_table(
        TableName="edges",
        AttributeDefinitions=definitions(pk="N", g="N", h="N", unused="S"),
        GlobalSecondaryIndexUpdates=new_index("by-h", "h"),
    )
    db.get_waiter("table_exists").wait(TableName="edges", WaiterConfig={"Delay": 0, "MaxAttempts": 50})
    kinds = {each["AttributeName"]: each["AttributeType"] for each in described(db)["AttributeDefinitions"]}
    assert kinds == {"pk": "S", "g": "S", "b": "B", "h": "N"}
    assert db.get_item(TableName="edges", Key=KEY)["Item"]["h"] == {"N": "1"}
    for index in ("by-g", "by-h"):
        assert db.scan(TableName="edges", IndexName=index)["Count"] == 1


def test_items_older_than_an_index_may_hold_what_is_no_key_of_it(db: Any) -> None:
    """They are not in the index, and changing their other attributes is fine; setting the key needs its type."""
    bad: list[Any] = [{"N": "1"}, {"S": ""}, {"S": "x" * 2049}, {"M": {}}]
    for number, value in enumerate([*bad, {"S": "x" * 2048}]):
        db.put_item(TableName="edges", Item={"pk": {"S": f"p{number}"}, "late": value})
    db.update_table(
        TableName="edges",
        AttributeDefinitions=definitions(late="S"),
        GlobalSecondaryIndexUpdates=new_index("by-late", "late"),
    )
    db.get_waiter("table_exists").wait(TableName="edges", WaiterConfig={"Delay": 0, "MaxAttempts": 50})
    assert [item["pk"]["S"] for item in db.scan(TableName="edges", IndexName="by-late")["Items"]] == ["p4"]
    for number in range(5):
        asked = {"TableName": "edges", "Key": {"pk": {"S": f"p{number}"}}}
        more = {"ExpressionAttributeValues": {":v": {"N": "1"}}}
        db.update_item(**asked, UpdateExpression="SET x = :v", **more)
        assert failure(db.update_item, **asked, UpdateExpression="SET late = :v", **more)[1] == (
            "The update expression attempted to update the secondary index key to unsupported type"
        )
    assert [item["pk"]["S"] for item in db.scan(TableName="edges", IndexName="by-late")["Items"]] == ["p4"]
    db.update_item(
        TableName="edges",
        Key={"pk": {"S": "p1"}},
        UpdateExpression="SET late = :v",
        ExpressionAttributeValues={":v": {"S": "now"}},
    )
    assert db.scan(TableName="edges", IndexName="by-late")["Count"] == 2


def test_an_error_names_the_first_index_by_the_alphabet(db: Any) -> None:
    for name in ("zz-late", "a-late"):
        db.update_table(
            TableName="edges",
            AttributeDefinitions=definitions(g="S"),
            GlobalSecondaryIndexUpdates=new_index(name, "g"),
        )
        db.get_waiter("table_exists").wait(TableName="edges", WaiterConfig={"Delay": 0, "MaxAttempts": 50})
    message = failure(db.put_item, TableName="edges", Item={**KEY, "g": {"N": "1"}})[1]
    assert message.endswith("Type mismatch for Index Key g Expected: S Actual: N IndexName: a-late")


def test_a_new_indexs_keys_are_defined_in_the_request(db: Any) -> None:
    message = failure(
        db.update_table,
        TableName="edges",
        AttributeDefinitions=definitions(h="N"),
        GlobalSecondaryIndexUpdates=new_index("new", "g"),
    )[1]
    assert message == (
        "One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. "
        "Keys: [g], AttributeDefinitions: [h]"
    )


def test_provisioned_indexes_have_throughput_of_their_own(db: Any) -> None:
    """Switching to PROVISIONED names units for every global index; giving an index what it has is refused."""
    units = {"ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}}
    most = {"OnDemandThroughput": {"MaxReadRequestUnits": 20}}
    db.update_table(TableName="edges", GlobalSecondaryIndexUpdates=[{"Update": {"IndexName": "by-g", **most}}])
    wait = db.get_waiter("table_exists").wait
    wait(TableName="edges", WaiterConfig={"Delay": 0, "MaxAttempts": 50})
    asked = {"TableName": "edges", "BillingMode": "PROVISIONED", **units}
    assert failure(db.update_table, **asked)[1] == (
        "One or more parameter values were invalid: ProvisionedThroughput must be specified for index: by-g"
    )
    same = [{"Update": {"IndexName": "by-g", **units}}]
    db.update_table(**asked, GlobalSecondaryIndexUpdates=same)
    wait(TableName="edges", WaiterConfig={"Delay": 0, "MaxAttempts": 50})
    index = described(db)["GlobalSecondaryIndexes"][0]
    assert (index["ProvisionedThroughput"]["WriteCapacityUnits"], "OnDemandThroughput" in index) == (6, False)
    message = failure(db.update_table, TableName="edges", GlobalSecondaryIndexUpdates=same)[1]
    assert message.startswith(
        "The provisioned throughput for the index by-g will not change. The requested value equals the current value. "
        "Current ReadCapacityUnits provisioned for the index: 5."
    )


def test_expiry_is_switched_off_by_the_attribute_that_it_has(db: Any, clock: Any) -> None:
    def change(enabled: bool, name: str) -> None:
        db.update_time_to_live(TableName="edges", TimeToLiveSpecification={"Enabled": enabled, "AttributeName": name})

    change(True, "at")
    clock.advance(3601)
    with pytest.raises(ClientError, match="active on a different AttributeName: current AttributeName is at"):
        change(False, "other")
    change(False, "at")


def test_tags_of_awss_own_are_refused(db: Any) -> None:
    arn = described(db)["TableArn"]
    assert "aws:" in failure(db.tag_resource, ResourceArn=arn, Tags=[{"Key": "AWS:x", "Value": "v"}])[1]
    assert db.list_tags_of_resource(ResourceArn=arn)["Tags"] == []
    assert failure(db.list_tags_of_resource, ResourceArn=arn, NextToken="x") == (
        "ValidationException",
        "Invalid NextToken",
    )


def test_a_transaction_with_an_empty_key_is_refused_before_it_begins(db: Any) -> None:
    """An empty key is the whole request's error; a key of the wrong type cancels the transaction."""
    puts = [{"Put": {"TableName": "edges", "Item": {"pk": {"S": "ok"}}}}]
    for bad in ({"pk": {"S": ""}}, {"pk": {"S": "x"}, "g": {"S": ""}}):
        code, message = failure(
            db.transact_write_items, TransactItems=[*puts, {"Put": {"TableName": "edges", "Item": bad}}]
        )
        assert (code, "empty string value" in message) == ("ValidationException", True)
    long = {"Delete": {"TableName": "edges", "Key": {"pk": {"S": "x" * 2049}}}}
    code, message = failure(db.transact_write_items, TransactItems=[*puts, long])
    assert (code, "Size of hashkey has exceeded" in message) == ("ValidationException", True)
    set_empty = {"UpdateExpression": "SET g = :v", "ExpressionAttributeValues": {":v": {"S": ""}}}
    change = {"Update": {"TableName": "edges", "Key": {"pk": {"S": "x"}}, **set_empty}}
    code, message = failure(db.transact_write_items, TransactItems=[*puts, change])
    assert (code, "empty string value" in message) == ("ValidationException", True)
    wrong = {"Put": {"TableName": "edges", "Item": {"pk": {"N": "1"}}}}
    assert failure(db.transact_write_items, TransactItems=[*puts, wrong])[0] == "TransactionCanceledException"
    assert db.scan(TableName="edges")["Count"] == 0


def test_of_two_mistakes_the_first_is_told(db: Any) -> None:
    """What a request says by itself comes before the table; names before values; numbers before everything in a value."""
    asked = {"TableName": "edges", "Item": KEY, "ConditionExpression": "x = :v"}
    bad = {":v": {"N": "no"}, "w": {"N": "1"}}
    message = failure(db.put_item, **asked, ExpressionAttributeValues=bad)[1]
    assert message == 'ExpressionAttributeValues contains invalid key: Syntax error; key: "w"'
    keys = [{"pk": {"N": "1"}}, {"pk": {"N": "1.0"}}]
    code, message = failure(db.batch_get_item, RequestItems={"missing": {"Keys": keys}})
    assert (code, message) == ("ValidationException", "Provided list of item keys contains duplicates")
    assert failure(db.batch_get_item, RequestItems={"missing": {"Keys": keys[:1]}})[0] == "ResourceNotFoundException"


def test_a_batch_names_no_key_that_does_not_match(db: Any) -> None:
    """PutItem says what is wrong with a key; BatchWriteItem that the schema does not match, but for index keys."""
    wrong = "The provided key element does not match the schema"
    for item, words in (
        ({"g": {"S": "g"}}, wrong),
        ({"pk": {"N": "1"}}, wrong),
        ({"pk": {"M": {}}}, wrong),
        ({"pk": {"S": "a"}, "g": {"N": "1"}}, "Type mismatch for Index Key g"),
        ({"pk": {"S": ""}}, "empty string value"),
    ):
        code, message = failure(
            db.batch_write_item, RequestItems={"edges": [{"PutRequest": {"Item": item}}, {"PutRequest": {"Item": KEY}}]}
        )
        assert (code, words in message) == ("ValidationException", True)
    assert db.scan(TableName="edges")["Count"] == 0


def test_a_transaction_takes_names_and_values_of_no_expression(db: Any) -> None:
    """PutItem refuses them; a transaction does only where an expression leaves some unused."""
    names, values = {"#n": "x"}, {":v": {"N": "1"}}
    put = {"TableName": "edges", "Item": KEY, "ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
    assert "can only be specified when using expressions" in failure(db.put_item, **put)[1]
    db.transact_write_items(TransactItems=[{"Put": put}])
    get = {"Get": {"TableName": "edges", "Key": KEY, "ExpressionAttributeNames": names}}
    assert db.transact_get_items(TransactItems=[get])["Responses"] == [{"Item": KEY}]
    checked = {**put, "ConditionExpression": "attribute_exists(#n)"}
    code, message = failure(db.transact_write_items, TransactItems=[{"Put": checked}])
    assert (code, "unused in expressions: keys: {:v}" in message) == ("ValidationException", True)


def test_a_condition_check_costs_a_write_and_a_read_without_attributes_shows_no_item(db: Any) -> None:
    db.put_item(TableName="edges", Item={**KEY, "x": {"S": "x" * 2500}})
    check = {"TableName": "edges", "Key": KEY, "ConditionExpression": "attribute_exists(pk)"}
    answer = db.transact_write_items(TransactItems=[{"ConditionCheck": check}], ReturnConsumedCapacity="TOTAL")
    assert answer["ConsumedCapacity"] == [{"TableName": "edges", "CapacityUnits": 6.0, "WriteCapacityUnits": 6.0}]
    get = {"TableName": "edges", "Key": KEY, "ProjectionExpression": "nothing"}
    assert db.transact_get_items(TransactItems=[{"Get": get}])["Responses"] == [{}]
    assert db.get_item(**get)["Item"] == {}


def test_a_batch_mixes_no_expressions_with_legacy_parameters_not_even_of_two_tables(db: Any) -> None:
    message = failure(
        db.batch_get_item,
        RequestItems={
            "edges": {"Keys": [KEY], "ProjectionExpression": "pk"},
            "other": {"Keys": [KEY], "AttributesToGet": ["pk"]},
        },
    )[1]
    assert message.startswith("Can not use both expression and non-expression parameters in the same request")
