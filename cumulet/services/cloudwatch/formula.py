"""Reads metric math: an expression's text becomes a tree.

Grammar: or > and > comparison > sum > product > minus > power > number, string, id, word, FUNCTION(...), [list], (group).
Source: CloudWatch user guide, "Using math expressions with CloudWatch metrics" (read 2026-11).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")|(?P<sign>&&|\|\||[=!<>]=|[-+*/^<>()\[\],]))"
)
_COMPARISONS = frozenset(("==", "!=", "<=", ">=", "<", ">"))
_DEEPEST = 100


class BadFormula(Exception):
    """What is wrong with an expression, in words."""


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True)
class Name:
    """The id of another query."""

    id: str


@dataclass(frozen=True, slots=True)
class Word:
    """A bare upper-case word among a function's arguments: REPEAT, AVG, DESC."""

    word: str


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Items:
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Minus:
    of: Node


@dataclass(frozen=True, slots=True)
class Binary:
    sign: str
    left: Node
    right: Node


Node = Number | Text | Name | Word | Call | Items | Minus | Binary


@lru_cache(maxsize=512)
def parse(text: str) -> Node:
    """Raises: BadFormula."""
    return _Parser(text).whole()


def ids(node: Node) -> set[str]:
    """The ids that a tree refers to."""
    return {part.id for part in walk(node) if isinstance(part, Name)}


def functions(node: Node) -> set[str]:
    """The names of the functions that a tree calls."""
    return {part.function for part in walk(node) if isinstance(part, Call)}


def walk(node: Node) -> list[Node]:
    """A tree's nodes."""
    found: list[Node] = [node]
    for part in found:
        match part:
            case Call(arguments=inner) | Items(items=inner):
                found.extend(inner)
            case Minus(of=inner_one):
                found.append(inner_one)
            case Binary(left=left, right=right):
                found.extend((left, right))
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise BadFormula(f"Unexpected character '{text[at:].lstrip()[0]}' at position {at + 1}")
            self._tokens.append((str(found.lastgroup), found[found.lastgroup or 0]))
            at = found.end()
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._or()
        if self._at < len(self._tokens):
            raise BadFormula(f"Unexpected '{self._tokens[self._at][1]}'")
        return node

    def _peek(self) -> str:
        """The next sign or upper-case word, or an empty text."""
        if self._at >= len(self._tokens):
            return ""
        kind, text = self._tokens[self._at]
        return text if kind == "sign" or (kind == "name" and text in ("AND", "OR")) else ""

    def _take(self, *signs: str) -> str:
        sign = self._peek()
        if sign and sign in signs:
            self._at += 1
            return sign
        return ""

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            found = self._tokens[self._at][1] if self._at < len(self._tokens) else "the end"
            raise BadFormula(f"Expected '{sign}' but found {found}")

    def _or(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise BadFormula("The expression is nested too deeply")
        node = self._and()
        while self._take("OR", "||"):
            node = Binary("OR", node, self._and())
        self._depth -= 1
        return node

    def _and(self) -> Node:
        node = self._comparison()
        while self._take("AND", "&&"):
            node = Binary("AND", node, self._comparison())
        return node

    def _comparison(self) -> Node:
        node = self._sum()
        while sign := self._take(*_COMPARISONS):
            node = Binary(sign, node, self._sum())
        return node

    def _sum(self) -> Node:
        node = self._product()
        while sign := self._take("+", "-"):
            node = Binary(sign, node, self._product())
        return node

    def _product(self) -> Node:
        node = self._minus()
        while sign := self._take("*", "/"):
            node = Binary(sign, node, self._minus())
        return node

    def _minus(self) -> Node:
        minuses = 0
        while self._take("-"):
            minuses += 1
        node = self._power()
        return Minus(node) if minuses % 2 else node

    def _power(self) -> Node:
        node = self._atom()
        while self._take("^"):
            negative = bool(self._take("-"))
            exponent = self._atom()
            node = Binary("^", node, Minus(exponent) if negative else exponent)
        return node

    def _atom(self) -> Node:
        if self._take("("):
            node = self._or()
            self._expect(")")
            return node
        if self._take("["):
            return Items(self._list("]"))
        if self._at >= len(self._tokens) or self._tokens[self._at][0] == "sign":
            found = self._tokens[self._at][1] if self._at < len(self._tokens) else "the end"
            raise BadFormula(f"Expected a value but found {found}")
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "number":
            return Number(float(text))
        if kind == "text":
            return Text(text[1:-1])
        if self._take("("):
            return Call(text, self._list(")"))
        return Name(text) if text[0].islower() else Word(text)

    def _list(self, end: str) -> tuple[Node, ...]:
        if self._take(end):
            return ()
        items = [self._or()]
        while self._take(","):
            items.append(self._or())
        self._expect(end)
        return tuple(items)
