"""Timer cloudwatch.evaluate: looks at a metric alarm's data points and puts it into the state that they call for.

What a crash leaves: the timer, or the commit with the next one. A timer whose time is not the alarm's `due` is stale: the
alarm was changed, put to sleep or deleted since.
"""

from __future__ import annotations

from dataclasses import dataclass

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import replace
from cumulet.services.cloudwatch import changes, formula, reasons, wakes
from cumulet.services.cloudwatch.engine import TIMELY, Engine
from cumulet.services.cloudwatch.errors import ValidationError
from cumulet.services.cloudwatch.judgement import COMPARISONS, EXTRA_PERIODS, Judgement, judge
from cumulet.services.cloudwatch.model import HOUR_S, Alarm, Point, alarm_key, dimensions_of
from cumulet.services.cloudwatch.reading import series
from cumulet.services.cloudwatch.reasons import DataPoint
from cumulet.services.cloudwatch.series import Series
from cumulet.services.cloudwatch.values import percentile_of, statistic

_AHEAD_S = 3 * HOUR_S  # data may be dated two hours ahead


@dataclass(frozen=True, slots=True)
class _Seen:
    """What an alarm sees: the values of its evaluation range, the newest first, and how many samples each is made of."""

    times: list[int]
    values: list[float | None]
    samples: list[float | None]


def evaluate(ctx: Context, key: Key) -> None:
    """Evaluate the alarm (account, region, name) whose timer is due at key[3]."""
    account, region, name, due = key
    alarm = ctx.tx.get(alarm_key(str(account), str(region), str(name)), Alarm)
    if alarm is None or alarm.rule is not None or alarm.due != due:
        return
    ctx = ctx.at(alarm.account, alarm.region)
    period = wakes.period_of(alarm)
    at = wakes.boundary(ctx.now, wakes.interval_of(period))
    try:
        seen = _look(ctx, alarm, period, at)
    except (ValidationError, NotImplementedOnCumulet) as error:
        # A formula that was fine when it was put may fail on data (an array grown longer): AWS says so in the state.
        if alarm.evaluation_error != error.message:
            alarm = replace(alarm, evaluation_error=error.message)
            alarm = changes.into(ctx, alarm, "INSUFFICIENT_DATA", f"Evaluation failed: {error.message}", None)
        ctx.tx.put(alarm.key, wakes.scheduled(ctx, alarm, period))
        return
    if alarm.evaluation_error is not None:
        alarm = replace(alarm, evaluation_error=None)
    alarm = _decide(ctx, alarm, period, seen)
    if _silent(ctx, alarm, at, period):
        ctx.tx.put(alarm.key, wakes.asleep(ctx, alarm))
    else:
        ctx.tx.put(alarm.key, wakes.scheduled(ctx, alarm, period))


def treatment_of(alarm: Alarm) -> str:
    """How missing data counts; DynamoDB's metrics leave the state as it is.

    Source: CloudWatch API_PutMetricAlarm, TreatMissingData (read 2026-11).
    """
    if alarm.settings.get("Namespace") == "AWS/DynamoDB":
        return "ignore"
    treatment: str = alarm.settings.get("TreatMissingData", "missing")
    return treatment


def _decide(ctx: Context, alarm: Alarm, period: int, seen: _Seen) -> Alarm:
    settings = alarm.settings
    n, threshold = settings["EvaluationPeriods"], settings["Threshold"]
    m, treatment = settings.get("DatapointsToAlarm", n), treatment_of(alarm)
    breaches, _ = COMPARISONS[settings["ComparisonOperator"]]
    judgement = judge(seen.values, lambda value: breaches(value, threshold), n, m, treatment)
    state = judgement.state
    if state is None or state == alarm.state or _too_few_samples(alarm, judgement, seen):
        return alarm
    evaluated = [_data_point(seen, index) for index in judgement.evaluated]
    if state == "INSUFFICIENT_DATA":
        reason = reasons.insufficient(judgement.filled)
    else:
        reason = reasons.crossed(settings, state, evaluated, judgement.filled, treatment)
    return changes.into(ctx, alarm, state, reason, reasons.reason_data(settings, ctx.now, period, evaluated))


def _data_point(seen: _Seen, index: int) -> DataPoint:
    value = seen.values[index]
    assert value is not None
    return DataPoint(seen.times[index], value, seen.samples[index])


def _too_few_samples(alarm: Alarm, judgement: Judgement, seen: _Seen) -> bool:
    """Whether a percentile of few samples is to leave the state alone.

    Source: CloudWatch user guide, "Percentile-based CloudWatch alarms and low data samples" (read 2026-11).
    """
    percentile = percentile_of(alarm.settings.get("ExtendedStatistic", ""))
    if alarm.settings.get("EvaluateLowSampleCountPercentile") != "ignore" or percentile is None:
        return False
    share = percentile / 100
    rest = 1 - share if share >= 0.5 else share
    samples = sum(seen.samples[index] or 0.0 for index in judgement.evaluated)
    return rest > 0 and samples < 10 / rest - 1e-9


def _look(ctx: Context, alarm: Alarm, period: int, at: int) -> _Seen:
    """The data points of the evaluation range that ends at `at`. Raises: ValidationError."""
    count = alarm.settings["EvaluationPeriods"] + EXTRA_PERIODS
    start = at - count * period
    times = [at - (number + 1) * period for number in range(count)]
    if "Metrics" in alarm.settings:
        watched = next(query for query in alarm.settings["Metrics"] if query.get("ReturnData", True))
        value = Engine(ctx, alarm.settings["Metrics"], lambda _: start, at).value(watched["Id"])
        if not isinstance(value, Series):
            raise ValidationError("The expression of an alarm must evaluate to a single time series")
        return _Seen(times, [value.points.get(time) for time in times], [None] * count)
    points = _raw(ctx, alarm, period, start, at)
    compute = statistic(alarm.settings.get("Statistic", alarm.settings.get("ExtendedStatistic")))
    assert compute is not None
    values = [compute(points[time]) if time in points else None for time in times]
    return _Seen(times, values, [points[time].count if time in points else None for time in times])


def _raw(ctx: Context, alarm: Alarm, period: int, start: int, end: int) -> dict[int, Point]:
    settings = alarm.settings
    identity = (settings["Namespace"], settings["MetricName"], dimensions_of(settings.get("Dimensions", ())))
    return series(ctx, identity, period, start, end, settings.get("Unit"))


def _silent(ctx: Context, alarm: Alarm, at: int, period: int) -> bool:
    """Whether the metrics have no data in the evaluation range nor after it: without news, nothing can change any more."""
    start = at - (alarm.settings["EvaluationPeriods"] + EXTRA_PERIODS) * period
    if "Metrics" not in alarm.settings:
        return not _raw(ctx, alarm, period, start, at + _AHEAD_S)
    for query in alarm.settings["Metrics"]:
        if "Expression" in query:
            if formula.functions(formula.parse(query["Expression"])) & TIMELY:
                return False
            continue
        stat = query["MetricStat"]
        metric = stat["Metric"]
        identity = (metric["Namespace"], metric["MetricName"], dimensions_of(metric.get("Dimensions", ())))
        if series(ctx, identity, stat["Period"], start, at + _AHEAD_S, stat.get("Unit")):
            return False
    return True
