"""Metrics of the platform itself: counted in memory, handed on to CloudWatch at the end of each minute of the clock.

What a minute counted is lost when the process is killed in it: these are observations, nobody was promised them. A minute
ends only while something was counted or a service asks for the next one, so an idle cloud does nothing.
"""

from __future__ import annotations

import asyncio
import logging
import math
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
        now = clock.now()
        if self.due is None or (not clock.virtual and self.due > now + MINUTE_S):  # the clock has gone back
            self.due = float((int(now) // MINUTE_S + 1) * MINUTE_S)
        if not clock.virtual and self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(max(0.0, self.due - now), self._rings)

    def _rings(self) -> None:
        """End the minute if it is over: a loop rounds its timers, and the machine's clock may be set or have been frozen since."""
        self._handle = None
        if self.due is None or self._pipeline.clock.now() >= self.due:
            self.end()
        else:
            self.arm()

    def end(self) -> None:
        """The minute is over: gauges are read, what was counted is handed on. One that breaks is a bug of ours, and loses this minute."""
        self._end(gauges=True)

    def leave(self) -> None:
        """A virtual clock is left for the real one, which sees the minutes that it counted later or never: they are over."""
        if self._minutes:
            self._end(gauges=False)
        self.disarm()

    def _end(self, gauges: bool) -> None:
        self.disarm()
        pipeline = self._pipeline
        now = pipeline.clock.now()
        tx = pipeline.store.begin(TimerScope(account="", region=""))
        span = pipeline.tracer.begin("minute", "timer", now)
        within = now - 0.001  # gauges belong to the minute that ended
        ctx = Context(pipeline, tx, within, within, "", "", "", "", pipeline.ids.uuid(), pipeline.endpoint, span)
        try:
            more = self._gauged(ctx) if gauges else False
            more = self._hand_on(ctx, now if gauges else math.inf) or more
        except Exception:
            log.exception("the metrics of the minute before %.0f are lost", now)
            tx.abandon()
            more = True
        self.disarm()  # what the gauges counted armed it
        if more or self._minutes:
            self.arm()
        pipeline.busy += 1
        pipeline.finish(tx, lambda failure: pipeline.settled())

    def _gauged(self, ctx: Context) -> bool:
        """Have gauges read; whether somebody wants the next minute too."""
        self._pipeline.load_stored()
        asked = [service.gauges(ctx) for service in self._pipeline.services.in_use() if service.gauges is not None]
        return any(asked)

    def _hand_on(self, ctx: Context, before: float) -> bool:
        """Hand on what was counted; whether somebody wants the next minute too."""
        services = self._pipeline.services
        points = self._drain(before)
        if self._sink is not None and (services.loaded(self._sink[0]) or (points and self._sink[0] in services)):
            return bool(ctx.call(self._sink[0], self._sink[1], {"Points": points})["More"])
        return False

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
