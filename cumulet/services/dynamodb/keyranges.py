"""From key conditions to the range of rows that they select."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cumulet.services.dynamodb import keys, legacy
from cumulet.services.dynamodb.errors import ValidationException, invalid
from cumulet.services.dynamodb.expressions.conditions import check_bounds
from cumulet.services.dynamodb.expressions.keyconditions import KeyConditions
from cumulet.services.dynamodb.expressions.lexer import Syntax
from cumulet.services.dynamodb.layout import IndexLayout, Layout
from cumulet.services.dynamodb.model import AttributeValue, Item
from cumulet.services.dynamodb.values import kind_of

_LEGACY = {"EQ": "=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">=", "BETWEEN": "BETWEEN", "BEGINS_WITH": "begins_with"}
_WORDS = {"S": "string", "B": "binary"}
Tests = dict[str, tuple[str, list[AttributeValue]]]  # attribute -> (operator, operands)


def key_range(
    layout: Layout, index: IndexLayout | None, conditions: KeyConditions, values: Item
) -> tuple[bytes, bytes]:
    """(first row key, the key behind the last). Raises: ValidationException."""
    tests: Tests = {}
    for test in conditions.tests:
        operands = [values[ref] for ref in test.refs]
        if test.operator == "BETWEEN":
            check_bounds(Syntax("KeyConditionExpression", ""), *operands)
        if test.operator == "begins_with" and kind_of(operands[0]) not in ("S", "B"):
            raise ValidationException(
                "Invalid KeyConditionExpression: Incorrect operand type for operator or function; "
                f"operator or function: begins_with, operand type: {kind_of(operands[0])}"
            )
        tests[test.attribute] = (test.operator, operands)
    return _range(layout, index, tests)


def legacy_key_range(layout: Layout, index: IndexLayout | None, conditions: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """As `key_range`, for KeyConditions. Raises: ValidationException."""
    if not 1 <= len(conditions) <= 2:
        raise ValidationException("Conditions can be of length 1 or 2 only")
    tests: Tests = {}
    for name, entry in conditions.items():
        operator = entry["ComparisonOperator"]
        operands = legacy.checked_operands(operator, entry.get("AttributeValueList", []))
        if operator not in _LEGACY:
            raise ValidationException("Attempted conditional constraint is not an indexable operation")
        tests[name] = (_LEGACY[operator], operands)
    return _range(layout, index, tests)


def _range(layout: Layout, index: IndexLayout | None, tests: Tests) -> tuple[bytes, bytes]:
    if index is None:
        prefix, pk, pk_kind, sk, sk_kind = layout.prefix, layout.pk, layout.pk_kind, layout.sk, layout.sk_kind
    else:
        prefix, pk, pk_kind, sk, sk_kind = (index.prefix, index.index.pk, index.pk_kind, index.index.sk, index.sk_kind)
    if pk not in tests:
        raise ValidationException(f"Query condition missed key schema element: {pk}")
    if len(tests) == 2 and (sk is None or sk not in tests):
        raise ValidationException(
            f"Query condition missed key schema element: {sk}" if sk else "Query key condition not supported"
        )
    operator, operands = tests[pk]
    if operator != "=":
        raise ValidationException("Query key condition not supported")
    part = _part(pk, pk_kind, operands[0])
    keys.check_hash_size(part)
    base = prefix + keys.bucket(part) + part
    if len(tests) == 1 or sk is None:
        return base, base + b"\xff"
    operator, operands = tests[sk]
    if operator == "begins_with":
        if sk_kind not in operands[0]:
            raise _mismatch()
        begin = base + keys.beginning(sk_kind, operands[0][sk_kind])
        return begin, keys.successor(begin)
    parts = [_part(sk, sk_kind, operand) for operand in operands]
    for part in parts:
        keys.check_range_size(part)
    return _bounds(base, operator, parts)


def _bounds(base: bytes, operator: str, parts: list[bytes]) -> tuple[bytes, bytes]:
    first, last = base + parts[0], base + parts[-1]
    end = b"\xff"
    match operator:
        case "=" | "BETWEEN":
            return first, last + end
        case "<":
            return base, first
        case "<=":
            return base, first + end
        case ">":
            return first + end, base + end
    assert operator == ">="
    return first, base + end


def _mismatch() -> ValidationException:
    return invalid("Condition parameter type does not match schema type")


def _part(name: str, kind: str, value: AttributeValue) -> bytes:
    if kind not in value:
        raise _mismatch()
    if value[kind] == "":
        raise ValidationException(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot "
            f"contain an empty {_WORDS[kind]} value. Key: {name}"
        )
    return keys.key_part(kind, value[kind])
