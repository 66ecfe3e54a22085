"""Operations on alarms: put, delete, set a state, switch actions on and off."""

from __future__ import annotations

from typing import Any

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.context import Context
from cumulet.kernel.record import Record, replace
from cumulet.services.cloudwatch import changes, rules, settings, wakes
from cumulet.services.cloudwatch.errors import InvalidFormat, LimitExceeded, ResourceNotFound, ValidationError
from cumulet.services.cloudwatch.model import (
    Alarm,
    Dimensions,
    alarm_key,
    awake_key,
    dimensions_of,
    parent_prefix,
    watch_prefix,
)
from cumulet.services.cloudwatch.rules import BadRule
from cumulet.services.cloudwatch.tagging import checked_tags

_MOST_CHILDREN = 100
_MOST_ELEMENTS = 500
_MOST_PARENTS = 150
_ASIDE = frozenset(("AlarmName", "Tags", "ActionsEnabled"))

Json = dict[str, Any]


class Mark(Record):
    """An empty row: its key says it all."""


def put_metric_alarm(ctx: Context, req: Json) -> Json:
    """Make an alarm on a metric or on metric math, or replace the settings of one; a new one begins in INSUFFICIENT_DATA.

    It is evaluated from the next minute on (the next ten seconds with a period below a minute).
    Raises: ValidationError, LimitExceeded, NotImplementedOnCumulet (anomaly detection, actions other than topics and functions).
    Source: CloudWatch API_PutMetricAlarm (read 2026-11).
    """
    settings.check_common(req)
    settings.check_metric(ctx, req)
    given = {member: value for member, value in req.items() if member not in _ASIDE}
    given["Threshold"] = float(given["Threshold"])
    alarm, old = _put(ctx, req, given, "MetricAlarm")
    for identity in _watched(old.settings) if old is not None else ():
        ctx.tx.delete((*watch_prefix(ctx.account, ctx.region, *identity), alarm.name))
    for identity in _watched(alarm.settings):
        ctx.tx.put((*watch_prefix(ctx.account, ctx.region, *identity), alarm.name), Mark())
    ctx.tx.put(alarm.key, wakes.scheduled(ctx, alarm, wakes.period_of(alarm)))
    changes.configured(ctx, alarm, "create" if old is None else "update")
    return {}


def put_composite_alarm(ctx: Context, req: Json) -> Json:
    """Make an alarm on the states of other alarms, or replace the settings of one; its rule is evaluated at once.

    A rule names up to 100 alarms, which exist, and has up to 500 elements.
    Raises: ValidationError, LimitExceeded, NotImplementedOnCumulet (action suppressors).
    Source: CloudWatch API_PutCompositeAlarm (read 2026-11).
    """
    settings.check_common(req)
    settings.check_composite(req)
    children = _children(ctx, req)
    given = {member: value for member, value in req.items() if member not in _ASIDE}
    alarm, old = _put(ctx, req, given, "CompositeAlarm")
    for child in rules.parse(str(old.rule)).children if old is not None else ():
        ctx.tx.delete((*parent_prefix(ctx.account, ctx.region, child), alarm.name))
    for child in children:
        ctx.tx.put((*parent_prefix(ctx.account, ctx.region, child), alarm.name), Mark())
    ctx.tx.put(alarm.key, alarm)
    changes.configured(ctx, alarm, "create" if old is None else "update")
    state = "ALARM" if changes.holds(ctx, alarm) else "OK"
    if state != alarm.state:
        how = "created" if old is None else "updated"
        reason = f"{alarm.arn} was {how} and its alarm rule evaluates to {state}"
        changes.into(ctx, alarm, state, reason, None)
    return {}


def delete_alarms(ctx: Context, req: Json) -> Json:
    """Delete up to 100 alarms, one composite alarm among them at most; names that are not there are passed over.

    Raises: ValidationError (two composite alarms; an alarm that a composite alarm's rule names).
    Source: CloudWatch API_DeleteAlarms (read 2026-11).
    """
    named = [ctx.tx.get(alarm_key(ctx.account, ctx.region, name), Alarm) for name in dict.fromkeys(req["AlarmNames"])]
    found = [alarm for alarm in named if alarm is not None]
    if sum(alarm.rule is not None for alarm in found) > 1:
        raise ValidationError("Only one composite alarm can be deleted per request.")
    going = {alarm.name for alarm in found}
    for alarm in found:
        parents = {str(key[-1]) for key in ctx.tx.scan_keys(parent_prefix(ctx.account, ctx.region, alarm.name))}
        if parents - going:
            raise ValidationError(f"Cannot delete {alarm.name} as there are composite alarm(s) depending on it.")
    for alarm in found:
        _delete(ctx, alarm)
    return {}


def set_alarm_state(ctx: Context, req: Json) -> Json:
    """Put an alarm into a state, with its actions; a metric alarm goes its own way again at its next evaluation.

    Raises: ResourceNotFound, InvalidFormat. Source: CloudWatch API_SetAlarmState (read 2026-11).
    """
    alarm = ctx.tx.get(alarm_key(ctx.account, ctx.region, req["AlarmName"]), Alarm)
    if alarm is None:
        raise ResourceNotFound("The named resource does not exist.")
    data = req.get("StateReasonData")
    if data is not None:
        try:
            read_json(data)
        except NotJson as error:
            raise InvalidFormat("StateReasonData must be valid JSON.") from error
    alarm = changes.into(ctx, alarm, req["StateValue"], req["StateReason"], data)
    if alarm.rule is None and not alarm.due:
        ctx.tx.put(alarm.key, wakes.scheduled(ctx, alarm, wakes.period_of(alarm)))
    return {}


def enable_alarm_actions(ctx: Context, req: Json) -> Json:
    """Have alarms carry out their actions. Names that are not there are passed over.

    Source: CloudWatch API_EnableAlarmActions (read 2026-11).
    """
    return _switch(ctx, req["AlarmNames"], True)


def disable_alarm_actions(ctx: Context, req: Json) -> Json:
    """Have alarms change their states without carrying out actions. Names that are not there are passed over.

    Source: CloudWatch API_DisableAlarmActions (read 2026-11).
    """
    return _switch(ctx, req["AlarmNames"], False)


def _switch(ctx: Context, names: list[str], enabled: bool) -> Json:
    for name in names:
        alarm = ctx.tx.get(alarm_key(ctx.account, ctx.region, name), Alarm)
        if alarm is not None and alarm.actions_enabled != enabled:
            changed = replace(alarm, actions_enabled=enabled, configured_at=ctx.now)
            ctx.tx.put(changed.key, changed)
            changes.configured(ctx, changed, "update")
    return {}


def _put(ctx: Context, req: Json, given: Json, type_: str) -> tuple[Alarm, Alarm | None]:
    """(the alarm with its new settings, not yet written; the one before)."""
    name = req["AlarmName"]
    old = ctx.tx.get(alarm_key(ctx.account, ctx.region, name), Alarm)
    enabled = req.get("ActionsEnabled", True)
    if old is None:
        settings.counted(ctx, 1)
        tags = checked_tags({}, req.get("Tags", ()))
        alarm = Alarm(
            account=ctx.account, region=ctx.region, name=name, settings=given, created_at=ctx.now, configured_at=ctx.now,
            state_at=ctx.now, transitioned_at=ctx.now, actions_enabled=enabled, tags=tags,
        )  # fmt: skip
        return alarm, None
    if old.type != type_:
        raise ValidationError(f"An alarm of another type with the name {name} exists already.")
    return replace(old, settings=given, configured_at=ctx.now, actions_enabled=enabled), old


def _delete(ctx: Context, alarm: Alarm) -> None:
    ctx.tx.delete(alarm.key)
    ctx.tx.delete(awake_key(alarm.account, alarm.region, alarm.name))
    settings.counted(ctx, -1)
    if alarm.rule is None:
        for identity in _watched(alarm.settings):
            ctx.tx.delete((*watch_prefix(alarm.account, alarm.region, *identity), alarm.name))
    else:
        for child in rules.parse(alarm.rule).children:
            ctx.tx.delete((*parent_prefix(alarm.account, alarm.region, child), alarm.name))
    changes.configured(ctx, alarm, "delete")


def _watched(given: Json) -> list[tuple[str, str, Dimensions]]:
    """The identities (namespace, name, dimensions) of the metrics that settings watch."""
    if "MetricName" in given:
        return [(given["Namespace"], given["MetricName"], dimensions_of(given.get("Dimensions", ())))]
    metrics = [query["MetricStat"]["Metric"] for query in given["Metrics"] if "MetricStat" in query]
    return [(one["Namespace"], one["MetricName"], dimensions_of(one.get("Dimensions", ()))) for one in metrics]


def _children(ctx: Context, req: Json) -> tuple[str, ...]:
    """The alarms that a rule names. Raises: ValidationError, LimitExceeded."""
    try:
        rule = rules.parse(req["AlarmRule"])
    except BadRule as error:
        raise ValidationError(f"AlarmRule is not valid: {error}") from error
    for region, account in rules.places(req["AlarmRule"]):
        if (account, region) != (ctx.account, ctx.region):
            raise ValidationError("AlarmRule must not name alarms of other accounts or Regions")
    if len(rule.children) > _MOST_CHILDREN:
        raise ValidationError(f"AlarmRule must not name more than {_MOST_CHILDREN} alarms")
    if rule.elements > _MOST_ELEMENTS:
        raise ValidationError(f"AlarmRule must not have more than {_MOST_ELEMENTS} elements")
    known = {req["AlarmName"]}
    absent = [
        child
        for child in rule.children
        if child not in known and ctx.tx.get(alarm_key(ctx.account, ctx.region, child), Alarm) is None
    ]
    if absent:
        raise ValidationError(
            f"Could not save the composite alarm as alarms [{', '.join(absent)}] in the alarm rule do not exist"
        )
    for child in rule.children:
        parents = {str(key[-1]) for key in ctx.tx.scan_keys(parent_prefix(ctx.account, ctx.region, child))}
        if len(parents - known) >= _MOST_PARENTS:
            raise LimitExceeded(f"The alarm {child} is part of {_MOST_PARENTS} composite alarms already.")
    return rule.children
