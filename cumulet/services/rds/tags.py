"""Operations on the tags of DB instances, parameter groups, subnet groups and snapshots."""

from __future__ import annotations

from typing import Any

from cumulet.aws.arn import Arn
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.rds import pages, settings
from cumulet.services.rds.errors import (
    DBInstanceNotFound,
    DBParameterGroupNotFound,
    DBSnapshotNotFound,
    DBSubnetGroupNotFoundFault,
    InvalidParameterValue,
)
from cumulet.services.rds.model import (
    Group,
    Instance,
    Snapshot,
    SubnetGroup,
    group_key,
    instance_key,
    snapshot_key,
    subnet_group_key,
)
from cumulet.services.rds.shapes import tag_list

Request = dict[str, Any]
Result = dict[str, Any]
Tagged = Instance | Group | SubnetGroup | Snapshot


def add_tags_to_resource(ctx: Context, req: Request) -> Result:
    """Add or replace tags; at most 50 on a resource. Raises: the resource's NotFound, InvalidParameterValue.

    Source: RDS API_AddTagsToResource (read 2026-11).
    """
    found = _resource(ctx, req["ResourceName"])
    merged = {**found.tags, **settings.tags(req["Tags"])}
    if len(merged) > settings.TAGS_MAX:
        raise InvalidParameterValue(f"A resource has at most {settings.TAGS_MAX} tags.")
    ctx.tx.put(found.key, replace(found, tags=merged))
    return {}


def remove_tags_from_resource(ctx: Context, req: Request) -> Result:
    """Remove tags by key; missing ones are fine. Raises: the resource's NotFound, InvalidParameterValue.

    Source: RDS API_RemoveTagsFromResource (read 2026-11).
    """
    found = _resource(ctx, req["ResourceName"])
    left = {key: value for key, value in found.tags.items() if key not in set(req["TagKeys"])}
    ctx.tx.put(found.key, replace(found, tags=left))
    return {}


def list_tags_for_resource(ctx: Context, req: Request) -> Result:
    """A resource's tags. Raises: the resource's NotFound, InvalidParameterValue.

    Source: RDS API_ListTagsForResource (read 2026-11).
    """
    pages.chosen_by(req, ())
    return {"TagList": tag_list(_resource(ctx, req["ResourceName"]).tags)}


def _resource(ctx: Context, arn: str) -> Tagged:
    try:
        parsed = Arn.parse(arn)
    except ValueError:
        parsed = None
    kind, _, name = parsed.resource.partition(":") if parsed is not None else ("", "", "")
    if parsed is None or parsed.service != "rds" or (parsed.account, parsed.region) != (ctx.account, ctx.region):
        raise InvalidParameterValue(f"Invalid resource name: {arn}")
    found: Tagged | None
    if kind == "db":
        found = ctx.tx.get(instance_key(ctx.account, ctx.region, name), Instance)
        missing: Exception = DBInstanceNotFound(f"DBInstance {name} not found.")
    elif kind == "pg":
        found = ctx.tx.get(group_key(ctx.account, ctx.region, name), Group)
        missing = DBParameterGroupNotFound(f"DBParameterGroup not found: {name}")
    elif kind == "subgrp":
        found = ctx.tx.get(subnet_group_key(ctx.account, ctx.region, name), SubnetGroup)
        missing = DBSubnetGroupNotFoundFault(f"DB subnet group '{name}' does not exist.")
    elif kind == "snapshot":
        found = ctx.tx.get(snapshot_key(ctx.account, ctx.region, name), Snapshot)
        missing = DBSnapshotNotFound(f"DBSnapshot {name} not found.")
    else:
        raise InvalidParameterValue(f"Invalid resource name: {arn}")
    if found is None:
        raise missing
    return found
