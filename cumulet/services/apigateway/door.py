"""The door "execute-api": requests to deployed APIs. What is no REST API here goes to the HTTP APIs' service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cumulet.aws.errors import AwsError, NotImplementedOnCumulet
from cumulet.aws.http import DoorRequest, HttpRequest, HttpResponse
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Effect, Result
from cumulet.services.apigateway import proxy
from cumulet.services.apigateway.answers import plain, refuse
from cumulet.services.apigateway.exchange import Exchange, begin
from cumulet.services.apigateway.model import RestApi, Stage, api_key, stage_key
from cumulet.services.apigateway.routing import deployed, find

PRINCIPAL = "apigateway.amazonaws.com"
BODY_MAX_BYTES = 10 * 1024 * 1024
After = Callable[[Context, Any], Any]


def execute(ctx: Context, request: HttpRequest) -> Any:
    """Serve one request: `target` is the API's id, `rest` the raw path from the stage on.

    Source: developer guide, "Invoke REST APIs in API Gateway"; quotas: payload 10 MB (read 2026-11).
    """
    assert isinstance(request, DoorRequest)
    _, _, below = request.rest.partition("/")
    name, slash, path = below.partition("/")
    stage = ctx.tx.get(stage_key(request.target, name), Stage)
    if stage is None:
        return _no_stage(ctx, request)
    api = deployed(ctx, stage)
    if api.settings.get("disableExecuteApiEndpoint"):
        return plain(403, "Forbidden", "ForbiddenException", ctx.request_id)
    exchange = begin(ctx, request, api, slash + path)
    found = find(api.root, exchange.path)
    if found is None:
        return refuse(exchange, "MISSING_AUTHENTICATION_TOKEN", "Missing Authentication Token")
    exchange.endpoint, exchange.path_parameters = found
    methods = exchange.endpoint.methods
    exchange.method_name = request.method if request.method in methods else "ANY"
    if exchange.method_name not in methods:
        return refuse(exchange, "MISSING_AUTHENTICATION_TOKEN", "Missing Authentication Token")
    exchange.method = methods[exchange.method_name]
    return _admitted(ctx, exchange)


def _no_stage(ctx: Context, request: DoorRequest) -> Any:
    if ctx.tx.get(api_key(request.target), RestApi) is None:
        handed: Any = request
        try:
            return ctx.call("apigatewayv2", "cumulet:Execute", handed)
        except NotImplementedOnCumulet:  # a cloud without HTTP APIs
            pass
    return plain(403, "Forbidden", "ForbiddenException", ctx.request_id)


def _admitted(ctx: Context, exchange: Exchange) -> Any:
    """Authorization and limits, then the integration."""
    if exchange.method.get("authorizationType") == "AWS_IAM" and not _signed(exchange):
        return refuse(exchange, "MISSING_AUTHENTICATION_TOKEN", "Missing Authentication Token")
    body = exchange.http.body
    if (len(body) if isinstance(body, bytes) else body.size) > BODY_MAX_BYTES:
        return refuse(exchange, "REQUEST_TOO_LARGE", "Request Too Long")
    kind = exchange.integration["type"]
    if kind == "AWS_PROXY":
        return _proxied(ctx, exchange)
    raise AssertionError(f"integration type {kind}")


def _signed(exchange: Exchange) -> bool:
    return (exchange.header("authorization") or "").startswith(
        "AWS4-HMAC-SHA256"
    ) or "X-Amz-Signature" in exchange.query


def _proxied(ctx: Context, exchange: Exchange) -> Any:
    return invoke(ctx, exchange, proxy.event(exchange), lambda c, result: _from_function(c, exchange, result))


def _from_function(ctx: Context, exchange: Exchange, result: Result) -> HttpResponse:
    if result.get("FunctionError"):
        return refuse(exchange, "INTEGRATION_FAILURE", "Internal server error", 502)
    return proxy.answer(exchange, result.get("Payload") or b"")


def invoke(ctx: Context, exchange: Exchange, payload: bytes, after: After) -> Any:
    """Invoke the method's function and go on with `after`; 500 when Lambda refuses, 504 when it took too long."""
    assert exchange.endpoint is not None
    arn = exchange.endpoint.functions[exchange.method_name]
    limit_s = exchange.integration.get("timeoutInMillis", 29000) / 1000

    def done(c: Context, result: Any) -> Any:
        if c.now - exchange.at > limit_s:
            return refuse(exchange, "INTEGRATION_TIMEOUT", "Endpoint request timed out")
        return after(c, result)

    stage = exchange.deployed.stage
    request = {"FunctionName": arn, "InvocationType": "RequestResponse", "Payload": payload}
    return settled(
        ctx,
        lambda: ctx.call("lambda", "Invoke", request, principal=PRINCIPAL, region=stage.region, account=stage.account),
        done,
        lambda error: refuse(exchange, "API_CONFIGURATION_ERROR", "Internal server error"),
    )


def settled(ctx: Context, start: Callable[[], Any], after: After, failed: Callable[[AwsError], Any]) -> Any:
    """`after(ctx, start())`, once it has settled; `failed(error)` for an AwsError, whose writes are undone."""
    mark = ctx.tx.savepoint()
    try:
        outcome = start()
    except AwsError as error:
        ctx.tx.rollback(mark)
        return failed(error)
    if isinstance(outcome, Effect):
        settle = outcome.settle
        outcome.settle = lambda c, result: settled(c, lambda: settle(c, result), after, failed)
        return outcome
    return after(ctx, outcome)
