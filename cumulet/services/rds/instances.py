"""Operations on DB instances."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Effect
from cumulet.kernel.record import replace
from cumulet.services.rds import making, pages, settings
from cumulet.services.rds.errors import (
    InvalidParameterCombination,
    MissingParameter,
    refused,
)
from cumulet.services.rds.keeper import apply_pending
from cumulet.services.rds.model import (
    Instance,
    allowed,
    instance_at,
    instances_of,
    save,
)
from cumulet.services.rds.secrets import scram_verifier
from cumulet.services.rds.shapes import instance_shape

Request = dict[str, Any]
Result = dict[str, Any]


def create_db_instance(ctx: Context, req: Request) -> Result | Effect:
    """Make a DB instance: a PostgreSQL server on 127.0.0.1, on `Port` or on a free port from 5432 to 6431.

    It is `creating` until the server accepts connections, then `available`. At most 40 in a region, 100,000 GiB together.
    The master user's password is kept as a SCRAM verifier. Raises: DBInstanceAlreadyExists, InstanceQuotaExceeded,
    StorageQuotaExceeded, InvalidParameterValue (a taken port, too), InvalidParameterCombination, MissingParameter,
    DBParameterGroupNotFound, DBSubnetGroupNotFoundFault, NotImplementedOnCumulet.
    Source: RDS API_CreateDBInstance (read 2026-11).
    """
    settings.refuse("CreateDBInstance", req)
    settings.engine(req)
    for member in ("MasterUsername", "MasterUserPassword"):
        if member not in req:
            raise MissingParameter(f"The request must contain the parameter {member}.")
    settings.master_user(req["MasterUsername"])
    settings.password(req["MasterUserPassword"])
    if "DBName" in req:
        settings.database(req["DBName"])
    size, kind = settings.storage(req)
    changes = {
        "master": req["MasterUsername"],
        "verifier": scram_verifier(req["MasterUserPassword"], bytes.fromhex(ctx.ids.hex(32))),
        "database": req.get("DBName"),
        "storage_gb": size,
        "storage_type": kind,
    }
    if "MaxAllocatedStorage" in req:
        changes["max_storage_gb"] = settings.max_storage(req["MaxAllocatedStorage"], size)
    return making.instance(ctx, req, changes)


def describe_db_instances(ctx: Context, req: Request) -> Result:
    """DB instances by name or ARN, by the filters db-instance-id, dbi-resource-id and engine, in pages of 20 to 100.

    Raises: DBInstanceNotFound, InvalidParameterValue. Source: RDS API_DescribeDBInstances (read 2026-11).
    """
    filters = pages.chosen_by(req, ("db-instance-id", "dbi-resource-id", "engine", "db-cluster-id", "domain"))
    if "DBInstanceIdentifier" in req:
        found = [instance_at(ctx, req["DBInstanceIdentifier"])]
    else:
        found = instances_of(ctx)
    names = {value.rpartition(":")[2].lower() for value in filters.get("db-instance-id", ())}
    found = [
        one
        for one in found
        if ("db-instance-id" not in filters or one.id in names)
        and ("dbi-resource-id" not in filters or one.resource_id in filters["dbi-resource-id"])
        and ("engine" not in filters or "postgres" in filters["engine"])
        and "db-cluster-id" not in filters
        and "domain" not in filters
    ]
    chosen, more = pages.page(found, req, lambda one: one.id)
    return {"DBInstances": [instance_shape(ctx, one) for one in chosen], **more}


def modify_db_instance(ctx: Context, req: Request) -> Result:
    """Change a DB instance: the password and what needs no restart at once, class and storage in its maintenance window.

    With ApplyImmediately, these too, at once; a new class restarts the engine. Parameters of a new parameter group come with
    the next reboot, dynamic ones at once. Raises: DBInstanceNotFound, InvalidDBInstanceState, InvalidParameterValue,
    InvalidParameterCombination, DBParameterGroupNotFound, NotImplementedOnCumulet.
    Source: RDS API_ModifyDBInstance (read 2026-11).
    """
    settings.refuse("ModifyDBInstance", req)
    instance = instance_at(ctx, req["DBInstanceIdentifier"])
    allowed(instance, "modify")
    settings.engine(req)
    for member in ("Port", "DBSubnetGroupName"):
        if member in req:
            raise refused(f"ModifyDBInstance with {member}", "an instance keeps its place.")
    changes = _changes_at_once(ctx, req, instance)
    pending = dict(instance.pending)
    if "DBInstanceClass" in req:
        pending["DBInstanceClass"] = settings.checked_class(req["DBInstanceClass"])
    if "AllocatedStorage" in req:
        pending["AllocatedStorage"] = settings.pending_storage(instance, req)
    if "StorageType" in req:
        size = pending.get("AllocatedStorage", instance.storage_gb)
        pending["StorageType"] = settings.storage({**req, "AllocatedStorage": size})[1]
    now = {
        "DBInstanceClass": instance.instance_class,
        "AllocatedStorage": instance.storage_gb,
        "StorageType": instance.storage_type,
    }
    changes["pending"] = {name: value for name, value in pending.items() if value != now[name]}
    changes["pending_at"] = None
    changed = replace(instance, **changes)
    settings.apart(changed.window, changed.backup_window)
    if changed.pending:
        changed = replace(changed, pending_at=settings.next_window(changed.window, ctx.now))
    shown = changed
    if "MasterUserPassword" in req:
        settings.password(req["MasterUserPassword"])
        verifier = scram_verifier(req["MasterUserPassword"], bytes.fromhex(ctx.ids.hex(32)))
        if changed.pending and req.get("ApplyImmediately", False):
            changed = replace(changed, pending_at=ctx.now)  # the keeper comes to it when the password is set
        shown = replace(changed, new_password=True)
        changed = shown.after("password", verifier=verifier)
    elif changed.pending and req.get("ApplyImmediately", False):
        changed = apply_pending(changed)
    save(ctx, changed)
    return {"DBInstance": {**instance_shape(ctx, shown)}}


def _changes_at_once(ctx: Context, req: Request, instance: Instance) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for member, field in (
        ("DeletionProtection", "protected"),
        ("CopyTagsToSnapshot", "copy_tags"),
        ("AutoMinorVersionUpgrade", "minor_upgrades"),
        ("PubliclyAccessible", "public"),
    ):
        if member in req:
            changes[field] = req[member]
    if "VpcSecurityGroupIds" in req:
        changes["security_groups"] = list(req["VpcSecurityGroupIds"])
    if "DBParameterGroupName" in req:
        changes["group"] = settings.parameter_group(ctx, req["DBParameterGroupName"])
    if "MaxAllocatedStorage" in req:
        changes["max_storage_gb"] = settings.max_storage(req["MaxAllocatedStorage"], instance.storage_gb)
    if "PreferredMaintenanceWindow" in req:
        changes["window"] = settings.maintenance_window(req["PreferredMaintenanceWindow"])
    if "PreferredBackupWindow" in req:
        changes["backup_window"] = settings.backup_window(req["PreferredBackupWindow"])
    return changes


def reboot_db_instance(ctx: Context, req: Request) -> Result:
    """Restart the engine; what waited for a restart in its parameter group is in effect then.

    Raises: DBInstanceNotFound, InvalidDBInstanceState, InvalidParameterCombination. Source: RDS API_RebootDBInstance (read 2026-11).
    """
    instance = instance_at(ctx, req["DBInstanceIdentifier"])
    if req.get("ForceFailover", False):
        raise InvalidParameterCombination(
            "ForceFailover cannot be specified since the instance is not configured for either MultiAZ or High Availability."
        )
    allowed(instance, "reboot")
    return {"DBInstance": instance_shape(ctx, save(ctx, instance.after("reboot")))}


def stop_db_instance(ctx: Context, req: Request) -> Result:
    """Stop the engine and keep its data; after seven days it is started again.

    Raises: DBInstanceNotFound, InvalidDBInstanceState, NotImplementedOnCumulet. Source: RDS API_StopDBInstance (read 2026-11).
    """
    instance = instance_at(ctx, req["DBInstanceIdentifier"])
    if "DBSnapshotIdentifier" in req:
        raise refused("StopDBInstance with DBSnapshotIdentifier", "call CreateDBSnapshot first.")
    if req.get("DetachFromDBCapacityReservation", False):
        raise refused("StopDBInstance with DetachFromDBCapacityReservation", "there are no reservations.")
    allowed(instance, "stop")
    return {"DBInstance": instance_shape(ctx, save(ctx, instance.after("stop")))}


def start_db_instance(ctx: Context, req: Request) -> Result:
    """Start a stopped engine on its data and port.

    Raises: DBInstanceNotFound, InvalidDBInstanceState. Source: RDS API_StartDBInstance (read 2026-11).
    """
    instance = instance_at(ctx, req["DBInstanceIdentifier"])
    allowed(instance, "start")
    return {"DBInstance": instance_shape(ctx, save(ctx, instance.after("start", stopped_at=None)))}


def delete_db_instance(ctx: Context, req: Request) -> Result:
    """Delete a DB instance and its data, after a final snapshot unless SkipFinalSnapshot.

    Raises: DBInstanceNotFound, InvalidDBInstanceState, InvalidParameterCombination, DBSnapshotAlreadyExists,
    SnapshotQuotaExceeded. Source: RDS API_DeleteDBInstance (read 2026-11).
    """
    instance = instance_at(ctx, req["DBInstanceIdentifier"])
    skip, final = req.get("SkipFinalSnapshot", False), req.get("FinalDBSnapshotIdentifier")
    if skip and final is not None:
        raise InvalidParameterCombination("FinalDBSnapshotIdentifier can not be specified when deleting with SkipFinalSnapshot")  # fmt: skip
    if not skip and final is None:
        raise InvalidParameterCombination(
            "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
        )
    if instance.protected:
        raise InvalidParameterCombination(
            "Cannot delete protected DB Instance, please disable deletion protection and try again."
        )
    allowed(instance, "delete")
    if final is not None:
        if instance.status not in ("available", "stopped"):
            raise InvalidParameterCombination(
                f"Cannot create a final snapshot because the DB instance is in the {instance.status} state."
            )
        name = making.snapshot(ctx, instance, final, instance.tags if instance.copy_tags else {}).id
        instance = replace(instance, final_snapshot=name)
    return {"DBInstance": instance_shape(ctx, save(ctx, instance.after("delete", stopped_at=None)))}
