"""Parameter mappings: `integration.request.header.X <- method.request.querystring.y`, and their kin for responses.

Source: developer guide, "Parameter mapping source reference for REST APIs" (read 2026-11).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.services.apigateway import jsonpath
from cumulet.services.apigateway.exchange import Exchange, request_context
from cumulet.services.apigateway.vtl_values import from_json, render


@dataclass(slots=True)
class Backend:
    """An integration's answer: status, the text that selection patterns are held against, headers, body."""

    status: int
    pattern_text: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def request_value(exchange: Exchange, source: str, body: str) -> str | None:
    """The value of a request mapping's source; None when the request has none."""
    place, _, name = source.removeprefix("method.request.").partition(".")
    if not source.startswith("method.request."):
        return _shared(exchange, source)
    if place.startswith("body"):
        return _json_at(body, "$" + source.removeprefix("method.request.body"))
    if place == "path":
        return exchange.path_parameters.get(name)
    if place in ("querystring", "multivaluequerystring"):
        values = exchange.query.get(name)
    else:
        wanted = name.lower()
        values = next((found for key, found in exchange.headers.items() if key.lower() == wanted), None)
    if not values:
        return None
    return ",".join(values) if place.startswith("multivalue") else values[-1]


def response_value(exchange: Exchange, source: str, backend: Backend) -> str | None:
    """The value of a response mapping's source; None when the backend's answer has none."""
    place, _, name = source.removeprefix("integration.response.").partition(".")
    if not source.startswith("integration.response."):
        return _shared(exchange, source)
    if place.startswith("body"):
        path = "$" + source.removeprefix("integration.response.body")
        return _json_at(backend.body.decode("utf-8", "replace"), path)
    return next((value for key, value in backend.headers.items() if key.lower() == name.lower()), None)


def _shared(exchange: Exchange, source: str) -> str | None:
    if source.startswith("'"):
        return source[1:-1]
    place, _, names = source.partition(".")
    if place == "stageVariables":
        return exchange.deployed.stage.variables.get(names)
    found: Any = request_context(exchange)
    for name in names.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return None if found is None else render(found)


def _json_at(text: str, path: str) -> str | None:
    try:
        document = read_json(text) if text else None
    except NotJson:
        return None
    found = document if path == "$" else jsonpath.find(document, path)
    return None if found is None else render(from_json(found))
