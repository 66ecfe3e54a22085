"""Reading a metric's points as data points: one for each period, from points of whatever resolution there are.

Source: CloudWatch API_GetMetricStatistics, API_GetMetricData: rounding of StartTime, retention (read 2026-11).
"""

from __future__ import annotations

import math

from cumulet.kernel.context import Context
from cumulet.services.cloudwatch.model import (
    DAY_S,
    HOUR_S,
    MINUTE_S,
    Dimensions,
    Metric,
    Point,
    metric_key,
    points_key,
)
from cumulet.services.cloudwatch.values import merged

FIVE_MINUTES_S = 300
RETENTION_S = {1: 3 * HOUR_S, MINUTE_S: 15 * DAY_S, FIVE_MINUTES_S: 63 * DAY_S, HOUR_S: 455 * DAY_S}
COARSER = {MINUTE_S: FIVE_MINUTES_S, FIVE_MINUTES_S: HOUR_S}
SHORT_PERIODS = frozenset((1, 5, 10, 20, 30))


def is_period(seconds: int) -> bool:
    return seconds in SHORT_PERIODS or (seconds > 0 and seconds % MINUTE_S == 0)


def rounded_start(start: float, now: float, period: int) -> int:
    """StartTime as AWS rounds it down: by the period below a minute, else by the age of the data."""
    if period < MINUTE_S:
        step = period
    elif now - start <= RETENTION_S[MINUTE_S]:
        step = MINUTE_S
    elif now - start <= RETENTION_S[FIVE_MINUTES_S]:
        step = FIVE_MINUTES_S
    else:
        step = HOUR_S
    return math.floor(start / step) * step


def data_points(
    ctx: Context,
    identity: tuple[str, str, Dimensions],
    period: int,
    start: int,
    end: float,
    unit: str | None = None,
) -> dict[tuple[int, str], Point]:
    """(start of the period, unit) -> its point, for `start` (a whole second) up to before `end`.

    `identity` is (namespace, name, dimensions) in ctx's account and region.
    """
    metric = ctx.tx.get(metric_key(ctx.account, ctx.region, *identity), Metric)
    if metric is None:
        return {}
    found: dict[tuple[int, str], list[Point]] = {}
    for resolution, kept_s in RETENTION_S.items():
        if (resolution == 1) != (period < MINUTE_S):
            continue
        rows = points_key(metric.id, resolution)
        first = start // resolution * resolution
        for key, point in ctx.tx.scan(rows, Point, start=(*rows, first), end=(*rows, math.ceil(end))):
            at, of_unit = int(key[4]), str(key[5])  # type: ignore[arg-type]
            if at < ctx.now - kept_s and not _still_served(at, ctx.now, resolution, period):
                continue
            if unit in (None, of_unit) and period % resolution == 0:
                bucket = start + max(0, at - start) // period * period
                found.setdefault((bucket, of_unit), []).append(point)
    return {place: merged(points) for place, points in sorted(found.items())}


def _still_served(at: int, now: float, resolution: int, period: int) -> bool:
    """Whether a point that should be part of a coarser one by now may be used for that period."""
    while resolution in COARSER:
        resolution = COARSER[resolution]
        if at >= now - RETENTION_S[resolution]:
            return period % resolution == 0
    return False


def series(
    ctx: Context,
    identity: tuple[str, str, Dimensions],
    period: int,
    start: int,
    end: float,
    unit: str | None = None,
) -> dict[int, Point]:
    """As `data_points`, with all units together."""
    by_time: dict[int, list[Point]] = {}
    for (at, _), point in data_points(ctx, identity, period, start, end, unit).items():
        by_time.setdefault(at, []).append(point)
    return {at: merged(points) for at, points in by_time.items()}
