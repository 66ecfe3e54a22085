"""SEARCH expressions: which metrics a search text finds.

`{Namespace,Dimension,...} term AND (Name="exact" OR NOT term)`: the schema's metrics have exactly these dimensions; terms
match whole words anywhere in a metric, without regard to case; a quoted term matches as it is.
Source: CloudWatch user guide, "CloudWatch search expression syntax" (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from cumulet.kernel.context import Context
from cumulet.services.cloudwatch.formula import BadFormula
from cumulet.services.cloudwatch.model import ROOT, Metric

_MOST = 100
_SCHEMA = re.compile(r'\s*\{((?:"[^"]*"|[^}"])*)\}')
_SCHEMA_PART = re.compile(r'\s*(?:"([^"]*)"|([^,]*))\s*(?:,|$)')
_TOKEN = re.compile(
    r'\s*(?:(?P<sign>[()])|(?P<field>[\w:./-]+|"[^"]+")\s*=\s*|(?P<quoted>"[^"]*")|(?P<word>[^\s()="]+))'
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

Test = Callable[[Metric], bool]


def metrics(ctx: Context, text: str, active: Callable[[Metric], bool]) -> list[Metric]:
    """The metrics of ctx's account and region that the search finds, at most 100. Raises: BadFormula."""
    schema, rest = None, text
    found = _SCHEMA.match(text)
    if found is not None:
        parts = [part[0] or part[1].strip() for part in _SCHEMA_PART.findall(found[1])]
        schema = [part for part in parts if part]
        rest = text[found.end() :]
    test = _Reader(rest).whole()
    prefix = (ROOT, "metric", ctx.account, ctx.region, *(schema[:1] if schema else ()))
    chosen = []
    for _, metric in ctx.tx.scan(prefix, Metric):
        if schema is not None and sorted(schema[1:]) != [name for name, _ in metric.dimensions]:
            continue
        if active(metric) and test(metric):
            chosen.append(metric)
            if len(chosen) == _MOST:
                break
    return chosen


def label(metric: Metric) -> str:
    """What sets the metric apart: its dimensions' values and its name."""
    return " ".join([*(value for _, value in metric.dimensions), metric.name])


class _Reader:
    """Reads the terms behind the schema: AND (or nothing), OR, NOT, parentheses."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at, text = 0, text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None or found.end() == at:
                raise BadFormula(f"SEARCH does not understand '{text[at:].strip()}'")
            self._tokens.append((str(found.lastgroup), found[found.lastgroup or 0]))
            at = found.end()
        self._at = 0

    def whole(self) -> Test:
        if not self._tokens:
            return lambda metric: True
        test = self._or()
        if self._at < len(self._tokens):
            raise BadFormula(f"SEARCH does not understand '{self._tokens[self._at][1]}'")
        return test

    def _is(self, word: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] in (("word", word), ("sign", word)):
            self._at += 1
            return True
        return False

    def _or(self) -> Test:
        tests = [self._and()]
        while self._is("OR"):
            tests.append(self._and())
        return lambda metric: any(test(metric) for test in tests)

    def _and(self) -> Test:
        tests = [self._not()]
        while self._is("AND") or (self._at < len(self._tokens) and self._tokens[self._at][1] not in (")", "OR")):
            tests.append(self._not())
        return lambda metric: all(test(metric) for test in tests)

    def _not(self) -> Test:
        if self._is("NOT"):
            test = self._not()
            return lambda metric: not test(metric)
        if self._is("("):
            test = self._or()
            if not self._is(")"):
                raise BadFormula("SEARCH misses a ')'")
            return test
        return self._term()

    def _term(self, field: str | None = None) -> Test:
        if self._at >= len(self._tokens):
            raise BadFormula("SEARCH misses a term")
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "field" and field is None:
            named = text.strip('"')
            if self._is("("):
                self._at -= 1
                return self._alternatives(named)
            return self._term(named)
        if kind == "quoted":
            exact = text[1:-1]
            return lambda metric: exact in _texts(metric, field)
        if kind != "word":
            raise BadFormula(f"SEARCH does not understand '{text}'")
        wanted = _words(text)
        return lambda metric: any(_contains(_words(there), wanted) for there in _texts(metric, field))

    def _alternatives(self, field: str) -> Test:
        """`Name=("a" OR "b")`."""
        self._at += 1
        tests = [self._term(field)]
        while self._is("OR"):
            tests.append(self._term(field))
        if not self._is(")"):
            raise BadFormula("SEARCH misses a ')'")
        return lambda metric: any(test(metric) for test in tests)


def _texts(metric: Metric, field: str | None) -> list[str]:
    """Where a term is looked for: everywhere, or in one property."""
    if field is None:
        names = [part for dimension in metric.dimensions for part in dimension]
        return [metric.namespace, metric.name, *names]
    if field.lower() in ("metricname", ":aws.metricname"):
        return [metric.name]
    if field.lower() in ("namespace", ":aws.namespace"):
        return [metric.namespace]
    return [value for name, value in metric.dimensions if name == field]


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(text)]


def _contains(words: list[str], wanted: list[str]) -> bool:
    count = len(wanted)
    joined = "".join(wanted)
    return any(words[at : at + count] == wanted for at in range(len(words) - count + 1)) or joined in words
