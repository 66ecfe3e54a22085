"""An alarm's StateReason and StateReasonData in AWS's words. Pure.

Source: CloudWatch user guide, "Alarm events and EventBridge": sample events (read 2026-11).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cumulet.services.cloudwatch.judgement import COMPARISONS

_LISTED = 5
_DATA_POINTS = 25
_REASON_MAX = 1023

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DataPoint:
    at: int
    value: float
    samples: float | None = None


def stamp(at: float) -> str:
    """`2019-10-02T17:04:40.985+0000`"""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at))}.{int(at * 1000) % 1000:03d}+0000"


def number(value: float) -> str:
    """A number as AWS writes it: 50.0, 1.0E7."""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(float(value))
    exponent = math.floor(math.log10(abs(value)))
    mantissa = float(f"{value:.15e}".partition("e")[0])
    return f"{mantissa!r}E{exponent}"


def crossed(settings: Json, state: str, evaluated: Sequence[DataPoint], filled: int, treatment: str) -> str:
    """Why an alarm is in ALARM or OK; `evaluated` are the data points that decided, the newest first."""
    breaches, words = COMPARISONS[settings["ComparisonOperator"]]
    threshold, n = settings["Threshold"], settings["EvaluationPeriods"]
    alarming = state == "ALARM"
    telling = [point for point in evaluated if breaches(point.value, threshold) == alarming]
    how = f"{'' if alarming else 'not '}{words} the threshold ({number(threshold)})"
    explicit = "DatapointsToAlarm" in settings
    text = "Threshold Crossed: "
    if telling:
        listed = ", ".join(_told(point) for point in telling[:_LISTED])
        few = len(telling) < _LISTED
        count = f"{len(telling)} out of the last {n} datapoints" if explicit else _counted(len(telling), "datapoint")
        verb = "was" if len(telling) == 1 else "were"
        text += f"{count} [{listed}] {verb} {how}" if few else f"{count} {verb} {how}"
        if not few:
            text += f". The most recent datapoints which crossed the threshold: [{listed}]"
    else:
        text += f"no datapoints were received for {_counted(n, 'period')}"
    if filled and treatment in ("breaching", "notBreaching"):
        as_ = "Breaching" if treatment == "breaching" else "NonBreaching"
        verb = "was" if filled == 1 else "were"
        text += f" and {_counted(filled, 'missing datapoint')} {verb} treated as [{as_}]"
    elif explicit and telling:
        m = settings["DatapointsToAlarm"]
        least = m if alarming else n - m + 1
        way = "OK -> ALARM" if alarming else "ALARM -> OK"
        text += f" (minimum {_counted(least, 'datapoint')} for {way} transition)"
    return f"{text}."[:_REASON_MAX]


def insufficient(missing: int) -> str:
    return f"Insufficient Data: {_counted(missing, 'datapoint')} {'was' if missing == 1 else 'were'} unknown."


def reason_data(settings: Json, now: float, period: int, evaluated: Sequence[DataPoint]) -> str:
    """StateReasonData; `evaluated` are the data points that decided, the newest first."""
    shown = list(evaluated)[:_DATA_POINTS]
    data: Json = {"version": "1.0", "queryDate": stamp(now)}
    if shown:
        data["startDate"] = stamp(shown[-1].at)
    if "Unit" in settings:
        data["unit"] = settings["Unit"]
    statistic = settings.get("Statistic", settings.get("ExtendedStatistic"))
    if statistic is not None:
        data["statistic"] = statistic
    data["period"] = period
    data["recentDatapoints"] = [point.value for point in reversed(shown)]
    data["threshold"] = settings["Threshold"]
    if shown:
        data["evaluatedDatapoints"] = [_evaluated(point) for point in shown]
    return json.dumps(data, separators=(",", ":"))


def _evaluated(point: DataPoint) -> Json:
    shown: Json = {"timestamp": stamp(point.at), "value": point.value}
    if point.samples is not None:
        shown["sampleCount"] = point.samples
    return shown


def _told(point: DataPoint) -> str:
    return f"{number(point.value)} ({time.strftime('%d/%m/%y %H:%M:%S', time.gmtime(point.at))})"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
