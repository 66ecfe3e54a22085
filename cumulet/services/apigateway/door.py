"""The door "execute-api": requests to deployed APIs. What is no REST API here goes to the HTTP APIs' service."""

from __future__ import annotations

from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.aws.http import DoorRequest, HttpRequest, HttpResponse
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result, Wait, then
from cumulet.services.apigateway import admission, authorizing, backends, endpoints, proxy
from cumulet.services.apigateway.answers import plain, refuse
from cumulet.services.apigateway.compression import Unreadable, packed, unpacked
from cumulet.services.apigateway.exchange import Exchange, begin
from cumulet.services.apigateway.integration import serve
from cumulet.services.apigateway.model import RestApi, Stage, api_key, stage_key
from cumulet.services.apigateway.observing import observed
from cumulet.services.apigateway.routing import deployed, find
from cumulet.services.apigateway.settling import invoke
from cumulet.services.apigateway.validation import body_errors, missing_parameters

BODY_MAX_BYTES = 10 * 1024 * 1024


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
    if "minimumCompressionSize" not in api.settings:
        return observed(ctx, exchange, _routed(ctx, exchange))
    try:
        body = unpacked(api.settings, request)
    except Unreadable:
        refusal = refuse(exchange, "BAD_REQUEST_BODY", "Could not parse request body into json")
        return observed(ctx, exchange, refusal)
    if body is not None:
        request.body = body
    outcome = observed(ctx, exchange, _routed(ctx, exchange))
    if isinstance(outcome, Wait):
        return outcome
    return then(ctx, outcome, lambda c, response: packed(api.settings, request, response))


def _routed(ctx: Context, exchange: Exchange) -> Any:
    found = find(exchange.deployed.root, exchange.path)
    if found is None:
        return refuse(exchange, "MISSING_AUTHENTICATION_TOKEN", "Missing Authentication Token")
    exchange.endpoint, exchange.path_parameters = found
    methods, sent = exchange.endpoint.methods, exchange.http.method
    exchange.method_name = sent if sent in methods else "ANY"
    if exchange.method_name not in methods:
        return refuse(exchange, "MISSING_AUTHENTICATION_TOKEN", "Missing Authentication Token")
    exchange.method = methods[exchange.method_name]
    if exchange.method.get("authorizationType") == "AWS_IAM" and not _signed(exchange):
        return refuse(exchange, "MISSING_AUTHENTICATION_TOKEN", "Missing Authentication Token")
    if exchange.method.get("authorizationType") == "AWS_IAM":
        denied = authorizing.denied(ctx, exchange)
        if denied is not None:
            return refuse(exchange, "ACCESS_DENIED", denied)
    if exchange.method.get("authorizationType") == "CUSTOM":
        return authorizing.authorized(ctx, exchange, _admitted)
    return _admitted(ctx, exchange)


def _admitted(ctx: Context, exchange: Exchange) -> Any:
    """The response, or an Effect that ends in it, where the usage plan and the throttles let the request in."""
    refusal = admission.refused(ctx, exchange)
    return answered(ctx, exchange) if refusal is None else refusal


def _no_stage(ctx: Context, request: DoorRequest) -> Any:
    if ctx.tx.get(api_key(request.target), RestApi) is None:
        handed: Any = request
        try:
            return ctx.call("apigatewayv2", "cumulet:Execute", handed)
        except NotImplementedOnCumulet:  # a cloud without HTTP APIs
            pass
    return plain(403, "Forbidden", "ForbiddenException", ctx.request_id)


def answered(ctx: Context, exchange: Exchange) -> Any:
    """The response, or an Effect that ends in it: size and validation first, then the integration."""
    body = exchange.http.body
    if (len(body) if isinstance(body, bytes) else body.size) > BODY_MAX_BYTES:
        return refuse(exchange, "REQUEST_TOO_LARGE", "Request Too Long")
    missing = missing_parameters(exchange)
    if missing:
        return refuse(
            exchange, "BAD_REQUEST_PARAMETERS", f"Missing required request parameters: [{', '.join(missing)}]"
        )
    wrong = body_errors(exchange)
    if wrong:
        exchange.error["validationErrorString"] = f"[{', '.join(wrong)}]"
        return refuse(exchange, "BAD_REQUEST_BODY", "Invalid request body")
    kind = exchange.integration["type"]
    if kind == "AWS_PROXY":
        return _proxied(ctx, exchange)
    if kind == "HTTP_PROXY":
        return endpoints.proxied(ctx, exchange)
    return serve(ctx, exchange, endpoints.call if kind == "HTTP" else backends.call)


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
