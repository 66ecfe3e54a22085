"""DynamoDB: Query, Scan, indexes, batches, transactions and legacy parameters, through boto3."""

import base64

import pytest
from botocore.exceptions import ClientError


def make(db, name, pk=("pk", "S"), sk=("sk", "N"), also=(), **more):
    attributes = [pk, *([sk] if sk else []), *also]
    db.create_table(
        TableName=name,
        KeySchema=schema(pk[0], sk and sk[0]),
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in attributes],
        BillingMode="PAY_PER_REQUEST",
        **more,
    )
    ready(db, name)


def ready(db, name):
    db.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 0, "MaxAttempts": 50})


def schema(pk, sk=None):
    out = [{"AttributeName": pk, "KeyType": "HASH"}]
    return [*out, {"AttributeName": sk, "KeyType": "RANGE"}] if sk else out


def index(name, pk, sk=None, projection="ALL", include=None):
    shape = {"ProjectionType": projection}
    if include:
        shape["NonKeyAttributes"] = include
    return {"IndexName": name, "KeySchema": schema(pk, sk), "Projection": shape}


@pytest.fixture
def db(aws):
    return aws("dynamodb")


@pytest.fixture
def table(db):
    make(
        db, "things", also=[("g", "S"), ("l", "S")],
        GlobalSecondaryIndexes=[index("by-g", "g", "sk"), index("keys", "g", None, "KEYS_ONLY")],
        LocalSecondaryIndexes=[index("by-l", "pk", "l", "INCLUDE", ["extra"])],
    )  # fmt: skip
    return db


def put(db, pk, sk, **more):
    item = {
        "pk": {"S": pk},
        "sk": {"N": str(sk)},
        **{n: v if isinstance(v, dict) else {"S": v} for n, v in more.items()},
    }
    return db.put_item(TableName="things", Item=item, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"]


def values(**given):
    return {f":{n}": {"N": str(v)} if isinstance(v, (int, float)) else {"S": v} for n, v in given.items()}


def numbers(answer):
    return [float(item["sk"]["N"]) for item in answer["Items"]]


def query(db, condition, **more):
    arguments = {n: more.pop(n) for n in list(more) if n[0].isupper()}
    return db.query(
        TableName="things", KeyConditionExpression=condition, ExpressionAttributeValues=values(**more), **arguments
    )


def invalid(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return caught.value.response["Error"]["Message"]


ORDERED = [-1e30, -100, -12.5, -1.25, -1, -0.001, 0, 0.001, 0.5, 1, 1.5, 2, 10, 99, 1e10, 1e30]


def test_numbers_sort_by_value(table):
    for n in reversed(ORDERED):
        put(table, "a", n)
    put(table, "b", 5)
    assert numbers(query(table, "pk = :p", p="a")) == ORDERED
    assert numbers(query(table, "pk = :p", p="a", ScanIndexForward=False)) == ORDERED[::-1]


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("sk = :x", lambda n: n == 1), ("sk < :x", lambda n: n < 1), ("sk <= :x", lambda n: n <= 1), ("sk > :x", lambda n: n > 1),
        ("sk >= :x", lambda n: n >= 1), ("sk BETWEEN :y AND :x", lambda n: -1.25 <= n <= 1),
    ],
)  # fmt: skip
def test_key_conditions_select_ranges(table, condition, wanted):
    for n in ORDERED:
        put(table, "a", n)
    more = {"x": 1, **({"y": -1.25} if ":y" in condition else {})}
    assert numbers(query(table, f"pk = :p AND {condition}", p="a", **more)) == [n for n in ORDERED if wanted(n)]
    assert numbers(query(table, f"({condition}) AND pk = :p", p="a", **more)) == [n for n in ORDERED if wanted(n)]


def test_text_and_binary_sort_by_bytes_and_by_beginning(db):
    words = ["", "a", "a\x00", "a\x00b", "ab", "aé", "b", "z", "é", "\U0001f600"]
    make(db, "texts", sk=("sk", "S"))
    make(db, "bytes", sk=("sk", "B"))
    for word in reversed(words[1:]):
        db.put_item(TableName="texts", Item={"pk": {"S": "p"}, "sk": {"S": word}})
        db.put_item(TableName="bytes", Item={"pk": {"S": "p"}, "sk": {"B": word.encode()}})
    db.put_item(TableName="bytes", Item={"pk": {"S": "p"}, "sk": {"B": b"a\xff\xff"}})

    def find(table, kind, start):
        answer = db.query(TableName=table, KeyConditionExpression="pk = :p AND begins_with(sk, :s)",
                          ExpressionAttributeValues={":p": {"S": "p"}, ":s": {kind: start}})  # fmt: skip
        return [item["sk"][kind] for item in answer["Items"]]

    assert find("texts", "S", "a") == [word for word in words if word.startswith("a")]
    assert find("texts", "S", "a\x00") == ["a\x00", "a\x00b"]
    assert find("bytes", "B", b"a") == [*(word.encode() for word in words if word.startswith("a")), b"a\xff\xff"]
    assert find("bytes", "B", b"a\xff") == [b"a\xff\xff"]


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("sk = :p", "Query condition missed key schema element: pk"),
        ("pk = :p AND rest = :p", "Query condition missed key schema element: sk"),
        ("pk > :p", "Query key condition not supported"),
        ("pk = :p OR sk = :p", "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: OR"),
        ("pk <> :p", "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: <>"),
        ("pk = :p AND pk = :p", "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key"),
        ("pk = :p AND sk = :p", "One or more parameter values were invalid: Condition parameter type does not match schema type"),
        ("pk.x = :p", "Invalid KeyConditionExpression: KeyConditionExpressions cannot have conditions on nested attributes"),
        ("pk = :q", "Invalid KeyConditionExpression: An expression attribute value used in expression is not defined; "
         "attribute value: :q"),
    ],
)  # fmt: skip
def test_wrong_key_conditions_are_refused_in_aws_words(table, condition, words):
    call = {"TableName": "things", "KeyConditionExpression": condition, "ExpressionAttributeValues": values(p="a")}
    assert invalid(table.query, **call) == words


def test_a_query_says_which_parameter_it_misses(table):
    words = "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
    assert invalid(table.query, TableName="things") == words
    filtered = {"FilterExpression": "sk > :x", "ExpressionAttributeValues": values(p="a", x=1)}
    words = "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk"
    assert invalid(table.query, TableName="things", KeyConditionExpression="pk = :p", **filtered) == words


def test_pages_end_at_the_limit_and_go_on(table):
    for n in range(7):
        put(table, "a", n)
    for forward in (True, False):
        found, start = [], {}
        while True:
            page = query(table, "pk = :p", p="a", Limit=3, ScanIndexForward=forward, **start)
            found += numbers(page)
            if "LastEvaluatedKey" not in page:
                break
            assert set(page["LastEvaluatedKey"]) == {"pk", "sk"}
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        assert found == (list(range(7)) if forward else list(range(6, -1, -1)))


def test_pages_end_at_1_mb(table):
    for n in range(4):
        put(table, "a", n, big="x" * 300_000)
    first = query(table, "pk = :p", p="a")
    assert first["Count"] == 3
    rest = query(table, "pk = :p", p="a", ExclusiveStartKey=first["LastEvaluatedKey"])
    assert (rest["Count"], "LastEvaluatedKey" in rest) == (1, False)


def test_filters_work_after_the_limit(table):
    for n in range(6):
        put(table, "a", n, odd={"BOOL": n % 2 == 1})
    page = table.query(
        TableName="things", KeyConditionExpression="pk = :p", FilterExpression="odd = :t", Limit=4,
        ExpressionAttributeValues={":p": {"S": "a"}, ":t": {"BOOL": True}},
    )  # fmt: skip
    assert (numbers(page), page["Count"], page["ScannedCount"]) == ([1, 3], 2, 4)


def test_start_keys_are_checked(table):
    put(table, "a", 1)
    words = "The provided starting key is outside query boundaries based on provided conditions"
    call = {"TableName": "things", "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": values(p="a")}
    assert invalid(table.query, **call, ExclusiveStartKey={"pk": {"S": "b"}, "sk": {"N": "1"}}) == words
    assert "starting key is invalid" in invalid(
        table.query, **call, ExclusiveStartKey={"pk": {"S": "a"}, "x": {"N": "1"}}
    )
    words = "Exclusive Start Key must have same size as table's key schema"
    assert invalid(table.query, **call, ExclusiveStartKey={"pk": {"S": "a"}}) == words


def test_select_decides_what_comes_back(table):
    put(table, "a", 1, g="x", l="y", more="z")
    assert "Items" not in query(table, "pk = :p", p="a", Select="COUNT")
    part = query(table, "pk = :p", p="a", ProjectionExpression="g, more")
    assert part["Items"] == [{"g": {"S": "x"}, "more": {"S": "z"}}]
    call = {"TableName": "things", "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": values(p="a")}
    assert invalid(table.query, **call, Select="SPECIFIC_ATTRIBUTES").startswith("Must specify the AttributesToGet or")
    words = "Cannot specify the ProjectionExpression when choosing to get ALL_ATTRIBUTES"
    assert invalid(table.query, **call, Select="ALL_ATTRIBUTES", ProjectionExpression="g") == words
    words = "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"
    assert invalid(table.query, **call, Select="ALL_PROJECTED_ATTRIBUTES") == words


# indexes


def by(db, name, pk, value, **more):
    return db.query(TableName="things", IndexName=name, KeyConditionExpression=f"{pk} = :v",
                    ExpressionAttributeValues=values(v=value), **more)  # fmt: skip


def test_indexes_follow_their_items(table):
    put(table, "a", 1, g="x", l="m", extra="e", rest="o")
    put(table, "b", 0, g="x")
    put(table, "c", 2)
    assert numbers(by(table, "by-g", "g", "x")) == [0, 1]
    assert by(table, "keys", "g", "x")["Count"] == 2
    found = by(table, "by-l", "pk", "a")["Items"][0]
    assert set(found) == {"pk", "sk", "l", "extra"}
    table.update_item(TableName="things", Key={"pk": {"S": "a"}, "sk": {"N": "1"}}, UpdateExpression="SET g = :v REMOVE l",
                      ExpressionAttributeValues=values(v="y"))  # fmt: skip
    assert numbers(by(table, "by-g", "g", "x")) == [0]
    assert by(table, "by-g", "g", "y")["Items"][0]["rest"] == {"S": "o"}
    assert by(table, "by-l", "pk", "a")["Count"] == 0
    table.delete_item(TableName="things", Key={"pk": {"S": "b"}, "sk": {"N": "0"}})
    assert by(table, "by-g", "g", "x")["Count"] == 0
    assert table.scan(TableName="things", IndexName="by-g")["Count"] == 1


def test_index_pages_go_on_by_all_keys(table):
    for n in range(5):
        put(table, f"p{n}", 1, g="x")
    found, start = set(), {}
    while True:
        page = by(table, "by-g", "g", "x", Limit=2, **start)
        found |= {item["pk"]["S"] for item in page["Items"]}
        if "LastEvaluatedKey" not in page:
            break
        assert set(page["LastEvaluatedKey"]) == {"pk", "sk", "g"}
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert found == {f"p{n}" for n in range(5)}


def test_index_reads_have_rules(table):
    put(table, "a", 1, g="x", l="m", rest="o")
    call = {"TableName": "things", "KeyConditionExpression": "g = :v", "ExpressionAttributeValues": values(v="x")}
    words = "The table does not have the specified index: nope"
    assert invalid(table.query, **call, IndexName="nope") == words
    words = "Consistent reads are not supported on global secondary indexes"
    assert invalid(table.query, **call, IndexName="by-g", ConsistentRead=True) == words
    words = ("One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary "
             "index keys because its projection type is not ALL")  # fmt: skip
    assert invalid(table.query, **call, IndexName="keys", Select="ALL_ATTRIBUTES") == words
    whole = by(table, "by-l", "pk", "a", Select="ALL_ATTRIBUTES", ReturnConsumedCapacity="INDEXES")
    assert whole["Items"][0]["rest"] == {"S": "o"}
    assert whole["ConsumedCapacity"]["Table"]["CapacityUnits"] == 0.5
    assert by(table, "by-l", "pk", "a", ProjectionExpression="rest")["Items"] == [{"rest": {"S": "o"}}]


def test_index_keys_must_have_their_type(table):
    item = {"pk": {"S": "a"}, "sk": {"N": "1"}}
    words = (
        "One or more parameter values were invalid: Type mismatch for Index Key g Expected: S Actual: N IndexName: by-g"
    )
    assert invalid(table.put_item, TableName="things", Item={**item, "g": {"N": "1"}}) == words
    assert "cannot contain an empty string value. IndexName: by-g, IndexKey: g" in invalid(
        table.put_item, TableName="things", Item={**item, "g": {"S": ""}}
    )


def test_writes_to_indexes_consume_capacity(table):
    first = put(table, "a", 1, g="x")
    assert (first["CapacityUnits"], first["GlobalSecondaryIndexes"]["by-g"]["CapacityUnits"]) == (3.0, 1.0)
    unchanged = put(table, "a", 1, g="x")
    assert unchanged["CapacityUnits"] == 1.0
    moved = put(table, "a", 1, g="y")
    assert moved["GlobalSecondaryIndexes"]["by-g"]["CapacityUnits"] == 2.0


def test_an_index_is_filled_when_it_is_created_and_gone_when_deleted(db, clock):
    make(db, "things")
    for n in range(600):
        if n % 25 == 0:
            rows = [
                {"PutRequest": {"Item": {"pk": {"S": str(i)}, "sk": {"N": "1"}, "late": {"S": f"{i % 3}"}}}}
                for i in range(n, n + 25)
            ]
            db.batch_write_item(RequestItems={"things": rows})
    put(db, "sparse", 1)
    answer = db.update_table(
        TableName="things", AttributeDefinitions=[{"AttributeName": "late", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[{"Create": index("by-late", "late", None, "KEYS_ONLY")}],
    )  # fmt: skip
    assert answer["TableDescription"]["GlobalSecondaryIndexes"][0]["IndexStatus"] == "CREATING"
    clock.quiet()
    found = db.describe_table(TableName="things")["Table"]["GlobalSecondaryIndexes"][0]
    assert (found["IndexStatus"], found["ItemCount"]) == ("ACTIVE", 600)
    assert by(db, "by-late", "late", "1")["Count"] == 200
    db.update_table(TableName="things", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-late"}}])
    clock.quiet()
    after = db.describe_table(TableName="things")["Table"]
    assert "GlobalSecondaryIndexes" not in after
    assert [a["AttributeName"] for a in after["AttributeDefinitions"]] == ["pk", "sk"]


def test_item_collections_are_measured_for_local_indexes(table):
    out = table.put_item(
        TableName="things", Item={"pk": {"S": "a"}, "sk": {"N": "1"}}, ReturnItemCollectionMetrics="SIZE"
    )
    assert out["ItemCollectionMetrics"] == {"ItemCollectionKey": {"pk": {"S": "a"}}, "SizeEstimateRangeGB": [0.0, 1.0]}


# scans


@pytest.mark.parametrize("total", [1, 3, 16, 50])
def test_segments_divide_a_table(table, total):
    for n in range(100):
        if n % 25 == 0:
            rows = [
                {"PutRequest": {"Item": {"pk": {"S": f"p{i}"}, "sk": {"N": "1"}, "g": {"S": f"{i}"}}}}
                for i in range(n, n + 25)
            ]
            table.batch_write_item(RequestItems={"things": rows})
    for where in ({}, {"IndexName": "by-g"}):
        found = []
        for segment in range(total):
            start = {}
            while True:
                page = table.scan(TableName="things", Segment=segment, TotalSegments=total, Limit=7, **where, **start)
                found += [item["pk"]["S"] for item in page["Items"]]
                if "LastEvaluatedKey" not in page:
                    break
                start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        assert sorted(found) == sorted(f"p{i}" for i in range(100))


def test_segments_are_checked(table):
    words = ("The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 4 is not less than "
             "TotalSegments: 4")  # fmt: skip
    assert invalid(table.scan, TableName="things", Segment=4, TotalSegments=4) == words
    assert "TotalSegments parameter is required" in invalid(table.scan, TableName="things", Segment=0)
    assert "Segment parameter is required" in invalid(table.scan, TableName="things", TotalSegments=2)


# batches


def test_batches_write_and_read(table):
    keys = [{"pk": {"S": f"p{n}"}, "sk": {"N": "1"}} for n in range(5)]
    table.batch_write_item(
        RequestItems={"things": [{"PutRequest": {"Item": {**key, "x": {"S": "y"}}}} for key in keys]}
    )
    out = table.batch_write_item(RequestItems={"things": [{"DeleteRequest": {"Key": keys[0]}}]})
    assert out["UnprocessedItems"] == {}
    found = table.batch_get_item(
        RequestItems={"things": {"Keys": keys, "ProjectionExpression": "#p", "ExpressionAttributeNames": {"#p": "pk"}}},
        ReturnConsumedCapacity="TOTAL",
    )
    assert sorted(item["pk"]["S"] for item in found["Responses"]["things"]) == ["p1", "p2", "p3", "p4"]
    assert all(set(item) == {"pk"} for item in found["Responses"]["things"])
    assert found["ConsumedCapacity"][0]["CapacityUnits"] == 2.5


def test_a_batch_that_is_too_large_is_cut(table):
    keys = [{"pk": {"S": f"p{n}"}, "sk": {"N": "1"}} for n in range(50)]
    for key in keys:
        table.put_item(TableName="things", Item={**key, "big": {"S": "x" * 390_000}})
    found = table.batch_get_item(RequestItems={"things": {"Keys": keys}})
    left = found["UnprocessedKeys"]["things"]["Keys"]
    assert len(found["Responses"]["things"]) + len(left) == 50
    assert len(left) == 50 - 16 * 1024 * 1024 // 390_019


def test_batches_are_checked(table):
    key = {"pk": {"S": "p"}, "sk": {"N": "1"}}
    words = "Provided list of item keys contains duplicates"
    assert invalid(table.batch_get_item, RequestItems={"things": {"Keys": [key, key]}}) == words
    twice = [{"PutRequest": {"Item": key}}, {"DeleteRequest": {"Key": key}}]
    assert invalid(table.batch_write_item, RequestItems={"things": twice}) == words
    with pytest.raises(table.exceptions.ResourceNotFoundException):
        table.batch_write_item(
            RequestItems={"things": [{"PutRequest": {"Item": key}}], "nope": [{"PutRequest": {"Item": key}}]}
        )
    assert table.scan(TableName="things")["Count"] == 0


# transactions


def key_of(pk):
    return {"TableName": "things", "Key": {"pk": {"S": pk}, "sk": {"N": "1"}}}


def item_of(pk, **more):
    return {"TableName": "things", "Item": {"pk": {"S": pk}, "sk": {"N": "1"}, **more}}


def test_a_transaction_writes_all_or_nothing(table):
    put(table, "a", 1, n={"N": "1"})
    put(table, "gone", 1)
    actions = [
        {"Put": item_of("new")},
        {"Update": {**key_of("a"), "UpdateExpression": "ADD n :o", "ExpressionAttributeValues": values(o=1)}},
        {"Delete": key_of("gone")},
        {"ConditionCheck": {**key_of("never"), "ConditionExpression": "attribute_not_exists(pk)"}},
    ]
    table.transact_write_items(TransactItems=actions)
    found = table.transact_get_items(TransactItems=[{"Get": key_of(pk)} for pk in ("new", "a", "gone")])["Responses"]
    assert [response.get("Item", {}).get("n", {}).get("N") for response in found] == [None, "2", None]
    assert "Item" in found[0] and "Item" not in found[2]
    actions[3]["ConditionCheck"]["ConditionExpression"] = "attribute_exists(pk)"
    actions[1]["Update"]["ConditionExpression"] = "n = :o"
    actions[1]["Update"]["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    with pytest.raises(table.exceptions.TransactionCanceledException) as caught:
        table.transact_write_items(TransactItems=actions)
    reasons = caught.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == [
        "None",
        "ConditionalCheckFailed",
        "None",
        "ConditionalCheckFailed",
    ]
    assert reasons[1]["Item"]["n"] == {"N": "2"}
    assert caught.value.response["Error"]["Message"] == (
        "Transaction cancelled, please refer cancellation reasons for specific reasons "
        "[None, ConditionalCheckFailed, None, ConditionalCheckFailed]"
    )
    assert table.get_item(**key_of("a"))["Item"]["n"] == {"N": "2"}


def test_a_transaction_names_an_item_once(table):
    words = "Transaction request cannot include multiple operations on one item"
    assert invalid(table.transact_write_items, TransactItems=[{"Put": item_of("a")}, {"Delete": key_of("a")}]) == words


def test_an_update_that_cannot_be_done_cancels_the_transaction(table):
    bad = {**key_of("a"), "UpdateExpression": "SET n = nowhere"}
    with pytest.raises(table.exceptions.TransactionCanceledException) as caught:
        table.transact_write_items(TransactItems=[{"Put": item_of("b")}, {"Update": bad}])
    assert [reason["Code"] for reason in caught.value.response["CancellationReasons"]] == ["None", "ValidationError"]
    assert table.scan(TableName="things")["Count"] == 0


def test_a_token_makes_a_transaction_idempotent_for_ten_minutes(table, clock):
    put(table, "a", 1, n={"N": "0"})
    add = {**key_of("a"), "UpdateExpression": "ADD n :o", "ExpressionAttributeValues": values(o=1)}

    def run(update=add):
        table.transact_write_items(ClientRequestToken="token", TransactItems=[{"Update": update}])
        return table.get_item(**key_of("a"))["Item"]["n"]["N"]

    assert run() == "1"
    assert run() == "1"
    with pytest.raises(table.exceptions.IdempotentParameterMismatchException):
        run({**add, "ExpressionAttributeValues": values(o=2)})
    clock.advance(599)
    assert run() == "1"
    clock.advance(2)
    assert run() == "2"


def test_transactions_consume_twice(table):
    out = table.transact_write_items(
        TransactItems=[{"Put": item_of("a", x={"S": "y" * 1500})}], ReturnConsumedCapacity="TOTAL"
    )
    assert out["ConsumedCapacity"][0]["CapacityUnits"] == 4.0
    out = table.transact_get_items(TransactItems=[{"Get": key_of("a")}], ReturnConsumedCapacity="TOTAL")
    assert out["ConsumedCapacity"][0]["CapacityUnits"] == 2.0


# legacy parameters


def test_legacy_conditions_updates_and_filters_still_work(table):
    key = {"pk": {"S": "a"}, "sk": {"N": "1"}}
    table.put_item(TableName="things", Item=key, Expected={"pk": {"Exists": False}})
    with pytest.raises(table.exceptions.ConditionalCheckFailedException):
        table.put_item(TableName="things", Item=key, Expected={"pk": {"Exists": False}})
    table.update_item(
        TableName="things", Key=key,
        AttributeUpdates={"n": {"Action": "ADD", "Value": {"N": "3"}}, "t": {"Value": {"S": "text"}}, "no": {"Action": "DELETE"}},
        Expected={"n": {"ComparisonOperator": "NULL"}},
    )  # fmt: skip
    found = table.get_item(TableName="things", Key=key, AttributesToGet=["n", "t"])["Item"]
    assert found == {"n": {"N": "3"}, "t": {"S": "text"}}
    conditions = {
        "pk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]},
        "sk": {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"N": "0"}, {"N": "2"}]},
    }
    more = {"t": {"ComparisonOperator": "BEGINS_WITH", "AttributeValueList": [{"S": "te"}]}}
    assert table.query(TableName="things", KeyConditions=conditions, QueryFilter=more)["Count"] == 1
    more["t"]["ComparisonOperator"] = "NOT_CONTAINS"
    assert table.query(TableName="things", KeyConditions=conditions, QueryFilter=more)["Count"] == 0
    either = {
        "n": {"ComparisonOperator": "GT", "AttributeValueList": [{"N": "9"}]},
        "t": {"ComparisonOperator": "NOT_NULL"},
    }
    assert table.scan(TableName="things", ScanFilter=either, ConditionalOperator="OR")["Count"] == 1
    assert table.scan(TableName="things", ScanFilter=either)["Count"] == 0


def test_binary_keys_read_back(db):
    make(db, "things", pk=("pk", "B"), sk=None)
    db.put_item(TableName="things", Item={"pk": {"B": b"\x00\xff\x00"}})
    assert db.get_item(TableName="things", Key={"pk": {"B": b"\x00\xff\x00"}})["Item"]["pk"]["B"] == b"\x00\xff\x00"
    assert base64.b64encode(b"\x00\xff\x00") == b"AP8A"
