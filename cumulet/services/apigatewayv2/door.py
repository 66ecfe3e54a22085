"""Requests to deployed HTTP APIs; the REST APIs' service owns the door and hands over what is not its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from cumulet.aws.errors import AwsError
from cumulet.aws.http import DoorRequest, HttpResponse
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Effect, Result
from cumulet.services.apigatewayv2 import cors
from cumulet.services.apigatewayv2.events import Exchange, answer, event, failure
from cumulet.services.apigatewayv2.model import Api, Stage, api_key, stage_key
from cumulet.services.apigatewayv2.routing import Deployed, Target, deployed, find

PRINCIPAL = "apigateway.amazonaws.com"
BODY_MAX_BYTES = 10 * 1024 * 1024
DEFAULT = "$default"
BURST, RATE_PER_S = 5000, 10000.0  # an account's usual limits, where a stage sets only one of the two


def execute(ctx: Context, request: DoorRequest) -> Any:
    """Serve one request. A first path segment that names no stage belongs to the path of stage `$default`.

    Source: developer guide, "Stages for HTTP APIs"; quotas: payload 10 MB, integration timeout 30 s (read 2026-11).
    """
    api = ctx.tx.get(api_key(request.target), Api)
    if api is None or api.settings.get("DisableExecuteApiEndpoint"):
        return failure(403, "Forbidden", ctx.request_id)
    name, path = _stage_and_path(api, request.rest)
    stage = ctx.tx.get(stage_key(api.id, name), Stage)
    compiled = None if stage is None else deployed(ctx, stage)
    if compiled is None:
        return failure(404, "Not Found", ctx.request_id)
    if compiled.cors is None:
        return _routed(ctx, request, compiled, path)
    if cors.is_preflight(request):
        return cors.preflight(compiled.cors, request, ctx.request_id)
    rules = compiled.cors
    outcome = _routed(ctx, request, compiled, path)
    if isinstance(outcome, Effect):
        return outcome.then(lambda c, response: cors.apply(rules, request, response))
    return cors.apply(rules, request, outcome)


def _stage_and_path(api: Api, rest: str) -> tuple[str, str]:
    """HTTP APIs decode the path before they route, and show it decoded, also as `rawPath` (observed on AWS: hotsock/voker
    pull 8, fastify/aws-lambda-fastify issue 169)."""
    _, _, below = rest.partition("/")
    first, slash, path = below.partition("/")
    name = unquote(first)
    if name in api.stages:
        return name, unquote(slash + path) or "/"
    return DEFAULT, unquote(rest) or "/"


def _routed(ctx: Context, request: DoorRequest, api: Deployed, path: str) -> Any:
    found = find(api, request.method, path)
    if found is None:
        return failure(404, "Not Found", ctx.request_id)
    target, parameters = found
    if target.signed and not _signed(request):
        return failure(403, "Forbidden", ctx.request_id)
    body = request.body
    if (len(body) if isinstance(body, bytes) else body.size) > BODY_MAX_BYTES:
        return failure(413, "Request Entity Too Large", ctx.request_id)
    if _throttled(ctx, api, target):
        return failure(429, "Too Many Requests", ctx.request_id)
    if target.function is None:
        return failure(500, "Internal Server Error", ctx.request_id)
    shown = path if api.stage.name == DEFAULT else f"/{api.stage.name}{path}"
    exchange = Exchange(request, api, target, shown, parameters, ctx.request_id, ctx.now, ctx.trace, ctx.access_key,
                        ctx.principal)  # fmt: skip
    return _invoke(ctx, exchange)


def _throttled(ctx: Context, api: Deployed, target: Target) -> bool:
    """Take one token of the route's bucket; True when it is empty. Buckets are this process's and start full."""
    settings = api.stage.settings
    limits = {
        **(settings.get("DefaultRouteSettings") or {}),
        **(settings.get("RouteSettings") or {}).get(target.key, {}),
    }
    if "ThrottlingRateLimit" not in limits and "ThrottlingBurstLimit" not in limits:
        return False
    rate, burst = limits.get("ThrottlingRateLimit", RATE_PER_S), float(limits.get("ThrottlingBurstLimit", BURST))
    buckets: dict[tuple[str, str, str], tuple[float, float]] = ctx.pipeline.volatile.setdefault(
        "apigatewayv2.buckets", {}
    )
    key = (api.stage.api_id, api.stage.name, target.key)
    tokens, at = buckets.get(key, (burst, ctx.now))
    tokens = min(burst, tokens + (ctx.now - at) * rate)
    buckets[key] = (tokens if tokens < 1 else tokens - 1, ctx.now)
    return bool(tokens < 1)


def _signed(request: DoorRequest) -> bool:
    return (
        request.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256") or "X-Amz-Signature=" in request.query
    )


def _invoke(ctx: Context, exchange: Exchange) -> Any:
    stage = exchange.api.stage
    request = {
        "FunctionName": exchange.target.function,
        "InvocationType": "RequestResponse",
        "Payload": event(exchange),
    }

    def start() -> Any:
        return ctx.call("lambda", "Invoke", request, principal=PRINCIPAL, region=stage.region, account=stage.account)

    def done(c: Context, result: Result) -> HttpResponse:
        if c.now - exchange.at > exchange.target.timeout_s:
            return failure(503, "Service Unavailable", exchange.request_id)
        if result.get("FunctionError"):
            return failure(500, "Internal Server Error", exchange.request_id)
        return answer(exchange, result.get("Payload") or b"")

    def failed(error: AwsError) -> HttpResponse:
        if error.http_status == 429:
            return failure(503, "Service Unavailable", exchange.request_id)
        return failure(500, "Internal Server Error", exchange.request_id)

    outcome = _settled(ctx, start, done, failed)
    if isinstance(outcome, Effect):
        outcome.limit_s = exchange.target.timeout_s
        outcome.late = lambda: failure(503, "Service Unavailable", exchange.request_id)
    return outcome


def _settled(ctx: Context, start: Callable[[], Any], after: Callable[[Context, Any], HttpResponse],
             failed: Callable[[AwsError], HttpResponse]) -> Any:  # fmt: skip
    """`after(ctx, start())`, once it has settled; `failed(error)` for an AwsError, whose writes are undone."""
    mark = ctx.tx.savepoint()
    try:
        outcome = start()
    except AwsError as error:
        ctx.tx.rollback(mark)
        return failed(error)
    if isinstance(outcome, Effect):
        settle = outcome.settle
        outcome.settle = lambda c, result: _settled(c, lambda: settle(c, result), after, failed)
        return outcome
    return after(ctx, outcome)
