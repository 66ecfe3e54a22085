"""Restores through SIGKILL: an acknowledged restore ends with every item, wherever it was cut off."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

pytestmark = pytest.mark.crash

COUNT = 5000


def wait_until_active(db: Any, name: str) -> None:
    db.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 0, "MaxAttempts": 100_000})


@pytest.mark.parametrize("commits", [1, 2, 3])
def test_a_restore_goes_on_after_a_kill(server_process: Any, commits: int) -> None:
    server = server_process().start()
    db = server.client("dynamodb")
    db.create_table(
        TableName="tab",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}, {"AttributeName": "g", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {"IndexName": "byG", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}}
        ],
    )  # fmt: skip
    wait_until_active(db, "tab")
    for start in range(0, COUNT, 25):
        db.batch_write_item(
            RequestItems={
                "tab": [
                    {"PutRequest": {"Item": {"k": {"S": str(n)}, "g": {"S": "g"}}}} for n in range(start, start + 25)
                ]
            }
        )
    arn = db.create_backup(TableName="tab", BackupName="bak")["BackupDetails"]["BackupArn"]
    for n in range(0, COUNT, 500):
        db.delete_item(TableName="tab", Key={"k": {"S": str(n)}})
    while db.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"] != "AVAILABLE":
        pass
    server.stop()
    # the restore's own commit is the first; those of its steps follow
    cut = server_process().start(crash_at=f"store.committed:{commits + 2}")
    with pytest.raises(Exception):  # noqa: B017 - how the connection ends does not matter
        cut.client("dynamodb").restore_table_from_backup(TargetTableName="again", BackupArn=arn)
        wait_until_active(cut.client("dynamodb"), "again")
        for _ in range(100):  # its last commits may have been one
            cut.client("dynamodb").put_item(TableName="tab", Item={"k": {"S": "1"}, "g": {"S": "g"}})
    assert cut.ended() == -9
    after = server_process().start().client("dynamodb")
    if "again" not in after.list_tables()["TableNames"]:
        after.restore_table_from_backup(TargetTableName="again", BackupArn=arn)
    wait_until_active(after, "again")
    assert after.scan(TableName="again", Select="COUNT")["Count"] == COUNT
    query = after.get_paginator("query").paginate(
        TableName="again", IndexName="byG", KeyConditionExpression="g = :g", ExpressionAttributeValues={":g": {"S": "g"}}, Select="COUNT"
    )  # fmt: skip
    assert sum(page["Count"] for page in query) == COUNT
    assert after.scan(TableName="tab", Select="COUNT")["Count"] == COUNT - COUNT // 500


@pytest.mark.parametrize("commits", [1, 2])
def test_an_import_and_an_export_go_on_after_a_kill(server_process: Any, commits: int) -> None:
    """Every line is imported once, every item exported once."""
    server = server_process().start()
    s3 = server.client("s3")
    s3.create_bucket(Bucket="data")
    lines = b"".join(b'{"Item": {"k": {"S": "%d"}}}\n' % n for n in range(COUNT))
    s3.put_object(Bucket="data", Key="in/items.json.gz", Body=gzip.compress(lines))
    server.stop()
    request = {
        "S3BucketSource": {"S3Bucket": "data", "S3KeyPrefix": "in/"},
        "InputFormat": "DYNAMODB_JSON",
        "InputCompressionType": "GZIP",
        "ClientToken": "once",
        "TableCreationParameters": {
            "TableName": "imported",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
        },
    }
    cut = server_process().start(crash_at=f"store.committed:{commits + 1}")
    with pytest.raises(Exception):  # noqa: B017 - how the connection ends does not matter
        cut.client("dynamodb").import_table(**request)
        wait_until_active(cut.client("dynamodb"), "imported")
    assert cut.ended() == -9
    second = server_process().start()
    db = second.client("dynamodb")
    arn = db.import_table(**request)["ImportTableDescription"]["ImportArn"]
    wait_until_active(db, "imported")
    done = db.describe_import(ImportArn=arn)["ImportTableDescription"]
    assert (done["ImportStatus"], done["ImportedItemCount"], done["ErrorCount"]) == ("COMPLETED", COUNT, 0)
    assert db.scan(TableName="imported", Select="COUNT")["Count"] == COUNT
    table = db.update_continuous_backups(
        TableName="imported", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    assert table["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["RecoveryPeriodInDays"] == 35
    second.stop()
    cut = server_process().start(crash_at=f"store.committed:{commits + 1}")
    export = {"TableArn": done["TableArn"], "S3Bucket": "data", "ClientToken": "once"}
    with pytest.raises(Exception):  # noqa: B017 - how the connection ends does not matter
        wait_until_exported(cut.client("dynamodb"), cut.client("dynamodb").export_table_to_point_in_time(**export))
    assert cut.ended() == -9
    last = server_process().start()
    db, s3 = last.client("dynamodb"), last.client("s3")
    exported = wait_until_exported(db, db.export_table_to_point_in_time(**export))
    assert (exported["ExportStatus"], exported["ItemCount"]) == ("COMPLETED", COUNT)
    folder = exported["ExportManifest"].rpartition("/")[0]
    manifest = s3.get_object(Bucket="data", Key=f"{folder}/manifest-files.json")["Body"].read()
    found = []
    for line in manifest.splitlines():
        body = s3.get_object(Bucket="data", Key=json.loads(line)["dataFileS3Key"])["Body"].read()
        found += [json.loads(item)["Item"]["k"]["S"] for item in gzip.decompress(body).splitlines()]
    assert sorted(found, key=int) == [str(n) for n in range(COUNT)]


def wait_until_exported(db: Any, answer: Any) -> Any:
    while True:
        described = db.describe_export(ExportArn=answer["ExportDescription"]["ExportArn"])["ExportDescription"]
        if described["ExportStatus"] != "IN_PROGRESS":
            return described
