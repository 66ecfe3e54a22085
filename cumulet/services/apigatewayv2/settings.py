"""What APIs, routes, integrations and stages may say; the same rules for the API and for imports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.services.apigatewayv2.errors import BadRequestException, NotFoundException, not_honoured
from cumulet.services.apigatewayv2.model import (
    Api,
    Definition,
    Deployment,
    Listed,
    Stage,
    api_key,
    definition_key,
    deployment_key,
    listed_key,
)

API_KEPT = ("Name", "Description", "Version", "CorsConfiguration", "DisableExecuteApiEndpoint", "IpAddressType",
            "ProtocolType", "RouteSelectionExpression", "ApiKeySelectionExpression")  # fmt: skip
_SELECTION = "${request.method} ${request.path}"
_KEY_SELECTION = "$request.header.x-api-key"
_ROUTE = re.compile(r"\$default|(?:ANY|GET|HEAD|OPTIONS|PATCH|POST|PUT|DELETE) (/.*)")
_SEGMENT = re.compile(r"[^{}]*|\{[a-zA-Z0-9._:\-]+\+?\}")
_TARGET = re.compile(r"integrations/([a-zA-Z0-9]+)")
_INVOCATIONS = re.compile(r"arn:aws[a-z-]*:apigateway:[a-z0-9-]+:lambda:path/2015-03-31/functions/(.+)/invocations")
_FUNCTION = re.compile(r"arn:aws[a-z-]*:lambda:[^:]*:[^:]*:function:.+|.*\$\{stageVariables\..+")
_STAGE = re.compile(r"[a-zA-Z0-9_-]+|\$default")
TIMEOUT_MIN_MS, TIMEOUT_MAX_MS = 50, 30000


def function_of(uri: str) -> str | None:
    """The function's ARN (with stage variables, perhaps) of an integration URI, None when it names no function."""
    match = _INVOCATIONS.fullmatch(uri)
    if match is not None:
        return match.group(1)
    return uri if _FUNCTION.fullmatch(uri) else None


def new_api(ctx: Context, req: Mapping[str, Any]) -> Api:
    """Store a new API without routes. Raises: BadRequestException, NotImplementedOnCumulet."""
    settings = {name: req[name] for name in API_KEPT if name in req}
    settings.setdefault("ProtocolType", "HTTP")
    settings.setdefault("RouteSelectionExpression", _SELECTION)
    settings.setdefault("ApiKeySelectionExpression", _KEY_SELECTION)
    settings.setdefault("DisableExecuteApiEndpoint", False)
    settings.setdefault("IpAddressType", "ipv4")
    check_api(settings)
    api = Api(id=ctx.ids.lower(10), account=ctx.account, region=ctx.region, created_at=float(int(ctx.now)),
              settings=settings, tags=req.get("Tags") or {})  # fmt: skip
    ctx.tx.put(api_key(api.id), api)
    ctx.tx.put(definition_key(api.id), Definition())
    ctx.tx.put(listed_key(ctx.account, ctx.region, api.id), Listed())
    return api


def describe_api(api: Api) -> Result:
    endpoint = f"https://{api.id}.execute-api.{api.region}.amazonaws.com"
    return {"ApiId": api.id, "ApiEndpoint": endpoint, "CreatedDate": api.created_at, **api.settings, "Tags": api.tags}


def check_api(settings: Mapping[str, Any]) -> None:
    if settings["ProtocolType"] != "HTTP":
        raise not_honoured("ProtocolType WEBSOCKET")
    if settings["RouteSelectionExpression"] != _SELECTION:
        raise BadRequestException(
            f"Invalid RouteSelectionExpression. Only {_SELECTION} is supported for protocol type HTTP"
        )
    if settings.get("ApiKeySelectionExpression", _KEY_SELECTION) != _KEY_SELECTION:
        raise BadRequestException("ApiKeySelectionExpression is not supported for protocol type HTTP")
    cors = settings.get("CorsConfiguration") or {}
    if cors.get("AllowCredentials") and "*" in cors.get("AllowOrigins", ()):
        raise BadRequestException("Wildcard origin is not allowed when AllowCredentials is true")


def check_route(definition: Definition, route: Result) -> None:
    """Raises: BadRequestException, NotFoundException, NotImplementedOnCumulet."""
    key = route["RouteKey"]
    match = _ROUTE.fullmatch(key)
    if match is None:
        raise BadRequestException(f"The provided route key is not formatted properly for HTTP protocol. Format should be "
                                  f"\"<HTTP METHOD> /<RESOURCE PATH>\" or \"$default\": {key}")  # fmt: skip
    segments = (match.group(1) or "/").split("/")[1:]
    if any(not _SEGMENT.fullmatch(part) for part in segments):
        raise BadRequestException(f"Invalid route key: {key}")
    if any(part.endswith("+}") for part in segments[:-1]):
        raise BadRequestException("A greedy path variable must be the last segment of the route key.")
    kind = route.get("AuthorizationType", "NONE")
    if kind in ("JWT", "CUSTOM") or route.get("AuthorizerId") or route.get("AuthorizationScopes"):
        raise not_honoured(f"AuthorizationType {kind} (authorizers)")
    for name in ("ApiKeyRequired", "ModelSelectionExpression", "RequestModels", "RequestParameters",
                 "RouteResponseSelectionExpression"):  # fmt: skip
        if route.get(name):
            raise BadRequestException(f"{name} is not supported for protocol type HTTP")
    target = route.get("Target")
    if target is None:
        return
    named = _TARGET.fullmatch(target)
    if named is None:
        raise BadRequestException(f"Invalid target: {target}. Format should be integrations/<IntegrationId>")
    if named.group(1) not in definition.integrations:
        raise NotFoundException("Invalid Integration identifier specified", members={"ResourceType": "Integration"})


def integration_of(route: Result) -> str | None:
    """The id of a route's integration."""
    target: str | None = route.get("Target")
    return None if target is None else target.partition("/")[2]


def check_integration(integration: Result) -> None:
    """Raises: BadRequestException, NotImplementedOnCumulet."""
    kind = integration["IntegrationType"]
    if kind in ("AWS", "HTTP", "MOCK"):
        raise BadRequestException(f"Integration type {kind} is not supported for protocol type HTTP")
    if kind == "HTTP_PROXY":
        raise not_honoured("IntegrationType HTTP_PROXY")
    if integration.get("IntegrationSubtype"):
        raise not_honoured(
            "IntegrationSubtype (service integrations)", "A REST API's AWS integration reaches services."
        )
    if integration.get("ConnectionType", "INTERNET") != "INTERNET" or integration.get("ConnectionId"):
        raise not_honoured("ConnectionType VPC_LINK")
    for name in ("RequestParameters", "ResponseParameters", "TlsConfig"):
        if integration.get(name):
            raise not_honoured(f"integration {name}")
    for name in ("ContentHandlingStrategy", "PassthroughBehavior", "RequestTemplates", "TemplateSelectionExpression"):
        if integration.get(name):
            raise BadRequestException(f"{name} is not supported for protocol type HTTP")
    uri = integration.get("IntegrationUri")
    if not uri or function_of(uri) is None:
        raise BadRequestException("Invalid integration URI specified; the URI must be the ARN of a Lambda function")
    if integration.get("PayloadFormatVersion") not in ("1.0", "2.0"):
        raise BadRequestException(
            "PayloadFormatVersion is a required parameter for integration type AWS_PROXY, one of 1.0, 2.0"
        )
    if not TIMEOUT_MIN_MS <= integration.get("TimeoutInMillis", TIMEOUT_MAX_MS) <= TIMEOUT_MAX_MS:
        raise BadRequestException("TimeoutInMillis should be between 50 and 30000")


def check_stage(ctx: Context, stage: Stage) -> None:
    """Raises: BadRequestException, NotFoundException, NotImplementedOnCumulet."""
    if not _STAGE.fullmatch(stage.name):
        raise BadRequestException("Stage name only allows a-zA-Z0-9_- or $default")
    settings = stage.settings
    for name in ("AccessLogSettings", "ClientCertificateId"):
        if settings.get(name):
            raise not_honoured(f"stage {name}")
    for where, route in {
        "$default": settings.get("DefaultRouteSettings") or {},
        **settings.get("RouteSettings", {}),
    }.items():
        if route.get("DataTraceEnabled") or route.get("LoggingLevel", "OFF") != "OFF":
            raise BadRequestException("Execution logs are not supported on protocolType HTTP")
        if route.get("DetailedMetricsEnabled"):
            raise not_honoured(f"DetailedMetricsEnabled of {where}")
    deployment_id = stage.deployment_id
    if deployment_id and ctx.tx.get(deployment_key(stage.api_id, deployment_id), Deployment) is None:
        raise NotFoundException("Invalid Deployment identifier specified", members={"ResourceType": "Deployment"})
