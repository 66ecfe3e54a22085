"""Statistics over points: merging them, and the statistics' names (Average, p99.9, TM(10%:90%), PR(:300), ...).

Source: CloudWatch user guide, "CloudWatch statistics definitions" (read 2026-11).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from cumulet.services.cloudwatch.model import Point

BUCKETS = 150

Statistic = Callable[[Point], float | None]

_BASIC: dict[str, Statistic] = {
    "SampleCount": lambda point: point.count,
    "Sum": lambda point: point.sum,
    "Average": lambda point: point.sum / point.count if point.count else None,
    "Minimum": lambda point: point.minimum,
    "Maximum": lambda point: point.maximum,
}
_SHORT = re.compile(r"(p|tm|wm|tc|ts)(\d{1,3}(?:\.\d{1,10})?)")
_BOUNDS = re.compile(r"(TM|WM|TC|TS|PR)\(([^:()]*):([^:()]*)\)")
_NUMBER = re.compile(r"-?\d+(?:\.\d{1,10})?")


def point_of(values: Iterable[tuple[float, float]]) -> Point:
    """The point of values that occurred so many times each."""
    counts: dict[float, float] = {}
    for value, count in values:
        counts[value] = counts.get(value, 0.0) + count
    total = sum(counts.values())
    return Point(
        count=total,
        sum=math.fsum(value * count for value, count in counts.items()),
        minimum=min(counts),
        maximum=max(counts),
        values=_bounded(counts),
    )


def set_point(count: float, total: float, minimum: float, maximum: float) -> Point:
    """The point of a statistic set; its values are known when they are all the same."""
    if minimum == maximum:
        return Point(count=count, sum=total, minimum=minimum, maximum=maximum, values={minimum: count})
    return Point(count=count, sum=total, minimum=minimum, maximum=maximum, values_missing=True)


def merged(points: Iterable[Point]) -> Point:
    """One point of several (at least one)."""
    listed = list(points)
    if len(listed) == 1:
        return listed[0]
    counts: dict[float, float] = {}
    for point in listed:
        for value, count in point.values.items():
            counts[value] = counts.get(value, 0.0) + count
    return Point(
        count=sum(point.count for point in listed),
        sum=math.fsum(point.sum for point in listed),
        minimum=min(point.minimum for point in listed),
        maximum=max(point.maximum for point in listed),
        values=_bounded(counts),
        values_missing=any(point.values_missing for point in listed),
    )


def _bounded(counts: dict[float, float]) -> dict[float, float]:
    """At most a few values: beyond BUCKETS they are rounded to two significant digits."""
    if len(counts) <= BUCKETS:
        return counts
    rounded: dict[float, float] = {}
    for value, count in counts.items():
        near = float(f"{value:.1e}")
        rounded[near] = rounded.get(near, 0.0) + count
    return rounded


@lru_cache(maxsize=256)
def statistic(name: str) -> Statistic | None:
    """How to compute the statistic of that name; None when there is none."""
    if name in _BASIC:
        return _BASIC[name]
    if name in ("IQM", "iqm"):
        return _bounded_statistic("TM", 25.0, 75.0, True)
    short = _SHORT.fullmatch(name)
    if short is not None:
        percent = float(short[2])
        if percent > 100:
            return None
        if short[1] == "p":
            return lambda point: _percentile(point, percent)
        return _bounded_statistic(short[1].upper(), 0.0, percent, True)
    bounds = _BOUNDS.fullmatch(name.replace(" ", ""))
    return None if bounds is None else _parse_bounds(bounds[1], bounds[2], bounds[3])


def is_extended(name: str) -> bool:
    """Whether it is a statistic of ExtendedStatistics: a percentile or one of its kin."""
    return name not in _BASIC and statistic(name) is not None


def percentile_of(name: str) -> float | None:
    """95.0 for "p95"; None for other statistics."""
    short = _SHORT.fullmatch(name)
    return float(short[2]) if short is not None and short[1] == "p" else None


def _parse_bounds(kind: str, low: str, high: str) -> Statistic | None:
    percent = low.endswith("%") or high.endswith("%")
    if not low and not high:
        return None
    numbers = []
    for text in (low, high):
        if text and (text.endswith("%") != percent or not _NUMBER.fullmatch(text.removesuffix("%"))):
            return None
        numbers.append(float(text.removesuffix("%")) if text else None)
    first, last = numbers
    if percent:
        first, last = first or 0.0, 100.0 if last is None else last
        if kind == "PR" or not 0 <= first < last <= 100:
            return None
        return _bounded_statistic(kind, first, last, True)
    first, last = -math.inf if first is None else first, math.inf if last is None else last
    return _bounded_statistic(kind, first, last, False) if first < last else None


def _known(point: Point) -> bool:
    """Whether the single values are known and none is negative, as percentiles demand."""
    return not point.values_missing and point.count > 0 and point.minimum >= 0


def _percentile(point: Point, percent: float) -> float | None:
    """The smallest value that so many percent of the values do not exceed (nearest rank)."""
    if not _known(point):
        return None
    if percent <= 0:
        return point.minimum
    if percent >= 100:
        return point.maximum
    return _at_rank(point, percent / 100 * sum(point.values.values()))


def _at_rank(point: Point, rank: float) -> float:
    seen = 0.0
    value = point.minimum
    for value in sorted(point.values):
        seen += point.values[value]
        if seen >= rank - 1e-9:
            break
    return value


def _bounded_statistic(kind: str, low: float, high: float, percent: bool) -> Statistic:
    def compute(point: Point) -> float | None:
        if not _known(point):
            return None
        kept, below, above = _within(point, low, high, percent)
        count = sum(weight for _, weight in kept)
        if kind == "PR":
            return 100 * count / point.count
        if kind == "TC":
            return count
        total = math.fsum(value * weight for value, weight in kept)
        if kind == "TS":
            return total
        if kind == "TM":
            return total / count if count else None
        return _winsorized(point, low, high, percent, (total, count, below, above))

    return compute


def _within(point: Point, low: float, high: float, percent: bool) -> tuple[list[tuple[float, float]], float, float]:
    """((value, how often) between the bounds, how many are below, how many above).

    Absolute bounds leave out what is lower than or equal to the low one, or higher than the high one; percentages leave
    out whole values at either end.
    """
    ordered = sorted(point.values.items())
    if not percent:
        kept = [(value, count) for value, count in ordered if low < value <= high]
        return kept, sum(c for v, c in ordered if v <= low), sum(c for v, c in ordered if v > high)
    total = sum(count for _, count in ordered)
    first, last = math.floor(low / 100 * total + 1e-9), math.ceil(high / 100 * total - 1e-9)
    kept, seen = [], 0.0
    for value, count in ordered:
        weight = min(seen + count, last) - max(seen, first)
        seen += count
        if weight > 0:
            kept.append((value, weight))
    return kept, float(first), total - last


def _winsorized(
    point: Point, low: float, high: float, percent: bool, sums: tuple[float, float, float, float]
) -> float | None:
    """The mean with what is beyond a bound counted as the bound."""
    total, count, below, above = sums
    if percent:
        everything = sum(point.values.values())
        low = _at_rank(point, math.floor(low / 100 * everything + 1e-9) + 1e-6)
        high = _at_rank(point, math.ceil(high / 100 * everything - 1e-9))
    whole = count + below + above
    return (total + (below * low if below else 0.0) + (above * high if above else 0.0)) / whole if whole else None
