"""What an integration of an HTTP API may say; the same rules for the API and for imports.

Source: API Gateway V2 API reference, CreateIntegration; developer guide, "Create integrations for HTTP APIs" (read 2026-11).
"""

from __future__ import annotations

import re

from cumulet.kernel.outcome import Result
from cumulet.services.apigatewayv2.errors import BadRequestException, not_honoured
from cumulet.services.apigatewayv2.mapping import check_request_mapping, check_response_mapping
from cumulet.services.apigatewayv2.subtypes import check_subtype

TIMEOUT_MIN_MS, TIMEOUT_MAX_MS = 50, 30000
_INVOCATIONS = re.compile(r"arn:aws[a-z-]*:apigateway:[a-z0-9-]+:lambda:path/2015-03-31/functions/(.+)/invocations")
_FUNCTION = re.compile(r"arn:aws[a-z-]*:lambda:[^:]*:[^:]*:function:.+|.*\$\{stageVariables\..+")
_URL = re.compile(r"https?://[^/\s?#]+(?:[/?]\S*)?|https?://\$\{stageVariables\..+|\$\{stageVariables\..+")
_METHODS = ("ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


def function_of(uri: str) -> str | None:
    """The function's ARN (with stage variables, perhaps) of an integration URI, None when it names no function."""
    match = _INVOCATIONS.fullmatch(uri)
    if match is not None:
        return match.group(1)
    return uri if _FUNCTION.fullmatch(uri) else None


def kind_of(integration: Result) -> str:
    """Which backend: "function", "service" or "http"."""
    if integration["IntegrationType"] == "HTTP_PROXY":
        return "http"
    return "service" if integration.get("IntegrationSubtype") else "function"


def complete(integration: Result) -> Result:
    """An integration with the defaults of its kind."""
    integration.setdefault("ConnectionType", "INTERNET")
    integration.setdefault("TimeoutInMillis", TIMEOUT_MAX_MS)
    if kind_of(integration) != "function":
        integration.setdefault("PayloadFormatVersion", "1.0")
    return integration


def check_integration(integration: Result) -> None:
    """Raises: BadRequestException, NotImplementedOnCumulet."""
    kind = integration["IntegrationType"]
    if kind in ("AWS", "HTTP", "MOCK"):
        raise BadRequestException(f"Integration type {kind} is not supported for protocol type HTTP")
    if integration.get("ConnectionType", "INTERNET") != "INTERNET" or integration.get("ConnectionId"):
        raise not_honoured("ConnectionType VPC_LINK")
    if integration.get("TlsConfig"):
        raise not_honoured("integration TlsConfig")
    for name in ("ContentHandlingStrategy", "PassthroughBehavior", "RequestTemplates", "TemplateSelectionExpression"):
        if integration.get(name):
            raise BadRequestException(f"{name} is not supported for protocol type HTTP")
    if not TIMEOUT_MIN_MS <= integration.get("TimeoutInMillis", TIMEOUT_MAX_MS) <= TIMEOUT_MAX_MS:
        raise BadRequestException("TimeoutInMillis should be between 50 and 30000")
    check_response_mapping(integration.get("ResponseParameters") or {})
    backend = kind_of(integration)
    if backend == "service":
        _check_version(integration, "1.0")
        check_subtype(integration)
        return
    check_request_mapping(integration.get("RequestParameters") or {})
    if integration.get("CredentialsArn"):
        raise not_honoured("integration CredentialsArn of a function or a URL")
    if backend == "http":
        _check_http(integration)
    else:
        _check_function(integration)


def _check_http(integration: Result) -> None:
    if integration.get("IntegrationSubtype"):
        raise BadRequestException("IntegrationSubtype is supported for integration type AWS_PROXY only")
    _check_version(integration, "1.0")
    if not _URL.fullmatch(integration.get("IntegrationUri") or ""):
        raise BadRequestException("Invalid HTTP endpoint specified for URI")
    if integration.get("IntegrationMethod", "ANY") not in _METHODS:
        raise BadRequestException(f"Invalid HttpMethod specified. Valid options are {','.join(_METHODS)}")


def _check_function(integration: Result) -> None:
    uri = integration.get("IntegrationUri")
    if not uri or function_of(uri) is None:
        raise BadRequestException("Invalid integration URI specified; the URI must be the ARN of a Lambda function")
    _check_version(integration, "1.0", "2.0")


def _check_version(integration: Result, *known: str) -> None:
    if integration.get("PayloadFormatVersion") not in known:
        raise BadRequestException(f"PayloadFormatVersion is a required parameter for integration type "
                                  f"{integration['IntegrationType']}, one of {', '.join(known)}")  # fmt: skip
