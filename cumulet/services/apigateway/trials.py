"""TestInvokeMethod: one method of the definition as it stands, without a deployment and without authorization."""

from __future__ import annotations

import time
from typing import Any

from cumulet.aws.http import HttpResponse
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result, Wait, then
from cumulet.kernel.record import replace
from cumulet.services.apigateway import executionlogs
from cumulet.services.apigateway.door import answered
from cumulet.services.apigateway.errors import BadRequestException
from cumulet.services.apigateway.exchange import Exchange, begin
from cumulet.services.apigateway.model import (
    Definition,
    api_at,
    definition_of,
    integration_of,
    method_of,
    resource_of,
)
from cumulet.services.apigateway.routing import find
from cumulet.services.apigateway.trial import request_for, trial_of


def test_invoke_method(ctx: Context, req: Result) -> Any:
    """Run a method as a request to it would: validation, mapping, integration. Authorization is left out, as on AWS.

    Raises: NotFoundException, BadRequestException. Source: API Gateway API reference, TestInvokeMethod (read 2026-11).
    """
    if req.get("clientCertificateId"):
        raise BadRequestException("Invalid client certificate identifier specified")
    api, definition = api_at(ctx, req["restApiId"]), definition_of(ctx, req["restApiId"])
    resource, name = resource_of(definition, req["resourceId"]), req["httpMethod"]
    integration_of(definition, resource["id"], name)
    only = {**resource, "resourceMethods": {name: method_of(definition, resource["id"], name)}}
    path, _, query = (req.get("pathWithQueryString") or resource["path"]).partition("?")
    trimmed: Definition = replace(definition, resources={resource["id"]: only})
    deployed = trial_of(ctx, api, trimmed, req.get("stageVariables") or {})
    exchange = begin(ctx, request_for(req, path, query, "GET" if name == "ANY" else name), deployed, path)
    found = find(deployed.root, path)
    if found is None:
        raise BadRequestException(f"Invalid path: {path} is no path of the resource {resource['path']}")
    exchange.endpoint, exchange.path_parameters = found
    exchange.method_name, exchange.method = name, exchange.endpoint.methods[name]
    began = ctx.now
    outcome = answered(ctx, exchange)
    if isinstance(outcome, Wait):
        return outcome
    return then(ctx, outcome, lambda c, response: _result(c, response, exchange, began))


def _result(ctx: Context, response: HttpResponse, exchange: Exchange, began: float) -> Result:
    multi: dict[str, list[str]] = {}
    for name, value in response.headers:
        multi.setdefault(name, []).append(value)
    assert isinstance(response.body, bytes)
    return {
        "status": response.status,
        "body": response.body.decode("utf-8", "replace"),
        "headers": {name: values[-1] for name, values in multi.items()},
        "multiValueHeaders": multi,
        "latency": int((ctx.now - began) * 1000),
        "log": _log(ctx, exchange, response),
    }


def _log(ctx: Context, exchange: Exchange, response: HttpResponse) -> str:
    """The execution log as the console shows it: data traced, every line with the time."""
    at = time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime(ctx.now))
    lines = [f"{at} : {line}" for line in executionlogs.lines_of(exchange, response)]
    return "\n".join([f"Execution log for request {exchange.request_id}", *lines, ""])
