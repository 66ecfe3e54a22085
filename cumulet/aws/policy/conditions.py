"""Condition operators: what a statement's Condition asks of a request's context.

Source: IAM user guide, "IAM JSON policy elements: Condition operators", "Set operators for multi-valued context keys"
(read 2026-11).
"""

from __future__ import annotations

import base64
import binascii
import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cumulet.aws.policy.facts import Facts, as_text, flattened
from cumulet.aws.policy.patterns import Matches, arn_pattern, literal, pattern

Holds = Callable[[Facts], bool]

_ORDERS = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}
_SETS = ("ForAllValues", "ForAnyValue")


class UnknownOperator(ValueError):
    """No condition operator of AWS's."""


def condition(name: str, key: str, wanted: Any, *, variables: bool = True) -> Holds:
    """A test of one key of the context. Raises: UnknownOperator."""
    prefix, colon, rest = name.partition(":")
    quantifier = prefix if colon else ""
    if colon and quantifier not in _SETS:
        raise UnknownOperator(name)
    plain = (rest if colon else name).removesuffix("IfExists")
    if_exists = name.endswith("IfExists")
    lower = key.lower()
    values = [as_text(value) for value in flattened(wanted)]
    if plain == "Null":
        if if_exists or colon:
            raise UnknownOperator(name)
        absent = {value.lower() == "true" for value in values}
        return lambda facts: (facts.get(lower) is None) in absent
    positive = _NEGATED.get(plain, plain)
    tests = [_test(positive, value, variables) for value in values]
    return _quantified(lower, tests, plain in _NEGATED, quantifier, if_exists)


def known_operator(name: str) -> bool:
    """Whether AWS has an operator of this name."""
    try:
        condition(name, "", [""])
    except UnknownOperator:
        return False
    return True


def _quantified(key: str, tests: list[Matches], negated: bool, quantifier: str, if_exists: bool) -> Holds:
    def fits(value: str, facts: Facts) -> bool:
        return any(test(value, facts) for test in tests) is not negated

    def every(facts: Facts) -> bool:
        found = facts.texts(key)
        return found is None or all(fits(value, facts) for value in found)

    def some(facts: Facts) -> bool:
        found = facts.texts(key)
        if not found:
            return if_exists and found is None
        return any(fits(value, facts) for value in found)

    def single(facts: Facts) -> bool:
        found = facts.texts(key)
        if found is None:
            return negated or if_exists
        if negated:
            return all(fits(value, facts) for value in found)
        return any(fits(value, facts) for value in found)

    return every if quantifier == "ForAllValues" else some if quantifier else single


def _test(name: str, wanted: str, variables: bool) -> Matches:
    """A test of one value against one of the policy's values."""
    match name:
        case "StringEquals":
            return literal(wanted, variables=variables)
        case "StringEqualsIgnoreCase":
            return literal(wanted, variables=variables, ignore_case=True)
        case "StringLike":
            return pattern(wanted, variables=variables)
        case "ArnEquals" | "ArnLike":
            return arn_pattern(wanted, variables=variables)
        case "Bool":
            return literal(wanted, variables=variables, ignore_case=True)
        case "BinaryEquals":
            return _binary(wanted)
        case "IpAddress":
            return _address(wanted)
    for kind, read in (("Numeric", _number), ("Date", _moment)):
        if name.startswith(kind) and name[len(kind) :] in _ORDERS:
            return _ordered(_ORDERS[name[len(kind) :]], read, wanted)
    raise UnknownOperator(name)


def _ordered(order: Callable[[Any, Any], bool], read: Callable[[str], float | None], wanted: str) -> Matches:
    limit = read(wanted)

    def fits(value: str, facts: Facts) -> bool:
        found = read(value)
        return limit is not None and found is not None and bool(order(found, limit))

    return fits


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _moment(text: str) -> float | None:
    """Seconds since 1970, of ISO 8601 or of such a number."""
    number = _number(text)
    if number is not None:
        return number
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _binary(wanted: str) -> Matches:
    try:
        data = base64.b64decode(wanted, validate=True)
    except binascii.Error:
        return lambda value, facts: False

    def same(value: str, facts: Facts) -> bool:
        try:
            return base64.b64decode(value, validate=True) == data
        except binascii.Error:
            return False

    return same


def _address(wanted: str) -> Matches:
    import ipaddress  # few policies ask for addresses

    try:
        network = ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return lambda value, facts: False

    def inside(value: str, facts: Facts) -> bool:
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return inside
