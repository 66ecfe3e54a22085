"""Requests to deployed HTTP APIs; the REST APIs' service owns the door and hands over what is not its own."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from cumulet.aws.http import DoorRequest, HttpResponse
from cumulet.aws.throttle import ACCOUNT_BURST, ACCOUNT_RATE_PER_S, Buckets, take, take_of_account
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Effect, Wait, then
from cumulet.services.apigatewayv2 import accesslogs, authorizing, backends, cors, metrics
from cumulet.services.apigatewayv2.events import Exchange, failure
from cumulet.services.apigatewayv2.model import Api, Stage, api_key, stage_key
from cumulet.services.apigatewayv2.routing import Deployed, Target, deployed, find
from cumulet.services.apigatewayv2.settings import route_settings

BODY_MAX_BYTES = 10 * 1024 * 1024
DEFAULT = "$default"


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
    rules = compiled.cors
    if rules is not None and cors.is_preflight(request):
        return cors.preflight(rules, request, ctx.request_id)
    outcome = _logged(ctx, request, compiled, path)
    if rules is None or isinstance(outcome, Wait):
        return outcome
    if isinstance(outcome, Effect) and outcome.late is not None:
        late = outcome.late
        outcome.late = lambda: cors.apply(rules, request, late())
    return then(ctx, outcome, lambda c, response: cors.apply(rules, request, response))


def _stage_and_path(api: Api, rest: str) -> tuple[str, str]:
    """HTTP APIs decode the path before they route, and show it decoded, also as `rawPath` (observed on AWS: hotsock/voker
    pull 8, fastify/aws-lambda-fastify issue 169)."""
    _, _, below = rest.partition("/")
    first, slash, path = below.partition("/")
    name = unquote(first)
    if name in api.stages:
        return name, unquote(slash + path) or "/"
    return DEFAULT, unquote(rest) or "/"


def _logged(ctx: Context, request: DoorRequest, api: Deployed, path: str) -> Any:
    """The outcome, and a line in the access log when it is there."""
    target, parameters = find(api, request.method, path) or (None, {})
    shown = path if api.stage.name == DEFAULT else f"/{api.stage.name}{path}"
    exchange = Exchange(request, api, target or Target("-", False), shown, path, parameters, ctx.request_id, ctx.now,
                        ctx.trace, ctx.access_key, ctx.principal)  # fmt: skip
    outcome = _routed(ctx, exchange) if target is not None else failure(404, "Not Found", ctx.request_id)
    if isinstance(outcome, Wait):
        return outcome

    def written(c: Context, response: HttpResponse) -> HttpResponse:
        accesslogs.write(c, exchange, response)
        metrics.count(c, exchange, response)
        return response

    return then(ctx, outcome, written)


def _routed(ctx: Context, exchange: Exchange) -> Any:
    request, target = exchange.http, exchange.target
    if target.signed and (not _signed(exchange) or authorizing.denied(ctx, exchange)):
        return failure(403, "Forbidden", ctx.request_id)
    body = request.body
    if (len(body) if isinstance(body, bytes) else body.size) > BODY_MAX_BYTES:
        return failure(413, "Request Entity Too Large", ctx.request_id)
    if _throttled(ctx, exchange.api, target):
        return failure(429, "Too Many Requests", ctx.request_id)
    if not target.kind:
        return failure(500, "Internal Server Error", ctx.request_id)
    if target.authorizer is not None:
        return authorizing.authorized(ctx, exchange, backends.call)
    return backends.call(ctx, exchange)


def _throttled(ctx: Context, api: Deployed, target: Target) -> bool:
    """Take one token of the route's bucket and one of the account's; True when one is empty. Buckets are this process's and start full.

    A request that waited and is run again has its token already.
    """
    waiting: set[str] = ctx.pipeline.volatile.setdefault("apigatewayv2.waiting", set())
    if ctx.request_id in waiting:
        waiting.discard(ctx.request_id)
        return False
    limits = route_settings(api.stage, target.key)
    stage = api.stage
    if "ThrottlingRateLimit" in limits or "ThrottlingBurstLimit" in limits:
        rate, burst = (
            limits.get("ThrottlingRateLimit", ACCOUNT_RATE_PER_S),
            limits.get("ThrottlingBurstLimit", ACCOUNT_BURST),
        )
        buckets: Buckets = ctx.pipeline.volatile.setdefault("apigatewayv2.buckets", {})
        if not take(buckets, (stage.api_id, stage.name, target.key), rate, burst, ctx.now):
            return True
    return not take_of_account(ctx.pipeline.volatile, stage.account, stage.region, ctx.now)


def _signed(exchange: Exchange) -> bool:
    http = exchange.http
    return http.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256") or "X-Amz-Signature=" in http.query
