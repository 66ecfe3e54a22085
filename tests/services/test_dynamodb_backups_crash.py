"""Restores through SIGKILL: an acknowledged restore ends with every item, wherever it was cut off."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.config import Config

pytestmark = pytest.mark.crash

COUNT = 5000


def client_of(server: Any) -> Any:
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
    return boto3.client("dynamodb", endpoint_url=server.endpoint, region_name="us-east-1", config=config)


def wait_until_active(db: Any, name: str) -> None:
    db.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 0, "MaxAttempts": 5000})


@pytest.mark.parametrize("commits", [1, 2, 3])
def test_a_restore_goes_on_after_a_kill(server_process: Any, commits: int) -> None:
    server = server_process().start()
    db = client_of(server)
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
                "tab": [{"PutRequest": {"Item": {"k": {"S": str(n)}, "g": {"S": "g"}}}} for n in range(start, start + 25)]
            }
        )
    arn = db.create_backup(TableName="tab", BackupName="bak")["BackupDetails"]["BackupArn"]
    for n in range(0, COUNT, 500):
        db.delete_item(TableName="tab", Key={"k": {"S": str(n)}})
    while db.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"] != "AVAILABLE":
        pass
    server.stop()
    # the restore's own commit is the first; those of its steps follow
    cut = server_process(environment={"CUMULET_CRASH_AT": f"store.committed:{commits + 2}"}).start()
    with pytest.raises(Exception):  # noqa: B017 - how the connection ends does not matter
        client_of(cut).restore_table_from_backup(TargetTableName="again", BackupArn=arn)
        wait_until_active(client_of(cut), "again")
    assert cut.process.wait(30) == -9
    after = client_of(server_process().start())
    if "again" not in after.list_tables()["TableNames"]:
        after.restore_table_from_backup(TargetTableName="again", BackupArn=arn)
    wait_until_active(after, "again")
    assert after.scan(TableName="again", Select="COUNT")["Count"] == COUNT
    query = after.get_paginator("query").paginate(
        TableName="again", IndexName="byG", KeyConditionExpression="g = :g", ExpressionAttributeValues={":g": {"S": "g"}}, Select="COUNT"
    )  # fmt: skip
    assert sum(page["Count"] for page in query) == COUNT
    assert after.scan(TableName="tab", Select="COUNT")["Count"] == COUNT - COUNT // 500
