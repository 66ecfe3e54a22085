"""Execution logs: what API Gateway did with a request, line by line, in the group `API-Gateway-Execution-Logs_{api}/{stage}`.

Lines are held back until the request is answered. At level ERROR only those of failed requests are written that say why.
Keys, credentials and tokens show their last letters only; a line ends after 1,024 bytes.
Source: developer guide, "Set up CloudWatch logging for REST APIs"; re:Post, "How can I use API Gateway logs to troubleshoot
API issues", "How do I troubleshoot ... Exceeded throttle limit" (the lines' forms; read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import md5

from cumulet.aws.http import Body, HttpResponse
from cumulet.kernel.context import Context
from cumulet.services.apigateway import methodsettings
from cumulet.services.apigateway.exchange import Exchange

LINE_MAX_BYTES = 1024
_CUT = " [TRUNCATED]"
_SECRET = frozenset(("authorization", "x-api-key", "x-amz-security-token", "cookie"))
_SHOWN = 6
_FAILURES = {
    "API_CONFIGURATION_ERROR": "Execution failed due to configuration error: {}",
    "AUTHORIZER_CONFIGURATION_ERROR": "Execution failed due to configuration error: Invalid authorizer response",
    "AUTHORIZER_FAILURE": "Execution failed due to an authorizer error",
    "INTEGRATION_FAILURE": "Execution failed due to an internal error: {}",
    "INTEGRATION_TIMEOUT": "Execution failed due to a timeout error",
    "BAD_REQUEST_BODY": "Request body does not match model schema for content type: {}",
    "BAD_REQUEST_PARAMETERS": "{}",
}


def write(ctx: Context, exchange: Exchange, response: HttpResponse) -> None:
    """Write the request's lines, as far as its method's logging level wants them."""
    settings = methodsettings.of_method(exchange)
    level = settings.get("loggingLevel", "OFF")
    if level == "OFF":
        return
    told = list(_story(exchange, response, bool(settings.get("dataTraceEnabled"))))
    lines = [line for failed, line in told if failed or level == "INFO"]
    if not lines or (level == "ERROR" and response.status < 400):
        return
    stage = exchange.deployed.stage
    request = {
        "logGroupName": f"API-Gateway-Execution-Logs_{stage.api_id}/{stage.name}",
        "logStreamName": md5(f"{stage.api_id}/{stage.name}".encode(), usedforsecurity=False).hexdigest(),
        "events": [(exchange.at, cut(f"({exchange.request_id}) {line}")) for line in lines],
    }
    ctx.call("logs", "cumulet:Append", request, principal="", region=stage.region, account=stage.account)


def lines_of(exchange: Exchange, response: HttpResponse) -> list[str]:
    """Everything that could be logged of a request, for trials."""
    return [line for _, line in _story(exchange, response, True)]


def _story(exchange: Exchange, response: HttpResponse, data: bool) -> Iterator[tuple[bool, str]]:
    """(whether level ERROR wants it, the line)."""
    request_id, method = exchange.request_id, exchange.http.method
    yield False, f"Extended Request Id: {exchange.extended_id}"
    for note in exchange.notes:
        yield response.status >= 400, note
    yield False, f"Starting execution for request: {request_id}"
    yield (
        False,
        f"HTTP Method: {method}, Resource Path: {exchange.endpoint.path if exchange.endpoint else exchange.path}",
    )
    if data:
        yield False, f"Method request path: {shown(exchange.path_parameters)}"
        yield False, f"Method request query string: {shown(_last(exchange.query))}"
        yield False, f"Method request headers: {shown(_last(exchange.headers))}"
        yield False, f"Method request body before transformations: {_start_of(exchange.http.body)}"
    yield from _leg(exchange, data)
    failure = _FAILURES.get(exchange.error.get("responseType", ""))
    if failure is not None:
        detail = exchange.error.get("validationErrorString") or exchange.error.get("message", "")
        yield True, failure.format(detail)
    elif data:
        text = response.body.decode("utf-8", "replace") if isinstance(response.body, bytes) else ""
        yield False, f"Method response body after transformations: {text}"
        yield False, f"Method response headers: {shown(dict(response.headers))}"
    if failure is None and not exchange.error:
        yield False, "Successfully completed execution"
    yield response.status >= 400, f"Method completed with status: {response.status}"


def _leg(exchange: Exchange, data: bool) -> Iterator[tuple[bool, str]]:
    leg = exchange.leg
    if leg is None:
        return
    if data:
        yield False, f"Endpoint request URI: {leg.uri}"
        yield False, f"Endpoint request headers: {shown(leg.headers)}"
        yield False, f"Endpoint request body after transformations: {leg.body.decode('utf-8', 'replace')}"
    yield False, f"Sending request to {leg.uri}"
    if leg.ended is None or leg.status is None:
        return
    yield False, f"Received response. Status: {leg.status}, Integration latency: {leg.latency_ms} ms"
    if data:
        yield False, f"Endpoint response headers: {shown(leg.answer_headers)}"
        yield False, f"Endpoint response body before transformations: {leg.answer.decode('utf-8', 'replace')}"


def _start_of(body: Body) -> str:
    """As much of a body as a line may show."""
    if isinstance(body, bytes):
        return body[:LINE_MAX_BYTES].decode("utf-8", "replace")
    with body.path.open("rb") as file:
        return file.read(LINE_MAX_BYTES).decode("utf-8", "replace")


def _last(values: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: found[-1] for name, found in values.items()}


def shown(values: Mapping[str, str]) -> str:
    """A map as the log shows it, secrets masked."""
    pairs = (f"{name}={masked(value) if name.lower() in _SECRET else value}" for name, value in values.items())
    return "{" + ", ".join(pairs) + "}"


def masked(secret: str) -> str:
    """All but the last letters as asterisks."""
    return "*" * max(len(secret) - _SHOWN, 0) + secret[-_SHOWN:] if len(secret) > _SHOWN else "*" * len(secret)


def cut(line: str) -> str:
    raw = line.encode()
    if len(raw) <= LINE_MAX_BYTES:
        return line
    return raw[: LINE_MAX_BYTES - len(_CUT)].decode("utf-8", "ignore") + _CUT
