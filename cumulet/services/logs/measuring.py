"""Making metrics of events: what a group's metric filters count goes to CloudWatch in the transaction that keeps the events.

A minute in which events came in and none matched gives the filter's default value, once.
Source: CloudWatch Logs user guide, "Creating metrics from log events using filters", "Configuring metric values for a
metric filter" (read 2026-11).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.services.logs.extracting import extractor, number, text_of
from cumulet.services.logs.forwarding import matcher
from cumulet.services.logs.model import Group, MetricFilter

_MINUTE_MS = 60_000
_VALUES_AT_ONCE = 150
_DATA_AT_ONCE = 1000
Json = dict[str, Any]
Series = tuple[int, tuple[tuple[str, str], ...]]  # (the minute, dimensions)


def measure(ctx: Context, group: Group, events: list[tuple[int, str]]) -> None:
    """Give CloudWatch what each metric filter of the group makes of a batch."""
    for filter_ in (group.metrics or {}).values():
        found = _values(ctx, filter_, events)
        default = filter_.transformation.get("defaultValue")
        if default is not None:
            seen: dict[tuple[str, str], int] = ctx.pipeline.volatile.setdefault("logs.measured", {})
            minute = events[-1][0] // _MINUTE_MS
            if not found and seen.get((group.id, filter_.name)) != minute:
                found = {(minute, ()): Counter({float(default): 1})}
            if found:
                seen[group.id, filter_.name] = minute
        if found:
            _publish(ctx, filter_.transformation, found)


def _values(ctx: Context, filter_: MetricFilter, events: list[tuple[int, str]]) -> dict[Series, Counter[float]]:
    matches = matcher(ctx, filter_.pattern)
    value_of = value_getter(filter_.pattern, filter_.transformation["metricValue"])
    dimensions = {
        name: extractor(filter_.pattern, source)
        for name, source in filter_.transformation.get("dimensions", {}).items()
    }
    found: dict[Series, Counter[float]] = {}
    for at_ms, message in events:
        if not matches(message):
            continue
        value = value_of(message)
        named = [(name, text_of(extract(message))) for name, extract in dimensions.items()]
        if value is not None:
            known = tuple((name, text) for name, text in named if text is not None)
            if len(known) == len(named):
                found.setdefault((at_ms // _MINUTE_MS, known), Counter())[value] += 1
    return found


def value_getter(pattern: str, value: str) -> Callable[[str], float | None]:
    """What gives the metric's value of a message: the number itself, or a field's. Raises: InvalidParameterException."""
    literal = number(value)
    if literal is not None:
        return lambda message: literal
    extract = extractor(pattern, value)
    return lambda message: number(extract(message))


def _publish(ctx: Context, transformation: Json, found: dict[Series, Counter[float]]) -> None:
    data: list[Json] = []
    for (minute, dimensions), values in found.items():
        counted = sorted(values.items())
        for first in range(0, len(counted), _VALUES_AT_ONCE):
            some = counted[first : first + _VALUES_AT_ONCE]
            datum: Json = {
                "MetricName": transformation["metricName"],
                "Timestamp": float(minute * 60),
                "Values": [value for value, _ in some],
                "Counts": [float(count) for _, count in some],
                "Unit": transformation.get("unit", "None"),
            }
            if dimensions:
                datum["Dimensions"] = [{"Name": name, "Value": text} for name, text in dimensions]
            data.append(datum)
    with contextlib.suppress(AwsError):  # no CloudWatch; events too old for it; values that are no metric's
        for first in range(0, len(data), _DATA_AT_ONCE):
            some_data = data[first : first + _DATA_AT_ONCE]
            request = {"Namespace": transformation["metricNamespace"], "MetricData": some_data}
            ctx.call("cloudwatch", "PutMetricData", request, principal="")
