"""Checks an alarm's settings: those of metric alarms, of composite alarms, and what both have."""

from __future__ import annotations

import math
import re
from typing import Any

from cumulet.aws.arn import Arn
from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.services.cloudwatch import formula
from cumulet.services.cloudwatch.engine import Engine, check_queries
from cumulet.services.cloudwatch.errors import LimitExceeded, ValidationError
from cumulet.services.cloudwatch.judgement import COMPARISONS, TREATMENTS
from cumulet.services.cloudwatch.model import DAY_S, HOUR_S, MINUTE_S, ROOT
from cumulet.services.cloudwatch.series import Series
from cumulet.services.cloudwatch.values import is_extended, percentile_of

_MOST_ALARMS = 5000
_MOST_QUERIES = 10
_SHORT_PERIODS = (10, 20, 30)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SINGLE = ("MetricName", "Namespace", "Dimensions", "Period", "Unit", "Statistic", "ExtendedStatistic")
_ABSENT = (
    "EvaluationCriteria",
    "EvaluationInterval",
    "ThresholdMetricId",
    "WarmUpConfiguration",
    "ActionConfiguration",
)
_ABSENT_COMPOSITE = (
    "ActionsSuppressor",
    "ActionsSuppressorWaitPeriod",
    "ActionsSuppressorExtensionPeriod",
    "ActionConfiguration",
)
_ABSENT_ACTIONS = frozenset(("automate", "swf", "autoscaling", "ssm", "ssm-incidents", "aiops"))
ACTIONS = ("OKActions", "AlarmActions", "InsufficientDataActions")

Json = dict[str, Any]


def counted(ctx: Context, change: int) -> None:
    """Count the alarms of the account and region. Raises: LimitExceeded.

    Source: CloudWatch user guide, "CloudWatch service quotas" (read 2026-11).
    """
    if ctx.tx.add((ROOT, "alarms", ctx.account, ctx.region), change) > _MOST_ALARMS:
        raise LimitExceeded(f"The maximum number of alarms is {_MOST_ALARMS}.")


def check_common(req: Json) -> None:
    """Name and actions. Raises: ValidationError, NotImplementedOnCumulet."""
    if _CONTROL.search(req["AlarmName"]):
        raise ValidationError("AlarmName must not contain control characters")
    for member in ACTIONS:
        arns = req.get(member, ())
        if len(set(arns)) != len(arns):
            raise ValidationError(f"{member} must not contain duplicates")
        for arn in arns:
            _check_action(arn)


def _check_action(arn: str) -> None:
    try:
        parsed = Arn.parse(arn)
    except ValueError as error:
        raise ValidationError(f"Invalid arn syntax: {arn}") from error
    if parsed.service in _ABSENT_ACTIONS:
        raise NotImplementedOnCumulet(f"CloudWatch's alarm action {arn} is not implemented by Cumulet.")
    if parsed.service not in ("sns", "lambda") or not parsed.region or not parsed.account:
        raise ValidationError(f"Invalid arn syntax: {arn}")


def check_composite(req: Json) -> None:
    """Raises: NotImplementedOnCumulet."""
    for member in _ABSENT_COMPOSITE:
        if member in req:
            raise NotImplementedOnCumulet(f"CloudWatch's setting {member} is not implemented by Cumulet.")


def check_metric(ctx: Context, req: Json) -> None:
    """Raises: ValidationError, NotImplementedOnCumulet.

    Source: CloudWatch API_PutMetricAlarm (read 2026-11).
    """
    for member in _ABSENT:
        if member in req:
            raise NotImplementedOnCumulet(f"CloudWatch's setting {member} is not implemented by Cumulet.")
    window = req.get("EvaluationWindow")
    if window is not None and "SlidingWindow" not in window:
        raise NotImplementedOnCumulet("CloudWatch's setting EvaluationWindow is not implemented by Cumulet.")
    operator = req.get("ComparisonOperator")
    if operator is not None and operator not in COMPARISONS:
        raise NotImplementedOnCumulet(f"CloudWatch's anomaly detection ({operator}) is not implemented by Cumulet.")
    if ("MetricName" in req) == ("Metrics" in req):
        raise ValidationError("Exactly one of MetricName and Metrics must be specified")
    for member in ("ComparisonOperator", "EvaluationPeriods", "Threshold"):
        if member not in req:
            raise ValidationError(f"{member} must not be null")
    try:
        threshold = float(req["Threshold"])
    except ValueError as error:
        raise ValidationError("Threshold must be a number") from error
    if not math.isfinite(threshold):
        raise ValidationError("Threshold must be a finite number")
    period = _check_math(ctx, req) if "Metrics" in req else _check_single(req)
    _check_range(req, period)
    if req.get("TreatMissingData", "missing") not in TREATMENTS:
        raise ValidationError(
            f"Invalid TreatMissingData '{req['TreatMissingData']}': valid values are breaching, notBreaching, ignore, missing"
        )
    low = req.get("EvaluateLowSampleCountPercentile")
    if low is not None and (
        low not in ("evaluate", "ignore") or percentile_of(req.get("ExtendedStatistic", "")) is None
    ):
        raise ValidationError(
            "EvaluateLowSampleCountPercentile must be evaluate or ignore and can be used only with a percentile statistic"
        )


def _check_range(req: Json, period: int) -> None:
    n = req["EvaluationPeriods"]
    if req.get("DatapointsToAlarm", 1) > n:
        raise ValidationError("DatapointsToAlarm must be less than or equal to EvaluationPeriods")
    if period < HOUR_S and n * period > DAY_S:
        raise ValidationError(
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400)."
        )
    if n * period > 7 * DAY_S:
        raise ValidationError(
            "Metrics cannot be checked across more than a week (EvaluationPeriods * Period must be <= 604800)."
        )


def _check_period(period: int) -> None:
    if period not in _SHORT_PERIODS and (period < MINUTE_S or period % MINUTE_S):
        raise ValidationError("Period must be 10, 20, 30 or a multiple of 60")


def _check_single(req: Json) -> int:
    for member in ("Namespace", "Period"):
        if member not in req:
            raise ValidationError(f"{member} must not be null")
    if ("Statistic" in req) == ("ExtendedStatistic" in req):
        raise ValidationError("Exactly one of Statistic and ExtendedStatistic must be specified")
    if "ExtendedStatistic" in req and not is_extended(req["ExtendedStatistic"]):
        raise ValidationError(f"The value {req['ExtendedStatistic']} for parameter ExtendedStatistic is not supported.")
    _check_period(req["Period"])
    period: int = req["Period"]
    return period


def _check_math(ctx: Context, req: Json) -> int:
    """The period of the metrics behind the alarm's expression."""
    queries = req["Metrics"]
    for member in _SINGLE:
        if member in req:
            raise ValidationError(f"{member} must not be specified together with Metrics")
    check_queries(ctx, queries, "Metrics")
    stats = [query["MetricStat"] for query in queries if "MetricStat" in query]
    if not stats:
        raise ValidationError("Metrics list must contain at least one metric")
    if len(stats) > _MOST_QUERIES:
        raise ValidationError("Metrics list must not contain more than 10 metrics")
    watched = [query for query in queries if query.get("ReturnData", True)]
    if len(watched) != 1:
        raise ValidationError("Exactly one element of the metrics list should return data.")
    periods = {stat["Period"] for stat in stats}
    if len(periods) > 1:
        raise ValidationError("Period must be the same for all metrics")
    period: int = periods.pop()
    _check_period(period)
    for query in queries:
        if "Expression" in query and "SEARCH" in formula.functions(formula.parse(query["Expression"])):
            raise ValidationError("SEARCH is not supported on Metric Alarms.")
    end = int(ctx.now) // period * period
    if not isinstance(Engine(ctx, queries, lambda _: end, end).value(watched[0]["Id"]), Series):
        raise ValidationError(
            f"Error in expression '{watched[0]['Id']}': The expression of an alarm must evaluate to a single time series"
        )
    return period
