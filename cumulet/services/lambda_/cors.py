"""Cross-origin headers of function URLs, which Lambda adds itself where the URL's configuration says so.

Source: Lambda developer guide, "Cross-origin resource sharing (CORS)" under function URLs (read 2026-11).
"""

from __future__ import annotations

from typing import Any

from cumulet.aws.http import HttpRequest

Headers = list[tuple[str, str]]


def is_preflight(request: HttpRequest) -> bool:
    """Whether a browser asks what it may do."""
    return request.method == "OPTIONS" and "access-control-request-method" in request.headers


def headers(config: dict[str, Any], request: HttpRequest) -> Headers:
    """The headers of an answer to a request from an allowed origin."""
    origin = _allowed_origin(config, request)
    if origin is None:
        return []
    found: Headers = [("Access-Control-Allow-Origin", origin)]
    if origin != "*":
        found.append(("Vary", "Origin"))
    if config.get("AllowCredentials"):
        found.append(("Access-Control-Allow-Credentials", "true"))
    if config.get("ExposeHeaders"):
        found.append(("Access-Control-Expose-Headers", ",".join(config["ExposeHeaders"])))
    return found


def preflight_headers(config: dict[str, Any], request: HttpRequest) -> Headers:
    """The headers of the answer to a preflight request."""
    found = headers(config, request)
    if not found:
        return []
    methods = config.get("AllowMethods", [])
    if "*" in methods:
        methods = [request.headers["access-control-request-method"]]
    found.append(("Access-Control-Allow-Methods", ",".join(methods)))
    names = config.get("AllowHeaders", [])
    if "*" in names:
        names = [request.headers.get("access-control-request-headers", "*")]
    if names:
        found.append(("Access-Control-Allow-Headers", ",".join(names)))
    if "MaxAge" in config:
        found.append(("Access-Control-Max-Age", str(config["MaxAge"])))
    return found


def _allowed_origin(config: dict[str, Any], request: HttpRequest) -> str | None:
    origin = request.headers.get("origin")
    if origin is None:
        return None
    allowed = config.get("AllowOrigins", [])
    if "*" in allowed:
        return origin if config.get("AllowCredentials") else "*"
    return origin if origin in allowed else None
