"""DynamoDB's metrics in CloudWatch: capacity of tables and indexes, items returned, items expired."""

import pytest

INDEX = {
    "IndexName": "by-g",
    "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}


@pytest.fixture
def db(aws, server):
    client = aws("dynamodb")
    client.create_table(
        TableName="items", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], GlobalSecondaryIndexes=[INDEX],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "g")],
    )  # fmt: skip
    server.quiet()
    return client


@pytest.fixture
def total(aws, clock):
    """The sum of a metric over what the test did, which ends here."""
    began = clock.now()
    done = []

    def read(metric, **dimensions):
        if not done:
            clock.advance(120)
            done.append(True)
        points = aws("cloudwatch").get_metric_statistics(
            Namespace="AWS/DynamoDB", MetricName=metric, Period=60, Statistics=["Sum"], StartTime=began - 60,
            EndTime=clock.now() + 60, Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        )["Datapoints"]  # fmt: skip
        return sum(point["Sum"] for point in points)

    return read


def item(key, size=10, **more):
    return {"id": {"S": key}, "d": {"S": "x" * size}, **more}


def test_writes_count_their_units_by_table_and_by_index(db, total):
    db.put_item(TableName="items", Item=item("a"))  # 1
    db.put_item(TableName="items", Item=item("a", 2000))  # 2
    db.put_item(TableName="items", Item=item("a"))  # 2: the larger of the two
    db.put_item(TableName="items", Item=item("b", g={"S": "x"}))  # 1, and 1 of the index
    update = {"UpdateExpression": "SET g = :g", "ExpressionAttributeValues": {":g": {"S": "y"}}}
    db.update_item(
        TableName="items", Key={"id": {"S": "b"}}, **update
    )  # 1, and 2 of the index: one row goes, one comes
    db.delete_item(TableName="items", Key={"id": {"S": "none"}})  # 1
    db.batch_write_item(RequestItems={"items": [{"PutRequest": {"Item": item(f"c{n}")}} for n in range(3)]})  # 3
    put = [{"Put": {"TableName": "items", "Item": item(f"d{n}")}} for n in range(2)]
    db.transact_write_items(TransactItems=put)  # 4
    assert total("ConsumedWriteCapacityUnits", TableName="items") == 15
    assert total("ConsumedWriteCapacityUnits", TableName="items", GlobalSecondaryIndexName="by-g") == 3
    assert total("ConsumedReadCapacityUnits", TableName="items") == 0


def test_reads_count_their_units_and_what_they_returned(db, total):
    for n in range(4):
        db.put_item(TableName="items", Item=item(f"a{n}", g={"S": "x"}))
    db.get_item(TableName="items", Key={"id": {"S": "a0"}})  # 0.5
    db.get_item(TableName="items", Key={"id": {"S": "a0"}}, ConsistentRead=True)  # 1
    keys = [{"id": {"S": f"a{n}"}} for n in range(3)]
    db.batch_get_item(RequestItems={"items": {"Keys": keys}})  # 1.5
    db.transact_get_items(TransactItems=[{"Get": {"TableName": "items", "Key": key}} for key in keys])  # 6
    db.scan(TableName="items")  # 0.5
    values = {":g": {"S": "x"}}
    db.query(
        TableName="items", IndexName="by-g", KeyConditionExpression="g = :g", ExpressionAttributeValues=values
    )  # 0.5
    assert total("ConsumedReadCapacityUnits", TableName="items") == 9.5
    assert total("ConsumedReadCapacityUnits", TableName="items", GlobalSecondaryIndexName="by-g") == 0.5
    assert total("ReturnedItemCount", TableName="items", Operation="Scan") == 4
    assert total("ReturnedItemCount", TableName="items", Operation="Query") == 4


def test_items_that_expire_are_counted(db, total, clock):
    db.update_time_to_live(TableName="items", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    for n in range(3):
        db.put_item(TableName="items", Item=item(f"a{n}", until={"N": str(int(clock.now()) + 10)}))
    db.delete_item(TableName="items", Key={"id": {"S": "a0"}})
    assert total("TimeToLiveDeletedItemCount", TableName="items") == 2


def test_local_indexes_count_with_their_table(db, total, server):
    keys = [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}]
    local = {
        "IndexName": "by-l", "KeySchema": [keys[0], {"AttributeName": "l", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }  # fmt: skip
    db.create_table(
        TableName="local", BillingMode="PAY_PER_REQUEST", KeySchema=keys, LocalSecondaryIndexes=[local],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "s", "l")],
    )  # fmt: skip
    server.quiet()
    db.put_item(TableName="local", Item=item("a", s={"S": "1"}, l={"S": "x"}))
    assert total("ConsumedWriteCapacityUnits", TableName="local") == 2


def test_records_that_a_stream_returned_are_counted(db, aws, server, total):
    specification = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    described = db.update_table(TableName="items", StreamSpecification=specification)["TableDescription"]
    server.quiet()
    for text in ("x", "y"):
        db.put_item(TableName="items", Item={"id": {"S": "a"}, "text": {"S": text}})
    streams, arn = aws("dynamodbstreams"), described["LatestStreamArn"]
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        at = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        streams.get_records(ShardIterator=at["ShardIterator"])
    label = described["LatestStreamLabel"]
    assert total("ReturnedRecordsCount", TableName="items", StreamLabel=label, Operation="GetRecords") == 2
