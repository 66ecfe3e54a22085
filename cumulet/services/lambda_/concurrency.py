"""Operations on reserved concurrency, and the account's limits."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.lambda_ import lanes
from cumulet.services.lambda_.capacity import ACCOUNT_LIMIT, UNRESERVED_MINIMUM
from cumulet.services.lambda_.errors import InvalidParameterValueException
from cumulet.services.lambda_.model import ROOT, LayerVersion, Version, provisioned_key, reserved_key
from cumulet.services.lambda_.names import ref
from cumulet.services.lambda_.packages import DIRECT_LIMIT_BYTES, UNZIPPED_LIMIT_BYTES

_TOTAL_CODE_BYTES = 80_530_636_800

Json = dict[str, Any]


def put_function_concurrency(ctx: Context, req: Json) -> Json:
    """Reserve concurrency for a function: at most so many run at once, and so many always may. 0 stops it.

    Limits: 100 of the account's 1000 stay unreserved.
    Raises: ResourceNotFoundException, InvalidParameterValueException.
    Source: Lambda API_PutFunctionConcurrency; developer guide, "Configuring reserved concurrency" (read 2026-11).
    """
    function = ref(ctx, req["FunctionName"]).function(ctx)
    wanted = req["ReservedConcurrentExecutions"]
    counter = reserved_key(function.account, function.region)
    others = ctx.tx.counter(counter) - (function.reserved or 0)
    others += ctx.tx.counter(provisioned_key(function.account, function.region))
    if function.reserved is None:
        others -= function.provisioned
    if ACCOUNT_LIMIT - others - wanted < UNRESERVED_MINIMUM:
        raise InvalidParameterValueException(
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its "
            f"minimum value of [{UNRESERVED_MINIMUM}]."
        )
    if wanted < function.provisioned:
        raise InvalidParameterValueException(
            "ReservedConcurrentExecutions should not be lower than function's total provisioned concurrency "
            f"[{function.provisioned}]."
        )
    ctx.tx.add(counter, wanted - (function.reserved or 0))
    if function.reserved is None and function.provisioned:
        ctx.tx.add(provisioned_key(function.account, function.region), -function.provisioned)
    ctx.tx.put(function.key, replace(function, reserved=wanted))
    lanes.freed(ctx, (function.account, function.region, function.name), function.account, function.region)
    return {"ReservedConcurrentExecutions": wanted}


def get_function_concurrency(ctx: Context, req: Json) -> Json:
    """The reservation, if there is one.

    Raises: ResourceNotFoundException. Source: Lambda API_GetFunctionConcurrency (read 2026-11).
    """
    function = ref(ctx, req["FunctionName"]).function(ctx)
    return {} if function.reserved is None else {"ReservedConcurrentExecutions": function.reserved}


def delete_function_concurrency(ctx: Context, req: Json) -> Json:
    """Give the reservation up.

    Raises: ResourceNotFoundException. Source: Lambda API_DeleteFunctionConcurrency (read 2026-11).
    """
    function = ref(ctx, req["FunctionName"]).function(ctx)
    if function.reserved:
        ctx.tx.add(reserved_key(function.account, function.region), -function.reserved)
    if function.reserved is not None and function.provisioned:
        ctx.tx.add(provisioned_key(function.account, function.region), function.provisioned)
    ctx.tx.put(function.key, replace(function, reserved=None))
    lanes.freed(ctx, (function.account, function.region, function.name), function.account, function.region)
    return {}


def get_account_settings(ctx: Context, req: Json) -> Json:
    """The account's limits here, and how many functions and bytes of code it has.

    Source: Lambda API_GetAccountSettings; developer guide, "Lambda quotas" (read 2026-11).
    """
    functions = code = 0
    for _, version in ctx.tx.scan((ROOT, "version", ctx.account, ctx.region), Version):
        functions += version.number == 0
        code += version.code_size
    for _, layer in ctx.tx.scan((ROOT, "layer-version", ctx.account, ctx.region), LayerVersion):
        code += layer.code_size
    return {
        "AccountLimit": {
            "TotalCodeSize": _TOTAL_CODE_BYTES,
            "CodeSizeUnzipped": UNZIPPED_LIMIT_BYTES,
            "CodeSizeZipped": DIRECT_LIMIT_BYTES,
            "ConcurrentExecutions": ACCOUNT_LIMIT,
            "UnreservedConcurrentExecutions": ACCOUNT_LIMIT - ctx.tx.counter(reserved_key(ctx.account, ctx.region)),
        },
        "AccountUsage": {"TotalCodeSize": code, "FunctionCount": functions},
    }
