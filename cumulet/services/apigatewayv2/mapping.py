"""Parameter mapping of HTTP APIs: what is changed of a request before the integration gets it, and of its answer.

Source: developer guide, "Transform API requests and responses for HTTP APIs" (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cumulet.kernel.outcome import Result
from cumulet.services.apigatewayv2.errors import BadRequestException
from cumulet.services.apigatewayv2.expressions import Answer, Values, as_text, is_valid

if TYPE_CHECKING:
    from cumulet.services.apigatewayv2.events import Exchange

Pairs = list[tuple[str, str]]
_KEY = re.compile(r"(append|overwrite|remove):(header|querystring)\.(\S+)|(overwrite):(path)")
_RESPONSE_KEY = re.compile(r"(append|overwrite|remove):(header)\.(\S+)|(overwrite):(statuscode)")
_STATUS = re.compile(r"[2-5]\d\d")
_RESERVED = frozenset(("authorization", "connection", "content-encoding", "content-length", "content-location",
                       "forwarded", "keep-alive", "origin", "proxy-authenticate", "proxy-authorization", "te", "trailers",
                       "transfer-encoding", "upgrade", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
                       "via"))  # fmt: skip
_RESERVED_BEGINNINGS = ("access-control-", "apigw-", "x-amz-", "x-amzn-")


@dataclass(slots=True)
class Outgoing:
    """What an integration gets of a request besides its body. `path` is None where nothing overwrote it."""

    headers: Pairs
    query: Pairs
    path: str | None = None


def check_request_mapping(mapping: Result) -> None:
    """Raises: BadRequestException."""
    for key, source in mapping.items():
        _check(key, source, _KEY, False)


def check_response_mapping(mapping: Result) -> None:
    """Raises: BadRequestException."""
    for status, changes in mapping.items():
        if not _STATUS.fullmatch(status):
            raise BadRequestException(f"Invalid status code key specified: {status}. Valid values are 200-599")
        for key, source in changes.items():
            _check(key, source, _RESPONSE_KEY, True)


def _check(key: str, source: str, form: re.Pattern[str], response: bool) -> None:
    match = form.fullmatch(key)
    problem = None
    if match is None:
        problem = f"Invalid destination: {key}"
    elif match.group(2) == "header" and is_reserved(match.group(3)):
        problem = f"Operations on header {match.group(3)} are restricted"
    elif match.group(1) != "remove" and not is_valid(source, response):
        problem = f"Invalid source: {source} specified for destination: {key}"
    if problem is not None:
        raise BadRequestException(f"Invalid mapping expression specified: Validation Result: warnings : [], errors : "
                                  f"[{problem}]")  # fmt: skip


def is_reserved(header: str) -> bool:
    name = header.lower()
    return name in _RESERVED or name.startswith(_RESERVED_BEGINNINGS)


def map_request(exchange: Exchange, mapping: Result, outgoing: Outgoing) -> None:
    """Change what goes out; a source that the request does not have changes nothing."""
    values = Values(exchange)
    for key, source in mapping.items():
        match = _KEY.fullmatch(key)
        assert match is not None
        found = None if match.group(1) == "remove" else values.of(source)
        if found is None and match.group(1) != "remove":
            continue
        value = None if found is None else as_text(found)
        if match.group(5):
            outgoing.path = value
        elif match.group(2) == "header":
            outgoing.headers = _changed(outgoing.headers, match.group(1), match.group(3), value, str.lower)
        else:
            outgoing.query = _changed(outgoing.query, match.group(1), match.group(3), value, str)


def map_response(exchange: Exchange, mapping: Result, status: int, headers: Pairs, body: bytes) -> tuple[int, Pairs]:
    """Status and headers after the changes for this status."""
    changes = mapping.get(str(status))
    if not changes:
        return status, headers
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name.lower()] = f"{joined[name.lower()]},{value}" if name.lower() in joined else value
    values = Values(exchange, Answer(joined, body))
    for key, source in changes.items():
        match = _RESPONSE_KEY.fullmatch(key)
        assert match is not None
        found = None if match.group(1) == "remove" else values.of(source)
        if found is None and match.group(1) != "remove":
            continue
        if match.group(5):
            text = as_text(found)
            status = int(text) if text.isdigit() and 200 <= int(text) <= 599 else status
        else:
            new = None if found is None else as_text(found)
            headers = _changed(headers, match.group(1), match.group(3), new, str.lower)
    return status, headers


def _changed(pairs: Pairs, action: str, name: str, value: str | None, normal: Callable[[str], str]) -> Pairs:
    if action == "append":
        assert value is not None
        return [*pairs, (name, value)]
    left = [pair for pair in pairs if normal(pair[0]) != normal(name)]
    return left if value is None else [*left, (name, value)]
