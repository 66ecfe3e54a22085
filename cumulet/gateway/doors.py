"""Which requests go to a service's plain HTTP entry: by path (`/_aws/...`) or by host (`{id}.execute-api.*`)."""

from __future__ import annotations

from cumulet.aws.http import DoorRequest, HttpRequest

_BY_HOST = {"execute-api": "execute-api", "lambda-url": "lambda-url"}


def find(request: HttpRequest) -> tuple[str, DoorRequest] | None:
    """(door, request for it), or None for a request that is none of a door's."""
    if request.path.startswith("/_aws/"):
        door, _, after = request.path[6:].partition("/")
        target, slash, rest = after.partition("/")
        return (door, _door_request(request, target, slash + rest)) if door and target else None
    host = request.headers.get("host", "")
    target, _, domain = host.partition(".")
    kind = domain.partition(".")[0].partition(":")[0]
    if kind in _BY_HOST and target:
        return _BY_HOST[kind], _door_request(request, target, request.path)
    if ".cloudfront." in host:
        return "cloudfront", _door_request(request, target, request.path)
    return None


def _door_request(request: HttpRequest, target: str, rest: str) -> DoorRequest:
    return DoorRequest(
        request.method, request.path, request.query, request.headers, request.body, request.raw_headers, request.source_ip,
        request.http_version, request.scheme, target=target, rest=rest or "/",
    )
