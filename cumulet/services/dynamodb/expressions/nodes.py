"""The syntax trees of expressions. Paths are tuples of attribute names, list indexes and `Alias`es (#name)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class Alias:
    """An expression attribute name, `#` included."""

    text: str


Element = str | int | Alias


@dataclass(slots=True, frozen=True)
class Path:
    elements: tuple[Element, ...]


@dataclass(slots=True, frozen=True)
class Value:
    """An expression attribute value, `:` included."""

    text: str


@dataclass(slots=True, frozen=True)
class Call:
    """A function call: of an operand (size, if_not_exists, list_append) or of a condition."""

    name: str
    args: tuple[Node, ...]


@dataclass(slots=True, frozen=True)
class Arithmetic:
    operator: str
    left: Node
    right: Node


@dataclass(slots=True, frozen=True)
class Compare:
    operator: str
    left: Node
    right: Node


@dataclass(slots=True, frozen=True)
class Between:
    operand: Node
    low: Node
    high: Node


@dataclass(slots=True, frozen=True)
class In:
    operand: Node
    options: tuple[Node, ...]


@dataclass(slots=True, frozen=True)
class And:
    left: Node
    right: Node


@dataclass(slots=True, frozen=True)
class Or:
    left: Node
    right: Node


@dataclass(slots=True, frozen=True)
class Not:
    inner: Node


@dataclass(slots=True, frozen=True)
class Parenthesized:
    """What stood in parentheses; only redundant ones matter."""

    inner: Node


Node = Path | Value | Call | Arithmetic | Compare | Between | In | And | Or | Not | Parenthesized
CONDITIONS = (Compare, Between, In, And, Or, Not)


@dataclass(slots=True, frozen=True)
class Action:
    """One clause of an update: SET path = value, REMOVE path, ADD path value, DELETE path value."""

    section: str
    path: Path
    value: Node | None
