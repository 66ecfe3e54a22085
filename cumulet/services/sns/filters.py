"""Filter policies: what a subscription accepts, compiled once into a test of attributes or of a JSON body.

Values of messages and policies are brought to one form first: strings stay, numbers become integers of hundred-thousandths
(SNS compares five digits after the decimal point), true, false and null become tuples, so that nothing equals by accident.
A key's conditions are alternatives, keys must all match, `$or` gives alternatives of keys.
Source: SNS developer guide, "Amazon SNS subscription filter policies", "Key matching", "String value matching", "Filter policy
constraints" (read 2026-11).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from cumulet.aws.eventpattern import InvalidPattern, wildcard
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.services.sns.errors import InvalidParameter

Json = dict[str, Any]
Value = str | int | tuple[str]
Values = Sequence[Value] | None  # None: the key is not there
Condition = Callable[[Values], bool]
Test = Callable[[Any], bool]

MAX_KEYS = 5
MAX_COMBINATIONS = 150
MAX_BYTES = 256 * 1024
MAX_WILDCARDS = 3
MAX_WILDCARD_POINTS = 100
_LARGEST = 10**9
_SCALE = 100_000
_RESERVED = frozenset(
    ("exists", "prefix", "suffix", "numeric", "anything-but", "cidr", "equals-ignore-case", "wildcard")
)
_LARGEST_EXPONENT = 308
_TRUE, _FALSE, _NULL, _BEYOND = ("true",), ("false",), ("null",), ("beyond",)
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "=": lambda value, bound: value == bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
}


def refused(why: str) -> InvalidParameter:
    return InvalidParameter.of(f"FilterPolicy: {why}")


def parsed(text: str) -> Json:
    """A policy's JSON object. Raises: InvalidParameter."""
    if len(text.encode()) > MAX_BYTES:
        raise refused("Filter policy is too large")
    try:
        policy = read_json(text)
    except NotJson as error:
        raise refused(f"failed to parse JSON. {error}") from error
    if not isinstance(policy, dict):
        raise refused("Filter is not an object")
    return policy


def compiled(text: str, body: bool) -> Test:
    """The test that a policy is: of {name: values} of attributes, or (`body`) of a parsed JSON object.

    Raises: InvalidParameter for a policy that SNS would not take.
    """
    policy = parsed(text)
    if len(policy) > MAX_KEYS:
        raise refused(f"Filter policy can not have more than {MAX_KEYS} keys")
    try:
        test = _object(policy, body)
        if _combinations(policy, 1) <= MAX_COMBINATIONS and _wildcard_points(policy) <= MAX_WILDCARD_POINTS:
            return test
    except RecursionError:
        pass
    raise refused("Filter policy is too complex")


def _alternatives(key: str, value: Any) -> list[Json] | None:
    """The objects of an `$or`; None where it is an ordinary key."""
    if key != "$or" or not isinstance(value, list) or len(value) < 2:
        return None
    if all(isinstance(part, dict) and part and not _RESERVED & part.keys() for part in value):
        return value
    return None


def _combinations(policy: Json, depth: int) -> int:
    """The number of values multiplied over all keys; a nested key's values count once for each level."""
    total = 1
    for key, value in policy.items():
        parts = _alternatives(key, value)
        if parts is not None:
            total *= sum(_combinations(part, depth) for part in parts)
        elif isinstance(value, dict):
            total *= _combinations(value, depth + 1)
        else:
            total *= len(value) * depth
    return total


def _wildcard_points(policy: Json) -> int:
    """What the wildcards cost: a key's patterns of one `*` are a point each, of more three, times how many patterns there are."""
    total = 0
    for key, value in policy.items():
        parts = _alternatives(key, value)
        if parts is not None:
            total += sum(map(_wildcard_points, parts))
        elif isinstance(value, dict):
            total += _wildcard_points(value)
        else:
            stars = [_stars(found) for part in value if (found := _wildcard_of(part)) is not None]
            total += sum(1 if count < 2 else 3 for count in stars) * len(stars)
    return total


def _stars(pattern: str) -> int:
    """The wildcards in a pattern, without those that a backslash makes plain."""
    return re.sub(r"\\.", "", pattern, flags=re.DOTALL).count("*")


def _wildcard_of(part: Any) -> str | None:
    """The pattern of a condition `wildcard`, alone or in `anything-but`."""
    inner = part.get("anything-but", part) if isinstance(part, dict) else None
    found = inner.get("wildcard") if isinstance(inner, dict) else None
    return found if isinstance(found, str) else None


def _object(policy: Json, body: bool) -> Test:
    if not policy:
        return lambda given: True
    tests: list[Test] = []
    for key, value in policy.items():
        parts = _alternatives(key, value)
        if parts is not None:
            tests.append(_any_of([_object(part, body) for part in parts]))
        elif isinstance(value, dict):
            if not body:
                raise refused("Filter policy scope MessageAttributes does not support nested filter policy")
            if not value:
                raise refused("Empty objects are not allowed")
            tests.append(_nested(key, _object(value, body)))
        elif isinstance(value, list):
            condition = _conditions(value)
            tests.append(_leaf(key, condition) if body else _attribute(key, condition))
        else:
            raise refused(f'"{key}" must be an object or an array')
    return tests[0] if len(tests) == 1 else lambda given: all(test(given) for test in tests)


def _any_of(tests: list[Test]) -> Test:
    return lambda given: any(test(given) for test in tests)


def _attribute(key: str, condition: Condition) -> Test:
    return lambda given: condition(given.get(key))


def _leaf(key: str, condition: Condition) -> Test:
    return lambda given: condition(_leaves(given[key]) if key in given else None)


def _nested(key: str, inner: Test) -> Test:
    def test(given: Json) -> bool:
        value = given.get(key)
        parts = [part for part in value if isinstance(part, dict)] if isinstance(value, list) else [value]
        if not parts:  # an array without objects has none of the keys below, as a scalar has
            return inner({})
        return any(inner(part if isinstance(part, dict) else {}) for part in parts)

    return test


def _leaves(value: Any) -> list[Value]:
    """The scalars in a value, through arrays however deep."""
    found: list[Value] = []
    ahead = [value]
    while ahead:
        part = ahead.pop()
        if isinstance(part, list):
            ahead.extend(part)
        elif not isinstance(part, dict):
            found.append(_canonical(part))
    return found


def _canonical(value: Any) -> Value:
    if isinstance(value, str):
        return value
    if value is True or value is False:
        return _TRUE if value else _FALSE
    if value is None:
        return _NULL
    try:
        return fixed(value)
    except ValueError:
        return _BEYOND


def fixed(number: float | int | str) -> int:
    """A number in hundred-thousandths. Raises: ValueError, also for what is beyond 10^308, the end of JSON's floats."""
    try:
        exact = Decimal(str(number))
        if exact.adjusted() > _LARGEST_EXPONENT:
            raise ValueError("too large")
        return round(exact * _SCALE)
    except (InvalidOperation, OverflowError, ValueError) as error:
        raise ValueError("not a number") from error


def _bounded(number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise refused("Value of numeric must be numeric")
    if not -_LARGEST <= number <= _LARGEST:
        raise refused("Value of numeric must be between -1.0E9 and 1.0E9, inclusive")
    return fixed(number)


def _conditions(listed: list[Any]) -> Condition:
    """One condition of a key's array, whose elements are alternatives."""
    if not listed:
        raise refused("Empty arrays are not allowed")
    exact: set[Value] = set()
    others: list[Condition] = []
    for part in listed:
        if isinstance(part, dict):
            others.append(_operator(part))
        elif isinstance(part, list):
            raise refused("Match value must be String, number, true, false, or null")
        elif isinstance(part, int | float) and not isinstance(part, bool):
            exact.add(_bounded(part))
        else:
            exact.add(_canonical(part))
    if exact:
        others.insert(0, lambda values: values is not None and any(value in exact for value in values))
    return others[0] if len(others) == 1 else lambda values: any(condition(values) for condition in others)


def _operator(part: Json) -> Condition:
    if len(part) != 1:
        raise refused("Only one key allowed in match expression")
    ((name, operand),) = part.items()
    match name:
        case "exists":
            if not isinstance(operand, bool):
                raise refused("exists match pattern must be either true or false.")
            return _there if operand else (lambda values: values is None)
        case "numeric":
            return _some(_numeric(operand))
        case "anything-but":
            return _none(_excluded(operand))
        case "prefix" | "suffix" | "equals-ignore-case" | "cidr" | "wildcard":
            return _some(_textual(name, operand))
        case _:
            raise refused(f"Unrecognized match type {name}")


def _there(values: Values) -> bool:
    """Whether a key has a value that is not null and not empty."""
    return values is not None and any(value not in ("", _NULL) for value in values)


def _some(test: Callable[[Value], bool]) -> Condition:
    return lambda values: values is not None and any(test(value) for value in values)


def _none(test: Callable[[Value], bool]) -> Condition:
    return lambda values: bool(values) and not any(test(value) for value in values or ())


def _textual(name: str, operand: Any) -> Callable[[Value], bool]:
    if not isinstance(operand, str):
        raise refused(f"{name} match pattern must be a string")
    if name == "prefix":
        return lambda value: isinstance(value, str) and value.startswith(operand)
    if name == "suffix":
        return lambda value: isinstance(value, str) and value.endswith(operand)
    if name == "equals-ignore-case":
        wanted = operand.lower()
        return lambda value: isinstance(value, str) and value.lower() == wanted
    return _wildcard(operand) if name == "wildcard" else _cidr(operand)


def _wildcard(operand: str) -> Callable[[Value], bool]:
    if _stars(operand) > MAX_WILDCARDS:
        raise refused(f"wildcard match pattern can not have more than {MAX_WILDCARDS} wildcards")
    try:
        return wildcard(operand)
    except InvalidPattern as error:
        raise refused(str(error)) from error


def _cidr(operand: str) -> Callable[[Value], bool]:
    try:
        network = ipaddress.ip_network(operand, strict=False)
    except ValueError as error:
        raise refused(f"Malformed CIDR, one '/' required: {operand}") from error
    if "/" not in operand:
        raise refused("Malformed CIDR, one '/' required")

    def test(value: Value) -> bool:
        try:
            return isinstance(value, str) and ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return test


def _excluded(operand: Any) -> Callable[[Value], bool]:
    """What `anything-but` does not want."""
    if isinstance(operand, dict):
        if len(operand) != 1 or not operand.keys() <= {"prefix", "suffix", "wildcard"}:
            raise refused("Unsupported anything-but pattern")
        ((name, text),) = operand.items()
        if not isinstance(text, str) or not text:
            raise refused(f"{name} match pattern must be a string")
        return _textual(name, text)
    listed = operand if isinstance(operand, list) else [operand]
    if not listed:
        raise refused("Empty arrays are not allowed")
    if all(isinstance(part, str) for part in listed):
        unwanted: frozenset[Value] = frozenset(listed)
    elif all(isinstance(part, int | float) and not isinstance(part, bool) for part in listed):
        unwanted = frozenset(_bounded(part) for part in listed)
    else:
        raise refused("Inside anything-but list, only strings or numbers are supported")
    return lambda value: value in unwanted


def _numeric(operand: Any) -> Callable[[Value], bool]:
    if not isinstance(operand, list) or not operand:
        raise refused("Value of numeric must be an array.")
    if len(operand) not in (2, 4) or not all(isinstance(sign, str) for sign in operand[::2]):
        raise refused(
            "Too many elements in numeric expression" if len(operand) > 4 else "Invalid member in numeric match"
        )
    for sign in operand[::2]:
        if sign not in _COMPARE:
            raise refused(f"Unrecognized numeric range operator: {sign}")
    bounds = [_bounded(number) for number in operand[1::2]]
    if len(operand) == 4:
        if not operand[0].startswith(">") or not operand[2].startswith("<"):
            raise refused("Bad numeric range operator")
        if bounds[0] >= bounds[1]:
            raise refused("Bottom must be less than top")
    checks = [(_COMPARE[sign], bound) for sign, bound in zip(operand[::2], bounds, strict=True)]
    return lambda value: isinstance(value, int) and all(check(value, bound) for check, bound in checks)


class UnreadableAttribute(ValueError):
    """A String.Array or Number attribute whose value is none."""


def attribute_values(attributes: Json) -> dict[str, Sequence[Value]]:
    """{name: values} of a message's attributes, without binary ones. Raises: UnreadableAttribute."""
    found: dict[str, Sequence[Value]] = {}
    for name, attribute in attributes.items():
        kind = attribute["DataType"]
        if kind.startswith("Binary"):
            continue
        text = attribute["StringValue"]
        if kind == "String.Array":
            found[name] = _listed(name, text)
        elif kind.startswith("Number"):
            found[name] = (fixed(text),)
        else:
            found[name] = (text,)
    return found


def _listed(name: str, text: str) -> list[Value]:
    try:
        listed = read_json(text)
    except NotJson as error:
        raise UnreadableAttribute(name) from error
    if not isinstance(listed, list) or any(isinstance(part, dict | list) for part in listed):
        raise UnreadableAttribute(name)
    return [_canonical(part) for part in listed]
