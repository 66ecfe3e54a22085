"""DynamoDB: tables and single items, through boto3."""

import math

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def db(aws):
    return aws("dynamodb")


@pytest.fixture
def table(db):
    make(db, "things")
    return db


def make(db, name, pk=("pk", "S"), sk=None, **more):
    attributes = [pk, *([sk] if sk else []), *more.pop("also", [])]
    schema = [{"AttributeName": pk[0], "KeyType": "HASH"}]
    if sk:
        schema.append({"AttributeName": sk[0], "KeyType": "RANGE"})
    db.create_table(
        TableName=name,
        KeySchema=schema,
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in attributes],
        **{"BillingMode": "PAY_PER_REQUEST", **more},
    )
    db.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 0, "MaxAttempts": 50})


def failure(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def invalid(call, **arguments):
    code, message = failure(call, **arguments)
    assert code == "ValidationException"
    return message


def put(db, **item):
    return db.put_item(TableName="things", Item=item)


def get(db, **key):
    return db.get_item(TableName="things", Key=key).get("Item")


# tables


def test_a_table_lives_from_creation_to_deletion(db):
    made = db.create_table(
        TableName="t-1",
        KeySchema=[{"AttributeName": "a", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "a", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": 3, "WriteCapacityUnits": 4},
        Tags=[{"Key": "team", "Value": "blue"}],
    )["TableDescription"]
    assert made["TableStatus"] == "CREATING"
    db.get_waiter("table_exists").wait(TableName="t-1", WaiterConfig={"Delay": 0, "MaxAttempts": 50})
    found = db.describe_table(TableName="t-1")["Table"]
    assert found["TableStatus"] == "ACTIVE"
    assert found["TableArn"] == "arn:aws:dynamodb:us-east-1:000000000000:table/t-1"
    assert found["ProvisionedThroughput"]["ReadCapacityUnits"] == 3
    assert db.describe_table(TableName=found["TableArn"])["Table"]["TableId"] == made["TableId"]
    assert db.list_tags_of_resource(ResourceArn=found["TableArn"])["Tags"] == [{"Key": "team", "Value": "blue"}]
    db.untag_resource(ResourceArn=found["TableArn"], TagKeys=["team"])
    db.tag_resource(ResourceArn=found["TableArn"], Tags=[{"Key": "x", "Value": ""}])
    assert db.list_tags_of_resource(ResourceArn=found["TableArn"])["Tags"] == [{"Key": "x", "Value": ""}]
    assert db.delete_table(TableName="t-1")["TableDescription"]["TableStatus"] == "DELETING"
    db.get_waiter("table_not_exists").wait(TableName="t-1", WaiterConfig={"Delay": 0, "MaxAttempts": 50})
    assert failure(db.describe_table, TableName="t-1") == (
        "ResourceNotFoundException",
        "Requested resource not found: Table: t-1 not found",
    )


def test_a_deleted_table_leaves_nothing_to_its_successor(table):
    for i in range(1200):
        if i % 25 == 0:
            rows = [{"PutRequest": {"Item": {"pk": {"S": str(j)}}}} for j in range(i, i + 25)]
            table.batch_write_item(RequestItems={"things": rows})
    table.delete_table(TableName="things")
    table.get_waiter("table_not_exists").wait(TableName="things", WaiterConfig={"Delay": 0, "MaxAttempts": 50})
    make(table, "things")
    assert table.scan(TableName="things")["Count"] == 0


def test_rows_of_a_deleted_table_are_gone_from_the_store(server, table):
    for j in range(30):
        put(table, pk={"S": str(j)}, x={"S": "y"})
    table.delete_table(TableName="things")
    server.quiet()
    from cumulet.kernel.keys import after_prefix, pack

    low = pack(("dynamodb",))
    left = [k for k, _ in server.cloud.pipeline.store.rows.between(low, after_prefix(low), None, False)]
    assert left == [pack(("dynamodb", "counter"))]


def test_tables_are_listed_in_pages(db):
    for name in ("ccc", "aaa", "bbb"):
        make(db, name)
    first = db.list_tables(Limit=2)
    assert (first["TableNames"], first["LastEvaluatedTableName"]) == (["aaa", "bbb"], "bbb")
    rest = db.list_tables(ExclusiveStartTableName="bbb")
    assert rest["TableNames"] == ["ccc"]
    assert "LastEvaluatedTableName" not in rest


def test_a_table_name_is_taken_once(table):
    with pytest.raises(table.exceptions.ResourceInUseException, match="Table already exists: things"):
        make(table, "things")


def test_deletion_protection_holds_until_it_is_off(db):
    make(db, "kept", DeletionProtectionEnabled=True)
    assert "protected against deletion" in invalid(db.delete_table, TableName="kept")
    db.update_table(TableName="kept", DeletionProtectionEnabled=False)
    db.get_waiter("table_exists").wait(TableName="kept", WaiterConfig={"Delay": 0, "MaxAttempts": 50})
    db.delete_table(TableName="kept")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"AttributeDefinitions": []}, "Some index key attributes are not defined"),
        (
            {"AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in "ab"]},
            "Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions",
        ),
        (
            {"KeySchema": [{"AttributeName": "a", "KeyType": "RANGE"}]},
            "The first KeySchemaElement is not a HASH key type",
        ),
        (
            {"BillingMode": "PROVISIONED"},
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is",
        ),
        (
            {"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}},
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
        ),
        ({"GlobalSecondaryIndexes": []}, "List of GlobalSecondaryIndexes is empty"),
    ],
)
def test_create_table_says_what_is_wrong(db, change, words):
    base = {
        "TableName": "bad",
        "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    assert words in invalid(db.create_table, **{**base, **change})


@pytest.mark.parametrize(
    "setting",
    [
        {"SSESpecification": {"Enabled": True}},
        {"WarmThroughput": {"ReadUnitsPerSecond": 20000}},
    ],
)
def test_settings_that_are_not_honoured_are_refused_by_name(db, setting):
    with pytest.raises(ClientError) as caught:
        make(db, "refused", **setting)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert next(iter(setting)) in str(caught.value)


def test_billing_and_throughput_change(db):
    make(db, "paid", BillingMode="PROVISIONED", ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1})
    same = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    assert "will not change" in invalid(db.update_table, TableName="paid", ProvisionedThroughput=same)
    more = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 1}
    assert (
        db.update_table(TableName="paid", ProvisionedThroughput=more)["TableDescription"]["TableStatus"] == "UPDATING"
    )
    db.get_waiter("table_exists").wait(TableName="paid", WaiterConfig={"Delay": 0, "MaxAttempts": 50})
    assert db.describe_table(TableName="paid")["Table"]["ProvisionedThroughput"]["ReadCapacityUnits"] == 5
    db.update_table(TableName="paid", BillingMode="PAY_PER_REQUEST")
    found = db.describe_table(TableName="paid")["Table"]
    assert found["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert found["ProvisionedThroughput"]["ReadCapacityUnits"] == 0


def test_describe_table_counts_items_and_bytes(table):
    for i in range(3):
        put(table, pk={"S": f"{i}"}, text={"S": "abcde"})
    found = table.describe_table(TableName="things")["Table"]
    assert (found["ItemCount"], found["TableSizeBytes"]) == (3, 3 * (2 + 1 + 4 + 5))


def test_a_large_table_is_counted_by_a_timer(table, clock):
    for i in range(0, 1100, 25):
        rows = [{"PutRequest": {"Item": {"pk": {"S": f"{j:04}"}}}} for j in range(i, i + 25)]
        table.batch_write_item(RequestItems={"things": rows})
    table.describe_table(TableName="things")
    clock.quiet()
    assert table.describe_table(TableName="things")["Table"]["ItemCount"] == 1100


def test_limits_endpoints_and_backups_are_described(table):
    assert table.describe_limits()["TableMaxReadCapacityUnits"] == 40000
    assert table.describe_endpoints()["Endpoints"][0]["CachePeriodInMinutes"] == 1440
    backups = table.describe_continuous_backups(TableName="things")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "DISABLED"
    with pytest.raises(table.exceptions.TableNotFoundException):
        table.describe_continuous_backups(TableName="nothing")


# items


def test_every_kind_of_value_comes_back(table):
    item = {
        "pk": {"S": "k"},
        "s": {"S": "grüße \U0001f600"},
        "empty": {"S": ""},
        "n": {"N": "-12.5"},
        "b": {"B": b"\x00\xff"},
        "no": {"NULL": True},
        "yes": {"BOOL": False},
        "m": {"M": {"x": {"L": [{"N": "1"}, {"M": {}}]}}},
        "l": {"L": []},
    }
    put(table, **item, ss={"SS": ["b", "a"]}, ns={"NS": ["1", "2"]}, bs={"BS": [b"x", b""]})
    found = get(table, pk={"S": "k"})
    assert sorted(found.pop("ss")["SS"]) == ["a", "b"]
    assert sorted(found.pop("ns")["NS"]) == ["1", "2"]
    assert sorted(found.pop("bs")["BS"]) == [b"", b"x"]
    assert found == item


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("007", "7"), ("1.50", "1.5"), ("-0", "0"), ("-0.0", "0"), ("1e3", "1000"), ("1.5E-3", "0.0015"), (".5", "0.5"), ("5.", "5"),
        ("+3", "3"), ("9" * 38, "9" * 38), ("1e125", "1" + "0" * 125), ("1e-130", "0." + "0" * 129 + "1"),
        ("100000000000000000000000000000000000000000", "1" + "0" * 41), ("0e999", "0"),
    ],
)  # fmt: skip
def test_numbers_are_kept_in_plain_form(table, given, kept):
    put(table, pk={"S": "n"}, n={"N": given})
    assert get(table, pk={"S": "n"})["n"]["N"] == kept


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("abc", "The parameter cannot be converted to a numeric value: abc"),
        ("", "The parameter cannot be converted to a numeric value"),
        ("1" * 39, "Attempting to store more than 38 significant digits in a Number"),
        ("1e126", "Number overflow. Attempting to store a number with magnitude larger than supported range"),
        ("1e-131", "Number underflow. Attempting to store a number with magnitude smaller than supported range"),
        ("NaN", "The parameter cannot be converted to a numeric value: NaN"),
    ],
)
def test_numbers_out_of_range_are_refused(table, number, words):
    assert invalid(table.put_item, TableName="things", Item={"pk": {"S": "n"}, "n": {"N": number}}) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"SS": []}, "One or more parameter values were invalid: An string set  may not be empty"),
        ({"NS": []}, "One or more parameter values were invalid: An number set  may not be empty"),
        ({"BS": []}, "One or more parameter values were invalid: Binary sets should not be empty"),
        ({"SS": ["a", "a"]}, "One or more parameter values were invalid: Input collection [a, a] contains duplicates."),
        ({"NS": ["1", "1.0"]}, "Input collection contains duplicates"),
        (
            {"NULL": False},
            "One or more parameter values were invalid: Null attribute value types must have the value of true",
        ),
        ({}, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
    ],
)
def test_wrong_values_are_refused(table, value, words):
    assert invalid(table.put_item, TableName="things", Item={"pk": {"S": "n"}, "v": value}) == words


def nested(depth):
    value = {"S": "end"}
    for _ in range(depth):
        value = {"L": [value]}
    return value


def test_an_item_nests_32_levels_deep(table):
    put(table, pk={"S": "deep"}, v=nested(32))
    message = invalid(table.put_item, TableName="things", Item={"pk": {"S": "deep"}, "v": nested(33)})
    assert message.startswith("Nesting Levels have exceeded supported limits")


def test_an_item_has_at_most_400_kb_names_included(table):
    room = 400 * 1024 - len("pk") - len("k") - len("v")
    put(table, pk={"S": "k"}, v={"S": "x" * room})
    message = invalid(table.put_item, TableName="things", Item={"pk": {"S": "k"}, "v": {"S": "x" * (room + 1)}})
    assert message == "Item size has exceeded the maximum allowed size"
    grown = {"UpdateExpression": "SET w = :w", "ExpressionAttributeValues": {":w": {"S": ""}}}
    message = invalid(table.update_item, TableName="things", Key={"pk": {"S": "k"}}, **grown)
    assert message == "Item size to update has exceeded the maximum allowed size"


def test_key_values_have_limits(db):
    make(db, "things", sk=("sk", "S"))

    def say(pk, sk):
        return invalid(db.put_item, TableName="things", Item={"pk": {"S": pk}, "sk": {"S": sk}})

    put(db, pk={"S": "x" * 2048}, sk={"S": "y" * 1024})
    assert "Size of hashkey has exceeded the maximum size limit of2048 bytes" in say("x" * 2049, "y")
    assert "Aggregated size of all range keys has exceeded the size limit of 1024 bytes" in say("x", "y" * 1025)
    assert say("", "y").endswith("The AttributeValue for a key attribute cannot contain an empty string value. Key: pk")


def test_a_key_must_fit_the_schema(table):
    def say(item):
        return invalid(table.put_item, TableName="things", Item=item)

    assert say({"x": {"S": "1"}}) == "One or more parameter values were invalid: Missing the key pk in the item"
    words = "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N"
    assert say({"pk": {"N": "1"}}) == words
    for key in ({}, {"pk": {"N": "1"}}, {"pk": {"S": "1"}, "x": {"S": "1"}}):
        assert (
            invalid(table.get_item, TableName="things", Key=key) == "The provided key element does not match the schema"
        )


def test_items_of_a_missing_table_are_not_found(db):
    words = ("ResourceNotFoundException", "Requested resource not found")
    assert failure(db.get_item, TableName="nothing", Key={"a": {"S": "b"}}) == words
    assert failure(db.put_item, TableName="nothing", Item={"a": {"S": "b"}}) == words


def test_put_returns_the_old_item_when_asked(table):
    assert "Attributes" not in table.put_item(TableName="things", Item={"pk": {"S": "k"}}, ReturnValues="ALL_OLD")
    old = table.put_item(TableName="things", Item={"pk": {"S": "k"}, "n": {"N": "1"}}, ReturnValues="ALL_OLD")
    assert old["Attributes"] == {"pk": {"S": "k"}}
    words = "ReturnValues can only be ALL_OLD or NONE"
    assert invalid(table.put_item, TableName="things", Item={"pk": {"S": "k"}}, ReturnValues="ALL_NEW") == words


def test_delete_returns_the_old_item_and_bears_repetition(table):
    put(table, pk={"S": "k"}, n={"N": "1"})
    gone = table.delete_item(TableName="things", Key={"pk": {"S": "k"}}, ReturnValues="ALL_OLD")
    assert gone["Attributes"]["n"] == {"N": "1"}
    again = table.delete_item(TableName="things", Key={"pk": {"S": "k"}}, ReturnValues="ALL_OLD")
    assert "Attributes" not in again
    assert get(table, pk={"S": "k"}) is None


def test_a_failed_condition_changes_nothing_and_can_show_the_item(table):
    put(table, pk={"S": "k"}, n={"N": "1"})
    with pytest.raises(table.exceptions.ConditionalCheckFailedException) as caught:
        table.put_item(
            TableName="things", Item={"pk": {"S": "k"}}, ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )  # fmt: skip
    assert caught.value.response["Error"]["Message"] == "The conditional request failed"
    assert caught.value.response["Item"] == {"pk": {"S": "k"}, "n": {"N": "1"}}
    assert get(table, pk={"S": "k"})["n"] == {"N": "1"}


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        ("NONE", None),
        ("ALL_OLD", {"pk": {"S": "k"}, "a": {"N": "1"}, "m": {"M": {"x": {"N": "1"}, "y": {"N": "2"}}}}),
        ("ALL_NEW", {"pk": {"S": "k"}, "a": {"N": "2"}, "m": {"M": {"x": {"N": "9"}, "y": {"N": "2"}}}}),
        ("UPDATED_OLD", {"a": {"N": "1"}, "m": {"M": {"x": {"N": "1"}}}}),
        ("UPDATED_NEW", {"a": {"N": "2"}, "m": {"M": {"x": {"N": "9"}}}}),
    ],
)
def test_update_returns_what_is_asked_for(table, wanted, answer):
    put(table, pk={"S": "k"}, a={"N": "1"}, m={"M": {"x": {"N": "1"}, "y": {"N": "2"}}})
    out = table.update_item(
        TableName="things", Key={"pk": {"S": "k"}}, UpdateExpression="SET a = a + :o, m.x = :n",
        ExpressionAttributeValues={":o": {"N": "1"}, ":n": {"N": "9"}}, ReturnValues=wanted,
    )  # fmt: skip
    assert out.get("Attributes") == answer


def test_update_creates_the_item_with_its_key(table):
    table.update_item(TableName="things", Key={"pk": {"S": "new"}})
    assert get(table, pk={"S": "new"}) == {"pk": {"S": "new"}}


def test_capacity_is_counted_as_aws_does(table):
    item = {"pk": {"S": "k"}, "v": {"S": "x" * 5000}}

    def units(call, **arguments):
        return call(TableName="things", ReturnConsumedCapacity="TOTAL", **arguments)["ConsumedCapacity"][
            "CapacityUnits"
        ]

    key = {"Key": {"pk": {"S": "k"}}}
    assert units(table.get_item, **key) == 0.5
    assert units(table.put_item, Item=item) == 5
    assert units(table.put_item, Item={"pk": {"S": "k"}}) == 5  # the larger of before and after
    assert units(table.put_item, Item=item) == math.ceil(5004 / 1024)
    assert units(table.get_item, **key) == 1.0
    assert units(table.get_item, **key, ConsistentRead=True) == 2.0
    assert units(table.scan) == 1.0
    assert units(table.delete_item, **key) == 5
    assert units(table.delete_item, **key) == 1


# time to live


def test_expired_items_go_and_others_stay(table, clock):
    table.update_time_to_live(TableName="things", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    status = table.describe_time_to_live(TableName="things")["TimeToLiveDescription"]
    assert status == {"TimeToLiveStatus": "ENABLED", "AttributeName": "until"}
    now = int(clock.now())
    put(table, pk={"S": "soon"}, until={"N": str(now + 100)})
    put(table, pk={"S": "later"}, until={"N": str(now + 10_000)})
    put(table, pk={"S": "renewed"}, until={"N": str(now + 100)})
    put(table, pk={"S": "renewed"}, until={"N": str(now + 20_000)})
    put(table, pk={"S": "text"}, until={"S": str(now + 100)})
    put(table, pk={"S": "ancient"}, until={"N": str(now - 6 * 365 * 86400)})
    put(table, pk={"S": "never"})
    clock.advance(90)
    assert table.scan(TableName="things")["Count"] == 6
    clock.advance(20)
    left = {item["pk"]["S"] for item in table.scan(TableName="things")["Items"]}
    assert left == {"later", "renewed", "text", "ancient", "never"}
    clock.advance(20_000)
    assert table.scan(TableName="things")["Count"] == 3


def test_items_that_were_there_before_expire_too(table, clock):
    for i in range(600 // 25):
        rows = [
            {"PutRequest": {"Item": {"pk": {"S": f"{i}-{j}"}, "until": {"N": str(int(clock.now()) + 60)}}}}
            for j in range(25)
        ]
        table.batch_write_item(RequestItems={"things": rows})
    table.update_time_to_live(TableName="things", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    words = "TimeToLive is already enabled"
    spec = {"Enabled": True, "AttributeName": "until"}
    assert invalid(table.update_time_to_live, TableName="things", TimeToLiveSpecification=spec) == words
    clock.advance(70)
    assert table.scan(TableName="things")["Count"] == 0


def test_expiry_switched_off_keeps_items(table, clock):
    spec = {"Enabled": True, "AttributeName": "until"}
    table.update_time_to_live(TableName="things", TimeToLiveSpecification=spec)
    put(table, pk={"S": "a"}, until={"N": str(int(clock.now()) + 3660)})
    clock.advance(3600)
    table.update_time_to_live(TableName="things", TimeToLiveSpecification={**spec, "Enabled": False})
    clock.advance(600)
    assert table.scan(TableName="things")["Count"] == 1


# the resource interface of boto3


def test_the_resource_interface_works(aws, table):
    from decimal import Decimal

    from boto3.dynamodb.conditions import Attr, Key

    things = aws("dynamodb", resource=True).Table("things")
    things.put_item(Item={"pk": "a", "n": Decimal("1.5"), "tags": {"x", "y"}, "deep": {"list": [1, None, b"raw"]}})
    found = things.get_item(Key={"pk": "a"})["Item"]
    assert found["n"] == Decimal("1.5")
    assert found["tags"] == {"x", "y"}
    for test in (
        Attr("n").gt(1),
        Attr("deep.list[2]").eq(b"raw"),
        Attr("deep.list").size().eq(3),
        Attr("tags").contains("x"),
    ):
        assert things.query(KeyConditionExpression=Key("pk").eq("a"), FilterExpression=test)["Count"] == 1
    with things.batch_writer() as batch:
        for i in range(60):
            batch.put_item(Item={"pk": f"b{i}"})
    assert things.scan(FilterExpression=Attr("pk").begins_with("b"))["Count"] == 60
