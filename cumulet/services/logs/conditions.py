"""Conditions of filter patterns: `left op value` joined by && and ||, with parentheses, over whatever `left` means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from cumulet.services.logs.errors import InvalidParameterException

Find = Callable[[Any], Iterable[Any]]
Test = Callable[[Any], bool]

_TOKEN = re.compile(
    r'\s*(?:(?P<op>&&|\|\||[()]|!=|<=|>=|=|<|>)|"(?P<string>(?:[^"\\]|\\.)*)"|%(?P<regex>[^%]*)%'
    r"|(?P<word>\$(?:\.|\[)[^\s=!<>()&|]*|[^\s=!<>()&|\"%]+))"
)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b, ">": lambda a, b: a > b, "<=": lambda a, b: a <= b, ">=": lambda a, b: a >= b,
}  # fmt: skip


def invalid() -> InvalidParameterException:
    return InvalidParameterException("Invalid filter pattern")


class Parser:
    """Reads one expression. `left(word)` gives the function that finds the values a left side stands for."""

    def __init__(self, text: str, left: Callable[[str], Find]) -> None:
        self._left = left
        self._tokens: list[tuple[str, str]] = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise invalid()
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            at = found.end()
        self._at = 0

    def parse(self) -> Test:
        """The whole expression. Raises: InvalidParameterException."""
        test = self._either()
        if self._at != len(self._tokens):
            raise invalid()
        return test

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _either(self) -> Test:
        tests = [self._both()]
        while self._peek() == ("op", "||"):
            self._next()
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda value: any(test(value) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._peek() == ("op", "&&"):
            self._next()
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda value: all(test(value) for test in tests)

    def _one(self) -> Test:
        kind, text = self._next()
        if (kind, text) == ("op", "("):
            test = self._either()
            if self._next() != ("op", ")"):
                raise invalid()
            return test
        if kind != "word":
            raise invalid()
        find = self._left(text)
        kind, op = self._next()
        if kind == "word" and op.upper() in ("IS", "NOT"):
            return self._state(find, op.upper())
        if kind != "op" or op in ("&&", "||", "(", ")"):
            raise invalid()
        return self._comparison(find, op)

    def _state(self, find: Find, word: str) -> Test:
        kind, text = self._next()
        what = text.upper() if kind == "word" else ""
        if word == "NOT" and what == "EXISTS":
            return lambda value: not any(True for _ in find(value))
        if word == "IS" and what in ("NULL", "TRUE", "FALSE"):
            wanted = {"NULL": None, "TRUE": True, "FALSE": False}[what]
            return lambda value: any(found is wanted for found in find(value))
        raise invalid()

    def _comparison(self, find: Find, op: str) -> Test:
        kind, text = self._next()
        if kind not in ("word", "string", "regex"):
            raise invalid()
        if op in _COMPARE:
            if kind != "word" or not _NUMBER.fullmatch(text):
                raise invalid()
            compare, limit = _COMPARE[op], float(text)
            return lambda value: any(
                (number := number_of(found)) is not None and compare(number, limit) for found in find(value)
            )
        equal = _equal(kind, text)
        if op == "=":
            return lambda value: any(equal(found) for found in find(value))

        def differs(value: Any) -> bool:
            found = list(find(value))
            return bool(found) and not any(equal(each) for each in found)

        return differs


def number_of(found: Any) -> float | None:
    """A number, also one written in a field."""
    if isinstance(found, bool) or found is None:
        return None
    if isinstance(found, int | float):
        return float(found)
    if isinstance(found, str) and _NUMBER.fullmatch(found):
        return float(found)
    return None


def _equal(kind: str, text: str) -> Test:
    if kind == "regex":
        from cumulet.services.logs.patterns import regex

        search = regex(text).search
        return lambda found: isinstance(found, str) and search(found) is not None
    if kind == "string":
        text = re.sub(r"\\(.)", r"\1", text)
    elif _NUMBER.fullmatch(text):
        wanted = float(text)
        return lambda found: number_of(found) == wanted if number_of(found) is not None else found == text
    if "*" in text:
        pattern = re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL)
        return lambda found: isinstance(found, str) and pattern.fullmatch(found) is not None
    return lambda found: found == text if isinstance(found, str) else False
