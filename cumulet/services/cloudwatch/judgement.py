"""Which state an alarm should be in: the rules for data points that breach, do not breach, or are missing. Pure.

An alarm looks at more periods than it evaluates, two more. The newest N data points that there are decide; where there are
fewer than N, `TreatMissingData` fills up. With `missing` and `ignore` one further rule keeps an alarm from going off early:
when all data points breach but are fewer than M, it goes off only if the oldest of them is at least M periods old.
Source: CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

EXTRA_PERIODS = 2
TREATMENTS = frozenset(("breaching", "notBreaching", "ignore", "missing"))
COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (lambda value, threshold: value > threshold, "greater than"),
    "GreaterThanOrEqualToThreshold": (lambda value, threshold: value >= threshold, "greater than or equal to"),
    "LessThanThreshold": (lambda value, threshold: value < threshold, "less than"),
    "LessThanOrEqualToThreshold": (lambda value, threshold: value <= threshold, "less than or equal to"),
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """The state to be in (None: the present one) and what decided: the evaluated points (indexes of `values`, the newest
    first) and how many missing ones were filled in."""

    state: str | None
    evaluated: tuple[int, ...] = ()
    filled: int = 0


def judge(
    values: Sequence[float | None], breaches: Callable[[float], bool], n: int, m: int, treatment: str
) -> Judgement:
    """Judge the values of the evaluation range, the newest first; None is missing."""
    there = [index for index, value in enumerate(values) if value is not None]
    bad = {index for index in there if breaches(float(values[index] or 0.0))}
    if len(there) >= n:
        newest = tuple(there[:n])
        return Judgement("ALARM" if sum(index in bad for index in newest) >= m else "OK", newest)
    evaluated, missing = tuple(there), n - len(there)
    if treatment == "breaching":
        return Judgement("ALARM" if len(bad) + missing >= m else "OK", evaluated, missing)
    if len(bad) >= m:
        return Judgement("ALARM", evaluated, missing)
    if treatment == "notBreaching" or len(bad) < len(there):
        return Judgement("OK", evaluated, missing)
    if treatment == "ignore":
        return Judgement(None, evaluated, missing)
    early = not there or there[-1] + 1 < m
    return Judgement("INSUFFICIENT_DATA" if early else "ALARM", evaluated, missing)
