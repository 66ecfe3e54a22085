"""Compiles conditions to functions of (item, values), once per text and set of names."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
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
from cumulet.services.dynamodb.expressions.parser import CONDITION_FUNCTIONS, UPDATE_FUNCTIONS, parse_condition
from cumulet.services.dynamodb.expressions.paths import Resolved, lookup, resolve, shown
from cumulet.services.dynamodb.model import AttributeValue, Item
from cumulet.services.dynamodb.values import equal, kind_of, ordered
from cumulet.services.dynamodb.values import shown as shown_value

Values = Mapping[str, AttributeValue]
Operand = Callable[[Item, Values], AttributeValue | None]
Test = Callable[[Item, Values], bool]
Check = Callable[[Values], None]
_ORDERED = frozenset(("S", "N", "B"))
_SIZED = frozenset(("S", "B", "SS", "NS", "BS", "L", "M"))
_TYPES = ("B", "NULL", "SS", "BOOL", "L", "BS", "N", "NS", "S", "M")
_SET_OF = {"S": "SS", "N": "NS", "B": "BS"}
_CACHED = 1024
_MAX_IN = 100


@dataclass(slots=True, frozen=True)
class Condition:
    """A compiled condition: which names, values and top-level attributes it uses, and what must hold of the values."""

    test: Test
    names: frozenset[str]
    values: frozenset[str]
    heads: frozenset[str]
    checks: tuple[Check, ...]


@lru_cache(_CACHED)
def compile_condition(kind: str, text: str, names: tuple[tuple[str, str], ...]) -> Condition:
    """Raises: ValidationException."""
    return compile_node(Syntax(kind, text), parse_condition(kind, text), dict(names))


def compile_node(syntax: Syntax, node: Node, names: Mapping[str, str]) -> Condition:
    """Raises: ValidationException."""
    builder = Builder(syntax, names)
    test = builder.test(node)
    return Condition(
        test,
        frozenset(builder.used_names),
        frozenset(builder.used_values),
        frozenset(builder.heads),
        tuple(builder.checks),
    )


class Builder:
    """Turns the nodes of one expression into functions, collecting what they use."""

    def __init__(self, syntax: Syntax, names: Mapping[str, str]) -> None:
        self.syntax = syntax
        self.names = names
        self.used_names: set[str] = set()
        self.used_values: set[str] = set()
        self.heads: set[str] = set()
        self.checks: list[Check] = []

    # operands

    def path(self, node: Path) -> Resolved:
        path = resolve(self.syntax, node, self.names, self.used_names)
        self.heads.add(str(path[0]))
        return path

    def operand(self, node: Node) -> Operand:
        if isinstance(node, Path):
            path = self.path(node)
            if len(path) == 1:
                name = str(path[0])
                return lambda item, values: item.get(name)
            return lambda item, values: lookup(item, path)
        if isinstance(node, Value):
            ref = node.text
            self.used_values.add(ref)
            return lambda item, values: values[ref]
        if isinstance(node, Parenthesized):
            return self.operand(node.inner)
        assert isinstance(node, Call)
        if node.name != "size":
            if node.name in UPDATE_FUNCTIONS:
                raise self.not_here(node.name)
            raise self.syntax.error(
                f"The function is not allowed to be used this way in an expression; function: {node.name}"
            )
        self.count_args(node)
        self.allow(node.args[0], "size", _SIZED)
        inner = self.operand(node.args[0])
        return lambda item, values: _size(inner(item, values))

    def not_here(self, function: str) -> ValidationException:
        where = {"ConditionExpression": "condition", "FilterExpression": "filter"}.get(
            self.syntax.kind, "key condition"
        )
        return self.syntax.error(f"The function is not allowed in a {where} expression; function: {function}")

    def count_args(self, node: Call) -> None:
        if len(node.args) != {**CONDITION_FUNCTIONS, **UPDATE_FUNCTIONS}[node.name]:
            raise self.syntax.error(
                "Incorrect number of operands for operator or function; operator or function: "
                f"{node.name}, number of operands: {len(node.args)}"
            )

    def allow(self, node: Node, function: str, kinds: frozenset[str]) -> None:
        """An operand that is a value must be of these kinds."""
        if isinstance(node, Value):
            ref, syntax = node.text, self.syntax

            def check(values: Values) -> None:
                kind = kind_of(values[ref])
                if kind not in kinds:
                    raise syntax.error(
                        "Incorrect operand type for operator or function; operator or function: "
                        f"{function}, operand type: {kind}"
                    )

            self.checks.append(check)
        elif isinstance(node, Call) and node.name == "size" and "N" not in kinds:
            raise self.syntax.error(
                f"Incorrect operand type for operator or function; operator or function: {function}, operand type: N"
            )

    def distinct(self, operator: str, first: Node, others: tuple[Node, ...]) -> None:
        if isinstance(first, Path):
            path = self.path(first)
            if any(isinstance(other, Path) and self.path(other) == path for other in others):
                raise self.syntax.error(
                    "The first operand must be distinct from the remaining operands for this operator "
                    f"or function; operator: {operator}, first operand: {shown(path)}"
                )

    # conditions

    def test(self, node: Node) -> Test:
        match node:
            case Parenthesized(inner):
                return self.test(inner)
            case And(left, right):
                one, two = self.test(left), self.test(right)
                return lambda item, values: one(item, values) and two(item, values)
            case Or(left, right):
                one, two = self.test(left), self.test(right)
                return lambda item, values: one(item, values) or two(item, values)
            case Not(inner):
                yes = self.test(inner)
                return lambda item, values: not yes(item, values)
            case Compare():
                return self.comparison(node)
            case Between():
                return self.between(node)
            case In(operand, options):
                if len(options) > _MAX_IN:
                    raise self.syntax.error(
                        "Incorrect number of operands for operator or function; operator or function: IN, "
                        f"number of operands: {len(options) + 1}"
                    )
                self.distinct("IN", operand, options)
                left_, rights = self.operand(operand), tuple(self.operand(option) for option in options)
                return lambda item, values: _in(left_(item, values), [right(item, values) for right in rights])
            case Call():
                return self.function(node)
        raise AssertionError(node)

    def comparison(self, node: Compare) -> Test:
        operator = node.operator
        self.distinct(operator, node.left, (node.right,))
        if operator not in ("=", "<>"):
            self.allow(node.left, operator, _ORDERED)
            self.allow(node.right, operator, _ORDERED)
        left, right = self.operand(node.left), self.operand(node.right)
        compare = COMPARE[operator]
        return lambda item, values: compare(left(item, values), right(item, values))

    def between(self, node: Between) -> Test:
        for operand in (node.operand, node.low, node.high):
            self.allow(operand, "BETWEEN", _ORDERED)
        self.distinct("BETWEEN", node.operand, (node.low, node.high))
        if isinstance(node.low, Value) and isinstance(node.high, Value):
            low_ref, high_ref, syntax = node.low.text, node.high.text, self.syntax

            def check(values: Values) -> None:
                check_bounds(syntax, values[low_ref], values[high_ref])

            self.checks.append(check)
        value, low, high = self.operand(node.operand), self.operand(node.low), self.operand(node.high)

        def between(item: Item, values: Values) -> bool:
            middle = value(item, values)
            return at_least(middle, low(item, values)) and at_most(middle, high(item, values))

        return between

    def function(self, node: Call) -> Test:
        name = node.name
        if name in UPDATE_FUNCTIONS:
            raise self.not_here(name)
        self.count_args(node)
        first = node.args[0]
        if name in ("attribute_exists", "attribute_not_exists"):
            self.must_be_path(first, name)
            value = self.operand(first)
            if name == "attribute_exists":
                return lambda item, values: value(item, values) is not None
            return lambda item, values: value(item, values) is None
        second = node.args[1]
        if name == "attribute_type":
            return self.attribute_type(first, second)
        self.distinct(name, first, (second,))
        if name == "begins_with":
            kinds = frozenset(("S", "B"))
            self.allow(first, name, kinds)
            self.allow(second, name, kinds)
            left, right = self.operand(first), self.operand(second)
            return lambda item, values: begins_with(left(item, values), right(item, values))
        self.allow(first, name, frozenset(("S", "B", "SS", "NS", "BS", "L")))
        left, right = self.operand(first), self.operand(second)
        return lambda item, values: contains(left(item, values), right(item, values))

    def must_be_path(self, node: Node, function: str) -> None:
        if not isinstance(node, Path):
            raise self.syntax.error(f"Operator or function requires a document path; operator or function: {function}")

    def attribute_type(self, first: Node, second: Node) -> Test:
        self.must_be_path(first, "attribute_type")
        if not isinstance(second, Value):
            raise self.syntax.error(
                "Incorrect operand type for operator or function; operator or function: attribute_type, "
                "operand type: {NS,SS,L,BS,N,M,B,BOOL,NULL,S}"
            )
        self.allow(second, "attribute_type", frozenset("S"))
        ref, syntax = second.text, self.syntax

        def check(values: Values) -> None:
            if values[ref]["S"] not in _TYPES:
                raise syntax.error(
                    f"Invalid attribute type name found; type: {values[ref]['S']}, valid types: {{{','.join(_TYPES)}}}"
                )

        self.checks.append(check)
        value, wanted = self.operand(first), self.operand(second)

        def has_type(item: Item, values: Values) -> bool:
            found, kind = value(item, values), wanted(item, values)
            return found is not None and kind is not None and kind["S"] in found

        return has_type


def check_bounds(syntax: Syntax, low: AttributeValue, high: AttributeValue) -> None:
    """Raises: ValidationException when BETWEEN's bounds are of two types or the wrong way round."""
    bounds = f"lower bound operand: AttributeValue: {shown_value(low)}, upper bound operand: AttributeValue: {shown_value(high)}"
    kind = kind_of(low)
    if kind != kind_of(high):
        raise syntax.error(f"The BETWEEN operator requires same data type for lower and upper bounds; {bounds}")
    if ordered(kind, low) > ordered(kind, high):
        raise syntax.error(
            f"The BETWEEN operator requires upper bound to be greater than or equal to lower bound; {bounds}"
        )


def _size(value: AttributeValue | None) -> AttributeValue | None:
    if value is None:
        return None
    kind = kind_of(value)
    if kind not in _SIZED:
        return None
    return {"N": str(len(b64decode(value["B"])) if kind == "B" else len(value[kind]))}


def same(left: AttributeValue | None, right: AttributeValue | None) -> bool:
    return left is not None and right is not None and equal(left, right)


def _differ(left: AttributeValue | None, right: AttributeValue | None) -> bool:
    return not same(left, right)


def _comparable(left: AttributeValue | None, right: AttributeValue | None) -> str:
    """The common kind of two values that have an order, or "" """
    if left is None or right is None:
        return ""
    kind = kind_of(left)
    return kind if kind in _ORDERED and kind in right else ""


def less(left: AttributeValue | None, right: AttributeValue | None) -> bool:
    kind = _comparable(left, right)
    return bool(kind) and bool(ordered(kind, left) < ordered(kind, right))  # type: ignore[arg-type]


def at_most(left: AttributeValue | None, right: AttributeValue | None) -> bool:
    kind = _comparable(left, right)
    return bool(kind) and bool(ordered(kind, left) <= ordered(kind, right))  # type: ignore[arg-type]


def more(left: AttributeValue | None, right: AttributeValue | None) -> bool:
    return less(right, left)


def at_least(left: AttributeValue | None, right: AttributeValue | None) -> bool:
    return at_most(right, left)


COMPARE: dict[str, Callable[[AttributeValue | None, AttributeValue | None], bool]] = {
    "=": same,
    "<>": _differ,
    "<": less,
    "<=": at_most,
    ">": more,
    ">=": at_least,
}


def _in(value: AttributeValue | None, options: list[AttributeValue | None]) -> bool:
    return any(same(value, option) for option in options)


def begins_with(value: AttributeValue | None, start: AttributeValue | None) -> bool:
    kind = _comparable(value, start)
    if kind not in ("S", "B"):
        return False
    return bool(ordered(kind, value).startswith(ordered(kind, start)))  # type: ignore[arg-type]


def contains(value: AttributeValue | None, part: AttributeValue | None) -> bool:
    """A substring, an element of a set, or an element of a list."""
    if value is None or part is None:
        return False
    kind, part_kind = kind_of(value), kind_of(part)
    if kind in ("S", "B") and kind == part_kind:
        return bool(ordered(kind, part) in ordered(kind, value))
    if kind == "L":
        return any(equal(element, part) for element in value["L"])
    return kind == _SET_OF.get(part_kind) and part[part_kind] in value[kind]
