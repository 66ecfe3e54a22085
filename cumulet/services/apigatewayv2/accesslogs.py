"""Access logs: one line for each request, in the stage's format, into a CloudWatch log group.

Source: developer guide, "Configure logging for HTTP APIs" and "Customize HTTP API access logs" (read 2026-11).
"""

from __future__ import annotations

import json
import re
from typing import Any

from cumulet.aws.http import HttpResponse
from cumulet.kernel.context import Context
from cumulet.services.apigatewayv2.events import Exchange
from cumulet.services.apigatewayv2.settings import log_group_of
from cumulet.services.apigatewayv2.variables import context_of, looked_up

PRINCIPAL = "apigateway.amazonaws.com"
_VARIABLE = re.compile(r"\$context((?:\.[A-Za-z0-9_\-]+)+)")
_OURS = {403: "ACCESS_DENIED", 401: "UNAUTHORIZED", 404: "DEFAULT_4XX", 413: "REQUEST_TOO_LARGE", 429: "THROTTLED"}


def write(ctx: Context, exchange: Exchange, response: HttpResponse) -> None:
    """Write the request's line, if the stage wants one. A variable without a value is `-`."""
    log = exchange.api.stage.settings.get("AccessLogSettings") or {}
    group = log_group_of(log.get("DestinationArn") or "")
    if group is None:
        return
    region, account, name = group
    values = _values(ctx, exchange, response)
    line = _VARIABLE.sub(lambda match: _text(looked_up(values, match.group(1)[1:])), log["Format"])
    stage = exchange.api.stage
    request = {"logGroupName": name, "logStreamName": f"{stage.api_id}/{stage.name}", "events": [(exchange.at, line)]}
    ctx.call("logs", "cumulet:Append", request, principal="", region=region, account=account)


def _values(ctx: Context, exchange: Exchange, response: HttpResponse) -> dict[str, Any]:
    values = context_of(exchange)
    latency = int((ctx.now - exchange.at) * 1000)
    body = response.body if isinstance(response.body, bytes) else b""
    values.update(status=response.status, responseLength=len(body), responseLatency=latency,
                  dataProcessed=len(body) + len(exchange.http.read_body()))  # fmt: skip
    if exchange.noted.get("status") or exchange.noted.get("error"):
        values["integrationLatency"] = latency
        values["integration"] = {**exchange.noted, "latency": latency}
    elif response.status >= 400:
        message = json.loads(body).get("message", "") if body else ""
        kind = _OURS.get(response.status, "DEFAULT_5XX")
        values["error"] = {"message": message, "messageString": json.dumps(message), "responseType": kind}
    return values


def _text(value: Any) -> str:
    if value is None or isinstance(value, dict):
        return "-"
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
