"""API Gateway's CloudFormation types for REST APIs.

Source: CloudFormation template reference, AWS::ApiGateway::* (read 2026-11).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from cumulet.aws.http import FileBody
from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope
from cumulet.services.apigateway.errors import not_honoured

Patch = dict[str, str]


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _flag(value: Any) -> bool:
    return value if isinstance(value, bool) else str(value).lower() == "true"


def _strings(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(value) for name, value in values.items()}


def _flags(values: Mapping[str, Any]) -> dict[str, bool]:
    return {name: _flag(value) for name, value in values.items()}


def _tags(p: Properties, scope: Scope) -> dict[str, str]:
    return {**scope.tags, **{tag["Key"]: _text(tag["Value"]) for tag in p.get("Tags", ())}}


def _id(scope: Scope) -> str:
    assert scope.physical_id is not None
    return scope.physical_id


# RestApi


def _body(call: Call, p: Properties) -> bytes | None:
    if "Body" in p:
        body = p["Body"]
        return body.encode() if isinstance(body, str) else json.dumps(body).encode()
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
            return file.read(content.size)
    return bytes(content)


def _settings(p: Properties) -> dict[str, Any]:
    """CreateRestApi's members."""
    plain = {"Name": "name", "Description": "description", "ApiKeySourceType": "apiKeySource", "CloneFrom": "cloneFrom"}
    found: dict[str, Any] = {member: _text(p[name]) for name, member in plain.items() if name in p}
    if "BinaryMediaTypes" in p:
        found["binaryMediaTypes"] = [kind.replace("~1", "/") for kind in p["BinaryMediaTypes"]]
    if "MinimumCompressionSize" in p:
        found["minimumCompressionSize"] = int(p["MinimumCompressionSize"])
    if "EndpointConfiguration" in p:
        endpoint = p["EndpointConfiguration"]
        names = {"Types": "types", "VpcEndpointIds": "vpcEndpointIds", "IpAddressType": "ipAddressType"}
        found["endpointConfiguration"] = {names[name]: endpoint[name] for name in names if name in endpoint}
    if "DisableExecuteApiEndpoint" in p:
        found["disableExecuteApiEndpoint"] = _flag(p["DisableExecuteApiEndpoint"])
    if p.get("Policy"):
        found["policy"] = p["Policy"] if isinstance(p["Policy"], str) else json.dumps(p["Policy"])
    return found


def _patches(p: Properties, old: Properties) -> list[Patch]:
    """What brings an imported or an older API to the template's settings."""
    new, before = _settings(p), _settings(old)
    patches: list[Patch] = []
    for member in (
        "name",
        "description",
        "minimumCompressionSize",
        "disableExecuteApiEndpoint",
        "apiKeySource",
        "policy",
    ):
        if member in new:
            patches.append({"op": "replace", "path": f"/{member}", "value": _text(new[member])})
        elif member in before and member not in ("name", "disableExecuteApiEndpoint"):
            patches.append({"op": "remove", "path": f"/{member}"})
    kinds = new.get("binaryMediaTypes", [])
    for op, names in (("remove", set(before.get("binaryMediaTypes", [])) - set(kinds)), ("add", kinds)):
        patches.extend({"op": op, "path": "/binaryMediaTypes/" + kind.replace("/", "~1")} for kind in sorted(names))
    types = new.get("endpointConfiguration", {}).get("types")
    if types:
        patches.append({"op": "replace", "path": "/endpointConfiguration/types", "value": ",".join(types)})
    return patches


def _import_options(p: Properties) -> dict[str, Any]:
    options: dict[str, Any] = {"parameters": _strings(p.get("Parameters", {}))}
    if "FailOnWarnings" in p:
        options["failOnWarnings"] = _flag(p["FailOnWarnings"])
    return options


def _create_api(call: Call, p: Properties, scope: Scope) -> Created:
    body = _body(call, p)
    if body is None:
        made = call("CreateRestApi", **{"name": "", **_settings(p)}, tags=_tags(p, scope))
        return _api(made)
    made = call("ImportRestApi", body=body, **_import_options(p))
    patches = _patches(p, {})
    if patches:
        call("UpdateRestApi", restApiId=made["id"], patchOperations=patches)
    call("TagResource", resourceArn=_arn(scope, made["id"]), tags=_tags(p, scope))
    return _api(made)


def _update_api(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    api_id, body = _id(scope), _body(call, p)
    if body is not None:
        call("PutRestApi", restApiId=api_id, body=body, mode=p.get("Mode", "overwrite"), **_import_options(p))
    patches = _patches(p, old)
    if patches:
        call("UpdateRestApi", restApiId=api_id, patchOperations=patches)
    _retag(call, _arn(scope, api_id), _tags(p, scope))
    return _api(call("GetRestApi", restApiId=api_id))


def _retag(call: Call, arn: str, tags: dict[str, str]) -> None:
    gone = [name for name in call("GetTags", resourceArn=arn)["tags"] if name not in tags]
    if gone:
        call("UntagResource", resourceArn=arn, tagKeys=gone)
    call("TagResource", resourceArn=arn, tags=tags)


def _arn(scope: Scope, api_id: str, stage: str = "") -> str:
    return f"arn:aws:apigateway:{scope.region}::/restapis/{api_id}" + (f"/stages/{stage}" if stage else "")


def _api(made: Mapping[str, Any]) -> Created:
    return Created(made["id"], {"RootResourceId": made["rootResourceId"], "RestApiId": made["id"]})


REST_API = Resource(
    type="AWS::ApiGateway::RestApi",
    service="apigateway",
    properties=frozenset({
        "ApiKeySourceType", "BinaryMediaTypes", "Body", "BodyS3Location", "CloneFrom", "Description",
        "DisableExecuteApiEndpoint", "EndpointConfiguration", "FailOnWarnings", "MinimumCompressionSize", "Mode", "Name",
        "Parameters", "Policy", "Tags",
    }),
    create=_create_api,
    update=_update_api,
    delete=lambda call, p, scope: _done(call("DeleteRestApi", restApiId=_id(scope))),
    code=("BodyS3Location",),
)  # fmt: skip


def _done(result: object) -> None:
    return None


# Resource and Method


def _create_resource(call: Call, p: Properties, scope: Scope) -> Created:
    made = call("CreateResource", restApiId=p["RestApiId"], parentId=p["ParentId"], pathPart=p["PathPart"])
    return Created(made["id"], {"ResourceId": made["id"]})


RESOURCE = Resource(
    type="AWS::ApiGateway::Resource",
    service="apigateway",
    properties=frozenset({"RestApiId", "ParentId", "PathPart"}),
    required=frozenset({"RestApiId", "ParentId", "PathPart"}),
    create=_create_resource,
    delete=lambda call, p, scope: _done(call("DeleteResource", restApiId=p["RestApiId"], resourceId=_id(scope))),
)

_METHOD = {"AuthorizationType": "authorizationType", "AuthorizerId": "authorizerId", "OperationName": "operationName",
           "RequestValidatorId": "requestValidatorId", "AuthorizationScopes": "authorizationScopes",
           "RequestModels": "requestModels"}  # fmt: skip
_INTEGRATION = {"Type": "type", "Uri": "uri", "IntegrationHttpMethod": "integrationHttpMethod", "Credentials": "credentials",
                "RequestParameters": "requestParameters", "RequestTemplates": "requestTemplates",
                "PassthroughBehavior": "passthroughBehavior", "ContentHandling": "contentHandling",
                "CacheNamespace": "cacheNamespace", "CacheKeyParameters": "cacheKeyParameters",
                "ConnectionType": "connectionType", "ConnectionId": "connectionId",
                "ResponseTransferMode": "responseTransferMode", "IntegrationTarget": "integrationTarget"}  # fmt: skip
_RESPONSE = {"SelectionPattern": "selectionPattern", "ResponseTemplates": "responseTemplates",
             "ContentHandling": "contentHandling"}  # fmt: skip


def _renamed(values: Mapping[str, Any], names: Mapping[str, str], where: str) -> dict[str, Any]:
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise not_honoured(f"{where}.{unknown[0]}")
    return {names[name]: value for name, value in values.items()}


def _create_method(call: Call, p: Properties, scope: Scope) -> Created:
    where = {"restApiId": p["RestApiId"], "resourceId": p["ResourceId"], "httpMethod": p["HttpMethod"]}
    request = {member: p[name] for name, member in _METHOD.items() if name in p}
    request.setdefault("authorizationType", "NONE")
    if "ApiKeyRequired" in p:
        request["apiKeyRequired"] = _flag(p["ApiKeyRequired"])
    if "RequestParameters" in p:
        request["requestParameters"] = _flags(p["RequestParameters"])
    call("PutMethod", **where, **request)
    for response in p.get("MethodResponses", ()):
        call("PutMethodResponse", **where, statusCode=_text(response["StatusCode"]),
             responseParameters=_flags(response.get("ResponseParameters", {})),
             responseModels=response.get("ResponseModels", {}))  # fmt: skip
    if "Integration" in p:
        _put_integration(call, where, dict(p["Integration"]))
    return Created(scope.physical_id or scope.generated_name)


def _put_integration(call: Call, where: dict[str, str], integration: dict[str, Any]) -> None:
    responses = integration.pop("IntegrationResponses", ())
    timeout_ms = integration.pop("TimeoutInMillis", None)
    request = _renamed(integration, _INTEGRATION, "Integration")
    if timeout_ms is not None:
        request["timeoutInMillis"] = int(timeout_ms)
    call("PutIntegration", **where, **request)
    for response in responses:
        rest = {name: value for name, value in response.items() if name not in ("StatusCode", "ResponseParameters")}
        call("PutIntegrationResponse", **where, statusCode=_text(response["StatusCode"]),
             responseParameters=_strings(response.get("ResponseParameters", {})),
             **_renamed(rest, _RESPONSE, "IntegrationResponse"))  # fmt: skip


def _delete_method(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteMethod", restApiId=p["RestApiId"], resourceId=p["ResourceId"], httpMethod=p["HttpMethod"])


def _update_method(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    _delete_method(call, old, scope)
    return _create_method(call, p, scope)


METHOD = Resource(
    type="AWS::ApiGateway::Method",
    service="apigateway",
    properties=frozenset({
        "ApiKeyRequired", "AuthorizationScopes", "AuthorizationType", "AuthorizerId", "HttpMethod", "Integration",
        "MethodResponses", "OperationName", "RequestModels", "RequestParameters", "RequestValidatorId", "ResourceId",
        "RestApiId",
    }),
    required=frozenset({"HttpMethod", "ResourceId", "RestApiId"}),
    create=_create_method,
    update=_update_method,
    delete=_delete_method,
    replace_on=frozenset({"HttpMethod", "ResourceId", "RestApiId"}),
)  # fmt: skip


# Deployment and Stage


def _create_deployment(call: Call, p: Properties, scope: Scope) -> Created:
    request: dict[str, Any] = {"restApiId": p["RestApiId"]}
    if "Description" in p:
        request["description"] = _text(p["Description"])
    if "DeploymentCanarySettings" in p:
        request["canarySettings"] = {}  # refused by name
    stage = p.get("StageDescription", {})
    if "StageName" in p:
        request["stageName"] = p["StageName"]
        if "Description" in stage:
            request["stageDescription"] = _text(stage["Description"])
        if "Variables" in stage:
            request["variables"] = _strings(stage["Variables"])
        if "TracingEnabled" in stage:
            request["tracingEnabled"] = _flag(stage["TracingEnabled"])
    made = call("CreateDeployment", **request)
    rest = {
        name: value
        for name, value in stage.items()
        if name not in ("Description", "Variables", "TracingEnabled", "Tags")
    }
    if rest:
        _update(call, {"RestApiId": p["RestApiId"], "StageName": p["StageName"], **rest}, {})
    return Created(made["id"], {"DeploymentId": made["id"]})


def _update_deployment(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    patches = [{"op": "replace", "path": "/description", "value": _text(p.get("Description", ""))}]
    call("UpdateDeployment", restApiId=p["RestApiId"], deploymentId=_id(scope), patchOperations=patches)
    return Created(_id(scope), {"DeploymentId": _id(scope)})


def _delete_deployment(call: Call, p: Properties, scope: Scope) -> None:
    """The stage that the deployment made goes with it, when it is still on it."""
    if "StageName" in p:
        stages = call("GetStages", restApiId=p["RestApiId"], deploymentId=_id(scope))["item"]
        if any(stage["stageName"] == p["StageName"] for stage in stages):
            call("DeleteStage", restApiId=p["RestApiId"], stageName=p["StageName"])
    call("DeleteDeployment", restApiId=p["RestApiId"], deploymentId=_id(scope))


DEPLOYMENT = Resource(
    type="AWS::ApiGateway::Deployment",
    service="apigateway",
    properties=frozenset({"DeploymentCanarySettings", "Description", "RestApiId", "StageDescription", "StageName"}),
    required=frozenset({"RestApiId"}),
    create=_create_deployment,
    update=_update_deployment,
    delete=_delete_deployment,
    replace_on=frozenset({"DeploymentCanarySettings", "RestApiId", "StageDescription", "StageName"}),
)

_METHOD_SETTINGS = {
    "ThrottlingRateLimit": "throttling/rateLimit", "ThrottlingBurstLimit": "throttling/burstLimit",
    "LoggingLevel": "logging/loglevel", "DataTraceEnabled": "logging/dataTrace", "MetricsEnabled": "metrics/enabled",
    "CachingEnabled": "caching/enabled", "CacheTtlInSeconds": "caching/ttlInSeconds",
    "CacheDataEncrypted": "caching/dataEncrypted",
}  # fmt: skip


def _setting_patches(settings: Iterable[Mapping[str, Any]], op: str) -> list[Patch]:
    patches: list[Patch] = []
    for setting in settings:
        path = setting.get("ResourcePath", "/*")
        where = f"{'/~1' if path == '/' else path}/{setting.get('HttpMethod', '*')}"
        for name, patch in _METHOD_SETTINGS.items():
            if name in setting:
                patches.append({"op": op, "path": f"{where}/{patch}", "value": _text(setting[name])})
    return patches


def _stage_patches(p: Properties, old: Properties) -> list[Patch]:
    patches: list[Patch] = []
    for name in set(old.get("Variables", {})) - set(p.get("Variables", {})):
        patches.append({"op": "remove", "path": f"/variables/{name}"})
    for name, value in p.get("Variables", {}).items():
        patches.append({"op": "replace", "path": f"/variables/{name}", "value": _text(value)})
    plain = {"DeploymentId": "deploymentId", "Description": "description", "TracingEnabled": "tracingEnabled",
             "CacheClusterEnabled": "cacheClusterEnabled", "CacheClusterSize": "cacheClusterSize",
             "ClientCertificateId": "clientCertificateId", "DocumentationVersion": "documentationVersion"}  # fmt: skip
    for name, member in plain.items():
        if name in p:
            patches.append({"op": "replace", "path": f"/{member}", "value": _text(p[name])})
    log = p.get("AccessLogSetting") or {}
    if old.get("AccessLogSetting") and not log:
        patches.append({"op": "remove", "path": "/accessLogSettings"})
    for name, member in (("DestinationArn", "destinationArn"), ("Format", "format")):
        if name in log:
            patches.append({"op": "replace", "path": f"/accessLogSettings/{member}", "value": _text(log[name])})
    patches.extend(_setting_patches(old.get("MethodSettings", ()), "remove"))
    patches.extend(_setting_patches(p.get("MethodSettings", ()), "replace"))
    return patches


def _update(call: Call, p: Properties, old: Properties) -> None:
    patches = _stage_patches(p, old)
    if patches:
        call("UpdateStage", restApiId=p["RestApiId"], stageName=p["StageName"], patchOperations=patches)


def _create_stage(call: Call, p: Properties, scope: Scope) -> Created:
    request: dict[str, Any] = {
        "restApiId": p["RestApiId"],
        "stageName": p["StageName"],
        "deploymentId": p["DeploymentId"],
    }
    if "CanarySetting" in p:
        request["canarySettings"] = {"percentTraffic": 0.0}  # refused by name
    call("CreateStage", **request, tags=_tags(p, scope))
    _update(call, p, {})
    return Created(p["StageName"])


def _update_stage(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    _update(call, p, old)
    _retag(call, _arn(scope, p["RestApiId"], p["StageName"]), _tags(p, scope))
    return Created(p["StageName"])


STAGE = Resource(
    type="AWS::ApiGateway::Stage",
    service="apigateway",
    properties=frozenset({
        "AccessLogSetting", "CacheClusterEnabled", "CacheClusterSize", "CanarySetting", "ClientCertificateId",
        "DeploymentId", "Description", "DocumentationVersion", "MethodSettings", "RestApiId", "StageName", "Tags",
        "TracingEnabled", "Variables",
    }),
    required=frozenset({"RestApiId", "StageName", "DeploymentId"}),
    create=_create_stage,
    update=_update_stage,
    delete=lambda call, p, scope: _done(call("DeleteStage", restApiId=p["RestApiId"], stageName=p["StageName"])),
    replace_on=frozenset({"RestApiId", "StageName"}),
)  # fmt: skip
