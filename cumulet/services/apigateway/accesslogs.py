"""Access logs: one line for each request to a stage, in the stage's format, into a CloudWatch log group.

Source: developer guide, "Set up CloudWatch logging for REST APIs", "Variables for access logging" (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cumulet.aws.http import HttpResponse
from cumulet.kernel.context import Context
from cumulet.services.apigateway.errors import BadRequestException, not_honoured
from cumulet.services.apigateway.exchange import Exchange, request_context

_VARIABLE = re.compile(r"\$context((?:\.[A-Za-z0-9_\-]+)+)")
_LOG_GROUP = re.compile(r"arn:aws[a-z-]*:logs:([a-z0-9-]+):(\d{12}):log-group:([^:*]+)(?::\*)?")
_REQUIRED = re.compile(r"\$context\.(?:requestId|extendedRequestId)(?![A-Za-z0-9_\-.])")


def check_access_log(log: Mapping[str, Any]) -> None:
    """Raises: BadRequestException, NotImplementedOnCumulet."""
    destination, form = log.get("destinationArn"), log.get("format")
    if destination and ":firehose:" in destination:
        raise not_honoured("accessLogSettings to a Firehose stream")
    if destination and not _LOG_GROUP.fullmatch(destination):
        raise BadRequestException(f"Invalid ARN specified in the request: {destination}")
    if form and ("\n" in form.rstrip("\r\n") or not _REQUIRED.search(form)):
        raise BadRequestException("Access log format must be a single line and must include at least $context.requestId or "
                                  "$context.extendedRequestId")  # fmt: skip


def write(ctx: Context, exchange: Exchange, response: HttpResponse) -> None:
    """Write the request's line, if the stage wants one. A variable without a value is `-`."""
    log = exchange.deployed.stage.settings.get("accessLogSettings") or {}
    match = _LOG_GROUP.fullmatch(log.get("destinationArn") or "")
    if match is None or not log.get("format"):
        return
    region, account, name = match.groups()
    values = values_of(ctx, exchange, response)
    line = _VARIABLE.sub(lambda found: _text(values, found.group(1)[1:]), log["format"].rstrip("\r\n"))
    stage = exchange.deployed.stage
    request = {"logGroupName": name, "logStreamName": f"{stage.api_id}/{stage.name}", "events": [(exchange.at, line)]}
    ctx.call("logs", "cumulet:Append", request, principal="", region=region, account=account)


def values_of(ctx: Context, exchange: Exchange, response: HttpResponse) -> dict[str, Any]:
    """`$context` after the response."""
    values = request_context(exchange)
    body = response.body if isinstance(response.body, bytes) else b""
    values.update(status=response.status, responseLength=len(body), responseLatency=int((ctx.now - exchange.at) * 1000),
                  xrayTraceId=exchange.trace)  # fmt: skip
    if exchange.error:
        values["error"] = exchange.error
    leg = exchange.leg
    if leg is not None:
        status = exchange.integration_status if exchange.integration_status is not None else leg.status
        values.update(integrationLatency=leg.latency_ms, integrationStatus=status, awsEndpointRequestId=leg.request_id)
        values["integration"] = {"latency": leg.latency_ms, "integrationStatus": status, "status": leg.status,
                                 "requestId": leg.request_id}  # fmt: skip
        if exchange.error:
            values["integrationErrorMessage"] = values["integration"]["error"] = exchange.error["message"]
    return values


def _text(values: Any, names: str) -> str:
    for name in names.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    if values is None or values == "" or isinstance(values, dict):
        return "-"
    return ("true" if values else "false") if isinstance(values, bool) else str(values)
