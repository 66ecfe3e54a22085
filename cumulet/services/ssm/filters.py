"""Filters of parameters.

Source: Systems Manager API_ParameterStringFilter, API_DescribeParameters, API_GetParametersByPath (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.services.ssm.errors import (
    InvalidFilterKey,
    InvalidFilterOption,
    InvalidFilterValue,
    ValidationException,
)
from cumulet.services.ssm.model import Parameter

Test = Callable[[Parameter], bool]
_FIELDS: dict[str, Callable[[Parameter], str]] = {
    "Name": lambda parameter: parameter.name,
    "Type": lambda parameter: parameter.now.type,
    "KeyId": lambda parameter: parameter.now.key_id,
    "Tier": lambda parameter: parameter.now.tier,
    "DataType": lambda parameter: parameter.now.data_type,
}
_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "Equals": lambda text, value: text == value,
    "BeginsWith": lambda text, value: text.startswith(value),
    "Contains": lambda text, value: value in text,
}


def below(path: str, recursive: bool) -> Callable[[str], bool]:
    """Whether a name is right under a path, or anywhere below it."""
    base = path.rstrip("/") + "/"

    def test(name: str) -> bool:
        if not name.startswith(base):
            return base == "/" and "/" not in name
        return recursive or "/" not in name[len(base) :]

    return test


def described(req: Mapping[str, Any]) -> Test:
    """What DescribeParameters' filters let pass, in their old form or the new one.

    Raises: InvalidFilterKey, InvalidFilterOption, InvalidFilterValue, ValidationException.
    """
    if req.get("Shared"):
        raise NotImplementedOnCumulet("Parameter Store's setting Shared is not implemented by Cumulet.")
    if req.get("Filters") and req.get("ParameterFilters"):
        raise ValidationException("You can use either Filters or ParameterFilters in a single request.")
    given = req.get("ParameterFilters") or [{**one, "Option": "BeginsWith"} for one in req.get("Filters", ())]
    return _all([_described(one) for one in given])


def _all(tests: Sequence[Test]) -> Test:
    return lambda parameter: all(test(parameter) for test in tests)


def _described(one: Mapping[str, Any]) -> Test:
    key, values, option = one["Key"], one.get("Values", ()), one.get("Option")
    if key.startswith("tag:"):
        name = key[4:]
        return lambda parameter: name in parameter.tags and (not values or parameter.tags[name] in values)
    if not values:
        raise InvalidFilterValue(f"The following filter values are missing: {key}.")
    if key == "Path":
        if option not in (None, "OneLevel", "Recursive"):
            raise InvalidFilterOption(
                f"The following filter option is not valid: {option}. Valid options include: [Recursive, OneLevel]."
            )
        paths = [below(value, option == "Recursive") for value in values]
        return lambda parameter: any(path(parameter.name) for path in paths)
    if key not in _FIELDS:
        raise InvalidFilterKey(
            f"The following filter key is not valid: {key}. Valid filter keys include: [Path, Name, Type, KeyId, Tier]."
        )
    return _compared(key, values, option, ("Equals", "BeginsWith", *(("Contains",) if key == "Name" else ())))


def _compared(key: str, values: Iterable[str], option: str | None, options: Sequence[str]) -> Test:
    if option is not None and option not in options:
        raise InvalidFilterOption(
            f"The following filter option is not valid: {option}. Valid options include: [{', '.join(options)}]."
        )
    compare, field = _COMPARE[option or "Equals"], _FIELDS[key]
    return lambda parameter: any(compare(field(parameter), value) for value in values)


def by_path(given: Iterable[Mapping[str, Any]]) -> tuple[Test, str | None]:
    """(what GetParametersByPath's filters let pass, the label whose version is asked for).

    Raises: InvalidFilterKey, InvalidFilterOption, InvalidFilterValue.
    """
    tests: list[Test] = []
    label: str | None = None
    for one in given:
        key, values = one["Key"], one.get("Values", ())
        if key not in ("Type", "KeyId", "Label"):
            raise InvalidFilterKey(
                f"The following filter key is not valid: {key}. Valid filter keys include: [Type, KeyId, Label]."
            )
        if not values:
            raise InvalidFilterValue(f"The following filter values are missing: {key}.")
        if key == "Label":
            if len(values) > 1 or one.get("Option", "Equals") != "Equals":
                raise InvalidFilterValue("One label can be asked for, by Equals.")
            label = values[0]
        else:
            tests.append(_compared(key, values, one.get("Option"), ("Equals", "BeginsWith")))
    return _all(tests), label
