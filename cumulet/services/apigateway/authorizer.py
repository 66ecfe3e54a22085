"""What an authorizer of a REST API may say; the same rules for the API and for imports.

Source: API Gateway API reference, CreateAuthorizer; developer guide, "Use API Gateway Lambda authorizers" (read 2026-11).
"""

from __future__ import annotations

import re

from cumulet.kernel.outcome import Result
from cumulet.services.apigateway.checks import function_of
from cumulet.services.apigateway.errors import BadRequestException, not_honoured

TTL_MAX_S = 3600
_TOKEN_SOURCE = re.compile(r"method\.request\.header\.\S+")
_SOURCE = re.compile(r"method\.request\.(?:header|querystring)\.\S+|stageVariables\.\S+|context\.\S+")


def check_authorizer(authorizer: Result) -> None:
    """Raises: BadRequestException, NotImplementedOnCumulet."""
    kind = authorizer["type"]
    if kind in ("COGNITO_USER_POOLS", "JWT") or authorizer.get("providerARNs") or authorizer.get("jwtConfiguration"):
        raise not_honoured(f"authorizer type {kind}")
    uri = authorizer.get("authorizerUri") or ""
    if function_of(uri) is None:
        raise BadRequestException(f"Invalid Authorizer URI: {uri}. Authorizer URI should be a valid API Gateway ARN that "
                                  "represents a Lambda function invocation.")  # fmt: skip
    ttl_s = authorizer.get("authorizerResultTtlInSeconds", 300)
    if not 0 <= ttl_s <= TTL_MAX_S:
        raise BadRequestException(f"Authorizer result TTL in seconds must be between 0 and {TTL_MAX_S}")
    given = sources_of(authorizer)
    form = _TOKEN_SOURCE if kind == "TOKEN" else _SOURCE
    if (kind == "TOKEN" and len(given) != 1) or (ttl_s and not given):
        raise BadRequestException("Identity source must be specified for TOKEN authorizers, and for REQUEST authorizers with "
                                  "caching enabled")  # fmt: skip
    for source in given:
        if not form.fullmatch(source):
            raise BadRequestException(f"Invalid mapping expression specified: {source}")
    expression = authorizer.get("identityValidationExpression")
    if expression:
        if kind != "TOKEN":
            raise BadRequestException("Identity validation expression is supported for TOKEN authorizers only")
        try:
            re.compile(expression)
        except re.error as error:
            raise BadRequestException(f"Invalid identity validation expression: {expression}") from error


def sources_of(authorizer: Result) -> list[str]:
    """The identity sources, one by one."""
    return [part.strip() for part in (authorizer.get("identitySource") or "").split(",") if part.strip()]


def function_name(authorizer: Result) -> str:
    found = function_of(authorizer["authorizerUri"])
    assert found is not None
    return found
