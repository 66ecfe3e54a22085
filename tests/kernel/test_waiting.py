"""Timers that wait, signals, traces across hops, and the meter."""

import asyncio
import functools
import math

import pytest

from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Effect, Wait
from cumulet.kernel.record import Record
from cumulet.kernel.service import Service
from cumulet.kernel.tx import TimerScope
from cumulet.testing.inprocess import InProcess


class Item(Record):
    text: str
    trace: str = ""


QUEUE = ("box",)


def in_loop(test):
    @functools.wraps(test)
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))

    return run


def _put(ctx, req):
    ctx.tx.put(("box", "items", req["Text"]), Item(text=req["Text"], trace=ctx.trace))
    ctx.tx.signal(QUEUE)
    return {}


def _start(ctx, req):
    ctx.tx.wake(ctx.now, "box.poll", ("only",))
    return {"Trace": ctx.trace}


def _touch(ctx, req):
    ctx.tx.signal(QUEUE)
    return {}


def _meter(ctx, req):
    ctx.meter("Box", "Size", req["Value"], "Bytes", Name="a")
    return {}


def service(seen, until=math.inf, effect=False, gauges=None):
    def poll(ctx, key: Key):
        seen.append(("look", ctx.now))
        found = [(k, item) for k, item in ctx.tx.scan(("box", "items"), Item)]
        if not found:
            ctx.tx.put(("box", "never"), Item(text="a Wait undoes this"))
            return Wait(on=QUEUE, until=ctx.now + until)
        ctx.follow([item.trace for _, item in found])
        for k, item in found:
            ctx.tx.delete(k)
            seen.append(item.text)
        ctx.tx.wake(ctx.now, "box.poll", key)
        if effect:
            return Effect("work", (), lambda c, outcome: seen.append(("settled", outcome)))
        return None

    def recorded(ctx, req):
        seen.append(req["Points"])
        return {"More": False}

    return Service(
        "box",
        timers={"box.poll": poll},
        internals={"Put": _put, "Start": _start, "Touch": _touch, "Meter": _meter, "Record": recorded},
        gauges=gauges,
    )


def looks(seen):
    return sum(1 for entry in seen if isinstance(entry, tuple) and entry[0] == "look")


@in_loop
async def test_a_waiting_timer_runs_when_its_key_is_signalled_and_costs_nothing_until_then():
    seen = []
    async with InProcess([service(seen)]) as cloud:
        await cloud.call("box", "Start", {})
        await cloud.pipeline.quiet()
        assert looks(seen) == 1
        await cloud.pipeline.advance(86400)
        assert looks(seen) == 1
        await cloud.call("box", "Put", {"Text": "a"})
        await cloud.pipeline.quiet()
        assert "a" in seen
        assert looks(seen) == 3
        assert cloud.store.begin(TimerScope(account="", region="")).get(("box", "never"), Item) is None


@in_loop
async def test_a_signal_without_a_write_wakes_too():
    seen = []
    async with InProcess([service(seen)]) as cloud:
        await cloud.call("box", "Start", {})
        await cloud.pipeline.quiet()
        await cloud.call("box", "Touch", {})
        await asyncio.sleep(0)
        await cloud.pipeline.quiet()
        assert looks(seen) == 2


@in_loop
async def test_a_wait_ends_at_its_time():
    seen = []
    async with InProcess([service(seen, until=30.0)]) as cloud:
        began = cloud.clock.now()
        await cloud.call("box", "Start", {})
        await cloud.pipeline.advance(61)
        assert [entry[1] - began for entry in seen] == [0, 30, 60]


@in_loop
async def test_a_second_timer_of_the_same_key_takes_the_place_of_the_waiting_one():
    seen = []
    async with InProcess([service(seen)]) as cloud:
        for _ in range(3):
            await cloud.call("box", "Start", {})
            await cloud.pipeline.quiet()
        assert looks(seen) == 3
        await cloud.call("box", "Touch", {})
        await asyncio.sleep(0)
        await cloud.pipeline.quiet()
        assert looks(seen) == 4, "one waiter, not three"


@in_loop
async def test_what_waited_is_taken_up_after_a_restart(tmp_path):
    seen = []
    async with InProcess([service(seen)], folder=tmp_path) as cloud:
        await cloud.call("box", "Start", {})
        await cloud.pipeline.quiet()
    later = []
    async with InProcess([service(later)], folder=tmp_path) as cloud:
        await cloud.pipeline.quiet()
        assert looks(later) == 1
        await cloud.call("box", "Put", {"Text": "after"})
        await cloud.pipeline.quiet()
        assert "after" in later


@in_loop
async def test_an_effect_after_a_wait_settles_once_and_leaves_no_row():
    seen = []

    async def work(span):
        return "done"

    async with InProcess([service(seen, effect=True)], performers={"work": work}) as cloud:
        await cloud.call("box", "Start", {})
        await cloud.pipeline.quiet()
        await cloud.call("box", "Put", {"Text": "a"})
        await cloud.pipeline.quiet()
        assert seen.count(("settled", "done")) == 1
        await cloud.pipeline.reset()
        assert cloud.pipeline._parked == {}
        await cloud.call("box", "Put", {"Text": "b"})
        await cloud.pipeline.quiet()
        assert "b" not in seen, "nothing waits after a reset"


@in_loop
async def test_a_consumer_goes_on_with_the_trace_of_what_it_takes_and_links_the_others():
    seen = []
    async with InProcess([service(seen)]) as cloud:
        await cloud.call("box", "Put", {"Text": "a"})
        await cloud.call("box", "Put", {"Text": "b"})
        await cloud.call("box", "Start", {})
        await cloud.pipeline.quiet()
        roots = [span for span in cloud.pipeline.tracer.traces() if span["name"] == "box.Put"]
        assert len(roots) == 2
        for root in roots:
            names = [span["name"] for span in cloud.pipeline.tracer.spans(root["trace_id"])]
            assert names[:1] == ["box.Put"]
            assert "timer box.poll" in names
        first = min(roots, key=lambda span: span["started"])
        poll = [s for s in cloud.pipeline.tracer.spans(first["trace_id"]) if s["name"] == "timer box.poll"]
        assert [span["parent_id"] for span in poll] == [first["span_id"]], "the next look is no part of it"


@in_loop
async def test_metrics_are_handed_on_at_the_end_of_the_minute_and_only_then():
    seen = []
    box = service(seen)
    async with InProcess([box], metrics=("box", "Record")) as cloud:
        await cloud.call("box", "Meter", {"Value": 3.0})
        await cloud.call("box", "Meter", {"Value": 3.0})
        await cloud.call("box", "Meter", {"Value": 5.0})
        minute = cloud.clock.now() // 60 * 60
        await cloud.pipeline.advance(59.9 - cloud.clock.now() % 60)
        assert seen == []
        await cloud.pipeline.advance(0.2)
        (points,) = seen
        assert [(p["MetricName"], p["Dimensions"], p["Values"], p["Minute"]) for p in points] == [
            ("Size", [("Name", "a")], {3.0: 2, 5.0: 1}, minute)
        ]
        await cloud.pipeline.advance(86400)
        assert len(seen) == 1, "an idle cloud ends no minutes"


@in_loop
async def test_gauges_belong_to_the_minute_that_ended_and_may_ask_for_the_next():
    seen, left = [], [2]

    def gauges(ctx):
        ctx.at("111111111111", "eu-west-1").meter("Box", "Depth", 7.0, Name="a")
        left[0] -= 1
        return left[0] > 0

    async with InProcess([service(seen, gauges=gauges)], metrics=("box", "Record")) as cloud:
        await cloud.pipeline.advance(3600)
        assert [[(p["Account"], p["Region"], p["Values"]) for p in points] for points in seen] == [
            [("111111111111", "eu-west-1", {7.0: 1})],
            [("111111111111", "eu-west-1", {7.0: 1})],
        ]
        assert seen[1][0]["Minute"] - seen[0][0]["Minute"] == pytest.approx(60)


def gauged(ctx):
    ctx.at("111111111111", "eu-west-1").meter("Box", "Depth", 7.0, Name="a")
    return True


def counted(seen):
    return [(p["MetricName"], p["Values"]) for points in seen for p in points]


@in_loop
async def test_a_timer_of_the_loop_that_comes_before_the_minutes_end_ends_no_minute():
    """Loops round their timers to milliseconds, and the machine's clock may be set or frozen: a gauge is read once a minute."""
    seen = []
    async with InProcess([service(seen, gauges=gauged)], metrics=("box", "Record")) as cloud:
        meter = cloud.pipeline.meter
        cloud.pipeline.clock.virtual = False  # with a machine's clock that the test has
        cloud.pipeline.clock.now = lambda: now
        now = 60_000_059.9995
        meter.disarm()
        meter.arm()
        meter._rings()
        assert seen == [] and meter._handle is not None
        now = 60_000_060.0
        meter._rings()
        assert counted(seen) == [("Depth", {7.0: 1})]
        now -= 3600  # somebody has set the clock
        meter.arm()
        assert meter.due - now == 60
        meter.disarm()


@in_loop
async def test_what_a_virtual_clock_has_counted_is_handed_on_when_the_real_one_takes_over():
    """A virtual clock may be hours ahead: the next minute is the real one's, and nobody waits for the virtual one's end."""
    seen = []
    async with InProcess([service(seen)], metrics=("box", "Record"), begin=4e9) as cloud:
        await cloud.call("box", "Meter", {"Value": 3.0})
        cloud.pipeline.real_time()
        assert counted(seen) == [("Size", {3.0: 1})]
        await cloud.call("box", "Meter", {"Value": 5.0})
        meter = cloud.pipeline.meter
        assert 0 < meter.due - cloud.clock.now() <= 60 and meter._handle is not None
        cloud.clock.freeze()
        await cloud.pipeline.advance(60)
        assert counted(seen)[1:] == [("Size", {5.0: 1})]


@in_loop
async def test_many_distinct_values_are_rounded_but_not_lost():
    seen = []
    async with InProcess([service(seen)], metrics=("box", "Record")) as cloud:
        for number in range(300):
            await cloud.call("box", "Meter", {"Value": 1000.0 + number / 7})
        await cloud.pipeline.advance(120)
        values = seen[0][0]["Values"]
        assert sum(values.values()) == 300
        assert len(values) < 210


@in_loop
async def test_a_broken_gauge_costs_its_minute_and_nothing_else(caplog):
    seen, broken = [], [True]

    def gauges(ctx):
        if broken[0]:
            raise ValueError("a bug")
        return False

    async with InProcess([service(seen, gauges=gauges)], metrics=("box", "Record")) as cloud:
        await cloud.call("box", "Meter", {"Value": 1.0})
        await cloud.pipeline.advance(60)
        assert seen == []
        assert "metrics of the minute" in caplog.text
        broken[0] = False
        await cloud.call("box", "Meter", {"Value": 2.0})
        await cloud.pipeline.advance(120)
        assert [point["Values"] for points in seen for point in points][-1] == {2.0: 1}
