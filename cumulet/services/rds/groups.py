"""Operations on DB parameter groups of the family postgres18."""

from __future__ import annotations

import re
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.rds import pages, parameters, settings
from cumulet.services.rds.errors import (
    DBParameterGroupAlreadyExists,
    DBParameterGroupNotFound,
    DBParameterGroupQuotaExceeded,
    InvalidDBParameterGroupState,
    InvalidParameterValue,
    refused,
)
from cumulet.services.rds.model import DEFAULT_GROUP, FAMILY, KEEPER, ROOT, Group, group_key, instances_of
from cumulet.services.rds.shapes import default_group, group_shape

GROUPS_MAX = 50
AT_ONCE_MAX = 20
Request = dict[str, Any]
Result = dict[str, Any]


def create_db_parameter_group(ctx: Context, req: Request) -> Result:
    """Make a DB parameter group; at most 50 in a region.

    Raises: DBParameterGroupAlreadyExists, DBParameterGroupQuotaExceeded, InvalidParameterValue, NotImplementedOnCumulet.
    Source: RDS API_CreateDBParameterGroup (read 2026-11).
    """
    name, family = req["DBParameterGroupName"].lower(), req["DBParameterGroupFamily"]
    if not re.fullmatch(r"[a-z](?:-?[a-z0-9])*", name) or len(name) > 255:
        raise InvalidParameterValue(
            "The parameter DBParameterGroupName is not a valid identifier. Identifiers must begin with a letter; must contain "
            "only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens."
        )
    if family != FAMILY:
        if re.fullmatch(r"(aurora-|custom-|db2|docdb|mariadb|mysql|neptune|oracle|postgres|sqlserver).*", family):
            raise refused(f"The parameter group family {family}", f"the installed PostgreSQL is {FAMILY}.")
        raise InvalidParameterValue(f"ParameterGroupFamily {family} is not a valid parameter group family")
    if ctx.tx.get(group_key(ctx.account, ctx.region, name), Group) is not None:
        raise DBParameterGroupAlreadyExists(f"Parameter group {name} already exists")
    if sum(1 for _ in ctx.tx.scan_keys((ROOT, "group", ctx.account, ctx.region))) >= GROUPS_MAX:
        raise DBParameterGroupQuotaExceeded(f"Cannot create more than {GROUPS_MAX} DB parameter groups")
    group = Group(
        account=ctx.account,
        region=ctx.region,
        name=name,
        family=family,
        description=req["Description"],
        tags=settings.tags(req.get("Tags", ())),
    )
    ctx.tx.put(group.key, group)
    return {"DBParameterGroup": group_shape(group)}


def describe_db_parameter_groups(ctx: Context, req: Request) -> Result:
    """Parameter groups by name, the default one among them, in pages. Raises: DBParameterGroupNotFound, InvalidParameterValue.

    Source: RDS API_DescribeDBParameterGroups (read 2026-11).
    """
    pages.chosen_by(req, ())
    if "DBParameterGroupName" in req:
        found = [_group_at(ctx, req["DBParameterGroupName"])]
    else:
        own = (one for _, one in ctx.tx.scan((ROOT, "group", ctx.account, ctx.region), Group))
        found = sorted([default_group(ctx), *own], key=lambda one: one.name)
    chosen, more = pages.page(found, req, lambda one: one.name)
    return {"DBParameterGroups": [group_shape(one) for one in chosen], **more}


def modify_db_parameter_group(ctx: Context, req: Request) -> Result:
    """Set up to 20 parameters, each with its apply method; running instances take dynamic immediate ones over at once.

    Raises: DBParameterGroupNotFound, InvalidDBParameterGroupState, InvalidParameterValue, InvalidParameterCombination.
    Source: RDS API_ModifyDBParameterGroup (read 2026-11).
    """
    group = _own_group(ctx, req["DBParameterGroupName"])
    if len(req["Parameters"]) > AT_ONCE_MAX:
        raise InvalidParameterValue(f"A maximum of {AT_ONCE_MAX} parameters can be modified in a single request.")
    values = dict(group.values)
    for one in req["Parameters"]:
        if "ParameterName" not in one or "ParameterValue" not in one:
            raise InvalidParameterValue("ParameterName and ParameterValue must be provided for each parameter.")
        if "ApplyMethod" not in one:
            raise InvalidParameterValue("The parameter ApplyMethod must be provided and must not be blank.")
        name = parameters.checked(ctx, one["ParameterName"], one["ParameterValue"], one["ApplyMethod"])
        values[name] = (one["ParameterValue"], one["ApplyMethod"])
    _store(ctx, replace(group, values=values))
    return {"DBParameterGroupName": group.name}


def reset_db_parameter_group(ctx: Context, req: Request) -> Result:
    """Give all parameters, or those named, their defaults again.

    Raises: as ModifyDBParameterGroup. Source: RDS API_ResetDBParameterGroup (read 2026-11).
    """
    group = _own_group(ctx, req["DBParameterGroupName"])
    named = req.get("Parameters", [])
    if req.get("ResetAllParameters", not named):
        if named:
            raise InvalidParameterValue("Parameters cannot be specified when ResetAllParameters is true.")
        _store(ctx, replace(group, values={}))
        return {"DBParameterGroupName": group.name}
    if not named or len(named) > AT_ONCE_MAX:
        raise InvalidParameterValue(f"Between 1 and {AT_ONCE_MAX} parameters can be reset in a single request.")
    known, values = parameters.family(ctx), dict(group.values)
    for one in named:
        name = one.get("ParameterName", "").lower()
        if name not in known:
            raise InvalidParameterValue(f"Could not find parameter with name: {one.get('ParameterName', '')}")
        if known[name].static and one.get("ApplyMethod", "pending-reboot") == "immediate":
            parameters.checked(ctx, name, values.get(name, (known[name].default or "", ""))[0], "immediate")
        values.pop(name, None)
    _store(ctx, replace(group, values=values))
    return {"DBParameterGroupName": group.name}


def delete_db_parameter_group(ctx: Context, req: Request) -> Result:
    """Delete a parameter group that no instance uses. Raises: DBParameterGroupNotFound, InvalidDBParameterGroupState.

    Source: RDS API_DeleteDBParameterGroup (read 2026-11).
    """
    group = _own_group(ctx, req["DBParameterGroupName"], "deleted")
    if any(one.group == group.name for one in instances_of(ctx)):
        raise InvalidDBParameterGroupState(
            f"One or more database instances are still members of this parameter group {group.name}, "
            "so the group cannot be deleted"
        )
    ctx.tx.delete(group.key)
    return {}


def describe_db_parameters(ctx: Context, req: Request) -> Result:
    """A group's parameters by name, by source (user, system, engine-default) or the filter parameter-name, in pages.

    Raises: DBParameterGroupNotFound, InvalidParameterValue. Source: RDS API_DescribeDBParameters (read 2026-11).
    """
    group = _group_at(ctx, req["DBParameterGroupName"])
    filters = pages.chosen_by(req, ("parameter-name",))
    source = req.get("Source")
    if source is not None and source not in ("user", "system", "engine-default"):
        raise InvalidParameterValue(f"Invalid source: {source}")
    shapes = [_shape(parameter, group) for parameter in parameters.family(ctx).values()]
    shapes = [
        shape
        for shape in shapes
        if (source is None or shape["Source"] == source)
        and ("parameter-name" not in filters or shape["ParameterName"] in filters["parameter-name"])
    ]
    chosen, more = pages.page(shapes, req, lambda shape: str(shape["ParameterName"]))
    return {"Parameters": chosen, **more}


def describe_engine_default_parameters(ctx: Context, req: Request) -> Result:
    """The parameters of the family postgres18 as they are by default, in pages. Raises: InvalidParameterValue.

    Source: RDS API_DescribeEngineDefaultParameters (read 2026-11).
    """
    if req["DBParameterGroupFamily"] != FAMILY:
        raise InvalidParameterValue(f"Invalid DBParameterGroupFamily: {req['DBParameterGroupFamily']}")
    filters = pages.chosen_by(req, ("parameter-name",))
    shapes = [_shape(parameter, default_group(ctx)) for parameter in parameters.family(ctx).values()]
    names = filters.get("parameter-name")
    shapes = [shape for shape in shapes if names is None or shape["ParameterName"] in names]
    chosen, more = pages.page(shapes, req, lambda shape: str(shape["ParameterName"]))
    return {"EngineDefaults": {"DBParameterGroupFamily": FAMILY, "Parameters": chosen, **more}}


def _shape(parameter: parameters.Parameter, group: Group) -> Result:
    value, method = group.values.get(parameter.name, (parameter.default, "pending-reboot"))
    own = "system" if parameter.system else "engine-default"
    shape: Result = {
        "ParameterName": parameter.name,
        "Description": parameter.text,
        "Source": "user" if parameter.name in group.values else own,
        "ApplyType": "static" if parameter.static else "dynamic",
        "DataType": parameter.kind,
        "IsModifiable": not parameter.fixed,
        "ApplyMethod": method,
    }
    if value is not None:
        shape["ParameterValue"] = value
    if parameter.allowed is not None:
        shape["AllowedValues"] = parameter.allowed
    return shape


def _store(ctx: Context, group: Group) -> None:
    ctx.tx.put(group.key, group)
    for one in instances_of(ctx):
        if one.group == group.name and one.status == "available":
            ctx.tx.wake(ctx.now, KEEPER, (one.account, one.region, one.id))


def _group_at(ctx: Context, name: str) -> Group:
    name = name.rpartition(":")[2].lower()
    if name == DEFAULT_GROUP:
        return default_group(ctx)
    found = ctx.tx.get(group_key(ctx.account, ctx.region, name), Group)
    if found is None:
        raise DBParameterGroupNotFound(f"DBParameterGroup not found: {name}")
    return found


def _own_group(ctx: Context, name: str, verb: str = "modified") -> Group:
    group = _group_at(ctx, name)
    if group.name == DEFAULT_GROUP:
        raise InvalidDBParameterGroupState(f"The default parameter group {group.name} cannot be {verb}.")
    return group
