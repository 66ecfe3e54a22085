"""Writing points: what PutMetricData, the kernel's meter and embedded metrics have in common."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.cloudwatch import wakes
from cumulet.services.cloudwatch.model import (
    HOUR_S,
    MINUTE_S,
    Dimensions,
    Metric,
    Point,
    metric_key,
    points_key,
    watch_prefix,
)
from cumulet.services.cloudwatch.values import merged, point_of

_SEEN_EVERY_S = 300.0
_FIRST_ROLL_S = 3 * HOUR_S

Json = dict[str, Any]


def store(
    ctx: Context,
    namespace: str,
    name: str,
    dimensions: Dimensions,
    at: float,
    unit: str,
    point: Point,
    high_resolution: bool = False,
) -> None:
    """Add a point to a metric of ctx's account and region, and have the alarms that watch it look again."""
    key = metric_key(ctx.account, ctx.region, namespace, name, dimensions)
    metric = ctx.tx.get(key, Metric)
    if metric is None:
        metric = Metric(
            account=ctx.account, region=ctx.region, namespace=namespace, name=name, dimensions=dimensions,
            id=ctx.ids.hex(16), last_at=at, rolling=True,
        )  # fmt: skip
        ctx.tx.put(key, metric)
        ctx.tx.wake(ctx.now + _FIRST_ROLL_S, "cloudwatch.roll", (*key[2:],), fresh=True)
    elif not metric.rolling or at - metric.last_at >= _SEEN_EVERY_S:
        if not metric.rolling:
            ctx.tx.wake(ctx.now + _FIRST_ROLL_S, "cloudwatch.roll", (*key[2:],), fresh=True)
        ctx.tx.put(key, replace(metric, rolling=True, last_at=max(metric.last_at, at)))
    for resolution in (1, MINUTE_S) if high_resolution else (MINUTE_S,):
        row = (*points_key(metric.id, resolution), int(at) // resolution * resolution, unit)
        there = ctx.tx.get(row, Point)
        ctx.tx.put(row, point if there is None else merged((there, point)))
    for watch in list(ctx.tx.scan_keys(watch_prefix(ctx.account, ctx.region, namespace, name, dimensions))):
        wakes.rouse(ctx, str(watch[-1]))


def record(ctx: Context, req: Json) -> Json:
    """`cumulet:Record`: the kernel's meter hands over a minute's values.

    Points: [{Account, Region, Namespace, MetricName, Unit, Dimensions: [(name, value)], Minute, Values: {value: count}}].
    Returns {"More": whether an alarm is to be evaluated in the next minutes too}.
    """
    for each in req["Points"]:
        if not each["Values"]:
            continue
        where = ctx.at(each["Account"], each["Region"])
        point = point_of((float(value), float(count)) for value, count in each["Values"].items())
        dimensions = sorted((str(name), str(value)) for name, value in each["Dimensions"])
        store(where, each["Namespace"], each["MetricName"], dimensions, float(each["Minute"]), each["Unit"], point)
    return {"More": wakes.any_awake(ctx)}
