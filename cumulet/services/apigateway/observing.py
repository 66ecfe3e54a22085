"""What is kept of every request to a stage: metrics, the access log's line, the execution log's lines.

Source: developer guide, "Amazon API Gateway dimensions and metrics" (read 2026-11).
"""

from __future__ import annotations

from typing import Any

from cumulet.aws.http import HttpResponse
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Wait, then
from cumulet.services.apigateway import accesslogs, executionlogs, methodsettings
from cumulet.services.apigateway.exchange import Exchange

NAMESPACE = "AWS/ApiGateway"


def observed(ctx: Context, exchange: Exchange, outcome: Any) -> Any:
    """The outcome, and what is to be kept of it when it is there."""
    if isinstance(outcome, Wait):
        return outcome
    return then(ctx, outcome, lambda c, response: _kept(c, exchange, response))


def _kept(ctx: Context, exchange: Exchange, response: HttpResponse) -> HttpResponse:
    _count(ctx, exchange, response.status)
    accesslogs.write(ctx, exchange, response)
    executionlogs.write(ctx, exchange, response)
    return response


def _count(ctx: Context, exchange: Exchange, status: int) -> None:
    """By API, by stage, and by method where detailed metrics are on. The two error metrics are 0 or 1 for every request."""
    stage, name = exchange.deployed.stage, exchange.deployed.settings["name"]
    dimensions: list[dict[str, str]] = [{"ApiName": name}, {"ApiName": name, "Stage": stage.name}]
    if exchange.endpoint is not None and methodsettings.of_method(exchange).get("metricsEnabled"):
        dimensions.append({"ApiName": name, "Stage": stage.name, "Method": exchange.method_name,
                           "Resource": exchange.endpoint.path})  # fmt: skip
    values: list[tuple[str, float, str]] = [
        ("Count", 1.0, "Count"),
        ("4XXError", float(400 <= status < 500), "Count"),
        ("5XXError", float(status >= 500), "Count"),
        ("Latency", float(int((ctx.now - exchange.at) * 1000)), "Milliseconds"),
    ]
    if exchange.leg is not None and exchange.leg.ended is not None:
        values.append(("IntegrationLatency", float(exchange.leg.latency_ms), "Milliseconds"))
    at = ctx.at(stage.account, stage.region)
    for chosen in dimensions:
        for metric, value, unit in values:
            at.meter(NAMESPACE, metric, value, unit, 1, **chosen)
