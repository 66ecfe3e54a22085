"""What is checked of a request before its integration is called: the method's validator, and its throttle.

Source: developer guide, "Request validation for REST APIs", "Throttle requests to your REST APIs" (read 2026-11).
"""

from __future__ import annotations

import json
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.apigateway.exchange import Exchange

BURST, RATE_PER_S = 5000, 10000.0  # an account's usual limits, where a stage sets only one of the two


def missing_parameters(exchange: Exchange) -> list[str]:
    """The names of required parameters that the request lacks; none without a validator that looks for them."""
    if not _validator(exchange).get("validateRequestParameters"):
        return []
    missing = []
    for parameter, required in exchange.method.get("requestParameters", {}).items():
        place, _, name = parameter.removeprefix("method.request.").partition(".")
        if required and not _given(exchange, place, name):
            missing.append(name)
    return missing


def _given(exchange: Exchange, place: str, name: str) -> bool:
    if place == "path":
        return bool(exchange.path_parameters.get(name))
    if place.endswith("querystring"):
        return any(exchange.query.get(name, ()))
    return bool(exchange.header(name))


def _validator(exchange: Exchange) -> dict[str, Any]:
    found: dict[str, Any] = exchange.deployed.definition.validators.get(
        exchange.method.get("requestValidatorId", ""), {}
    )
    return found


def body_errors(exchange: Exchange) -> list[str]:
    """What is wrong with the body by its media type's model (JSON schema draft 4); none without a validator for bodies."""
    models = exchange.method.get("requestModels")
    if not models or not _validator(exchange).get("validateRequestBody"):
        return []
    media = (exchange.header("content-type") or "application/json").partition(";")[0].strip()
    name = models.get(media)
    if name in (None, "Empty"):
        return []
    try:
        document = json.loads(exchange.http.read_body() or b"null")
    except ValueError:
        return ["Invalid JSON"]
    return [error.message for error in _schema(exchange, name).iter_errors(document)]


def _schema(exchange: Exchange, name: str) -> Any:
    """A compiled schema, kept with the deployed API. References to other models are by URLs that end in their names."""
    compiled = exchange.deployed.schemas
    if name not in compiled:
        # Late, because it takes a large part of a start-up and few APIs need it.
        from jsonschema import Draft4Validator  # type: ignore[import-untyped]  # it has no types
        from referencing import Registry
        from referencing.jsonschema import DRAFT4

        models = exchange.deployed.definition.models

        def retrieve(uri: str) -> Any:
            model = models.get(uri.rpartition("/")[2], {})
            return DRAFT4.create_resource(json.loads(model.get("schema") or "{}"))

        registry: Any = Registry(retrieve=retrieve)  # type: ignore[call-arg]  # attrs' own __init__
        compiled[name] = Draft4Validator(json.loads(models[name].get("schema") or "{}"), registry=registry)
    return compiled[name]


def throttled(ctx: Context, exchange: Exchange) -> bool:
    """Take one token of the method's bucket; True when it is empty. Buckets are this process's and start full.

    A request that waited and is run again has its token already.
    """
    waiting: set[str] = ctx.pipeline.volatile.setdefault("apigateway.waiting", set())
    if ctx.request_id in waiting:
        waiting.discard(ctx.request_id)
        return False
    settings = exchange.deployed.stage.settings.get("methodSettings")
    if not settings or exchange.endpoint is None:
        return False
    path, method = exchange.endpoint.path.replace("/", "~1"), exchange.method_name
    where = next((key for key in (f"{path}/{method}", f"*/{method}", "*/*") if key in settings), None)
    if where is None:
        return False
    limits = settings[where]
    if "throttlingRateLimit" not in limits and "throttlingBurstLimit" not in limits:
        return False
    rate, burst = limits.get("throttlingRateLimit", RATE_PER_S), limits.get("throttlingBurstLimit", BURST)
    stage = exchange.deployed.stage
    buckets: dict[tuple[str, str, str, str], tuple[float, float]] = ctx.pipeline.volatile.setdefault(
        "apigateway.buckets", {}
    )
    key = (stage.api_id, stage.name, path, method)
    tokens, at = buckets.get(key, (float(burst), ctx.now))
    tokens = min(float(burst), tokens + (ctx.now - at) * rate)
    empty = bool(tokens < 1)
    buckets[key] = (tokens if empty else tokens - 1, ctx.now)
    return empty
