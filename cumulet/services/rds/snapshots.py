"""Operations on DB snapshots: base backups of the engine's files, and new instances from them."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Effect
from cumulet.kernel.record import replace
from cumulet.services.rds import making, pages, settings
from cumulet.services.rds.errors import DBSnapshotNotFound, InvalidDBSnapshotState, InvalidParameterCombination
from cumulet.services.rds.model import ROOT, Instance, Snapshot, allowed, instance_at, save, snapshot_key
from cumulet.services.rds.shapes import snapshot_shape

Request = dict[str, Any]
Result = dict[str, Any]


def create_db_snapshot(ctx: Context, req: Request) -> Result:
    """Copy an available DB instance's data while it goes on; at most 100 manual snapshots in a region.

    Raises: DBInstanceNotFound, InvalidDBInstanceState, DBSnapshotAlreadyExists, SnapshotQuotaExceeded, InvalidParameterValue.
    Source: RDS API_CreateDBSnapshot (read 2026-11).
    """
    instance = instance_at(ctx, req["DBInstanceIdentifier"])
    allowed(instance, "snapshot")
    tags = {**(instance.tags if instance.copy_tags else {}), **settings.tags(req.get("Tags", ()))}
    made = making.snapshot(ctx, instance, req["DBSnapshotIdentifier"], tags)
    save(ctx, instance.after("snapshot", making=made.id))
    return {"DBSnapshot": snapshot_shape(made)}


def describe_db_snapshots(ctx: Context, req: Request) -> Result:
    """Snapshots by name, instance, filters (db-snapshot-id, db-instance-id, dbi-resource-id, engine, snapshot-type), in pages.

    Raises: DBSnapshotNotFound, InvalidParameterValue. Source: RDS API_DescribeDBSnapshots (read 2026-11).
    """
    filters = pages.chosen_by(req, ("db-snapshot-id", "db-instance-id", "dbi-resource-id", "engine", "snapshot-type"))
    if "DBSnapshotIdentifier" in req:
        found = [_snapshot_at(ctx, req["DBSnapshotIdentifier"])]
    else:
        found = [one for _, one in ctx.tx.scan((ROOT, "snapshot", ctx.account, ctx.region), Snapshot)]
    if "DBInstanceIdentifier" in req:
        name = req["DBInstanceIdentifier"].rpartition(":")[2].lower()
        found = [one for one in found if one.instance.id == name]
    if "DbiResourceId" in req:
        found = [one for one in found if one.instance.resource_id == req["DbiResourceId"]]
    if req.get("SnapshotType", "manual") != "manual":
        found = []
    for name, values in filters.items():
        found = [one for one in found if _filtered(one)[name] in values]
    chosen, more = pages.page(found, req, lambda one: one.id)
    return {"DBSnapshots": [snapshot_shape(one) for one in chosen], **more}


def _filtered(snapshot: Snapshot) -> dict[str, str]:
    return {
        "db-snapshot-id": snapshot.id,
        "db-instance-id": snapshot.instance.id,
        "dbi-resource-id": snapshot.instance.resource_id,
        "engine": "postgres",
        "snapshot-type": "manual",
    }


def delete_db_snapshot(ctx: Context, req: Request) -> Result:
    """Delete a snapshot and its files. Raises: DBSnapshotNotFound, InvalidDBSnapshotState.

    Source: RDS API_DeleteDBSnapshot (read 2026-11).
    """
    snapshot = _snapshot_at(ctx, req["DBSnapshotIdentifier"])
    busy = any(
        one.source == snapshot.resource_id and one.status == "creating"
        for _, one in ctx.tx.scan((ROOT, "instance", ctx.account, ctx.region), Instance)
    )
    if snapshot.status == "creating" or busy:
        raise InvalidDBSnapshotState(f"Snapshot {snapshot.id} is in use or still being created.")
    ctx.tx.delete(snapshot.key)
    ctx.tx.wake(ctx.now, "rds.discard", (snapshot.resource_id,))
    return {"DBSnapshot": snapshot_shape(replace(snapshot, status="deleted"))}


def restore_db_instance_from_db_snapshot(ctx: Context, req: Request) -> Result | Effect:
    """A new DB instance with a snapshot's data, master user and password; settings that are not given are the snapshot's.

    Raises: DBSnapshotNotFound, InvalidDBSnapshotState, and as CreateDBInstance.
    Source: RDS API_RestoreDBInstanceFromDBSnapshot (read 2026-11).
    """
    settings.refuse("RestoreDBInstanceFromDBSnapshot", req)
    settings.engine(req)
    if "DBSnapshotIdentifier" not in req:
        raise InvalidParameterCombination("The parameter DBSnapshotIdentifier must be provided.")
    if "DBName" in req:
        raise InvalidParameterCombination("DBName cannot be specified for the engine postgres.")
    snapshot = _snapshot_at(ctx, req["DBSnapshotIdentifier"])
    if snapshot.status != "available":
        raise InvalidDBSnapshotState(f"Snapshot {snapshot.id} is not available.")
    old = snapshot.instance
    size, kind = settings.storage({"AllocatedStorage": old.storage_gb, "StorageType": old.storage_type, **req})
    changes = {
        "master": old.master,
        "verifier": old.verifier,
        "database": old.database,
        "storage_gb": size,
        "storage_type": kind,
        "source": snapshot.resource_id,
    }
    given = {"DBInstanceClass": old.instance_class, "CopyTagsToSnapshot": old.copy_tags, **req}
    return making.instance(ctx, given, changes)


def _snapshot_at(ctx: Context, name: str) -> Snapshot:
    name = name.rpartition(":")[2].lower()
    found = ctx.tx.get(snapshot_key(ctx.account, ctx.region, name), Snapshot)
    if found is None:
        raise DBSnapshotNotFound(f"DBSnapshot {name} not found.")
    return found
