"""Operations on integrations and integration responses."""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.services.apigateway import patch
from cumulet.services.apigateway.checks import check_integration, check_integration_response
from cumulet.services.apigateway.errors import NotFoundException
from cumulet.services.apigateway.model import definition_key, definition_of, integration_of, method_of, with_method
from cumulet.services.apigateway.patch import Field

_KEPT = ("type", "uri", "connectionType", "connectionId", "credentials", "requestParameters", "requestTemplates",
         "passthroughBehavior", "contentHandling", "timeoutInMillis", "cacheNamespace", "cacheKeyParameters", "tlsConfig",
         "responseTransferMode", "integrationTarget")  # fmt: skip
_PATCHES = {
    "/httpMethod": Field(ops=("replace",)),
    "/uri": Field(ops=("replace",)),
    "/credentials": Field(),
    "/passthroughBehavior": Field(ops=("replace",)),
    "/contentHandling": Field(),
    "/timeoutInMillis": Field(convert=patch.whole, ops=("replace",)),
    "/requestParameters/*": Field(),
    "/requestTemplates/*": Field(),
    "/cacheNamespace": Field(),
    "/cacheKeyParameters/*": Field(refused="cacheKeyParameters (caching)"),
    "/connectionType": Field(ops=("replace",)),
    "/connectionId": Field(refused="connectionId (VPC links)"),
    "/tlsConfig/insecureSkipVerification": Field(refused="tlsConfig"),
    "/responseTransferMode": Field(ops=("replace",)),
}
_RESPONSE_PATCHES = {
    "/selectionPattern": Field(),
    "/responseParameters/*": Field(),
    "/responseTemplates/*": Field(),
    "/contentHandling": Field(),
}


def put_integration(ctx: Context, req: Result) -> Result:
    """Set what answers a method: AWS_PROXY (a Lambda function), AWS (a function or a service's action), HTTP or HTTP_PROXY
    (a URL), or MOCK.

    Raises: NotFoundException; BadRequestException; NotImplementedOnCumulet for VPC links.
    Source: API Gateway API reference, PutIntegration (read 2026-11).
    """
    definition = definition_of(ctx, req["restApiId"])
    method = method_of(definition, req["resourceId"], req["httpMethod"])
    integration = {key: req[key] for key in _KEPT if key in req}
    if "integrationHttpMethod" in req:
        integration["httpMethod"] = req["integrationHttpMethod"]
    check_integration(integration)
    integration.setdefault("passthroughBehavior", "WHEN_NO_MATCH")
    integration.setdefault("timeoutInMillis", 29000)
    integration.setdefault("cacheNamespace", req["resourceId"])
    integration.setdefault("cacheKeyParameters", [])
    kept = method.get("methodIntegration", {}).get("integrationResponses")
    if kept:
        integration["integrationResponses"] = kept
    _save(ctx, req, integration)
    return integration


def get_integration(ctx: Context, req: Result) -> Result:
    """A method's integration. Raises: NotFoundException. Source: API reference, GetIntegration."""
    return integration_of(definition_of(ctx, req["restApiId"]), req["resourceId"], req["httpMethod"])


def update_integration(ctx: Context, req: Result) -> Result:
    """Patch an integration. Raises: NotFoundException, BadRequestException. Source: API reference, UpdateIntegration."""
    integration = integration_of(definition_of(ctx, req["restApiId"]), req["resourceId"], req["httpMethod"])
    integration = patch.apply(integration, req.get("patchOperations", []), _PATCHES)
    check_integration(integration)
    _save(ctx, req, integration)
    return integration


def delete_integration(ctx: Context, req: Result) -> Result:
    """Delete a method's integration. Raises: NotFoundException. Source: API reference, DeleteIntegration."""
    integration_of(definition_of(ctx, req["restApiId"]), req["resourceId"], req["httpMethod"])
    _save(ctx, req, None)
    return {}


def put_integration_response(ctx: Context, req: Result) -> Result:
    """Set how one kind of the backend's answer becomes the method's: chosen by `selectionPattern`, mapped by templates.

    Raises: NotFoundException, also for a status code that no method response declares; BadRequestException.
    Source: API Gateway API reference, PutIntegrationResponse; developer guide, "Set up an integration response".
    """
    definition = definition_of(ctx, req["restApiId"])
    method = method_of(definition, req["resourceId"], req["httpMethod"])
    integration = integration_of(definition, req["resourceId"], req["httpMethod"])
    if req["statusCode"] not in method.get("methodResponses", {}):
        raise NotFoundException("Invalid Response status code specified")
    members = ("statusCode", "selectionPattern", "responseParameters", "responseTemplates", "contentHandling")
    response = {name: req[name] for name in members if name in req}
    check_integration_response(method, response)
    _save_response(ctx, req, integration, response)
    return response


def get_integration_response(ctx: Context, req: Result) -> Result:
    """One integration response. Raises: NotFoundException. Source: API reference, GetIntegrationResponse."""
    integration = integration_of(definition_of(ctx, req["restApiId"]), req["resourceId"], req["httpMethod"])
    return _response_of(integration, req["statusCode"])


def update_integration_response(ctx: Context, req: Result) -> Result:
    """Patch an integration response. Raises: NotFoundException. Source: API reference, UpdateIntegrationResponse."""
    definition = definition_of(ctx, req["restApiId"])
    method = method_of(definition, req["resourceId"], req["httpMethod"])
    integration = integration_of(definition, req["resourceId"], req["httpMethod"])
    old = _response_of(integration, req["statusCode"])
    response = patch.apply(old, req.get("patchOperations", []), _RESPONSE_PATCHES)
    check_integration_response(method, response)
    _save_response(ctx, req, integration, response)
    return response


def delete_integration_response(ctx: Context, req: Result) -> Result:
    """Delete an integration response. Raises: NotFoundException. Source: API reference, DeleteIntegrationResponse."""
    integration = integration_of(definition_of(ctx, req["restApiId"]), req["resourceId"], req["httpMethod"])
    _response_of(integration, req["statusCode"])
    left = {code: value for code, value in integration["integrationResponses"].items() if code != req["statusCode"]}
    _save(ctx, req, {**integration, "integrationResponses": left})
    return {}


def _response_of(integration: Result, status: str) -> Result:
    response: Result | None = integration.get("integrationResponses", {}).get(status)
    if response is None:
        raise NotFoundException("Invalid Response status code specified")
    return response


def _save_response(ctx: Context, req: Result, integration: Result, response: Result) -> None:
    responses = {**integration.get("integrationResponses", {}), response["statusCode"]: response}
    _save(ctx, req, {**integration, "integrationResponses": responses})


def _save(ctx: Context, req: Result, integration: Result | None) -> None:
    definition = definition_of(ctx, req["restApiId"])
    method = method_of(definition, req["resourceId"], req["httpMethod"])
    changed = {name: value for name, value in method.items() if name != "methodIntegration"}
    if integration is not None:
        changed["methodIntegration"] = integration
    ctx.tx.put(definition_key(req["restApiId"]), with_method(definition, req["resourceId"], req["httpMethod"], changed))
