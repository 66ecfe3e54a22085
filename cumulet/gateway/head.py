"""Request heads from what httptools gives, and response heads as bytes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import quote

from cumulet.aws.http import FileBody, HttpRequest, HttpResponse

MAX_HEAD = 72 * 1024  # request line and headers together
_PRINTABLE = "".join(chr(c) for c in range(0x21, 0x7F))

_names: dict[bytes, tuple[str, str]] = {}  # header name as sent -> (as text, in lower case); bounded, from clients
_phrases = {status.value: status.phrase for status in HTTPStatus}
_status_lines = {status: f"HTTP/1.1 {status} {_phrases.get(status, 'Unknown')}\r\n" for status in range(100, 600)}
_NO_BODY = frozenset((204, 304))


def _name(raw: bytes) -> tuple[str, str]:
    text = raw.decode("latin-1")
    found = (text, text.lower())
    if len(_names) < 2048:
        _names[raw] = found
    return found


def _value(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def read_headers(raw: Iterable[tuple[bytes, bytes]]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The joined headers in lower case, and the list as sent. Values are UTF-8, or Latin-1 where they are not."""
    headers: dict[str, str] = {}
    listed: list[tuple[str, str]] = []
    find = _names.get
    for raw_name, raw_value in raw:
        name, lower = find(raw_name) or _name(raw_name)
        try:
            value = raw_value.decode()
        except UnicodeDecodeError:
            value = _value(raw_value)
        listed.append((name, value))
        if lower in headers:
            headers[lower] = f"{headers[lower]}, {value}"
        else:
            headers[lower] = value
    return headers, listed


def split_target(target: bytes) -> tuple[str, str, str | None]:
    """(raw path, raw query, host of an absolute-form target)."""
    text = target.decode("ascii") if target.isascii() else quote(target, safe=_PRINTABLE)
    host = None
    if not text.startswith("/") and "://" in text:
        host, slash, rest = text.partition("://")[2].partition("/")
        host, mark, query = host.partition("?")
        text = f"/{rest}" if slash else f"/{mark}{query}"
    text = text.partition("#")[0]
    path, _, query = text.partition("?")
    return path or "/", query, host


class Dater:
    """The Date header's value, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = ""

    def line(self) -> str:
        now = int(time.time())  # noqa: TID251  (the wire's date is the machine's: clients compare it with theirs)
        if now != self._second:
            self._second = now
            self._line = f"Date: {formatdate(now, usegmt=True)}\r\n"
        return self._line


_dater = Dater()


def body_length(response: HttpResponse) -> int | None:
    """The body's bytes; None for a stream that does not say its `size`."""
    body = response.body
    if type(body) is bytes:
        return len(body)
    return body.size if isinstance(body, FileBody) else getattr(body, "size", None)


def render(request: HttpRequest | None, response: HttpResponse, keep_alive: bool, chunked: bool) -> bytes:
    """An HTTP/1.1 response's head."""
    status = response.status
    parts = [_status_lines[status]]
    dated = sized = False
    for name, value in response.headers:
        lower = name.lower()
        if lower == "content-length":
            sized = True
            if chunked or status in _NO_BODY:
                continue
            if request is None or request.method != "HEAD":
                sized = False
                continue
        elif lower == "date":
            dated = True
        elif lower in ("connection", "transfer-encoding"):
            continue
        if "\n" in value or "\r" in value:
            parts.append(f"{name}: {value.replace(chr(13), ' ').replace(chr(10), ' ')}\r\n")
        else:
            parts.append(f"{name}: {value}\r\n")
    if not dated:
        parts.append(_dater.line())
    if chunked:
        parts.append("Transfer-Encoding: chunked\r\n")
    elif not sized and status not in _NO_BODY:
        length = body_length(response)
        if length is not None:
            parts.append(f"Content-Length: {length}\r\n")
    if not keep_alive:
        parts.append("Connection: close\r\n")
    elif request is not None and request.http_version == "1.0":
        parts.append("Connection: keep-alive\r\n")
    parts.append("\r\n")
    return "".join(parts).encode()
