"""Which requests go to a service's plain HTTP entry: by path (`/_aws/...`) or by host (`{id}.execute-api.*`)."""

from __future__ import annotations

import re

from cumulet.aws.http import DoorRequest, HttpRequest

_BY_HOST = frozenset(("execute-api", "lambda-url", "cloudfront"))
_WEBSITE = re.compile(r"^(.+)\.s3-website[.-][^/]+$")


def find(request: HttpRequest) -> tuple[str, DoorRequest] | None:
    """(door, request for it), or None for a request that is none of a door's."""
    if request.path.startswith("/_aws/"):
        door, _, after = request.path[6:].partition("/")
        target, slash, rest = after.partition("/")
        return (door, _door_request(request, target, slash + rest)) if door and target else None
    host = request.headers.get("host", "")
    if ".s3-website" in host:
        found = _WEBSITE.match(host.lower())
        if found is not None:  # a bucket's name may have dots
            return "s3-website", _door_request(request, found[1], request.path)
    target, dot, domain = host.partition(".")
    if not dot or not target or target.isdigit():
        return None
    door = domain.partition(".")[0].partition(":")[0].lower()
    return (door, _door_request(request, target.lower(), request.path)) if door in _BY_HOST else None


def signed(request: HttpRequest) -> bool:
    """Whether the caller signed the request as AWS callers do."""
    return (
        request.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256") or "X-Amz-Signature=" in request.query
    )


def _door_request(request: HttpRequest, target: str, rest: str) -> DoorRequest:
    return DoorRequest(
        request.method,
        request.path,
        request.query,
        request.headers,
        request.body,
        request.raw_headers,
        request.source_ip,
        request.http_version,
        request.scheme,
        target=target,
        rest=rest or "/",
    )
