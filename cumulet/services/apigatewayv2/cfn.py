"""API Gateway V2's CloudFormation types for HTTP APIs.

Source: CloudFormation template reference, AWS::ApiGatewayV2::* (read 2026-11).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cumulet.aws.http import FileBody
from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope

_API = ("ApiKeySelectionExpression", "CorsConfiguration", "CredentialsArn", "Description", "DisableExecuteApiEndpoint",
        "DisableSchemaValidation", "IpAddressType", "Name", "RouteSelectionExpression", "Version")  # fmt: skip
_FLAGS = frozenset(("DisableExecuteApiEndpoint", "DisableSchemaValidation", "AllowCredentials", "AutoDeploy",
                    "ApiKeyRequired", "FailOnWarnings", "DetailedMetricsEnabled", "EnableSimpleResponses", "DataTraceEnabled"))  # fmt: skip
_NUMBERS = {
    "AuthorizerResultTtlInSeconds": int,
    "MaxAge": int,
    "TimeoutInMillis": int,
    "ThrottlingBurstLimit": int,
    "ThrottlingRateLimit": float,
}


def _typed(name: str, value: Any) -> Any:
    """A template's value in the API's type: templates give numbers and flags as text, too."""
    if name in _FLAGS:
        return value if isinstance(value, bool) else str(value).lower() == "true"
    if name in _NUMBERS:
        return _NUMBERS[name](value)
    if name == "ResponseParameters":
        return {str(status): _changes(changes) for status, changes in value.items()}
    if name in ("CorsConfiguration", "DefaultRouteSettings"):
        return {member: _typed(member, one) for member, one in value.items()}
    if name == "RouteSettings":
        return {
            route: {member: _typed(member, one) for member, one in settings.items()}
            for route, settings in value.items()
        }
    if name in ("StageVariables", "Tags", "RequestParameters"):
        return {key: str(one) for key, one in value.items()}
    return str(value) if isinstance(value, int | float) else value


def _changes(value: Any) -> dict[str, str]:
    """One status's changes: a map as the API has it, or the template's list of destinations and sources."""
    if "ResponseParameters" in value:
        return {one["Destination"]: str(one["Source"]) for one in value["ResponseParameters"]}
    return {key: str(one) for key, one in value.items()}


def _members(p: Properties, names: Any) -> dict[str, Any]:
    return {name: _typed(name, p[name]) for name in names if name in p}


def _id(scope: Scope) -> str:
    assert scope.physical_id is not None
    return scope.physical_id


def _tags(p: Properties, scope: Scope) -> dict[str, str]:
    return {**scope.tags, **_typed("Tags", p.get("Tags", {}))}


def _retag(call: Call, arn: str, tags: dict[str, str]) -> None:
    gone = [name for name in call("GetTags", ResourceArn=arn)["Tags"] if name not in tags]
    if gone:
        call("UntagResource", ResourceArn=arn, TagKeys=gone)
    call("TagResource", ResourceArn=arn, Tags=tags)


def _body(call: Call, p: Properties) -> str | None:
    if "Body" in p:
        return p["Body"] if isinstance(p["Body"], str) else json.dumps(p["Body"])
    where = p.get("BodyS3Location")
    if where is None:
        return None
    request = {"Bucket": where["Bucket"], "Key": where["Key"]}
    if "Version" in where:
        request["VersionId"] = where["Version"]
    content = call("s3:GetObject", **request)["Body"]
    if isinstance(content, FileBody):
        with content.path.open("rb") as file:
            file.seek(content.offset)
            return file.read(content.size).decode()
    return bytes(content).decode()


def _import_options(p: Properties) -> dict[str, Any]:
    options = _members(p, ("FailOnWarnings",))
    if "BasePath" in p:
        options["Basepath"] = p["BasePath"]
    return options


def _arn(scope: Scope, api_id: str, stage: str = "") -> str:
    return f"arn:aws:apigateway:{scope.region}::/apis/{api_id}" + (f"/stages/{stage}" if stage else "")


def _api(made: Mapping[str, Any]) -> Created:
    return Created(made["ApiId"], {"ApiEndpoint": made["ApiEndpoint"], "ApiId": made["ApiId"]})


def _create_api(call: Call, p: Properties, scope: Scope) -> Created:
    body = _body(call, p)
    if body is None:
        quick = _members(p, ("Target", "RouteKey"))
        request = {"ProtocolType": p.get("ProtocolType", "HTTP"), "Name": "", **_members(p, _API)}
        return _api(call("CreateApi", **request, **quick, Tags=_tags(p, scope)))
    made = call("ImportApi", Body=body, **_import_options(p))
    settings = _members(p, _API)
    if settings:
        call("UpdateApi", ApiId=made["ApiId"], **settings)
    call("TagResource", ResourceArn=_arn(scope, made["ApiId"]), Tags=_tags(p, scope))
    return _api(made)


def _update_api(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    api_id, body = _id(scope), _body(call, p)
    if body is not None:
        call("ReimportApi", ApiId=api_id, Body=body, **_import_options(p))
    elif "CorsConfiguration" in old and "CorsConfiguration" not in p:
        call("DeleteCorsConfiguration", ApiId=api_id)
    settings = _members(p, _API)
    if settings:
        call("UpdateApi", ApiId=api_id, **settings)
    own = call("GetTags", ResourceArn=_arn(scope, api_id))["Tags"] if body is not None else {}
    _retag(call, _arn(scope, api_id), {**own, **_tags(p, scope)})
    return _api(call("GetApi", ApiId=api_id))


def _delete_api(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteApi", ApiId=_id(scope))


API = Resource(
    type="AWS::ApiGatewayV2::Api",
    service="apigatewayv2",
    properties=frozenset({*_API, "BasePath", "Body", "BodyS3Location", "FailOnWarnings", "ProtocolType", "RouteKey", "Tags",
                          "Target"}),
    create=_create_api,
    update=_update_api,
    delete=_delete_api,
    replace_on=frozenset({"ProtocolType", "Target", "RouteKey"}),
    code=("BodyS3Location",),
)  # fmt: skip

_INTEGRATION = ("ConnectionId", "ConnectionType", "ContentHandlingStrategy", "CredentialsArn", "Description",
                "IntegrationMethod", "IntegrationSubtype", "IntegrationType", "IntegrationUri", "PassthroughBehavior",
                "PayloadFormatVersion", "RequestParameters", "RequestTemplates", "ResponseParameters",
                "TemplateSelectionExpression", "TimeoutInMillis", "TlsConfig")  # fmt: skip


def _create_integration(call: Call, p: Properties, scope: Scope) -> Created:
    made = call("CreateIntegration", ApiId=p["ApiId"], **_members(p, _INTEGRATION))
    return Created(made["IntegrationId"], {"IntegrationId": made["IntegrationId"]})


def _update_integration(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    request = _members(p, _INTEGRATION)
    kinds: tuple[tuple[str, Any], ...] = (("RequestParameters", ""), ("ResponseParameters", {}))
    for name, gone in kinds:
        dropped: dict[str, Any] = {key: gone for key in old.get(name, {}) if key not in p.get(name, {})}
        if dropped:
            request[name] = {**dropped, **request.get(name, {})}
    call("UpdateIntegration", ApiId=p["ApiId"], IntegrationId=_id(scope), **request)
    return Created(_id(scope), {"IntegrationId": _id(scope)})


def _delete_integration(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteIntegration", ApiId=p["ApiId"], IntegrationId=_id(scope))


INTEGRATION = Resource(
    type="AWS::ApiGatewayV2::Integration",
    service="apigatewayv2",
    properties=frozenset({"ApiId", *_INTEGRATION}),
    required=frozenset({"ApiId", "IntegrationType"}),
    create=_create_integration,
    update=_update_integration,
    delete=_delete_integration,
    replace_on=frozenset({"ApiId"}),
)

_ROUTE = ("ApiKeyRequired", "AuthorizationScopes", "AuthorizationType", "AuthorizerId", "ModelSelectionExpression",
          "OperationName", "RequestModels", "RequestParameters", "RouteKey", "RouteResponseSelectionExpression",
          "Target")  # fmt: skip


def _create_route(call: Call, p: Properties, scope: Scope) -> Created:
    made = call("CreateRoute", ApiId=p["ApiId"], **_members(p, _ROUTE))
    return Created(made["RouteId"], {"RouteId": made["RouteId"]})


def _update_route(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    call("UpdateRoute", ApiId=p["ApiId"], RouteId=_id(scope), **_members(p, _ROUTE))
    return Created(_id(scope), {"RouteId": _id(scope)})


def _delete_route(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteRoute", ApiId=p["ApiId"], RouteId=_id(scope))


ROUTE = Resource(
    type="AWS::ApiGatewayV2::Route",
    service="apigatewayv2",
    properties=frozenset({"ApiId", *_ROUTE}),
    required=frozenset({"ApiId", "RouteKey"}),
    create=_create_route,
    update=_update_route,
    delete=_delete_route,
    replace_on=frozenset({"ApiId"}),
)

_STAGE = ("AccessLogSettings", "AutoDeploy", "ClientCertificateId", "DefaultRouteSettings", "DeploymentId", "Description",
          "RouteSettings", "StageVariables")  # fmt: skip


def _create_stage(call: Call, p: Properties, scope: Scope) -> Created:
    call("CreateStage", ApiId=p["ApiId"], StageName=p["StageName"], **_members(p, _STAGE), Tags=_tags(p, scope))
    return Created(p["StageName"])


def _update_stage(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    defaults = {"StageVariables": {}, "RouteSettings": {}, "DefaultRouteSettings": {}, "Description": ""}
    gone = {name: value for name, value in defaults.items() if name in old and name not in p}
    call("UpdateStage", ApiId=p["ApiId"], StageName=p["StageName"], **gone, **_members(p, _STAGE))
    _retag(call, _arn(scope, p["ApiId"], p["StageName"]), _tags(p, scope))
    return Created(p["StageName"])


def _delete_stage(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteStage", ApiId=p["ApiId"], StageName=p["StageName"])


STAGE = Resource(
    type="AWS::ApiGatewayV2::Stage",
    service="apigatewayv2",
    properties=frozenset({"ApiId", "StageName", "Tags", *_STAGE}),
    required=frozenset({"ApiId", "StageName"}),
    create=_create_stage,
    update=_update_stage,
    delete=_delete_stage,
    replace_on=frozenset({"ApiId", "StageName"}),
)


def _create_deployment(call: Call, p: Properties, scope: Scope) -> Created:
    made = call("CreateDeployment", ApiId=p["ApiId"], **_members(p, ("Description", "StageName")))
    return Created(made["DeploymentId"], {"DeploymentId": made["DeploymentId"]})


def _update_deployment(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    call("UpdateDeployment", ApiId=p["ApiId"], DeploymentId=_id(scope), Description=p.get("Description", ""))
    return Created(_id(scope), {"DeploymentId": _id(scope)})


def _delete_deployment(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteDeployment", ApiId=p["ApiId"], DeploymentId=_id(scope))


DEPLOYMENT = Resource(
    type="AWS::ApiGatewayV2::Deployment",
    service="apigatewayv2",
    properties=frozenset({"ApiId", "Description", "StageName"}),
    required=frozenset({"ApiId"}),
    create=_create_deployment,
    update=_update_deployment,
    delete=_delete_deployment,
    replace_on=frozenset({"ApiId", "StageName"}),
)

_AUTHORIZER = ("AuthorizerCredentialsArn", "AuthorizerPayloadFormatVersion", "AuthorizerResultTtlInSeconds",
               "AuthorizerType", "AuthorizerUri", "EnableSimpleResponses", "IdentitySource",
               "IdentityValidationExpression", "JwtConfiguration", "Name")  # fmt: skip


def _create_authorizer(call: Call, p: Properties, scope: Scope) -> Created:
    made = call("CreateAuthorizer", **{"IdentitySource": [], **_members(p, ("ApiId", *_AUTHORIZER))})
    return Created(made["AuthorizerId"], {"AuthorizerId": made["AuthorizerId"]})


def _update_authorizer(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    defaults = {"AuthorizerResultTtlInSeconds": 0, "EnableSimpleResponses": False, "IdentitySource": []}
    request = {**defaults, **_members(p, ("ApiId", *_AUTHORIZER))}
    call("UpdateAuthorizer", AuthorizerId=_id(scope), **request)
    return Created(_id(scope), {"AuthorizerId": _id(scope)})


def _delete_authorizer(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteAuthorizer", ApiId=p["ApiId"], AuthorizerId=_id(scope))


AUTHORIZER = Resource(
    type="AWS::ApiGatewayV2::Authorizer",
    service="apigatewayv2",
    properties=frozenset({"ApiId", *_AUTHORIZER}),
    required=frozenset({"ApiId", "AuthorizerType", "Name"}),
    create=_create_authorizer,
    update=_update_authorizer,
    delete=_delete_authorizer,
    replace_on=frozenset({"ApiId"}),
)
