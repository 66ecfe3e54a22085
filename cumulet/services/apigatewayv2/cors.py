"""CORS as an HTTP API is configured: it answers preflight requests itself and owns the CORS headers of all answers.

Source: developer guide, "Configure CORS for HTTP APIs in API Gateway" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.kernel.outcome import Result

_OWNED = frozenset(("access-control-allow-origin", "access-control-allow-headers", "access-control-allow-methods",
                    "access-control-allow-credentials", "access-control-expose-headers", "access-control-max-age"))  # fmt: skip


def is_preflight(http: HttpRequest) -> bool:
    return http.method == "OPTIONS" and "origin" in http.headers and "access-control-request-method" in http.headers


def preflight(cors: Result, http: HttpRequest, request_id: str) -> HttpResponse:
    """The answer to a preflight request: 204, with CORS headers when the origin and the method are allowed."""
    headers = [("Apigw-Requestid", request_id)]
    origin = _allowed(cors, http)
    wanted = http.headers["access-control-request-method"]
    methods = cors.get("AllowMethods") or []
    if origin is None or ("*" not in methods and wanted not in methods):
        return HttpResponse(204, headers)
    headers.extend(_origin_headers(cors, origin))
    headers.append(("Access-Control-Allow-Methods", ",".join(methods)))
    if cors.get("AllowHeaders"):
        headers.append(("Access-Control-Allow-Headers", ",".join(name.lower() for name in cors["AllowHeaders"])))
    if "MaxAge" in cors:
        headers.append(("Access-Control-Max-Age", str(cors["MaxAge"])))
    return HttpResponse(204, headers)


def apply(cors: Result, http: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The response with the API's CORS headers in place of the integration's."""
    headers = [pair for pair in response.headers if pair[0].lower() not in _OWNED]
    origin = _allowed(cors, http)
    if origin is not None:
        headers.extend(_origin_headers(cors, origin))
        if cors.get("ExposeHeaders"):
            headers.append(("Access-Control-Expose-Headers", ",".join(cors["ExposeHeaders"])))
    return HttpResponse(response.status, headers, response.body)


def _allowed(cors: Result, http: HttpRequest) -> str | None:
    """What Access-Control-Allow-Origin says to this request's origin; None when it is not allowed, or there is none."""
    origin = http.headers.get("origin")
    if origin is None:
        return None
    allowed: Sequence[str] = cors.get("AllowOrigins") or ()
    if "*" in allowed:
        return "*"
    return origin if any(fnmatchcase(origin, pattern) for pattern in allowed) else None


def _origin_headers(cors: Result, origin: str) -> list[tuple[str, str]]:
    headers = [("Access-Control-Allow-Origin", origin)]
    if cors.get("AllowCredentials"):
        headers.append(("Access-Control-Allow-Credentials", "true"))
    return headers
