"""Space-delimited filter patterns: `[ip, user, ..., status = 4* || status = 5*, bytes]`.

A message is cut at spaces; what stands in double quotes or square brackets is one field. Without `...` a message must have as
many fields as the pattern names.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from cumulet.services.logs.conditions import Parser, Test, invalid

_FIELD = re.compile(r'"((?:[^"\\]|\\.)*)"|\[([^\]]*)\]|(\S+)')
_PIECE = re.compile(r'[^,"%]+|"(?:[^"\\]|\\.)*"|%[^%]*%|.', re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")


def compiled_fields(text: str) -> Callable[[str], bool]:
    """The test of a space-delimited pattern, given without its brackets. Raises: InvalidParameterException."""
    parts = [part.strip() for part in _split(text)]
    if parts.count("...") > 1:
        raise invalid()
    tests = [None if part == "..." else _condition(part) for part in parts]
    ellipsis = tests.index(None) if None in tests else None
    before = [test for test in tests[:ellipsis] if test is not None]
    after = [] if ellipsis is None else [test for test in tests[ellipsis + 1 :] if test is not None]

    def matches(message: str) -> bool:
        found = _cut(message)
        if ellipsis is None and len(found) != len(before):
            return False
        if len(found) < len(before) + len(after):
            return False
        last = found[len(found) - len(after) :]
        return all(test(field) for test, field in zip(before, found, strict=False)) and all(
            test(field) for test, field in zip(after, last, strict=True)
        )

    return matches


def _cut(message: str) -> list[str]:
    return [next(group for group in match.groups() if group is not None) for match in _FIELD.finditer(message)]


def field_names(text: str) -> list[str]:
    """The names in a space-delimited pattern, given without its brackets; `...` stands for any number of fields."""
    names = []
    for part in (part.strip() for part in _split(text)):
        named = _NAME.match(part.lstrip("( "))
        names.append("..." if part == "..." else named[0] if named else "")
    return names


def fields_of(message: str, names: list[str], every: bool = False) -> dict[str, str]:
    """`$name`, or `$number` where there is no name, to each field of a message; with `every` to "", whatever the message."""
    found = [""] * len(names) if every else _cut(message)
    gap = names.index("...") if "..." in names else len(names)
    after = names[gap + 1 :]
    between = max(0, len(found) - gap - len(after)) if gap < len(names) else 0
    full = [*names[:gap], *[""] * between, *after]
    return {f"${name or place}": field for place, (name, field) in enumerate(zip(full, found, strict=False), 1)}


def _split(text: str) -> list[str]:
    """At commas outside quotes and regular expressions."""
    parts = [""]
    for piece in _PIECE.findall(text):
        if piece == ",":
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def _condition(part: str) -> Test:
    if not part:
        raise invalid()
    if _NAME.fullmatch(part):
        return lambda field: True
    return Parser(part, _named).parse()


def _named(word: str) -> Callable[[str], tuple[str]]:
    if not _NAME.fullmatch(word):
        raise invalid()
    return lambda field: (field,)
