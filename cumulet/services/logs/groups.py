"""Operations on log groups: create, delete, describe, retention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.logs.errors import (
    InvalidParameterException,
    ResourceAlreadyExistsException,
    ValidationException,
)
from cumulet.services.logs.lookup import group_asked, group_named, group_of_arn
from cumulet.services.logs.model import ROOT, Group, Stream, group_key
from cumulet.services.logs.storing import new_group, watch
from cumulet.services.logs.tagging import checked_tags

if TYPE_CHECKING:
    from cumulet.services.logs import api

_RETENTIONS = frozenset(
    (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
)
_PAGE = 50


def create_log_group(ctx: Context, req: api.CreateLogGroupRequest) -> api.CreateLogGroupResult:
    """Make a log group. Events never expire unless a retention policy says so.

    Raises: ResourceAlreadyExistsException, InvalidParameterException, NotImplementedOnCumulet (kmsKeyId, other classes).
    Source: CloudWatch Logs API_CreateLogGroup (read 2026-11).
    """
    if "kmsKeyId" in req:
        raise NotImplementedOnCumulet("CloudWatch Logs' setting kmsKeyId is not implemented by Cumulet.")
    if req.get("logGroupClass", "STANDARD") != "STANDARD":
        raise NotImplementedOnCumulet(
            f"CloudWatch Logs' setting logGroupClass={req['logGroupClass']} is not implemented by Cumulet."
        )
    name = req["logGroupName"]
    if name.startswith("aws/"):
        raise InvalidParameterException("Log groups starting with AWS/ are reserved for AWS.")
    if ctx.tx.get(group_key(ctx.account, ctx.region, name), Group) is not None:
        raise ResourceAlreadyExistsException("The specified log group already exists")
    tags = checked_tags({}, req.get("tags", {}))
    new_group(ctx, name, tags=tags or None, protected=req.get("deletionProtectionEnabled", False))
    return {}


def delete_log_group(ctx: Context, req: api.DeleteLogGroupRequest) -> api.DeleteLogGroupResult:
    """Delete a log group with its streams and events.

    Raises: ResourceNotFoundException, ValidationException (deletion protection).
    Source: CloudWatch Logs API_DeleteLogGroup (read 2026-11).
    """
    group = group_named(ctx, req["logGroupName"])
    if group.protected:
        raise ValidationException("The log group has deletion protection enabled.")
    ctx.tx.delete(group.key)
    ctx.tx.wake(ctx.now, "logs.sweep", (group.id,))
    return {}


def describe_log_groups(ctx: Context, req: api.DescribeLogGroupsRequest) -> api.DescribeLogGroupsResult:
    """The log groups by name, 50 at a time: those with a prefix, or with a text anywhere in their name.

    `storedBytes` is not counted and left out.
    Raises: InvalidParameterException. Source: CloudWatch Logs API_DescribeLogGroups (read 2026-11).
    """
    if "logGroupNamePrefix" in req and "logGroupNamePattern" in req:
        raise InvalidParameterException(
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."
        )
    if req.get("includeLinkedAccounts"):
        raise NotImplementedOnCumulet("CloudWatch Logs' setting includeLinkedAccounts is not implemented by Cumulet.")
    if "logGroupIdentifiers" in req:
        found = [_identified(ctx, identifier) for identifier in req["logGroupIdentifiers"]]
        return {"logGroups": [_shown(group) for group in found]}
    start, limit = req.get("nextToken", ""), req.get("limit", _PAGE)
    prefix, pattern = req.get("logGroupNamePrefix", ""), req.get("logGroupNamePattern", "")
    first = group_key(ctx.account, ctx.region, max(start, prefix))
    shown: list[api.LogGroup] = []
    for _, group in ctx.tx.scan((ROOT, "group", ctx.account, ctx.region), Group, start=first):
        if not group.name.startswith(prefix):
            break
        if pattern in group.name and req.get("logGroupClass", group.log_class) == group.log_class:
            if len(shown) == limit:
                return {"logGroups": shown, "nextToken": group.name}
            shown.append(_shown(group))
    return {"logGroups": shown}


def put_retention_policy(ctx: Context, req: api.PutRetentionPolicyRequest) -> api.PutRetentionPolicyResult:
    """Have events of a group expire after some days; expired ones are no longer returned at once, removed soon.

    Raises: ResourceNotFoundException, InvalidParameterException (a number of days that AWS does not offer).
    Source: CloudWatch Logs API_PutRetentionPolicy (read 2026-11).
    """
    group = group_named(ctx, req["logGroupName"])
    days = req["retentionInDays"]
    if days not in _RETENTIONS:
        raise InvalidParameterException(
            f"Invalid retention value. Valid values are: [{', '.join(str(valid) for valid in sorted(_RETENTIONS))}]"
        )
    changed = replace(group, retention_days=days, policy=group.policy + 1)
    ctx.tx.put(changed.key, changed)
    for _, stream in list(ctx.tx.scan((ROOT, "stream", group.id), Stream)):
        watch(ctx, changed, stream, ctx.now)
    return {}


def delete_retention_policy(ctx: Context, req: api.DeleteRetentionPolicyRequest) -> api.DeleteRetentionPolicyResult:
    """Have events of a group kept for ever.

    Raises: ResourceNotFoundException. Source: CloudWatch Logs API_DeleteRetentionPolicy (read 2026-11).
    """
    group = group_named(ctx, req["logGroupName"])
    ctx.tx.put(group.key, replace(group, retention_days=None, policy=group.policy + 1))
    return {}


def put_log_group_deletion_protection(
    ctx: Context, req: api.PutLogGroupDeletionProtectionRequest
) -> api.PutLogGroupDeletionProtectionResult:
    """Switch a group's deletion protection on or off.

    Raises: ResourceNotFoundException. Source: CloudWatch Logs API_PutLogGroupDeletionProtection (read 2026-11).
    """
    group = group_asked(ctx, {"logGroupIdentifier": req["logGroupIdentifier"]})
    ctx.tx.put(group.key, replace(group, protected=req["deletionProtectionEnabled"]))
    return {}


def _identified(ctx: Context, identifier: str) -> Group:
    return group_of_arn(ctx, identifier) if identifier.startswith("arn:") else group_named(ctx, identifier)


def _shown(group: Group) -> api.LogGroup:
    shown: api.LogGroup = {
        "logGroupName": group.name,
        "creationTime": group.created_ms,
        "metricFilterCount": len(group.metrics or ()),
        "arn": f"{group.arn}:*",
        "logGroupArn": group.arn,
        "logGroupClass": group.log_class,
        "deletionProtectionEnabled": group.protected,
    }
    if group.retention_days is not None:
        shown["retentionInDays"] = group.retention_days
    return shown
