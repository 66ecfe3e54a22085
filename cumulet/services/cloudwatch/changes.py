"""A change of an alarm's state and all that follows from it, in one transaction: history, actions, events, composite alarms.

A crash before the commit leaves the old state, and the alarm's timer, which finds the same again; after it everything is
written, the deliveries included: each action is carried out once for each change.
"""

from __future__ import annotations

import json
import time
from typing import Any

from cumulet.aws.arn import Arn
from cumulet.aws.errors import AwsError, NotImplementedOnCumulet
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.cloudwatch import notices, rules
from cumulet.services.cloudwatch.model import (
    HISTORY_S,
    ROOT,
    Alarm,
    HistoryItem,
    alarm_key,
    history_prefix,
    parent_prefix,
)
from cumulet.services.cloudwatch.reasons import stamp

_SWEPT_AT_ONCE = 20
_DATA_MAX = 4095
_SUMMARY_MAX = 255
_ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}

Json = dict[str, Any]


def note(ctx: Context, alarm: Alarm, kind: str, summary: str, data: Json) -> None:
    """Add an item to an alarm's history, and take away what is older than 30 days.

    Source: CloudWatch user guide, "Common features of CloudWatch alarms"; API_AlarmHistoryItem (read 2026-11).
    """
    prefix = (*history_prefix(alarm.account, alarm.region), alarm.name)
    for key in list(ctx.tx.scan_keys(prefix, end=(*prefix, ctx.now - HISTORY_S), limit=_SWEPT_AT_ONCE)):
        ctx.tx.delete(key)
    item = HistoryItem(
        name=alarm.name,
        type=alarm.type,
        at=ctx.now,
        kind=kind,
        summary=summary[:_SUMMARY_MAX],
        data=json.dumps(data, separators=(",", ":"))[:_DATA_MAX],
    )
    ctx.tx.put((*prefix, ctx.now, ctx.tx.add((ROOT, "histories"))), item)


def configured(ctx: Context, alarm: Alarm, what: str) -> None:
    """Tell the history and EventBridge that an alarm was created, updated or deleted (`what`: "create", ...)."""
    past = {"create": "created", "update": "updated", "delete": "deleted"}[what]
    data = {"version": "1.0", "type": what.capitalize(), f"{past}Alarm": notices.configuration(alarm, "m1")}
    note(ctx, alarm, "ConfigurationUpdate", f'Alarm "{alarm.name}" {past}', data)
    event = {
        "alarmName": alarm.name,
        "operation": what,
        "state": {"value": alarm.state, "timestamp": stamp(alarm.state_at)},
        "configuration": {
            **notices.configuration(alarm, ctx.ids.uuid()),
            "alarmName": alarm.name,
            "actionsEnabled": alarm.actions_enabled,
            "timestamp": stamp(alarm.configured_at),
        },
    }
    _emit(ctx, alarm, "CloudWatch Alarm Configuration Change", event)


def into(
    ctx: Context,
    alarm: Alarm,
    state: str,
    reason: str,
    reason_data: str | None,
    triggering: list[Alarm] | None = None,
    path: frozenset[str] = frozenset(),
) -> Alarm:
    """Put the alarm into a state, and do what follows when it is another one than before.

    `triggering` are the alarms whose change made a composite alarm change; `path` the alarms that change together already,
    so that a cycle among composite alarms ends.
    """
    changed = replace(
        alarm,
        state=state,
        reason=reason,
        reason_data=reason_data,
        state_at=ctx.now,
        transitioned_at=ctx.now if state != alarm.state else alarm.transitioned_at,
    )
    ctx.tx.put(changed.key, changed)
    if state == alarm.state:
        return changed
    data = {"version": "1.0", "oldState": _history_state(alarm), "newState": _history_state(changed)}
    note(ctx, changed, "StateUpdate", f"Alarm updated from {alarm.state} to {state}", data)
    id_ = ctx.ids.uuid()
    _emit(ctx, changed, "CloudWatch Alarm State Change", notices.detail(changed, alarm, id_))
    if changed.actions_enabled:
        for arn in changed.settings.get(_ACTIONS[state], ()):
            _act(ctx, changed, alarm, arn, id_, triggering or [])
    for key in list(ctx.tx.scan_keys(parent_prefix(changed.account, changed.region, changed.name))):
        parent = str(key[-1])
        if parent not in path:
            reconsider(ctx, parent, changed, path | {changed.name})
    return changed


def reconsider(ctx: Context, name: str, child: Alarm, path: frozenset[str]) -> None:
    """A child changed its state: the composite alarm `name` may change too."""
    alarm = ctx.tx.get(alarm_key(child.account, child.region, name), Alarm)
    if alarm is None or alarm.rule is None:
        return
    state = "ALARM" if holds(ctx, alarm) else "OK"
    if state == alarm.state:
        return
    reason = f"{child.arn} transitioned to {child.state} at {_spoken(ctx)}"
    triggers = {"triggeringAlarms": [{"arn": child.arn, "state": {"value": child.state, "timestamp": stamp(ctx.now)}}]}
    into(ctx, alarm, state, reason, json.dumps(triggers, separators=(",", ":")), [child], path)


def holds(ctx: Context, alarm: Alarm) -> bool:
    """Whether a composite alarm's rule holds now."""

    def state_of(name: str) -> str | None:
        child = ctx.tx.get(alarm_key(alarm.account, alarm.region, name), Alarm)
        return None if child is None else child.state

    return rules.parse(str(alarm.rule)).holds(state_of)


def _spoken(ctx: Context) -> str:
    """`Wednesday 10 November, 2021 02:45:55 UTC`"""
    return time.strftime("%A %d %B, %Y %H:%M:%S UTC", time.gmtime(ctx.now))


def _history_state(alarm: Alarm) -> Json:
    state: Json = {"stateValue": alarm.state, "stateReason": alarm.reason}
    if alarm.reason_data is not None:
        try:
            state["stateReasonData"] = read_json(alarm.reason_data)
        except NotJson:
            state["stateReasonData"] = alarm.reason_data
    return state


def _act(ctx: Context, alarm: Alarm, before: Alarm, arn: str, id_: str, triggering: list[Alarm]) -> None:
    """Carry out one action. A failure is an outcome: it stands in the history."""
    message: str | None = None
    failure: AwsError | None = None
    try:
        if Arn.parse(arn).service == "sns":
            message = notices.message(alarm, before, triggering)
            extra = {"Subject": notices.subject(alarm)}
            sender = "cloudwatch.amazonaws.com"
            ctx.deliver(arn, message.encode(), principal=sender, source=alarm.arn, extra=extra, via=alarm.arn)
        else:
            event = notices.function_event(alarm, before, id_)
            sender = "lambda.alarms.cloudwatch.amazonaws.com"
            ctx.deliver(arn, event, principal=sender, source=alarm.arn, via=alarm.arn)
    except AwsError as error:
        failure = error
    data = {
        "actionState": "Succeeded" if failure is None else "Failed",
        "stateUpdateTimestamp": int(alarm.state_at * 1000),
        "notificationResource": arn,
        "publishedMessage": None if message is None else json.dumps({"default": message}),
        "error": None if failure is None else f"{failure.message} ({failure.wire_code})",
    }
    done = "Successfully executed" if failure is None else "Failed to execute"
    note(ctx, alarm, "Action", f"{done} action {arn}", data)


def _emit(ctx: Context, alarm: Alarm, detail_type: str, detail: Json) -> None:
    """Tell EventBridge, where it is there."""
    request = {"Source": "aws.cloudwatch", "DetailType": detail_type, "Detail": detail, "Resources": [alarm.arn]}
    try:
        ctx.call("events", "cumulet:Emit", request, principal="")
    except NotImplementedOnCumulet:
        return
