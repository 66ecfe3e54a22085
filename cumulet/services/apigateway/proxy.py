"""AWS_PROXY: the event that a function gets (payload format 1.0) and the answer that is made of what it returns.

Source: developer guide, "Lambda proxy integrations in API Gateway": input format, output format (read 2026-11).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from typing import Any

import msgspec

from cumulet.aws.http import HttpResponse
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.services.apigateway.answers import common_headers, refuse
from cumulet.services.apigateway.exchange import Exchange, request_context

REMAPPED = frozenset(("authorization", "connection", "content-md5", "date", "host", "server", "trailer", "upgrade",
                       "user-agent", "www-authenticate"))  # fmt: skip
_DROPPED = frozenset(("content-length", "transfer-encoding"))


class Malformed(Exception):
    """A function's answer is not in the output format."""


def event(exchange: Exchange) -> bytes:
    """The function's event as JSON."""
    body, encoded = body_text(exchange)
    return msgspec.json.encode({**_seen(exchange), "body": body, "isBase64Encoded": encoded})


def authorizer_event(exchange: Exchange, method_arn: str) -> bytes:
    """A REQUEST authorizer's event as JSON. Source: developer guide, "Input to an API Gateway Lambda authorizer"."""
    seen = _seen(exchange)
    for name in ("queryStringParameters", "multiValueQueryStringParameters", "pathParameters", "stageVariables"):
        seen[name] = seen[name] or {}
    return msgspec.json.encode({"type": "REQUEST", "methodArn": method_arn, **seen})


def _seen(exchange: Exchange) -> dict[str, Any]:
    headers, query = exchange.headers, exchange.query
    return {
        "resource": exchange.endpoint.path if exchange.endpoint else "/",
        "path": exchange.path,
        "httpMethod": exchange.http.method,
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": headers,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": exchange.path_parameters or None,
        "stageVariables": exchange.deployed.stage.variables or None,
        "requestContext": request_context(exchange),
    }


def body_text(exchange: Exchange) -> tuple[str | None, bool]:
    """The body as text, or in base64 when its media type is one of the API's binary ones; None when there is none."""
    raw = exchange.http.read_body()
    if not raw:
        return None, False
    if exchange.accepts_binary(exchange.header("content-type")):
        return b64encode(raw).decode(), True
    return raw.decode("utf-8", "replace"), False


def answer(exchange: Exchange, payload: bytes) -> HttpResponse:
    """The HTTP response that a function's payload stands for; 502 for one that is malformed."""
    try:
        return _answer(exchange, payload)
    except Malformed:
        return refuse(exchange, "API_CONFIGURATION_ERROR", "Internal server error", 502)


def _answer(exchange: Exchange, payload: bytes) -> HttpResponse:
    try:
        output = read_json(payload or b"null")
    except NotJson as error:
        raise Malformed from error
    if not isinstance(output, dict):
        raise Malformed
    headers = _headers(output)
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return HttpResponse(_status(output), [*common_headers(exchange), *headers], _body(exchange, output))


def _status(output: dict[str, Any]) -> int:
    status = output.get("statusCode")
    if isinstance(status, str) and status.isdigit():
        status = int(status)
    if isinstance(status, float) and status.is_integer():
        status = int(status)
    if type(status) is not int or not 100 <= status <= 599:
        raise Malformed
    return status


def _headers(output: dict[str, Any]) -> list[tuple[str, str]]:
    single, multi = output.get("headers") or {}, output.get("multiValueHeaders") or {}
    if not isinstance(single, dict) or not isinstance(multi, dict):
        raise Malformed
    found: list[tuple[str, str]] = []
    for name, values in multi.items():
        if not isinstance(values, list):
            raise Malformed
        found.extend((name, _text(value)) for value in values)
    # A pair that stands in both maps is sent once.
    found.extend((name, _text(value)) for name, value in single.items() if (name, _text(value)) not in found)
    kept = [(name, value) for name, value in found if name.lower() not in _DROPPED]
    return [(f"x-amzn-Remapped-{name}" if name.lower() in REMAPPED else name, value) for name, value in kept]


def _text(value: object) -> str:
    """A body or header as text: a number or truth value is what JSON writes. Raises: Malformed."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise Malformed


def _body(exchange: Exchange, output: dict[str, Any]) -> bytes:
    if output.get("body") is None:
        return b""
    body = _text(output["body"])
    # The Accept header decides, by its first media type.
    if output.get("isBase64Encoded") is True and exchange.accepts_binary(exchange.header("accept")):
        try:
            return b64decode(body, validate=True)
        except NotBase64 as error:
            raise Malformed from error
    return body.encode()
