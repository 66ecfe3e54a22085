"""MOCK and AWS integrations: the request is mapped, the backend called, its answer chosen and mapped.

Source: developer guide, "Integrations for REST APIs", "Set up integration passthrough behaviors", "Set up an integration
response" (read 2026-11).
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Callable
from typing import Any

from cumulet.aws.http import HttpResponse
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.services.apigateway import jsonpath, templates
from cumulet.services.apigateway.answers import common_headers, refuse
from cumulet.services.apigateway.exchange import Exchange
from cumulet.services.apigateway.mapping import Backend, request_value, response_value
from cumulet.services.apigateway.vtl_values import TemplateError, render

_STATUS = re.compile(r"""['"]?statusCode['"]?\s*:\s*['"]?(\d{3})""")
_MEDIA = "application/json"
Answered = Callable[[Context, Backend], Any]


class Misconfigured(Exception):
    """The API cannot serve this request as it is set up; 500."""


class Unsupported(Exception):
    """No template for the request's media type, and it may not pass through; 415."""


def serve(ctx: Context, exchange: Exchange, call: Callable[[Context, Exchange, Result, Answered], Any]) -> Any:
    """The response, or an Effect that ends in it. `call(ctx, exchange, mapped request, after)` reaches an AWS backend."""
    try:
        request = _mapped_request(exchange)
        if exchange.integration["type"] == "MOCK":
            return respond(exchange, _mock(request["body"]))
    except Unsupported:
        return refuse(exchange, "UNSUPPORTED_MEDIA_TYPE", "Unsupported Media Type")
    except (Misconfigured, TemplateError, jsonpath.BadPath):
        return refuse(exchange, "API_CONFIGURATION_ERROR", "Internal server error")
    return call(ctx, exchange, request, lambda c, backend: respond(exchange, backend))


def respond(exchange: Exchange, backend: Backend) -> HttpResponse:
    """The method's response for a backend's answer."""
    try:
        return _mapped_response(exchange, backend)
    except (Misconfigured, TemplateError, jsonpath.BadPath):
        return refuse(exchange, "API_CONFIGURATION_ERROR", "Internal server error")


def _mapped_request(exchange: Exchange) -> Result:
    """Body, headers, query and path for the backend."""
    integration, raw = exchange.integration, exchange.http.read_body()
    if integration.get("contentHandling") == "CONVERT_TO_TEXT" and exchange.accepts_binary(
        exchange.header("content-type")
    ):
        raw = b64encode(raw)
    text = raw.decode("utf-8", "replace")
    template = _request_template(exchange, integration)
    body = raw if template is None else templates.run(exchange, template, text).encode()
    if integration.get("contentHandling") == "CONVERT_TO_BINARY":
        body = _binary(body)
    request: Result = {"body": body, "header": {}, "querystring": {}, "path": {}}
    for target, source in integration.get("requestParameters", {}).items():
        place, _, name = target.removeprefix("integration.request.").partition(".")
        value = request_value(exchange, source, text)
        if value is not None:
            request[place.removeprefix("multivalue")][name] = value
    for place, values in exchange.override.get("request", {}).items():
        request[place].update({name: render(value) for name, value in values.items()})
    return request


def _request_template(exchange: Exchange, integration: Result) -> str | None:
    """The template for the request's media type; None to pass the body through. Raises: Unsupported."""
    found: dict[str, str] = integration.get("requestTemplates") or {}
    media = (exchange.header("content-type") or _MEDIA).partition(";")[0].strip().lower()
    for kind, template in found.items():
        if kind.lower() == media:
            return template
    passthrough = integration.get("passthroughBehavior", "WHEN_NO_MATCH")
    if passthrough == "NEVER" or (passthrough == "WHEN_NO_TEMPLATES" and found):
        raise Unsupported
    return None


def _mock(body: bytes) -> Backend:
    match = _STATUS.search(body.decode("utf-8", "replace"))
    if match is None:
        raise Misconfigured("the mock's request template gives no statusCode")
    return Backend(int(match.group(1)), match.group(1), b"")


def _binary(body: bytes) -> bytes:
    try:
        return b64decode(body, validate=True)
    except NotBase64 as error:
        raise Misconfigured("the body is no base64") from error


def _mapped_response(exchange: Exchange, backend: Backend) -> HttpResponse:
    exchange.integration_status = backend.status
    chosen = _chosen(exchange.integration.get("integrationResponses", {}), backend.pattern_text)
    if chosen.get("contentHandling") == "CONVERT_TO_BINARY":
        backend.body = _binary(backend.body)
    elif chosen.get("contentHandling") == "CONVERT_TO_TEXT":
        backend.body = b64encode(backend.body)
    headers = dict([("Content-Type", _MEDIA)])
    for target, source in chosen.get("responseParameters", {}).items():
        value = response_value(exchange, source, backend)
        if value is not None:
            name = target.removeprefix("method.response.header.")
            headers = {key: old for key, old in headers.items() if key.lower() != name.lower()}
            headers[name] = value
    media, template = _response_template(exchange, chosen)
    body = backend.body
    if template is not None:
        body = templates.run(exchange, template, body.decode("utf-8", "replace")).encode()
        if not any(target.lower().endswith(".content-type") for target in chosen.get("responseParameters", {})):
            headers["Content-Type"] = media
    status = int(chosen["statusCode"])
    override = exchange.override.get("response", {})
    if str(override.get("status", "")).isdigit():
        status = int(override["status"])
    headers.update({name: render(value) for name, value in override.get("header", {}).items()})
    return HttpResponse(status, [*common_headers(exchange), *headers.items()], body)


def _chosen(responses: dict[str, Result], text: str) -> Result:
    """The integration response whose pattern matches the whole text, else the one without a pattern."""
    default = None
    for response in responses.values():
        pattern = response.get("selectionPattern")
        if not pattern:
            default = default or response
        elif re.fullmatch(pattern, text, re.DOTALL):
            return response
    if default is None:
        raise Misconfigured("no match for output mapping and no default output mapping configured")
    return default


def _response_template(exchange: Exchange, chosen: Result) -> tuple[str, str | None]:
    """(media type, template): by the Accept header, else JSON's, else the first; (JSON, None) without templates."""
    found: dict[str, str] = chosen.get("responseTemplates") or {}
    accept = [part.partition(";")[0].strip() for part in (exchange.header("accept") or "").split(",")]
    for media in (*accept, _MEDIA, *found):
        if media in found:
            template = found[media]
            return media, template or None
    return _MEDIA, None


def error_backend(status: int, code: str, message: str) -> Backend:
    """The answer of an AWS service that refused."""
    return Backend(status, str(status), json.dumps({"__type": code, "message": message}).encode())
