"""Lambda authorizers of REST APIs: the question to the function, its answer, and how long that holds.

Source: developer guide, "Use API Gateway Lambda authorizers": input, output, "Configure a Lambda authorizer" (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from cumulet.aws.invokepolicy import decision
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.authz import Need, surroundings
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result, settled
from cumulet.services.apigateway import proxy
from cumulet.services.apigateway.answers import refuse
from cumulet.services.apigateway.authorizer import function_name, sources_of
from cumulet.services.apigateway.exchange import Exchange
from cumulet.services.apigateway.mapping import request_value
from cumulet.services.apigateway.routing import with_variables
from cumulet.services.apigateway.settling import PRINCIPAL

_CACHED = 10_000
_INVOKE = "execute-api:Invoke"
Serve = Callable[[Context, Exchange], Any]
Kept = dict[tuple[str, ...], tuple[float, Result]]


def authorized(ctx: Context, exchange: Exchange, serve: Serve) -> Any:
    """`serve(ctx, exchange)` when the method's authorizer allows it; 401 without an identity, 403, or 500.

    A policy that is kept is held against every request's own resource.
    """
    authorizer = exchange.deployed.definition.authorizers[exchange.method["authorizerId"]]
    exchange.notes.append(f"Starting authorizer: {authorizer['id']} for request: {exchange.request_id}")
    identity = identity_of(exchange, authorizer)
    if identity is None:
        exchange.notes.append(f"Unauthorized request: {exchange.request_id}")
        return refuse(exchange, "UNAUTHORIZED", "Unauthorized")
    ttl_s = authorizer["authorizerResultTtlInSeconds"] if identity else 0
    stage = exchange.deployed.stage
    key = (stage.api_id, stage.name, stage.revision, authorizer["id"], *identity)
    cache: Kept = ctx.pipeline.volatile.setdefault("apigateway.authorized", {})
    known = cache.get(key)
    if ttl_s and known is not None and ctx.now < known[0]:
        return _decided(ctx, exchange, known[1], serve)

    def answered(c: Context, answer: Result) -> Any:
        if ttl_s:
            if len(cache) >= _CACHED:
                del cache[next(iter(cache))]
            cache[key] = (c.now + ttl_s, answer)
        return _decided(c, exchange, answer, serve)

    return ask(ctx, exchange, authorizer, identity, answered)


def identity_of(exchange: Exchange, authorizer: Result) -> list[str] | None:
    """The values of the identity sources; None when one is missing, or a token fails the validation expression."""
    identity = []
    for source in sources_of(authorizer):
        found = request_value(exchange, source, "")
        if not found:
            return None
        identity.append(found)
    expression = authorizer.get("identityValidationExpression")
    if expression and not re.fullmatch(expression, identity[0]):
        return None
    return identity


def ask(ctx: Context, exchange: Exchange, authorizer: Result, identity: list[str], answered: Callable[[Context, Result], Any]) -> Any:  # fmt: skip
    """Invoke the function and go on with its answer; 401 when it fails with "Unauthorized", 500 for what is no answer."""
    stage = exchange.deployed.stage
    if authorizer["type"] == "TOKEN":
        payload = msgspec.json.encode(
            {"type": "TOKEN", "methodArn": method_arn(exchange), "authorizationToken": identity[0]}
        )
    else:
        payload = proxy.authorizer_event(exchange, method_arn(exchange))
    request = {"FunctionName": with_variables(function_name(authorizer), stage.variables),
               "InvocationType": "RequestResponse", "Payload": payload}  # fmt: skip
    principal = authorizer.get("authorizerCredentials") or PRINCIPAL
    source = f"arn:aws:execute-api:{stage.region}:{stage.account}:{stage.api_id}/authorizers/{authorizer['id']}"

    def done(c: Context, result: Result) -> Any:
        answer = _decoded(result.get("Payload") or b"null")
        if result.get("FunctionError"):
            if isinstance(answer, dict) and answer.get("errorMessage") == "Unauthorized":
                exchange.notes.append(f"Unauthorized request: {exchange.request_id}")
                return refuse(exchange, "UNAUTHORIZED", "Unauthorized")
            return refuse(exchange, "AUTHORIZER_FAILURE", None)
        if not _is_answer(answer):
            return refuse(exchange, "AUTHORIZER_CONFIGURATION_ERROR", None)
        return answered(c, answer)

    return settled(
        ctx,
        lambda: ctx.call(
            "lambda", "Invoke", request, principal=principal, source=source, region=stage.region, account=stage.account
        ),
        done,
        lambda error: refuse(exchange, "AUTHORIZER_CONFIGURATION_ERROR", None),
    )


def method_arn(exchange: Exchange) -> str:
    """What policies name: `arn:aws:execute-api:{region}:{account}:{api}/{stage}/{method}/{path}`."""
    stage, path = exchange.deployed.stage, exchange.path.lstrip("/")
    return (
        f"arn:aws:execute-api:{stage.region}:{stage.account}:{stage.api_id}/{stage.name}/{exchange.http.method}/{path}"
    )


def denied(ctx: Context, exchange: Exchange) -> str | None:
    """Why the signer of a request may not execute-api:Invoke the method, where IAM is enforced; None when he may."""
    authority = ctx.pipeline.authority
    if authority is None:
        return None
    account, arn = exchange.deployed.stage.account, method_arn(exchange)
    decision = authority.decide(ctx, Need(_INVOKE, arn, account))
    if decision.allowed:
        return None
    hidden = arn.replace(f":{account}:", f":********{account[-4:]}:")
    who = authority.caller(ctx).arn
    return f"User: {who} is not authorized to perform: {_INVOKE} on resource: {hidden} {decision.why(_INVOKE)}"


def _decoded(payload: bytes) -> Any:
    try:
        return read_json(payload)
    except NotJson:
        return None


def _is_answer(answer: Any) -> bool:
    """Whether it names a principal and a policy, and a context of nothing but text, numbers and truth values."""
    if not isinstance(answer, dict) or not isinstance(answer.get("policyDocument"), dict):
        return False
    context = answer.get("context") or {}
    if not isinstance(answer.get("principalId"), str) or not isinstance(context, dict):
        return False
    return all(isinstance(value, str | int | float | None) for value in context.values())


def _decided(ctx: Context, exchange: Exchange, answer: Result, serve: Serve) -> Any:
    given = {name: _text(value) for name, value in (answer.get("context") or {}).items()}
    exchange.authorizer = {**given, "principalId": answer["principalId"]}
    if answer.get("usageIdentifierKey"):
        exchange.usage_key = str(answer["usageIdentifierKey"])
    verdict = decision(answer["policyDocument"], method_arn(exchange), surroundings(ctx))
    if verdict == "Allow":
        exchange.notes.append("Successfully completed authorizer execution")
        return serve(ctx, exchange)
    exchange.notes.append(f"The client is not authorized to perform this operation: {exchange.request_id}")
    message = "User is not authorized to access this resource"
    return refuse(exchange, "ACCESS_DENIED", f"{message} with an explicit deny" if verdict == "Deny" else message)


def _text(value: Any) -> Any:
    """REST APIs hand context values on as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value
