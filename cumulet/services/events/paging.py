"""Pages of lists that are sorted by name: the token is the name the next page begins with."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any

from cumulet.services.events.errors import InvalidTokenException

_PAGE = 100


def start_of(req: dict[str, Any]) -> str:
    """The name that the asked page begins with. Raises: InvalidToken."""
    if "NextToken" not in req:
        return ""
    try:
        return base64.b64decode(req["NextToken"], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise InvalidTokenException("The NextToken value is not valid.") from error


def page_of(req: dict[str, Any], named: Iterable[tuple[str, Any]], member: str) -> dict[str, Any]:
    """The page of (name, entry) in order of names that a request asks for."""
    limit, start = req.get("Limit", _PAGE), start_of(req)
    page: list[Any] = []
    for name, entry in named:
        if name < start:
            continue
        if len(page) == limit:
            return {member: page, "NextToken": base64.b64encode(name.encode()).decode()}
        page.append(entry)
    return {member: page}
