"""The backends of HTTP and HTTP_PROXY integrations: somebody else's URL.

Source: developer guide, "HTTP integrations for REST APIs in API Gateway", "Amazon API Gateway important notes" (which
headers are remapped; read 2026-11).
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from cumulet.aws.http import HttpCall, HttpReply, HttpResponse
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Effect, EffectFailed, Result
from cumulet.services.apigateway.answers import common_headers, refuse
from cumulet.services.apigateway.exchange import Exchange, Leg
from cumulet.services.apigateway.integration import Answered
from cumulet.services.apigateway.mapping import Backend, request_value
from cumulet.services.apigateway.proxy import REMAPPED

Pairs = list[tuple[str, str]]
_VARIABLE = re.compile(r"\{([^{}/?]+)\}")
_NOT_FORWARDED = frozenset(("connection", "content-length", "host", "keep-alive", "proxy-authenticate",
                            "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding",
                            "upgrade"))  # fmt: skip
_NOT_RETURNED = frozenset(("keep-alive", "transfer-encoding"))
_SAFE = "/:@!$&'()*+,;=~%"  # REST APIs leave paths in percent-encoding


def call(ctx: Context, exchange: Exchange, request: Result, after: Answered) -> Any:
    """HTTP: send the mapped request, and go on with the answer; its status is what selection patterns are held against."""
    headers = {
        "Accept": "application/json",
        "Content-Type": exchange.header("content-type") or "application/json",
        "User-Agent": f"AmazonAPIGateway_{exchange.deployed.stage.api_id}",
        **_own_headers(exchange),
    }
    for name, value in request["header"].items():
        headers = {known: old for known, old in headers.items() if known.lower() != name.lower()}
        headers[name] = value
    url = _url(exchange, request["path"], list(request["querystring"].items()))

    def answered(c: Context, reply: HttpReply) -> Any:
        return after(c, Backend(reply.status, str(reply.status), reply.body, reply.headers))

    return _sent(
        ctx, exchange, HttpCall(_method(exchange), url, headers, request["body"], _limit_s(exchange)), answered
    )


def proxied(ctx: Context, exchange: Exchange) -> Any:
    """HTTP_PROXY: pass the whole request on, changed by request parameters, and the answer back."""
    path: dict[str, str] = {}
    sent: dict[str, str] = {}
    for name, values in exchange.headers.items():
        if name.lower() not in _NOT_FORWARDED:
            sent[name] = ("; " if name.lower() == "cookie" else ",").join(values)
    sent.update(_own_headers(exchange))
    query = [(name, value) for name, values in exchange.query.items() for value in values]
    for target, source in exchange.integration.get("requestParameters", {}).items():
        place, _, name = target.removeprefix("integration.request.").partition(".")
        found = request_value(exchange, source, exchange.http.read_body().decode("utf-8", "replace"))
        if found is None:
            continue
        if place == "path":
            path[name] = found
        elif place.endswith("querystring"):
            query = [*[pair for pair in query if pair[0] != name], (name, found)]
        else:
            sent = {known: old for known, old in sent.items() if known.lower() != name.lower()}
            sent[name] = found
    request = HttpCall(
        _method(exchange), _url(exchange, path, query), sent, exchange.http.read_body(), _limit_s(exchange)
    )
    return _sent(ctx, exchange, request, lambda c, reply: _returned(exchange, reply))


def _own_headers(exchange: Exchange) -> dict[str, str]:
    return {"x-amzn-apigateway-api-id": exchange.deployed.stage.api_id, "X-Amzn-Trace-Id": exchange.trace}


def _method(exchange: Exchange) -> str:
    named: str = exchange.integration["httpMethod"]
    return exchange.http.method if named == "ANY" else named


def _limit_s(exchange: Exchange) -> float:
    return float(exchange.integration.get("timeoutInMillis", 29000) / 1000)


def _url(exchange: Exchange, path: dict[str, str], query: Pairs) -> str:
    """The integration's URI with its `{variables}` and the query string."""
    assert exchange.endpoint is not None
    parts = urlsplit(exchange.endpoint.uris[exchange.method_name])

    def filled(match: re.Match[str]) -> str:
        return path.get(match.group(1), match.group())

    host, below = _VARIABLE.sub(filled, parts.netloc), _VARIABLE.sub(filled, parts.path)
    fixed = _VARIABLE.sub(lambda match: quote(filled(match), safe="{}"), parts.query)
    joined = "&".join(part for part in (fixed, urlencode(query)) if part)
    return urlunsplit((parts.scheme, host, quote(below or "/", safe=_SAFE), joined, ""))


def _sent(ctx: Context, exchange: Exchange, request: HttpCall, answered: Any) -> Effect:
    exchange.leg = leg = Leg(request.url, ctx.now, request.headers, request.body)

    def settle(ctx: Context, outcome: HttpReply | EffectFailed) -> Any:
        leg.ended = ctx.now
        if not isinstance(outcome, EffectFailed):
            leg.back(ctx.now, outcome.status, outcome.headers, outcome.body)
            exchange.integration_status = outcome.status
            return answered(ctx, outcome)
        if outcome.code == "Timeout":
            return refuse(exchange, "INTEGRATION_TIMEOUT", "Endpoint request timed out")
        if outcome.code == "ConnectionFailed":
            return refuse(exchange, "INTEGRATION_FAILURE", "Network error communicating with endpoint")
        return refuse(exchange, "API_CONFIGURATION_ERROR", "Internal server error")

    return Effect("http", (request,), settle)


def _returned(exchange: Exchange, reply: HttpReply) -> HttpResponse:
    headers: Pairs = []
    for name, value in reply.headers.items():
        if name in REMAPPED or name == "content-length":
            headers.append((f"x-amzn-Remapped-{name}", value))
        elif name not in _NOT_RETURNED and name != "set-cookie":
            headers.append((name, value))
    headers.extend(("Set-Cookie", cookie) for cookie in reply.cookies)
    return HttpResponse(reply.status, [*common_headers(exchange), *headers], reply.body)
