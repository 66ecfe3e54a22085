"""Event patterns: which events a rule, an archive, a function's filter or a pipe wants.

A pattern is compiled into alternatives (one, or several where `$or` stands), each a list of conditions on leaves of the
event, all of which must hold. A condition on a list holds when one element meets it. Where a path leads through lists of
objects, all conditions of an alternative must be met by the same elements; conditions are tried in the order of their
paths, which only shows where `exists: false` meets such lists.

Source: EventBridge user guide, "Comparison operators for use in event patterns", "Best practices when defining event
patterns" (read 2026-11); texts of refusals as PutRule gives them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from cumulet.aws.jsontext import NotJson, read_json

Matcher = Callable[[Any], bool]
Path = tuple[str, ...]
Membership = dict[tuple[int, Path], int]

OPERATORS = frozenset(
    {"anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "prefix", "suffix", "wildcard"}
)
_MOST_COMBINATIONS = 1000
_NUMBER_LIMIT = 5.0e9
_ABSENT: Any = object()
_THROUGH_LIST: Any = object()


class InvalidPattern(ValueError):
    """A pattern that EventBridge refuses; the text is that of InvalidEventPatternException."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Event pattern is not valid. Reason: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Condition:
    """What the leaf at `path` must be; `absent`: there may also be no such leaf."""

    path: Path
    test: Matcher
    absent: bool
    strings: frozenset[str] | None  # the strings it may be, where it is nothing but a list of strings


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern: call it with an event. `strings(path)` helps to find candidates among many patterns."""

    alternatives: tuple[tuple[Condition, ...], ...]

    def __call__(self, event: Any) -> bool:
        try:
            return any(_holds(conditions, event) for conditions in self.alternatives)
        except RecursionError:  # a list of lists of lists ...
            return False

    def strings(self, *path: str) -> frozenset[str] | None:
        """The strings that the leaf at `path` must be one of, or None where the pattern does not say so."""
        found: set[str] = set()
        for conditions in self.alternatives:
            for condition in conditions:
                if condition.path == path and condition.strings is not None:
                    found |= condition.strings
                    break
            else:
                return None
        return frozenset(found)


def compile_pattern(pattern: dict[str, Any] | str) -> Pattern:
    """The pattern as a function of an event (parsed JSON). Raises: InvalidPattern (a ValueError)."""
    if isinstance(pattern, str):
        try:
            pattern = read_json(pattern)
        except NotJson as error:
            raise InvalidPattern(str(error)) from error
    if not isinstance(pattern, dict):
        raise InvalidPattern("Filter is not an object")
    try:
        alternatives = _object(pattern, ())
    except RecursionError as error:
        raise InvalidPattern("Filter is nested too deeply") from error
    return Pattern(tuple(tuple(sorted(each, key=lambda c: c.path)) for each in alternatives))


# compiling

Alternatives = list[list[Condition]]


def _object(node: dict[str, Any], path: Path) -> Alternatives:
    if not node:
        raise InvalidPattern("Empty objects are not allowed")
    every: Alternatives = [[]]
    for name, value in node.items():
        if name == "$or" and _is_or(value):
            arms = [conditions for arm in value for conditions in _object(arm, path)]
        elif isinstance(value, dict):
            arms = _object(value, (*path, name))
        elif isinstance(value, list):
            arms = [[_leaf(value, (*path, name))]]
        else:
            raise InvalidPattern(f'"{name}" must be an object or an array')
        if len(every) * len(arms) > _MOST_COMBINATIONS:
            raise InvalidPattern("Rule is too complex - the $or operators make more than 1000 combinations")
        every = [[*left, *right] for left in every for right in arms]
    return every


def _is_or(value: Any) -> bool:
    """`$or` is an operator above two or more objects that are no comparisons; otherwise a field may be called so."""
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(isinstance(arm, dict) and not (arm.keys() & OPERATORS) for arm in value)
    )


def _leaf(values: list[Any], path: Path) -> Condition:
    if not values:
        raise InvalidPattern("Empty arrays are not allowed")
    strings: set[str] = set()
    numbers: set[float] = set()
    singles: set[bool | None] = set()
    tests: list[Matcher] = []
    absent = False
    for value in values:
        if isinstance(value, str):
            strings.add(value)
        elif value is None or isinstance(value, bool):
            singles.add(value)
        elif isinstance(value, (int, float)):
            numbers.add(value)
        elif not isinstance(value, dict):
            raise InvalidPattern("Match value must be String, number, true, false, or null")
        elif value == {"exists": False}:
            absent = True
        else:
            tests.append(_comparison(value))
    only = frozenset(strings) if not (numbers or singles or tests or absent) else None
    if only is not None:
        return Condition(path, lambda leaf: type(leaf) is str and leaf in only, False, only)

    def test(leaf: Any) -> bool:
        if type(leaf) is str:
            equal = leaf in strings
        elif leaf is None or type(leaf) is bool:
            equal = leaf in singles
        else:
            equal = leaf in numbers
        return equal or any(other(leaf) for other in tests)

    return Condition(path, test, absent, None)


def _comparison(node: dict[str, Any]) -> Matcher:
    if not node:
        raise InvalidPattern("Empty objects are not allowed")
    ((operator, value), *more) = node.items()
    if operator not in OPERATORS:
        raise InvalidPattern(f"Unrecognized match type {operator}")
    if more:
        raise InvalidPattern("Only one key allowed in match expression")
    return _COMPARISONS[operator](value)


def _prefix(value: Any) -> Matcher:
    if isinstance(value, dict):
        folded = _folded(value, "prefix")
        return lambda leaf: type(leaf) is str and leaf.casefold().startswith(folded)
    if not isinstance(value, str):
        raise InvalidPattern("prefix match pattern must be a string")
    return lambda leaf: type(leaf) is str and leaf.startswith(value)


def _suffix(value: Any) -> Matcher:
    if isinstance(value, dict):
        folded = _folded(value, "suffix")
        return lambda leaf: type(leaf) is str and leaf.casefold().endswith(folded)
    if not isinstance(value, str):
        raise InvalidPattern("suffix match pattern must be a string")
    return lambda leaf: type(leaf) is str and leaf.endswith(value)


def _folded(node: dict[str, Any], operator: str) -> str:
    if set(node) != {"equals-ignore-case"}:
        raise InvalidPattern(f"Unsupported {operator} pattern: {next(iter(node), '')}")
    text = node["equals-ignore-case"]
    if not isinstance(text, str):
        raise InvalidPattern("equals-ignore-case match pattern must be a string")
    return text.casefold()


def _equals_ignore_case(value: Any) -> Matcher:
    if not isinstance(value, str):
        raise InvalidPattern("equals-ignore-case match pattern must be a string")
    folded = value.casefold()
    return lambda leaf: type(leaf) is str and leaf.casefold() == folded


def _exists(value: Any) -> Matcher:
    if value is not True:  # False is a condition's `absent`
        raise InvalidPattern("exists match pattern must be either true or false.")
    return lambda leaf: True


def _cidr(value: Any) -> Matcher:
    if not isinstance(value, str):
        raise InvalidPattern("prefix match pattern must be a string")
    if value.count("/") != 1:
        raise InvalidPattern("Malformed CIDR, one '/' required")
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError as error:
        raise InvalidPattern(f"Malformed CIDR: {error}") from error

    def test(leaf: Any) -> bool:
        if type(leaf) is not str:
            return False
        try:
            return ipaddress.ip_address(leaf) in network
        except ValueError:
            return False

    return test


def wildcard(value: Any) -> Matcher:
    if not isinstance(value, str):
        raise InvalidPattern("wildcard match pattern must be a string")
    parts = _wildcard_parts(value)
    if len(parts) == 1:
        whole = parts[0]
        return lambda leaf: type(leaf) is str and leaf == whole
    first, *middle, last = parts

    def test(leaf: Any) -> bool:
        if type(leaf) is not str or not leaf.startswith(first):
            return False
        at, end = len(first), len(leaf) - len(last)
        if end < at or not leaf.endswith(last):
            return False
        for part in middle:
            found = leaf.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    return test


def _wildcard_parts(text: str) -> list[str]:
    """The literal texts between the wildcards; a backslash takes away the meaning of `*` and of itself."""
    parts, current, at = [], "", 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            if text[at + 1 : at + 2] not in ("*", "\\"):
                raise InvalidPattern(f"Invalid escape character at pos {at}")
            current += text[at + 1]
            at += 1
        elif char == "*":
            if text[at + 1 : at + 2] == "*":
                raise InvalidPattern(f"Consecutive wildcard characters at pos {at}")
            parts.append(current)
            current = ""
        else:
            current += char
        at += 1
    return [*parts, current]


def _numeric(value: Any) -> Matcher:
    if not isinstance(value, list):
        raise InvalidPattern("Value of numeric must be an array.")
    match value:
        case []:
            raise InvalidPattern("Empty arrays are not allowed")
        case ["=", bound]:
            number = _number(bound, "equals")
            return lambda leaf: type(leaf) in (int, float) and bool(leaf == number)
        case [("<" | "<=") as operator, bound]:
            high = _number(bound, operator)
            return _between(None, False, high, operator == "<=")
        case [(">" | ">=") as operator, bound]:
            return _between(_number(bound, operator), operator == ">=", None, False)
        case [(">" | ">=") as above, bottom, ("<" | "<=") as below, top]:
            low, high = _number(bottom, above), _number(top, below)
            if low >= high:
                raise InvalidPattern("Bottom must be less than top")
            return _between(low, above == ">=", high, below == "<=")
    raise _bad_numeric(value)


def _bad_numeric(value: list[Any]) -> InvalidPattern:
    operator = value[0]
    if not isinstance(operator, str):
        return InvalidPattern("Invalid member in numeric match: " + msgspec.json.encode(operator).decode())
    if operator not in ("=", "<", "<=", ">", ">="):
        return InvalidPattern(f"Unrecognized numeric range operator: {operator}")
    if len(value) == 1:
        return InvalidPattern(f"Value of {'equals' if operator == '=' else operator} must be numeric")
    if len(value) > 2 and operator in (">", ">="):
        if value[2] not in ("<", "<="):
            return InvalidPattern(f"Bad numeric range operator: {value[2]}")
        if len(value) == 3:
            return InvalidPattern(f"Value of {value[2]} must be numeric")
    return InvalidPattern("Too many elements in numeric expression")


def _number(value: Any, operator: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidPattern(f"Value of {operator} must be numeric")
    if not -_NUMBER_LIMIT <= value <= _NUMBER_LIMIT:
        raise InvalidPattern(f"Value must be between -5.0E9 and 5.0E9, inclusive: {value}")
    return value


def _between(low: float | None, low_in: bool, high: float | None, high_in: bool) -> Matcher:
    def test(leaf: Any) -> bool:
        if type(leaf) is not int and type(leaf) is not float:
            return False
        if low is not None and not (leaf > low or (low_in and leaf == low)):
            return False
        return high is None or leaf < high or (high_in and bool(leaf == high))

    return test


def _anything_but(value: Any) -> Matcher:
    if isinstance(value, dict):
        return _anything_but_comparison(value)
    values = value if isinstance(value, list) else [value]
    if not values:
        raise InvalidPattern("Empty arrays are not allowed")
    if any(each is None or isinstance(each, (bool, dict, list)) for each in values):
        if isinstance(value, list):
            raise InvalidPattern("Inside anything but list, start|null|boolean is not supported.")
        raise InvalidPattern("Value of anything-but must be an array or single string/number value.")
    if len({isinstance(each, str) for each in values}) > 1:
        raise InvalidPattern(
            "Inside anything but list, either all values are number or string, mixed type is not supported"
        )
    if isinstance(values[0], str):
        strings = frozenset(values)
        return lambda leaf: type(leaf) is not str or leaf not in strings
    numbers = frozenset(values)
    return lambda leaf: type(leaf) is bool or type(leaf) not in (int, float) or leaf not in numbers


def _anything_but_comparison(node: dict[str, Any]) -> Matcher:
    if len(node) != 1:
        raise InvalidPattern("Only one key allowed in match expression")
    ((operator, value),) = node.items()
    if operator not in ("prefix", "suffix", "equals-ignore-case", "wildcard"):
        raise InvalidPattern(f"Unsupported anything-but pattern: {operator}")
    values = value if isinstance(value, list) else [value]
    if not values:
        raise InvalidPattern("Empty arrays are not allowed")
    if operator in ("prefix", "suffix"):
        for each in values:
            if isinstance(each, dict):
                raise InvalidPattern(f"Unsupported anything-but pattern: {next(iter(each), '')}")
            if each == "":
                raise InvalidPattern("Null prefix/suffix not allowed")
    tests = [_COMPARISONS[operator](each) for each in values]
    return lambda leaf: not any(test(leaf) for test in tests)


_COMPARISONS: dict[str, Callable[[Any], Matcher]] = {
    "anything-but": _anything_but,
    "cidr": _cidr,
    "equals-ignore-case": _equals_ignore_case,
    "exists": _exists,
    "numeric": _numeric,
    "prefix": _prefix,
    "suffix": _suffix,
    "wildcard": wildcard,
}


# matching


def _holds(conditions: tuple[Condition, ...], event: Any) -> bool:
    for condition in conditions:
        leaf = _walk(event, condition.path)
        if leaf is _THROUGH_LIST:
            return _search(conditions, 0, event, {})
        if leaf is _ABSENT:
            if not condition.absent:
                return False
        elif not condition.test(leaf):
            return False
    return True


def _walk(node: Any, path: Path) -> Any:
    """The leaf at `path`; the sentinels say that there is none, or that lists need the search."""
    for name in path:
        if type(node) is not dict:
            return _THROUGH_LIST if type(node) is list else _ABSENT
        if name not in node:
            return _ABSENT
        node = node[name]
    if type(node) is list:
        return _THROUGH_LIST
    return _ABSENT if type(node) is dict else node


def _search(conditions: tuple[Condition, ...], at: int, event: Any, member: Membership) -> bool:
    """Whether the conditions from `at` hold for elements that agree with `member`."""
    if at == len(conditions):
        return True
    condition = conditions[at]
    found = False
    for leaf, where in _leaves(event, condition.path, 0, 0, {}):
        if any(member.get(place, index) != index for place, index in where.items()):
            continue
        found = True
        if condition.test(leaf) and _search(conditions, at + 1, event, {**member, **where}):
            return True
    return not found and condition.absent and _search(conditions, at + 1, event, member)


def _leaves(node: Any, path: Path, at: int, depth: int, member: Membership) -> Iterator[tuple[Any, Membership]]:
    """(leaf, which element of each list it lies in) for all leaves at `path`."""
    if type(node) is list:
        for index, element in enumerate(node):
            yield from _leaves(element, path, at, depth + 1, {**member, (depth, path[:at]): index})
    elif at == len(path):
        if type(node) is not dict:
            yield node, member
    elif type(node) is dict and path[at] in node:
        yield from _leaves(node[path[at]], path, at + 1, depth, member)
