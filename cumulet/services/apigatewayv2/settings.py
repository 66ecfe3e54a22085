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
_STAGE = re.compile(r"[a-zA-Z0-9_-]+|\$default")
_LOG_GROUP = re.compile(r"arn:aws[a-z-]*:logs:([a-z0-9-]+):(\d{12}):log-group:([^:*]+)(?::\*)?")


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
    if kind == "JWT" or route.get("AuthorizationScopes"):
        raise not_honoured("AuthorizationType JWT")
    if kind == "CUSTOM" and route.get("AuthorizerId") not in definition.authorizers:
        raise BadRequestException("Invalid authorizer ID specified. Setting the authorization type to CUSTOM or JWT "
                                  "requires a valid authorizer.")  # fmt: skip
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


def log_group_of(arn: str) -> tuple[str, str, str] | None:
    """(region, account, name) of a log group's ARN."""
    match = _LOG_GROUP.fullmatch(arn)
    return None if match is None else (match.group(1), match.group(2), match.group(3))


def _check_access_log(log: Mapping[str, Any]) -> None:
    destination = log.get("DestinationArn")
    if not destination:
        return
    if ":firehose:" in destination:
        raise not_honoured("AccessLogSettings to a Firehose stream")
    if log_group_of(destination) is None:
        raise BadRequestException("Invalid ARN specified in the request. AccessLogSettings DestinationArn must be a CloudWatch Logs "
                                  "log group or a Firehose stream")  # fmt: skip
    if not log.get("Format"):
        raise BadRequestException("Format is required when DestinationArn is specified in AccessLogSettings")


def route_settings(stage: Stage, key: str) -> Result:
    """What holds for a route: its own settings before the stage's default ones."""
    settings = stage.settings
    return {**(settings.get("DefaultRouteSettings") or {}), **(settings.get("RouteSettings") or {}).get(key, {})}


def check_stage(ctx: Context, stage: Stage) -> None:
    """Raises: BadRequestException, NotFoundException, NotImplementedOnCumulet."""
    if not _STAGE.fullmatch(stage.name):
        raise BadRequestException("Stage name only allows a-zA-Z0-9_- or $default")
    settings = stage.settings
    if settings.get("ClientCertificateId"):
        raise not_honoured("stage ClientCertificateId")
    _check_access_log(settings.get("AccessLogSettings") or {})
    for route in (settings.get("DefaultRouteSettings") or {}, *settings.get("RouteSettings", {}).values()):
        if route.get("DataTraceEnabled") or route.get("LoggingLevel", "OFF") != "OFF":
            raise BadRequestException("Execution logs are not supported on protocolType HTTP")
    deployment_id = stage.deployment_id
    if deployment_id and ctx.tx.get(deployment_key(stage.api_id, deployment_id), Deployment) is None:
        raise NotFoundException("Invalid Deployment identifier specified", members={"ResourceType": "Deployment"})
