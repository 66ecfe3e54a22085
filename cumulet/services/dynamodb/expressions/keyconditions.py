"""Key conditions: what a Query asks of the partition key and of the sort key."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cumulet.services.dynamodb.errors import ValidationException
from cumulet.services.dynamodb.expressions.lexer import Syntax
from cumulet.services.dynamodb.expressions.nodes import (
    And,
    Between,
    Call,
    Compare,
    In,
    Node,
    Not,
    Or,
    Parenthesized,
    Path,
    Value,
)
from cumulet.services.dynamodb.expressions.parser import UPDATE_FUNCTIONS, parse_condition
from cumulet.services.dynamodb.expressions.paths import resolve

_CACHED = 1024
_KIND = "KeyConditionExpression"
_FLIPPED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(slots=True, frozen=True)
class KeyTest:
    """One condition: `operator` is =, <, <=, >, >=, BETWEEN or begins_with; `refs` name the values."""

    attribute: str
    operator: str
    refs: tuple[str, ...]


@dataclass(slots=True, frozen=True)
class KeyConditions:
    tests: tuple[KeyTest, ...]
    names: frozenset[str]
    values: frozenset[str]


@lru_cache(_CACHED)
def compile_key_conditions(text: str, names: tuple[tuple[str, str], ...]) -> KeyConditions:
    """Raises: ValidationException."""
    syntax = Syntax(_KIND, text)
    reader = _Reader(syntax, dict(names))
    reader.read(parse_condition(_KIND, text))
    attributes = [test.attribute for test in reader.tests]
    if len(set(attributes)) < len(attributes):
        raise syntax.error("KeyConditionExpressions must only contain one condition per key")
    if len(attributes) > 2:
        raise ValidationException("Conditions can be of length 1 or 2 only")
    refs = frozenset(ref for test in reader.tests for ref in test.refs)
    return KeyConditions(tuple(reader.tests), frozenset(reader.used), refs)


class _Reader:
    def __init__(self, syntax: Syntax, names: dict[str, str]) -> None:
        self.syntax = syntax
        self.names = names
        self.used: set[str] = set()
        self.tests: list[KeyTest] = []

    def read(self, node: Node) -> None:
        match node:
            case Parenthesized(inner):
                self.read(inner)
            case And(left, right):
                self.read(left)
                self.read(right)
            case Compare("<>", _, _):
                raise self.wrong("<>")
            case Compare(operator, left, right):
                if isinstance(left, Value) and not isinstance(right, Value):
                    operator, left, right = _FLIPPED[operator], right, left
                self.add(operator, left, (right,))
            case Between(operand, low, high):
                self.add("BETWEEN", operand, (low, high))
            case Call(name, args):
                self.read_call(name, args)
            case Or():
                raise self.wrong("OR")
            case Not():
                raise self.wrong("NOT")
            case In():
                raise self.wrong("IN")
            case _:
                raise AssertionError(node)

    def read_call(self, name: str, args: tuple[Node, ...]) -> None:
        if name in UPDATE_FUNCTIONS:
            raise self.syntax.error(f"The function is not allowed in a key condition expression; function: {name}")
        if name != "begins_with":
            raise self.wrong(name)
        if len(args) != 2:
            raise self.syntax.error(
                "Incorrect number of operands for operator or function; operator or function: "
                f"begins_with, number of operands: {len(args)}"
            )
        self.add(name, args[0], (args[1],))

    def wrong(self, operator: str) -> ValidationException:
        return self.syntax.error(f"Invalid operator used in KeyConditionExpression: {operator}")

    def add(self, operator: str, operand: Node, values: tuple[Node, ...]) -> None:
        if isinstance(operand, Call):
            raise self.syntax.error("KeyConditionExpressions cannot contain nested operations")
        if not isinstance(operand, Path):
            raise self.syntax.error("Invalid condition in KeyConditionExpression: No key attribute specified")
        path = resolve(self.syntax, operand, self.names, self.used)
        if len(path) > 1:
            raise self.syntax.error("KeyConditionExpressions cannot have conditions on nested attributes")
        refs = []
        for value in values:
            if isinstance(value, Call):
                raise self.syntax.error("KeyConditionExpressions cannot contain nested operations")
            if not isinstance(value, Value):
                raise self.syntax.error(
                    "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"
                )
            refs.append(value.text)
        self.tests.append(KeyTest(str(path[0]), operator, tuple(refs)))
