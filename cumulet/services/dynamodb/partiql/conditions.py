"""The WHERE clause: taken apart into what fixes keys and what filters, and compiled as any other condition."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from cumulet.services.dynamodb.errors import ValidationException
from cumulet.services.dynamodb.expressions.conditions import compile_node
from cumulet.services.dynamodb.expressions.lexer import Syntax
from cumulet.services.dynamodb.expressions.nodes import And, Call, Compare, Node, Parenthesized, Path, Value
from cumulet.services.dynamodb.layout import Layout
from cumulet.services.dynamodb.model import AttributeValue, Item
from cumulet.services.dynamodb.partiql.statements import Statement

Values = dict[str, AttributeValue]
_FLIPPED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def conjuncts(node: Node | None) -> list[Node]:
    """The conditions that AND joins; comparisons with the value on the left are turned round."""
    match node:
        case None:
            return []
        case Parenthesized(inner):
            return conjuncts(inner)
        case And(left, right):
            return [*conjuncts(left), *conjuncts(right)]
    return [turned(node)]


def turned(node: Node) -> Node:
    """A comparison with the value on the left, turned round; any other condition as it is."""
    match node:
        case Compare(operator, Value() as left, Path() as right):
            return Compare(_FLIPPED[operator], right, left)
    return node


def attribute_of(node: Node) -> str | None:
    """The top-level attribute that an operand is, or None."""
    if isinstance(node, Path) and len(node.elements) == 1:
        return str(node.elements[0])
    return None


def equality(node: Node, name: str | None) -> Value | None:
    """The value of `name = value`, or None when a condition is something else."""
    if isinstance(node, Compare) and node.operator == "=" and isinstance(node.right, Value):
        return node.right if name is not None and attribute_of(node.left) == name else None
    return None


def compiled(nodes: list[Node], values: Values) -> Callable[[Item], bool] | None:
    """The conditions as one function of the item. Raises: ValidationException."""
    if not nodes:
        return None
    condition = compile_node(Syntax("WHERE clause", ""), reduce(And, nodes), {})
    for check in condition.checks:
        check(values)
    test = condition.test
    return lambda item: test(item, values)


def whole_key(layout: Layout, statement: Statement) -> tuple[Item, list[Node]] | None:
    """(the key that the WHERE clause names, its other conditions), or None when it does not name a whole key."""
    key: Item = {}
    rest: list[Node] = []
    for node in conjuncts(statement.where):
        for name in (layout.pk, layout.sk):
            value = equality(node, name)
            if name is not None and value is not None and name not in key:
                key[name] = statement.values[value.text]
                break
        else:
            rest.append(node)
    return (key, rest) if len(key) == len(layout.key_names) else None


def demand_key(layout: Layout, statement: Statement) -> tuple[Item, list[Node]]:
    """As `whole_key`. Raises: ValidationException."""
    found = whole_key(layout, statement)
    if found is None:
        raise ValidationException("Where clause does not contain a mandatory equality on all key attributes")
    return found


def exists(name: str) -> Node:
    return Call("attribute_exists", (Path((name,)),))
