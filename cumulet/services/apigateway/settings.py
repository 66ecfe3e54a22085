"""An API's settings: which are kept, which are refused, and how they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.services.apigateway.errors import BadRequestException, not_honoured
from cumulet.services.apigateway.model import Definition, Listed, RestApi, api_key, definition_key, listed_key

_KEPT = (
    "name",
    "description",
    "version",
    "binaryMediaTypes",
    "minimumCompressionSize",
    "apiKeySource",
    "endpointConfiguration",
    "disableExecuteApiEndpoint",
)
_COMPRESSION_MAX = 10 * 1024 * 1024


def new_api(ctx: Context, settings: Mapping[str, Any]) -> RestApi:
    check_settings(settings)
    api_id, root_id = ctx.ids.lower(10), ctx.ids.lower(10)
    kept = {name: settings[name] for name in _KEPT if name in settings}
    kept.setdefault("apiKeySource", "HEADER")
    kept.setdefault("endpointConfiguration", {"types": ["EDGE"]})
    kept.setdefault("disableExecuteApiEndpoint", False)
    api = RestApi(
        id=api_id, account=ctx.account, region=ctx.region, created_at=float(int(ctx.now)), root_id=root_id,
        settings=kept, tags=settings.get("tags") or {},
    )  # fmt: skip
    root = {"id": root_id, "path": "/"}
    ctx.tx.put(api_key(api_id), api)
    ctx.tx.put(definition_key(api_id), Definition(resources={root_id: root}))
    ctx.tx.put(listed_key(ctx.account, ctx.region, api_id), Listed())
    return api


def check_settings(settings: Mapping[str, Any]) -> None:
    if not settings.get("name"):
        raise BadRequestException("No name was given.")
    if settings.get("policy"):
        raise not_honoured("policy (a resource policy)")
    source = settings.get("apiKeySource", "HEADER")
    if source not in ("HEADER", "AUTHORIZER"):
        raise BadRequestException(f"Invalid API key source specified: {source}. Valid options are [HEADER, AUTHORIZER]")
    for name in ("securityPolicy", "endpointAccessMode"):
        if settings.get(name) not in (None, "TLS_1_0", "TLS_1_2", "BASIC"):
            raise not_honoured(f"{name} {settings[name]}")
    endpoint = settings.get("endpointConfiguration") or {}
    types = endpoint.get("types", [])
    if len(types) > 1:
        raise BadRequestException("Only one endpoint type can be specified.")
    if "PRIVATE" in types or endpoint.get("vpcEndpointIds"):
        raise not_honoured("a PRIVATE endpoint")
    for name in types:
        if name not in ("EDGE", "REGIONAL"):
            raise BadRequestException(f"Invalid endpoint type: {name}")
    size = settings.get("minimumCompressionSize")
    if size is not None and not 0 <= size <= _COMPRESSION_MAX:
        raise BadRequestException(
            "Invalid minimum compression size, must be between 0 and 10485760 (inclusive), or null to disable compression."
        )


def described(api: RestApi) -> Result:
    result: Result = {"id": api.id, "createdDate": api.created_at, "rootResourceId": api.root_id, **api.settings}
    if api.tags:
        result["tags"] = api.tags
    return result
