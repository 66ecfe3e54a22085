"""What mapping templates see: $input, $context, $stageVariables and $util, over one request or one backend's answer.

Source: developer guide, "Variables for data transformations for API Gateway" (read 2026-11).
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.services.apigateway import jsonpath
from cumulet.services.apigateway.exchange import Exchange, request_context
from cumulet.services.apigateway.vtl import Template
from cumulet.services.apigateway.vtl_values import Host, JsonMap, TemplateError, from_json, to_json

_ESCAPES = {
    '"': '\\"',
    "'": "\\'",
    "\\": "\\\\",
    "/": "\\/",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}
_ESCAPED = re.compile(r"[\"'\\/\b\f\n\r\t\x00-\x1f\x7f-\uffff]|[\U00010000-\U0010ffff]")


def run(exchange: Exchange, source: str, body: str) -> str:
    """The text that a template makes of a body. Raises: TemplateError."""
    templates = exchange.deployed.templates
    template = templates.get(source)
    if template is None:
        template = templates[source] = Template(source)
    override: dict[str, Any] = exchange.override
    context = from_json(request_context(exchange))
    context["requestOverride"] = override.setdefault("request", {"header": {}, "querystring": {}, "path": {}})
    context["responseOverride"] = override.setdefault("response", {"header": {}})
    context["error"] = exchange.error
    context.setdefault("authorizer", {})
    if exchange.integration_status is not None:
        context["integration"] = {"status": exchange.integration_status}
    try:
        return template.run({
            "input": _input(exchange, body),
            "context": context,
            "stageVariables": JsonMap(exchange.deployed.stage.variables),
            "util": _UTIL,
        })  # fmt: skip
    except (TypeError, jsonpath.BadPath) as error:  # a method of $input or $util with bad arguments
        raise TemplateError(str(error)) from error


def _input(exchange: Exchange, body: str) -> Host:
    parsed: list[Any] = []

    def document() -> Any:
        if not parsed:
            try:
                parsed.append(from_json(read_json(body)) if body.strip() else JsonMap())
            except NotJson:
                parsed.append(body)
        return parsed[0]

    def path(expression: str) -> Any:
        return from_json(jsonpath.find(document(), expression))

    def as_json(expression: str) -> str:
        found = path(expression)
        return '""' if found is None else to_json(found)

    def params(name: str | None = None) -> Any:
        return _params(exchange, name)

    return Host({"json": as_json, "path": path, "params": params}, {"body": body})


def _params(exchange: Exchange, name: str | None) -> Any:
    """All parameters by place, or one: of the path, else the query string, else the headers; empty when absent."""
    path = exchange.path_parameters
    query = {key: values[-1] for key, values in exchange.query.items()}
    headers = {key: values[-1] for key, values in exchange.headers.items()}
    if name is None:
        return JsonMap(path=JsonMap(path), querystring=JsonMap(query), header=JsonMap(headers))
    if name in ("path", "querystring", "header"):
        return JsonMap({"path": path, "querystring": query, "header": headers}[name])
    if name in path:
        return path[name]
    if name in query:
        return query[name]
    wanted = name.lower()
    return next((value for key, value in headers.items() if key.lower() == wanted), "")


def _escape(text: Any) -> str:
    return _ESCAPED.sub(
        lambda match: _ESCAPES.get(match.group()) or _unicode(match.group()), "" if text is None else str(text)
    )


def _unicode(letter: str) -> str:
    raw = letter.encode("utf-16-be")
    return "".join(f"\\u{raw[at] << 8 | raw[at + 1]:04X}" for at in range(0, len(raw), 2))


def _parse(text: Any) -> Any:
    try:
        return from_json(read_json(str(text)))
    except NotJson:
        return None


def _decode(text: str) -> str:
    try:
        return b64decode(text + "=" * (-len(text) % 4)).decode("utf-8", "replace")
    except NotBase64 as error:
        raise TemplateError("not base64") from error


_UTIL = Host({
    "escapeJavaScript": _escape,
    "parseJson": _parse,
    "urlEncode": lambda text: quote_plus(str(text), safe="*-._"),
    "urlDecode": lambda text: unquote_plus(str(text)),
    "base64Encode": lambda text: b64encode(str(text).encode()).decode(),
    "base64Decode": lambda text: _decode(str(text)),
})  # fmt: skip
