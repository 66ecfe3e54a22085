"""The pipeline: answers, errors, nested calls, effects, waiting, timers, the clock."""

import asyncio
import sqlite3
from types import ModuleType

import pytest

from cumulet.aws.errors import AwsError, InternalFailure, NotImplementedOnCumulet
from cumulet.kernel.once import once
from cumulet.kernel.outcome import Effect, EffectFailed, Wait, then
from cumulet.kernel.record import Record
from cumulet.kernel.service import MisnamedOperation, Service, operations_of
from cumulet.testing.inprocess import InProcess


class Refused(AwsError):
    pass


class Made(Record):
    number: int


def module(**functions):
    made = ModuleType("sample")
    for name, function in functions.items():
        function.__module__ = "sample"
        setattr(made, name, function)
    return made


def put(ctx, req):
    ctx.tx.put(("x", req["Key"]), req["Value"])
    if req.get("Refuse"):
        raise Refused("no")
    return {}


def get(ctx, req):
    return {"Value": ctx.tx.get_bytes(("x", req["Key"]))}


def put_twice(ctx, req):
    ctx.tx.put(("x", "outer"), b"1")
    try:
        ctx.call("sample", "Put", {"Key": "inner", "Value": b"1", "Refuse": True})
    except Refused:
        ctx.tx.put(("x", "caught"), b"1")
    return {}


def receive(ctx, req):
    value = ctx.tx.get_bytes(("x", req["Key"]))
    if value is None and ctx.now < ctx.arrived + req["Wait"]:
        return Wait(on=("x", req["Key"]), until=ctx.arrived + req["Wait"])
    return {"Value": value, "After": ctx.now - ctx.arrived}


def clear_and_receive(ctx, req):
    """Removes what is in the way, one by one, and waits on; what it removed stays so."""
    if ctx.tx.get_bytes(("x", "rubbish")) is not None:
        ctx.tx.delete(("x", "rubbish"))
        ctx.tx.add(("x", "removed"))
        return Wait(on=("x", "k"), until=ctx.arrived + req["Wait"], keep=True)
    return receive(ctx, {**req, "Key": "k"})


def invoke(ctx, req):
    ctx.tx.put(("x", "decided"), b"1")

    def settle(ctx, outcome):
        if isinstance(outcome, EffectFailed):
            raise Refused(outcome.message)
        ctx.tx.put(("x", "settled"), outcome)
        return {"Value": outcome}

    return Effect("work", (req["Value"],), settle)


def invoke_twice(ctx, req):
    return then(
        ctx,
        ctx.call("sample", "Invoke", req),
        lambda ctx, first: then(
            ctx,
            ctx.call("sample", "Invoke", {"Value": first["Value"]}),
            lambda ctx, second: {"Value": second["Value"] + b"!"},
        ),
    )


def count(ctx, req):
    made, new = once(ctx, ("count", req["Token"]), 300, Made, lambda: Made(number=ctx.tx.add(("n",))))
    return {"Number": made.number, "New": new}


def later(ctx, req):
    ctx.tx.wake(ctx.now + req["After"], "sample.later", (req["Key"],))
    return {}


def broken(ctx, req):
    ctx.tx.put(("x", "broken"), b"1")
    raise RuntimeError("a bug")


def fire(ctx, key):
    ctx.tx.put(("x", key[0]), b"%d" % round(ctx.now))
    if key[0] == "effect":
        return Effect("work", (b"timer",), lambda ctx, outcome: ctx.tx.put(("x", "timer-settled"), outcome))
    return None


SERVICE = Service(
    "sample",
    modules=(
        module(
            put=put,
            get=get,
            put_twice=put_twice,
            receive=receive,
            clear_and_receive=clear_and_receive,
            invoke=invoke,
            invoke_twice=invoke_twice,
            count=count,
            later=later,
            broken=broken,
        ),
    ),
    timers={"sample.later": fire},
)


async def work(span, value):
    if value == b"fail":
        raise EffectFailed("Broken", "it broke")
    await asyncio.sleep(0)
    return value + b"-done"


def cloud(**options):
    return InProcess([SERVICE], performers={"work": work}, **options)


def test_an_error_leaves_nothing_behind():
    async def main():
        async with cloud() as c:
            with pytest.raises(Refused):
                await c.call("sample", "Put", {"Key": "k", "Value": b"1", "Refuse": True})
            assert await c.call("sample", "Get", {"Key": "k"}) == {"Value": None}

    asyncio.run(main())


def test_a_bug_is_an_internal_failure_and_leaves_nothing_behind(caplog):
    async def main():
        async with cloud() as c:
            with pytest.raises(InternalFailure):
                await c.call("sample", "Broken", {})
            assert await c.call("sample", "Get", {"Key": "broken"}) == {"Value": None}

    asyncio.run(main())
    assert "a bug" in caplog.text


def test_an_inner_call_that_fails_is_undone_alone():
    async def main():
        async with cloud() as c:
            await c.call("sample", "PutTwice", {})
            values = [(await c.call("sample", "Get", {"Key": key}))["Value"] for key in ("outer", "inner", "caught")]
            assert values == [b"1", None, b"1"]

    asyncio.run(main())


def test_an_unknown_operation_is_refused_by_name():
    async def main():
        async with cloud() as c:
            with pytest.raises(NotImplementedOnCumulet, match=r"sample\.Fly"):
                await c.call("sample", "Fly", {})

    asyncio.run(main())


def test_a_misspelt_operation_stops_the_start_with_the_right_spelling():
    with pytest.raises(MisnamedOperation, match="Did you mean put_item"):
        operations_of(Service("sample", modules=(module(put_itm=put),)), {"put_item": "PutItem"})


def test_an_effect_is_performed_between_two_transactions():
    async def main():
        async with cloud() as c:
            assert await c.call("sample", "Invoke", {"Value": b"v"}) == {"Value": b"v-done"}
            assert await c.call("sample", "InvokeTwice", {"Value": b"v"}) == {"Value": b"v-done-done!"}
            with pytest.raises(Refused, match="it broke"):
                await c.call("sample", "Invoke", {"Value": b"fail"})

    asyncio.run(main())


def test_an_effect_past_its_limit_is_answered_at_once_and_settles_later():
    def slow(ctx, req):
        def settle(ctx, outcome):
            ctx.tx.put(("x", "settled"), outcome)
            return {"Late": False}

        return Effect("wait", (), settle, limit_s=0.01, late=lambda: {"Late": True})

    async def main():
        finish = asyncio.Event()

        async def wait(span):
            await finish.wait()
            return b"in the end"

        service = Service("sample", modules=(module(slow=slow, get=get),))
        async with InProcess([service], performers={"wait": wait}) as c:
            assert await c.call("sample", "Slow", {}) == {"Late": True}
            assert await c.call("sample", "Get", {"Key": "settled"}) == {"Value": None}
            finish.set()
            await c.quiet()
            assert await c.call("sample", "Get", {"Key": "settled"}) == {"Value": b"in the end"}

    asyncio.run(main())


def test_a_waiting_request_is_answered_by_the_commit_it_waits_for():
    async def main():
        async with cloud() as c:
            waiting = asyncio.create_task(c.call("sample", "Receive", {"Key": "k", "Wait": 20}))
            await asyncio.sleep(0)
            await c.advance(5)
            assert not waiting.done()
            await c.call("sample", "Put", {"Key": "k", "Value": b"v"})
            assert await waiting == {"Value": b"v", "After": 5}

    asyncio.run(main())


def test_a_waiting_request_answers_empty_at_its_deadline():
    async def main():
        async with cloud() as c:
            waiting = asyncio.create_task(c.call("sample", "Receive", {"Key": "k", "Wait": 20}))
            await asyncio.sleep(0)
            await c.advance(19)
            assert not waiting.done()
            await c.advance(1)
            assert await waiting == {"Value": None, "After": 20}

    asyncio.run(main())


def test_a_waiting_request_may_keep_what_it_wrote_and_waits_until_its_first_deadline():
    async def main():
        async with cloud() as c:
            await c.call("sample", "Put", {"Key": "rubbish", "Value": b"1"})
            waiting = asyncio.create_task(c.call("sample", "ClearAndReceive", {"Wait": 20}))
            await asyncio.sleep(0)
            await c.advance(5)
            assert await c.call("sample", "Get", {"Key": "rubbish"}) == {"Value": None}  # committed, while it waits
            await c.call("sample", "Put", {"Key": "rubbish", "Value": b"1"})  # not what it waits for
            await c.advance(14)
            assert not waiting.done()
            assert (await c.call("sample", "Get", {"Key": "rubbish"}))["Value"]
            await c.advance(1)
            assert await waiting == {"Value": None, "After": 20}
            assert await c.call("sample", "Get", {"Key": "rubbish"}) == {"Value": None}

    asyncio.run(main())


def test_once_answers_the_same_for_its_window_and_anew_after_it():
    async def main():
        async with cloud() as c:
            answers = [await c.call("sample", "Count", {"Token": "t"}) for _ in range(2)]
            await c.advance(299)
            answers.append(await c.call("sample", "Count", {"Token": "t"}))
            await c.advance(1)
            answers.append(await c.call("sample", "Count", {"Token": "t"}))
            assert [(a["Number"], a["New"]) for a in answers] == [(1, True), (1, False), (1, False), (2, True)]

    asyncio.run(main())


def test_timers_fire_in_order_at_their_time_on_a_virtual_clock():
    async def main():
        async with cloud() as c:
            start = round(c.clock.now())
            for key, after in (("late", 3600), ("soon", 60), ("effect", 120)):
                await c.call("sample", "Later", {"Key": key, "After": after})
            await c.advance(120)
            soon, late = [(await c.call("sample", "Get", {"Key": key}))["Value"] for key in ("soon", "late")]
            assert (soon, late) == (b"%d" % (start + 60), None)
            assert (await c.call("sample", "Get", {"Key": "timer-settled"}))["Value"] == b"timer-done"
            await c.advance(3480)
            assert (await c.call("sample", "Get", {"Key": "late"}))["Value"] == b"%d" % (start + 3600)

    asyncio.run(main())


def test_timers_and_their_effects_survive_a_crash(tmp_path):
    started = asyncio.Event()

    async def never(span, value):
        started.set()
        await asyncio.get_running_loop().create_future()

    async def first():
        async with InProcess([SERVICE], performers={"work": never}, folder=tmp_path) as c:
            await c.call("sample", "Later", {"Key": "effect", "After": 0})
            await c.call("sample", "Later", {"Key": "kept", "After": 60})
            await started.wait()

    async def second():
        async with cloud(folder=tmp_path) as c:
            await c.quiet()
            assert (await c.call("sample", "Get", {"Key": "timer-settled"}))["Value"] == b"timer-done"
            await c.advance(60)
            assert (await c.call("sample", "Get", {"Key": "kept"}))["Value"] is not None

    asyncio.run(first())
    asyncio.run(second())


@pytest.mark.parametrize("commits_before", [0, 1])
def test_a_timer_whose_commit_fails_runs_once_there_is_space_again(tmp_path, commits_before):
    """The first commit is the request's and the decision's, the second the settlement's."""

    def full():
        faults.disarm()
        raise sqlite3.OperationalError("database or disk is full")

    async def main():
        nonlocal faults
        async with cloud(folder=tmp_path) as c:
            faults = c.pipeline.faults
            c.pipeline.timers.rewrite_s = 0.01
            faults.arm("store.commit", full, after=commits_before)
            try:
                await c.call("sample", "Later", {"Key": "effect", "After": 0})
            except InternalFailure:
                await c.call("sample", "Later", {"Key": "effect", "After": 0})
            waiting = c.call("sample", "Receive", {"Key": "timer-settled", "Wait": 60})
            assert (await asyncio.wait_for(waiting, 60))["Value"] == b"timer-done"

    faults = None
    asyncio.run(main())


def test_while_nothing_can_be_written_due_timers_run_once_a_while_and_not_each_turn_of_the_loop(tmp_path):
    due, ran = 300, []

    def full():
        raise sqlite3.OperationalError("database or disk is full")

    async def main():
        service = Service(
            "sample", modules=(module(get=get),), timers={"sample.later": lambda ctx, key: ran.append(key[0])}
        )
        async with InProcess([service], folder=tmp_path) as c:
            c.pipeline.timers.rewrite_s = 3600.0

            def wake(tx):
                for number in range(due):
                    tx.wake(c.clock.now(), "sample.later", (number,))

            await c.pipeline.store.transact(wake)
            c.pipeline.faults.arm("store.commit", full)
            c.pipeline.timers.fire()
            await c.pipeline.store.settle()
            tried = len(ran)
            assert c.pipeline.store.failing and 0 < tried <= due
            for _ in range(100):
                c.pipeline.timers.fire()
                await asyncio.sleep(0)
            assert len(ran) == tried
            c.pipeline.faults.disarm()
            await c.pipeline.store.transact(lambda tx: tx.put(("x", "space"), b"again"))
            await c.quiet()  # as soon as something was written, not after an hour
            assert sorted(ran[tried:]) == list(range(due))

    asyncio.run(main())


@pytest.mark.parametrize("where", ["decision", "settlement"])
def test_a_timer_that_breaks_is_tried_again_after_one_two_and_four_seconds(caplog, where):
    """Nothing that a broken attempt wrote stays; the attempts of the next one are counted anew."""
    tried = []

    def tries(ctx, key):
        if where == "decision":
            return attempt(ctx)
        return Effect("work", (b"x",), lambda ctx, outcome: attempt(ctx))

    def attempt(ctx):
        ctx.tx.put(("x", "tries"), b"%d" % len(tried))
        tried.append(round(ctx.now - start))
        if len(tried) % 4:
            raise RuntimeError("a bug")

    async def main():
        nonlocal start
        service = Service("sample", modules=(module(get=get, later=later),), timers={"sample.later": tries})
        async with InProcess([service], performers={"work": work}) as c:
            for _ in range(2):
                start = round(c.clock.now())
                await c.call("sample", "Later", {"Key": "k", "After": 0})
                for _ in range(10):
                    await c.advance(1)
                    value = (await c.call("sample", "Get", {"Key": "tries"}))["Value"]
                    assert value == (
                        b"%d" % (len(tried) - 1) if len(tried) % 4 == 0 else b"3" if len(tried) > 4 else None
                    )

    start = 0
    with caplog.at_level("CRITICAL", logger="cumulet"):
        asyncio.run(main())
    assert tried == [0, 1, 3, 7] * 2


def test_what_runs_while_the_cloud_is_emptied_writes_nothing_after_it():
    async def main():
        finish = asyncio.Event()

        both, running = asyncio.Event(), []

        async def wait(span, value):
            running.append(value)
            if len(running) == 2:
                both.set()
            await finish.wait()
            return value

        async with InProcess([SERVICE], performers={"work": wait}) as c:
            asked = asyncio.create_task(c.call("sample", "Invoke", {"Value": b"v"}))
            await c.call("sample", "Later", {"Key": "effect", "After": 0})
            await asyncio.wait_for(both.wait(), 60)
            await c.pipeline.reset()
            finish.set()
            with pytest.raises(InternalFailure, match="emptied"):
                await asked
            await c.quiet()
            values = [(await c.call("sample", "Get", {"Key": key}))["Value"] for key in ("settled", "timer-settled")]
            assert values == [None, None]

    asyncio.run(main())


def test_a_jumping_clock_runs_everything_without_being_advanced():
    async def main():
        async with cloud() as c:
            for number in range(5):
                await c.call("sample", "Later", {"Key": f"k{number}", "After": 3600 * (number + 1)})
            waiting = asyncio.create_task(c.call("sample", "Receive", {"Key": "k4", "Wait": 100_000}))
            await asyncio.sleep(0)
            c.pipeline.jump()
            assert (await waiting)["After"] == 5 * 3600

    asyncio.run(main())


def test_spans_of_one_request_form_one_tree():
    async def main():
        async with cloud() as c:
            await c.call("sample", "InvokeTwice", {"Value": b"v"})
            root = c.pipeline.tracer.traces()[0]
            spans = c.pipeline.tracer.spans(root["trace_id"])
            assert [span["name"] for span in spans] == [
                "sample.InvokeTwice",
                "sample.Invoke",
                "work",
                "sample.Invoke",
                "work",
            ]
            assert all(span["parent_id"] == root["span_id"] for span in spans[1:])

    asyncio.run(main())
