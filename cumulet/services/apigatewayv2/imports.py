"""Operations that make or change an HTTP API from an OpenAPI 3 document.

Source: developer guide, "OpenAPI extensions for API Gateway" and "Use OpenAPI definitions for HTTP APIs" (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from cumulet.aws.jsontext import read_json
from cumulet.kernel.context import Context
from cumulet.kernel.ids import Ids
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import replace
from cumulet.services.apigatewayv2.authorizer import check_authorizer
from cumulet.services.apigatewayv2.errors import BadRequestException, not_honoured
from cumulet.services.apigatewayv2.integration import check_integration, complete
from cumulet.services.apigatewayv2.model import Definition, api_at, api_key, changed, definition_key
from cumulet.services.apigatewayv2.settings import check_api, check_route, describe_api, new_api

if TYPE_CHECKING:
    from cumulet.services.apigatewayv2 import api as shapes  # an `api` is an Api here

_ANY = "x-amazon-apigateway-any-method"
_METHODS = ("get", "put", "post", "delete", "patch", "options", "head", _ANY)
_CORS = {"allowOrigins": "AllowOrigins", "allowMethods": "AllowMethods", "allowHeaders": "AllowHeaders",
         "exposeHeaders": "ExposeHeaders", "maxAge": "MaxAge", "allowCredentials": "AllowCredentials"}  # fmt: skip
_INTEGRATION = {"uri": "IntegrationUri", "credentials": "CredentialsArn",
                "connectionType": "ConnectionType", "connectionId": "ConnectionId", "description": "Description",
                "requestParameters": "RequestParameters", "responseParameters": "ResponseParameters",
                "tlsConfig": "TlsConfig", "integrationSubtype": "IntegrationSubtype"}  # fmt: skip


_AUTHORIZER = {"authorizerUri": "AuthorizerUri", "authorizerCredentials": "AuthorizerCredentialsArn",
               "authorizerPayloadFormatVersion": "AuthorizerPayloadFormatVersion",
               "authorizerResultTtlInSeconds": "AuthorizerResultTtlInSeconds",
               "enableSimpleResponses": "EnableSimpleResponses"}  # fmt: skip


@dataclass
class _Imported:
    settings: Result
    tags: dict[str, str]
    routes: dict[str, Result] = field(default_factory=dict)
    integrations: dict[str, Result] = field(default_factory=dict)
    authorizers: dict[str, Result] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def definition(self) -> Definition:
        return Definition(routes=self.routes, integrations=self.integrations, authorizers=self.authorizers)


def import_api(ctx: Context, req: shapes.ImportApiRequest) -> shapes.ImportApiResult:
    """Make an HTTP API from an OpenAPI 3 document in JSON or YAML; stages are made apart.

    Raises: BadRequestException, also for warnings with FailOnWarnings; NotImplementedOnCumulet for what the document asks
    and Cumulet does not honour. Source: API Gateway V2 API reference, ImportApi.
    """
    out = _read(ctx, req)
    api = new_api(ctx, {**out.settings, "Tags": out.tags})
    ctx.tx.put(definition_key(api.id), out.definition())
    return cast("shapes.ImportApiResult", _answer(describe_api(api), out))


def reimport_api(ctx: Context, req: shapes.ReimportApiRequest) -> shapes.ReimportApiResult:
    """Overwrite an HTTP API with a document; stages stay, and deploy it where they deploy automatically.

    Raises: NotFoundException; as ImportApi. Source: API Gateway V2 API reference, ReimportApi.
    """
    api = api_at(ctx, req["ApiId"])
    out = _read(ctx, req)
    kept = {
        name: value
        for name, value in api.settings.items()
        if name not in ("CorsConfiguration", "Description", "Version")
    }
    settings = {**kept, **out.settings}
    check_api(settings)
    api = replace(api, settings=settings, tags={**api.tags, **out.tags})
    ctx.tx.put(api_key(api.id), api)
    ctx.tx.put(definition_key(api.id), out.definition())
    changed(ctx, api.id)
    return cast("shapes.ReimportApiResult", _answer(describe_api(api), out))


def _answer(result: Result, out: _Imported) -> Result:
    return {**result, "Warnings": out.warnings, "ImportInfo": out.warnings} if out.warnings else result


def _read(ctx: Context, req: Mapping[str, Any]) -> _Imported:
    if req.get("Basepath", "ignore") != "ignore":
        raise not_honoured(f"import basepath {req['Basepath']}")
    out = _Importer(_load(req["Body"]), ctx.ids).run()
    if out.warnings and req.get("FailOnWarnings"):
        raise BadRequestException("Warnings found during import:\n\t" + "\n\t".join(out.warnings))
    return out


def _load(body: str) -> Result:
    import yaml  # late: most APIs come as JSON, or piece by piece

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = read_json(body) if body.lstrip()[:1] == "{" else yaml.load(body, Loader=loader)
    except (ValueError, yaml.YAMLError) as error:
        raise BadRequestException("Unable to parse API definition because of a malformed document") from error
    if not isinstance(document, dict) or not str(document.get("openapi", "")).startswith("3."):
        raise BadRequestException("Invalid OpenAPI input: HTTP APIs are defined with OpenAPI 3.")
    return document


class _Importer:
    def __init__(self, document: Result, ids: Ids) -> None:
        self._document = document
        self._ids = ids
        self._shared: dict[str, str] = {}  # reference -> integration id

    def run(self) -> _Imported:
        document = self._document
        info = document.get("info") or {}
        settings: Result = {"Name": str(info.get("title") or "Untitled"), "ProtocolType": "HTTP"}
        for source, member in (("description", "Description"), ("version", "Version")):
            if info.get(source) is not None:
                settings[member] = str(info[source])
        cors = document.get("x-amazon-apigateway-cors")
        if cors:
            settings["CorsConfiguration"] = {_CORS[name]: value for name, value in cors.items() if name in _CORS}
        endpoint = document.get("x-amazon-apigateway-endpoint-configuration") or {}
        if "disableExecuteApiEndpoint" in endpoint:
            settings["DisableExecuteApiEndpoint"] = bool(endpoint["disableExecuteApiEndpoint"])
        tags = {tag["name"]: str(tag["x-amazon-apigateway-tag-value"]) for tag in document.get("tags") or []
                if "x-amazon-apigateway-tag-value" in tag}  # fmt: skip
        out = _Imported(settings, tags)
        for path, item in (document.get("paths") or {}).items():
            for name in _METHODS:
                if name in (item or {}):
                    self._route(out, path, "ANY" if name == _ANY else name.upper(), item[name] or {})
        return out

    def _route(self, out: _Imported, path: str, method: str, operation: Result) -> None:
        key = "$default" if path.lstrip("/") == "$default" else f"{method} {path}"
        route: Result = {"RouteId": self._ids.lower(7), "RouteKey": key, "ApiKeyRequired": False,
                         **self._authorization(out, operation)}  # fmt: skip
        if operation.get("operationId"):
            route["OperationName"] = str(operation["operationId"])
        source = operation.get("x-amazon-apigateway-integration")
        if source is None:
            out.warnings.append(f"No integration defined for route '{key}'")
        else:
            route["Target"] = f"integrations/{self._integration(out, source)}"
        check_route(out.definition(), route)
        out.routes[route["RouteId"]] = route

    def _authorization(self, out: _Imported, operation: Result) -> Result:
        schemes = (self._document.get("components") or {}).get("securitySchemes") or {}
        kind = operation.get("x-amazon-apigateway-auth", {}).get("type")
        if kind is not None:
            return {"AuthorizationType": str(kind).upper()}
        for requirement in operation.get("security") or []:
            for name in requirement:
                scheme = schemes.get(name, {})
                if scheme.get("x-amazon-apigateway-authtype") == "awsSigv4":
                    return {"AuthorizationType": "AWS_IAM"}
                if "x-amazon-apigateway-authorizer" in scheme:
                    id_ = self._authorizer(out, name, scheme["x-amazon-apigateway-authorizer"])
                    return {"AuthorizationType": "CUSTOM", "AuthorizerId": id_}
                if name != "NONE":
                    raise not_honoured(f"security {name}")
        return {"AuthorizationType": "NONE"}

    def _authorizer(self, out: _Imported, name: str, source: Result) -> str:
        known = next((id_ for id_, one in out.authorizers.items() if one["Name"] == name), None)
        if known is not None:
            return known
        authorizer: Result = {"AuthorizerId": self._ids.lower(6), "Name": name,
                              "AuthorizerType": str(source.get("type", "")).upper()}  # fmt: skip
        for key, member in _AUTHORIZER.items():
            if source.get(key) is not None:
                authorizer[member] = source[key]
        if "AuthorizerPayloadFormatVersion" in authorizer:
            authorizer["AuthorizerPayloadFormatVersion"] = str(authorizer["AuthorizerPayloadFormatVersion"])
        if "AuthorizerResultTtlInSeconds" in authorizer:
            authorizer["AuthorizerResultTtlInSeconds"] = int(authorizer["AuthorizerResultTtlInSeconds"])
        given = source.get("identitySource") or []
        sources = given.split(",") if isinstance(given, str) else given
        authorizer["IdentitySource"] = [one.strip() for one in sources if one.strip()]
        check_authorizer(authorizer)
        out.authorizers[authorizer["AuthorizerId"]] = authorizer
        return str(authorizer["AuthorizerId"])

    def _integration(self, out: _Imported, source: Any) -> str:
        reference = source.get("$ref") if isinstance(source, dict) else None
        if reference is not None:
            if reference not in self._shared:
                name = re.sub(r"^#/components/x-amazon-apigateway-integrations/", "", reference)
                found = (self._document.get("components") or {}).get("x-amazon-apigateway-integrations", {}).get(name)
                if found is None:
                    raise BadRequestException(f"Invalid reference: {reference}")
                self._shared[reference] = self._integration(out, found)
            return self._shared[reference]
        integration: Result = {
            member: _strings(source[name]) for name, member in _INTEGRATION.items() if source.get(name) is not None
        }
        integration.update(
            IntegrationId=self._ids.lower(7), IntegrationType=str(source.get("type", "")).upper(),
            PayloadFormatVersion=str(source.get("payloadFormatVersion", "1.0")),
            TimeoutInMillis=int(source.get("timeoutInMillis", 30000)),
        )  # fmt: skip
        if "httpMethod" in source:
            integration["IntegrationMethod"] = str(source["httpMethod"]).upper()
        complete(integration)
        check_integration(integration)
        out.integrations[integration["IntegrationId"]] = integration
        return str(integration["IntegrationId"])


def _strings(value: Any) -> Any:
    """A document's scalars as text, at any depth: YAML makes numbers of statuses and values."""
    if isinstance(value, dict):
        return {str(key): _strings(one) for key, one in value.items()}
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value
