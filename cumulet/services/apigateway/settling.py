"""Calls of an exchange that take time: a function is invoked, and what came of it becomes the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Effect, settled
from cumulet.services.apigateway.answers import refuse
from cumulet.services.apigateway.exchange import Exchange, Leg

PRINCIPAL = "apigateway.amazonaws.com"
CALLER = "arn:aws:iam::*:user/*"  # an integration's credentials: the caller's
After = Callable[[Context, Any], Any]


def invoke(ctx: Context, exchange: Exchange, payload: bytes, after: After, kind: str = "RequestResponse") -> Any:
    """Invoke the method's function and go on with `after`; 500 when Lambda refuses, 504 when it took too long."""
    assert exchange.endpoint is not None
    arn = exchange.endpoint.functions[exchange.method_name]
    limit_s = exchange.integration.get("timeoutInMillis", 29000) / 1000
    exchange.leg = leg = Leg(exchange.endpoint.uris[exchange.method_name], ctx.now, {}, payload)

    def done(c: Context, result: Any) -> Any:
        leg.back(c.now, int(result.get("StatusCode", 200)), {}, result.get("Payload") or b"")
        if c.now - exchange.at > limit_s:
            return refuse(exchange, "INTEGRATION_TIMEOUT", "Endpoint request timed out")
        return after(c, result)

    stage = exchange.deployed.stage
    principal = principal_of(exchange.integration.get("credentials"))
    source = source_of(exchange)
    request = {"FunctionName": arn, "InvocationType": kind, "Payload": payload}
    outcome = settled(
        ctx,
        lambda: ctx.call(
            "lambda", "Invoke", request, principal=principal, source=source, region=stage.region, account=stage.account
        ),
        done,
        lambda error: refuse(exchange, "API_CONFIGURATION_ERROR", "Internal server error"),
    )
    if isinstance(outcome, Effect):
        outcome.limit_s = limit_s
        outcome.late = lambda: refuse(exchange, "INTEGRATION_TIMEOUT", "Endpoint request timed out")
    return outcome


def principal_of(credentials: str | None) -> str | None:
    """As whom API Gateway calls a backend: itself, with a role, or (None) with its caller's own permissions."""
    if credentials == CALLER:
        return None
    return credentials or PRINCIPAL


def source_of(exchange: Exchange) -> str:
    """What permissions name as aws:SourceArn: the method of the resource in the stage."""
    stage, path = exchange.deployed.stage, exchange.endpoint.path if exchange.endpoint is not None else "/"
    return f"arn:aws:execute-api:{stage.region}:{stage.account}:{stage.api_id}/{stage.name}/{exchange.http.method}/{path[1:]}"
