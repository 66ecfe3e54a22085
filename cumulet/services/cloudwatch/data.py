"""Checks a metric datum as users send it, and makes a point of it.

Source: CloudWatch API_MetricDatum, API_StatisticSet, API_Dimension (read 2026-11).
"""

from __future__ import annotations

import math
import re
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.cloudwatch.errors import (
    InvalidParameterCombination,
    InvalidParameterValue,
    MissingParameter,
)
from cumulet.services.cloudwatch.model import DAY_S, HOUR_S, Point
from cumulet.services.cloudwatch.values import point_of, set_point

_MOST_VALUES = 150
_LARGEST = 2.0**360
_OLDEST_S = 14 * DAY_S
_NEWEST_S = 2 * HOUR_S
_PRINTABLE = re.compile(r"[\x20-\x7e]*[\x21-\x7e][\x20-\x7e]*")

Json = dict[str, Any]


def is_namespace(text: str) -> bool:
    """Whether users may publish under that namespace."""
    return not text.startswith("AWS/") and _PRINTABLE.fullmatch(text) is not None


def checked(ctx: Context, where: str, datum: Json) -> Point:
    """The point of one datum. Raises: InvalidParameterValue, InvalidParameterCombination, MissingParameter."""
    at = datum.get("Timestamp", ctx.now)
    if at < ctx.now - _OLDEST_S:
        raise InvalidParameterValue(
            f"The parameter {where}.Timestamp must specify a time no more than two weeks in the past."
        )
    if at > ctx.now + _NEWEST_S:
        raise InvalidParameterValue(
            f"The parameter {where}.Timestamp must specify a time no more than two hours in the future."
        )
    if datum.get("StorageResolution", 60) not in (1, 60):
        raise InvalidParameterValue(
            f"The value {datum['StorageResolution']} for parameter {where}.StorageResolution is invalid."
        )
    if not _PRINTABLE.fullmatch(datum["MetricName"]):
        raise InvalidParameterValue(f"The value {datum['MetricName']} for parameter {where}.MetricName is invalid.")
    _check_dimensions(f"{where}.Dimensions", datum.get("Dimensions", ()))
    given = [member for member in ("Value", "Values", "StatisticValues") if member in datum]
    if not given:
        raise MissingParameter(
            f"At least one of the parameters {where}.Value, {where}.Values, {where}.StatisticValues must be specified."
        )
    if len(given) > 1:
        raise InvalidParameterCombination(
            f"The parameters {where}.{given[0]} and {where}.{given[1]} are mutually exclusive and you have specified both."
        )
    if "StatisticValues" in datum:
        return _statistic_set(f"{where}.StatisticValues", datum["StatisticValues"])
    if "Values" in datum:
        return _several(where, datum)
    return point_of([(_number(f"{where}.Value", datum["Value"]), 1.0)])


def _check_dimensions(where: str, dimensions: list[dict[str, str]]) -> None:
    names = [each["Name"] for each in dimensions]
    for number, each in enumerate(dimensions, 1):
        for member in ("Name", "Value"):
            text = each[member]
            if not _PRINTABLE.fullmatch(text) or (member == "Name" and text.startswith(":")):
                raise InvalidParameterValue(
                    f"The value {text} for parameter {where}.member.{number}.{member} is invalid."
                )
    if len(set(names)) != len(names):
        raise InvalidParameterValue(f"The parameter {where} must not name a dimension twice.")


def _number(where: str, value: float | str) -> float:
    number = float(value)  # JSON has words for what is no number: "NaN"
    if math.isnan(number) or not -_LARGEST <= number <= _LARGEST:
        raise InvalidParameterValue(f"The value {value} for parameter {where} is invalid.")
    return number


def _statistic_set(where: str, given: Json) -> Point:
    members = ("SampleCount", "Sum", "Minimum", "Maximum")
    count, total, minimum, maximum = (_number(f"{where}.{member}", given[member]) for member in members)
    if count <= 0:
        raise InvalidParameterValue(f"The value {count} for parameter {where}.SampleCount is invalid.")
    if minimum > maximum:
        raise InvalidParameterValue(
            f"The parameter {where}.Maximum must be greater than or equal to the parameter {where}.Minimum."
        )
    return set_point(count, total, minimum, maximum)


def _several(where: str, datum: Json) -> Point:
    values = datum["Values"]
    counts = datum.get("Counts", [1.0] * len(values))
    if not values:
        raise InvalidParameterValue(f"The collection {where}.Values must not be empty.")
    if len(values) > _MOST_VALUES:
        raise InvalidParameterValue(f"The collection {where}.Values must not have a size greater than {_MOST_VALUES}.")
    if len(counts) != len(values):
        raise InvalidParameterValue(f"The parameters {where}.Values and {where}.Counts must be of the same size.")
    pairs = []
    for number, (value, count) in enumerate(zip(values, counts, strict=True), 1):
        if _number(f"{where}.Counts.member.{number}", count) <= 0:
            raise InvalidParameterValue(f"The value {count} for parameter {where}.Counts.member.{number} is invalid.")
        pairs.append((_number(f"{where}.Values.member.{number}", value), float(count)))
    return point_of(pairs)
