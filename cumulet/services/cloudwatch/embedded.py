"""Metrics in log lines: the embedded metric format.

Source: CloudWatch user guide, "Specification: Embedded metric format" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cumulet.aws.errors import AwsError
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.context import Context
from cumulet.services.cloudwatch.data import checked, is_namespace
from cumulet.services.cloudwatch.model import dimensions_of
from cumulet.services.cloudwatch.storing import store

_MOST_METRICS = 100
_MOST_VALUES = 100
_MOST_DIMENSIONS = 30
_LONGEST = 255
_LATEST_MS = 1e14
_RATES = (
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Count",
)
_UNITS = frozenset(
    ("Seconds", "Microseconds", "Milliseconds", "Percent", "None", *_RATES, *(f"{unit}/Second" for unit in _RATES))
)

Json = dict[str, Any]


def embedded(ctx: Context, req: Json) -> Json:
    """`cumulet:Embedded`: publish what log lines carry. Messages: [line]; what is no valid metric is passed over.

    A line may have a prefix before its JSON, as Lambda writes it. Returns {"Stored": number of values}.
    """
    stored = 0
    for message in req["Messages"]:
        document = _document(message)
        for directive in _listed(document.get("_aws", {}).get("CloudWatchMetrics")):
            namespace = directive.get("Namespace")
            if isinstance(namespace, str) and 0 < len(namespace) <= _LONGEST and is_namespace(namespace):
                for datum in _data(document, directive):
                    stored += _publish(ctx, namespace, datum)
    return {"Stored": stored}


def _publish(ctx: Context, namespace: str, datum: Json) -> int:
    try:
        point = checked(ctx, "datum", datum)
    except (AwsError, TypeError, ValueError, OverflowError):
        return 0
    dimensions = dimensions_of(datum["Dimensions"])
    high = datum["StorageResolution"] == 1
    store(ctx, namespace, datum["MetricName"], dimensions, datum["Timestamp"], datum["Unit"], point, high)
    return int(point.count)


def _document(message: str) -> Json:
    start = message.find("{")
    try:
        document = read_json(message[start:]) if start >= 0 else {}
    except NotJson:
        return {}
    meta = document.get("_aws") if isinstance(document, dict) else None
    if not isinstance(meta, dict) or not _is_number(meta.get("Timestamp")) or not 0 <= meta["Timestamp"] < _LATEST_MS:
        return {}
    return document


def _data(document: Json, directive: Json) -> Iterator[Json]:
    """The metric data of one directive: each metric for each set of dimensions."""
    metrics = _listed(directive.get("Metrics"))
    sets = directive.get("Dimensions")
    if len(metrics) > _MOST_METRICS or not isinstance(sets, list):
        return
    for metric in metrics:
        name = metric.get("Name")
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST:
            continue
        target = document.get(name)
        values = target if isinstance(target, list) else [target]
        if not 0 < len(values) <= _MOST_VALUES or not all(map(_is_number, values)):
            continue
        unit = metric.get("Unit")
        for names in sets or [[]]:
            dimensions = _dimensions(document, names)
            if dimensions is not None:
                yield {
                    "MetricName": name,
                    "Dimensions": dimensions,
                    "Timestamp": document["_aws"]["Timestamp"] / 1000,
                    "Values": values,
                    "Unit": unit if isinstance(unit, str) and unit in _UNITS else "None",
                    "StorageResolution": 1 if metric.get("StorageResolution") == 1 else 60,
                }


def _dimensions(document: Json, names: Any) -> list[dict[str, str]] | None:
    """A set of dimensions; None when it is no valid one."""
    if not isinstance(names, list) or len(names) > _MOST_DIMENSIONS:
        return None
    dimensions = []
    for name in names:
        value = document.get(name) if isinstance(name, str) else None
        if not isinstance(value, str) or not value:
            return None
        dimensions.append({"Name": name, "Value": value})
    return dimensions


def _listed(value: Any) -> list[Json]:
    """The objects in an array; nothing for anything else."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
