"""What answers a route: a function, an HTTP endpoint, or another service's operation.

Source: developer guide, "Create integrations for HTTP APIs in API Gateway" (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from cumulet.aws.errors import AwsError, NotImplementedOnCumulet
from cumulet.aws.http import DoorRequest, HttpCall, HttpReply, HttpResponse
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Effect, EffectFailed, Result, Wait, settled
from cumulet.services.apigatewayv2.events import Exchange, answer, event, failure
from cumulet.services.apigatewayv2.expressions import query_of
from cumulet.services.apigatewayv2.mapping import Outgoing, Pairs, map_request, map_response
from cumulet.services.apigatewayv2.subtypes import Unresolved, request_of
from cumulet.services.apigatewayv2.variables import domain_of

PRINCIPAL = "apigateway.amazonaws.com"
_VARIABLE = re.compile(r"\{([a-zA-Z0-9._:\-]+)\+?\}")
_NOT_FORWARDED = frozenset(("connection", "content-length", "host", "keep-alive", "proxy-authenticate",
                            "proxy-authorization", "proxy-connection", "te", "trailer", "trailers", "transfer-encoding",
                            "upgrade"))  # fmt: skip
_PATH_SAFE = "/:@!$&'()*+,;=~"


def call(ctx: Context, exchange: Exchange) -> Any:
    """The response, or an Effect or a Wait that ends in it; 503 when it takes longer than the integration's timeout."""
    kind = exchange.target.kind
    if kind == "service":
        return _service(ctx, exchange)
    return _http(exchange) if kind == "http" else _function(ctx, exchange)


# functions


def _function(ctx: Context, exchange: Exchange) -> Any:
    if exchange.target.mapping:
        exchange = _mapped(exchange)
    request = {
        "FunctionName": exchange.target.function,
        "InvocationType": "RequestResponse",
        "Payload": event(exchange),
    }

    def done(c: Context, result: Result) -> HttpResponse:
        if c.now - exchange.at > exchange.target.timeout_s:
            return unavailable(exchange, "Endpoint request timed out")
        exchange.noted["integrationStatus"] = 200
        if result.get("FunctionError"):
            return _failed(exchange, 500, f"The Lambda function returned an error: {result['FunctionError']}")
        response = answer(exchange, result.get("Payload") or b"")
        exchange.noted["status"] = response.status
        return _changed(exchange, response)

    return invoke(ctx, exchange, request, done)


def invoke(ctx: Context, exchange: Exchange, request: Result, done: Callable[[Context, Result], Any]) -> Any:
    """Invoke a function and go on with `done`; 503 when it is throttled or too slow, 500 when Lambda refuses."""
    stage = exchange.api.stage

    def failed(error: AwsError) -> HttpResponse:
        exchange.noted["integrationStatus"] = error.http_status
        return _failed(exchange, 503 if error.http_status == 429 else 500, error.message)

    def start() -> Any:
        principal = exchange.target.integration.get("CredentialsArn") or PRINCIPAL
        return ctx.call("lambda", "Invoke", request, principal=principal, source=source_of(exchange), region=stage.region,
                        account=stage.account)  # fmt: skip

    outcome = settled(ctx, start, done, failed)
    if isinstance(outcome, Effect):
        outcome.limit_s = exchange.target.timeout_s
        outcome.late = lambda: unavailable(exchange, "Endpoint request timed out")
    return outcome


def source_of(exchange: Exchange) -> str:
    """What permissions name as aws:SourceArn: the route in the stage."""
    stage, key = exchange.api.stage, exchange.target.key
    method, _, path = key.partition(" ")
    route = f"{exchange.http.method if method == 'ANY' else method}{path}" if path else key
    return f"arn:aws:execute-api:{stage.region}:{stage.account}:{stage.api_id}/{stage.name}/{route}"


def _mapped(exchange: Exchange) -> Exchange:
    """The exchange as the function sees it after parameter mapping."""
    http = exchange.http
    sent = list(http.raw_headers or http.headers.items())
    outgoing = Outgoing(sent, _pairs(http.query))
    map_request(exchange, exchange.target.mapping, outgoing)
    headers: dict[str, str] = {}
    for name, value in outgoing.headers:
        headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
    changed = DoorRequest(
        http.method, http.path, urlencode(outgoing.query), headers, http.body, outgoing.headers, http.source_ip,
        http.http_version, http.scheme,
    )  # fmt: skip
    path = exchange.path if outgoing.path is None else outgoing.path
    return exchange.with_request(changed, path)


def _pairs(query: str) -> Pairs:
    return [(name, value) for name, values in query_of(query).items() for value in values]


# HTTP endpoints


def _http(exchange: Exchange) -> Effect:
    """Pass the request on to a URL, with the path's variables filled in, and its answer back.

    Hop-by-hop headers stay behind; Forwarded, Via and X-Amzn-Trace-Id are added (as echo services behind HTTP APIs show).
    Unreachable, or no answer in time: 503. Source: developer guide, "Create HTTP proxy integrations for HTTP APIs".
    """
    http, target = exchange.http, exchange.target
    sent = [pair for pair in http.raw_headers or http.headers.items() if pair[0].lower() not in _NOT_FORWARDED]
    outgoing = Outgoing(sent, _pairs(http.query))
    if target.mapping:
        map_request(exchange, target.mapping, outgoing)
    headers: dict[str, str] = {}
    spelt: dict[str, str] = {}
    for name, value in [*outgoing.headers, *_own_headers(exchange)]:
        known = spelt.setdefault(name.lower(), name)
        joint = "; " if known.lower() == "cookie" else ","
        headers[known] = f"{headers[known]}{joint}{value}" if known in headers else value
    mapped = any(key.partition(":")[2].startswith("querystring.") for key in target.mapping)
    query = urlencode(outgoing.query) if mapped else http.query
    request = HttpCall(
        http.method if target.method == "ANY" else target.method,
        _url(exchange, query, outgoing.path),
        headers,
        http.read_body(),
        target.timeout_s,
    )
    return Effect("http", (request,), lambda ctx, outcome: _from_http(ctx, exchange, outcome))


def _own_headers(exchange: Exchange) -> Pairs:
    http = exchange.http
    forwarded = f"by=127.0.0.1;for={http.source_ip};host={domain_of(exchange)};proto={http.scheme}"
    sent = {name.lower() for name, _ in http.raw_headers or http.headers.items()}
    own = [("Forwarded", forwarded), ("Via", f"HTTP/{http.http_version} AmazonAPIGateway")]
    return own if "x-amzn-trace-id" in sent else [*own, ("X-Amzn-Trace-Id", exchange.trace)]


def _url(exchange: Exchange, query: str, path: str | None) -> str:
    parts = urlsplit(exchange.target.uri)
    filled = _VARIABLE.sub(
        lambda match: quote(exchange.parameters.get(match.group(1), ""), safe=_PATH_SAFE), parts.path
    )
    if path is not None:
        filled = quote(path if path.startswith("/") else f"/{path}", safe=_PATH_SAFE)
    fixed = _VARIABLE.sub(lambda match: quote(exchange.parameters.get(match.group(1), "")), parts.query)
    return urlunsplit((parts.scheme, parts.netloc, filled or "/", "&".join(filter(None, (fixed, query))), ""))


def _from_http(ctx: Context, exchange: Exchange, outcome: HttpReply | EffectFailed) -> HttpResponse:
    if isinstance(outcome, EffectFailed):
        return unavailable(exchange, outcome.message)
    exchange.noted["status"] = outcome.status
    headers = [(name, value) for name, value in outcome.headers.items()
               if name not in _NOT_FORWARDED and name != "set-cookie"]  # fmt: skip
    headers.extend(("set-cookie", cookie) for cookie in outcome.cookies)
    response = HttpResponse(outcome.status, [*headers, ("Apigw-Requestid", exchange.request_id)], outcome.body)
    return _changed(exchange, response)


# services


def _service(ctx: Context, exchange: Exchange) -> Any:
    """Call another service's operation and answer as it does on the wire: XML of SQS, JSON of the others.

    400 when a parameter cannot be resolved. Source: developer guide, "Create AWS service integrations for HTTP APIs"; that
    SQS answers in XML: aws-samples/serverless-patterns, apigw-http-api-sqs-lambda-sls, "Expected output".
    """
    integration, stage = exchange.target.integration, exchange.api.stage
    try:
        subtype, region, request = request_of(exchange, integration)
    except Unresolved as problem:
        return _failed(exchange, 400, str(problem))
    service, operation, style = subtype.service, subtype.operation, "xml" if subtype.service == "sqs" else ""

    def on_the_wire(outcome: Any) -> HttpResponse:
        made = ctx.pipeline.answer(service, operation, outcome, exchange.request_id, style)
        exchange.noted.update(status=made.status, integrationStatus=made.status, requestId=exchange.request_id)
        if isinstance(outcome, AwsError):
            exchange.noted["error"] = outcome.message
        headers = [pair for pair in made.headers if pair[0].lower() == "content-type"]
        response = HttpResponse(made.status, [*headers, ("Apigw-Requestid", exchange.request_id)], made.body)
        return _changed(exchange, response)

    def start() -> Any:
        try:
            typed = ctx.pipeline.coerce(service, operation, request)
        except (KeyError, OSError) as error:
            raise NotImplementedOnCumulet(f"{service}.{operation} is no operation that Cumulet knows.") from error
        return ctx.call(service, operation, typed, principal=integration["CredentialsArn"], source=source_of(exchange),
                        region=region or stage.region, account=stage.account)  # fmt: skip

    outcome = settled(ctx, start, lambda c, result: on_the_wire(result), on_the_wire)
    if isinstance(outcome, Wait):
        end = ctx.arrived + exchange.target.timeout_s
        if ctx.now >= end:
            return unavailable(exchange, "Endpoint request timed out")
        ctx.pipeline.volatile.setdefault("apigatewayv2.waiting", set()).add(ctx.request_id)
        return Wait(outcome.on, min(outcome.until, end))
    if isinstance(outcome, Effect):
        outcome.limit_s = exchange.target.timeout_s
        outcome.late = lambda: unavailable(exchange, "Endpoint request timed out")
    return outcome


# answers


def unavailable(exchange: Exchange, reason: str) -> HttpResponse:
    return _failed(exchange, 503, reason)


def _failed(exchange: Exchange, status: int, reason: str) -> HttpResponse:
    """An answer of API Gateway's own about its integration; the reason is for access logs."""
    exchange.noted["error"] = reason
    messages = {400: "Bad Request", 500: "Internal Server Error", 503: "Service Unavailable"}
    return failure(status, messages[status], exchange.request_id)


def _changed(exchange: Exchange, response: HttpResponse) -> HttpResponse:
    """The response after parameter mapping."""
    mapping = exchange.target.integration.get("ResponseParameters")
    if not mapping:
        return response
    assert isinstance(response.body, bytes)
    status, headers = map_response(exchange, mapping, response.status, list(response.headers), response.body)
    return HttpResponse(status, headers, response.body)
