"""Operations on methods and method responses."""

from __future__ import annotations

import re

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.services.apigateway import patch
from cumulet.services.apigateway.checks import check_method
from cumulet.services.apigateway.errors import BadRequestException, ConflictException, NotFoundException
from cumulet.services.apigateway.model import (
    METHODS,
    definition_key,
    definition_of,
    method_of,
    resource_of,
    with_method,
)
from cumulet.services.apigateway.patch import Field

_STATUS = re.compile(r"[1-5]\d\d")
_METHOD = ("authorizationType", "authorizerId", "apiKeyRequired", "operationName", "requestParameters", "requestModels",
           "requestValidatorId", "authorizationScopes")  # fmt: skip
_PATCHES = {
    "/authorizationType": Field(ops=("replace",)),
    "/authorizerId": Field(ops=("replace", "remove")),
    "/authorizationScopes": Field(refused="authorizationScopes"),
    "/apiKeyRequired": Field(convert=patch.flag, ops=("replace",)),
    "/operationName": Field(),
    "/requestValidatorId": Field(),
    "/requestParameters/*": Field(convert=patch.flag),
    "/requestModels/*": Field(),
}
_RESPONSE_PATCHES = {"/responseParameters/*": Field(convert=patch.flag), "/responseModels/*": Field()}


def put_method(ctx: Context, req: Result) -> Result:
    """Add a method to a resource. Authorization is NONE, AWS_IAM (the request must be signed) or CUSTOM (an authorizer).

    Raises: NotFoundException; ConflictException when it is there; BadRequestException; NotImplementedOnCumulet for
    COGNITO_USER_POOLS. Source: API Gateway API reference, PutMethod (read 2026-11).
    """
    definition = definition_of(ctx, req["restApiId"])
    resource = resource_of(definition, req["resourceId"])
    name = req["httpMethod"]
    if name not in METHODS:
        raise BadRequestException(f"Invalid HttpMethod specified. Valid options are {','.join(METHODS)}")
    if name in resource.get("resourceMethods", {}):
        raise ConflictException("Method already exists for this resource")
    method = {"httpMethod": name, "apiKeyRequired": False, **{key: req[key] for key in _METHOD if key in req}}
    check_method(definition, method)
    ctx.tx.put(definition_key(req["restApiId"]), with_method(definition, req["resourceId"], name, method))
    return method


def get_method(ctx: Context, req: Result) -> Result:
    """One method with its integration. Raises: NotFoundException. Source: API Gateway API reference, GetMethod."""
    return method_of(definition_of(ctx, req["restApiId"]), req["resourceId"], req["httpMethod"])


def update_method(ctx: Context, req: Result) -> Result:
    """Patch a method. Raises: NotFoundException, BadRequestException. Source: API reference, UpdateMethod."""
    definition = definition_of(ctx, req["restApiId"])
    method = method_of(definition, req["resourceId"], req["httpMethod"])
    method = patch.apply(method, req.get("patchOperations", []), _PATCHES)
    check_method(definition, method)
    ctx.tx.put(definition_key(req["restApiId"]), with_method(definition, req["resourceId"], req["httpMethod"], method))
    return method


def delete_method(ctx: Context, req: Result) -> Result:
    """Delete a method with its integration. Raises: NotFoundException. Source: API reference, DeleteMethod."""
    definition = definition_of(ctx, req["restApiId"])
    method_of(definition, req["resourceId"], req["httpMethod"])
    ctx.tx.put(definition_key(req["restApiId"]), with_method(definition, req["resourceId"], req["httpMethod"], None))
    return {}


def put_method_response(ctx: Context, req: Result) -> Result:
    """Declare a status code that the method may answer with, and its headers.

    Raises: NotFoundException, ConflictException, BadRequestException. Source: API reference, PutMethodResponse.
    """
    definition = definition_of(ctx, req["restApiId"])
    method = method_of(definition, req["resourceId"], req["httpMethod"])
    status = req["statusCode"]
    if not _STATUS.fullmatch(status):
        raise BadRequestException(f"Invalid status code: {status}")
    if status in method.get("methodResponses", {}):
        raise ConflictException("Response already exists for this resource")
    response: Result = {"statusCode": status}
    response.update({name: req[name] for name in ("responseParameters", "responseModels") if name in req})
    for parameter in response.get("responseParameters", {}):
        if not parameter.startswith("method.response.header."):
            raise BadRequestException(f"Invalid mapping expression specified: Validation Result: warnings : [], errors : "
                                      f"[Invalid mapping expression specified: {parameter}]")  # fmt: skip
    _save_response(ctx, req, method, response)
    return response


def get_method_response(ctx: Context, req: Result) -> Result:
    """One method response. Raises: NotFoundException. Source: API reference, GetMethodResponse."""
    method = method_of(definition_of(ctx, req["restApiId"]), req["resourceId"], req["httpMethod"])
    return _response_of(method, req["statusCode"])


def update_method_response(ctx: Context, req: Result) -> Result:
    """Patch a method response. Raises: NotFoundException. Source: API reference, UpdateMethodResponse."""
    method = method_of(definition_of(ctx, req["restApiId"]), req["resourceId"], req["httpMethod"])
    response = patch.apply(_response_of(method, req["statusCode"]), req.get("patchOperations", []), _RESPONSE_PATCHES)
    _save_response(ctx, req, method, response)
    return response


def delete_method_response(ctx: Context, req: Result) -> Result:
    """Delete a method response. Raises: NotFoundException. Source: API reference, DeleteMethodResponse."""
    definition = definition_of(ctx, req["restApiId"])
    method = method_of(definition, req["resourceId"], req["httpMethod"])
    _response_of(method, req["statusCode"])
    left = {code: value for code, value in method["methodResponses"].items() if code != req["statusCode"]}
    changed = {**method, "methodResponses": left}
    ctx.tx.put(definition_key(req["restApiId"]), with_method(definition, req["resourceId"], req["httpMethod"], changed))
    return {}


def _response_of(method: Result, status: str) -> Result:
    response: Result | None = method.get("methodResponses", {}).get(status)
    if response is None:
        raise NotFoundException("Invalid Response status code specified")
    return response


def _save_response(ctx: Context, req: Result, method: Result, response: Result) -> None:
    definition = definition_of(ctx, req["restApiId"])
    responses = {**method.get("methodResponses", {}), response["statusCode"]: response}
    changed = {**method, "methodResponses": responses}
    ctx.tx.put(definition_key(req["restApiId"]), with_method(definition, req["resourceId"], req["httpMethod"], changed))
