"""Settings of a stage's methods: logging, metrics and throttling, for all methods, for a verb, or for one method.

The keys of `methodSettings` are `*/*`, `*/{METHOD}` and `{resource path, escaped}/{METHOD}`; the more specific one wins,
member by member. Source: API Gateway API reference, MethodSetting; UpdateStage patch operations (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cumulet.aws.throttle import ACCOUNT_BURST, ACCOUNT_RATE_PER_S
from cumulet.kernel.outcome import Result
from cumulet.services.apigateway import patch
from cumulet.services.apigateway.errors import BadRequestException, not_honoured
from cumulet.services.apigateway.exchange import Exchange
from cumulet.services.apigateway.patch import Field

LEVELS = ("OFF", "ERROR", "INFO")
_DEFAULTS: Result = {
    "metricsEnabled": False, "dataTraceEnabled": False, "throttlingBurstLimit": ACCOUNT_BURST,
    "throttlingRateLimit": ACCOUNT_RATE_PER_S, "cachingEnabled": False,
}  # fmt: skip
_FIELDS: dict[str, tuple[str, Field]] = {
    "metrics/enabled": ("metricsEnabled", Field(convert=patch.flag)),
    "logging/dataTrace": ("dataTraceEnabled", Field(convert=patch.flag)),
    "logging/loglevel": ("loggingLevel", Field()),
    "throttling/burstLimit": ("throttlingBurstLimit", Field(convert=patch.whole)),
    "throttling/rateLimit": ("throttlingRateLimit", Field(convert=patch.number)),
    "caching/ttlInSeconds": ("", Field(refused="method caching")),
    "caching/enabled": ("cachingEnabled", Field(convert=patch.flag)),
    "caching/dataEncrypted": ("", Field(refused="method caching")),
    "caching/requireAuthorizationForCacheControl": ("", Field(refused="method caching")),
    "caching/unauthorizedCacheControlHeaderStrategy": ("", Field(refused="method caching")),
}


def changed(settings: Mapping[str, Any], operations: list[Result]) -> Result:
    """`methodSettings` after patches of `/{resource path, escaped}/{method}/{group}/{name}`.

    Raises: BadRequestException, NotImplementedOnCumulet.
    """
    found: Result = {where: dict(value) for where, value in settings.items()}
    for operation in operations:
        resource, method, name = operation["path"][1:].split("/", 2)
        where = f"{resource}/{method}"
        if name not in _FIELDS:
            known = ", ".join(f".../{field}" for field in _FIELDS)
            raise BadRequestException(f"Invalid method setting path: {name}. Must be one of: [{known}]")
        member, field = _FIELDS[name]
        one = found.setdefault(where, {})
        document = {member: one[member]} if member in one else {}
        document = patch.apply(document, [{**operation, "path": f"/{member}"}], {f"/{member}": field})
        one.pop(member, None)
        one.update(document)
    return {where: value for where, value in found.items() if value}


def check(settings: Mapping[str, Any]) -> None:
    """Raises: BadRequestException, NotImplementedOnCumulet."""
    for where, one in settings.items():
        level = one.get("loggingLevel", "OFF")
        if level not in LEVELS:
            raise BadRequestException(f"Invalid logging level specified: {level}. Must be one of [{', '.join(LEVELS)}]")
        if one.get("cachingEnabled"):
            raise not_honoured(f"method setting cachingEnabled of {where}")


def wants_logs(settings: Mapping[str, Any]) -> bool:
    return any(one.get("loggingLevel", "OFF") != "OFF" for one in settings.values())


def described(settings: Mapping[str, Any]) -> Result:
    return {where: {**_DEFAULTS, **one} for where, one in settings.items()}


def of_method(exchange: Exchange) -> Mapping[str, Any]:
    """What holds for the request's method; only the members that are set."""
    settings = exchange.deployed.stage.settings.get("methodSettings")
    if not settings or exchange.endpoint is None:
        return {}
    path, method = exchange.endpoint.path.replace("/", "~1"), exchange.method_name
    cache = exchange.deployed.method_settings
    found = cache.get((path, method))
    if found is None:
        found = {}
        for where in ("*/*", f"*/{method}", f"{path}/{method}"):
            found.update(settings.get(where, {}))
        cache[path, method] = found
    return found
