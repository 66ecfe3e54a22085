"""CloudFormation types of a REST API's smaller parts: gateway responses, models, validators, the account.

Source: CloudFormation template reference, AWS::ApiGateway::* (read 2026-11).
"""

from __future__ import annotations

import json
from typing import Any

from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope


def _put_gateway_response(call: Call, p: Properties, scope: Scope) -> Created:
    request: dict[str, Any] = {"restApiId": p["RestApiId"], "responseType": p["ResponseType"]}
    if "StatusCode" in p:
        request["statusCode"] = str(p["StatusCode"])
    for name, member in (("ResponseParameters", "responseParameters"), ("ResponseTemplates", "responseTemplates")):
        if name in p:
            request[member] = p[name]
    call("PutGatewayResponse", **request)
    physical = scope.physical_id or scope.generated_name
    return Created(physical, {"Id": physical})


def _delete_gateway_response(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteGatewayResponse", restApiId=p["RestApiId"], responseType=p["ResponseType"])


GATEWAY_RESPONSE = Resource(
    type="AWS::ApiGateway::GatewayResponse",
    service="apigateway",
    properties=frozenset({"ResponseParameters", "ResponseTemplates", "ResponseType", "RestApiId", "StatusCode"}),
    required=frozenset({"ResponseType", "RestApiId"}),
    create=_put_gateway_response,
    update=lambda call, p, old, scope: _put_gateway_response(call, p, scope),
    delete=_delete_gateway_response,
    replace_on=frozenset({"ResponseType", "RestApiId"}),
)


def _schema(p: Properties) -> str:
    schema = p.get("Schema", {})
    return schema if isinstance(schema, str) else json.dumps(schema)


def _create_model(call: Call, p: Properties, scope: Scope) -> Created:
    request = {member: p[name] for name, member in (("Description", "description"),) if name in p}
    kind = p.get("ContentType", "application/json")
    call("CreateModel", restApiId=p["RestApiId"], name=p["Name"], contentType=kind, schema=_schema(p), **request)
    return Created(p["Name"])


def _update_model(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    patches = [{"op": "replace", "path": "/schema", "value": _schema(p)},
               {"op": "replace", "path": "/description", "value": p.get("Description", "")}]  # fmt: skip
    call("UpdateModel", restApiId=p["RestApiId"], modelName=p["Name"], patchOperations=patches)
    return Created(p["Name"])


def _delete_model(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteModel", restApiId=p["RestApiId"], modelName=p["Name"])


def _model_name(name: str) -> str:
    return "".join(letter for letter in name if letter.isalnum())


MODEL = Resource(
    type="AWS::ApiGateway::Model",
    service="apigateway",
    properties=frozenset({"ContentType", "Description", "Name", "RestApiId", "Schema"}),
    required=frozenset({"RestApiId"}),
    create=lambda call, p, scope: _create_model(call, {**p, "Name": _model_name(p["Name"])}, scope),
    update=lambda call, p, old, scope: _update_model(call, {**p, "Name": _model_name(p["Name"])}, old, scope),
    delete=lambda call, p, scope: _delete_model(call, {**p, "Name": _model_name(p["Name"])}, scope),
    replace_on=frozenset({"ContentType", "Name", "RestApiId"}),
    name="Name",
)


def _flag(value: Any) -> bool:
    return value if isinstance(value, bool) else str(value).lower() == "true"


def _create_validator(call: Call, p: Properties, scope: Scope) -> Created:
    made = call(
        "CreateRequestValidator", restApiId=p["RestApiId"], name=p["Name"],
        validateRequestBody=_flag(p.get("ValidateRequestBody", False)),
        validateRequestParameters=_flag(p.get("ValidateRequestParameters", False)),
    )  # fmt: skip
    return Created(made["id"], {"RequestValidatorId": made["id"]})


def _update_validator(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    patches = [{"op": "replace", "path": f"/{name[0].lower()}{name[1:]}", "value": str(_flag(p.get(name, False))).lower()}
               for name in ("ValidateRequestBody", "ValidateRequestParameters")]  # fmt: skip
    call(
        "UpdateRequestValidator",
        restApiId=p["RestApiId"],
        requestValidatorId=scope.physical_id,
        patchOperations=patches,
    )
    assert scope.physical_id is not None
    return Created(scope.physical_id, {"RequestValidatorId": scope.physical_id})


def _delete_validator(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteRequestValidator", restApiId=p["RestApiId"], requestValidatorId=scope.physical_id)


REQUEST_VALIDATOR = Resource(
    type="AWS::ApiGateway::RequestValidator",
    service="apigateway",
    properties=frozenset({"Name", "RestApiId", "ValidateRequestBody", "ValidateRequestParameters"}),
    required=frozenset({"RestApiId"}),
    create=_create_validator,
    update=_update_validator,
    delete=_delete_validator,
    replace_on=frozenset({"Name", "RestApiId"}),
    name="Name",
)


def _put_account(call: Call, p: Properties, scope: Scope) -> Created:
    role = p.get("CloudWatchRoleArn")
    patch = {"op": "replace", "path": "/cloudwatchRoleArn", "value": role} if role else {
        "op": "remove", "path": "/cloudwatchRoleArn"}  # fmt: skip
    call("UpdateAccount", patchOperations=[patch])
    physical = scope.physical_id or scope.generated_name
    return Created(physical, {"Id": physical})


def _leave_account(call: Call, p: Properties, scope: Scope) -> None:
    """The account's settings outlive the stack, as on AWS."""


ACCOUNT = Resource(
    type="AWS::ApiGateway::Account",
    service="apigateway",
    properties=frozenset({"CloudWatchRoleArn"}),
    create=_put_account,
    update=lambda call, p, old, scope: _put_account(call, p, scope),
    delete=_leave_account,
)

_AUTHORIZER = {
    "AuthType": "authType", "AuthorizerCredentials": "authorizerCredentials", "AuthorizerUri": "authorizerUri",
    "IdentitySource": "identitySource", "IdentityValidationExpression": "identityValidationExpression", "Name": "name",
    "ProviderARNs": "providerARNs", "Type": "type",
}  # fmt: skip


def _create_authorizer(call: Call, p: Properties, scope: Scope) -> Created:
    request = {member: p[name] for name, member in _AUTHORIZER.items() if name in p}
    if "AuthorizerResultTtlInSeconds" in p:
        request["authorizerResultTtlInSeconds"] = int(p["AuthorizerResultTtlInSeconds"])
    made = call("CreateAuthorizer", restApiId=p["RestApiId"], **request)
    return Created(made["id"], {"AuthorizerId": made["id"]})


def _update_authorizer(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    assert scope.physical_id is not None
    patches = [{"op": "replace", "path": f"/{member}", "value": str(p[name])}
               for name, member in _AUTHORIZER.items() if name in p and name != "ProviderARNs"]  # fmt: skip
    patches += [
        {"op": "remove", "path": f"/{_AUTHORIZER[name]}"} for name in old if name in _AUTHORIZER and name not in p
    ]
    ttl_s = str(p.get("AuthorizerResultTtlInSeconds", 300))
    patches.append({"op": "replace", "path": "/authorizerResultTtlInSeconds", "value": ttl_s})
    call("UpdateAuthorizer", restApiId=p["RestApiId"], authorizerId=scope.physical_id, patchOperations=patches)
    return Created(scope.physical_id, {"AuthorizerId": scope.physical_id})


def _delete_authorizer(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteAuthorizer", restApiId=p["RestApiId"], authorizerId=scope.physical_id)


AUTHORIZER = Resource(
    type="AWS::ApiGateway::Authorizer",
    service="apigateway",
    properties=frozenset({*_AUTHORIZER, "AuthorizerResultTtlInSeconds", "RestApiId"}),
    required=frozenset({"Name", "RestApiId", "Type"}),
    create=_create_authorizer,
    update=_update_authorizer,
    delete=_delete_authorizer,
    replace_on=frozenset({"RestApiId"}),
)
