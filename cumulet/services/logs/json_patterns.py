"""JSON filter patterns: `{ $.a.b[0] = "x" && ($.n > 3 || $.list[*].id NOT EXISTS) }`.

A condition on a member that is not there is false, `!=` too; a selector with `[*]` holds when any of its values does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.services.logs.conditions import Find, Parser, invalid

_STEP = re.compile(r"\.(?P<name>[A-Za-z0-9_@\-:/]+|\*)|\[(?P<index>\d+|\*)\]|\[['\"](?P<quoted>[^'\"]+)['\"]\]")


def compiled_json(text: str) -> Callable[[str], bool]:
    """The test of a JSON pattern, given without its braces. Raises: InvalidParameterException."""
    test = Parser(text, selector).parse()

    def matches(message: str) -> bool:
        try:
            value = read_json(message)
        except NotJson:
            return False
        return isinstance(value, dict | list) and test(value)

    return matches


def selector(word: str) -> Find:
    """What finds the values of `$.a.b[0]` in a document. Raises: InvalidParameterException."""
    if not word.startswith("$"):
        raise invalid()
    steps: list[str | int | None] = []
    at = 1
    while at < len(word):
        found = _STEP.match(word, at)
        if found is None:
            raise invalid()
        name = found["name"] or found["quoted"]
        if name is not None:
            steps.append(None if name == "*" else name)
        else:
            steps.append(None if found["index"] == "*" else int(found["index"]))
        at = found.end()
    if not steps:
        raise invalid()
    return lambda value: _found(value, steps)


def _found(value: Any, steps: list[str | int | None]) -> Iterable[Any]:
    values = [value]
    for step in steps:
        following: list[Any] = []
        for each in values:
            if step is None:
                following += each if isinstance(each, list) else each.values() if isinstance(each, dict) else ()
            elif isinstance(step, int):
                if isinstance(each, list) and step < len(each):
                    following.append(each[step])
            elif isinstance(each, dict) and step in each:
                following.append(each[step])
        values = following
    return values
