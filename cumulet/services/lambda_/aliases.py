"""Operations on aliases."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.lambda_.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
    revision_mismatch,
)
from cumulet.services.lambda_.model import (
    LATEST,
    ROOT,
    Alias,
    Url,
    Version,
    alias_key,
    policy_key,
    version_key,
)
from cumulet.services.lambda_.names import Ref, ref
from cumulet.services.lambda_.pages import page, start_of
from cumulet.services.lambda_.provisioning import follow_alias
from cumulet.services.lambda_.removal import forget_settings

Json = dict[str, Any]


def create_alias(ctx: Context, req: Json) -> Json:
    """Name a version. RoutingConfig gives one other version a share of the invocations.

    Raises: ResourceNotFoundException, ResourceConflictException, InvalidParameterValueException.
    Source: Lambda API_CreateAlias; developer guide, "Implement Lambda canary deployments" (read 2026-11).
    """
    where = ref(ctx, req["FunctionName"])
    where.function(ctx)
    number = _number(ctx, where, req["FunctionVersion"])
    alias = Alias(
        account=where.account, region=where.region, function=where.name, name=req["Name"], version=number,
        revision=ctx.ids.uuid(), description=req.get("Description", ""),
        weights=_weights(ctx, where, number, req.get("RoutingConfig", {})),
    )  # fmt: skip
    if ctx.tx.get(alias.key, Alias) is not None:
        raise ResourceConflictException(f"Alias already exists: {alias.arn}")
    ctx.tx.put(alias.key, alias)
    return _shown(alias)


def get_alias(ctx: Context, req: Json) -> Json:
    """One alias. Raises: ResourceNotFoundException. Source: Lambda API_GetAlias (read 2026-11)."""
    return _shown(_alias(ctx, req))


def update_alias(ctx: Context, req: Json) -> Json:
    """Point an alias elsewhere, or change its description or its weights.

    Raises: ResourceNotFoundException, PreconditionFailedException, InvalidParameterValueException.
    Source: Lambda API_UpdateAlias (read 2026-11).
    """
    alias = _alias(ctx, req)
    if "RevisionId" in req and req["RevisionId"] != alias.revision:
        raise revision_mismatch("Alias")
    where = Ref(alias.account, alias.region, alias.function)
    number = _number(ctx, where, req["FunctionVersion"]) if "FunctionVersion" in req else alias.version
    weights = _weights(ctx, where, number, req["RoutingConfig"]) if "RoutingConfig" in req else alias.weights or {}
    if str(number) in weights:
        raise _same_version(alias.version)
    changed = replace(
        alias,
        version=number,
        weights=weights or None,
        description=req.get("Description", alias.description),
        revision=ctx.ids.uuid(),
    )
    ctx.tx.put(changed.key, changed)
    if number != alias.version:
        follow_alias(ctx, Ref(alias.account, alias.region, alias.function, alias.name))
    return _shown(changed)


def delete_alias(ctx: Context, req: Json) -> Json:
    """Delete an alias with its policy; one that is not there is fine.

    Raises: ResourceNotFoundException (the function), ResourceConflictException (a function URL uses it).
    Source: Lambda API_DeleteAlias (read 2026-11).
    """
    where = ref(ctx, req["FunctionName"])
    where.function(ctx)
    here = (where.account, where.region, where.name, req["Name"])
    url = ctx.tx.get((ROOT, "url", *here), Url)
    if url is not None:
        ctx.tx.delete((ROOT, "url-id", url.id))
        ctx.tx.delete(url.key)
    forget_settings(ctx, Ref(*here))
    ctx.tx.delete(alias_key(*here))
    ctx.tx.delete(policy_key(*here))
    return {}


def list_aliases(ctx: Context, req: Json) -> Json:
    """A function's aliases by name, 50 at a time, all or those of one version.

    Raises: ResourceNotFoundException. Source: Lambda API_ListAliases (read 2026-11).
    """
    where = ref(ctx, req["FunctionName"])
    where.function(ctx)
    rows = ctx.tx.scan((ROOT, "alias", where.account, where.region, where.name), Alias, start=start_of(req))
    if "FunctionVersion" in req:
        wanted = req["FunctionVersion"]
        rows = ((key, alias) for key, alias in rows if _label(alias.version) == wanted)
    shown, marker = page(rows, req, _shown)
    return {"Aliases": shown, **marker}


def _alias(ctx: Context, req: Json) -> Alias:
    where = ref(ctx, req["FunctionName"])
    where.function(ctx)
    found = ctx.tx.get(alias_key(where.account, where.region, where.name, req["Name"]), Alias)
    if found is None:
        raise ResourceNotFoundException(f"Cannot find alias arn: {where.arn}:{req['Name']}")
    return found


def _number(ctx: Context, where: Ref, label: str) -> int:
    number = 0 if label == LATEST else int(label)
    if ctx.tx.get(version_key(where.account, where.region, where.name, number), Version) is None:
        raise ResourceNotFoundException(f"Function not found: {where.arn}:{label}")
    return number


def _label(number: int) -> str:
    return str(number) if number else LATEST


def _weights(ctx: Context, where: Ref, number: int, routing: Json) -> dict[str, float]:
    weights: dict[str, float] = dict(routing.get("AdditionalVersionWeights", {}))
    if len(weights) > 1:
        raise InvalidParameterValueException("Number of items in AdditionalVersionWeights cannot be greater than 1")
    for label in weights:
        if number == 0 or label == LATEST:
            raise InvalidParameterValueException(
                "$LATEST is not supported for an alias pointing to more than 1 version"
            )
        if label == str(number):
            raise _same_version(number)
        _number(ctx, where, label)
    return weights


def _same_version(number: int) -> InvalidParameterValueException:
    return InvalidParameterValueException(
        f"Invalid function version {number}. Function version {number} is already included in routing configuration."
    )


def _shown(alias: Alias) -> Json:
    shown: Json = {
        "AliasArn": alias.arn,
        "Name": alias.name,
        "FunctionVersion": _label(alias.version),
        "Description": alias.description,
        "RevisionId": alias.revision,
    }
    if alias.weights:
        shown["RoutingConfig"] = {"AdditionalVersionWeights": dict(alias.weights)}
    return shown
