"""Operations on backups and point-in-time recovery.

States of a backup: CREATING -> AVAILABLE (a timer, due at once) -> gone. A system backup, of a deleted table that had
point-in-time recovery, goes by itself after 35 days. What a backup holds is told in `past`.
"""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import replace
from cumulet.services.dynamodb.describe import describe
from cumulet.services.dynamodb.errors import (
    BackupInUseException,
    BackupNotFoundException,
    TableInUseException,
    TableNotFoundException,
    ValidationException,
)
from cumulet.services.dynamodb.layout import find_layout, split_name
from cumulet.services.dynamodb.model import Table
from cumulet.services.dynamodb.past import (
    Holder,
    holder_key,
    remembering,
    sweep_soon,
)
from cumulet.services.dynamodb.restoring import begin_restore
from cumulet.services.dynamodb.snapshots import (
    CLIENT_S,
    SYSTEM_DAYS,
    Backup,
    backup_key,
    busy,
    drop,
    earliest,
    make_backup,
    moment_at,
)

Json = dict[str, Any]
_LIST_LIMIT = 100


def _table(ctx: Context, name: str) -> Table:
    layout = find_layout(ctx, name)
    if layout is None or layout.table.status == "DELETING":
        raise TableNotFoundException(f"Table not found: {split_name(ctx, name)[2]}")
    return layout.table


def _backup(ctx: Context, arn: str) -> Backup:
    parts = arn.split(":", 5)
    name = parts[5].rpartition("/backup/")[2] if len(parts) == 6 else ""
    backup = ctx.tx.get(backup_key(parts[4], parts[3], name), Backup) if name else None
    if backup is None or backup.arn != arn:
        raise BackupNotFoundException(f"Backup not found: {arn}")
    return backup


# backups


def create_backup(ctx: Context, req: Json) -> Json:
    """Keep a table as it is now, whatever its size, without a pause of writes; it is AVAILABLE at once.

    Raises: TableNotFoundException, TableInUseException (a table that is not ACTIVE).
    Source: DynamoDB API_CreateBackup; developer guide, "Backup and restore for DynamoDB" (read 2026-11).
    """
    table = _table(ctx, req["TableName"])
    if table.status not in ("ACTIVE", "UPDATING"):
        raise TableInUseException(f"Table is being created: {table.name}")
    return {"BackupDetails": _details(make_backup(ctx, table, req["BackupName"], "USER"))}


def _details(backup: Backup) -> Json:
    out = {
        "BackupArn": backup.arn,
        "BackupName": backup.name,
        "BackupSizeBytes": backup.size,
        "BackupStatus": backup.status,
        "BackupType": backup.kind,
        "BackupCreationDateTime": backup.created_at,
    }
    if backup.expires_at:
        out["BackupExpiryDateTime"] = backup.expires_at
    return out


def _description(backup: Backup) -> Json:
    table = backup.table
    source = {
        **backup.source,
        "TableCreationDateTime": table.created_at,
        "ProvisionedThroughput": {"ReadCapacityUnits": table.read_units, "WriteCapacityUnits": table.write_units},
    }
    if table.max_read_units or table.max_write_units:
        source["OnDemandThroughput"] = {
            "MaxReadRequestUnits": table.max_read_units or -1,
            "MaxWriteRequestUnits": table.max_write_units or -1,
        }
    return {
        "BackupDetails": _details(backup),
        "SourceTableDetails": source,
        "SourceTableFeatureDetails": backup.features,
    }


def describe_backup(ctx: Context, req: Json) -> Json:
    """A backup, its table and what belonged to it.

    Raises: BackupNotFoundException.
    Source: DynamoDB API_DescribeBackup (read 2026-11).
    """
    return {"BackupDescription": _description(_backup(ctx, req["BackupArn"]))}


def list_backups(ctx: Context, req: Json) -> Json:
    """Backups, oldest first, at most Limit (100) at a time: of one table or all, of a time range, of a type.

    Source: DynamoDB API_ListBackups (read 2026-11).
    """
    limit = req.get("Limit", _LIST_LIMIT)
    prefix = ("dynamodb", "backup", ctx.account, ctx.region)
    start: Key | None = None
    if "ExclusiveStartBackupArn" in req:
        start = (*prefix, req["ExclusiveStartBackupArn"].rpartition("/")[2] + "\x00")
    kinds = {"ALL": ("USER", "SYSTEM")}.get(req.get("BackupType", "ALL"), (req.get("BackupType"),))
    name = split_name(ctx, req["TableName"])[2] if "TableName" in req else None
    found: list[Backup] = []
    for _, backup in ctx.tx.scan(prefix, Backup, start=start):
        if (
            backup.kind in kinds
            and (name is None or backup.table.name == name)
            and req.get("TimeRangeLowerBound", 0.0) <= backup.created_at + CLIENT_S
            and ("TimeRangeUpperBound" not in req or backup.created_at + CLIENT_S < req["TimeRangeUpperBound"])
        ):
            found.append(backup)
        if len(found) > limit:
            break
    out: Json = {"BackupSummaries": [_summary(backup) for backup in found[:limit]]}
    if len(found) > limit:
        out["LastEvaluatedBackupArn"] = found[limit - 1].arn
    return out


def _summary(backup: Backup) -> Json:
    table = backup.table
    return {**_details(backup), "TableName": table.name, "TableId": table.table_id, "TableArn": table.arn}


def delete_backup(ctx: Context, req: Json) -> Json:
    """Delete a backup; the rows that only it held go by a timer, some at a time.

    Raises: BackupNotFoundException, BackupInUseException (while it is restored).
    Source: DynamoDB API_DeleteBackup (read 2026-11).
    """
    backup = _backup(ctx, req["BackupArn"])
    if backup.status == "CREATING" or busy(ctx, backup):
        raise BackupInUseException(
            "There is another ongoing conflicting backup control plane operation on the table. "
            "The backup is either being created, deleted or restored to a table."
        )
    drop(ctx, backup)
    return {"BackupDescription": _description(replace(backup, status="DELETED"))}


def restore_table_from_backup(ctx: Context, req: Json) -> Json:
    """A new table with a backup's items; it is CREATING until a timer has put them there, some thousands at a time.

    Tags, streams, time to live, deletion protection and point-in-time recovery are not restored, as on AWS.
    Raises: BackupNotFoundException, BackupInUseException, TableAlreadyExistsException, ValidationException.
    Source: DynamoDB API_RestoreTableFromBackup (read 2026-11).
    """
    backup = _backup(ctx, req["BackupArn"])
    if backup.status != "AVAILABLE":
        raise BackupInUseException(
            "There is another ongoing conflicting backup control plane operation on the table. "
            "The backup is either being created, deleted or restored to a table."
        )
    held = ctx.tx.get(holder_key(backup.table.number, "backup", backup.id), Holder)
    assert held is not None, "a backup without what it holds"
    target = begin_restore(ctx, req, backup.table, held.moment, backup.created_at, backup.id)
    return {"TableDescription": describe(ctx, target)}


# point-in-time recovery


def update_continuous_backups(ctx: Context, req: Json) -> Json:
    """Switch point-in-time recovery on (for 1 to 35 days) or off. From then on every write keeps what it replaces.

    Raises: TableNotFoundException, TableInUseException.
    Source: DynamoDB API_UpdateContinuousBackups (read 2026-11).
    """
    table = _table(ctx, req["TableName"])
    spec = req["PointInTimeRecoverySpecification"]
    if not spec["PointInTimeRecoveryEnabled"]:
        if "RecoveryPeriodInDays" in spec:
            raise ValidationException(
                "RecoveryPeriodInDays can only be specified when PointInTimeRecoveryEnabled is set to true"
            )
        changed = replace(table, pitr_since=0.0, pitr_days=0)
    else:
        days = spec.get("RecoveryPeriodInDays", table.pitr_days or SYSTEM_DAYS)
        changed = replace(table, pitr_since=table.pitr_since or ctx.now, pitr_days=days)
    ctx.tx.put(changed.key, changed)
    changed = remembering(ctx, changed)
    sweep_soon(ctx, changed)
    return {"ContinuousBackupsDescription": _recovery(ctx, changed)}


def describe_continuous_backups(ctx: Context, req: Json) -> Json:
    """Whether point-in-time recovery is on, and the moments that can be restored: up to now, here.

    Raises: TableNotFoundException.
    Source: DynamoDB API_DescribeContinuousBackups (read 2026-11).
    """
    return {"ContinuousBackupsDescription": _recovery(ctx, _table(ctx, req["TableName"]))}


def _recovery(ctx: Context, table: Table) -> Json:
    recovery: Json = {"PointInTimeRecoveryStatus": "DISABLED"}
    if table.pitr_since:
        recovery = {
            "PointInTimeRecoveryStatus": "ENABLED",
            "RecoveryPeriodInDays": table.pitr_days,
            "EarliestRestorableDateTime": earliest(ctx, table),
            "LatestRestorableDateTime": ctx.now,
        }
    return {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": recovery}


def restore_table_to_point_in_time(ctx: Context, req: Json) -> Json:
    """A new table with the items that a table had at a second within its recovery period; else as RestoreTableFromBackup.

    Raises: TableNotFoundException, PointInTimeRecoveryUnavailableException, InvalidRestoreTimeException,
    TableAlreadyExistsException, ValidationException.
    Source: DynamoDB API_RestoreTableToPointInTime (read 2026-11).
    """
    name = req.get("SourceTableArn", req.get("SourceTableName"))
    if name is None:
        raise ValidationException("Either SourceTableName or SourceTableArn must be specified")
    table = _table(ctx, name)
    latest = req.get("UseLatestRestorableTime", False)
    if latest == ("RestoreDateTime" in req):
        raise ValidationException(
            "Either UseLatestRestorableTime or RestoreDateTime must be specified"
            if not latest
            else "UseLatestRestorableTime and RestoreDateTime cannot both be specified"
        )
    moment = moment_at(ctx, table, None if latest else req["RestoreDateTime"])
    target = begin_restore(ctx, req, table, moment, moment.at, "")
    return {"TableDescription": describe(ctx, target)}
