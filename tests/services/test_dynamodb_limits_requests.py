"""DynamoDB's limits on expressions, batches, transactions, statements and pages, each from both sides.

Source: developer guide, "Quotas in Amazon DynamoDB", "Constraints in Amazon DynamoDB".
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from .dynamodb_limits import KB, key, make, put, refused


@pytest.fixture
def db(aws: Any) -> Any:
    return aws("dynamodb", config=Config(parameter_validation=False, read_timeout=30))


@pytest.fixture
def table(db: Any, clock: Any) -> Any:
    make(db)
    clock.quiet()
    return db


# expressions


def filtered(db: Any, expression: str, **values: Any) -> Any:
    more = {"ExpressionAttributeValues": values["values"]} if "values" in values else {}
    return db.scan(TableName="things", FilterExpression=expression, **more)


def with_expression(db: Any, kind: str, expression: str, **values: Any) -> Any:
    more: dict[str, Any] = {kind: expression, "TableName": "things"}
    if values:
        more["ExpressionAttributeValues"] = values["values"]
    if kind == "UpdateExpression":
        return db.update_item(Key=key(), **more)
    if kind == "ConditionExpression":
        return db.delete_item(Key=key("none"), **more)
    return db.query(**more) if kind == "KeyConditionExpression" else db.scan(**more)


@pytest.mark.parametrize(
    ("kind", "start", "values"),
    [
        ("FilterExpression", "attribute_exists(a)", {}),
        ("ConditionExpression", "attribute_not_exists(a)", {}),
        ("ProjectionExpression", "a", {}),
        ("UpdateExpression", "REMOVE a", {}),
        ("KeyConditionExpression", "pk = :p", {"values": {":p": {"S": "p"}}}),
    ],
)
def test_an_expression_has_at_most_4_kb(table: Any, kind: str, start: str, values: Any) -> None:
    with_expression(table, kind, start + " " * (4096 - len(start)), **values)
    assert (
        refused(with_expression, db=table, kind=kind, expression=start + " " * (4097 - len(start)), **values)
        == f"Invalid {kind}: Expression size has exceeded the maximum allowed size; expression size: 4097"
    )


def test_an_expressions_size_is_in_bytes(table: Any) -> None:
    words = "Expression size has exceeded the maximum allowed size; expression size: 4098"
    assert words in refused(filtered, db=table, expression="ä" * 2049)


def test_an_expression_has_at_most_300_operators(table: Any) -> None:
    filtered(table, " OR ".join(["a=a1"] * 150) + " OR attribute_exists(a)")
    assert "max operator count: 300" in refused(filtered, db=table, expression=" OR ".join(["a=a1"] * 151))


def test_an_update_has_at_most_300_operators(table: Any) -> None:
    def update(count: int, more: str = "") -> Any:
        sums = ",".join(f"a{n}=b+:v" for n in range(count))
        return with_expression(table, "UpdateExpression", f"SET {sums}{more}", values={":v": {"N": "1"}})

    put(table, b={"N": "1"})
    update(300, ",c=:v")
    too_many = "The expression contains too many operators; operator count: 301, max operator count: 300"
    for more in ({"count": 301}, {"count": 300, "more": ",c=if_not_exists(c,:v)"}):
        assert refused(update, **more) == f"Invalid UpdateExpression: {too_many}"


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


def test_names_and_values_of_substitutions_have_2_mb_together(table: Any) -> None:
    names = {f"#n{n:02}": "n" * 65535 for n in range(31)}
    taken = 31 * (4 + 65535) + len(":v")
    room = 2 * 1024 * KB - taken

    def scan(size: int) -> Any:
        return table.scan(
            TableName="things",
            ProjectionExpression="a",
            FilterExpression=f"contains(:v, a) OR {' OR '.join(f'attribute_exists({name})' for name in names)}",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={":v": {"S": "x" * size}},
        )

    scan(room)
    assert "total size" in refused(scan, size=room + 1)
    distinct = {**{f"#n{n:02}": f"{n:02}" + "n" * 65533 for n in range(31)}, "#last": "x" * (65535 - 31 * 4 + 30)}
    exact = 2 * 1024 * KB - sum(len(alias) + len(name) for alias, name in distinct.items() if alias != "#last")
    for size, works in ((exact - len("#last"), True), (exact - len("#last") + 1, False)):
        call = {**distinct, "#last": "x" * size}
        arguments = {"TableName": "things", "ProjectionExpression": ", ".join(call), "ExpressionAttributeNames": call}
        if works:
            table.scan(**arguments)
        else:
            assert "total size" in refused(table.scan, **arguments)


# capacity units


@pytest.mark.parametrize("size", [1, 1024, 1025, 4096, 4097, 8193])
def test_units_are_1_kb_written_and_4_kb_read_and_transactions_take_two(table: Any, size: int) -> None:
    item = {**key("k", "s"), "v": {"S": "x" * max(size - len("pkkskv") - 1, 0)}}
    size = max(size, len("pkkskvs"))
    writes, reads = -(-size // 1024), -(-size // 4096)

    def units(call: Any, **arguments: Any) -> Any:
        found = call(ReturnConsumedCapacity="TOTAL", **arguments)["ConsumedCapacity"]
        return (found[0] if isinstance(found, list) else found)["CapacityUnits"]

    one = {"TableName": "things"}
    assert units(table.put_item, Item=item, **one) == writes
    assert units(table.get_item, Key=key("k", "s"), ConsistentRead=True, **one) == reads
    assert units(table.get_item, Key=key("k", "s"), **one) == reads / 2
    assert units(table.transact_get_items, TransactItems=[{"Get": {"Key": key("k", "s"), **one}}]) == 2 * reads
    assert units(table.transact_write_items, TransactItems=[{"Put": {"Item": item, **one}}]) == 2 * writes
    assert units(table.delete_item, Key=key("k", "s"), **one) == writes


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
    room = 400 * KB - len("pkp00skXv")
    largest = [{"PutRequest": {"Item": {**key(f"p{n:02}"), "v": {"S": "x" * room}}}} for n in range(25)]
    assert table.batch_write_item(RequestItems={"things": largest})["UnprocessedItems"] == {}  # under 10 MB of the 16
    largest[7]["PutRequest"]["Item"]["v"]["S"] += "x"
    assert refused(table.batch_write_item, RequestItems={"things": largest}) == (
        "Item size has exceeded the maximum allowed size"
    )


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
    assert len(table.transact_get_items(TransactItems=gets[20:100])["Responses"]) == 80
    assert "multiple operations on one item" in refused(table.transact_get_items, TransactItems=[gets[50], gets[50]])
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


def test_partiql_takes_25_statements_in_a_batch_and_100_in_a_transaction(table: Any) -> None:
    def statements(count: int) -> list[dict[str, str]]:
        return [{"Statement": f"SELECT * FROM things WHERE pk = 'p{n}' AND sk = 's'"} for n in range(count)]

    assert len(table.batch_execute_statement(Statements=statements(25))["Responses"]) == 25
    refused(table.batch_execute_statement, Statements=statements(26))
    assert len(table.execute_transaction(TransactStatements=statements(100))["Responses"]) == 100
    refused(table.execute_transaction, TransactStatements=statements(101))


def test_a_statement_has_1_to_8192_letters(table: Any) -> None:
    text = "SELECT * FROM things"
    table.execute_statement(Statement=text + " " * (8192 - len(text)))
    refused(table.execute_statement, Statement=text + " " * (8193 - len(text)))
    refused(table.execute_statement, Statement="")


def test_a_request_reaches_tables_of_its_own_region_alone(aws: Any, table: Any, clock: Any) -> None:
    there = aws("dynamodb", region_name="eu-west-1")
    arn = make(there)["TableDescription"]["TableArn"]
    clock.quiet()
    there.put_item(TableName=arn, Item=key())
    puts = [{"Put": {"TableName": name, "Item": key()}} for name in ("things", arn)]
    assert "Invalid table ARN" in refused(table.transact_write_items, TransactItems=puts)
    assert "Invalid table ARN" in refused(table.get_item, TableName=arn, Key=key())
    assert table.scan(TableName="things")["Count"] == 0


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
