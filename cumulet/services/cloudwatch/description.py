"""Operations that describe alarms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.cloudwatch import rules
from cumulet.services.cloudwatch.errors import InvalidNextToken, ValidationError
from cumulet.services.cloudwatch.model import ROOT, Alarm, alarm_key, dimensions_of, parent_prefix, watch_prefix
from cumulet.services.cloudwatch.paging import place, token
from cumulet.services.cloudwatch.settings import ACTIONS

_PAGE = 50

Json = dict[str, Any]


def describe_alarms(ctx: Context, req: Json) -> Json:
    """Alarms by name: all, those with a prefix, those named, a composite alarm's children or an alarm's parents.

    Only metric alarms, unless AlarmTypes asks for others; 50 a page.
    Raises: ValidationError, InvalidNextToken. Source: CloudWatch API_DescribeAlarms (read 2026-11).
    """
    if "AlarmNames" in req and "AlarmNamePrefix" in req:
        raise ValidationError("AlarmNames and AlarmNamePrefix are mutually exclusive")
    family = [member for member in ("ChildrenOfAlarmName", "ParentsOfAlarmName") if member in req]
    if family and set(req) - {*family[:1], "MaxRecords", "NextToken"}:
        raise ValidationError(f"{family[0]} must not be specified together with other parameters than MaxRecords")
    types = req.get("AlarmTypes", ["MetricAlarm"])
    if family:
        types = ["MetricAlarm", "CompositeAlarm"]
    start = ""
    if "NextToken" in req:
        opened = place(req["NextToken"], InvalidNextToken)
        start = str(opened[0]) if len(opened) == 1 else ""
    most = req.get("MaxRecords", _PAGE)
    found: dict[str, list[Json]] = {"MetricAlarms": [], "CompositeAlarms": []}
    count = 0
    for alarm in _asked(ctx, req, start):
        if alarm.type not in types or not _fits(alarm, req):
            continue
        if count == most:
            return {**found, "NextToken": token((alarm.name,))}
        count += 1
        found[f"{alarm.type}s"].append(_related(alarm, family[0]) if family else _described(alarm))
    return {**found}


def describe_alarms_for_metric(ctx: Context, req: Json) -> Json:
    """The alarms on one metric (not those on metric math), with one statistic, period or unit where these are given.

    Source: CloudWatch API_DescribeAlarmsForMetric (read 2026-11).
    """
    identity = (req["Namespace"], req["MetricName"], dimensions_of(req.get("Dimensions", ())))
    names = [str(key[-1]) for key in ctx.tx.scan_keys(watch_prefix(ctx.account, ctx.region, *identity))]
    wanted = {member: req[member] for member in ("Statistic", "ExtendedStatistic", "Period", "Unit") if member in req}
    found = []
    for alarm in _named(ctx, names):
        if "MetricName" in alarm.settings and all(alarm.settings.get(m) == value for m, value in wanted.items()):
            found.append(_described(alarm))
    return {"MetricAlarms": found}


def _asked(ctx: Context, req: Json, start: str) -> Iterator[Alarm]:
    """The alarms that a request is about, by name, from `start` on."""
    if "AlarmNames" in req:
        names: Iterable[str] = req["AlarmNames"]
    elif "ChildrenOfAlarmName" in req:
        parent = ctx.tx.get(alarm_key(ctx.account, ctx.region, req["ChildrenOfAlarmName"]), Alarm)
        names = rules.parse(parent.rule).children if parent is not None and parent.rule is not None else ()
    elif "ParentsOfAlarmName" in req:
        prefix = parent_prefix(ctx.account, ctx.region, req["ParentsOfAlarmName"])
        names = [str(key[-1]) for key in ctx.tx.scan_keys(prefix)]
    else:
        name_prefix = req.get("AlarmNamePrefix", "")
        first = alarm_key(ctx.account, ctx.region, max(start, name_prefix))
        for _, alarm in ctx.tx.scan((ROOT, "alarm", ctx.account, ctx.region), Alarm, start=first):
            if not alarm.name.startswith(name_prefix):
                return
            yield alarm
        return
    yield from _named(ctx, sorted(name for name in set(names) if name >= start))


def _named(ctx: Context, names: Iterable[str]) -> Iterator[Alarm]:
    for name in names:
        alarm = ctx.tx.get(alarm_key(ctx.account, ctx.region, name), Alarm)
        if alarm is not None:
            yield alarm


def _fits(alarm: Alarm, req: Json) -> bool:
    if req.get("StateValue", alarm.state) != alarm.state:
        return False
    prefix = req.get("ActionPrefix")
    return prefix is None or any(arn.startswith(prefix) for member in ACTIONS for arn in alarm.settings.get(member, ()))


def _related(alarm: Alarm, member: str) -> Json:
    related: Json = {"AlarmName": alarm.name, "AlarmArn": alarm.arn}
    if member == "ChildrenOfAlarmName":
        related["StateValue"] = alarm.state
        related["StateUpdatedTimestamp"] = alarm.state_at
    return related


def _described(alarm: Alarm) -> Json:
    described: Json = {
        "AlarmName": alarm.name,
        "AlarmArn": alarm.arn,
        "AlarmConfigurationUpdatedTimestamp": alarm.configured_at,
        "ActionsEnabled": alarm.actions_enabled,
        "OKActions": [],
        "AlarmActions": [],
        "InsufficientDataActions": [],
        "StateValue": alarm.state,
        "StateReason": alarm.reason,
        "StateUpdatedTimestamp": alarm.state_at,
        "StateTransitionedTimestamp": alarm.transitioned_at,
        **alarm.settings,
    }
    if alarm.reason_data is not None:
        described["StateReasonData"] = alarm.reason_data
    if alarm.evaluation_error is not None:
        described["EvaluationState"] = "EVALUATION_ERROR"
    if "MetricName" in alarm.settings:
        described.setdefault("Dimensions", [])
    return described
