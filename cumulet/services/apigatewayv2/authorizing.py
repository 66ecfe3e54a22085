"""Lambda authorizers of HTTP APIs: the question to the function, its answer, and how long that holds.

Source: developer guide, "Control access to HTTP APIs with AWS Lambda authorizers" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cumulet.aws.http import HttpResponse
from cumulet.aws.invokepolicy import decision
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.authz import Need, surroundings
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Effect, Result, settled
from cumulet.services.apigatewayv2.backends import PRINCIPAL
from cumulet.services.apigatewayv2.events import Exchange, authorizer_event, failure
from cumulet.services.apigatewayv2.expressions import Values, as_text
from cumulet.services.apigatewayv2.integration import function_of
from cumulet.services.apigatewayv2.routing import with_variables

TIMEOUT_S = 10.0  # quotas: authorizer timeout
_CACHED = 10_000
Serve = Callable[[Context, Exchange], Any]
Kept = dict[tuple[str, ...], tuple[float, Result]]


def authorized(ctx: Context, exchange: Exchange, serve: Serve) -> Any:
    """`serve(ctx, exchange)` when the route's authorizer allows it; 401 without the identity sources, 403, or 500."""
    authorizer = exchange.target.authorizer
    assert authorizer is not None
    identity = []
    values = Values(exchange)
    for source in authorizer.get("IdentitySource") or ():
        found = values.of(source)
        if found in (None, ""):
            return failure(401, "Unauthorized", exchange.request_id)
        identity.append(as_text(found))
    ttl_s = authorizer.get("AuthorizerResultTtlInSeconds", 0) if identity else 0
    stage = exchange.api.stage
    key = (stage.api_id, stage.name, stage.revision, authorizer["AuthorizerId"], *identity)
    cache: Kept = ctx.pipeline.volatile.setdefault("apigatewayv2.authorized", {})
    known = cache.get(key)
    if ttl_s and known is not None and ctx.now < known[0]:
        return _decided(ctx, exchange, known[1], serve)

    def done(c: Context, result: Result) -> Any:
        answer = _answer(authorizer, result)
        if answer is None:
            exchange.authorizer["error"] = "The response from the Lambda authorizer is not in the expected format."
            return failure(500, "Internal Server Error", exchange.request_id)
        if ttl_s:
            if len(cache) >= _CACHED:
                del cache[next(iter(cache))]
            cache[key] = (c.now + ttl_s, answer)
        return _decided(c, exchange, answer, serve)

    return _asked(ctx, exchange, authorizer, identity, done)


def _asked(ctx: Context, exchange: Exchange, authorizer: Result, identity: list[str], done: Callable[[Context, Result], Any]) -> Any:  # fmt: skip
    stage = exchange.api.stage
    uri = with_variables(authorizer["AuthorizerUri"], exchange.api.variables)
    payload = authorizer_event(exchange, authorizer["AuthorizerPayloadFormatVersion"], route_arn(exchange), identity)
    principal = authorizer.get("AuthorizerCredentialsArn") or PRINCIPAL
    source = (
        f"arn:aws:execute-api:{stage.region}:{stage.account}:{stage.api_id}/authorizers/{authorizer['AuthorizerId']}"
    )
    request = {"FunctionName": function_of(uri) or uri, "InvocationType": "RequestResponse", "Payload": payload}

    def failed(reason: str) -> HttpResponse:
        exchange.authorizer["error"] = reason
        return failure(500, "Internal Server Error", exchange.request_id)

    outcome = settled(
        ctx,
        lambda: ctx.call(
            "lambda", "Invoke", request, principal=principal, source=source, region=stage.region, account=stage.account
        ),
        done,
        lambda error: failed(error.message),
    )
    if isinstance(outcome, Effect):
        outcome.limit_s = TIMEOUT_S
        outcome.late = lambda: failed("The Lambda authorizer timed out.")
    return outcome


def denied(ctx: Context, exchange: Exchange) -> bool:
    """Whether the signer of a request may not execute-api:Invoke the route, where IAM is enforced."""
    authority = ctx.pipeline.authority
    need = Need("execute-api:Invoke", route_arn(exchange), exchange.api.stage.account)
    return authority is not None and not authority.decide(ctx, need).allowed


def route_arn(exchange: Exchange) -> str:
    """What policies name: `arn:aws:execute-api:{region}:{account}:{api}/{stage}/{method}/{path}`."""
    stage = exchange.api.stage
    path = exchange.inner_path.lstrip("/")
    return (
        f"arn:aws:execute-api:{stage.region}:{stage.account}:{stage.api_id}/{stage.name}/{exchange.http.method}/{path}"
    )


def _answer(authorizer: Result, result: Result) -> Result | None:
    """What a function answered; None when it failed or its answer is not in the format."""
    if result.get("FunctionError"):
        return None
    try:
        found = read_json(result.get("Payload") or b"null")
    except NotJson:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("context") or {}, dict):
        return None
    simple = authorizer.get("EnableSimpleResponses") and authorizer["AuthorizerPayloadFormatVersion"] == "2.0"
    if simple:
        return found if isinstance(found.get("isAuthorized"), bool) else None
    return found if isinstance(found.get("policyDocument"), dict) else None


def _decided(ctx: Context, exchange: Exchange, answer: Result, serve: Serve) -> Any:
    exchange.authorizer.update(answer.get("context") or {})
    if "principalId" in answer:
        exchange.authorizer["principalId"] = answer["principalId"]
    if "policyDocument" in answer and "isAuthorized" not in answer:
        allowed = decision(answer["policyDocument"], route_arn(exchange), surroundings(ctx)) == "Allow"
    else:
        allowed = answer["isAuthorized"]
    if not allowed:
        return failure(403, "Forbidden", exchange.request_id)
    return serve(ctx, exchange)
