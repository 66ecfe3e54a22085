"""CORS for buckets: S3 answers pages of other origins by the bucket's own rules, not by the gateway's general ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from cumulet.aws.errors import GenericAwsError
from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.kernel.pipeline import Call
from cumulet.wire.router import s3_path

if TYPE_CHECKING:
    from cumulet.gateway.gateway import Gateway

Reply = Callable[[HttpResponse], None]
Json = dict[str, Any]


def verdict(gateway: Gateway, request: HttpRequest, *, asks: bool) -> Json | None:
    """What the rules of the bucket say that a request is for; None where it is for no bucket. `asks`: it is a preflight."""
    if "x-amz-target" in request.headers or gateway.router.scope(request) not in (None, "s3"):
        return None
    bucket = unquote(s3_path(request).lstrip("/").partition("/")[0])
    if not bucket or gateway.pipeline.services.operation("s3", "cumulet:Cors") is None:
        return None
    asked = {"Bucket": bucket, "Origin": request.headers["origin"], "Method": request.method}
    if asks:
        asked["Method"] = request.headers["access-control-request-method"]
        asked["Headers"] = request.headers.get("access-control-request-headers", "")
    call = Call("s3", "cumulet:Cors", asked, gateway.account, "us-east-1", "")
    return gateway.pipeline.ask(call) or None


def preflight(gateway: Gateway, request: HttpRequest, found: Json) -> HttpResponse:
    """The answer to an OPTIONS request for a bucket or an object."""
    if "Allowed" in found:
        return HttpResponse(200, found["Allowed"])
    kind = "OBJECT" if s3_path(request).strip("/").count("/") else "BUCKET"
    members = {"Method": request.headers["access-control-request-method"], "ResourceType": kind}
    error = GenericAwsError("AccessForbidden", found["Refused"], 403, members=members)
    operation = gateway.models.service("s3").operation("GetObject")
    return operation.error(error, gateway.pipeline.ids.hex(16).upper(), "rest-xml", request)


def allowing(found: Json, reply: Reply) -> Reply:
    """`reply` with the headers that the bucket's rules give the answer: none where no rule fits."""
    if "Allowed" not in found:
        return reply

    def allowed(response: HttpResponse) -> None:
        response.headers = [*response.headers, *found["Allowed"]]
        reply(response)

    return allowed
