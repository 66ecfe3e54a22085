"""DynamoDB's backups and point-in-time recovery."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

DAY = 86400


@pytest.fixture
def db(aws: Any) -> Any:
    return aws("dynamodb", config=Config(parameter_validation=False))


def make(db: Any, name: str = "orders", **more: Any) -> None:
    db.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk", "g")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {"IndexName": "byG", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}}
        ],
        LocalSecondaryIndexes=[
            {
                "IndexName": "local",
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "g", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        **{"BillingMode": "PAY_PER_REQUEST", **more},
    )  # fmt: skip


def put(db: Any, sk: str, g: str = "g", name: str = "orders", **more: Any) -> None:
    db.put_item(TableName=name, Item={"pk": {"S": "p"}, "sk": {"S": sk}, "g": {"S": g}, **more})


def delete(db: Any, sk: str) -> None:
    db.delete_item(TableName="orders", Key={"pk": {"S": "p"}, "sk": {"S": sk}})


def held(db: Any, name: str) -> dict[str, str]:
    return {item["sk"]["S"]: item["g"]["S"] for item in db.scan(TableName=name)["Items"]}


def backup(db: Any, name: str = "first") -> str:
    return str(db.create_backup(TableName="orders", BackupName=name)["BackupDetails"]["BackupArn"])


def failure(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def rows(cloud: Any) -> int:
    """How many rows the store holds for tables that were."""
    from cumulet.kernel.keys import after_prefix, pack
    from cumulet.kernel.tx import TimerScope

    async def count() -> int:
        tx = cloud.cloud.pipeline.store.begin(TimerScope(account="", region=""))
        total = 0
        for kind in ("item", "past", "version", "holder", "sweep", "restore"):
            low = pack(("dynamodb", kind))
            total += sum(1 for _ in tx.scan_bytes(low, after_prefix(low)))
        return total

    return int(cloud.run(count()))


def test_a_backup_holds_the_table_as_it_was_and_restores_to_a_new_one(db: Any, clock: Any) -> None:
    make(db)
    put(db, "1", "a")
    put(db, "2", "b")
    made = db.create_backup(TableName="orders", BackupName="first")["BackupDetails"]
    assert (made["BackupStatus"], made["BackupType"]) == ("CREATING", "USER")
    arn = made["BackupArn"]
    assert arn.startswith("arn:aws:dynamodb:us-east-1:000000000000:table/orders/backup/0")
    put(db, "1", "changed")
    put(db, "1", "changed twice")
    delete(db, "2")
    put(db, "3", "new")
    clock.quiet()
    described = db.describe_backup(BackupArn=arn)["BackupDescription"]
    assert described["BackupDetails"]["BackupStatus"] == "AVAILABLE"
    assert described["SourceTableDetails"]["ItemCount"] == 2
    assert described["SourceTableDetails"]["BillingMode"] == "PAY_PER_REQUEST"
    assert [i["IndexName"] for i in described["SourceTableFeatureDetails"]["GlobalSecondaryIndexes"]] == ["byG"]
    restoring = db.restore_table_from_backup(TargetTableName="again", BackupArn=arn)["TableDescription"]
    assert restoring["TableStatus"] == "CREATING"
    assert restoring["RestoreSummary"]["RestoreInProgress"] is True
    clock.quiet()
    table = db.describe_table(TableName="again")["Table"]
    assert (table["TableStatus"], table["ItemCount"]) == ("ACTIVE", 2)
    assert table["RestoreSummary"]["RestoreInProgress"] is False
    assert table["RestoreSummary"]["SourceBackupArn"] == arn
    assert held(db, "again") == {"1": "a", "2": "b"}
    query = db.query(
        TableName="again",
        IndexName="byG",
        KeyConditionExpression="g = :g",
        ExpressionAttributeValues={":g": {"S": "b"}},
    )
    assert query["Count"] == 1
    assert held(db, "orders") == {"1": "changed twice", "3": "new"}
    put(db, "9", "z", name="again")
    assert len(held(db, "again")) == 3


def test_several_backups_hold_their_own_moments(db: Any, clock: Any) -> None:
    make(db)
    expected = {}
    for n in range(4):
        put(db, "x", str(n))
        put(db, f"only{n}", "o")
        if n:
            delete(db, f"only{n - 1}")
        expected[backup(db, f"backup{n}")] = held(db, "orders")
    clock.quiet()
    gone = list(expected)[2]
    db.delete_backup(BackupArn=gone)
    put(db, "x", "last")
    clock.quiet()
    for n, (arn, items) in enumerate(expected.items()):
        if arn == gone:
            assert failure(db.describe_backup, BackupArn=arn) == ("BackupNotFoundException", f"Backup not found: {arn}")
            continue
        db.restore_table_from_backup(TargetTableName=f"again{n}", BackupArn=arn)
        clock.quiet()
        assert held(db, f"again{n}") == items


def test_a_backup_outlives_its_table_and_leaves_nothing_behind(db: Any, clock: Any, cloud: Any) -> None:
    make(db)
    put(db, "1", "a")
    arn = backup(db)
    clock.quiet()
    db.delete_table(TableName="orders")
    clock.quiet()
    make(db)
    put(db, "1", "another table of that name")
    db.restore_table_from_backup(TargetTableName="again", BackupArn=arn)
    clock.quiet()
    assert held(db, "again") == {"1": "a"}
    assert db.describe_backup(BackupArn=arn)["BackupDescription"]["SourceTableDetails"]["TableName"] == "orders"
    db.delete_backup(BackupArn=arn)
    for name in ("orders", "again"):
        db.delete_table(TableName=name)
    clock.quiet()
    assert rows(cloud) == 0


def test_writes_keep_nothing_when_nobody_needs_it(db: Any, clock: Any, cloud: Any) -> None:
    make(db)
    put(db, "1", "a")
    clock.quiet()
    before = rows(cloud)
    arn = backup(db)
    for n in range(5):
        put(db, "1", str(n))
    clock.quiet()
    assert rows(cloud) == before + 3  # the backup, one row before, and the counter
    db.delete_backup(BackupArn=arn)
    clock.quiet()
    put(db, "1", "b")
    assert rows(cloud) == before + 1


def test_a_backup_cannot_be_deleted_while_it_is_made(db: Any, clock: Any) -> None:
    make(db)
    clock.quiet()
    assert failure(db.create_backup, TableName="nothing", BackupName="abc") == (
        "TableNotFoundException",
        "Table not found: nothing",
    )
    arn = backup(db)
    clock.quiet()
    make(db, "taken")
    clock.quiet()
    assert failure(db.restore_table_from_backup, TargetTableName="taken", BackupArn=arn) == (
        "TableAlreadyExistsException",
        "Table already exists: taken",
    )
    assert failure(db.delete_backup, BackupArn=arn.replace("orders", "others"))[0] == "BackupNotFoundException"
    deleted = db.delete_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]
    assert deleted["BackupStatus"] == "DELETED"
    for name in ("ab", "a" * 256, "a b"):
        assert failure(db.create_backup, TableName="orders", BackupName=name)[0] == "ValidationException"
    assert db.create_backup(TableName="orders", BackupName="a" * 255)["BackupDetails"]["BackupName"] == "a" * 255


def test_backups_are_listed_oldest_first_in_pages(db: Any, clock: Any) -> None:
    make(db)
    make(db, "others")
    arns = []
    for n in range(3):
        arns.append(backup(db, f"backup{n}"))
        clock.advance(10)
    db.create_backup(TableName="others", BackupName="other")
    page = db.list_backups(TableName="orders", Limit=2)
    assert [summary["BackupArn"] for summary in page["BackupSummaries"]] == arns[:2]
    rest = db.list_backups(TableName="orders", ExclusiveStartBackupArn=page["LastEvaluatedBackupArn"])
    assert [summary["BackupArn"] for summary in rest["BackupSummaries"]] == arns[2:]
    assert "LastEvaluatedBackupArn" not in rest
    assert len(db.list_backups()["BackupSummaries"]) == 4
    second = page["BackupSummaries"][1]["BackupCreationDateTime"]
    assert len(db.list_backups(TableName="orders", TimeRangeLowerBound=second)["BackupSummaries"]) == 2
    assert len(db.list_backups(TableName="orders", TimeRangeUpperBound=second)["BackupSummaries"]) == 1
    assert db.list_backups(BackupType="SYSTEM")["BackupSummaries"] == []


def test_a_restore_may_leave_out_indexes_and_change_the_billing_mode(db: Any, clock: Any) -> None:
    make(db)
    put(db, "1")
    arn = backup(db)
    clock.quiet()
    db.restore_table_from_backup(
        TargetTableName="plain",
        BackupArn=arn,
        BillingModeOverride="PROVISIONED",
        ProvisionedThroughputOverride={"ReadCapacityUnits": 3, "WriteCapacityUnits": 4},
        GlobalSecondaryIndexOverride=[],
        LocalSecondaryIndexOverride=[],
    )
    clock.quiet()
    table = db.describe_table(TableName="plain")["Table"]
    assert "GlobalSecondaryIndexes" not in table
    assert "LocalSecondaryIndexes" not in table
    assert table["ProvisionedThroughput"]["WriteCapacityUnits"] == 4
    assert {a["AttributeName"] for a in table["AttributeDefinitions"]} == {"pk", "sk"}
    assert held(db, "plain") == {"1": "g"}
    other = {
        "IndexName": "no",
        "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    assert failure(db.restore_table_from_backup, TargetTableName="bad", BackupArn=arn, GlobalSecondaryIndexOverride=[other])[0] == (
        "ValidationException"
    )  # fmt: skip


def recovery(db: Any, on: bool = True, **more: Any) -> Any:
    return db.update_continuous_backups(
        TableName="orders", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": on, **more}
    )["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]


def restore(db: Any, clock: Any, at: float | None, name: str) -> dict[str, str]:
    db.restore_table_to_point_in_time(
        SourceTableName="orders",
        TargetTableName=name,
        **({"UseLatestRestorableTime": True} if at is None else {"RestoreDateTime": at}),
    )
    clock.quiet()
    return held(db, name)


def test_any_second_of_the_recovery_period_can_be_restored(db: Any, clock: Any) -> None:
    make(db)
    put(db, "1", "before")
    clock.quiet()
    assert recovery(db)["PointInTimeRecoveryStatus"] == "ENABLED"
    states: dict[float, dict[str, str]] = {clock.now(): held(db, "orders")}
    for n in range(4):
        clock.advance(1)
        put(db, "1", str(n))
        put(db, "1", f"{n} again")
        if n == 1:
            put(db, "2", "short")
        if n == 2:
            delete(db, "2")
        states[clock.now()] = held(db, "orders")
    clock.advance(100)
    delete(db, "1")
    for n, (at, items) in enumerate(states.items()):
        assert restore(db, clock, at, f"again{n}") == items
    assert restore(db, clock, None, "latest") == {}
    described = db.describe_continuous_backups(TableName="orders")["ContinuousBackupsDescription"]
    window = described["PointInTimeRecoveryDescription"]
    assert window["RecoveryPeriodInDays"] == 35
    assert window["EarliestRestorableDateTime"].timestamp() == int(min(states))
    assert window["LatestRestorableDateTime"].timestamp() == pytest.approx(clock.now(), abs=1e-5)


def test_recovery_ends_at_its_period_and_trims_what_is_older(db: Any, clock: Any, cloud: Any) -> None:
    make(db)
    put(db, "1", "old")
    clock.quiet()
    recovery(db, RecoveryPeriodInDays=2)
    start = clock.now()
    for n in range(10):
        clock.advance(3600)
        put(db, "1", str(n))
    kept = rows(cloud)
    clock.advance(2 * DAY)
    assert restore(db, clock, clock.now() - 2 * DAY, "edge") == {"1": "9"}
    for at in (clock.now() - 2 * DAY - 2, clock.now() + 1, start):
        code, message = failure(
            db.restore_table_to_point_in_time, SourceTableName="orders", TargetTableName="bad", RestoreDateTime=at
        )
        assert code == "InvalidRestoreTimeException"
        assert "between EarliestRestorableDateTime and LatestRestorableDateTime" in message
    db.delete_table(TableName="edge")
    clock.advance(2 * DAY)
    assert rows(cloud) == kept - 10
    for days in (0, 36):
        assert (
            failure(
                db.update_continuous_backups,
                TableName="orders",
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": days},
            )[0]
            == "ValidationException"
        )


def test_recovery_that_is_off_restores_nothing(db: Any, clock: Any, cloud: Any) -> None:
    make(db)
    put(db, "1")
    clock.quiet()
    before = rows(cloud)
    assert failure(db.restore_table_to_point_in_time, SourceTableName="orders", TargetTableName="bad", UseLatestRestorableTime=True)[0] == (
        "PointInTimeRecoveryUnavailableException"
    )  # fmt: skip
    recovery(db)
    put(db, "1", "2")
    assert recovery(db, False)["PointInTimeRecoveryStatus"] == "DISABLED"
    clock.quiet()
    assert rows(cloud) == before + 1
    assert failure(db.restore_table_to_point_in_time, SourceTableName="gone", TargetTableName="bad", UseLatestRestorableTime=True)[0] == (
        "TableNotFoundException"
    )  # fmt: skip
    assert (
        failure(db.restore_table_to_point_in_time, SourceTableName="orders", TargetTableName="bad")[0]
        == "ValidationException"
    )


def test_a_deleted_table_with_recovery_leaves_a_system_backup_for_35_days(db: Any, clock: Any, cloud: Any) -> None:
    make(db)
    put(db, "1", "a")
    clock.quiet()
    recovery(db)
    db.delete_table(TableName="orders")
    clock.quiet()
    (system,) = db.list_backups(BackupType="SYSTEM")["BackupSummaries"]
    assert system["BackupName"] == "orders$DeletedTableBackup"
    db.restore_table_from_backup(TargetTableName="again", BackupArn=system["BackupArn"])
    clock.quiet()
    assert held(db, "again") == {"1": "a"}
    db.delete_table(TableName="again")
    clock.advance(35 * DAY - 1)
    assert len(db.list_backups(BackupType="SYSTEM")["BackupSummaries"]) == 1
    clock.advance(2)
    assert db.list_backups(BackupType="SYSTEM")["BackupSummaries"] == []
    assert rows(cloud) == 0


def test_expired_items_are_in_the_backup_that_was_made_before(db: Any, clock: Any) -> None:
    make(db)
    db.update_time_to_live(TableName="orders", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"})
    clock.quiet()
    put(db, "1", "a", ttl={"N": str(int(clock.now()) + 60)})
    arn = backup(db)
    clock.advance(100)
    assert held(db, "orders") == {}
    db.restore_table_from_backup(TargetTableName="again", BackupArn=arn)
    clock.quiet()
    assert held(db, "again") == {"1": "a"}
    assert db.describe_time_to_live(TableName="again")["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED"


def test_a_large_table_is_restored_in_steps_while_it_changes(db: Any, clock: Any) -> None:
    """More rows than one step copies; the source is written between the steps."""
    make(db)
    count = 4100
    for start in range(0, count, 25):
        db.batch_write_item(
            RequestItems={
                "orders": [
                    {"PutRequest": {"Item": {"pk": {"S": f"p{n}"}, "sk": {"S": "s"}, "g": {"S": "g"}}}}
                    for n in range(start, min(start + 25, count))
                ]
            }
        )
    arn = backup(db)
    clock.quiet()
    db.restore_table_from_backup(TargetTableName="again", BackupArn=arn)
    for n in range(0, count, 50):
        db.delete_item(TableName="orders", Key={"pk": {"S": f"p{n}"}, "sk": {"S": "s"}})
    clock.quiet()
    found = db.scan(TableName="again", Select="COUNT")["Count"]
    assert found == count
