"""Backups as records, and the moments of tables that they and point-in-time recovery keep."""

from __future__ import annotations

import math
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record, replace
from cumulet.services.dynamodb.describe import describe
from cumulet.services.dynamodb.errors import InvalidRestoreTimeException, PointInTimeRecoveryUnavailableException
from cumulet.services.dynamodb.model import Table
from cumulet.services.dynamodb.past import Moment, hold, holders, release, this_moment

Json = dict[str, Any]
DAY_S = 86400.0
SYSTEM_DAYS = 35
CLIENT_S = 1e-6  # clients cut times to microseconds
_SOURCE = ("TableName", "TableId", "TableArn", "TableSizeBytes", "KeySchema", "ItemCount")
_INDEX = ("IndexName", "KeySchema", "Projection")


class Backup(Record):
    """A backup: the table's record as it was, and what DescribeBackup says of it."""

    id: str
    name: str
    table: Table
    created_at: float
    source: Json
    features: Json
    size: int = 0
    status: str = "CREATING"
    kind: str = "USER"
    expires_at: float = 0.0

    @property
    def arn(self) -> str:
        return f"{self.table.arn}/backup/{self.id}"

    @property
    def key(self) -> Key:
        return backup_key(self.table.account, self.table.region, self.id)


def backup_key(account: str, region: str, name: str) -> Key:
    return ("dynamodb", "backup", account, region, name)


def make_backup(ctx: Context, table: Table, name: str, kind: str) -> Backup:
    """A backup of a table as it is now; `kind` is USER or SYSTEM."""
    described = describe(ctx, table)
    source = {member: described[member] for member in _SOURCE}
    source["BillingMode"] = table.billing_mode
    features: Json = {}
    for member in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        if member in described:
            features[member] = [_index(index) for index in described[member]]
    if "StreamSpecification" in described:
        features["StreamDescription"] = described["StreamSpecification"]
    if table.ttl_attribute:
        features["TimeToLiveDescription"] = {"TimeToLiveStatus": "ENABLED", "AttributeName": table.ttl_attribute}
    backup = Backup(
        id=f"{int(ctx.now * 1000):014d}-{ctx.ids.hex(8)}",
        name=name,
        table=table,
        created_at=ctx.now,
        source=source,
        features=features,
        size=described["TableSizeBytes"],
        kind=kind,
        expires_at=ctx.now + SYSTEM_DAYS * DAY_S if kind == "SYSTEM" else 0.0,
    )
    ctx.tx.put(backup.key, backup)
    hold(ctx, table, "backup", backup.id, this_moment(ctx, table))
    for at in (ctx.now, backup.expires_at):
        if at:
            ctx.tx.wake(at, "dynamodb.backup", (table.account, table.region, backup.id))
    return backup


def _index(described: Json) -> Json:
    out = {member: described[member] for member in _INDEX}
    if "ProvisionedThroughput" in described:
        units = described["ProvisionedThroughput"]
        out["ProvisionedThroughput"] = {name: units[name] for name in ("ReadCapacityUnits", "WriteCapacityUnits")}
    return out


def backup_step(ctx: Context, key: Key) -> None:
    """Timer: a new backup becomes AVAILABLE, a system backup ends."""
    account, region, name = key
    backup = ctx.tx.get(backup_key(str(account), str(region), str(name)), Backup)
    if backup is None:
        return
    if backup.expires_at and backup.expires_at <= ctx.now:
        if not busy(ctx, backup):
            drop(ctx, backup)
        else:
            ctx.tx.wake(ctx.now + DAY_S, "dynamodb.backup", key)
    elif backup.status == "CREATING":
        ctx.tx.put(backup.key, replace(backup, status="AVAILABLE"))


def busy(ctx: Context, backup: Backup) -> bool:
    """Whether it is being restored."""
    return any(holder.backup == backup.id for _, holder in holders(ctx, backup.table.number))


def drop(ctx: Context, backup: Backup) -> None:
    """Forget a backup."""
    ctx.tx.delete(backup.key)
    release(ctx, backup.table, "backup", backup.id)


def keep_deleted(ctx: Context, table: Table) -> None:
    """A deleted table that had point-in-time recovery stays for 35 days, as a system backup."""
    if table.pitr_since:
        make_backup(ctx, table, f"{table.name}$DeletedTableBackup", "SYSTEM")


def earliest(ctx: Context, table: Table) -> float:
    """The first moment of a table with point-in-time recovery that can be restored."""
    return float(math.floor(max(table.pitr_since, ctx.now - table.pitr_days * DAY_S)))


def moment_at(ctx: Context, table: Table, at: float | None) -> Moment:
    """A restorable moment of a table; None is now.

    Raises: PointInTimeRecoveryUnavailableException, InvalidRestoreTimeException.
    """
    if not table.pitr_since:
        raise PointInTimeRecoveryUnavailableException(f"Point in time recovery is not enabled for table '{table.name}'")
    if at is None or abs(at - ctx.now) < CLIENT_S:
        return replace(this_moment(ctx, table), at=ctx.now)
    if not earliest(ctx, table) <= at <= ctx.now:
        raise InvalidRestoreTimeException(
            "An invalid restore time was specified. RestoreDateTime must be between EarliestRestorableDateTime and "
            "LatestRestorableDateTime."
        )
    return Moment(at=at + CLIENT_S)
