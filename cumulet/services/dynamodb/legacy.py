"""The parameters that expressions replaced: Expected, AttributeUpdates, KeyConditions, QueryFilter, ScanFilter.

Source: developer guide, "Legacy conditional parameters" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cumulet.services.dynamodb.errors import ValidationException, invalid
from cumulet.services.dynamodb.expressions.conditions import COMPARE, at_least, at_most, begins_with, contains, same
from cumulet.services.dynamodb.expressions.paths import Tree
from cumulet.services.dynamodb.model import AttributeValue, Item
from cumulet.services.dynamodb.values import add_numbers, kind_of, measure, ordered

_OPERATORS = {"EQ": "=", "NE": "<>", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
_COUNTS = {
    "NULL": 0,
    "NOT_NULL": 0,
    "BETWEEN": 2,
    **dict.fromkeys((*_OPERATORS, "CONTAINS", "NOT_CONTAINS", "BEGINS_WITH"), 1),
}
_SCALAR_ONLY = frozenset(("LT", "LE", "GT", "GE", "BETWEEN", "BEGINS_WITH", "IN", "CONTAINS", "NOT_CONTAINS"))
_SETS = ("SS", "NS", "BS")
Test = Callable[[Item], bool]


def not_both(req: Mapping[str, Any], old: Sequence[str], expressions: Sequence[str]) -> None:
    """Raises: ValidationException when legacy parameters and expressions are mixed, or ConditionalOperator stands alone."""
    legacy = [name for name in old if name in req]
    if not legacy:
        return
    new = [name for name in expressions if name in req]
    if new:
        raise ValidationException(
            "Can not use both expression and non-expression parameters in the same request: "
            f"Non-expression parameters: {{{', '.join(legacy)}}} Expression parameters: {{{', '.join(new)}}}"
        )
    if "ConditionalOperator" in legacy:
        filters = [req[name] for name in ("Expected", "QueryFilter", "ScanFilter") if name in req]
        if not filters:
            raise ValidationException("ConditionalOperator cannot be used without Filter or Expected")
        if len(filters[0]) < 2:
            raise ValidationException(
                "ConditionalOperator can only be used when Filter or Expected has two or more elements"
            )


def _joined(tests: list[Test], req: Mapping[str, Any]) -> Test:
    if req.get("ConditionalOperator") == "OR":
        return lambda item: any(test(item) for test in tests)
    return lambda item: all(test(item) for test in tests)


def expected(req: Mapping[str, Any]) -> Test:
    """The condition that `Expected` states. Raises: ValidationException."""
    return _joined([_expectation(name, entry) for name, entry in req["Expected"].items()], req)


def _expectation(name: str, entry: Mapping[str, Any]) -> Test:
    if "ComparisonOperator" in entry:
        if "Exists" in entry:
            raise invalid("Exists and ComparisonOperator cannot be used together for Attribute: " + name)
        if "Value" in entry and "AttributeValueList" in entry:
            raise invalid("Value and AttributeValueList cannot be used together for Attribute: " + name)
        values = [entry["Value"]] if "Value" in entry else entry.get("AttributeValueList", [])
        return comparison(name, entry["ComparisonOperator"], values)
    if "AttributeValueList" in entry:
        raise invalid("AttributeValueList can only be used with a ComparisonOperator for Attribute: " + name)
    if entry.get("Exists", True) is False:
        if "Value" in entry:
            raise invalid("Value cannot be used when Exists is false for Attribute: " + name)
        return lambda item: name not in item
    if "Value" not in entry:
        word = "true" if "Exists" in entry else "null"
        raise invalid(f"Value must be provided when Exists is {word} for Attribute: {name}")
    value = measure(entry["Value"])[1]
    return lambda item: same(item.get(name), value)


def filtering(req: Mapping[str, Any], member: str) -> Test:
    """The condition of a QueryFilter or ScanFilter. Raises: ValidationException."""
    return _joined([comparison(name, entry["ComparisonOperator"], entry.get("AttributeValueList", []))
                    for name, entry in req[member].items()], req)  # fmt: skip


def checked_operands(operator: str, values: Sequence[Any]) -> list[AttributeValue]:
    """Raises: ValidationException for a wrong number or type of operands."""
    wanted = _COUNTS.get(operator)
    if (wanted is None and not values) or (wanted is not None and len(values) != wanted):
        raise invalid(f"Invalid number of argument(s) for the {operator} ComparisonOperator")
    normal = [measure(value)[1] for value in values]
    for value in normal:
        kind = kind_of(value)
        if operator in _SCALAR_ONLY and (kind not in ("S", "N", "B") or (operator == "BEGINS_WITH" and kind == "N")):
            raise invalid(f"ComparisonOperator {operator} is not valid for {kind} AttributeValue type")
    if operator == "BETWEEN":
        kind = kind_of(normal[0])
        if kind != kind_of(normal[1]):
            raise invalid("AttributeValues inside AttributeValueList must be of same type")
        if ordered(kind, normal[0]) > ordered(kind, normal[1]):
            raise ValidationException(
                "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"
            )
    return normal


def comparison(name: str, operator: str, values: Sequence[Any]) -> Test:
    """One legacy condition on a top-level attribute. Raises: ValidationException."""
    operands = checked_operands(operator, values)
    if operator == "NULL":
        return lambda item: name not in item
    if operator == "NOT_NULL":
        return lambda item: name in item
    if operator == "BETWEEN":
        low, high = operands
        return lambda item: at_least(item.get(name), low) and at_most(item.get(name), high)
    if operator == "IN":
        return lambda item: any(same(item.get(name), option) for option in operands)
    operand = operands[0]
    if operator in _OPERATORS:
        compare = COMPARE[_OPERATORS[operator]]
        return lambda item: compare(item.get(name), operand)
    if operator == "BEGINS_WITH":
        return lambda item: begins_with(item.get(name), operand)
    if operator == "CONTAINS":
        return lambda item: contains(item.get(name), operand)
    return lambda item: name in item and not contains(item[name], operand)


class AttributeUpdates:
    """The updates that `AttributeUpdates` states."""

    def __init__(self, entries: list[tuple[str, str, AttributeValue | None]]) -> None:
        self._entries = entries
        self.tree: Tree = {name: {} for name, _, _ in entries}
        self.creates = not entries or any(action != "DELETE" for _, action, _ in entries)  # as in expressions

    def apply(self, item: Item) -> Item:
        """Change `item` and return it. Raises: ValidationException."""
        for name, action, value in self._entries:
            if action == "PUT":
                assert value is not None
                item[name] = value
            elif action == "ADD":
                assert value is not None
                item[name] = _added(item.get(name), value)
            elif value is None:
                item.pop(name, None)
            elif name in item:
                left = _reduced(item[name], value)
                if left is None:
                    del item[name]
                else:
                    item[name] = left
        return item


def attribute_updates(req: Mapping[str, Any]) -> AttributeUpdates:
    """Raises: ValidationException."""
    entries: list[tuple[str, str, AttributeValue | None]] = []
    for name, entry in req["AttributeUpdates"].items():
        action = entry.get("Action", "PUT")
        value = measure(entry["Value"])[1] if "Value" in entry else None
        if value is None and action != "DELETE":
            raise invalid("Only DELETE action is allowed when no attribute value is specified")
        if value is not None:
            kind = kind_of(value)
            if action == "ADD" and kind not in (*_SETS, "N", "L"):
                raise invalid(f"ADD action is not supported for the type {kind}")
            if action == "DELETE" and kind not in _SETS:
                raise invalid(f"DELETE action with value is not supported for the type {kind}")
        entries.append((name, action, value))
    return AttributeUpdates(entries)


def _type_mismatch() -> ValidationException:
    return ValidationException("Type mismatch for attribute to update")


def _added(found: AttributeValue | None, value: AttributeValue) -> AttributeValue:
    if found is None:
        return value
    kind = kind_of(value)
    if kind not in found:
        raise _type_mismatch()
    if kind == "N":
        return {"N": add_numbers(found["N"], value["N"])}
    if kind == "L":
        return {"L": [*found["L"], *value["L"]]}
    return {kind: list(dict.fromkeys([*found[kind], *value[kind]]))}


def _reduced(found: AttributeValue, value: AttributeValue) -> AttributeValue | None:
    kind = kind_of(value)
    if kind not in found:
        raise _type_mismatch()
    left = [element for element in found[kind] if element not in value[kind]]
    return {kind: left} if left else None


def projection(names: Sequence[str]) -> Tree:
    """AttributesToGet as the tree of a projection. Raises: ValidationException for a repeated name."""
    if len(set(names)) < len(names):
        repeated = next(name for index, name in enumerate(names) if name in names[:index])
        raise invalid(f"Duplicate value in attribute name: {repeated}")
    return {name: {} for name in names}
