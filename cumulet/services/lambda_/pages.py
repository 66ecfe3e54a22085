"""Lambda's lists: Marker and NextMarker are positions in the store's order."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from cumulet.kernel.keys import Key, pack, unpack
from cumulet.services.lambda_.errors import InvalidParameterValueException

_PAGE = 50
T = TypeVar("T")


def start_of(req: dict[str, Any]) -> Key | None:
    """The key that a request's Marker says to go on from. Raises: InvalidParameterValueException."""
    if not req.get("Marker"):
        return None
    try:
        found = unpack(base64.b64decode(req["Marker"], altchars=b"-_", validate=True))
        if len(found) < 3:
            raise ValueError("too short for a position")
        return found
    except (ValueError, IndexError) as error:
        raise InvalidParameterValueException(f"Invalid marker: {req['Marker']}") from error


def page(
    rows: Iterable[tuple[Key, T]], req: dict[str, Any], show: Callable[[T], Any], most: int = _PAGE
) -> tuple[list[Any], dict[str, str]]:
    """(what is shown of one page, {"NextMarker": ...} when there is more). `rows` begins at `start_of(req)`."""
    limit = min(req.get("MaxItems", most), most)
    shown: list[Any] = []
    for key, row in rows:
        if len(shown) == limit:
            return shown, {"NextMarker": base64.urlsafe_b64encode(pack(key)).decode()}
        shown.append(show(row))
    return shown, {}
