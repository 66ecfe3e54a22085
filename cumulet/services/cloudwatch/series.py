"""Time series as values of metric math: single operations on them, point by point."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from cumulet.services.cloudwatch.formula import BadFormula

Points = dict[int, float]


@dataclass(frozen=True, slots=True)
class Series:
    """A time series: value by time, in time order; sparse."""

    points: Points = field(default_factory=dict)
    period: int = 60
    label: str = ""
    id: str = ""

    def having(self, points: Points) -> Series:
        """This series with other points; what is no number is dropped."""
        finite = {at: value for at, value in points.items() if math.isfinite(value)}
        return Series(finite, self.period, self.label, self.id)


Value = float | Series | list[Series]


def _divide(left: float, right: float) -> float:
    return left / right if right else math.nan


def _power(left: float, right: float) -> float:
    try:
        raised = left**right
    except (OverflowError, ZeroDivisionError):
        return math.nan
    return raised if isinstance(raised, float) else math.nan  # a root of a negative number


OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divide,
    "^": _power,
    "==": lambda left, right: float(left == right),
    "!=": lambda left, right: float(left != right),
    "<=": lambda left, right: float(left <= right),
    ">=": lambda left, right: float(left >= right),
    "<": lambda left, right: float(left < right),
    ">": lambda left, right: float(left > right),
    "AND": lambda left, right: float(bool(left) and bool(right)),
    "OR": lambda left, right: float(bool(left) or bool(right)),
}


def combined(sign: str, left: Value, right: Value) -> Value:
    """`left sign right`; a point that one of two series lacks counts as 0. Raises: BadFormula."""
    operator = OPERATORS[sign]
    if isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            raise BadFormula(f"The operands of {sign} are arrays of different lengths")
        return [_pair(operator, one, other) for one, other in zip(left, right, strict=True)]
    if isinstance(left, list):
        return [_single(combined(sign, one, right)) for one in left]
    if isinstance(right, list):
        return [_single(combined(sign, left, one)) for one in right]
    if isinstance(left, Series) and isinstance(right, Series):
        return _pair(operator, left, right)
    if isinstance(left, Series):
        assert isinstance(right, float)
        scalar = right
        return left.having({at: operator(value, scalar) for at, value in left.points.items()})
    if isinstance(right, Series):
        other = left
        return right.having({at: operator(other, value) for at, value in right.points.items()})
    return operator(left, right)


def _single(value: Value) -> Series:
    assert isinstance(value, Series)
    return value


def _pair(operator: Callable[[float, float], float], left: Series, right: Series) -> Series:
    times = sorted(left.points.keys() | right.points.keys())
    return left.having({at: operator(left.points.get(at, 0.0), right.points.get(at, 0.0)) for at in times})


def each(change: Callable[[Series], Series], value: Value) -> Value:
    """`change` of a series, or of each in an array. Raises: BadFormula for a number."""
    if isinstance(value, list):
        return [change(one) for one in value]
    if isinstance(value, Series):
        return change(value)
    raise BadFormula("Expected a time series but found a number")


def mapped(change: Callable[[float], float], value: Value) -> Value:
    """`change` of every point."""
    return each(lambda one: one.having({at: change(v) for at, v in one.points.items()}), value)


def logarithm(of: Callable[[float], float]) -> Callable[[float], float]:
    return lambda value: of(value) if value > 0 else math.nan


def differences(one: Series) -> Series:
    pairs = _neighbours(one)
    return one.having({at: value - before for (_, before), (at, value) in pairs})


def time_differences(one: Series) -> Series:
    return one.having({at: float(at - earlier) for (earlier, _), (at, _) in _neighbours(one)})


def rates(one: Series) -> Series:
    return one.having({at: (value - v) / (at - earlier) for (earlier, v), (at, value) in _neighbours(one)})


def running_sums(one: Series) -> Series:
    total, points = 0.0, {}
    for at, value in one.points.items():
        total += value
        points[at] = total
    return one.having(points)


def _neighbours(one: Series) -> Iterable[tuple[tuple[int, float], tuple[int, float]]]:
    listed = list(one.points.items())
    return pairwise(listed)


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


AGGREGATES: dict[str, Callable[[list[float]], float]] = {
    "SUM": math.fsum,
    "AVG": _mean,
    "MIN": min,
    "MAX": max,
    "STDDEV": statistics.pstdev,
    "DATAPOINT_COUNT": lambda values: float(len(values)),
}


def aggregated(name: str, value: Value) -> Value:
    """One number of a series, or one series of an array; AVG of an array counts what is missing as 0."""
    aggregate = AGGREGATES[name]
    if isinstance(value, Series):
        values = list(value.points.values())
        if not values:
            return 0.0 if name in ("SUM", "DATAPOINT_COUNT") else math.nan
        return aggregate(values)
    if isinstance(value, float):
        raise BadFormula(f"{name} expects a time series but found a number")
    times = sorted({at for one in value for at in one.points})
    points = {}
    for at in times:
        there = [one.points[at] for one in value if at in one.points]
        points[at] = math.fsum(there) / len(value) if name == "AVG" else aggregate(there)
    first = value[0] if value else Series()
    return Series(points, first.period, name)


def chosen(condition: Value, yes: Value, no: Value | None) -> Value:
    """IF(condition, yes, no), by point where the condition is a series."""
    if isinstance(condition, list) or isinstance(yes, list) or isinstance(no, list):
        raise BadFormula("IF expects time series or numbers but found an array")
    if isinstance(condition, float):
        taken = yes if condition else no
        shape = yes if isinstance(yes, Series) else Series()
        return shape.having({}) if taken is None else taken
    points: Points = {}
    for at, value in condition.points.items():
        if value:
            points[at] = yes.points.get(at, 0.0) if isinstance(yes, Series) else yes
        elif isinstance(no, Series):
            points[at] = no.points.get(at, math.nan)
        elif no is not None:
            points[at] = no
    return condition.having(points)


def filled(one: Series, filler: float | Series | str, times: range) -> Series:
    """FILL: a value at every time. REPEAT takes the one before, LINEAR a line between neighbours."""
    points: Points = {}
    known = list(one.points)
    before: float | None = None
    for at in sorted({*times, *known}):
        if at in one.points:
            before = points[at] = one.points[at]
        elif isinstance(filler, Series):
            points[at] = filler.points.get(at, math.nan)
        elif filler == "REPEAT":
            points[at] = math.nan if before is None else before
        elif filler == "LINEAR":
            points[at] = _between(one.points, known, at)
        else:
            points[at] = float(filler)
    return one.having(points)


def _between(points: Points, known: list[int], at: int) -> float:
    earlier = [time for time in known if time < at]
    later = [time for time in known if time > at]
    if not earlier or not later:
        return math.nan
    start, end = earlier[-1], later[0]
    return points[start] + (points[end] - points[start]) * (at - start) / (end - start)
