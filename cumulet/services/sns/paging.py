"""Pages of a hundred: tokens that name the last thing shown."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Any

from cumulet.kernel.keys import Key
from cumulet.services.sns.errors import InvalidParameter
from cumulet.services.sns.model import PAGE

Json = dict[str, Any]


def page(
    req: Any, prefix: Key, rows: Callable[[Key | None, int], Iterator[tuple[Key, Any]]], show: Callable[[Any], Json]
) -> tuple[list[Json], str | None]:
    """(what is shown, the token for the next page). `rows(start, limit)` gives (key, row) from a key on. Raises: InvalidParameter."""
    after = _key(req["NextToken"]) if req.get("NextToken") else None
    found = list(rows(None if after is None else (*prefix, *after), PAGE + 2))
    if after is not None and found and found[0][0] == (*prefix, *after):
        found = found[1:]
    shown = [show(row) for _, row in found[:PAGE]]
    if len(found) <= PAGE:
        return shown, None
    return shown, _token(found[PAGE - 1][0][len(prefix) :])


def _token(parts: Key) -> str:
    return base64.urlsafe_b64encode("\0".join(str(part) for part in parts).encode()).decode()


def _key(token: str) -> Key:
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise InvalidParameter.of("NextToken") from error
    if not text:
        raise InvalidParameter.of("NextToken")
    return tuple(text.split("\0"))
