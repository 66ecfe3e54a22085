"""Operations on HTTP APIs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import replace
from cumulet.services.apigatewayv2.errors import BadRequestException, not_honoured
from cumulet.services.apigatewayv2.integration import check_integration, complete
from cumulet.services.apigatewayv2.model import (
    Definition,
    S,
    Stage,
    api_at,
    api_key,
    changed,
    definition_key,
    definition_of,
    kept,
    listed_key,
    page,
    stage_key,
)
from cumulet.services.apigatewayv2.settings import (
    API_KEPT,
    check_api,
    check_route,
    describe_api,
    new_api,
)

if TYPE_CHECKING:
    from cumulet.services.apigatewayv2 import api as shapes  # an `api` is an Api here


def create_api(ctx: Context, req: shapes.CreateApiRequest) -> shapes.CreateApiResult:
    """Make an HTTP API. With `Target`, a function's ARN or a URL, also an integration, a route and a stage `$default` (quick create).

    Raises: BadRequestException; NotImplementedOnCumulet for WebSocket APIs.
    Source: API Gateway V2 API reference, CreateApi (read 2026-11).
    """
    if req.get("CredentialsArn"):
        raise not_honoured("CredentialsArn of quick create")
    if "RouteKey" in req and "Target" not in req:
        raise BadRequestException("Target is required when RouteKey is specified")
    api = new_api(ctx, req)
    if "Target" in req:
        _quick_create(ctx, api.id, req)
    return cast("shapes.CreateApiResult", describe_api(api_at(ctx, api.id)))


def get_api(ctx: Context, req: shapes.GetApiRequest) -> shapes.GetApiResult:
    """One API. Raises: NotFoundException. Source: API reference, GetApi."""
    return cast("shapes.GetApiResult", describe_api(api_at(ctx, req["ApiId"])))


def get_apis(ctx: Context, req: shapes.GetApisRequest) -> shapes.GetApisResult:
    """The account's HTTP APIs in this region by id. Raises: BadRequestException. Source: API reference, GetApis."""
    ids = [str(key[-1]) for key in ctx.tx.scan_keys(listed_key(ctx.account, ctx.region))]
    return cast("shapes.GetApisResult", page([(api_id, describe_api(api_at(ctx, api_id))) for api_id in ids], req))


def update_api(ctx: Context, req: shapes.UpdateApiRequest) -> shapes.UpdateApiResult:
    """Change an API's settings; CorsConfiguration is replaced as a whole.

    Raises: NotFoundException, BadRequestException. Source: API reference, UpdateApi.
    """
    api = api_at(ctx, req["ApiId"])
    for name in ("RouteKey", "Target", "CredentialsArn"):
        if name in req:
            raise not_honoured(f"{name} of UpdateApi (quick create)")
    settings = {**api.settings, **kept(req, API_KEPT)}
    check_api(settings)
    api = replace(api, settings=settings)
    ctx.tx.put(api_key(api.id), api)
    changed(ctx, api.id)
    return cast("shapes.UpdateApiResult", describe_api(api))


def delete_api(ctx: Context, req: shapes.DeleteApiRequest) -> shapes.DeleteApiResult:
    """Delete an API with its routes, integrations, deployments and stages.

    Raises: NotFoundException. Source: API reference, DeleteApi.
    """
    api = api_at(ctx, req["ApiId"])
    for kind in ("definition", "deployment", "snapshot", "stage"):
        ctx.tx.delete_all((S, kind, api.id))
    ctx.tx.delete(api_key(api.id))
    ctx.tx.delete(listed_key(api.account, api.region, api.id))
    return {}


def delete_cors_configuration(
    ctx: Context, req: shapes.DeleteCorsConfigurationRequest
) -> shapes.DeleteCorsConfigurationResult:
    """Leave CORS to the integrations again. Raises: NotFoundException. Source: API reference, DeleteCorsConfiguration."""
    api = api_at(ctx, req["ApiId"])
    left = {name: value for name, value in api.settings.items() if name != "CorsConfiguration"}
    ctx.tx.put(api_key(api.id), replace(api, settings=left))
    changed(ctx, api.id)
    return {}


def _quick_create(ctx: Context, api_id: str, req: Mapping[str, Any]) -> None:
    target = req["Target"]
    integration: Result = {"IntegrationId": ctx.ids.lower(7), "IntegrationUri": target, "ApiGatewayManaged": True}
    if target.startswith(("http://", "https://")):
        integration.update(IntegrationType="HTTP_PROXY", IntegrationMethod="ANY")
    else:
        integration.update(IntegrationType="AWS_PROXY", PayloadFormatVersion="2.0")
    complete(integration)
    check_integration(integration)
    route = {
        "RouteId": ctx.ids.lower(7), "RouteKey": req.get("RouteKey", "$default"), "AuthorizationType": "NONE",
        "ApiKeyRequired": False, "Target": f"integrations/{integration['IntegrationId']}", "ApiGatewayManaged": True,
    }  # fmt: skip
    definition = Definition(integrations={str(integration["IntegrationId"]): integration})
    check_route(definition, route)
    ctx.tx.put(definition_key(api_id), replace(definition_of(ctx, api_id), routes={str(route["RouteId"]): route},
                                              integrations=definition.integrations))  # fmt: skip
    api, now = api_at(ctx, api_id), float(int(ctx.now))
    stage = Stage(api_id=api_id, account=api.account, region=api.region, name="$default", created_at=now, updated_at=now,
                  revision=ctx.ids.hex(16), auto_deploy=True, managed=True)  # fmt: skip
    ctx.tx.put(stage_key(api_id, stage.name), stage)
    ctx.tx.put(api_key(api_id), replace(api, stages=["$default"]))
    changed(ctx, api_id)
