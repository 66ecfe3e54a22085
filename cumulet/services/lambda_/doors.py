"""Plain HTTP entries: function URLs ("lambda-url") and links to packages ("lambda-code")."""

from __future__ import annotations

from typing import Any

import msgspec

from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.kernel.authz import ANONYMOUS
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Effect, EffectFailed
from cumulet.runtimes.model import InvocationResult
from cumulet.services.lambda_ import cors, packages
from cumulet.services.lambda_.authz import url_invocation
from cumulet.services.lambda_.errors import (
    RequestTooLargeException,
    ResourceNotFoundException,
    TooManyRequestsException,
)
from cumulet.services.lambda_.http_events import event_of, response_of
from cumulet.services.lambda_.model import ROOT, Url, UrlPointer
from cumulet.services.lambda_.names import Ref
from cumulet.services.lambda_.running import Run, begin, chosen, invocation_of

_SYNC_LIMIT_BYTES = 6_291_456
_encode = msgspec.json.Encoder().encode
_FORBIDDEN = (
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
)


def function_url(ctx: Context, request: HttpRequest) -> HttpResponse | Effect:
    """Door lambda-url: run a function for an HTTP request to its URL, payload format 2.0.

    Source: Lambda developer guide, "Invoking Lambda function URLs", "Control access to Lambda function URLs" (read 2026-11).
    """
    target, rest = _target(request, "/_aws/lambda-url/")
    pointer = ctx.tx.get((ROOT, "url-id", target), UrlPointer)
    if pointer is None:
        return _message(403, "Forbidden")
    where = Ref(pointer.account, pointer.region, pointer.function, pointer.qualifier)
    url = ctx.tx.get((ROOT, "url", where.account, where.region, where.name, where.qualifier), Url)
    assert url is not None, f"URL {target} has a pointer and no configuration"
    if url.cors is not None and cors.is_preflight(request):
        return HttpResponse(200, cors.preflight_headers(url.cors, request))
    if url.auth == "AWS_IAM" and not ctx.access_key:
        return _message(403, "Forbidden")
    if not _permitted(ctx, where, url.auth):
        return _message(403, _FORBIDDEN)
    try:
        return _invoked(ctx, request, url, where, rest)
    except TooManyRequestsException as error:
        return _message(429, error.message)
    except RequestTooLargeException as error:
        return _message(413, error.message)
    except ResourceNotFoundException:
        return _message(403, "Forbidden")


def _permitted(ctx: Context, where: Ref, auth: str) -> bool:
    """Whether the caller, anybody for a URL without authorization, may invoke: as far as IAM is enforced."""
    authority = ctx.pipeline.authority
    if authority is None:
        return True
    who = ctx if auth == "AWS_IAM" else ctx.acting(ANONYMOUS)
    need = url_invocation(ctx, where.account, where.region, where.name, where.qualifier, auth)
    return authority.decide(who, need).allowed


def _invoked(ctx: Context, request: HttpRequest, url: Url, where: Ref, rest: str) -> Effect:
    payload = _encode(event_of(ctx, request, url, rest))
    if len(payload) > _SYNC_LIMIT_BYTES:
        raise RequestTooLargeException(f"Request must be smaller than {_SYNC_LIMIT_BYTES} bytes")
    headers = cors.headers(url.cors, request) if url.cors is not None else []

    def settle(after: Context, run: Run, outcome: InvocationResult | EffectFailed) -> HttpResponse:
        if isinstance(outcome, EffectFailed) or outcome.function_error is not None:
            return _message(502, "Internal Server Error", headers)
        return response_of(outcome.payload, headers) or _message(502, "Internal Server Error", headers)

    invocation = invocation_of(ctx, where, payload, ctx.request_id)
    return begin(ctx, where, chosen(ctx, where), invocation, settle)


def package(ctx: Context, request: HttpRequest) -> HttpResponse:
    """Door lambda-code: the bytes of a package, for a link that GetFunction or GetLayerVersion gave."""
    account, rest = _target(request, "/_aws/lambda-code/")
    parts = rest.strip("/").split("/")
    body = packages.linked(ctx, account, *parts) if len(parts) == 3 else None
    if body is None:
        return _message(403, "Forbidden")
    return HttpResponse(200, [("Content-Type", "application/zip")], body)


def _target(request: HttpRequest, prefix: str) -> tuple[str, str]:
    """(the id, the raw path behind it)."""
    target = getattr(request, "target", "")
    if target:
        return target, getattr(request, "rest", "") or "/"
    found, _, rest = request.path.removeprefix(prefix).partition("/")
    return found, f"/{rest}"


def _message(status: int, text: str, headers: Any = ()) -> HttpResponse:
    return HttpResponse(status, [("Content-Type", "application/json"), *headers], _encode({"Message": text}))
