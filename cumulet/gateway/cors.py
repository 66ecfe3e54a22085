"""What browsers ask before and read after a call to a service endpoint of another origin."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.gateway.server import is_loopback

Reply = Callable[[HttpResponse], None]
_EXPOSED = (
    "x-amzn-requestid,x-amzn-errortype,x-amzn-errormessage,x-amzn-trace-id,x-amz-request-id,x-amz-id-2,x-amz-version-id,"
    "x-amz-function-error,x-amz-log-result,x-amz-executed-version,x-amz-apigw-id,etag,date"
)


def preflight(request: HttpRequest) -> HttpResponse:
    """The answer to an OPTIONS request that asks for a method and headers: all that are asked for."""
    return HttpResponse(
        200,
        [
            ("access-control-allow-origin", request.headers["origin"]),
            ("access-control-allow-methods", "HEAD,GET,PUT,POST,DELETE,OPTIONS,PATCH"),
            ("access-control-allow-headers", request.headers.get("access-control-request-headers", "*")),
            ("access-control-expose-headers", _EXPOSED),
            ("access-control-max-age", "600"),
            ("vary", "origin"),
        ],
    )


def allowing(request: HttpRequest, reply: Reply) -> Reply:
    """`reply` with the headers that let the page read the answer, unless the service has set them itself."""
    origin = request.headers["origin"]

    def allowed(response: HttpResponse) -> None:
        if not any(name.lower() == "access-control-allow-origin" for name, _ in response.headers):
            extra = [("access-control-allow-origin", origin), ("access-control-expose-headers", _EXPOSED)]
            response.headers = [*response.headers, *extra, ("vary", "origin")]
        reply(response)

    return allowed


def is_local(request: HttpRequest) -> bool:
    """Whether the page is on this machine or on the address that the request is for."""
    try:
        host = urlsplit(request.headers["origin"]).hostname or ""
        own = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return False
    return is_loopback(host) or host.endswith(".localhost") or (host == own and is_loopback(own))


def names_us(request: HttpRequest) -> bool:
    """Whether the Host is this machine's by an address or a local name.

    A page of another site can have its own name resolved to 127.0.0.1 (DNS rebinding); to the browser it is then of one origin with us,
    and its requests carry no Origin. They still carry that name.
    """
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return False
    if not host or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
