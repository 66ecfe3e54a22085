"""Conditional requests and ranges. Source: S3 API_GetObject, API_PutObject, "Conditional requests"; RFC 9110 (read 2026-11)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cumulet.services.s3.errors import InvalidRange, NoSuchKey, NotModified, PreconditionFailed, refused
from cumulet.services.s3.model import Version

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def _matches(header: str, etag: str) -> bool:
    return header.strip() == "*" or any(
        each.strip().removeprefix("W/").strip('"') == etag for each in header.split(",")
    )


def check_read(req: Mapping[str, Any], found: Version, prefix: str = "") -> None:
    """Members IfMatch, IfUnmodifiedSince, IfNoneMatch, IfModifiedSince, perhaps behind `prefix` (CopySource).

    Raises: PreconditionFailed, NotModified.
    """
    modified = int(found.modified)
    header = "x-amz-copy-source-" if prefix else ""
    match, none = req.get(f"{prefix}IfMatch"), req.get(f"{prefix}IfNoneMatch")
    unmodified, since = req.get(f"{prefix}IfUnmodifiedSince"), req.get(f"{prefix}IfModifiedSince")
    if match is not None and not _matches(match, found.etag):
        raise PreconditionFailed(f"{header}If-Match")
    if match is None and unmodified is not None and modified > unmodified:
        raise PreconditionFailed(f"{header}If-Unmodified-Since")
    if none is not None and _matches(none, found.etag):
        raise PreconditionFailed(f"{header}If-None-Match") if prefix else NotModified()
    if none is None and since is not None and modified <= since:
        raise PreconditionFailed(f"{header}If-Modified-Since") if prefix else NotModified()


def check_write(req: Mapping[str, Any], key: str, current: Version | None) -> None:
    """If-None-Match: * and If-Match: etag on writes. Raises: PreconditionFailed, NoSuchKey."""
    live = current is not None and not current.marker
    if "IfNoneMatch" in req:
        if req["IfNoneMatch"] != "*":
            raise refused("If-None-Match with a value other than * on a write")
        if live:
            raise PreconditionFailed("If-None-Match")
    if "IfMatch" in req:
        if current is None or not live:
            raise NoSuchKey(key)
        if not _matches(req["IfMatch"], current.etag):
            raise PreconditionFailed("If-Match")


def range_of(text: str, size: int) -> tuple[int, int] | None:
    """(start, length) of a Range header; None for one that S3 ignores. Raises: InvalidRange."""
    found = _RANGE.fullmatch(text.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        length = min(int(found[2]), size)
        if not length:
            raise InvalidRange(text, size)
        return size - length, length
    start = int(found[1])
    if found[2] and int(found[2]) < start:
        return None
    if start >= size:
        raise InvalidRange(text, size)
    end = min(int(found[2]), size - 1) if found[2] else size - 1
    return start, end - start + 1
