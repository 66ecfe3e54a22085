"""When alarms are evaluated: one durable timer for each alarm that may still change its state.

A metric alarm is evaluated each minute (every ten seconds when its period is shorter, each hour when it is longer than an
hour), a moment after the boundary, so that the minute's values are there. An alarm whose metrics are silent and whose state
no silence can change any more sleeps: it has no timer until data arrives or its configuration changes.
"""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record, replace
from cumulet.kernel.tx import TimerScope
from cumulet.services.cloudwatch.model import HOUR_S, MINUTE_S, ROOT, Alarm, alarm_key, awake_key

DELAY_S = 3.0  # after the boundary
_SHORT_S = 10


class Awake(Record):
    """A mark: this alarm has a timer."""


def interval_of(period: int) -> int:
    """How often an alarm of that period is evaluated, in seconds.

    Source: CloudWatch user guide, "Alarm evaluation" (read 2026-11).
    """
    if period < MINUTE_S:
        return _SHORT_S
    return MINUTE_S if period <= HOUR_S else HOUR_S


def boundary(now: float, interval: int) -> int:
    """The newest boundary whose values are complete."""
    return int((now - DELAY_S) // interval) * interval


def next_due(now: float, interval: int) -> float:
    return boundary(now, interval) + interval + DELAY_S


def scheduled(ctx: Context, alarm: Alarm, period: int) -> Alarm:
    """The alarm with a timer at the next boundary; the caller puts it."""
    due = next_due(ctx.now, interval_of(period))
    scope = ctx.tx.scope
    ctx.tx.scope = TimerScope(
        account=alarm.account, region=alarm.region
    )  # the platform's own data comes on nobody's behalf
    ctx.tx.wake(due, "cloudwatch.evaluate", (alarm.account, alarm.region, alarm.name, due), fresh=True)
    ctx.tx.scope = scope
    if not alarm.due:
        ctx.tx.put(awake_key(alarm.account, alarm.region, alarm.name), Awake())
    return replace(alarm, due=due)


def asleep(ctx: Context, alarm: Alarm) -> Alarm:
    """The alarm without a timer; the caller puts it."""
    ctx.tx.delete(awake_key(alarm.account, alarm.region, alarm.name))
    return replace(alarm, due=0.0)


def rouse(ctx: Context, name: str) -> None:
    """Data arrived for an alarm of ctx's account and region: if it sleeps, it is evaluated at the next boundary."""
    alarm = ctx.tx.get(alarm_key(ctx.account, ctx.region, name), Alarm)
    if alarm is not None and not alarm.due:
        ctx.tx.put(alarm.key, scheduled(ctx, alarm, period_of(alarm)))


def period_of(alarm: Alarm) -> int:
    """The period of a metric alarm's data points."""
    if "Period" in alarm.settings:
        return int(alarm.settings["Period"])
    periods = []
    for query in alarm.settings.get("Metrics", ()):
        if "MetricStat" in query:
            periods.append(int(query["MetricStat"]["Period"]))
        elif "Period" in query:
            periods.append(int(query["Period"]))
    return max(periods, default=MINUTE_S)


def any_awake(ctx: Context) -> bool:
    """Whether any alarm, of any account, has a timer."""
    prefix: Key = (ROOT, "awake")
    return next(iter(ctx.tx.scan_keys(prefix, limit=1)), None) is not None
