"""RDS's CloudFormation types.

Source: CloudFormation template reference, AWS::RDS::DBInstance, AWS::RDS::DBParameterGroup, AWS::RDS::DBSubnetGroup (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cumulet.aws.errors import GenericAwsError
from cumulet.kernel.outcome import Effect
from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope

_AT_ONCE = 20
_MEMBERS = frozenset(  # properties with the name of the API's member
    {
        "AllocatedStorage", "AutoMinorVersionUpgrade", "AvailabilityZone", "BackupRetentionPeriod", "CopyTagsToSnapshot",
        "DBInstanceClass", "DBInstanceIdentifier", "DBName", "DBParameterGroupName", "DBSnapshotIdentifier",
        "DBSubnetGroupName", "DeletionProtection", "EnableCloudwatchLogsExports", "EnableIAMDatabaseAuthentication",
        "EnablePerformanceInsights", "Engine", "EngineVersion", "LicenseModel", "ManageMasterUserPassword",
        "MasterUserPassword", "MasterUsername", "MaxAllocatedStorage", "MonitoringInterval", "MultiAZ", "NetworkType",
        "OptionGroupName", "Port", "PreferredBackupWindow", "PreferredMaintenanceWindow", "PubliclyAccessible",
        "StorageEncrypted", "StorageType",
    }
)  # fmt: skip
_CREATE_ONLY = frozenset(
    {
        "AvailabilityZone", "DBInstanceIdentifier", "DBName", "DBSnapshotIdentifier", "DBSubnetGroupName", "Engine",
        "MasterUsername", "StorageEncrypted",
    }
)  # fmt: skip
_NOT_FROM_SNAPSHOT = frozenset(
    {"AllocatedStorage", "DBName", "MasterUserPassword", "MasterUsername", "StorageEncrypted"}
)


def _tags(p: Properties, scope: Scope) -> list[dict[str, str]]:
    tags = {**scope.tags, **{tag["Key"]: str(tag["Value"]) for tag in p.get("Tags", ())}}
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _retag(call: Call, p: Properties, scope: Scope, arn: str) -> None:
    wanted = _tags(p, scope)
    now = call("ListTagsForResource", ResourceName=arn)["TagList"]
    gone = [tag["Key"] for tag in now if tag["Key"] not in {tag["Key"] for tag in wanted}]
    if gone:
        call("RemoveTagsFromResource", ResourceName=arn, TagKeys=gone)
    if wanted:
        call("AddTagsToResource", ResourceName=arn, Tags=wanted)


def _arn(kind: str, name: str, scope: Scope) -> str:
    return f"arn:aws:rds:{scope.region}:{scope.account}:{kind}:{name}"


# AWS::RDS::DBInstance


def _request(p: Properties) -> dict[str, Any]:
    request = {name: value for name, value in p.items() if name in _MEMBERS}
    if "VPCSecurityGroups" in p:
        request["VpcSecurityGroupIds"] = p["VPCSecurityGroups"]
    return request


def _create_instance(call: Call, p: Properties, scope: Scope) -> Created | Effect:
    request = {**_request(p), "Tags": _tags(p, scope)}
    if "DBSnapshotIdentifier" in request:
        request = {name: value for name, value in request.items() if name not in _NOT_FROM_SNAPSHOT}
        outcome: Any = call("RestoreDBInstanceFromDBSnapshot", **request)
    else:
        outcome = call("CreateDBInstance", **request)
    if isinstance(outcome, Effect):
        return outcome.then(lambda ctx, result: _created(result))
    return _created(outcome)


def _created(result: Mapping[str, Any]) -> Created:
    instance = result["DBInstance"]
    return Created(
        instance["DBInstanceIdentifier"],
        {"DBInstanceArn": instance["DBInstanceArn"], "DbiResourceId": instance["DbiResourceId"]},
    )


def _update_instance(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    new, before = _request(p), _request(old)
    changed = {name: value for name, value in new.items() if value != before.get(name) and name not in _CREATE_ONLY}
    if "Port" in changed:
        changed["DBPortNumber"] = changed.pop("Port")
    described = _instance(call, str(scope.physical_id))
    if changed:
        call("ModifyDBInstance", DBInstanceIdentifier=scope.physical_id, ApplyImmediately=True, **changed)
    _retag(call, p, scope, described["DBInstanceArn"])
    return _created({"DBInstance": described})


def _instance(call: Call, name: str) -> dict[str, Any]:
    found: dict[str, Any] = call("DescribeDBInstances", DBInstanceIdentifier=name)["DBInstances"][0]
    return found


def _ready(call: Call, name: str, scope: Scope) -> bool:
    instance = _instance(call, name)
    if instance["DBInstanceStatus"] in ("failed", "incompatible-parameters"):
        reasons = [info["Message"] for info in instance.get("StatusInfos", ())]
        raise GenericAwsError("NotStabilized", " ".join(reasons) or "The DB instance is not available.")
    return bool(instance["DBInstanceStatus"] == "available" and not instance["PendingModifiedValues"])


def _instance_attributes(call: Call, name: str, scope: Scope) -> dict[str, Any]:
    endpoint = _instance(call, name)["Endpoint"]
    return {"Endpoint.Address": endpoint["Address"], "Endpoint.Port": str(endpoint["Port"])}


def _delete_instance(call: Call, p: Properties, scope: Scope) -> None:
    if _instance(call, str(scope.physical_id))["DBInstanceStatus"] != "deleting":
        call("DeleteDBInstance", DBInstanceIdentifier=scope.physical_id, SkipFinalSnapshot=True)


def _snapshot_instance(call: Call, p: Properties, scope: Scope) -> None:
    """Delete after a final snapshot; an instance that is not there for one goes without it."""
    status = _instance(call, str(scope.physical_id))["DBInstanceStatus"]
    if status in ("available", "stopped"):
        parts = (scope.stack_name, "snapshot", scope.logical_id, scope.generated_name.rpartition("-")[2])
        name = re.sub("-+", "-", "-".join(parts).lower())
        call("DeleteDBInstance", DBInstanceIdentifier=scope.physical_id, FinalDBSnapshotIdentifier=name)
    else:
        _delete_instance(call, p, scope)


def _instance_gone(call: Call, name: str, scope: Scope) -> bool:
    _instance(call, name)  # it is gone when this says "not found"
    return False


INSTANCE = Resource(
    type="AWS::RDS::DBInstance",
    service="rds",
    properties=_MEMBERS | {"DeleteAutomatedBackups", "Tags", "VPCSecurityGroups"},
    create=_create_instance,
    update=_update_instance,
    delete=_delete_instance,
    snapshot=_snapshot_instance,
    replace_on=_CREATE_ONLY,
    name="DBInstanceIdentifier",
    name_max=63,
    name_lower=True,
    ready=_ready,
    gone=_instance_gone,
    attributes=_instance_attributes,
)


# AWS::RDS::DBParameterGroup


def _set(call: Call, name: str, values: Mapping[str, Any]) -> None:
    """Set parameters, dynamic ones at once."""
    given = [(key, str(value).lower() if isinstance(value, bool) else str(value)) for key, value in values.items()]
    for first in range(0, len(given), _AT_ONCE):
        some = given[first : first + _AT_ONCE]
        filters = [{"Name": "parameter-name", "Values": [key.lower() for key, _ in some]}]
        known = call("DescribeDBParameters", DBParameterGroupName=name, Filters=filters)["Parameters"]
        dynamic = {one["ParameterName"] for one in known if one["ApplyType"] == "dynamic"}
        parameters = [
            {
                "ParameterName": key,
                "ParameterValue": value,
                "ApplyMethod": "immediate" if key.lower() in dynamic else "pending-reboot",
            }
            for key, value in some
        ]
        call("ModifyDBParameterGroup", DBParameterGroupName=name, Parameters=parameters)


def _create_group(call: Call, p: Properties, scope: Scope) -> Created:
    name = p["DBParameterGroupName"].lower()
    request = {"DBParameterGroupFamily": p["Family"], "Description": p["Description"], "Tags": _tags(p, scope)}
    call("CreateDBParameterGroup", DBParameterGroupName=name, **request)
    _set(call, name, p.get("Parameters", {}))
    return _group(name, scope)


def _group(name: str, scope: Scope) -> Created:
    return Created(name, {"DBParameterGroupArn": _arn("pg", name, scope), "DBParameterGroupName": name})


def _update_group(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    name = str(scope.physical_id)
    new, before = p.get("Parameters", {}), old.get("Parameters", {})
    dropped = [{"ParameterName": key, "ApplyMethod": "pending-reboot"} for key in before if key not in new]
    for first in range(0, len(dropped), _AT_ONCE):
        some = dropped[first : first + _AT_ONCE]
        call("ResetDBParameterGroup", DBParameterGroupName=name, Parameters=some)
    _set(call, name, {key: value for key, value in new.items() if value != before.get(key)})
    _retag(call, p, scope, _arn("pg", name, scope))
    return _group(name, scope)


def _delete_group(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteDBParameterGroup", DBParameterGroupName=scope.physical_id)


PARAMETER_GROUP = Resource(
    type="AWS::RDS::DBParameterGroup",
    service="rds",
    properties=frozenset({"DBParameterGroupName", "Description", "Family", "Parameters", "Tags"}),
    required=frozenset({"Description", "Family"}),
    create=_create_group,
    update=_update_group,
    delete=_delete_group,
    replace_on=frozenset({"DBParameterGroupName", "Description", "Family"}),
    name="DBParameterGroupName",
    name_max=255,
    name_lower=True,
)


# AWS::RDS::DBSubnetGroup


def _create_subnets(call: Call, p: Properties, scope: Scope) -> Created:
    request = {name: p[name] for name in ("DBSubnetGroupName", "DBSubnetGroupDescription", "SubnetIds")}
    result = call("CreateDBSubnetGroup", **request, Tags=_tags(p, scope))
    return _subnets(result["DBSubnetGroup"]["DBSubnetGroupName"], scope)


def _subnets(name: str, scope: Scope) -> Created:
    return Created(name, {"DBSubnetGroupArn": _arn("subgrp", name, scope)})


def _update_subnets(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    name = str(scope.physical_id)
    request = {member: p[member] for member in ("DBSubnetGroupDescription", "SubnetIds")}
    call("ModifyDBSubnetGroup", DBSubnetGroupName=name, **request)
    _retag(call, p, scope, _arn("subgrp", name, scope))
    return _subnets(name, scope)


def _delete_subnets(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteDBSubnetGroup", DBSubnetGroupName=scope.physical_id)


SUBNET_GROUP = Resource(
    type="AWS::RDS::DBSubnetGroup",
    service="rds",
    properties=frozenset({"DBSubnetGroupDescription", "DBSubnetGroupName", "SubnetIds", "Tags"}),
    required=frozenset({"DBSubnetGroupDescription", "SubnetIds"}),
    create=_create_subnets,
    update=_update_subnets,
    delete=_delete_subnets,
    replace_on=frozenset({"DBSubnetGroupName"}),
    name="DBSubnetGroupName",
    name_max=255,
    name_lower=True,
)

RESOURCES = (INSTANCE, PARAMETER_GROUP, SUBNET_GROUP)
