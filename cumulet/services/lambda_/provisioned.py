"""Operations on provisioned concurrency: environments of a version or an alias that are kept initialised."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.lambda_.capacity import ACCOUNT_LIMIT, UNRESERVED_MINIMUM
from cumulet.services.lambda_.errors import (
    InvalidParameterValueException,
    ProvisionedConcurrencyConfigNotFoundException,
    ResourceNotFoundException,
)
from cumulet.services.lambda_.model import LATEST, ROOT, Alias, Function, provisioned_key, reserved_key
from cumulet.services.lambda_.names import Ref, ref
from cumulet.services.lambda_.pages import page, start_of
from cumulet.services.lambda_.provisioning import TIMER_NAME, Provisioned, forget, row_key

Json = dict[str, Any]


def put_provisioned_concurrency_config(ctx: Context, req: Json) -> Json:
    """Keep so many environments of a version or an alias initialised; IN_PROGRESS until they stand ready.

    Limits: the function's reserved concurrency, or what the account has unreserved above 100.
    Raises: ResourceNotFoundException, InvalidParameterValueException ($LATEST; a version and an alias that points at it).
    Source: Lambda API_PutProvisionedConcurrencyConfig; developer guide, "Configuring provisioned concurrency" (read 2026-11).
    """
    where = _where(ctx, req)
    function = where.function(ctx)
    _check_other(ctx, where)
    wanted = req["ProvisionedConcurrentExecutions"]
    pool = (where.account, where.region, where.name, where.qualifier)
    before = ctx.tx.get(row_key(pool), Provisioned)
    change = wanted - (before.requested if before is not None else 0)
    _check_room(ctx, function, change)
    config = Provisioned(
        account=where.account, region=where.region, function=where.name, qualifier=where.qualifier, requested=wanted,
        serial=ctx.ids.uuid(), modified=ctx.now,
    )  # fmt: skip
    ctx.tx.put(row_key(pool), config)
    ctx.tx.put(function.key, replace(function, provisioned=function.provisioned + change))
    if function.reserved is None:
        ctx.tx.add(provisioned_key(where.account, where.region), change)
    ctx.tx.wake(ctx.now, TIMER_NAME, pool)
    return _shown(config)


def get_provisioned_concurrency_config(ctx: Context, req: Json) -> Json:
    """How many environments are asked for and stand ready.

    Raises: ResourceNotFoundException, ProvisionedConcurrencyConfigNotFoundException.
    Source: Lambda API_GetProvisionedConcurrencyConfig (read 2026-11).
    """
    return _shown(_found(ctx, _where(ctx, req)))


def list_provisioned_concurrency_configs(ctx: Context, req: Json) -> Json:
    """The settings of a function's versions and aliases, 50 at a time.

    Raises: ResourceNotFoundException. Source: Lambda API_ListProvisionedConcurrencyConfigs (read 2026-11).
    """
    function = ref(ctx, req["FunctionName"]).function(ctx)
    prefix = (ROOT, "provisioned", function.account, function.region, function.name)

    def shown(config: Provisioned) -> Json:
        return {"FunctionArn": f"{function.arn}:{config.qualifier}", **_shown(config)}

    found, marker = page(ctx.tx.scan(prefix, Provisioned, start=start_of(req)), req, shown)
    return {"ProvisionedConcurrencyConfigs": found, **marker}


def delete_provisioned_concurrency_config(ctx: Context, req: Json) -> Json:
    """Keep no environments initialised any more; one that is not there is fine.

    Raises: ResourceNotFoundException. Source: Lambda API_DeleteProvisionedConcurrencyConfig (read 2026-11).
    """
    forget(ctx, _where(ctx, req))
    return {}


def _where(ctx: Context, req: Json) -> Ref:
    where = ref(ctx, req["FunctionName"], req["Qualifier"])
    if where.qualifier in ("", LATEST):
        raise InvalidParameterValueException(
            "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
        )
    if not where.qualifier.isdigit():
        where.function(ctx)
        alias = where.alias(ctx)
        if alias is None:
            raise ResourceNotFoundException(f"Cannot find alias arn: {where.arn}")
        if alias.version == 0:
            raise InvalidParameterValueException(
                "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
            )
    where.version(ctx)
    return where


def _check_other(ctx: Context, where: Ref) -> None:
    """An alias and the version that it points at are not both provisioned."""
    here = (where.account, where.region, where.name)
    number = where.version(ctx).number
    if not where.qualifier.isdigit():
        if ctx.tx.get(row_key((*here, str(number))), Provisioned) is not None:
            raise InvalidParameterValueException(
                "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
            )
        return
    for _, alias in ctx.tx.scan((ROOT, "alias", *here), Alias):
        if alias.version == number and ctx.tx.get(row_key((*here, alias.name)), Provisioned) is not None:
            raise InvalidParameterValueException("Version is pointed by a Provisioned Concurrency alias")


def _check_room(ctx: Context, function: Function, change: int) -> None:
    total = function.provisioned + change
    if function.reserved is not None:
        if total > function.reserved:
            raise InvalidParameterValueException(
                "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
            )
        return
    here = (function.account, function.region)
    left = ACCOUNT_LIMIT - ctx.tx.counter(reserved_key(*here)) - ctx.tx.counter(provisioned_key(*here))
    if left - change < UNRESERVED_MINIMUM:
        raise InvalidParameterValueException(
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum "
            f"value of [{UNRESERVED_MINIMUM}]."
        )


def _found(ctx: Context, where: Ref) -> Provisioned:
    found = ctx.tx.get(row_key((where.account, where.region, where.name, where.qualifier)), Provisioned)
    if found is None:
        raise ProvisionedConcurrencyConfigNotFoundException("No Provisioned Concurrency Config found for this function")
    return found


def _shown(config: Provisioned) -> Json:
    at = datetime.fromtimestamp(config.modified, UTC)
    shown: Json = {
        "RequestedProvisionedConcurrentExecutions": config.requested,
        "AvailableProvisionedConcurrentExecutions": config.allocated,
        "AllocatedProvisionedConcurrentExecutions": config.allocated,
        "Status": config.status,
        "LastModified": f"{at:%Y-%m-%dT%H:%M:%S}+0000",
    }
    if config.reason:
        shown["StatusReason"] = config.reason
    return shown
