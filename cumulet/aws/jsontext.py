"""JSON that somebody else wrote: what is no JSON and what is nested too deep are one error."""

from __future__ import annotations

from typing import Any

import msgspec


class NotJson(ValueError):
    """The text is no JSON, no UTF-8, not of the type, or nested too deep to be worked on; str() says which."""


def read_json(text: str | bytes, type: Any = Any) -> Any:
    """The value of a JSON text. Raises: NotJson."""
    try:
        return msgspec.json.decode(text, type=type)
    except RecursionError as error:
        raise NotJson("JSON is nested too deep") from error
    except ValueError as error:
        raise NotJson(str(error)) from error
