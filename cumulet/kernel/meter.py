"""Metrics of the platform itself: counted in memory, handed on to CloudWatch at the end of each minute of the clock.

What a minute counted is lost when the process is killed in it: these are observations, nobody was promised them. A minute
ends only while something was counted or a service asks for the next one, so an idle cloud does nothing.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from cumulet.kernel.context import Context
from cumulet.kernel.tx import TimerScope

if TYPE_CHECKING:
    from cumulet.kernel.pipeline import Pipeline

log = logging.getLogger("cumulet")

MINUTE_S = 60
_DISTINCT = 200

# account, region, namespace, metric, unit, dimensions
Series = tuple[str, str, str, str, str, tuple[tuple[str, str], ...]]
Operation = tuple[str, str]


class Meter:
    """Counts values by series and minute, and ends the minutes.

    `sink` is the (service, operation) that takes a minute's points and answers {"More": whether it wants the next minute}.
    """

    def __init__(self, pipeline: Pipeline, sink: Operation | None) -> None:
        self._pipeline = pipeline
        self._sink = sink
        self._minutes: dict[int, dict[Series, dict[float, int]]] = {}
        self._handle: asyncio.TimerHandle | None = None
        self.due: float | None = None  # when the running minute ends; None: nobody waits for that

    def add(self, series: Series, now: float, value: float, times: int = 1) -> None:
        minute = int(now) // MINUTE_S
        counted = self._minutes.get(minute)
        if counted is None:
            counted = self._minutes[minute] = {}
            self.arm()
        values = counted.get(series)
        if values is None:
            counted[series] = {value: times}
        else:
            if len(values) >= _DISTINCT and value not in values:
                value = float(f"{value:.3g}")
            values[value] = values.get(value, 0) + times

    def arm(self) -> None:
        """End the running minute when its time comes."""
        clock = self._pipeline.clock
        if self.due is None:
            self.due = float((int(clock.now()) // MINUTE_S + 1) * MINUTE_S)
        if not clock.virtual and self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(max(0.0, self.due - clock.now()), self.end)

    def end(self) -> None:
        """The minute is over: gauges are read, what was counted is handed on. One that breaks is a bug of ours, and loses this minute."""
        self.disarm()
        pipeline = self._pipeline
        now = pipeline.clock.now()
        tx = pipeline.store.begin(TimerScope(account="", region=""))
        span = pipeline.tracer.begin("minute", "timer", now)
        within = now - 0.001  # gauges belong to the minute that ended
        ctx = Context(pipeline, tx, within, within, "", "", "", "", pipeline.ids.uuid(), pipeline.endpoint, span)
        try:
            more = self._hand_on(ctx, now)
        except Exception:
            log.exception("the metrics of the minute before %.0f are lost", now)
            tx.abandon()
            more = True
        self.disarm()  # what the gauges counted armed it
        if more or self._minutes:
            self.arm()
        pipeline.busy += 1
        pipeline.finish(tx, lambda failure: pipeline.settled())

    def _hand_on(self, ctx: Context, now: float) -> bool:
        """Whether somebody wants the next minute too."""
        more = False
        self._pipeline.load_stored()
        services = self._pipeline.services
        for service in services.in_use():
            if service.gauges is not None:
                more = service.gauges(ctx) or more
        points = self._drain(now)
        if self._sink is not None and (services.loaded(self._sink[0]) or (points and self._sink[0] in services)):
            more = ctx.call(self._sink[0], self._sink[1], {"Points": points})["More"] or more
        return more

    def _drain(self, before: float) -> list[dict[str, Any]]:
        points = []
        for minute in [minute for minute in self._minutes if (minute + 1) * MINUTE_S <= before]:
            for (account, region, namespace, name, unit, dimensions), values in self._minutes.pop(minute).items():
                point = {
                    "Account": account,
                    "Region": region,
                    "Namespace": namespace,
                    "MetricName": name,
                    "Unit": unit,
                    "Dimensions": list(dimensions),
                    "Minute": float(minute * MINUTE_S),
                    "Values": values,
                }
                points.append(point)
        return points

    def disarm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self.due = None

    def clear(self) -> None:
        self._minutes.clear()
        self.disarm()
