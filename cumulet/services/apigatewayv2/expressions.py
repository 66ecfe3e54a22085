"""Selection expressions: `$request.body.id`, `$context.requestId`, `/pets/${request.path.id}`, or a static value.

Source: developer guide, "Create AWS service integrations for HTTP APIs" (mapping request parameters) and "Transform API
requests and responses for HTTP APIs" (read 2026-11).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.services.apigatewayv2.variables import context_of, looked_up

if TYPE_CHECKING:
    from cumulet.services.apigatewayv2.events import Exchange

BODY_READ_BYTES = 100 * 1024  # a JSON path sees no more of a body
_PATH = r"(?:\.[A-Za-z0-9_\-]+|\[\d+\]|\['[^']+'\])+"
_NAME = r"[A-Za-z0-9_\-.!#%&'*+^`|~]+"
_REQUEST = rf"request\.(?:header\.{_NAME}|querystring\.{_NAME}|path(?:\.{_NAME})?|body(?:{_PATH})?)"
_SHARED = rf"context\.{_NAME}|stageVariables\.[A-Za-z0-9_]+"
_IN_REQUEST = re.compile(rf"{_REQUEST}|{_SHARED}")
_IN_RESPONSE = re.compile(rf"response\.(?:header\.{_NAME}|body(?:{_PATH})?)|{_SHARED}")
_EMBEDDED = re.compile(r"\$\{([^}]*)\}")
_STEP = re.compile(r"\.([A-Za-z0-9_\-]+)|\[(\d+)\]|\['([^']+)'\]")


def is_valid(text: str, response: bool = False) -> bool:
    """Whether a mapping's source is a static value or names only what there is."""
    known = _IN_RESPONSE if response else _IN_REQUEST
    if text.startswith("$") and not text.startswith("${"):
        return known.fullmatch(text[1:]) is not None
    return all(known.fullmatch(name) is not None for name in _EMBEDDED.findall(text))


@dataclass(slots=True)
class Answer:
    """What `$response` means: a backend's answer. Header names in lower case."""

    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Values:
    """What expressions are evaluated against: a request, and a backend's answer to it when there is one."""

    exchange: Exchange
    answer: Answer | None = None
    _documents: dict[str, Any] = field(default_factory=dict)

    def of(self, source: str) -> Any:
        """The value of a mapping's source: text, or a JSON value out of a body; None when it cannot be resolved."""
        if source.startswith("$") and not source.startswith("${"):
            return self._one(source[1:])
        if "${" not in source:
            return source
        missing = False

        def filled(match: re.Match[str]) -> str:
            nonlocal missing
            found = self._one(match.group(1))
            missing = missing or found is None
            return as_text(found)

        text = _EMBEDDED.sub(filled, source)
        return None if missing else text

    def _one(self, name: str) -> Any:
        place, _, rest = name.partition(".")
        if place == "context":
            return looked_up(context_of(self.exchange), rest)
        if place == "stageVariables":
            return self.exchange.api.variables.get(rest)
        if place == "response":
            assert self.answer is not None
            if rest.startswith("header."):
                return self.answer.headers.get(rest.removeprefix("header.").lower())
            return self._body("response", self.answer.body, rest.removeprefix("body"))
        return self._request(rest)

    def _request(self, rest: str) -> Any:
        http = self.exchange.http
        if rest == "path":
            return self.exchange.inner_path
        place, _, name = rest.partition(".")
        if place == "path":
            return self.exchange.parameters.get(name)
        if place == "header":
            return header_of(self.exchange, name)
        if place == "querystring":
            values = query_of(http.query).get(name)
            return None if values is None else ",".join(values)
        return self._body("request", http.read_body(), rest.removeprefix("body"))

    def _body(self, which: str, raw: bytes, path: str) -> Any:
        if not path:
            return raw.decode("utf-8", "replace") if raw else None
        if which not in self._documents:
            try:
                self._documents[which] = read_json(raw[:BODY_READ_BYTES])
            except NotJson:
                self._documents[which] = None
        found = self._documents[which]
        for name, index, quoted in _STEP.findall(path):
            if index:
                found = found[int(index)] if isinstance(found, list) and int(index) < len(found) else None
            else:
                found = found.get(name or quoted) if isinstance(found, dict) else None
        return found


def header_of(exchange: Exchange, name: str) -> str | None:
    """A request header's values joined by commas."""
    wanted, http = name.lower(), exchange.http
    if not http.raw_headers:
        return http.headers.get(wanted)
    values = [value for sent, value in http.raw_headers if sent.lower() == wanted]
    return ",".join(values) if values else None


def query_of(query: str) -> dict[str, list[str]]:
    """A raw query string, decoded, every value kept, in order."""
    found: dict[str, list[str]] = {}
    for pair in query.split("&") if query else ():
        if pair:
            name, _, value = pair.partition("=")
            found.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return found


def as_text(value: Any) -> str:
    """A value as a header, a query parameter or a piece of text shows it: JSON for all that is no text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
