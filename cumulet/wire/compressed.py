"""Request bodies that SDKs send compressed (`Content-Encoding: gzip`, as for PutMetricData), made plain again."""

from __future__ import annotations

import zlib
from dataclasses import replace

from cumulet.aws.http import HttpRequest
from cumulet.wire.errors import Malformed

_GZIP = 16 + zlib.MAX_WBITS
_LARGEST = 16 * 1024 * 1024


def is_compressed(request: HttpRequest) -> bool:
    return request.headers.get("content-encoding", "").strip().lower() == "gzip"


def plain_body(request: HttpRequest) -> bytes:
    """The body, uncompressed; at most 16 MB. Raises: Malformed."""
    unpacker = zlib.decompressobj(_GZIP)
    try:
        plain = unpacker.decompress(request.read_body(), _LARGEST)
    except zlib.error as error:
        raise Malformed(f"Could not decompress the request body: {error}") from error
    if not unpacker.eof:
        raise Malformed("Could not decompress the request body: it ends early or is too large")
    return plain


def plain(request: HttpRequest) -> HttpRequest:
    """The request with its body uncompressed. Raises: Malformed."""
    return replace(request, body=plain_body(request))
