"""What a method, an integration and an integration response may say; the same rules for the API and for imports."""

from __future__ import annotations

import re

from cumulet.kernel.outcome import Result
from cumulet.services.apigateway.errors import BadRequestException, not_honoured
from cumulet.services.apigateway.model import Definition

TIMEOUT_MIN_MS, TIMEOUT_MAX_MS = 50, 29000
_TYPES = ("AWS_PROXY", "AWS", "HTTP", "HTTP_PROXY", "MOCK")
_URL = re.compile(r"https?://[^/\s?#]+(?:[/?]\S*)?|(?:https?://)?\$\{stageVariables\..+")
_PASSTHROUGH = ("WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER")
_FUNCTION = re.compile(r"arn:aws[a-z-]*:apigateway:[a-z0-9-]+:lambda:path/2015-03-31/functions/(.+)/invocations")
_SERVICE = re.compile(r"arn:aws[a-z-]*:apigateway:[a-z0-9-]+:(?:[^:]+\.)?([a-z0-9.-]+):(path|action)/(.*)", re.DOTALL)
_PARAMETER = re.compile(r"(?:method\.request|integration\.response)\.(?:querystring|path|header|multivalueheader|"
                        r"multivaluequerystring)\.[^\s]+|(?:method\.request|integration\.response)\.body(?:\..+|\[.+)?|"
                        r"context\..+|stageVariables\..+|'.*'", re.DOTALL)  # fmt: skip


def function_of(uri: str) -> str | None:
    """The function's ARN (with stage variables, perhaps) of an integration URI, None when it names no function."""
    match = _FUNCTION.fullmatch(uri)
    return match.group(1) if match else None


def service_of(uri: str) -> tuple[str, str, str] | None:
    """(service, "path" or "action", the rest) of an integration URI."""
    match = _SERVICE.fullmatch(uri)
    return (match.group(1), match.group(2), match.group(3)) if match else None


def check_method(definition: Definition, method: Result) -> None:
    """Raises: BadRequestException, NotImplementedOnCumulet."""
    kind = method.get("authorizationType", "NONE")
    if kind == "COGNITO_USER_POOLS":
        raise not_honoured(f"authorizationType {kind}")
    if kind not in ("NONE", "AWS_IAM", "CUSTOM"):
        raise BadRequestException("Invalid authorization type specified. Valid options are [CUSTOM, AWS_IAM, NONE, "
                                  "COGNITO_USER_POOLS]")  # fmt: skip
    if method.get("authorizationScopes"):
        raise not_honoured("authorizationScopes")
    if kind == "CUSTOM" and method.get("authorizerId") not in definition.authorizers:
        raise BadRequestException("Invalid authorizer ID specified. Setting the authorization type to CUSTOM or "
                                  "COGNITO_USER_POOLS requires a valid authorizer.")  # fmt: skip
    for name in method.get("requestParameters", {}):
        if not re.fullmatch(
            r"method\.request\.(querystring|header|path|multivaluequerystring|multivalueheader)\.\S+", name
        ):
            raise BadRequestException(f"Invalid mapping expression specified: {name}")
    for model in method.get("requestModels", {}).values():
        if model not in definition.models and model not in ("Empty", "Error"):
            raise BadRequestException(f"Invalid model identifier specified: {model}")
    validator = method.get("requestValidatorId")
    if validator and validator not in definition.validators:
        raise BadRequestException("Invalid Request Validator identifier specified")


def check_integration(integration: Result) -> None:
    """Raises: BadRequestException, NotImplementedOnCumulet."""
    kind = integration["type"]
    if kind not in _TYPES:
        raise BadRequestException(f"Invalid integration type specified. Valid options are [{', '.join(_TYPES)}]")
    if integration.get("connectionType", "INTERNET") != "INTERNET" or integration.get("connectionId"):
        raise not_honoured("connectionType VPC_LINK")
    if integration.get("tlsConfig"):
        raise not_honoured("tlsConfig")
    if integration.get("cacheKeyParameters"):
        raise not_honoured("cacheKeyParameters (caching)")
    if integration.get("responseTransferMode", "BUFFERED") != "BUFFERED":
        raise not_honoured("responseTransferMode STREAM")
    if integration.get("integrationTarget"):
        raise not_honoured("integrationTarget")
    if integration.get("contentHandling") == "CONVERT_TO_BINARY" and kind == "AWS_PROXY":
        raise not_honoured(
            "contentHandling CONVERT_TO_BINARY of a proxy integration"
        )  # to text is what proxies do anyway
    if integration.get("passthroughBehavior", "NEVER") not in _PASSTHROUGH:
        raise BadRequestException("Invalid passthrough behavior specified")
    timeout_ms = integration.get("timeoutInMillis", TIMEOUT_MAX_MS)
    if not TIMEOUT_MIN_MS <= timeout_ms <= TIMEOUT_MAX_MS:
        raise BadRequestException("Timeout should be between 50 ms and 29000 ms")
    for target, source in integration.get("requestParameters", {}).items():
        _check_mapping(target, source, "integration.request.")
    if kind != "MOCK":
        _check_uri(integration, kind)


def _check_uri(integration: Result, kind: str) -> None:
    uri = integration.get("uri")
    if not integration.get("httpMethod"):
        raise BadRequestException("Enumeration value for HttpMethod must be non-empty")
    if kind in ("HTTP", "HTTP_PROXY"):
        if not _URL.fullmatch(uri or ""):
            raise BadRequestException("Invalid HTTP endpoint specified for URI")
        return
    if not uri or service_of(uri) is None:
        raise BadRequestException("Invalid ARN specified in the request")
    if kind == "AWS_PROXY" and function_of(uri) is None:
        raise BadRequestException("Integrations of type 'AWS_PROXY' currently only supports Lambda function and Firehose "
                                  "stream invocations.")  # fmt: skip


def check_integration_response(method: Result, response: Result) -> None:
    """Raises: BadRequestException for a pattern that is no regular expression, or a mapping that cannot be."""
    pattern = response.get("selectionPattern")
    if pattern:
        try:
            re.compile(pattern)
        except re.error as error:
            raise BadRequestException(f"Invalid selection pattern specified: {pattern}") from error
    declared = method.get("methodResponses", {}).get(response["statusCode"], {}).get("responseParameters", {})
    for target, source in response.get("responseParameters", {}).items():
        _check_mapping(target, source, "method.response.header.")
        if target not in declared:
            raise BadRequestException(f"Invalid mapping expression parameter specified: {target}")


def _check_mapping(target: str, source: str, prefix: str) -> None:
    if not target.startswith(prefix):
        raise BadRequestException(f"Invalid mapping expression specified: {target}")
    if not _PARAMETER.fullmatch(source):
        raise BadRequestException(f"Invalid mapping expression specified: {source}")


def check_gateway_response(custom: Result) -> None:
    """Raises: BadRequestException."""
    status = custom.get("statusCode")
    if status is not None and not re.fullmatch(r"[1-5]\d\d", str(status)):
        raise BadRequestException(f"Invalid status code: {status}")
    for target, source in custom.get("responseParameters", {}).items():
        if not target.startswith("gatewayresponse.header.") or not _PARAMETER.fullmatch(source):
            raise BadRequestException(f"Invalid mapping expression specified: {target}")
