"""Metrics of requests: by API, by stage, and by route where detailed metrics are on.

Source: developer guide, "Work with CloudWatch metrics for HTTP APIs" (read 2026-11).
"""

from __future__ import annotations

from cumulet.aws.http import HttpResponse
from cumulet.kernel.context import Context
from cumulet.services.apigatewayv2.events import Exchange
from cumulet.services.apigatewayv2.settings import route_settings

NAMESPACE = "AWS/ApiGateway"


def count(ctx: Context, exchange: Exchange, response: HttpResponse) -> None:
    """Count a request that was answered; 4xx and 5xx are 0 or 1 for every request."""
    stage, key, status = exchange.api.stage, exchange.target.key, response.status
    dimensions = [{"ApiId": stage.api_id}, {"ApiId": stage.api_id, "Stage": stage.name}]
    if key != "-" and route_settings(stage, key).get("DetailedMetricsEnabled"):
        method, _, resource = key.rpartition(" ")
        dimensions.append({**dimensions[1], "Method": method or key, "Resource": resource if method else key})
    latency_ms = float(int((ctx.now - exchange.at) * 1000))
    sent, body = exchange.http.body, response.body if isinstance(response.body, bytes) else b""
    processed = float(len(body) + (len(sent) if isinstance(sent, bytes) else sent.size))
    values: list[tuple[str, float, str]] = [
        ("Count", 1.0, "Count"),
        ("4xx", float(400 <= status < 500), "Count"),
        ("5xx", float(status >= 500), "Count"),
        ("Latency", latency_ms, "Milliseconds"),
        ("DataProcessed", processed, "Bytes"),
    ]
    if exchange.noted:
        values.append(("IntegrationLatency", latency_ms, "Milliseconds"))
    at = ctx.at(stage.account, stage.region)
    for chosen in dimensions:
        for metric, value, unit in values:
            at.meter(NAMESPACE, metric, value, unit, 1, **chosen)
