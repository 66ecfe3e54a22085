"""How DB instances and snapshots begin, whichever operation asks for them."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Effect, EffectFailed
from cumulet.services.rds import settings
from cumulet.services.rds.errors import (
    DBInstanceAlreadyExists,
    DBSnapshotAlreadyExists,
    InstanceQuotaExceeded,
    InvalidParameterValue,
    SnapshotQuotaExceeded,
    StorageQuotaExceeded,
)
from cumulet.services.rds.model import (
    DEFAULT_GROUP,
    ROOT,
    Instance,
    Snapshot,
    instances_of,
    save,
    snapshot_key,
)
from cumulet.services.rds.shapes import instance_shape

INSTANCES_MAX = 40
SNAPSHOTS_MAX = 100
STORAGE_MAX_GB = 100_000


def instance(ctx: Context, req: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any] | Effect:
    """A new DB instance as CreateDBInstance answers it; a port that was asked for is looked at first.

    Raises: see CreateDBInstance.
    """
    made = _new(ctx, req, changes)
    if not made.port_given:
        return {"DBInstance": instance_shape(ctx, save(ctx, made))}

    def looked(later: Context, port: Any) -> dict[str, Any]:
        if isinstance(port, EffectFailed):
            raise InvalidParameterValue(port.message, hint="leave Port out for a free one")
        return {"DBInstance": instance_shape(later, save(later, _new(later, req, changes)))}

    return Effect("postgres.port", (made.port, 1, ()), looked)


def _new(ctx: Context, req: dict[str, Any], changes: dict[str, Any]) -> Instance:
    name = settings.identifier(req["DBInstanceIdentifier"], "DBInstanceIdentifier", 63)
    there = instances_of(ctx)
    if any(one.id == name for one in there):
        raise DBInstanceAlreadyExists("DB instance already exists")
    if len(there) >= INSTANCES_MAX:
        raise InstanceQuotaExceeded("Cannot create more than 40 DB instances")
    if sum(one.storage_gb for one in there) + changes["storage_gb"] > STORAGE_MAX_GB:
        raise StorageQuotaExceeded("The request exceeds the storage quota of 100000 GiB.")
    window, backups = settings.default_windows(ctx)
    window = settings.maintenance_window(req.get("PreferredMaintenanceWindow", window))
    backups = settings.backup_window(req.get("PreferredBackupWindow", backups))
    if "PreferredMaintenanceWindow" in req or "PreferredBackupWindow" in req:
        settings.apart(window, backups)
    given = req.get("Port")
    if given is not None:
        settings.port(given)
        _not_taken(ctx, given)
    fields: dict[str, Any] = {
        "account": ctx.account,
        "region": ctx.region,
        "id": name,
        "resource_id": f"db-{ctx.ids.upper(26)}",
        "created": ctx.now,
        "instance_class": settings.checked_class(req["DBInstanceClass"]),
        "port": given or 0,
        "port_given": given is not None,
        "group": settings.parameter_group(ctx, req.get("DBParameterGroupName", DEFAULT_GROUP)),
        "window": window,
        "backup_window": backups,
        "zone": settings.zone(ctx, req),
        "security_groups": list(req.get("VpcSecurityGroupIds", ())),
        "protected": req.get("DeletionProtection", False),
        "copy_tags": req.get("CopyTagsToSnapshot", False),
        "minor_upgrades": req.get("AutoMinorVersionUpgrade", True),
        "public": req.get("PubliclyAccessible", False),
        "tags": settings.tags(req.get("Tags", ())),
    }
    if "DBSubnetGroupName" in req:
        fields["subnet_group"] = settings.subnet_group(ctx, req["DBSubnetGroupName"])
    return Instance(**{**fields, **changes})


def _not_taken(ctx: Context, port: int) -> None:
    for _, one in ctx.tx.scan((ROOT, "instance"), Instance):
        if one.port == port:
            raise InvalidParameterValue(
                f"Port {port} is in use by the DB instance {one.id}.", hint="leave Port out for a free one"
            )


def snapshot(ctx: Context, of: Instance, name: str, tags: dict[str, str]) -> Snapshot:
    """A new manual snapshot, to be filled by the keeper. Raises: DBSnapshotAlreadyExists, SnapshotQuotaExceeded, InvalidParameterValue."""
    name = settings.identifier(name, "DBSnapshotIdentifier", 255)
    if ctx.tx.get(snapshot_key(ctx.account, ctx.region, name), Snapshot) is not None:
        raise DBSnapshotAlreadyExists(f"Cannot create the snapshot because a snapshot with the identifier {name} already exists.")  # fmt: skip
    if sum(1 for _ in ctx.tx.scan_keys((ROOT, "snapshot", ctx.account, ctx.region))) >= SNAPSHOTS_MAX:
        raise SnapshotQuotaExceeded(f"Cannot create more than {SNAPSHOTS_MAX} manual snapshots")
    made = Snapshot(
        account=ctx.account,
        region=ctx.region,
        id=name,
        resource_id=f"snapshot-{ctx.ids.upper(26)}",
        instance=of,
        created=ctx.now,
        tags=tags,
    )
    ctx.tx.put(made.key, made)
    return made
