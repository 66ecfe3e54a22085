"""Timer cloudwatch.roll: old points become part of coarser ones, and the oldest go.

Seconds are kept 3 hours, minutes 15 days, five minutes 63 days, hours 455 days. Reading does not depend on when this ran: it
hides what should be gone. One transaction moves a bounded number of points and sets the next timer; a crash leaves the timer.
Source: CloudWatch API_GetMetricStatistics, "Amazon CloudWatch retains metric data as follows" (read 2026-11).
"""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.services.cloudwatch.model import HOUR_S, ROOT, Metric, Point, points_key
from cumulet.services.cloudwatch.reading import COARSER, RETENTION_S
from cumulet.services.cloudwatch.values import merged

_AT_ONCE = 2000
_PAUSE_S = float(HOUR_S)


def roll(ctx: Context, key: Key) -> None:
    """Roll up the metric with that identity; comes again when the next point is due, while it has any."""
    metric = ctx.tx.get((ROOT, "metric", *key), Metric)
    if metric is None:
        return
    left, following = _AT_ONCE, None
    for resolution, kept_s in RETENTION_S.items():
        rows = points_key(metric.id, resolution)
        for row, point in list(ctx.tx.scan(rows, Point, limit=left + 1)):
            at = int(row[4])  # type: ignore[arg-type]
            due = at + resolution + kept_s
            if due > ctx.now:
                following = due if following is None else min(following, due)
                break
            if left == 0:
                ctx.tx.wake(ctx.now, "cloudwatch.roll", key, fresh=True)
                return
            left -= 1
            ctx.tx.delete(row)
            if resolution in COARSER:
                _add(ctx, metric, COARSER[resolution], at, str(row[5]), point)
    if following is None:
        ctx.tx.delete(metric.key)
    else:
        ctx.tx.wake(max(float(following), ctx.now + _PAUSE_S), "cloudwatch.roll", key, fresh=True)


def _add(ctx: Context, metric: Metric, resolution: int, at: int, unit: str, point: Point) -> None:
    row = (*points_key(metric.id, resolution), at // resolution * resolution, unit)
    there = ctx.tx.get(row, Point)
    ctx.tx.put(row, point if there is None else merged((there, point)))
