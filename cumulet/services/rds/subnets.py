"""Operations on DB subnet groups: records, as there are no subnets on one machine."""

from __future__ import annotations

import re
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.rds import pages, settings
from cumulet.services.rds.errors import (
    DBSubnetGroupAlreadyExists,
    DBSubnetGroupDoesNotCoverEnoughAZs,
    DBSubnetGroupNotFoundFault,
    DBSubnetGroupQuotaExceeded,
    DBSubnetQuotaExceededFault,
    InvalidDBSubnetGroupStateFault,
    InvalidParameterValue,
)
from cumulet.services.rds.model import ROOT, SubnetGroup, instances_of, subnet_group_key
from cumulet.services.rds.shapes import subnet_group_shape

GROUPS_MAX = 50
SUBNETS_MAX = 20
Request = dict[str, Any]
Result = dict[str, Any]


def create_db_subnet_group(ctx: Context, req: Request) -> Result:
    """Name 2 to 20 subnets; at most 50 groups in a region.

    Raises: DBSubnetGroupAlreadyExists, DBSubnetGroupQuotaExceeded, DBSubnetQuotaExceededFault,
    DBSubnetGroupDoesNotCoverEnoughAZs, InvalidParameterValue. Source: RDS API_CreateDBSubnetGroup (read 2026-11).
    """
    name = req["DBSubnetGroupName"].lower()
    if not re.fullmatch(r"[a-z][a-z0-9 ._-]{0,254}", name) or name == "default":
        raise InvalidParameterValue(
            "The parameter DBSubnetGroupName must be provided and must not be blank, or its value is not valid: "
            "letters, digits, periods, underscores, spaces and hyphens, not default."
        )
    if ctx.tx.get(subnet_group_key(ctx.account, ctx.region, name), SubnetGroup) is not None:
        raise DBSubnetGroupAlreadyExists(f"The DB subnet group '{name}' already exists.")
    if sum(1 for _ in ctx.tx.scan_keys((ROOT, "subnets", ctx.account, ctx.region))) >= GROUPS_MAX:
        raise DBSubnetGroupQuotaExceeded(f"Cannot create more than {GROUPS_MAX} DB subnet groups")
    group = SubnetGroup(
        account=ctx.account,
        region=ctx.region,
        name=name,
        description=req["DBSubnetGroupDescription"],
        subnets=_checked(req["SubnetIds"]),
        tags=settings.tags(req.get("Tags", ())),
    )
    ctx.tx.put(group.key, group)
    return {"DBSubnetGroup": subnet_group_shape(group)}


def describe_db_subnet_groups(ctx: Context, req: Request) -> Result:
    """Subnet groups by name, in pages. Raises: DBSubnetGroupNotFoundFault, InvalidParameterValue.

    Source: RDS API_DescribeDBSubnetGroups (read 2026-11).
    """
    pages.chosen_by(req, ())
    if "DBSubnetGroupName" in req:
        found = [_group_at(ctx, req["DBSubnetGroupName"])]
    else:
        found = [one for _, one in ctx.tx.scan((ROOT, "subnets", ctx.account, ctx.region), SubnetGroup)]
    chosen, more = pages.page(found, req, lambda one: one.name)
    return {"DBSubnetGroups": [subnet_group_shape(one) for one in chosen], **more}


def modify_db_subnet_group(ctx: Context, req: Request) -> Result:
    """Replace a group's subnets. Raises: as CreateDBSubnetGroup, DBSubnetGroupNotFoundFault.

    Source: RDS API_ModifyDBSubnetGroup (read 2026-11).
    """
    group = _group_at(ctx, req["DBSubnetGroupName"])
    description = req.get("DBSubnetGroupDescription", group.description)
    group = replace(group, subnets=_checked(req["SubnetIds"]), description=description)
    ctx.tx.put(group.key, group)
    return {"DBSubnetGroup": subnet_group_shape(group)}


def delete_db_subnet_group(ctx: Context, req: Request) -> Result:
    """Delete a group that no instance is in. Raises: DBSubnetGroupNotFoundFault, InvalidDBSubnetGroupStateFault.

    Source: RDS API_DeleteDBSubnetGroup (read 2026-11).
    """
    group = _group_at(ctx, req["DBSubnetGroupName"])
    users = [one.id for one in instances_of(ctx) if one.subnet_group == group.name]
    if users:
        raise InvalidDBSubnetGroupStateFault(
            f"Cannot delete the subnet group '{group.name}' because at least one database instance: {users[0]} "
            "is still using it."
        )
    ctx.tx.delete(group.key)
    return {}


def _checked(subnets: list[str]) -> list[str]:
    found = list(dict.fromkeys(subnets))
    if len(found) > SUBNETS_MAX:
        raise DBSubnetQuotaExceededFault(f"Cannot have more than {SUBNETS_MAX} subnets in a DB subnet group.")
    if len(found) < 2:
        raise DBSubnetGroupDoesNotCoverEnoughAZs(
            "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. "
            "Add subnets to cover at least 2 AZs."
        )
    return found


def _group_at(ctx: Context, name: str) -> SubnetGroup:
    found = ctx.tx.get(subnet_group_key(ctx.account, ctx.region, name.lower()), SubnetGroup)
    if found is None:
        raise DBSubnetGroupNotFoundFault(f"DB subnet group '{name}' does not exist.")
    return found
