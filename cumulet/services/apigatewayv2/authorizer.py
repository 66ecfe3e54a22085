"""What an authorizer of an HTTP API may say; the same rules for the API and for imports.

Source: API Gateway V2 API reference, CreateAuthorizer; developer guide, "Control access to HTTP APIs with AWS Lambda
authorizers" (read 2026-11).
"""

from __future__ import annotations

import re

from cumulet.kernel.outcome import Result
from cumulet.services.apigatewayv2.errors import BadRequestException, not_honoured
from cumulet.services.apigatewayv2.integration import function_of

TTL_MAX_S = 3600
_SOURCE = re.compile(r"\$(?:request\.(?:header|querystring)|context|stageVariables)\.\S+")


def check_authorizer(authorizer: Result) -> None:
    """Raises: BadRequestException, NotImplementedOnCumulet."""
    kind = authorizer["AuthorizerType"]
    if kind == "JWT" or authorizer.get("JwtConfiguration"):
        raise not_honoured("AuthorizerType JWT")
    if authorizer.get("IdentityValidationExpression"):
        raise BadRequestException("IdentityValidationExpression is not supported for protocol type HTTP")
    if not function_of(authorizer.get("AuthorizerUri") or ""):
        raise BadRequestException("Invalid Authorizer URI. The URI must be a well-formed Lambda function URI")
    version = authorizer.get("AuthorizerPayloadFormatVersion")
    if version not in ("1.0", "2.0"):
        raise BadRequestException("AuthorizerPayloadFormatVersion is a required parameter for REQUEST authorizers, one of "
                                  "1.0, 2.0")  # fmt: skip
    if authorizer.get("EnableSimpleResponses") and version != "2.0":
        raise BadRequestException("EnableSimpleResponses is supported for AuthorizerPayloadFormatVersion 2.0 only")
    sources = authorizer.get("IdentitySource") or []
    for source in sources:
        if not _SOURCE.fullmatch(source):
            raise BadRequestException(f"Invalid identity source specified: {source}")
    ttl_s = authorizer.get("AuthorizerResultTtlInSeconds", 0)
    if not 0 <= ttl_s <= TTL_MAX_S:
        raise BadRequestException(f"AuthorizerResultTtlInSeconds should be between 0 and {TTL_MAX_S}")
    if ttl_s and not sources:
        raise BadRequestException("IdentitySource must be specified to cache authorizer results")
