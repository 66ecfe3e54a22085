"""Operation GetMetricStatistics."""

from __future__ import annotations

import math
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.cloudwatch.errors import (
    InvalidParameterCombination,
    InvalidParameterValue,
    MissingParameter,
)
from cumulet.services.cloudwatch.model import dimensions_of
from cumulet.services.cloudwatch.reading import data_points, is_period, rounded_start
from cumulet.services.cloudwatch.values import is_extended, statistic

_MOST_POINTS = 1440

Json = dict[str, Any]


def get_metric_statistics(ctx: Context, req: Json) -> Json:
    """A metric's statistics by period, one data point for each unit; at most 1,440 of them.

    Raises: InvalidParameterValue, InvalidParameterCombination, MissingParameter.
    Source: CloudWatch API_GetMetricStatistics (read 2026-11).
    """
    period, begin, end = req["Period"], req["StartTime"], req["EndTime"]
    if not is_period(period):
        raise InvalidParameterValue("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60.")
    if begin >= end:
        raise InvalidParameterValue("The parameter StartTime must be less than the parameter EndTime.")
    if "Statistics" in req and "ExtendedStatistics" in req:
        raise InvalidParameterCombination(
            "The parameters Statistics and ExtendedStatistics are mutually exclusive and you have specified both."
        )
    if "Statistics" not in req and "ExtendedStatistics" not in req:
        raise MissingParameter("At least one of the parameters Statistics, ExtendedStatistics must be specified.")
    for name in req.get("ExtendedStatistics", ()):
        if not is_extended(name):
            raise InvalidParameterValue(f"The value {name} for parameter ExtendedStatistics is not supported.")
    start = rounded_start(begin, ctx.now, period)
    asked = math.ceil((end - begin) / period)
    if asked > _MOST_POINTS:
        raise InvalidParameterCombination(
            f"You have requested up to {asked:,} datapoints, which exceeds the limit of 1,440. "
            "You may reduce the datapoints requested by increasing Period, or decreasing the time range."
        )
    identity = (req["Namespace"], req["MetricName"], dimensions_of(req.get("Dimensions", ())))
    datapoints = []
    for (at, unit), point in data_points(ctx, identity, period, start, end, req.get("Unit")).items():
        shown: Json = {"Timestamp": float(at), "Unit": unit}
        shown.update(_computed(req.get("Statistics", ()), point))
        extended = _computed(req.get("ExtendedStatistics", ()), point)
        if extended:
            shown["ExtendedStatistics"] = extended
        if len(shown) > 2:
            datapoints.append(shown)
    return {"Label": req["MetricName"], "Datapoints": datapoints}


def _computed(names: list[str], point: Any) -> dict[str, float]:
    """The statistics that the point has; percentiles are left out where the values are unknown."""
    found = {}
    for name in names:
        compute = statistic(name)
        value = None if compute is None else compute(point)
        if value is not None:
            found[name] = value
    return found
