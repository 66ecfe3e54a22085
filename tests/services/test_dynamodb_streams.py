"""DynamoDB Streams through boto3: enabling and disabling, records, iterators, shards that roll, split and expire."""

import pytest
from botocore.exceptions import ClientError

from cumulet.services.dynamodb.keys import bucket, key_part

HOUR = 3600
VIEWS = ("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES")


@pytest.fixture
def db(aws):
    return aws("dynamodb")


@pytest.fixture
def api(aws):
    return aws("dynamodbstreams")


@pytest.fixture
def create(db, server):
    def run(name="forum", view="NEW_AND_OLD_IMAGES", kind="S", **more):
        spec = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": view}} if view else {}
        table = {
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": kind}],
            "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
            **spec,
            **more,
        }
        described = db.create_table(TableName=name, **table)["TableDescription"]
        server.quiet()
        return described.get("LatestStreamArn")

    return run


def update(db, server, enabled, view=None, name="forum"):
    spec = {"StreamEnabled": enabled, **({"StreamViewType": view} if view else {})}
    described = db.update_table(TableName=name, StreamSpecification=spec)["TableDescription"]
    server.quiet()
    return described


def shards_of(api, arn, **more):
    return api.describe_stream(StreamArn=arn, **more)["StreamDescription"]["Shards"]


def iterator(api, arn, shard, kind="TRIM_HORIZON", **more):
    return api.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType=kind, **more)["ShardIterator"]


def read_shard(api, arn, shard):
    found, at = [], iterator(api, arn, shard)
    while at:
        page = api.get_records(ShardIterator=at)
        found += page["Records"]
        at = page.get("NextShardIterator") if page["Records"] else None
    return found


def read(api, arn):
    """All records, shard after shard, parents first."""
    return [record for shard in shards_of(api, arn) for record in read_shard(api, arn, shard["ShardId"])]


def put(db, key, text=None, name="forum"):
    db.put_item(TableName=name, Item={"Id": {"S": key}, **({"Message": {"S": text}} if text is not None else {})})


def same_shard_keys(count):
    """Keys of the first of a fresh table's four shards."""
    keys = (f"k{n}" for n in range(100_000))
    return [key for key in keys if bucket(key_part("S", key))[1] <= 4][:count]


def summary(records):
    return [(r["eventName"], r["dynamodb"]["Keys"]["Id"]["S"]) for r in records]


def refused(call, *, code, match=None):
    with pytest.raises(ClientError, match=match) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code


# records


def test_the_documentations_example_gives_the_documentations_sizes(db, api, create, clock):
    """B17.1: insert, change and removal, each once. Source: API_streams_GetRecords, "Sample Response"."""
    arn = create(kind="N")
    key = {"Id": {"N": "101"}}
    db.put_item(TableName="forum", Item={**key, "Message": {"S": "New item!"}})
    db.put_item(TableName="forum", Item={**key, "Message": {"S": "This item has changed"}})
    db.delete_item(TableName="forum", Key=key)
    new, changed, removed = read(api, arn)
    assert [r["eventName"] for r in (new, changed, removed)] == ["INSERT", "MODIFY", "REMOVE"]
    assert [r["dynamodb"]["SizeBytes"] for r in (new, changed, removed)] == [26, 59, 38]
    item = {**key, "Message": {"S": "This item has changed"}}
    now = int(changed["dynamodb"]["ApproximateCreationDateTime"].timestamp())
    assert now == int(clock.now())
    assert {**changed, "dynamodb": {**changed["dynamodb"], "ApproximateCreationDateTime": None}} == {
        "eventID": changed["eventID"], "eventName": "MODIFY", "eventVersion": "1.1", "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": None, "Keys": key, "NewImage": item, "SizeBytes": 59,
            "OldImage": {**key, "Message": {"S": "New item!"}}, "SequenceNumber": changed["dynamodb"]["SequenceNumber"],
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }  # fmt: skip
    numbers = [int(r["dynamodb"]["SequenceNumber"]) for r in (new, changed, removed)]
    assert numbers == sorted(set(numbers))
    assert all(len(str(number)) >= 21 for number in numbers)
    assert len({r["eventID"] for r in (new, changed, removed)}) == 3


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_shows_what_it_promises(db, api, create, view):
    arn = create(view=view)
    put(db, "a", "one")
    put(db, "a", "two")
    db.delete_item(TableName="forum", Key={"Id": {"S": "a"}})
    old, new = "OLD" in view, "NEW" in view
    images = [set(r["dynamodb"]) & {"NewImage", "OldImage"} for r in read(api, arn)]
    expected = [{"NewImage"} if new else set(), set(), {"OldImage"} if old else set()]
    expected[1] = {name for name, shown in (("NewImage", new), ("OldImage", old)) if shown}
    assert images == expected
    assert {r["dynamodb"]["StreamViewType"] for r in read(api, arn)} == {view}
    assert all(r["dynamodb"]["Keys"] == {"Id": {"S": "a"}} for r in read(api, arn))


def test_what_changes_nothing_leaves_no_record(db, api, create):
    """B17.1: exactly one record for a real change, none for a no-op."""
    arn = create()
    item = {"Id": {"S": "a"}, "n": {"N": "1"}, "s": {"SS": ["x", "y"]}}
    key = {"Id": {"S": "a"}}
    db.delete_item(TableName="forum", Key=key)
    db.put_item(TableName="forum", Item=item)
    db.put_item(TableName="forum", Item=item)
    db.put_item(TableName="forum", Item={"s": {"SS": ["y", "x"]}, "n": {"N": "1.0"}, **key})
    db.update_item(
        TableName="forum", Key=key, UpdateExpression="SET n = :n", ExpressionAttributeValues={":n": {"N": "1"}}
    )
    db.update_item(TableName="forum", Key=key)
    values = {":n": {"N": "2"}}
    with pytest.raises(ClientError, match="conditional"):
        db.put_item(
            TableName="forum",
            Item={**key, "n": {"N": "7"}},
            ConditionExpression="n = :n",
            ExpressionAttributeValues=values,
        )
    assert summary(read(api, arn)) == [("INSERT", "a")]
    db.update_item(TableName="forum", Key=key, UpdateExpression="SET n = :n", ExpressionAttributeValues=values)
    db.put_item(TableName="forum", Item={**key, "m": {"N": "2"}, "s": {"SS": ["x", "y"]}})
    assert [r["eventName"] for r in read(api, arn)] == ["INSERT", "MODIFY", "MODIFY"]


def test_batches_and_transactions_leave_one_record_for_each_item(db, api, create):
    arn = create()
    puts = [{"PutRequest": {"Item": {"Id": {"S": f"b{n}"}}}} for n in range(25)]
    db.batch_write_item(RequestItems={"forum": puts})
    db.batch_write_item(RequestItems={"forum": [{"DeleteRequest": {"Key": {"Id": {"S": "b0"}}}}, *puts[1:]]})
    update = {
        "TableName": "forum", "Key": {"Id": {"S": "b1"}}, "UpdateExpression": "SET n = :n",
        "ExpressionAttributeValues": {":n": {"N": "1"}},
    }  # fmt: skip
    there = {"TableName": "forum", "Key": {"Id": {"S": "b2"}}, "ConditionExpression": "attribute_exists(Id)"}
    db.transact_write_items(
        TransactItems=[
            {"Update": update},
            {"Delete": {"TableName": "forum", "Key": {"Id": {"S": "b3"}}}},
            {"ConditionCheck": there},
        ]
    )
    gone = {"TableName": "forum", "Key": {"Id": {"S": "b0"}}, "ConditionExpression": "attribute_exists(Id)"}
    with pytest.raises(ClientError, match="cancelled"):
        db.transact_write_items(
            TransactItems=[{"Put": {"TableName": "forum", "Item": {"Id": {"S": "zz"}}}}, {"Delete": gone}]
        )
    expected = [("INSERT", f"b{n}") for n in range(25)] + [("REMOVE", "b0"), ("MODIFY", "b1"), ("REMOVE", "b3")]
    assert sorted(summary(read(api, arn))) == sorted(expected)


def test_statements_leave_records_too(db, api, create):
    arn = create()
    db.execute_statement(Statement="INSERT INTO forum VALUE {'Id': 'a', 'n': 1}")
    db.execute_statement(Statement="UPDATE forum SET n = 1 WHERE Id = 'a'")
    db.execute_statement(Statement="UPDATE forum SET n = 2 WHERE Id = 'a'")
    db.execute_statement(Statement="DELETE FROM forum WHERE Id = 'a'")
    assert summary(read(api, arn)) == [("INSERT", "a"), ("MODIFY", "a"), ("REMOVE", "a")]


def test_time_to_live_marks_its_removals_as_the_services(db, api, create, clock):
    arn = create()
    db.update_time_to_live(TableName="forum", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    db.put_item(TableName="forum", Item={"Id": {"S": "a"}, "until": {"N": str(int(clock.now()) + 60)}})
    db.put_item(TableName="forum", Item={"Id": {"S": "b"}})
    db.delete_item(TableName="forum", Key={"Id": {"S": "b"}})
    clock.advance(120)
    records = {(r["eventName"], r["dynamodb"]["Keys"]["Id"]["S"]): r for r in read(api, arn)}
    expired = records["REMOVE", "a"]
    assert expired["userIdentity"] == {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
    assert expired["dynamodb"]["OldImage"]["Id"] == {"S": "a"}
    assert [key for key, record in records.items() if "userIdentity" in record] == [("REMOVE", "a")]


def test_binary_values_come_back_as_bytes(db, api, create):
    arn = create(kind="B")
    db.put_item(TableName="forum", Item={"Id": {"B": b"\x00\xff"}, "d": {"BS": [b"a", b"b"]}})
    (record,) = read(api, arn)
    assert record["dynamodb"]["Keys"] == {"Id": {"B": b"\x00\xff"}}
    assert record["dynamodb"]["NewImage"]["d"] == {"BS": [b"a", b"b"]}


def test_changes_of_one_key_stay_in_order_over_rolls(db, api, create, clock):
    """B17.2: a key's changes are in one line of shards, in order."""
    arn = create()
    for n in range(30):
        for key in ("a", "b", "c"):
            put(db, key, f"{n}")
        if n % 10 == 9:
            clock.advance(4 * HOUR)
    seen = {}
    for record in read(api, arn):
        change = record["dynamodb"]
        seen.setdefault(change["Keys"]["Id"]["S"], []).append(int(change["NewImage"]["Message"]["S"]))
    assert seen == {key: list(range(30)) for key in "abc"}


# streams


def test_a_stream_is_enabled_and_disabled(db, api, create, server):
    assert create(view=None) is None
    put(db, "before", "x")
    assert "LatestStreamArn" not in db.describe_table(TableName="forum")["Table"]
    described = update(db, server, True, "KEYS_ONLY")
    arn = described["LatestStreamArn"]
    assert described["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    assert arn == f"{described['TableArn']}/stream/{described['LatestStreamLabel']}"
    put(db, "while", "x")
    described = update(db, server, False)
    assert "StreamSpecification" not in described
    assert described["LatestStreamArn"] == arn
    put(db, "after", "x")
    stream = api.describe_stream(StreamArn=arn)["StreamDescription"]
    assert (stream["StreamStatus"], stream["TableName"], stream["StreamViewType"]) == ("DISABLED", "forum", "KEYS_ONLY")
    assert stream["KeySchema"] == [{"AttributeName": "Id", "KeyType": "HASH"}]
    assert stream["StreamLabel"] == described["LatestStreamLabel"]
    assert summary(read(api, arn)) == [("INSERT", "while")]
    again = update(db, server, True, "NEW_IMAGE")["LatestStreamArn"]
    assert again != arn
    put(db, "again", "x")
    assert summary(read(api, again)) == [("INSERT", "again")]
    assert [s["StreamArn"] for s in api.list_streams(TableName="forum")["Streams"]] == [arn, again]


def test_what_cannot_be_enabled_or_disabled_is_refused_in_aws_words(db, create, server):
    create(view=None)
    refused(
        lambda: update(db, server, False),
        code="ValidationException",
        match="Table has no stream to disable: TableName: forum$",
    )
    refused(lambda: update(db, server, True), code="ValidationException", match="StreamViewType")
    update(db, server, True, "NEW_IMAGE")
    refused(
        lambda: update(db, server, True, "OLD_IMAGE"),
        code="ValidationException", match="Table already has an enabled stream: TableName: forum$",
    )  # fmt: skip
    refused(
        lambda: update(db, server, False, "NEW_IMAGE"),
        code="ValidationException", match="If stream is being disabled, then UpdateViewType must not be specified",
    )  # fmt: skip
    refused(
        lambda: create(name="other", StreamSpecification={"StreamEnabled": False, "StreamViewType": "NEW_IMAGE"}),
        code="ValidationException", match="Table is being created with a stream disabled, UpdateViewType should not be specified",
    )  # fmt: skip
    assert create(name="other", StreamSpecification={"StreamEnabled": False}) is None


def test_a_disabled_stream_is_read_for_24_hours(db, api, create, server, clock):
    arn = create()
    put(db, "a", "x")
    update(db, server, False)
    clock.advance(24 * HOUR - 60)
    assert summary(read(api, arn)) == [("INSERT", "a")]
    clock.advance(120)
    text = f"Requested resource not found: Stream: {arn} not found"
    refused(lambda: api.describe_stream(StreamArn=arn), code="ResourceNotFoundException", match=text)
    assert "LatestStreamArn" not in db.describe_table(TableName="forum")["Table"]


def test_the_stream_of_a_deleted_table_is_read_for_24_hours(db, api, create, server, clock):
    arn = create()
    put(db, "a", "x")
    db.delete_table(TableName="forum")
    server.quiet()
    clock.advance(1)
    second = create()
    put(db, "b", "x")
    assert api.describe_stream(StreamArn=arn)["StreamDescription"]["StreamStatus"] == "DISABLED"
    assert summary(read(api, arn)) == [("INSERT", "a")]
    assert summary(read(api, second)) == [("INSERT", "b")]
    clock.advance(24 * HOUR + 60)
    assert [s["StreamArn"] for s in api.list_streams()["Streams"]] == [second]
    db.delete_table(TableName="forum")
    server.quiet()
    clock.advance(24 * HOUR + 60)
    kept = [
        key for key in _keys(server) if key[0] == "dynamodb" and key[1] in ("stream", "shard", "record", "sequence")
    ]
    assert kept == []


def _keys(server):
    async def keys():
        from cumulet.kernel.tx import TimerScope

        return list(server.cloud.store.begin(TimerScope(account="", region="")).scan_keys(()))

    return server.run(keys())


def test_streams_are_listed_in_pages(api, create):
    arns = sorted(create(name=f"table-{n:03d}") for n in range(5))
    first = api.list_streams(Limit=2)
    assert [s["StreamArn"] for s in first["Streams"]] == arns[:2]
    assert first["Streams"][0]["TableName"] == "table-000"
    second = api.list_streams(Limit=3, ExclusiveStartStreamArn=first["LastEvaluatedStreamArn"])
    assert [s["StreamArn"] for s in second["Streams"]] == arns[2:]
    assert "LastEvaluatedStreamArn" not in second
    assert len(api.list_streams(Limit=100)["Streams"]) == 5
    refused(
        lambda: api.list_streams(Limit=101),
        code="ValidationException",
        match="Value '101' at 'limit'.*less than or equal to 100",
    )
    assert api.list_streams(TableName="table-0")["Streams"] == []


# shards


@pytest.mark.parametrize(
    ("writes", "reads", "count"),
    [(1, 1, 1), (999, 3, 1), (999, 4, 2), (1000, 1, 2), (2000, 3000, 4), (8000, 1, 16), (40000, 1, 16)],
)
def test_a_provisioned_table_has_a_shard_for_each_partition(api, create, writes, reads, count):
    units = {"ReadCapacityUnits": reads, "WriteCapacityUnits": writes}
    arn = create(BillingMode="PROVISIONED", ProvisionedThroughput=units)
    assert len(shards_of(api, arn)) == count


def test_open_shards_roll_over_after_four_hours_and_expire_24_hours_after_closing(db, api, create, clock):
    arn = create()
    put(db, "a", "x")
    first = shards_of(api, arn)
    assert len(first) == 4
    assert not any("EndingSequenceNumber" in s["SequenceNumberRange"] or "ParentShardId" in s for s in first)
    clock.advance(4 * HOUR - 1)
    assert shards_of(api, arn) == first
    clock.advance(1)
    rolled = shards_of(api, arn)
    assert [s["ShardId"] for s in rolled[:4]] == [s["ShardId"] for s in first]
    assert [s["ParentShardId"] for s in rolled[4:]] == [s["ShardId"] for s in first]
    for closed in rolled[:4]:
        numbers = closed["SequenceNumberRange"]
        count = int(numbers["EndingSequenceNumber"]) - int(numbers["StartingSequenceNumber"])
        assert count == len(read_shard(api, arn, closed["ShardId"]))
    assert max(int(s["SequenceNumberRange"]["EndingSequenceNumber"]) for s in rolled[:4]) < min(
        int(s["SequenceNumberRange"]["StartingSequenceNumber"]) for s in rolled[4:]
    )
    put(db, "a", "y")
    assert [r["eventName"] for r in read(api, arn)] == ["INSERT", "MODIFY"]
    clock.advance(24 * HOUR - 1)
    assert {s["ShardId"] for s in first} <= {s["ShardId"] for s in shards_of(api, arn)}
    clock.advance(1)
    assert not {s["ShardId"] for s in first} & {s["ShardId"] for s in shards_of(api, arn)}
    refused(
        lambda: iterator(api, arn, first[0]["ShardId"]), code="ResourceNotFoundException", match="Shard does not exist"
    )


def test_shards_are_described_in_pages_and_by_parent(api, create, clock):
    arn = create()
    clock.advance(8 * HOUR)
    everything = shards_of(api, arn)
    assert len(everything) == 12
    paged, start = [], {}
    while True:
        page = api.describe_stream(StreamArn=arn, Limit=5, **start)["StreamDescription"]
        paged += page["Shards"]
        if "LastEvaluatedShardId" not in page:
            break
        start = {"ExclusiveStartShardId": page["LastEvaluatedShardId"]}
    assert paged == everything
    parent = everything[1]["ShardId"]
    children = shards_of(api, arn, ShardFilter={"Type": "CHILD_SHARDS", "ShardId": parent})
    assert [s["ParentShardId"] for s in children] == [parent]
    assert shards_of(api, arn, ShardFilter={"Type": "CHILD_SHARDS", "ShardId": everything[-1]["ShardId"]}) == []
    refused(
        lambda: shards_of(api, arn, ShardFilter={"Type": "CHILD_SHARDS"}),
        code="ValidationException",
        match="ShardFilter",
    )
    refused(lambda: shards_of(api, arn, Limit=101), code="ValidationException", match="less than or equal to 100")
    assert len(shards_of(api, arn, Limit=100)) == 12


def test_records_are_trimmed_after_24_hours(db, api, create, clock):
    arn = create()
    early, late = same_shard_keys(2)
    put(db, early, "x")
    clock.advance(HOUR)
    put(db, late, "x")
    shard = shards_of(api, arn)[0]["ShardId"]
    old, new = (r["dynamodb"]["SequenceNumber"] for r in read_shard(api, arn, shard))
    clock.advance(23 * HOUR - 1)
    assert len(read_shard(api, arn, shard)) == 2
    at = iterator(api, arn, shard, "AT_SEQUENCE_NUMBER", SequenceNumber=old)
    behind = iterator(api, arn, shard, "AFTER_SEQUENCE_NUMBER", SequenceNumber=old)
    horizon = iterator(api, arn, shard)
    clock.advance(61)
    assert summary(read_shard(api, arn, shard)) == [("INSERT", late)]
    for gone in (at, horizon):
        refused(
            lambda gone=gone: api.get_records(ShardIterator=gone),
            code="TrimmedDataAccessException",
            match="has been trimmed",
        )
    assert [r["dynamodb"]["SequenceNumber"] for r in api.get_records(ShardIterator=behind)["Records"]] == [new]
    refused(
        lambda: iterator(api, arn, shard, "AT_SEQUENCE_NUMBER", SequenceNumber=old), code="TrimmedDataAccessException"
    )
    clock.advance(HOUR)
    assert read_shard(api, arn, shard) == []
    assert read(api, arn) == []


# iterators


def test_iterators_of_all_kinds_point_where_they_say(db, api, create, clock):
    arn = create()
    keys = same_shard_keys(4)
    times = []
    for key in keys:
        times.append(clock.now())
        put(db, key, "x")
        clock.advance(10)
    shard = shards_of(api, arn)[0]["ShardId"]
    numbers = [r["dynamodb"]["SequenceNumber"] for r in read_shard(api, arn, shard)]

    def keys_from(kind, **more):
        found = api.get_records(ShardIterator=iterator(api, arn, shard, kind, **more))["Records"]
        return [r["dynamodb"]["Keys"]["Id"]["S"] for r in found]

    assert keys_from("TRIM_HORIZON") == keys
    assert keys_from("LATEST") == []
    assert keys_from("AT_SEQUENCE_NUMBER", SequenceNumber=numbers[1]) == keys[1:]
    assert keys_from("AFTER_SEQUENCE_NUMBER", SequenceNumber=numbers[1]) == keys[2:]
    assert keys_from("AFTER_SEQUENCE_NUMBER", SequenceNumber=numbers[3]) == []
    start = shards_of(api, arn)[0]["SequenceNumberRange"]["StartingSequenceNumber"]
    assert keys_from("AT_SEQUENCE_NUMBER", SequenceNumber=start) == keys
    assert keys_from("AT_TIMESTAMP", Timestamp=times[0] - 1) == keys
    assert keys_from("AT_TIMESTAMP", Timestamp=times[2] - 1) == keys[2:]
    assert keys_from("AT_TIMESTAMP", Timestamp=times[3] + 1) == []
    newest = iterator(api, arn, shard, "LATEST")
    put(db, keys[0], "y")
    assert summary(api.get_records(ShardIterator=newest)["Records"]) == [("MODIFY", keys[0])]


def test_an_iterator_lives_for_15_minutes(db, api, create, clock):
    arn = create()
    shard = shards_of(api, arn)[0]["ShardId"]
    at = iterator(api, arn, shard)
    clock.advance(15 * 60 - 1)
    following = api.get_records(ShardIterator=at)["NextShardIterator"]
    clock.advance(1)
    refused(
        lambda: api.get_records(ShardIterator=at), code="ExpiredIteratorException", match="shard iterator has expired"
    )
    assert api.get_records(ShardIterator=following)["Records"] == []


def test_the_last_iterator_of_a_closed_shard_is_followed_by_none(db, api, create, clock):
    arn = create()
    (key,) = same_shard_keys(1)
    put(db, key, "x")
    put(db, key, "y")
    shard = shards_of(api, arn)[0]["ShardId"]
    opened = api.get_records(ShardIterator=iterator(api, arn, shard))
    assert len(opened["Records"]) == 2
    assert "NextShardIterator" in opened
    clock.advance(4 * HOUR)
    first = api.get_records(ShardIterator=iterator(api, arn, shard), Limit=1)
    assert len(first["Records"]) == 1
    second = api.get_records(ShardIterator=first["NextShardIterator"], Limit=1)
    assert len(second["Records"]) == 1
    assert "NextShardIterator" not in second
    assert "NextShardIterator" not in api.get_records(ShardIterator=iterator(api, arn, shard, "LATEST"))


def test_a_stream_is_of_its_region(aws, db, create):
    arn = create()
    elsewhere = aws("dynamodbstreams", region_name="eu-west-1")
    refused(lambda: elsewhere.describe_stream(StreamArn=arn), code="ResourceNotFoundException", match="not found")
    assert elsewhere.list_streams()["Streams"] == []


def test_wrong_iterators_are_refused(db, api, create):
    arn = create()
    shard = shards_of(api, arn)[0]["ShardId"]
    other = arn[:-1] + ("0" if arn[-1] != "0" else "1")
    refused(lambda: iterator(api, other, shard), code="ResourceNotFoundException", match="Stream: .* not found")
    refused(
        lambda: iterator(api, "arn:aws:dynamodb:us-east-1:000000000000:table/forum", shard),
        code="ValidationException",
        match="StreamArn",
    )
    refused(
        lambda: iterator(api, arn, "shardId-00000000000000000001-0"),
        code="ResourceNotFoundException",
        match="Shard does not exist",
    )
    refused(
        lambda: iterator(api, arn, shard[:-1] + "9"), code="ResourceNotFoundException", match="Shard does not exist"
    )
    refused(lambda: iterator(api, arn, shard, "AT_SEQUENCE_NUMBER"), code="ValidationException", match="SequenceNumber")
    refused(
        lambda: iterator(api, arn, shard, "LATEST", SequenceNumber="1" * 21),
        code="ValidationException",
        match="SequenceNumber",
    )
    refused(lambda: iterator(api, arn, shard, "AT_TIMESTAMP"), code="ValidationException", match="Timestamp")
    for number in ("1" * 21, "9" * 22, "x" * 21):
        refused(
            lambda number=number: iterator(api, arn, shard, "AT_SEQUENCE_NUMBER", SequenceNumber=number),
            code="ValidationException", match="Invalid SequenceNumber",
        )  # fmt: skip
    at = iterator(api, arn, shard)
    behind = str(int(shards_of(api, arn)[0]["SequenceNumberRange"]["StartingSequenceNumber"]) + 2)
    refused(
        lambda: iterator(api, arn, shard, "AT_SEQUENCE_NUMBER", SequenceNumber=behind),
        code="ValidationException", match="Invalid SequenceNumber",
    )  # fmt: skip
    for broken in ("x", f"{arn}|1|!", f"{arn}|1|e30=", at.replace("|1|", "|2|")):
        refused(
            lambda broken=broken: api.get_records(ShardIterator=broken),
            code="ValidationException",
            match="Invalid ShardIterator",
        )


def test_a_page_has_1000_records_at_most(db, api, create):
    arn = create(view="KEYS_ONLY")
    write_many(db, same_shard_keys(25), 1001)
    shard = shards_of(api, arn)[0]["ShardId"]
    page = api.get_records(ShardIterator=iterator(api, arn, shard))
    assert len(page["Records"]) == 1000
    assert len(api.get_records(ShardIterator=page["NextShardIterator"])["Records"]) == 1
    assert len(api.get_records(ShardIterator=iterator(api, arn, shard), Limit=3)["Records"]) == 3
    refused(
        lambda: api.get_records(ShardIterator=iterator(api, arn, shard), Limit=1001),
        code="LimitExceededException",
        match="1000",
    )


def write_many(db, keys, count):
    """So many changes, in batches."""
    puts = [{"PutRequest": {"Item": {"Id": {"S": keys[n % len(keys)]}, "n": {"N": str(n)}}}} for n in range(count)]
    for at in range(0, count, len(keys)):
        db.batch_write_item(RequestItems={"forum": puts[at : at + len(keys)]})


def test_a_page_has_one_megabyte_at_most_but_one_record_at_least(db, api, create):
    arn = create(view="NEW_AND_OLD_IMAGES")
    (key,) = same_shard_keys(1)
    for size in (300_000, 300_001, 399_000, 399_001, 399_002):
        put(db, key, "x" * size)
    shard = shards_of(api, arn)[0]["ShardId"]
    at, sizes = iterator(api, arn, shard), []
    while True:
        page = api.get_records(ShardIterator=at)
        if not page["Records"]:
            break
        sizes.append([r["dynamodb"]["SizeBytes"] for r in page["Records"]])
        at = page["NextShardIterator"]
    assert [len(page) for page in sizes] == [2, 1, 1, 1]
    assert all(sum(page) <= 1024 * 1024 for page in sizes)
