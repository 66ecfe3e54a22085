"""How many invocations run at once, against a runtime that never ends by itself."""

import asyncio
import io
import zipfile

import pytest

from cumulet.kernel.outcome import EffectFailed
from cumulet.kernel.service import Service
from cumulet.kernel.store import Fate
from cumulet.runtimes.model import InvocationResult
from cumulet.services.lambda_ import SERVICE as LAMBDA
from cumulet.services.lambda_ import lanes
from cumulet.services.lambda_.capacity import Running
from cumulet.services.lambda_.errors import ServiceException, TooManyRequestsException
from cumulet.services.logs import SERVICE as LOGS
from cumulet.testing.inprocess import InProcess


def _credentials(ctx, req):
    return {
        "AccessKeyId": "key",
        "SecretAccessKey": "secret",
        "SessionToken": f"at {ctx.now}",
        "Expiration": ctx.now + 7200,
    }


STS = Service("sts", internals={"cumulet:RoleCredentials": _credentials})


class Machine:
    """A runtime whose invocations end when the test says so."""

    def __init__(self):
        self.go = asyncio.Event()
        self.specs = []
        self.most = self.now = self.awaited = 0
        self.there = asyncio.Event()

    async def run(self, span, spec, code, layers, invocation):
        self.specs.append(spec)
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now == self.awaited:
            self.there.set()
        await self.go.wait()
        self.now -= 1
        return InvocationResult(b"1", None, [], "stream", 1.0, 1, None, 1, "ok")


def cloud(machine):
    return InProcess([LAMBDA, LOGS, STS], {"invoke": machine.run})


async def create(running, name="f"):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("index.py", "")
    request = {"FunctionName": name, "Runtime": "python3.12", "Handler": "index.h", "Code": {"ZipFile": sink.getvalue()},
               "Role": "arn:aws:iam::000000000000:role/r"}  # fmt: skip
    await running.call("lambda", "CreateFunction", request)


def invocations(running, count, name="f"):
    return [asyncio.create_task(running.call("lambda", "Invoke", {"FunctionName": name})) for _ in range(count)]


async def together(machine, count):
    """Until so many run at once."""
    if machine.now < count:
        machine.awaited = count
        machine.there.clear()
        await asyncio.wait_for(machine.there.wait(), 60)


def test_an_account_runs_a_thousand_at_once_less_what_is_reserved():
    async def story():
        machine = Machine()
        async with cloud(machine) as running:
            await create(running)
            await create(running, "reserved")
            await running.call("lambda", "PutFunctionConcurrency",
                               {"FunctionName": "reserved", "ReservedConcurrentExecutions": 100})  # fmt: skip
            tasks = invocations(running, 900)
            await together(machine, 900)
            with pytest.raises(TooManyRequestsException) as caught:
                await running.call("lambda", "Invoke", {"FunctionName": "f"})
            assert caught.value.members["Reason"] == "ConcurrentInvocationLimitExceeded"
            tasks += invocations(running, 1, "reserved")
            await together(machine, 901)
            machine.go.set()
            await asyncio.gather(*tasks)
            assert (await running.call("lambda", "Invoke", {"FunctionName": "f"}))["StatusCode"] == 200

    asyncio.run(story())


def test_a_burst_of_events_runs_one_by_one_with_one_reserved_and_none_is_lost():
    async def story():
        machine = Machine()
        machine.go.set()
        async with cloud(machine) as running:
            await create(running)
            await running.call(
                "lambda", "PutFunctionConcurrency", {"FunctionName": "f", "ReservedConcurrentExecutions": 1}
            )
            for _ in range(500):
                await running.call("lambda", "Invoke", {"FunctionName": "f", "InvocationType": "Event"})
            await running.quiet()
            assert (len(machine.specs), machine.most) == (500, 1)

    asyncio.run(story())


def test_a_long_queue_of_events_is_not_in_memory_and_who_comes_later_waits_longer(monkeypatch):
    monkeypatch.setattr(lanes, "READY_AT_MOST", 5)

    async def story():
        machine = Machine()
        order = []

        async def run(span, spec, code, layers, invocation):
            order.append(int(invocation.payload))
            return await machine.run(span, spec, code, layers, invocation)

        async def send(numbers):
            for number in numbers:
                event = {"FunctionName": "f", "InvocationType": "Event", "Payload": str(number).encode()}
                await running.call("lambda", "Invoke", event)
                running.clock.set(running.clock.now() + 0.001)

        async with InProcess([LAMBDA, LOGS, STS], {"invoke": run}) as running:
            await create(running)
            reserved = {"FunctionName": "f", "ReservedConcurrentExecutions": 1}
            await running.call("lambda", "PutFunctionConcurrency", reserved)
            await send(range(200))
            await together(machine, 1)
            (lane,) = running.pipeline.volatile["lambda.lanes"].values()
            assert len(lane.ready) <= 5
            machine.go.set()
            await send(range(200, 300))
            await running.quiet()
            assert (sorted(order), machine.most) == (list(range(300)), 1)
            assert sum(number >= 200 for number in order[:200]) < 30  # a new event may find the slot free
            machine.go.clear()
            await send(range(300, 304))
            await together(machine, 1)
            machine.go.set()
            await running.quiet()
            assert sorted(order[300:]) == [300, 301, 302, 303]

    asyncio.run(story())


def test_a_burst_of_events_begins_small_and_spreads_out_when_the_work_is_long():
    async def story():
        machine = Machine()
        async with cloud(machine) as running:
            await create(running)
            for _ in range(200):
                await running.call("lambda", "Invoke", {"FunctionName": "f", "InvocationType": "Event"})
            await together(machine, 32)
            for seconds, expected in ((1.0, 64), (2.0, 128), (4.0, 200)):
                running.clock.set(running.clock.now() + seconds)
                running.pipeline.timers.fire()
                await together(machine, expected)
            machine.go.set()
            await running.quiet()
            assert (len(machine.specs), machine.most) == (200, 200)

    asyncio.run(story())


def test_a_slot_whose_end_was_never_heard_of_is_free_again_after_the_timeout():
    async def story():
        machine = Machine()
        machine.go.set()
        async with cloud(machine) as running:
            await create(running)
            await running.call(
                "lambda", "PutFunctionConcurrency", {"FunctionName": "f", "ReservedConcurrentExecutions": 1}
            )
            await running.call("lambda", "Invoke", {"FunctionName": "f"})
            table = running.pipeline.volatile["lambda.running"]
            table.by_function["000000000000", "us-east-1", "f"] = {"lost": (running.clock.now() + 63, Fate())}
            with pytest.raises(TooManyRequestsException):
                await running.call("lambda", "Invoke", {"FunctionName": "f"})
            await running.advance(64)
            assert (await running.call("lambda", "Invoke", {"FunctionName": "f"}))["StatusCode"] == 200

    asyncio.run(story())


def test_one_specification_serves_until_its_credentials_have_an_hour_left():
    async def story():
        machine = Machine()
        machine.go.set()
        async with cloud(machine) as running:
            await create(running)
            for _ in range(3):
                await running.call("lambda", "Invoke", {"FunctionName": "f"})
            await running.advance(3599)
            await running.call("lambda", "Invoke", {"FunctionName": "f"})
            assert len({id(spec) for spec in machine.specs}) == 1
            await running.advance(2)
            await running.call("lambda", "Invoke", {"FunctionName": "f"})
            assert len({spec.credentials for spec in machine.specs}) == 2

    asyncio.run(story())


def test_a_platform_failure_is_an_error_of_the_service_and_a_queued_event_waits_for_better_times():
    async def story():
        ill = True
        ran = []

        async def run(span, spec, code, layers, invocation):
            if ill:
                raise EffectFailed("RuntimeStartError", "no interpreter")
            ran.append(invocation.request_id)
            return InvocationResult(b"1", None, [], "stream", 1.0, 1, None, 1, "ok")

        async with InProcess([LAMBDA, LOGS, STS], {"invoke": run}) as running:
            await create(running)
            with pytest.raises(ServiceException) as caught:
                await running.call("lambda", "Invoke", {"FunctionName": "f"})
            assert "no interpreter" in (caught.value.hint or "")
            assert "no interpreter" not in caught.value.message
            await running.call("lambda", "Invoke", {"FunctionName": "f", "InvocationType": "Event"})
            await running.advance(100)
            ill = False
            await running.advance(300)
            assert len(ran) == 1

    asyncio.run(story())


async def occupied(running, count, name="f"):
    """Somebody else has so many slots, and tells nobody when they are free."""
    table = running.pipeline.volatile.setdefault("lambda.running", Running())
    table.by_function["000000000000", "us-east-1", name] = {f"other-{n}": (1e12, Fate()) for n in range(count)}
    return table


def test_a_throttled_function_is_looked_at_again_every_five_minutes_at_the_latest():
    async def story():
        machine = Machine()
        machine.go.set()
        async with cloud(machine) as running:
            await create(running)
            await running.call(
                "lambda", "PutFunctionConcurrency", {"FunctionName": "f", "ReservedConcurrentExecutions": 1}
            )
            table = await occupied(running, 1)
            for _ in range(3):
                await running.call("lambda", "Invoke", {"FunctionName": "f", "InvocationType": "Event"})
            await running.advance(3000)
            assert machine.specs == []
            table.by_function.clear()
            await running.advance(300)
            assert len(machine.specs) == 3

    asyncio.run(story())


def test_throttled_events_are_tried_again_after_one_two_and_four_seconds():
    async def story():
        machine = Machine()
        machine.go.set()
        for vacated, ran in ((0.5, 1), (2.5, 3), (6.5, 7)):
            machine.specs.clear()
            async with cloud(machine) as running:
                await create(running)
                await running.call(
                    "lambda", "PutFunctionConcurrency", {"FunctionName": "f", "ReservedConcurrentExecutions": 1}
                )
                table = await occupied(running, 1)
                await running.call("lambda", "Invoke", {"FunctionName": "f", "InvocationType": "Event"})
                await running.advance(vacated)
                table.by_function.clear()
                await running.advance(ran - vacated - 0.01)
                assert machine.specs == []
                await running.advance(0.02)
                assert len(machine.specs) == 1

    asyncio.run(story())


def test_an_event_that_finds_no_capacity_ends_after_six_hours():
    async def story():
        machine = Machine()
        machine.go.set()
        async with cloud(machine) as running:
            await create(running)
            await running.call(
                "lambda", "PutFunctionConcurrency", {"FunctionName": "f", "ReservedConcurrentExecutions": 1}
            )
            await occupied(running, 1)
            await running.call("lambda", "Invoke", {"FunctionName": "f", "InvocationType": "Event"})
            left = lambda tx: len(list(tx.scan_keys(("lambda", "queue"))))  # noqa: E731
            await running.advance(21_599)
            assert await running.store.transact(left) == 1
            await running.advance(1)
            assert await running.store.transact(left) == 0
            assert machine.specs == []

    asyncio.run(story())


def test_one_worker_asks_for_capacity_for_all_that_wait():
    async def story():
        machine = Machine()
        machine.go.set()
        async with cloud(machine) as running:
            await create(running)
            await running.call(
                "lambda", "PutFunctionConcurrency", {"FunctionName": "f", "ReservedConcurrentExecutions": 1}
            )
            table = await occupied(running, 1)
            event = {"FunctionName": "f", "InvocationType": "Event"}
            await asyncio.gather(*(running.call("lambda", "Invoke", event) for _ in range(50)))
            await running.quiet()
            timers = lambda tx: [key for key in tx.scan_keys(("~timer",)) if key[2] == "lambda.event"]  # noqa: E731
            assert len(await running.store.transact(timers)) == 1
            await running.advance(6.5)
            assert len(await running.store.transact(timers)) == 1
            table.by_function.clear()
            await running.advance(0.51)
            assert len(machine.specs) == 50

    asyncio.run(story())


def test_a_burst_that_goes_on_stays_within_what_may_run_at_once():
    async def story():
        machine = Machine()
        async with cloud(machine) as running:
            await create(running)
            event = {"FunctionName": "f", "InvocationType": "Event"}
            for _ in range(100):
                await running.call("lambda", "Invoke", event)
            await together(machine, 32)
            running.clock.set(running.clock.now() + 1.0)
            running.pipeline.timers.fire()
            await together(machine, 64)
            for _ in range(50):
                await running.call("lambda", "Invoke", event)
            assert machine.now == 64
            machine.go.set()
            await running.quiet()
            assert (len(machine.specs), machine.most) == (150, 64)

    asyncio.run(story())


def test_when_capacity_is_back_waiting_events_take_all_of_it():
    async def story():
        machine = Machine()
        async with cloud(machine) as running:
            await create(running)
            await running.call(
                "lambda", "PutFunctionConcurrency", {"FunctionName": "f", "ReservedConcurrentExecutions": 5}
            )
            table = await occupied(running, 5)
            for _ in range(9):
                await running.call("lambda", "Invoke", {"FunctionName": "f", "InvocationType": "Event"})
            await running.quiet()
            table.by_function.clear()
            running.clock.set(running.clock.now() + 1.0)
            running.pipeline.timers.fire()
            await together(machine, 5)
            machine.go.set()
            await running.quiet()
            assert (len(machine.specs), machine.most) == (9, 5)

    asyncio.run(story())


def test_a_synchronous_invocations_end_lets_a_throttled_event_run():
    async def story():
        machine = Machine()
        async with cloud(machine) as running:
            await create(running)
            await running.call(
                "lambda", "PutFunctionConcurrency", {"FunctionName": "f", "ReservedConcurrentExecutions": 1}
            )
            tasks = invocations(running, 1)
            await together(machine, 1)
            await running.call("lambda", "Invoke", {"FunctionName": "f", "InvocationType": "Event"})
            machine.go.set()
            await asyncio.gather(*tasks)
            await running.quiet()
            assert len(machine.specs) == 2

    asyncio.run(story())


def test_what_is_provisioned_is_not_there_for_others_and_always_for_its_function():
    async def story():
        machine = Machine()

        async def provision(span, spec, code, layers, count, now):
            return []

        async with InProcess([LAMBDA, LOGS, STS], {"invoke": machine.run, "provision": provision}) as running:
            await create(running)
            await create(running, "g")
            await running.call("lambda", "PublishVersion", {"FunctionName": "g"})
            await running.call("lambda", "PutProvisionedConcurrencyConfig",
                               {"FunctionName": "g", "Qualifier": "1", "ProvisionedConcurrentExecutions": 5})  # fmt: skip
            await running.quiet()
            await occupied(running, 994)
            version = {"FunctionName": "g", "Qualifier": "1"}
            tasks = [asyncio.create_task(running.call("lambda", "Invoke", version)) for _ in range(5)]
            await together(machine, 5)
            assert {spec.initialization_type for spec in machine.specs} == {"provisioned-concurrency"}
            tasks += [asyncio.create_task(running.call("lambda", "Invoke", {"FunctionName": "f"}))]
            await together(machine, 6)
            with pytest.raises(TooManyRequestsException):
                await running.call("lambda", "Invoke", {"FunctionName": "f"})
            machine.go.set()
            await asyncio.gather(*tasks)

    asyncio.run(story())


def test_an_event_whose_credentials_cannot_be_had_waits_and_does_not_harm_the_one_before():
    async def story():
        machine = Machine()
        machine.go.set()
        ill = False

        def credentials(ctx, req):
            if ill:
                raise ServiceException("no credentials")
            return {**_credentials(ctx, req), "Expiration": ctx.now}

        sts = Service("sts", internals={"cumulet:RoleCredentials": credentials})
        async with InProcess([LAMBDA, LOGS, sts], {"invoke": machine.run}) as running:
            await create(running)
            machine.go.clear()
            for _ in range(40):
                await running.call("lambda", "Invoke", {"FunctionName": "f", "InvocationType": "Event"})
            await together(machine, 32)
            ill = True
            machine.go.set()
            await running.quiet()
            assert len(machine.specs) == 32
            ill = False
            await running.advance(120)
            assert len(machine.specs) == 40

    asyncio.run(story())
