"""Texts in policies: wildcards `*` and `?`, policy variables `${key}` with defaults, and the escapes `${*}`, `${?}`, `${$}`.

Source: IAM user guide, "IAM policy elements: Variables and tags" (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from cumulet.aws.policy.facts import Facts

Matches = Callable[[str, Facts], bool]

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_PARTS = re.compile(r"\$\{[^}]*\}|\*|\?|[^*?$]+|\$")
_DEFAULT = re.compile(r"([^,]*?)\s*,\s*'(.*)'\s*", re.DOTALL)
_ESCAPES = ("*", "?", "$")


def pattern(text: str, *, variables: bool = True, ignore_case: bool = False) -> Matches:
    """A test whether a value fits a text with wildcards; `*` is any text, also across slashes and colons."""
    if variables and "${" in text:
        return _variable_pattern(text, ignore_case)
    if text == "*":
        return lambda value, facts: True
    if "*" not in text and "?" not in text:
        wanted = text.lower() if ignore_case else text
        if ignore_case:
            return lambda value, facts: value.lower() == wanted
        return lambda value, facts: value == wanted
    fits = re.compile(_regex(text), (re.IGNORECASE if ignore_case else 0) | re.DOTALL).fullmatch
    return lambda value, facts: fits(value) is not None


def literal(text: str, *, variables: bool = True, ignore_case: bool = False) -> Matches:
    """A test whether a value is a text, in which only variables are replaced."""
    if not (variables and "${" in text):
        wanted = text.lower() if ignore_case else text
        if ignore_case:
            return lambda value, facts: value.lower() == wanted
        return lambda value, facts: value == wanted

    def same(value: str, facts: Facts) -> bool:
        wanted = filled(text, facts)
        if wanted is None:
            return False
        return value.lower() == wanted.lower() if ignore_case else value == wanted

    return same


def filled(text: str, facts: Facts) -> str | None:
    """A text with its variables replaced; None when one of them has no value."""
    parts: list[str] = []
    at = 0
    for found in _VARIABLE.finditer(text):
        value = _value(found[1], facts)
        if value is None:
            return None
        parts += text[at : found.start()], value
        at = found.end()
    parts.append(text[at:])
    return "".join(parts)


def _value(inside: str, facts: Facts) -> str | None:
    if inside in _ESCAPES:
        return inside
    named = _DEFAULT.fullmatch(inside)
    key, default = (named[1], named[2]) if named else (inside, None)
    value = facts.text(key.strip().lower())
    return default if value is None else value


def _variable_pattern(text: str, ignore_case: bool) -> Matches:
    flags = (re.IGNORECASE if ignore_case else 0) | re.DOTALL
    parts = _PARTS.findall(text)

    def fits(value: str, facts: Facts) -> bool:
        regex = []
        for part in parts:
            if part.startswith("${"):
                found = _value(part[2:-1], facts)
                if found is None:
                    return False
                regex.append(re.escape(found))
            else:
                regex.append(".*" if part == "*" else "." if part == "?" else re.escape(part))
        return re.fullmatch("".join(regex), value, flags) is not None

    return fits


def _regex(text: str) -> str:
    return "".join(".*" if letter == "*" else "." if letter == "?" else re.escape(letter) for letter in text)


def arn_pattern(text: str, *, variables: bool = True) -> Matches:
    """A test whether a value is an ARN whose six parts fit a text's six parts, each by itself.

    Source: IAM user guide, "Amazon Resource Name (ARN) condition operators" (read 2026-11).
    """
    parts = _arn_parts(text)
    if parts is None:
        return lambda value, facts: False
    tests = [pattern(part, variables=variables) for part in parts]

    def fits(value: str, facts: Facts) -> bool:
        values = value.split(":", 5)
        return len(values) == 6 and all(test(each, facts) for test, each in zip(tests, values, strict=True))

    return fits


def _arn_parts(text: str) -> list[str] | None:
    """The six parts of an ARN; colons within variables do not part it. `*` alone stands for any ARN."""
    if text == "*":
        return ["*"] * 6
    parts: list[str] = []
    depth = start = 0
    for at, letter in enumerate(text):
        if letter == "{" and at and text[at - 1] == "$":
            depth += 1
        elif letter == "}" and depth:
            depth -= 1
        elif letter == ":" and not depth and len(parts) < 5:
            parts.append(text[start:at])
            start = at + 1
    parts.append(text[start:])
    return parts if len(parts) == 6 else None
