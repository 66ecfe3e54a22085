"""Compression of requests and responses for APIs with a minimumCompressionSize.

Source: developer guide, "Payload compression for REST APIs in API Gateway" (read 2026-11).
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from typing import Any

from cumulet.aws.http import HttpRequest, HttpResponse

UNPACKED_MAX_BYTES = 10 * 1024 * 1024


class Unreadable(Exception):
    """A compressed body that cannot be unpacked; 400."""


def unpacked(settings: Mapping[str, Any], http: HttpRequest) -> bytes | None:
    """The request's body without its Content-Encoding; None when it has none that is undone. Raises: Unreadable."""
    encoding = http.headers.get("content-encoding", "").lower()
    if "minimumCompressionSize" not in settings or encoding not in ("gzip", "deflate"):
        return None
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        body = unpacker.decompress(http.read_body(), UNPACKED_MAX_BYTES)
    except zlib.error as error:
        raise Unreadable from error
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise Unreadable
    return body


def packed(settings: Mapping[str, Any], http: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The response, compressed when the API asks for it at this size and the client accepts gzip or deflate."""
    least = settings.get("minimumCompressionSize")
    body = response.body
    if least is None or not isinstance(body, bytes) or len(body) < least or not body:
        return response
    if any(name.lower() == "content-encoding" for name, _ in response.headers):
        return response
    accepted = [part.partition(";")[0].strip() for part in http.headers.get("accept-encoding", "").lower().split(",")]
    if "gzip" in accepted or "*" in accepted:
        encoding, smaller = "gzip", gzip.compress(body, mtime=0)
    elif "deflate" in accepted:
        encoding, smaller = "deflate", zlib.compress(body)
    else:
        return response
    return HttpResponse(response.status, [*response.headers, ("Content-Encoding", encoding)], smaller)
