"""Pages and filters of RDS's Describe operations."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from cumulet.services.rds.errors import InvalidParameterValue

T = TypeVar("T")
_DEFAULT, _LOW, _HIGH = 100, 20, 100


def page(items: Sequence[T], req: Mapping[str, Any], name_of: Callable[[T], str]) -> tuple[list[T], dict[str, str]]:
    """One page of items that are sorted by name, and the Marker of the next, if any. Raises: InvalidParameterValue."""
    size = req.get("MaxRecords", _DEFAULT)
    if not _LOW <= size <= _HIGH:
        raise InvalidParameterValue(f"Invalid value {size} for MaxRecords. Must be between {_LOW} and {_HIGH}")
    start = ""
    if "Marker" in req:
        try:
            start = base64.b64decode(req["Marker"], validate=True).decode()
        except (binascii.Error, ValueError):
            raise InvalidParameterValue("The request contains an invalid marker.") from None
    rest = [item for item in items if name_of(item) > start]
    chosen = rest[:size]
    more = {"Marker": base64.b64encode(name_of(chosen[-1]).encode()).decode()} if len(rest) > size else {}
    return chosen, more


def chosen_by(req: Mapping[str, Any], supported: Sequence[str]) -> dict[str, set[str]]:
    """The request's filters: name -> values. Raises: InvalidParameterValue for an unknown one."""
    found: dict[str, set[str]] = {}
    for one in req.get("Filters", ()):
        if one["Name"] not in supported:
            raise InvalidParameterValue(f"Unrecognized filter name: {one['Name']}")
        found.setdefault(one["Name"], set()).update(one["Values"])
    return found
