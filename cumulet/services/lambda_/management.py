"""Operations on what Lambda watches over by itself: loops of functions, and updates of their runtimes. Each has one setting here."""

from __future__ import annotations

from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.services.lambda_.names import Ref, ref

Json = dict[str, Any]


def put_function_recursion_config(ctx: Context, req: Json) -> Json:
    """Say that a function may be part of a loop (Allow), which is how every function runs here: loops are not detected.

    Raises: ResourceNotFoundException, NotImplementedOnCumulet (Terminate).
    Source: Lambda API_PutFunctionRecursionConfig (read 2026-11).
    """
    ref(ctx, req["FunctionName"]).function(ctx)
    if req["RecursiveLoop"] != "Allow":
        raise NotImplementedOnCumulet(
            "Lambda's setting RecursiveLoop Terminate is not implemented by Cumulet.",
            hint="Loops of functions are not detected; Allow is accepted.",
        )
    return {"RecursiveLoop": "Allow"}


def get_function_recursion_config(ctx: Context, req: Json) -> Json:
    """What is done about loops: always Allow (AWS's default is Terminate).

    Raises: ResourceNotFoundException. Source: Lambda API_GetFunctionRecursionConfig (read 2026-11).
    """
    ref(ctx, req["FunctionName"]).function(ctx)
    return {"RecursiveLoop": "Allow"}


def put_runtime_management_config(ctx: Context, req: Json) -> Json:
    """Say that a version runs on the newest runtime (Auto): here that is the Python that runs Cumulet.

    Raises: ResourceNotFoundException, NotImplementedOnCumulet (FunctionUpdate, Manual).
    Source: Lambda API_PutRuntimeManagementConfig (read 2026-11).
    """
    where = _version(ctx, req)
    if req["UpdateRuntimeOn"] != "Auto":
        raise NotImplementedOnCumulet(
            f"Lambda's setting UpdateRuntimeOn {req['UpdateRuntimeOn']} is not implemented by Cumulet."
        )
    return {"UpdateRuntimeOn": "Auto", "FunctionArn": where.arn}


def get_runtime_management_config(ctx: Context, req: Json) -> Json:
    """When a version's runtime is updated: always Auto.

    Raises: ResourceNotFoundException. Source: Lambda API_GetRuntimeManagementConfig (read 2026-11).
    """
    return {"UpdateRuntimeOn": "Auto", "FunctionArn": _version(ctx, req).arn}


def _version(ctx: Context, req: Json) -> Ref:
    where = ref(ctx, req["FunctionName"], req.get("Qualifier", "$LATEST"))
    where.version(ctx)
    return where
