"""What Lambda's operations need of IAM.

Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Lambda" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from cumulet.kernel.authz import Authz, Need
from cumulet.kernel.context import Context
from cumulet.services.lambda_.model import LATEST, Function, Policy, function_arn, function_key, policy_key
from cumulet.services.lambda_.names import Ref, ref, ref_of_arn
from cumulet.services.lambda_.sources.model import Mapping as EventSourceMapping
from cumulet.services.lambda_.sources.model import mapping_key

Json = dict[str, Any]
PRINCIPAL = "lambda.amazonaws.com"
_encode = msgspec.json.Encoder().encode


def invocation(ctx: Context, where: Ref, action: str = "lambda:InvokeFunction", **facts: Any) -> Need:
    """To invoke a function, a version or an alias: each has a policy of its own."""
    qualifier = "" if where.qualifier == LATEST else where.qualifier
    plain = Ref(where.account, where.region, where.name, qualifier)
    context = {"lambda:FunctionArn": plain.arn, **_tags_of(ctx, where), **facts}
    return Need(action, plain.arn, where.account, lambda: _policy(ctx, plain), context)


def _policy(ctx: Context, where: Ref) -> str | None:
    policy = ctx.tx.get(policy_key(where.account, where.region, where.name, where.qualifier), Policy)
    if policy is None:
        return None
    return _encode({"Version": "2012-10-17", "Statement": list(policy.statements)}).decode()


def _tags_of(ctx: Context, where: Ref) -> dict[str, Any]:
    function = ctx.tx.get(function_key(where.account, where.region, where.name), Function)
    tags = (function.tags if function is not None else None) or {}
    return {f"aws:ResourceTag/{name}": value for name, value in tags.items()}


def _invoke(ctx: Context, req: Json) -> Iterable[Need]:
    return (invocation(ctx, ref(ctx, req["FunctionName"], req.get("Qualifier"))),)


def _on_function(action: str, qualified: bool = False) -> Callable[[Context, Json], Iterable[Need]]:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        where = ref(ctx, req["FunctionName"], req.get("Qualifier"))
        plain = where if qualified else Ref(where.account, where.region, where.name)
        facts: Json = {"lambda:FunctionArn": plain.arn, **_tags_of(ctx, where)}
        for member, name in (
            ("Principal", "lambda:Principal"),
            ("FunctionUrlAuthType", "lambda:FunctionUrlAuthType"),
            ("AuthType", "lambda:FunctionUrlAuthType"),
        ):
            if member in req:
                facts[name] = req[member]
        if "Layers" in req:
            facts["lambda:Layer"] = list(req["Layers"])
        yield Need(
            action, plain.arn, where.account, lambda: _policy(ctx, Ref(where.account, where.region, where.name)), facts
        )
        if "Role" in req:
            yield Need(
                "iam:PassRole",
                req["Role"],
                facts={"iam:PassedToService": PRINCIPAL, "iam:AssociatedResourceArn": plain.arn},
            )
        for layer in req.get("Layers", ()):
            yield Need("lambda:GetLayerVersion", layer)

    return needs


def _mapping(action: str) -> Callable[[Context, Json], Iterable[Need]]:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        mapping = ctx.tx.get(mapping_key(ctx.account, ctx.region, req["UUID"]), EventSourceMapping)
        arn = f"arn:aws:lambda:{ctx.region}:{ctx.account}:event-source-mapping:{req['UUID']}"
        facts: Json = {} if mapping is None else {"lambda:FunctionArn": mapping.function.arn}
        yield Need(action, arn, facts=facts)

    return needs


def _create_mapping(ctx: Context, req: Json) -> Iterable[Need]:
    yield Need("lambda:CreateEventSourceMapping", facts={"lambda:FunctionArn": ref(ctx, req["FunctionName"]).arn})


def _tagged(action: str) -> Callable[[Context, Json], Iterable[Need]]:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        if ":function:" not in req["Resource"]:
            return (Need(action, req["Resource"]),)
        where = ref_of_arn(req["Resource"])
        return (Need(action, req["Resource"], where.account, facts=_tags_of(ctx, where)),)

    return needs


def _layer(action: str, versioned: bool = True) -> Callable[[Context, Json], Iterable[Need]]:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        name = req["LayerName"]
        arn = name if name.startswith("arn:") else f"arn:aws:lambda:{ctx.region}:{ctx.account}:layer:{name}"
        yield Need(action, f"{arn}:{req['VersionNumber']}" if versioned else arn)

    return needs


def _layer_by_arn(ctx: Context, req: Json) -> Iterable[Need]:
    return (Need("lambda:GetLayerVersion", req["Arn"]),)


def url_invocation(ctx: Context, account: str, region: str, name: str, qualifier: str, auth: str) -> Need:
    """To call a function's URL."""
    facts = {"lambda:FunctionUrlAuthType": auth, "lambda:InvokedViaFunctionUrl": True}
    return invocation(ctx, Ref(account, region, name, qualifier), "lambda:InvokeFunctionUrl", **facts)


_FUNCTION = (
    "AddPermission", "CreateAlias", "CreateFunction", "CreateFunctionUrlConfig", "DeleteAlias", "DeleteFunction",
    "DeleteFunctionConcurrency", "DeleteFunctionEventInvokeConfig", "DeleteFunctionUrlConfig", "GetAlias",
    "GetFunctionCodeSigningConfig", "GetFunctionConcurrency", "GetFunctionEventInvokeConfig",
    "GetFunctionRecursionConfig", "GetFunctionUrlConfig", "GetPolicy", "ListAliases", "ListFunctionEventInvokeConfigs", "ListFunctionUrlConfigs",
    "ListProvisionedConcurrencyConfigs", "ListVersionsByFunction", "PublishVersion", "PutFunctionConcurrency",
    "PutFunctionEventInvokeConfig", "PutFunctionRecursionConfig",
    "RemovePermission", "UpdateAlias", "UpdateFunctionCode", "UpdateFunctionConfiguration",
    "UpdateFunctionEventInvokeConfig", "UpdateFunctionUrlConfig",
)  # fmt: skip
_QUALIFIED = ("GetFunction", "GetFunctionConfiguration", "DeleteProvisionedConcurrencyConfig", "GetProvisionedConcurrencyConfig",
              "GetRuntimeManagementConfig", "PutProvisionedConcurrencyConfig", "PutRuntimeManagementConfig")  # fmt: skip

AUTHZ = Authz(
    "lambda",
    {
        "Invoke": _invoke,
        "InvokeAsync": _invoke,
        "InvokeWithResponseStream": _invoke,
        **{name: _on_function(f"lambda:{name}") for name in _FUNCTION},
        **{name: _on_function(f"lambda:{name}", True) for name in _QUALIFIED},
        "CreateEventSourceMapping": _create_mapping,
        **{f"{verb}EventSourceMapping": _mapping(f"lambda:{verb}EventSourceMapping") for verb in ("Get", "Update", "Delete")},
        **{name: _tagged(f"lambda:{name}") for name in ("ListTags", "TagResource", "UntagResource")},
        **{name: _layer(f"lambda:{name}") for name in ("AddLayerVersionPermission", "DeleteLayerVersion", "GetLayerVersion",
                                                       "GetLayerVersionPolicy", "RemoveLayerVersionPermission")},
        "PublishLayerVersion": _layer("lambda:PublishLayerVersion", False),
        "GetLayerVersionByArn": _layer_by_arn,
    },
    status=403,
)  # fmt: skip

__all__ = ["AUTHZ", "function_arn", "invocation", "url_invocation"]
