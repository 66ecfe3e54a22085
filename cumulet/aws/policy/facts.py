"""The context of a request: what conditions and policy variables ask for, by key, without regard to case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Value = (
    Any  # text, a number, a truth value, a list of texts, or a function that finds one of these when it is asked for
)


class Facts:
    """Condition keys with their values. A value that is None, or a function that returns None, counts as absent.

    Several mappings are asked one after the other, so that what is the same for many requests is made once.
    """

    __slots__ = ("_found", "_sources")

    def __init__(self, *sources: Mapping[str, Value]) -> None:
        self._sources = sources
        self._found: dict[str, Value] = {}

    def get(self, key: str) -> Value:
        """The value of a key in lower case, or None."""
        found = self._found
        if key in found:
            return found[key]
        for source in self._sources:
            value = source.get(key)
            if value is not None:
                break
        else:
            value = None
        if callable(value):
            value = value()
        found[key] = value
        return value

    def text(self, key: str) -> str | None:
        """The value as policy variables have it; None when there is none, or more than one."""
        value = self.get(key)
        if value is None or isinstance(value, list | tuple | set | frozenset):
            return None
        return as_text(value)

    def texts(self, key: str) -> list[str] | None:
        """All values of a key."""
        value = self.get(key)
        if value is None:
            return None
        if isinstance(value, list | tuple | set | frozenset):
            return [as_text(each) for each in value]
        return [as_text(value)]


def as_text(value: Any) -> str:
    if value is True or value is False:
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def lowered(facts: Mapping[str, Value]) -> dict[str, Value]:
    """A mapping as `Facts` wants it."""
    return {key.lower(): value for key, value in facts.items()}


def flattened(values: Any) -> Iterator[Any]:
    """A policy's value or list of values."""
    if isinstance(values, list | tuple):
        yield from values
    else:
        yield values
