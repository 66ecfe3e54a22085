"""Operations on authorizers."""

from __future__ import annotations

import json
from typing import Any

from cumulet.aws.http import HttpResponse
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result, then
from cumulet.kernel.record import replace
from cumulet.services.apigateway import patch
from cumulet.services.apigateway.authorizer import check_authorizer, function_name
from cumulet.services.apigateway.authorizing import ask, identity_of
from cumulet.services.apigateway.errors import ConflictException, NotFoundException
from cumulet.services.apigateway.exchange import begin
from cumulet.services.apigateway.model import Definition, api_at, definition_key, definition_of, page, stage_at
from cumulet.services.apigateway.patch import Field
from cumulet.services.apigateway.trial import request_for, trial_of

_KEPT = ("name", "type", "providerARNs", "authType", "authorizerUri", "authorizerCredentials", "identitySource",
         "identityValidationExpression", "authorizerResultTtlInSeconds", "jwtConfiguration")  # fmt: skip
_PATCHES = {
    "/name": Field(ops=("replace",)),
    "/type": Field(ops=("replace",)),
    "/authType": Field(ops=("replace",)),
    "/authorizerUri": Field(ops=("replace",)),
    "/authorizerCredentials": Field(ops=("replace", "remove")),
    "/identitySource": Field(ops=("replace", "remove")),
    "/identityValidationExpression": Field(ops=("replace", "remove")),
    "/authorizerResultTtlInSeconds": Field(convert=patch.whole, ops=("replace",)),
    "/providerARNs": Field(refused="providerARNs (COGNITO_USER_POOLS)"),
}


def create_authorizer(ctx: Context, req: Result) -> Result:
    """Name a Lambda function that decides who may call methods (TOKEN or REQUEST); its answers are kept for 0 to 3600
    seconds (default 300).

    Raises: NotFoundException; BadRequestException; NotImplementedOnCumulet for COGNITO_USER_POOLS and JWT.
    Source: API Gateway API reference, CreateAuthorizer (read 2026-11).
    """
    definition = definition_of(ctx, req["restApiId"])
    authorizer: Result = {"id": ctx.ids.lower(6), **{name: req[name] for name in _KEPT if name in req}}
    authorizer.setdefault("authorizerResultTtlInSeconds", 300)
    return _put(ctx, req["restApiId"], definition, authorizer)


def get_authorizer(ctx: Context, req: Result) -> Result:
    """One authorizer. Raises: NotFoundException. Source: API reference, GetAuthorizer."""
    return _authorizer_of(definition_of(ctx, req["restApiId"]), req["authorizerId"])


def get_authorizers(ctx: Context, req: Result) -> Result:
    """The API's authorizers by id. Raises: NotFoundException, BadRequestException. Source: API reference, GetAuthorizers."""
    return page(sorted(definition_of(ctx, req["restApiId"]).authorizers.items()), req)


def update_authorizer(ctx: Context, req: Result) -> Result:
    """Patch an authorizer. Raises: NotFoundException, BadRequestException. Source: API reference, UpdateAuthorizer."""
    definition = definition_of(ctx, req["restApiId"])
    old = _authorizer_of(definition, req["authorizerId"])
    return _put(ctx, req["restApiId"], definition, patch.apply(old, req.get("patchOperations", []), _PATCHES))


def delete_authorizer(ctx: Context, req: Result) -> Result:
    """Delete an authorizer that no method uses.

    Raises: NotFoundException, ConflictException. Source: API reference, DeleteAuthorizer.
    """
    definition, id_ = definition_of(ctx, req["restApiId"]), req["authorizerId"]
    _authorizer_of(definition, id_)
    for resource in definition.resources.values():
        for name, method in resource.get("resourceMethods", {}).items():
            if method.get("authorizerId") == id_:
                raise ConflictException(
                    f"Cannot delete authorizer '{id_}', is referenced in method: {name} {resource['path']}"
                )
    left = {name: value for name, value in definition.authorizers.items() if name != id_}
    ctx.tx.put(definition_key(req["restApiId"]), replace(definition, authorizers=left))
    return {}


def flush_stage_authorizers_cache(ctx: Context, req: Result) -> Result:
    """Forget what a stage's authorizers answered. Raises: NotFoundException. Source: API reference."""
    stage = stage_at(ctx, req["restApiId"], req["stageName"])
    cache: dict[tuple[str, ...], object] = ctx.pipeline.volatile.get("apigateway.authorized", {})
    for key in [key for key in cache if key[:2] == (stage.api_id, stage.name)]:
        del cache[key]
    return {}


def test_invoke_authorizer(ctx: Context, req: Result) -> Any:
    """Ask an authorizer as a request with these headers would; nothing is kept. A client status of 0 is success.

    Raises: NotFoundException. Source: API Gateway API reference, TestInvokeAuthorizer (read 2026-11).
    """
    api, definition = api_at(ctx, req["restApiId"]), definition_of(ctx, req["restApiId"])
    authorizer = _authorizer_of(definition, req["authorizerId"])
    path, _, query = (req.get("pathWithQueryString") or "/").partition("?")
    deployed = trial_of(ctx, api, definition, req.get("stageVariables") or {})
    exchange = begin(ctx, request_for(req, path, query, "GET"), deployed, path)
    began = ctx.now
    identity = identity_of(exchange, authorizer)
    if identity is None:
        return {
            "clientStatus": 401,
            "log": f"Execution log for request {exchange.request_id}\nUnauthorized request\n",
            "latency": 0,
        }

    def told(c: Context, answer: Result | HttpResponse) -> Result:
        result: Result = {"latency": int((c.now - began) * 1000), "clientStatus": 0}
        if isinstance(answer, HttpResponse):
            result["clientStatus"] = answer.status
        else:
            result.update(principalId=answer["principalId"], policy=json.dumps(answer["policyDocument"]))
        result["log"] = (
            f"Execution log for request {exchange.request_id}\nAuthorizer {function_name(authorizer)} was asked\n"
        )
        return result

    return then(ctx, ask(ctx, exchange, authorizer, identity, lambda c, answer: answer), told)


def _authorizer_of(definition: Definition, authorizer_id: str) -> Result:
    """Raises: NotFoundException."""
    authorizer: Result | None = definition.authorizers.get(authorizer_id)
    if authorizer is None:
        raise NotFoundException("Invalid Authorizer identifier specified")
    return authorizer


def _put(ctx: Context, api_id: str, definition: Definition, authorizer: Result) -> Result:
    check_authorizer(authorizer)
    authorizers = {**definition.authorizers, authorizer["id"]: authorizer}
    ctx.tx.put(definition_key(api_id), replace(definition, authorizers=authorizers))
    return authorizer
