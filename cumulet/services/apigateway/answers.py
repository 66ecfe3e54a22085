"""Gateway responses: what API Gateway itself answers when no integration does, as the API customises it.

Source: developer guide, "Gateway response types for API Gateway" (read 2026-11).
"""

from __future__ import annotations

import re

import msgspec

from cumulet.aws.http import HttpResponse
from cumulet.kernel.outcome import Result
from cumulet.services.apigateway.exchange import Exchange, request_context

DEFAULT_STATUS: dict[str, str | None] = {
    "ACCESS_DENIED": "403", "API_CONFIGURATION_ERROR": "500", "AUTHORIZER_CONFIGURATION_ERROR": "500",
    "AUTHORIZER_FAILURE": "500", "BAD_REQUEST_BODY": "400", "BAD_REQUEST_PARAMETERS": "400", "DEFAULT_4XX": None,
    "DEFAULT_5XX": None, "EXPIRED_TOKEN": "403", "INTEGRATION_FAILURE": "504", "INTEGRATION_TIMEOUT": "504",
    "INVALID_API_KEY": "403", "INVALID_SIGNATURE": "403", "MISSING_AUTHENTICATION_TOKEN": "403", "QUOTA_EXCEEDED": "429",
    "REQUEST_TOO_LARGE": "413", "RESOURCE_NOT_FOUND": "404", "THROTTLED": "429", "UNAUTHORIZED": "401",
    "UNSUPPORTED_MEDIA_TYPE": "415", "WAF_FILTERED": "403",
}  # fmt: skip
_EXCEPTIONS = {
    "ACCESS_DENIED": "AccessDeniedException",
    "AUTHORIZER_CONFIGURATION_ERROR": "AuthorizerConfigurationException",
    "AUTHORIZER_FAILURE": "AuthorizerFailureException",
    "BAD_REQUEST_BODY": "BadRequestException",
    "BAD_REQUEST_PARAMETERS": "BadRequestException",
    "INVALID_API_KEY": "ForbiddenException",
    "MISSING_AUTHENTICATION_TOKEN": "MissingAuthenticationTokenException",
    "QUOTA_EXCEEDED": "LimitExceededException",
    "REQUEST_TOO_LARGE": "RequestTooLargeException",
    "THROTTLED": "TooManyRequestsException",
    "UNAUTHORIZED": "UnauthorizedException",
    "UNSUPPORTED_MEDIA_TYPE": "UnsupportedMediaTypeException",
}
_DEFAULT_TEMPLATES = {"application/json": '{"message":$context.error.messageString}'}
_REFERENCE = re.compile(r"\$(context|stageVariables)((?:\.[A-Za-z0-9_]+)+)")


def common_headers(exchange: Exchange) -> list[tuple[str, str]]:
    return [
        ("x-amzn-RequestId", exchange.request_id),
        ("x-amz-apigw-id", exchange.extended_id),
        ("X-Amzn-Trace-Id", exchange.trace),
    ]


def plain(status: int, message: str, exception: str, request_id: str) -> HttpResponse:
    """An answer before any API is known."""
    body = msgspec.json.encode({"message": message})
    headers = [("Content-Type", "application/json"), ("x-amzn-RequestId", request_id), ("x-amzn-ErrorType", exception)]
    return HttpResponse(status, headers, body)


def described(kind: str, custom: Result | None) -> Result:
    """A gateway response in the API's shape: the customised one, or the default."""
    result: Result = {"responseType": kind, "responseParameters": {}, "responseTemplates": dict(_DEFAULT_TEMPLATES)}
    if DEFAULT_STATUS[kind] is not None:
        result["statusCode"] = DEFAULT_STATUS[kind]
    if custom is not None:
        result.update(custom)
        if not custom.get("responseTemplates"):
            result["responseTemplates"] = dict(_DEFAULT_TEMPLATES)
    result["defaultResponse"] = custom is None
    return result


def refuse(exchange: Exchange, kind: str, message: str | None, status: int | None = None) -> HttpResponse:
    """API Gateway's own answer of one type. `status` is its usual status where that is not the type's default."""
    usual = status or int(DEFAULT_STATUS[kind] or 500)
    custom = exchange.deployed.definition.gateway_responses
    chosen = custom.get(kind) or custom.get("DEFAULT_4XX" if usual < 500 else "DEFAULT_5XX") or {}
    code = int(chosen.get("statusCode") or usual)
    exchange.error = {
        "message": message or "",
        "messageString": msgspec.json.encode(message).decode(),
        "responseType": kind,
        "validationErrorString": exchange.error.get("validationErrorString", ""),
    }
    media, template = next(iter((chosen.get("responseTemplates") or _DEFAULT_TEMPLATES).items()))
    headers = common_headers(exchange)
    headers.append(("x-amzn-ErrorType", _EXCEPTIONS.get(kind, "InternalServerErrorException")))
    headers.append(("Content-Type", media))
    for target, source in (chosen.get("responseParameters") or {}).items():
        value = _value(exchange, source)
        if value is not None and target.startswith("gatewayresponse.header."):
            name = target.removeprefix("gatewayresponse.header.")
            headers = [pair for pair in headers if pair[0].lower() != name.lower()]
            headers.append((name, value))
    return HttpResponse(code, headers, _render(exchange, template).encode())


def _context(exchange: Exchange) -> Result:
    return {**request_context(exchange), "error": exchange.error}


def _look_up(exchange: Exchange, root: str, names: str) -> str | None:
    found: object = _context(exchange) if root == "context" else exchange.deployed.stage.variables
    for name in names.split(".")[1:]:
        found = found.get(name) if isinstance(found, dict) else None
    return None if found is None else str(found)


def _render(exchange: Exchange, template: str) -> str:
    """Gateway response templates know simple substitution only, no VTL."""
    return _REFERENCE.sub(lambda match: _look_up(exchange, match.group(1), match.group(2)) or "", template)


def _value(exchange: Exchange, source: str) -> str | None:
    """The value of a response parameter's expression."""
    if source.startswith("'"):
        return source.strip("'")
    place, _, name = source.partition(".")
    if place in ("context", "stageVariables"):
        return _look_up(exchange, place, f".{name}")
    if source.startswith("method.request.header."):
        return exchange.header(source.removeprefix("method.request.header."))
    if source.startswith("method.request.querystring."):
        values = exchange.query.get(source.removeprefix("method.request.querystring."))
        return values[-1] if values else None
    if source.startswith("method.request.path."):
        return exchange.path_parameters.get(source.removeprefix("method.request.path."))
    return None
