"""Operations on gateway responses: the answers that API Gateway gives by itself, customised."""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import replace
from cumulet.services.apigateway import patch
from cumulet.services.apigateway.answers import DEFAULT_STATUS, described
from cumulet.services.apigateway.checks import check_gateway_response
from cumulet.services.apigateway.errors import BadRequestException, NotFoundException
from cumulet.services.apigateway.model import Definition, definition_key, definition_of
from cumulet.services.apigateway.patch import Field

_PATCHES = {"/statusCode": Field(), "/responseParameters/*": Field(), "/responseTemplates/*": Field()}
_MEMBERS = ("statusCode", "responseParameters", "responseTemplates")


def put_gateway_response(ctx: Context, req: Result) -> Result:
    """Customise the answer of one type: status, headers, body template (deployed with the next deployment).

    Raises: NotFoundException, BadRequestException. Source: API Gateway API reference, PutGatewayResponse (read 2026-11).
    """
    definition = definition_of(ctx, req["restApiId"])
    custom = {name: req[name] for name in _MEMBERS if name in req}
    return _saved(ctx, req, definition, custom)


def get_gateway_response(ctx: Context, req: Result) -> Result:
    """One gateway response, customised or default. Raises: NotFoundException. Source: API reference."""
    kind = _kind(req)
    return described(kind, definition_of(ctx, req["restApiId"]).gateway_responses.get(kind))


def get_gateway_responses(ctx: Context, req: Result) -> Result:
    """All gateway responses by type, customised or default. Raises: NotFoundException. Source: API reference."""
    custom = definition_of(ctx, req["restApiId"]).gateway_responses
    return {"items": [described(kind, custom.get(kind)) for kind in DEFAULT_STATUS]}


def update_gateway_response(ctx: Context, req: Result) -> Result:
    """Patch a gateway response. Raises: NotFoundException, BadRequestException. Source: API reference."""
    definition = definition_of(ctx, req["restApiId"])
    old = definition.gateway_responses.get(_kind(req), {})
    return _saved(ctx, req, definition, patch.apply(old, req.get("patchOperations", []), _PATCHES))


def delete_gateway_response(ctx: Context, req: Result) -> Result:
    """Back to the default. Raises: NotFoundException when it is not customised. Source: API reference."""
    definition = definition_of(ctx, req["restApiId"])
    kind = _kind(req)
    if kind not in definition.gateway_responses:
        raise NotFoundException("Gateway response type not defined on api")
    left = {name: value for name, value in definition.gateway_responses.items() if name != kind}
    ctx.tx.put(definition_key(req["restApiId"]), replace(definition, gateway_responses=left))
    return {}


def _kind(req: Result) -> str:
    kind: str = req["responseType"]
    if kind not in DEFAULT_STATUS:
        raise BadRequestException(f"Invalid gateway response type specified: {kind}")
    return kind


def _saved(ctx: Context, req: Result, definition: Definition, custom: Result) -> Result:
    kind = _kind(req)
    check_gateway_response(custom)
    responses = {**definition.gateway_responses, kind: custom}
    ctx.tx.put(definition_key(req["restApiId"]), replace(definition, gateway_responses=responses))
    return described(kind, custom)
