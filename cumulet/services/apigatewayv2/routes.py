"""Operations on routes and integrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import replace
from cumulet.services.apigatewayv2.errors import ConflictException, NotFoundException
from cumulet.services.apigatewayv2.integration import check_integration, complete
from cumulet.services.apigatewayv2.model import Definition, changed, definition_key, definition_of, kept, page
from cumulet.services.apigatewayv2.settings import check_route, integration_of

if TYPE_CHECKING:
    from cumulet.services.apigatewayv2 import api as shapes  # an `api` is an Api here

_ROUTE = ("RouteKey", "Target", "AuthorizationType", "AuthorizerId", "AuthorizationScopes", "ApiKeyRequired",
          "OperationName", "ModelSelectionExpression", "RequestModels", "RequestParameters",
          "RouteResponseSelectionExpression")  # fmt: skip
_INTEGRATION = ("IntegrationType", "IntegrationUri", "IntegrationMethod", "IntegrationSubtype", "PayloadFormatVersion",
                "ConnectionId", "ConnectionType", "ContentHandlingStrategy", "CredentialsArn", "Description",
                "PassthroughBehavior", "RequestParameters", "RequestTemplates", "ResponseParameters",
                "TemplateSelectionExpression", "TimeoutInMillis", "TlsConfig")  # fmt: skip


def create_route(ctx: Context, req: shapes.CreateRouteRequest) -> shapes.CreateRouteResult:
    """Add a route: a method and a path, or `$default`, and the integration that answers it.

    Raises: NotFoundException; ConflictException for a key that is there; BadRequestException; NotImplementedOnCumulet
    for authorizers. Source: API Gateway V2 API reference, CreateRoute (read 2026-11).
    """
    definition = definition_of(ctx, req["ApiId"])
    route = kept(req, _ROUTE)
    route["RouteId"] = ctx.ids.lower(7)
    route.setdefault("AuthorizationType", "NONE")
    route.setdefault("ApiKeyRequired", False)
    return cast("shapes.CreateRouteResult", _put_route(ctx, req["ApiId"], definition, route))


def get_route(ctx: Context, req: shapes.GetRouteRequest) -> shapes.GetRouteResult:
    """One route. Raises: NotFoundException. Source: API reference, GetRoute."""
    return cast("shapes.GetRouteResult", _route_of(definition_of(ctx, req["ApiId"]), req["RouteId"]))


def get_routes(ctx: Context, req: shapes.GetRoutesRequest) -> shapes.GetRoutesResult:
    """The API's routes by id. Raises: NotFoundException, BadRequestException. Source: API reference, GetRoutes."""
    return cast("shapes.GetRoutesResult", page(list(definition_of(ctx, req["ApiId"]).routes.items()), req))


def update_route(ctx: Context, req: shapes.UpdateRouteRequest) -> shapes.UpdateRouteResult:
    """Change a route. Raises: as CreateRoute. Source: API reference, UpdateRoute."""
    definition = definition_of(ctx, req["ApiId"])
    old = _route_of(definition, req["RouteId"])
    route = {**old, **kept(req, _ROUTE)}
    return cast("shapes.UpdateRouteResult", _put_route(ctx, req["ApiId"], definition, route))


def delete_route(ctx: Context, req: shapes.DeleteRouteRequest) -> shapes.DeleteRouteResult:
    """Delete a route. Raises: NotFoundException. Source: API reference, DeleteRoute."""
    definition = definition_of(ctx, req["ApiId"])
    _route_of(definition, req["RouteId"])
    left = {id_: route for id_, route in definition.routes.items() if id_ != req["RouteId"]}
    _save(ctx, req["ApiId"], replace(definition, routes=left))
    return {}


def create_integration(ctx: Context, req: shapes.CreateIntegrationRequest) -> shapes.CreateIntegrationResult:
    """Name what answers routes: a function (payload format 1.0 or 2.0), another service's operation by IntegrationSubtype,
    or a URL (HTTP_PROXY); with parameter mapping, and a timeout of 50 ms to 30 s.

    Raises: NotFoundException; BadRequestException; NotImplementedOnCumulet for VPC links and TlsConfig.
    Source: API Gateway V2 API reference, CreateIntegration (read 2026-11).
    """
    integration = kept(req, _INTEGRATION)
    integration["IntegrationId"] = ctx.ids.lower(7)
    return cast("shapes.CreateIntegrationResult", _put_integration(ctx, req["ApiId"], complete(integration)))


def get_integration(ctx: Context, req: shapes.GetIntegrationRequest) -> shapes.GetIntegrationResult:
    """One integration. Raises: NotFoundException. Source: API reference, GetIntegration."""
    return cast("shapes.GetIntegrationResult", _integration_of(definition_of(ctx, req["ApiId"]), req["IntegrationId"]))


def get_integrations(ctx: Context, req: shapes.GetIntegrationsRequest) -> shapes.GetIntegrationsResult:
    """The API's integrations by id. Raises: NotFoundException, BadRequestException. Source: API reference."""
    return cast("shapes.GetIntegrationsResult", page(list(definition_of(ctx, req["ApiId"]).integrations.items()), req))


def update_integration(ctx: Context, req: shapes.UpdateIntegrationRequest) -> shapes.UpdateIntegrationResult:
    """Change an integration. A request parameter given as "" goes, and so do an empty status's response parameters.

    Raises: as CreateIntegration. Source: API reference, UpdateIntegration; developer guide, "Transform API requests and
    responses for HTTP APIs", "Remove configured parameter mappings".
    """
    old = _integration_of(definition_of(ctx, req["ApiId"]), req["IntegrationId"])
    changed = {**old, **kept(req, _INTEGRATION)}
    for name in ("RequestParameters", "ResponseParameters"):
        if name in req:
            merged = {**old.get(name, {}), **(req[name] or {})}
            changed[name] = {key: value for key, value in merged.items() if value}
    return cast("shapes.UpdateIntegrationResult", _put_integration(ctx, req["ApiId"], changed))


def delete_integration(ctx: Context, req: shapes.DeleteIntegrationRequest) -> shapes.DeleteIntegrationResult:
    """Delete an integration that no route uses.

    Raises: NotFoundException, ConflictException. Source: API reference, DeleteIntegration.
    """
    definition = definition_of(ctx, req["ApiId"])
    integration_id = req["IntegrationId"]
    _integration_of(definition, integration_id)
    users = [route["RouteId"] for route in definition.routes.values() if integration_of(route) == integration_id]
    if users:
        raise ConflictException(
            f"Cannot delete Integration '{integration_id}'. Integration is referenced by Route: {users[0]}"
        )
    left = {id_: value for id_, value in definition.integrations.items() if id_ != integration_id}
    _save(ctx, req["ApiId"], replace(definition, integrations=left))
    return {}


def _put_route(ctx: Context, api_id: str, definition: Definition, route: Result) -> Result:
    check_route(definition, route)
    for other in definition.routes.values():
        if other["RouteKey"] == route["RouteKey"] and other["RouteId"] != route["RouteId"]:
            raise ConflictException(f"Route with key {route['RouteKey']} already exists for this API")
    _save(ctx, api_id, replace(definition, routes={**definition.routes, route["RouteId"]: route}))
    return route


def _put_integration(ctx: Context, api_id: str, integration: Result) -> Result:
    check_integration(integration)
    definition = definition_of(ctx, api_id)
    _save(
        ctx,
        api_id,
        replace(definition, integrations={**definition.integrations, integration["IntegrationId"]: integration}),
    )
    return integration


def _route_of(definition: Definition, route_id: str) -> Result:
    route: Result | None = definition.routes.get(route_id)
    if route is None:
        raise NotFoundException("Invalid Route identifier specified", members={"ResourceType": "Route"})
    return route


def _integration_of(definition: Definition, integration_id: str) -> Result:
    integration: Result | None = definition.integrations.get(integration_id)
    if integration is None:
        raise NotFoundException("Invalid Integration identifier specified", members={"ResourceType": "Integration"})
    return integration


def _save(ctx: Context, api_id: str, definition: Definition) -> None:
    ctx.tx.put(definition_key(api_id), definition)
    changed(ctx, api_id)
