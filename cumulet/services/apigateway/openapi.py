"""An OpenAPI 3 or Swagger 2 document with API Gateway's extensions becomes a definition and settings.

Source: developer guide, "OpenAPI extensions for API Gateway", "Important notes" (root-level security is ignored), and
"Import a REST API to API Gateway" (read 2026-11).
"""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass, field
from typing import Any

from cumulet.aws.jsontext import read_json
from cumulet.kernel.ids import Ids
from cumulet.kernel.outcome import Result
from cumulet.services.apigateway.authorizer import check_authorizer
from cumulet.services.apigateway.checks import (
    check_gateway_response,
    check_integration,
    check_integration_response,
    check_method,
)
from cumulet.services.apigateway.errors import BadRequestException, not_honoured
from cumulet.services.apigateway.model import Definition

_ANY = "x-amazon-apigateway-any-method"
_METHODS = ("get", "put", "post", "delete", "patch", "options", "head", _ANY)
_PLACES = {"query": "querystring", "header": "header", "path": "path"}
_STATUS = re.compile(r"[1-5]\d\d")
_INTEGRATION = ("uri", "httpMethod", "credentials", "requestTemplates", "requestParameters", "contentHandling",
                "timeoutInMillis", "cacheNamespace", "cacheKeyParameters", "connectionId", "connectionType", "tlsConfig",
                "responseTransferMode")  # fmt: skip


@dataclass
class Imported:
    """What a document says: the API's settings and its definition. `warnings` are what was passed over."""

    settings: Result
    resources: dict[str, Result] = field(default_factory=dict)  # by path
    models: dict[str, Result] = field(default_factory=dict)
    validators: dict[str, Result] = field(default_factory=dict)
    gateway_responses: dict[str, Result] = field(default_factory=dict)
    authorizers: dict[str, Result] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def definition(self) -> Definition:
        by_id = {resource["id"]: resource for resource in self.resources.values()}
        return Definition(resources=by_id, models=self.models, validators=self.validators,
                          gateway_responses=self.gateway_responses, authorizers=self.authorizers)  # fmt: skip


def load(body: bytes) -> Result:
    """The document in a JSON or YAML body. Raises: BadRequestException."""
    import yaml  # late: most APIs come as JSON, or piece by piece

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = read_json(body) if body.lstrip()[:1] == b"{" else yaml.load(body, Loader=loader)
    except (ValueError, yaml.YAMLError) as error:
        raise BadRequestException("Unable to parse API definition because of a malformed document") from error
    if not isinstance(document, dict) or not ("swagger" in document or "openapi" in document):
        raise BadRequestException("Invalid OpenAPI input.")
    version = str(document.get("swagger") or document.get("openapi"))
    if version not in ("2.0", "2") and not version.startswith("3."):
        raise BadRequestException(f"Unsupported OpenAPI version: {version}")
    return document


class Importer:
    """Reads one document. `root_id` and `ids_by_path` keep the ids of resources that are there already."""

    def __init__(self, document: Result, ids: Ids, ids_by_path: dict[str, str], base_path: str = "ignore") -> None:
        self._document = document
        self._ids = ids
        self._ids_by_path = ids_by_path
        self._base_path = base_path
        self._out = Imported(self._settings())

    def run(self) -> Imported:
        """Raises: BadRequestException, NotImplementedOnCumulet."""
        document, out = self._document, self._out
        if document.get("x-amazon-apigateway-policy"):
            raise not_honoured("x-amazon-apigateway-policy (a resource policy)")
        schemas = document.get("definitions") or document.get("components", {}).get("schemas") or {}
        for name, schema in schemas.items():
            self._model(name, schema)
        for name, rule in (document.get("x-amazon-apigateway-request-validators") or {}).items():
            id_ = self._ids.lower(6)
            out.validators[id_] = {"id": id_, "name": name, "validateRequestBody": bool(rule.get("validateRequestBody")),
                                   "validateRequestParameters": bool(rule.get("validateRequestParameters"))}  # fmt: skip
        for kind, custom in (document.get("x-amazon-apigateway-gateway-responses") or {}).items():
            self._gateway_response(kind, custom)
        self._resource("/")
        prefix = self._prefix()
        for path, item in (document.get("paths") or {}).items():
            self._path((prefix + path) if prefix else path, self._resolved(item))
        return out

    def _settings(self) -> Result:
        document = self._document
        info = document.get("info") or {}
        settings: Result = {"name": str(info.get("title") or "Untitled")}
        for member, source in (("description", "description"), ("version", "version")):
            if info.get(source) is not None:
                settings[member] = str(info[source])
        extensions = {
            "binaryMediaTypes": "x-amazon-apigateway-binary-media-types",
            "minimumCompressionSize": "x-amazon-apigateway-minimum-compression-size",
            "apiKeySource": "x-amazon-apigateway-api-key-source",
        }
        settings.update({name: document[key] for name, key in extensions.items() if document.get(key) is not None})
        endpoint = document.get("x-amazon-apigateway-endpoint-configuration") or {}
        if endpoint.get("vpcEndpointIds"):
            raise not_honoured("a PRIVATE endpoint")
        if "disableExecuteApiEndpoint" in endpoint:
            settings["disableExecuteApiEndpoint"] = bool(endpoint["disableExecuteApiEndpoint"])
        return settings

    def _prefix(self) -> str:
        if self._base_path == "ignore":
            return ""
        if self._base_path != "prepend":
            raise not_honoured(f"import parameter basepath={self._base_path}")
        base = self._document.get("basePath")
        if base is None:
            server = next(iter(self._document.get("servers") or [{"url": "/"}]))
            base = (
                server.get("variables", {}).get("basePath", {}).get("default")
                or "/" + server["url"].partition("://")[2].partition("/")[2]
            )
        return "/" + str(base).strip("/") if str(base).strip("/") else ""

    def _resolved(self, value: Any) -> Any:
        """What a local `$ref` points at, or the value itself."""
        for _ in range(20):
            if not isinstance(value, dict) or not str(value.get("$ref", "")).startswith("#/"):
                return value
            found: Any = self._document
            for part in value["$ref"][2:].split("/"):
                found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
            if found is None:
                raise BadRequestException(f"Invalid reference: {value['$ref']}")
            value = found
        raise BadRequestException("Circular reference in the API definition")

    def _model(self, name: str, schema: Result) -> None:
        text = json.dumps({"$schema": "http://json-schema.org/draft-04/schema#", **schema}, default=str)
        text = re.sub(
            r'"#/(?:definitions|components/schemas)/([^"]+)"', r'"https://apigateway.amazonaws.com/models/\1"', text
        )
        self._out.models[name] = {
            "id": self._ids.lower(6),
            "name": name,
            "contentType": "application/json",
            "schema": text,
        }

    def _gateway_response(self, kind: str, custom: Result) -> None:
        response: Result = {}
        if custom.get("statusCode") is not None:
            response["statusCode"] = str(custom["statusCode"])
        for name in ("responseParameters", "responseTemplates"):
            if custom.get(name):
                response[name] = {key: str(value) for key, value in custom[name].items()}
        check_gateway_response(response)
        self._out.gateway_responses[kind] = response

    def _resource(self, path: str) -> Result:
        found = self._out.resources.get(path)
        if found is not None:
            return found
        resource: Result = {"id": self._ids_by_path.get(path) or self._ids.lower(6), "path": path}
        if path != "/":
            above, _, part = path.rpartition("/")
            parent = self._resource(above or "/")
            if parent.get("pathPart", "").endswith("+}"):
                raise BadRequestException(
                    f"Unable to create resource at path '{path}': the parent is a greedy path variable"
                )
            resource.update(parentId=parent["id"], pathPart=part)
        self._out.resources[path] = resource
        return resource

    def _path(self, path: str, item: Result) -> None:
        path = path.rstrip("/") or "/"
        if not path.startswith("/"):
            raise BadRequestException(f"Invalid path: {path}")
        resource = self._resource(path)
        for name in _METHODS:
            if name in item:
                method = "ANY" if name == _ANY else name.upper()
                operation = self._resolved(item[name]) or {}
                try:
                    made = self._method(method, operation, item.get("parameters") or [], resource)
                except BadRequestException as error:
                    raise BadRequestException(f"Errors found during import:\n\tUnable to put method '{method}' on resource at "
                                              f"path '{path}': {error.message}") from error  # fmt: skip
                resource.setdefault("resourceMethods", {})[method] = made
                if "methodIntegration" not in made:
                    self._out.warnings.append(
                        f"No integration defined for method '{method}' on resource at path '{path}'"
                    )

    def _method(self, name: str, operation: Result, shared: list[Any], resource: Result) -> Result:
        method: Result = {
            "httpMethod": name,
            "apiKeyRequired": False,
            **self._authorization(operation),
        }
        if operation.get("operationId"):
            method["operationName"] = str(operation["operationId"])
        self._inputs(
            method, operation, [self._resolved(one) for one in [*shared, *(operation.get("parameters") or [])]]
        )
        chosen = operation.get("x-amazon-apigateway-request-validator",
                               self._document.get("x-amazon-apigateway-request-validator"))  # fmt: skip
        if chosen is not None:
            ids = [id_ for id_, rule in self._out.validators.items() if rule["name"] == chosen]
            if not ids:
                raise BadRequestException(f"Invalid request validator specified: {chosen}")
            method["requestValidatorId"] = ids[0]
        check_method(self._out.definition(), method)
        responses = self._responses(operation)
        if responses:
            method["methodResponses"] = responses
        source = operation.get("x-amazon-apigateway-integration")
        if source is not None:
            method["methodIntegration"] = self._integration(method, self._resolved(source), resource)
        return method

    def _authorization(self, operation: Result) -> Result:
        schemes = (self._document.get("securityDefinitions")
                   or self._document.get("components", {}).get("securitySchemes") or {})  # fmt: skip
        kind = operation.get("x-amazon-apigateway-auth", {}).get("type")
        if kind is not None:
            return {"authorizationType": str(kind).upper()}
        found: Result = {}
        for requirement in operation.get("security") or []:
            for name in requirement:
                scheme = schemes.get(name, {})
                if scheme.get("x-amazon-apigateway-authtype") == "awsSigv4":
                    found.setdefault("authorizationType", "AWS_IAM")
                elif "x-amazon-apigateway-authorizer" in scheme:
                    if "authorizationType" not in found:
                        found.update(authorizationType="CUSTOM", authorizerId=self._authorizer(name, scheme))
                elif scheme.get("type") == "apiKey" and str(scheme.get("name", "")).lower() == "x-api-key":
                    found["apiKeyRequired"] = True
                elif name != "NONE":
                    raise not_honoured(f"security {name} (a scheme of type {scheme.get('type')})")
        return {"authorizationType": "NONE", **found}

    def _authorizer(self, name: str, scheme: Result) -> str:
        """The id of a scheme's authorizer; a TOKEN authorizer's header is the scheme's where it names no source itself."""
        known = next((id_ for id_, one in self._out.authorizers.items() if one["name"] == name), None)
        if known is not None:
            return known
        source = scheme["x-amazon-apigateway-authorizer"]
        authorizer: Result = {"id": self._ids.lower(6), "name": name, "type": str(source.get("type", "")).upper(),
                              "authorizerResultTtlInSeconds": int(source.get("authorizerResultTtlInSeconds", 300))}  # fmt: skip
        if "x-amazon-apigateway-authtype" in scheme:
            authorizer["authType"] = str(scheme["x-amazon-apigateway-authtype"])
        members = (
            "authorizerUri",
            "authorizerCredentials",
            "identitySource",
            "identityValidationExpression",
            "providerARNs",
        )
        authorizer.update({member: source[member] for member in members if source.get(member) is not None})
        if authorizer["type"] == "TOKEN" and scheme.get("in") == "header":
            authorizer.setdefault("identitySource", f"method.request.header.{scheme.get('name')}")
        check_authorizer(authorizer)
        self._out.authorizers[authorizer["id"]] = authorizer
        return str(authorizer["id"])

    def _inputs(self, method: Result, operation: Result, parameters: list[Result]) -> None:
        declared, models = {}, {}
        for parameter in parameters:
            place = _PLACES.get(parameter.get("in", ""))
            if place:
                declared[f"method.request.{place}.{parameter['name']}"] = bool(
                    parameter.get("required", place == "path")
                )
            elif parameter.get("in") == "body" and parameter.get("schema"):
                for media in operation.get("consumes") or self._document.get("consumes") or ["application/json"]:
                    models[media] = self._schema(parameter["schema"])
        for media, content in (self._resolved(operation.get("requestBody") or {}).get("content") or {}).items():
            if content.get("schema"):
                models[media] = self._schema(content["schema"])
        if declared:
            method["requestParameters"] = declared
        if models:
            method["requestModels"] = models

    def _schema(self, schema: Result) -> str:
        """The name of a schema's model; an inline schema becomes a model of its own."""
        reference = str(schema.get("$ref", ""))
        if reference:
            return reference.rpartition("/")[2]
        name = f"MODEL{self._ids.hex(6)}"
        self._model(name, schema)
        return name

    def _responses(self, operation: Result) -> Result:
        found: Result = {}
        for status, response in (operation.get("responses") or {}).items():
            if not _STATUS.fullmatch(str(status)):
                continue
            response = self._resolved(response) or {}  # noqa: PLW2901
            one: Result = {"statusCode": str(status)}
            headers = {f"method.response.header.{name}": False for name in response.get("headers") or {}}
            if headers:
                one["responseParameters"] = headers
            found[str(status)] = one
        return found

    def _integration(self, method: Result, source: Result, resource: Result) -> Result:
        integration: Result = {"type": str(source.get("type", "")).upper()}
        integration.update({name: copy.deepcopy(source[name]) for name in _INTEGRATION if source.get(name) is not None})
        if "passthroughBehavior" in source:
            integration["passthroughBehavior"] = str(source["passthroughBehavior"]).upper()
        if "timeoutInMillis" in integration:
            integration["timeoutInMillis"] = int(integration["timeoutInMillis"])
        check_integration(integration)
        integration.setdefault("passthroughBehavior", "WHEN_NO_MATCH")
        integration.setdefault("timeoutInMillis", 29000)
        integration.setdefault("cacheNamespace", resource["id"])
        integration.setdefault("cacheKeyParameters", [])
        for pattern, response in (source.get("responses") or {}).items():
            one: Result = {"statusCode": str(response.get("statusCode", "200"))}
            if pattern != "default":
                one["selectionPattern"] = str(pattern)
            for name in ("responseParameters", "responseTemplates", "contentHandling"):
                if response.get(name):
                    one[name] = copy.deepcopy(response[name])
            check_integration_response(method, one)
            integration.setdefault("integrationResponses", {})[one["statusCode"]] = one
        return integration
