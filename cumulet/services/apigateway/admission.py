"""Who is let in: the API key that a method demands, its usage plan's throttle and quota, the stage's and the account's throttle.

Throttles are token buckets of this process, which start full; quotas and usage are in the store and outlive it.
Source: developer guide, "Throttle requests to your REST APIs" (the order), "Choose an API key source"; re:Post, "How do I
troubleshoot ... Exceeded throttle limit" (the log's lines; read 2026-11).
"""

from __future__ import annotations

from typing import Any

from cumulet.aws.http import HttpResponse
from cumulet.aws.throttle import ACCOUNT_BURST, ACCOUNT_RATE_PER_S, Buckets, take, take_of_account
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.services.apigateway import keyring, methodsettings
from cumulet.services.apigateway.answers import refuse
from cumulet.services.apigateway.exchange import Exchange
from cumulet.services.apigateway.executionlogs import masked
from cumulet.services.apigateway.keyring import ApiKey, Pointer, Quota, Usage, UsagePlan


def refused(ctx: Context, exchange: Exchange) -> HttpResponse | None:
    """The refusal of a request that is not let in: 403 or 429. A request that waited and is run again has its tokens already."""
    waiting: set[str] = ctx.pipeline.volatile.setdefault("apigateway.waiting", set())
    again = ctx.request_id in waiting
    waiting.discard(ctx.request_id)
    stage = exchange.deployed.stage
    where, at = f"{stage.api_id}/{stage.name}", ctx.at(stage.account, stage.region)
    if exchange.method.get("apiKeyRequired"):
        value = _value(exchange)
        exchange.notes.append(
            f"Verifying Usage Plan for request: {exchange.request_id}. API Key: {masked(value)} API Stage: {where}"
        )
        found = _opened(at, exchange, value)
        if found is None:
            exchange.notes.append(f"API Key {masked(value)} not authorized because method '{exchange.http.method} "
                                  f"{_path(exchange)}' requires API Key and it is not associated with a "
                                  f"Usage Plan for API Stage {where}: No Usage Plan found for key and API Stage")  # fmt: skip
            return refuse(exchange, "INVALID_API_KEY", "Forbidden")
        key, plan = found
        exchange.usage_key, exchange.key_id = value, key.id
        refusal = _over(at, exchange, key, plan, again)
        if refusal is not None:
            return refusal
        exchange.notes.append(f"Usage Plan check succeeded for API Key {masked(value)} and API Stage {where}")
    if again:
        return None
    if _method_throttled(ctx, exchange) or not take_of_account(
        ctx.pipeline.volatile, stage.account, stage.region, ctx.now
    ):
        return refuse(exchange, "THROTTLED", "Too Many Requests")
    return None


def _path(exchange: Exchange) -> str:
    assert exchange.endpoint is not None
    return exchange.endpoint.path


def _value(exchange: Exchange) -> str:
    """The key's value: of the header, or what the method's authorizer gave, as the API says."""
    if exchange.deployed.settings.get("apiKeySource") == "AUTHORIZER":
        return exchange.usage_key or ""
    return exchange.header("x-api-key") or ""


def _opened(ctx: Context, exchange: Exchange, value: str) -> tuple[ApiKey, UsagePlan] | None:
    """The key, and the plan by which it opens the stage; None for one that is unknown, disabled, or opens other stages."""
    pointer = ctx.tx.get(keyring.value_key(ctx, value), Pointer) if value else None
    if pointer is None:
        return None
    key, stage = keyring.key_at(ctx, pointer.id), exchange.deployed.stage
    if not key.enabled:
        return None
    name = f"{stage.api_id}:{stage.name}"
    return next(((key, plan) for plan in keyring.plans_of(ctx, key.id) if name in keyring.stages_of_plan(plan)), None)


def _over(ctx: Context, exchange: Exchange, key: ApiKey, plan: UsagePlan, again: bool) -> HttpResponse | None:
    """The refusal of a key that is over its plan's throttle or quota; else the request is counted."""
    stage, shown = exchange.deployed.stage, masked(key.value)
    where = f"{stage.api_id}/{stage.name}"
    if not again:
        limits = _plan_throttled(ctx, exchange, key, plan)
        if limits is not None:
            exchange.notes.append(
                f"API Key {shown} exceeded throttle limit for API Stage {where}: Key throttle limit exceeded for Usage Plan "
                f"ID {plan.id}, RestApi {stage.api_id}, Stage {stage.name}, Resource {_path(exchange)}, HttpMethod "
                f"{exchange.http.method}. Limit: {limits[0]:.2f} Burst: {limits[1]}"
            )
            return refuse(exchange, "THROTTLED", "Too Many Requests")
    quota, day = keyring.quota_of(ctx, plan, key.id), keyring.day_of(ctx.now)
    if quota is not None and quota.left < 1:
        rule = plan.settings["quota"]
        exchange.notes.append(f"API Key {shown} exceeded quota limit for API Stage {where}: Key quota exhausted for Usage Plan "
                              f"ID {plan.id}. Limit: {rule['limit']} Period: {rule['period']}")  # fmt: skip
        return refuse(exchange, "QUOTA_EXCEEDED", "Limit Exceeded")
    left = 0
    if quota is not None:
        left = quota.left - 1
        ctx.tx.put(keyring.quota_key(ctx, plan.id, key.id), Quota(began=quota.began, left=left))
    today = keyring.usage_key(ctx, plan.id, key.id, day)
    before = ctx.tx.get(today, Usage)
    ctx.tx.put(today, Usage(used=(before.used if before else 0) + 1, left=left))
    return None


def _plan_throttled(ctx: Context, exchange: Exchange, key: ApiKey, plan: UsagePlan) -> tuple[float, int] | None:
    """The (rate, burst) that the key is over: of the method, where the plan sets it, else of the plan."""
    stage, method = exchange.deployed.stage, f"{_path(exchange)}/{exchange.method_name}"
    own = (keyring.stages_of_plan(plan)[f"{stage.api_id}:{stage.name}"].get("throttle") or {}).get(method)
    limits: Result = own or plan.settings.get("throttle") or {}
    if not limits:
        return None
    name = (stage.api_id, stage.name, method) if own else ()
    return _empty(ctx, ("plan", plan.id, key.id, *name), limits.get("rateLimit"), limits.get("burstLimit"))


def _method_throttled(ctx: Context, exchange: Exchange) -> bool:
    limits = methodsettings.of_method(exchange)
    rate, burst = limits.get("throttlingRateLimit"), limits.get("throttlingBurstLimit")
    stage = exchange.deployed.stage
    where = ("method", stage.api_id, stage.name, _path(exchange), exchange.method_name)
    return (rate is not None or burst is not None) and _empty(ctx, where, rate, burst) is not None


def _empty(ctx: Context, where: tuple[str, ...], rate: Any, burst: Any) -> tuple[float, int] | None:
    """(rate, burst) of a bucket that has no token left; the account's figures stand in for what is not set."""
    limits = (float(ACCOUNT_RATE_PER_S if rate is None else rate), int(ACCOUNT_BURST if burst is None else burst))
    buckets: Buckets = ctx.pipeline.volatile.setdefault("apigateway.buckets", {})
    return None if take(buckets, where, limits[0], limits[1], ctx.now) else limits
