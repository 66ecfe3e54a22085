"""Metrics and alarms against a model in plain dicts: values come late, early and not at all, alarms sleep and wake."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.services import cloudwatch
from cumulet.services.cloudwatch.judgement import judge
from cumulet.testing.inprocess import InProcess

THRESHOLD = 10
DELAY_S = 3

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 20), st.sampled_from([0, 0, 0, -60, -150, 70])),
        st.tuples(st.just("put"), st.integers(0, 20), st.sampled_from([0, 0, 0, -60, -150, 70])),
        st.tuples(st.just("advance"), st.sampled_from([1, 3, 30, 60, 60, 300, 86400]), st.just(0)),
        st.tuples(st.just("set"), st.sampled_from([0, 1]), st.just(0)),
    ),
    max_size=25,
)
ALARMS = st.fixed_dictionaries(
    {
        "Period": st.sampled_from([60, 120]),
        "EvaluationPeriods": st.integers(1, 3),
        "TreatMissingData": st.sampled_from(["missing", "ignore", "breaching", "notBreaching"]),
    }
).flatmap(lambda a: st.integers(1, a["EvaluationPeriods"]).map(lambda m: {**a, "DatapointsToAlarm": m}))


class Model:
    """Every value with its time; the alarm is judged at each minute and 3 seconds, over all values every time."""

    def __init__(self, alarm: dict[str, Any], now: float) -> None:
        self.alarm, self.now, self.state = alarm, now, "INSUFFICIENT_DATA"
        self.values: list[tuple[float, int]] = []

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        at = math.floor((self.now - DELAY_S) / 60) * 60 + 60
        while at + DELAY_S <= end:
            self.evaluate(at)
            at += 60
            if not any(time > at - 700 for time, _ in self.values):
                at = max(at, math.floor((end - DELAY_S) / 60) * 60)  # nothing happens without values: skip
        self.now = end

    def evaluate(self, at: int) -> None:
        period, n = self.alarm["Period"], self.alarm["EvaluationPeriods"]
        seen: list[float | None] = []
        for number in range(n + 2):
            low, high = at - (number + 1) * period, at - number * period
            inside = [value for time, value in self.values if low <= time < high]
            seen.append(float(max(inside)) if inside else None)
        treatment = self.alarm["TreatMissingData"]
        found = judge(seen, lambda value: value > THRESHOLD, n, self.alarm["DatapointsToAlarm"], treatment)
        self.state = found.state or self.state


async def _run(alarm: dict[str, Any], steps: list[tuple[str, int, int]]) -> None:
    async with InProcess([cloudwatch.SERVICE]) as cloud:
        model = Model(alarm, cloud.clock.now())
        settings_ = {
            "AlarmName": "a", "Namespace": "App", "MetricName": "n", "Statistic": "Maximum", "Threshold": THRESHOLD,
            "ComparisonOperator": "GreaterThanThreshold", **alarm,
        }  # fmt: skip
        await cloud.call("cloudwatch", "PutMetricAlarm", settings_)
        for kind, number, offset in [*steps, ("advance", 120, 0)]:
            if kind == "put":
                at = cloud.clock.now() + offset
                datum = {"MetricName": "n", "Value": float(number), "Timestamp": at}
                await cloud.call("cloudwatch", "PutMetricData", {"Namespace": "App", "MetricData": [datum]})
                model.values.append((at, number))
            elif kind == "set":
                model.state = ("OK", "ALARM")[number]
                request = {"AlarmName": "a", "StateValue": model.state, "StateReason": "x"}
                await cloud.call("cloudwatch", "SetAlarmState", request)
            else:
                await cloud.advance(number)
                model.advance(number)
            found = await cloud.call("cloudwatch", "DescribeAlarms", {})
            assert found["MetricAlarms"][0]["StateValue"] == model.state, (kind, number, cloud.clock.now())


@settings(max_examples=60, deadline=None)
@given(ALARMS, STEPS)
def test_an_alarm_is_in_the_state_that_all_values_so_far_call_for(alarm: Any, steps: Any) -> None:
    asyncio.run(_run(alarm, steps))


VALUES = st.lists(
    st.tuples(st.integers(0, 3600), st.integers(0, 50), st.sampled_from(["Count", "Bytes"])), min_size=1, max_size=40
)


@settings(max_examples=40, deadline=None)
@given(VALUES, st.sampled_from([60, 120, 300, 3600]), st.integers(0, 1200))
def test_statistics_are_those_of_the_values_in_each_period(values: Any, period: int, begin: int) -> None:
    async def run() -> None:
        async with InProcess([cloudwatch.SERVICE]) as cloud:
            now = cloud.clock.now()
            base = math.floor(now / 3600) * 3600 - 7200
            for at, value, unit in values:
                datum = {"MetricName": "n", "Value": float(value), "Timestamp": float(base + at), "Unit": unit}
                await cloud.call("cloudwatch", "PutMetricData", {"Namespace": "App", "MetricData": [datum]})
            request = {
                "Namespace": "App", "MetricName": "n", "Period": period, "StartTime": float(base + begin),
                "EndTime": float(base + 3660), "Statistics": ["Sum", "Maximum", "SampleCount"],
            }  # fmt: skip
            answer = await cloud.call("cloudwatch", "GetMetricStatistics", request)
            start = (base + begin) // 60 * 60
            expected: dict[tuple[int, str], list[int]] = {}
            for at, value, unit in values:
                minute = (base + at) // 60 * 60
                if minute >= start:
                    expected.setdefault((start + (minute - start) // period * period, unit), []).append(value)
            got = {(int(point["Timestamp"]), point["Unit"]): point for point in answer["Datapoints"]}
            assert {key: point["Sum"] for key, point in got.items()} == {key: sum(v) for key, v in expected.items()}
            for key, point in got.items():
                assert (point["Maximum"], point["SampleCount"]) == (max(expected[key]), len(expected[key]))

    asyncio.run(run())
