"""Pages of IAM's lists: Marker, MaxItems (100 unless told, 1000 at most) and IsTruncated."""

from __future__ import annotations

import binascii
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key, pack, unpack
from cumulet.kernel.record import R
from cumulet.services.iam.errors import IamValidationError

_DEFAULT_ITEMS = 100


def page(
    ctx: Context,
    req: Mapping[str, Any],
    prefix: Key,
    type_: type[R],
    member: str,
    show: Callable[[R], Any],
    keep: Callable[[R], bool] = lambda record: True,
) -> dict[str, Any]:
    """One page of the records under `prefix`, as {member: [...], IsTruncated, Marker?}."""
    start = _start(req["Marker"], prefix) if "Marker" in req else None
    limit = req.get("MaxItems", _DEFAULT_ITEMS)
    shown: list[Any] = []
    for key, record in ctx.tx.scan(prefix, type_, start=start):
        if not keep(record):
            continue
        if len(shown) == limit:
            return {member: shown, "IsTruncated": True, "Marker": urlsafe_b64encode(pack(key)).decode()}
        shown.append(show(record))
    return {member: shown, "IsTruncated": False}


def _start(marker: str, prefix: Key) -> Key:
    try:
        key = unpack(urlsafe_b64decode(marker))
    except (binascii.Error, struct.error, ValueError, IndexError) as error:
        raise IamValidationError(f"Invalid Marker: {marker}") from error
    if key[: len(prefix)] != prefix:
        raise IamValidationError(f"Invalid Marker: {marker}")
    return key


def slice_of(req: Mapping[str, Any], member: str, items: Iterable[Any]) -> dict[str, Any]:
    """A page of a short list that lies in one record; the marker is a position."""
    everything = list(items)
    marker = req.get("Marker", "0")
    if not (marker.isascii() and marker.isdigit()):
        raise IamValidationError(f"Invalid Marker: {marker}")
    end = int(marker) + req.get("MaxItems", _DEFAULT_ITEMS)
    found: dict[str, Any] = {member: everything[int(marker) : end], "IsTruncated": end < len(everything)}
    if found["IsTruncated"]:
        found["Marker"] = str(end)
    return found
