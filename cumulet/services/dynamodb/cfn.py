"""DynamoDB's CloudFormation types.

Source: CloudFormation template reference, AWS::DynamoDB::Table (read 2026-11).
"""

from __future__ import annotations

import json
from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope

_PLAIN = ("KeySchema", "AttributeDefinitions", "BillingMode", "TableClass", "DeletionProtectionEnabled")


def _flag(value: Any) -> bool:
    return value if isinstance(value, bool) else str(value).lower() == "true"


def _units(spec: Properties) -> Properties:
    return {"ReadCapacityUnits": int(spec["ReadCapacityUnits"]), "WriteCapacityUnits": int(spec["WriteCapacityUnits"])}


def _most(spec: Properties) -> Properties:
    """OnDemandThroughput; what is not named has no maximum."""
    return {member: int(spec.get(member, -1)) for member in ("MaxReadRequestUnits", "MaxWriteRequestUnits")}


def _index(spec: Properties) -> Properties:
    """An index as CreateTable takes it."""
    for name in ("ContributorInsightsSpecification", "WarmThroughput"):
        if spec.get(name):
            raise NotImplementedOnCumulet(f"AWS::DynamoDB::Table: {name} of an index is not implemented by Cumulet.")
    out: Properties = {name: spec[name] for name in ("IndexName", "KeySchema", "Projection") if name in spec}
    if "ProvisionedThroughput" in spec:
        out["ProvisionedThroughput"] = _units(spec["ProvisionedThroughput"])
    if "OnDemandThroughput" in spec:
        out["OnDemandThroughput"] = _most(spec["OnDemandThroughput"])
    return out


def _refuse(p: Properties) -> None:
    """Sub-properties that are not honoured unless they say no. Raises: NotImplementedOnCumulet."""
    refused = {
        "SSESpecification.SSEEnabled": _flag(p.get("SSESpecification", {}).get("SSEEnabled", False)),
        "ContributorInsightsSpecification.Enabled": _flag(
            p.get("ContributorInsightsSpecification", {}).get("Enabled", False)
        ),
        "StreamSpecification.ResourcePolicy": bool(p.get("StreamSpecification", {}).get("ResourcePolicy")),
    }
    for name, asked in refused.items():
        if asked:
            raise NotImplementedOnCumulet(f"Property {name} of AWS::DynamoDB::Table is not supported by Cumulet.")


def _stream(spec: Properties) -> Properties:
    """A template names a view alone; that it is there enables the stream."""
    out: Properties = {"StreamEnabled": True}
    if "StreamViewType" in spec:
        out["StreamViewType"] = spec["StreamViewType"]
    return out


def _request(p: Properties, scope: Scope) -> Properties:
    out: Properties = {name: p[name] for name in _PLAIN if name in p}
    if "DeletionProtectionEnabled" in out:
        out["DeletionProtectionEnabled"] = _flag(out["DeletionProtectionEnabled"])
    if "ProvisionedThroughput" in p:
        out["ProvisionedThroughput"] = _units(p["ProvisionedThroughput"])
    for member in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        if p.get(member):
            out[member] = [_index(spec) for spec in p[member]]
    if "OnDemandThroughput" in p:
        out["OnDemandThroughput"] = _most(p["OnDemandThroughput"])
    if p.get("ResourcePolicy"):
        out["ResourcePolicy"] = _policy(p)
    if p.get("StreamSpecification"):
        out["StreamSpecification"] = _stream(p["StreamSpecification"])
    tags = {**scope.tags, **{tag["Key"]: str(tag["Value"]) for tag in p.get("Tags", ())}}
    if tags:
        out["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
    return out


def _policy(p: Properties) -> str:
    return json.dumps(p["ResourcePolicy"]["PolicyDocument"])


def _created(call: Call, name: str) -> Created:
    table = call("DescribeTable", TableName=name)["Table"]
    attributes = {"Arn": table["TableArn"]}
    if "StreamSpecification" in table:
        attributes["StreamArn"] = table["LatestStreamArn"]
    return Created(name, attributes)


def _create(call: Call, p: Properties, scope: Scope) -> Created:
    _refuse(p)
    name = p["TableName"]
    call("CreateTable", TableName=name, **_request(p, scope))
    _expire(call, name, p)
    _recover(call, name, p)
    return _created(call, name)


def _ready(call: Call, name: str, scope: Scope) -> bool:
    table = call("DescribeTable", TableName=name)["Table"]
    indexes = table.get("GlobalSecondaryIndexes", ())
    return table["TableStatus"] == "ACTIVE" and all(index["IndexStatus"] == "ACTIVE" for index in indexes)


def _update(call: Call, new: Properties, old: Properties, scope: Scope) -> Created:
    _refuse(new)
    name = str(scope.physical_id)
    table = call("DescribeTable", TableName=name)["Table"]
    request: Properties = {}
    if new.get("BillingMode", "PROVISIONED") != old.get("BillingMode", "PROVISIONED"):
        request["BillingMode"] = new.get("BillingMode", "PROVISIONED")
    if "ProvisionedThroughput" in new and (request or new["ProvisionedThroughput"] != old.get("ProvisionedThroughput")):
        request["ProvisionedThroughput"] = _units(new["ProvisionedThroughput"])
    if new.get("OnDemandThroughput") != old.get("OnDemandThroughput"):
        request["OnDemandThroughput"] = _most(new.get("OnDemandThroughput", {}))
    if _flag(new.get("DeletionProtectionEnabled", False)) != table["DeletionProtectionEnabled"]:
        request["DeletionProtectionEnabled"] = _flag(new.get("DeletionProtectionEnabled", False))
    if new.get("TableClass", "STANDARD") != old.get("TableClass", "STANDARD"):
        request["TableClass"] = new.get("TableClass", "STANDARD")
    wanted = _stream(new["StreamSpecification"]) if new.get("StreamSpecification") else {"StreamEnabled": False}
    if wanted != table.get("StreamSpecification", {"StreamEnabled": False}):
        request["StreamSpecification"] = wanted
    updates = _index_updates(new, old)
    if updates:
        request["GlobalSecondaryIndexUpdates"] = updates
        request["AttributeDefinitions"] = new["AttributeDefinitions"]
    _retag(call, table["TableArn"], new, scope)
    _recover(call, name, new)
    if new.get("ResourcePolicy") != old.get("ResourcePolicy"):
        if new.get("ResourcePolicy"):
            call("PutResourcePolicy", ResourceArn=table["TableArn"], Policy=_policy(new))
        else:
            call("DeleteResourcePolicy", ResourceArn=table["TableArn"])
    _expire(call, name, new)  # before the table is UPDATING
    if request:
        call("UpdateTable", TableName=name, **request)
    return _created(call, name)


def _other_types(new: Properties, old: Properties) -> bool:
    """Whether an attribute that stays has another type: no table can change that."""
    before = {each["AttributeName"]: each["AttributeType"] for each in old.get("AttributeDefinitions", ())}
    after = {each["AttributeName"]: each["AttributeType"] for each in new.get("AttributeDefinitions", ())}
    return any(after[name] != kind for name, kind in before.items() if name in after)


def _index_updates(new: Properties, old: Properties) -> list[Properties]:
    """What changes the old global indexes into the new ones; one may come or go in one update, as in AWS."""
    before = {spec["IndexName"]: spec for spec in old.get("GlobalSecondaryIndexes", ())}
    after = {spec["IndexName"]: spec for spec in new.get("GlobalSecondaryIndexes", ())}
    updates: list[Properties] = [{"Delete": {"IndexName": name}} for name in before if name not in after]
    for name, spec in after.items():
        if name not in before:
            updates.append({"Create": _index(spec)})
        elif any(spec.get(member) != before[name].get(member) for member in ("KeySchema", "Projection")):
            updates += [{"Delete": {"IndexName": name}}, {"Create": _index(spec)}]
        elif "ProvisionedThroughput" in spec and spec["ProvisionedThroughput"] != before[name].get(
            "ProvisionedThroughput"
        ):
            updates.append(
                {"Update": {"IndexName": name, "ProvisionedThroughput": _units(spec["ProvisionedThroughput"])}}
            )
        elif spec.get("OnDemandThroughput") != before[name].get("OnDemandThroughput"):
            most = _most(spec.get("OnDemandThroughput", {}))
            updates.append({"Update": {"IndexName": name, "OnDemandThroughput": most}})
    return updates


def _retag(call: Call, arn: str, p: Properties, scope: Scope) -> None:
    wanted = {**scope.tags, **{tag["Key"]: str(tag["Value"]) for tag in p.get("Tags", ())}}
    there = {tag["Key"]: tag["Value"] for tag in call("ListTagsOfResource", ResourceArn=arn)["Tags"]}
    gone = [key for key in there if key not in wanted]
    if gone:
        call("UntagResource", ResourceArn=arn, TagKeys=gone)
    added = [{"Key": key, "Value": value} for key, value in wanted.items() if there.get(key) != value]
    if added:
        call("TagResource", ResourceArn=arn, Tags=added)


def _expire(call: Call, name: str, p: Properties) -> None:
    """Bring time to live to what the template says."""
    now = call("DescribeTimeToLive", TableName=name)["TimeToLiveDescription"].get("AttributeName")
    spec = p.get("TimeToLiveSpecification", {})
    wanted = spec["AttributeName"] if _flag(spec.get("Enabled", False)) else None
    if now is not None and wanted is None:
        call("UpdateTimeToLive", TableName=name, TimeToLiveSpecification={"Enabled": False, "AttributeName": now})
    if wanted is not None and now != wanted:
        call("UpdateTimeToLive", TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": wanted})


def _recover(call: Call, name: str, p: Properties) -> None:
    """Bring point-in-time recovery to what the template says."""
    there = call("DescribeContinuousBackups", TableName=name)["ContinuousBackupsDescription"]
    now = there["PointInTimeRecoveryDescription"]
    spec = p.get("PointInTimeRecoverySpecification", {})
    wanted: Properties = {"PointInTimeRecoveryEnabled": _flag(spec.get("PointInTimeRecoveryEnabled", False))}
    if wanted["PointInTimeRecoveryEnabled"]:
        wanted["RecoveryPeriodInDays"] = int(spec.get("RecoveryPeriodInDays", 35))
    on = now["PointInTimeRecoveryStatus"] == "ENABLED"
    if on != wanted["PointInTimeRecoveryEnabled"] or now.get("RecoveryPeriodInDays") != wanted.get(
        "RecoveryPeriodInDays"
    ):
        call("UpdateContinuousBackups", TableName=name, PointInTimeRecoverySpecification=wanted)


def _delete(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteTable", TableName=str(scope.physical_id))


_PROPERTIES = frozenset(
    (
        *_PLAIN,
        "ContributorInsightsSpecification",
        "GlobalSecondaryIndexes",
        "LocalSecondaryIndexes",
        "OnDemandThroughput",
        "PointInTimeRecoverySpecification",
        "ProvisionedThroughput",
        "ResourcePolicy",
        "SSESpecification",
        "StreamSpecification",
        "TableName",
        "Tags",
        "TimeToLiveSpecification",
    )
)
_UNITS = frozenset(("ReadCapacityUnits", "WriteCapacityUnits"))
_MOST = frozenset(("MaxReadRequestUnits", "MaxWriteRequestUnits"))
_LOCAL = frozenset(("IndexName", "KeySchema", "Projection"))
_GLOBAL = frozenset(
    ("ContributorInsightsSpecification", "OnDemandThroughput", "ProvisionedThroughput", "WarmThroughput")
)
_MEMBERS = {
    "ContributorInsightsSpecification": frozenset(("Enabled", "Mode")),
    "GlobalSecondaryIndexes": _LOCAL | _GLOBAL,
    "GlobalSecondaryIndexes.OnDemandThroughput": _MOST,
    "GlobalSecondaryIndexes.ProvisionedThroughput": _UNITS,
    "LocalSecondaryIndexes": _LOCAL,
    "OnDemandThroughput": _MOST,
    "PointInTimeRecoverySpecification": frozenset(("PointInTimeRecoveryEnabled", "RecoveryPeriodInDays")),
    "ProvisionedThroughput": _UNITS,
    "ResourcePolicy": frozenset(("PolicyDocument",)),
    "SSESpecification": frozenset(("KMSMasterKeyId", "SSEEnabled", "SSEType")),
    "StreamSpecification": frozenset(("ResourcePolicy", "StreamViewType")),
    "TimeToLiveSpecification": frozenset(("AttributeName", "Enabled")),
}
TABLE = Resource(
    type="AWS::DynamoDB::Table",
    service="dynamodb",
    properties=_PROPERTIES,
    members=_MEMBERS,
    required=frozenset(("KeySchema",)),
    create=_create,
    update=_update,
    delete=_delete,
    replace_on=frozenset(("TableName", "KeySchema", "LocalSecondaryIndexes")),
    replaces=_other_types,
    name="TableName",
    name_max=255,
    ready=_ready,
)
