"""Metrics, their points, alarms, history and dashboards as records, and their keys.

A metric is its identity; its points are rows of their own, keyed by the metric's id, their resolution (1, 60, 300 or 3600
seconds), their time and their unit. A point is an aggregate: count, sum, minimum, maximum, and how often which value
occurred, for percentiles. Every value goes into the point of its minute; a value of a high-resolution metric goes into the
point of its second as well. `retention` makes coarser points of old ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record

ROOT = "cloudwatch"
MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86400
HISTORY_S = 30 * DAY_S

Dimensions = list[tuple[str, str]]


class Metric(Record):
    """A metric. `rolling` says that a timer looks after its old points; `last_at` is coarse: within five minutes."""

    account: str
    region: str
    namespace: str
    name: str
    dimensions: Dimensions
    id: str
    last_at: float
    rolling: bool = False

    @property
    def key(self) -> Key:
        return metric_key(self.account, self.region, self.namespace, self.name, self.dimensions)


class Point(Record):
    """What was measured in one span of time. `values` maps a value to how often it occurred.

    `values_missing`: some of it came as a statistic set, whose single values nobody knows: no percentiles.
    """

    count: float
    sum: float
    minimum: float
    maximum: float
    values: dict[float, float] = {}  # noqa: RUF012 - msgspec copies mutable defaults
    values_missing: bool = False


class Alarm(Record):
    """A metric alarm or, with `rule`, a composite one.

    `settings` are the members of PutMetricAlarm or PutCompositeAlarm as given, without name and tags. `due` is when its timer
    fires (0: it sleeps, nothing can change its state until data arrives); other timers of it are stale.
    """

    account: str
    region: str
    name: str
    settings: dict[str, Any]
    created_at: float
    configured_at: float
    state: str = "INSUFFICIENT_DATA"
    reason: str = "Unchecked: Initial alarm creation"
    reason_data: str | None = None
    state_at: float = 0.0
    transitioned_at: float = 0.0
    actions_enabled: bool = True
    due: float = 0.0
    evaluation_error: str | None = None
    tags: dict[str, str] = {}  # noqa: RUF012 - msgspec copies mutable defaults

    @property
    def rule(self) -> str | None:
        rule: str | None = self.settings.get("AlarmRule")
        return rule

    @property
    def type(self) -> str:
        return "MetricAlarm" if self.rule is None else "CompositeAlarm"

    @property
    def key(self) -> Key:
        return alarm_key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        return f"arn:aws:cloudwatch:{self.region}:{self.account}:alarm:{self.name}"


class HistoryItem(Record):
    """One line of an alarm's history; `kind` is ConfigurationUpdate, StateUpdate or Action."""

    name: str
    type: str
    at: float
    kind: str
    summary: str
    data: str


class Dashboard(Record):
    """A dashboard: a document. Dashboards belong to the account, not to a region."""

    account: str
    name: str
    body: str
    modified_at: float
    tags: dict[str, str] = {}  # noqa: RUF012 - msgspec copies mutable defaults

    @property
    def key(self) -> Key:
        return (ROOT, "dashboard", self.account, self.name)

    @property
    def arn(self) -> str:
        return f"arn:aws:cloudwatch::{self.account}:dashboard/{self.name}"


def dimensions_of(listed: Iterable[dict[str, str]]) -> Dimensions:
    """The wire's dimensions in the order that identifies a metric."""
    return sorted((each["Name"], each["Value"]) for each in listed)


def shown(dimensions: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Dimensions as the wire has them."""
    return [{"Name": name, "Value": value} for name, value in dimensions]


def metric_key(account: str, region: str, namespace: str, name: str, dimensions: Dimensions) -> Key:
    parts = [part for dimension in dimensions for part in dimension]
    return (ROOT, "metric", account, region, namespace, name, *parts)


def points_key(metric_id: str, resolution: int) -> Key:
    return (ROOT, "point", metric_id, resolution)


def alarm_key(account: str, region: str, name: str) -> Key:
    return (ROOT, "alarm", account, region, name)


def watch_prefix(account: str, region: str, namespace: str, name: str, dimensions: Dimensions) -> Key:
    """Under it: one empty row for each alarm that watches the metric."""
    parts = [part for dimension in dimensions for part in dimension]
    return (ROOT, "watch", account, region, namespace, name, len(parts), *parts)


def awake_key(account: str, region: str, name: str) -> Key:
    return (ROOT, "awake", account, region, name)


def parent_prefix(account: str, region: str, child: str) -> Key:
    """Under it: one empty row for each composite alarm whose rule names the alarm `child`."""
    return (ROOT, "parent", account, region, child)


def history_prefix(account: str, region: str) -> Key:
    return (ROOT, "history", account, region)
