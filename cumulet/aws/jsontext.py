"""JSON that somebody else wrote: what is no JSON and what is nested too deep are one error.

The limit is our own, far below what the interpreter's stack allows, so that whoever works on a value that was let in, by functions
that call themselves for each level, has room to do so on every version of Python.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any

import msgspec

MAX_DEPTH = 500
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKET = bytes(set(range(256)) - _STEP.keys())


class NotJson(ValueError):
    """The text is no JSON, no UTF-8, not of the type, or nested too deep to be worked on; str() says which."""


def read_json(text: str | bytes, type: Any = Any) -> Any:
    """The value of a JSON text. Raises: NotJson."""
    try:
        raw = text.encode() if isinstance(text, str) else text
        if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(raw) > MAX_DEPTH:
            raise NotJson(f"JSON is nested too deep: at most {MAX_DEPTH} levels are read")
        return msgspec.json.decode(raw, type=type)
    except NotJson:
        raise
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error


def check_json(text: str | bytes) -> None:
    """Read a text without making its value. Raises: NotJson."""
    read_json(text, msgspec.Raw)


def _depth(raw: bytes) -> int:
    """How deep brackets nest outside of strings."""
    brackets = _STRING.sub(b"", raw).translate(None, _NO_BRACKET)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)
