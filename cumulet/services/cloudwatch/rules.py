"""The rule of a composite alarm: ALARM(a) AND (OK("b") OR NOT INSUFFICIENT_DATA(arn)), TRUE, FALSE.

Source: CloudWatch API_PutCompositeAlarm, AlarmRule (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from cumulet.aws.errors import NotImplementedOnCumulet

STATES = frozenset(("ALARM", "OK", "INSUFFICIENT_DATA"))
_TOKEN = re.compile(
    r"\s*(?:(?P<state>ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:\"(?P<quoted>[^\"]+)\"|(?P<bare>[^\s()\"]+))\s*\)"
    r"|(?P<word>AND|OR|NOT|TRUE|FALSE)\b|(?P<sign>[()]))"
)
_AT_LEAST = re.compile(r"\bAT_LEAST\s*\(")
_ARN = re.compile(r"arn:[a-z-]+:cloudwatch:([a-z0-9-]+):(\d{12}):alarm:(.+)")

StateOf = Callable[[str], str | None]
_PLACE = re.compile(r"arn:[a-z-]+:cloudwatch:([a-z0-9-]+):(\d{12}):alarm:")


class BadRule(Exception):
    """What is wrong with a rule, in words."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: the alarms that it names, how many elements it has, and whether it holds, given their states."""

    children: tuple[str, ...]
    elements: int
    holds: Callable[[StateOf], bool]


def child_name(written: str) -> str:
    """An alarm's name from its name or ARN."""
    found = _ARN.fullmatch(written)
    return written if found is None else found[3]


def places(text: str) -> list[tuple[str, str]]:
    """The (region, account) of the ARNs in a rule."""
    return _PLACE.findall(text)


def parse(text: str) -> Rule:
    """Raises: BadRule, NotImplementedOnCumulet (AT_LEAST)."""
    if _AT_LEAST.search(text):
        raise NotImplementedOnCumulet("CloudWatch's alarm rule function AT_LEAST is not implemented by Cumulet.")
    reader = _Reader(text)
    holds = reader.whole()
    return Rule(tuple(dict.fromkeys(reader.children)), reader.elements, holds)


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens: list[re.Match[str]] = []
        at, text = 0, text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise BadRule(f"unexpected '{text[at:].strip()[:40]}'")
            self._tokens.append(found)
            at = found.end()
        self.children: list[str] = []
        self.elements = sum(1 for token in self._tokens if token["word"] not in ("AND", "OR", "NOT"))
        self._at = 0
        self._depth = 0

    def whole(self) -> Callable[[StateOf], bool]:
        test = self._or()
        if self._at < len(self._tokens):
            raise BadRule(f"unexpected '{self._tokens[self._at][0].strip()}'")
        return test

    def _takes(self, word: str) -> bool:
        if self._at < len(self._tokens) and word in (self._tokens[self._at]["word"], self._tokens[self._at]["sign"]):
            self._at += 1
            return True
        return False

    def _or(self) -> Callable[[StateOf], bool]:
        self._depth += 1
        if self._depth > 100:
            raise BadRule("it is nested too deeply")
        tests = [self._and()]
        while self._takes("OR"):
            tests.append(self._and())
        self._depth -= 1
        return lambda state_of: any(test(state_of) for test in tests)

    def _and(self) -> Callable[[StateOf], bool]:
        tests = [self._not()]
        while self._takes("AND"):
            tests.append(self._not())
        return lambda state_of: all(test(state_of) for test in tests)

    def _not(self) -> Callable[[StateOf], bool]:
        negated = False
        while self._takes("NOT"):
            negated = not negated
        test = self._atom()
        return (lambda state_of: not test(state_of)) if negated else test

    def _atom(self) -> Callable[[StateOf], bool]:
        if self._takes("("):
            test = self._or()
            if not self._takes(")"):
                raise BadRule("a ')' is missing")
            return test
        if self._takes("TRUE"):
            return lambda state_of: True
        if self._takes("FALSE"):
            return lambda state_of: False
        if self._at >= len(self._tokens) or self._tokens[self._at]["state"] is None:
            found = self._tokens[self._at][0].strip() if self._at < len(self._tokens) else "the end"
            raise BadRule(f"expected ALARM, OK, INSUFFICIENT_DATA, TRUE or FALSE but found {found}")
        token = self._tokens[self._at]
        self._at += 1
        child, state = child_name(token["quoted"] or token["bare"]), token["state"]
        self.children.append(child)
        return lambda state_of: state_of(child) == state
