"""Records as RDS describes them."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.rds import parameters
from cumulet.services.rds.model import (
    DEFAULT_GROUP,
    ENGINE,
    HOST,
    OPTION_GROUP,
    Group,
    Instance,
    Snapshot,
    SubnetGroup,
    subnet_group_key,
)

RESTART_AFTER_S = 7 * 86400.0
_SHOWN_PENDING = ("DBInstanceClass", "AllocatedStorage", "StorageType")


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def running(ctx: Context, instance: Instance) -> bool:
    """Whether its engine runs now, as the supervisor of engines knows it."""
    return instance.resource_id in ctx.pipeline.volatile.get("engines.running", ())


def status_of(ctx: Context, instance: Instance) -> str:
    """Its status; an instance whose engine is not back yet after a restart of the cloud is starting."""
    return "starting" if instance.status == "available" and not running(ctx, instance) else instance.status


def parameter_status(ctx: Context, instance: Instance) -> str:
    """Whether the engine has what its parameter group says."""
    if instance.status in ("creating", "stopped", "starting", "failed"):
        return "in-sync"
    wanted = parameters.settings(ctx, instance)
    if wanted == instance.applied:
        return "in-sync"
    return "pending-reboot" if parameters.live_settings(ctx, instance) == instance.applied else "applying"


def instance_shape(ctx: Context, instance: Instance) -> dict[str, Any]:
    """A DBInstance."""
    status = status_of(ctx, instance)
    shape: dict[str, Any] = {
        "DBInstanceIdentifier": instance.id,
        "DBInstanceClass": instance.instance_class,
        "Engine": ENGINE,
        "EngineVersion": instance.version,
        "DBInstanceStatus": status,
        "MasterUsername": instance.master,
        "AllocatedStorage": instance.storage_gb,
        "StorageType": instance.storage_type,
        "StorageEncrypted": False,
        "PreferredBackupWindow": instance.backup_window,
        "PreferredMaintenanceWindow": instance.window,
        "BackupRetentionPeriod": 0,
        "DBSecurityGroups": [],
        "VpcSecurityGroups": [{"VpcSecurityGroupId": group, "Status": "active"} for group in instance.security_groups],
        "DBParameterGroups": [
            {"DBParameterGroupName": instance.group, "ParameterApplyStatus": parameter_status(ctx, instance)}
        ],
        "OptionGroupMemberships": [{"OptionGroupName": OPTION_GROUP, "Status": "in-sync"}],
        "AvailabilityZone": instance.zone,
        "PendingModifiedValues": _pending(instance),
        "MultiAZ": False,
        "AutoMinorVersionUpgrade": instance.minor_upgrades,
        "ReadReplicaDBInstanceIdentifiers": [],
        "LicenseModel": "postgresql-license",
        "PubliclyAccessible": instance.public,
        "DbInstancePort": 0,
        "DbiResourceId": instance.resource_id,
        "DomainMemberships": [],
        "CopyTagsToSnapshot": instance.copy_tags,
        "MonitoringInterval": 0,
        "DBInstanceArn": instance.arn,
        "IAMDatabaseAuthenticationEnabled": False,
        "PerformanceInsightsEnabled": False,
        "DatabaseInsightsMode": "standard",
        "DeletionProtection": instance.protected,
        "AssociatedRoles": [],
        "TagList": tag_list(instance.tags),
        "CustomerOwnedIpEnabled": False,
        "NetworkType": "IPV4",
        "BackupTarget": "region",
        "DedicatedLogVolume": False,
    }
    if instance.database is not None:
        shape["DBName"] = instance.database
    if instance.max_storage_gb is not None:
        shape["MaxAllocatedStorage"] = instance.max_storage_gb
    if instance.status not in ("creating", "failed"):
        shape["Endpoint"] = {"Address": HOST, "Port": instance.port}
        shape["InstanceCreateTime"] = instance.created
    if instance.subnet_group is not None:
        key = subnet_group_key(instance.account, instance.region, instance.subnet_group)
        group = ctx.tx.get(key, SubnetGroup)
        if group is not None:
            shape["DBSubnetGroup"] = subnet_group_shape(group)
    if instance.stopped_at is not None:
        shape["AutomaticRestartTime"] = instance.stopped_at + RESTART_AFTER_S
    if instance.message:
        info = {"StatusType": "engine", "Normal": False, "Status": "error", "Message": instance.message}
        shape["StatusInfos"] = [info]
    return shape


def _pending(instance: Instance) -> dict[str, Any]:
    found = {name: value for name, value in instance.pending.items() if name in _SHOWN_PENDING}
    if instance.new_password:
        found["MasterUserPassword"] = "****"
    return found


def group_shape(group: Group) -> dict[str, Any]:
    """A DBParameterGroup."""
    return {
        "DBParameterGroupName": group.name,
        "DBParameterGroupFamily": group.family,
        "Description": group.description,
        "DBParameterGroupArn": group.arn,
    }


def default_group(ctx: Context) -> Group:
    """The family's own group, which is always there and cannot be changed."""
    return Group(
        account=ctx.account,
        region=ctx.region,
        name=DEFAULT_GROUP,
        family=DEFAULT_GROUP.partition(".")[2],
        description=f"Default parameter group for {DEFAULT_GROUP.partition('.')[2]}",
    )


def subnet_group_shape(group: SubnetGroup) -> dict[str, Any]:
    """A DBSubnetGroup."""
    return {
        "DBSubnetGroupName": group.name,
        "DBSubnetGroupDescription": group.description,
        "SubnetGroupStatus": "Complete",
        "Subnets": [{"SubnetIdentifier": subnet, "SubnetStatus": "Active"} for subnet in group.subnets],
        "DBSubnetGroupArn": group.arn,
        "SupportedNetworkTypes": ["IPV4"],
    }


def snapshot_shape(snapshot: Snapshot) -> dict[str, Any]:
    """A DBSnapshot."""
    instance, ready = snapshot.instance, snapshot.status == "available"
    shape: dict[str, Any] = {
        "DBSnapshotIdentifier": snapshot.id,
        "DBInstanceIdentifier": instance.id,
        "Engine": ENGINE,
        "EngineVersion": instance.version,
        "AllocatedStorage": instance.storage_gb,
        "StorageType": instance.storage_type,
        "Status": snapshot.status,
        "Port": instance.port,
        "AvailabilityZone": instance.zone,
        "InstanceCreateTime": instance.created,
        "MasterUsername": instance.master,
        "LicenseModel": "postgresql-license",
        "SnapshotType": "manual",
        "OptionGroupName": OPTION_GROUP,
        "PercentProgress": 100 if ready else 0,
        "Encrypted": False,
        "DBSnapshotArn": snapshot.arn,
        "IAMDatabaseAuthenticationEnabled": False,
        "DbiResourceId": instance.resource_id,
        "TagList": tag_list(snapshot.tags),
        "SnapshotTarget": "region",
        "DedicatedLogVolume": False,
    }
    if ready:
        shape["SnapshotCreateTime"] = shape["OriginalSnapshotCreateTime"] = snapshot.created
    return shape
