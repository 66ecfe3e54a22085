"""The one pipeline that every operation runs in, for outside and inside callers alike.

A request runs at once, in the event loop, inside a transaction. Its answer leaves after the commit is on disk. An
operation that returns Wait is parked and run again when the key it waits for is written, or at its deadline. One that
returns an Effect is answered by what the effect's settlement returns.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from cumulet.aws.errors import AwsError, InternalFailure, NotImplementedOnCumulet
from cumulet.aws.http import DoorRequest, HttpRequest, HttpResponse
from cumulet.kernel import targets
from cumulet.kernel.clock import Clock
from cumulet.kernel.context import Context
from cumulet.kernel.database import StoreUnavailable
from cumulet.kernel.faults import Faults
from cumulet.kernel.ids import Ids
from cumulet.kernel.keys import pack
from cumulet.kernel.meter import Meter
from cumulet.kernel.outcome import Effect, EffectFailed, Result, Wait
from cumulet.kernel.registry import Registry
from cumulet.kernel.service import SubjectOf
from cumulet.kernel.store import Store
from cumulet.kernel.timers import Timers
from cumulet.kernel.trace import Span, Tracer
from cumulet.kernel.tx import TimerScope, Tx

if TYPE_CHECKING:
    from cumulet.kernel.authority import Authority
    from cumulet.kernel.service import Operation

log = logging.getLogger("cumulet")

_LEFT_AT = ("~clock",)  # where the clock was, once it was virtual, when something was written
OWN = "cumulet:"  # how names of operations begin that AWS does not have

Reply = Callable[[Any], None]  # the result (dict, HttpResponse, ...) or an AwsError
Performer = Callable[..., Awaitable[Any]]


@dataclass(slots=True)
class Call:
    """One request for an operation. `request` is parsed and checked already. `trace` is X-Amzn-Trace-Id as received."""

    service: str
    operation: str
    request: Any
    account: str
    region: str
    request_id: str
    principal: str = ""
    access_key: str = ""
    endpoint: str = "http://127.0.0.1:4566"
    source_ip: str = "127.0.0.1"
    trace: str | None = None
    cancelled: bool = False  # set it when the client is gone: a parked request is then dropped
    arrived: float = field(default=0.0)


@dataclass(slots=True)
class _Run:
    """A call on its way: what to run, for whom, and where the answer goes."""

    call: Call
    function: Callable[[Context, Any], Any]
    argument: Any
    span: Span
    reply: Reply


@dataclass(slots=True, eq=False)
class Parked:
    """Something that waits for a key to be written, or for a time."""

    key: bytes
    until: float
    resume: Callable[[], None]
    timer: asyncio.TimerHandle | None = None


class Pipeline:
    """Runs operations. `check(service, operation, request)` validates what services ask of each other;
    `coerce(service, operation, request)` converts a template's scalars to what the operation's model says;
    `strangers(service, operation, request)` lists (path, name) of each member that the model does not know;
    `form(service, operation, text, path)` reads a request out of a form, and `answer(service, operation, outcome,
    request_id, style)` makes the HTTP response of an outcome, for services that speak to others in place of a client;
    `metrics` is the operation that takes what the platform counts."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        services: Registry,
        *,
        check: Callable[[str, str, Any], None] = lambda service, operation, request: None,
        coerce: Callable[[str, str, Any], Any] = lambda service, operation, request: request,
        strangers: Callable[[str, str, Any], list[tuple[str, str]]] = lambda service, operation, request: [],
        form: Callable[..., Any] | None = None,
        answer: Callable[..., HttpResponse] | None = None,
        performers: Mapping[str, Performer] | None = None,
        ids: Ids | None = None,
        metrics: tuple[str, str] | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.ids = ids or Ids()
        self.faults: Faults = store.faults
        self.tracer = Tracer()
        self.performers: dict[str, Performer] = dict(performers or {})
        self.services = services
        self.endpoint = "http://127.0.0.1:4566"  # what timers give functions and URLs; the gateway sets its own
        self.volatile: dict[str, Any] = {}  # what a crash may forget: compiled tables, counts of what is running
        self._check = check
        self.coerce = coerce
        self.strangers = strangers
        self.form = form or _no_wire
        self.answer = answer or _no_wire
        self.timers = Timers(self, services.timer)
        self.meter = Meter(self, metrics)
        self.authority: Authority | None = None  # where IAM is enforced
        self.busy = 0
        self.generation = 0  # how often the cloud was emptied: what began before must not write after
        self._parked: dict[bytes, list[Parked]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: list[asyncio.Future[None]] = []
        self._unloaded: list[str] = []  # services that something is stored of, still to be loaded
        store.on_commit = self._committed

    # entries

    def handle(self, call: Call, reply: Reply) -> None:
        """Run an operation; `reply` gets its result or an AwsError, after the commit."""
        function = self.services.operation(call.service, call.operation)
        if function is None:
            reply(_unknown(call.service, call.operation))
            return
        if self.authority is not None:
            function = self._authorized(self.authority, call, function)
        span = self.tracer.begin(f"{call.service}.{call.operation}", "request", self.clock.now(), call.trace)
        subject = self.services.subject(call.service, call.operation)
        if subject is not None:
            span.subject = (call.service, call.account, call.region, _named(subject, call.request))
        self._start(_Run(call, function, call.request, span, reply))

    @staticmethod
    def _authorized(authority: Authority, call: Call, function: Operation) -> Operation:
        def checked(ctx: Context, request: Any) -> Any:
            authority.check(ctx, call.service, call.operation, request)
            return function(ctx, request)

        return checked

    def handle_door(self, door: str, request: HttpRequest, call: Call, reply: Reply) -> None:
        """Run a service's plain HTTP entry; `reply` gets its HttpResponse or an AwsError."""
        found = self.services.door(door)
        assert found is not None, "the gateway asked before"
        service, function = found
        span = self.tracer.begin(f"{service} {request.method} {request.path}", "request", self.clock.now(), call.trace)
        if isinstance(request, DoorRequest):
            span.subject = (door, call.account, call.region, request.target)
        self._start(_Run(call, function, request, span, reply))

    async def call(self, call: Call) -> Any:
        """As `handle`, for coroutines. Raises: AwsError."""
        waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.handle(call, waiter.set_result)
        answer = await waiter
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask(self, call: Call) -> Any:
        """Run an operation that only reads, at once, for the gateway's own questions. Raises: AwsError."""
        tx = self.store.begin(TimerScope(account=call.account, region=call.region))
        span = self.tracer.begin(call.operation, "call", self.clock.now(), call.trace)
        function = self.services.operation(call.service, call.operation)
        if function is None:
            raise _unknown(call.service, call.operation)
        return function(self.context(call, tx, span), call.request)

    # running

    def _start(self, run: _Run) -> None:
        run.call.arrived = self.clock.now()
        self.busy += 1
        self._execute(run)

    def context(self, call: Call, tx: Tx, span: Span) -> Context:
        return Context(
            self,
            tx,
            self.clock.now(),
            call.arrived,
            call.account,
            call.region,
            call.principal,
            call.access_key,
            call.request_id,
            call.endpoint,
            span,
            call.source_ip,
        )

    def _execute(self, run: _Run) -> None:
        call = run.call
        tx = self.store.begin(TimerScope(account=call.account, region=call.region))
        tx.span = run.span
        self._guarded(run, tx, run.function, run.argument, True)

    def _again(self, run: _Run) -> None:
        asyncio.get_running_loop().call_soon(self._execute, run)

    def _guarded(
        self, run: _Run, tx: Tx, function: Callable[[Context, Any], Any], argument: Any, durable: bool
    ) -> None:
        ctx = self.context(run.call, tx, run.span)
        try:
            outcome = function(ctx, argument)
        except AwsError as error:
            tx.abandon()
            outcome = error
        except Exception as error:
            tx.abandon()
            outcome = _broken(run.span.name, run.call.request_id, error)
        if type(outcome) is Wait:
            if outcome.keep:
                self.finish(tx, lambda failure: self._answer(run, _failed(failure)) if failure else self._again(run))
                return
            tx.abandon()
            self._park(run, outcome)
        elif type(outcome) is Effect:
            effect = outcome
            self.finish(
                tx, lambda failure: self._answer(run, _failed(failure)) if failure else self._spawn(run, effect)
            )
        else:
            self.finish(tx, lambda failure: self._answer(run, _failed(failure) if failure else outcome), durable)

    def finish(self, tx: Tx, done: Callable[[Exception | None], None], durable: bool = True) -> None:
        """Commit, and let the timers know of earlier wakes."""
        if tx.earliest_wake is not None:
            self.timers.upcoming(tx.earliest_wake)
        if self.clock.untold and tx.writes:  # what is of this time must not be kept without it
            tx.put(_LEFT_AT, self.clock.tell())
            done = partial(self._told, done)
        self.store.finish(tx, done, durable)

    def _told(self, done: Callable[[Exception | None], None], failure: Exception | None) -> None:
        self.clock.untold = self.clock.untold or failure is not None
        done(failure)

    def _answer(self, run: _Run, outcome: Any) -> None:
        if isinstance(outcome, AwsError):
            self.tracer.end(run.span, outcome.wire_code, outcome.message)
        elif type(outcome) is HttpResponse and outcome.status >= 400:
            self.tracer.end(run.span, str(outcome.status))
        else:
            self.tracer.end(run.span)
        self.settled()
        run.reply(outcome)

    def settled(self) -> None:
        """One thing less in flight."""
        self.busy -= 1
        if self.busy == 0 and self._idle:
            waiters, self._idle = self._idle, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        if self.busy == 0 and self.clock.jumping:
            asyncio.get_running_loop().call_soon(self._jump)

    # effects

    def _spawn(self, run: _Run, effect: Effect) -> None:
        task = asyncio.get_running_loop().create_task(self._request_effect(run, effect, self.generation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _request_effect(self, run: _Run, effect: Effect, generation: int) -> None:
        limit = None
        if effect.limit_s is not None:
            limit = asyncio.get_running_loop().call_later(effect.limit_s, self._too_late, run, effect)
        outcome = await self.perform(effect, run.span)
        if limit is not None:
            limit.cancel()
        if self.generation != generation:
            self._answer(run, InternalFailure("The cloud was emptied while this request was running."))
            return
        tx = self.store.begin(TimerScope(account=run.call.account, region=run.call.region))
        tx.span = run.span
        self._guarded(run, tx, effect.settle, outcome, effect.durable)

    @staticmethod
    def _too_late(run: _Run, effect: Effect) -> None:
        """Answer now; what the effect's settlement says later goes to nobody."""
        assert effect.late is not None
        reply, run.reply = run.reply, lambda outcome: None
        reply(effect.late())

    async def perform(self, effect: Effect, parent: Span) -> Any:
        """What the performer returned, or the EffectFailed it raised."""
        span = self.tracer.below(parent, effect.kind, "effect", self.clock.now())
        try:
            self.faults.hit("effect.perform")
            outcome = await self.performers[effect.kind](span, *effect.args)
            self.faults.hit("effect.settle")
        except EffectFailed as failure:
            self.tracer.end(span, failure.code, failure.message)
            return failure
        except Exception as error:
            self.tracer.end(span, type(error).__name__, str(error))
            log.exception("effect %s failed", effect.kind)
            return EffectFailed("InternalFailure", f"{type(error).__name__}: {error}")
        self.tracer.end(span, span.status)  # the performer's word
        return outcome

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine that the kernel keeps alive and `close` waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # calls between services

    def call_inside(
        self,
        ctx: Context,
        service: str,
        operation: str,
        request: Any,
        principal: str | None,
        region: str | None,
        account: str | None,
        source: str = "",
        via: str = "",
        lost: bool = False,
    ) -> Any:
        function = self.services.operation(service, operation)
        if function is None:
            raise _unknown(service, operation)
        if not operation.startswith(OWN):
            self._check(service, operation, request)
        elif self.services.operation(service, operation[len(OWN) :]):  # our own form of AWS's operation, shown as that
            operation = operation[len(OWN) :]
        mark = ctx.tx.savepoint()
        span = self.tracer.below(ctx.span, f"{service}.{operation}", "call", ctx.now)
        subject = self.services.subject(service, operation)
        if subject is not None:
            span.subject = (service, account or ctx.account, region or ctx.region, _named(subject, request))
            span.via, span.lost = via, lost
        child = self._inner(ctx, span, principal, region, account)
        try:
            if self.authority is not None:
                self.authority.check(child, service, operation, request, source)
            outcome = function(child, request)
        except AwsError as error:
            ctx.tx.rollback(mark)
            self.tracer.end(span, error.wire_code, error.message)
            raise
        self.tracer.end(span)
        if isinstance(outcome, Effect):
            settle = outcome.settle
            outcome.settle = lambda c, result: settle(self._inner(c, c.span, principal, region, account), result)
        return outcome

    def _inner(
        self, ctx: Context, span: Span, principal: str | None, region: str | None, account: str | None
    ) -> Context:
        return Context(
            self,
            ctx.tx,
            ctx.now,
            ctx.arrived,
            account or ctx.account,
            region or ctx.region,
            ctx.principal if principal is None else principal,
            ctx.access_key,
            ctx.request_id,
            ctx.endpoint,
            span,
            ctx.source_ip,
        )

    def deliver(
        self,
        ctx: Context,
        arn: str,
        payload: bytes,
        principal: str | None,
        extra: Result,
        source: str = "",
        via: str = "",
        lost: bool = False,
    ) -> Any:
        service, operation, request, region, account = targets.request_for(arn, payload, extra)
        return self.call_inside(ctx, service, operation, request, principal, region, account, source, via, lost)

    # waiting

    def park(self, wait: Wait, resume: Callable[[], None]) -> Parked:
        """Call `resume` when the key that is waited for is written or signalled, or at the wait's end."""
        parked = Parked(pack(wait.on), wait.until, resume)
        self._parked.setdefault(parked.key, []).append(parked)
        self._arm(parked)
        return parked

    def unpark(self, parked: Parked) -> bool:
        """Forget what is parked; False when it waits no more."""
        waiting = self._parked.get(parked.key)
        if waiting is None or parked not in waiting:
            return False
        waiting.remove(parked)
        if not waiting:
            del self._parked[parked.key]
        if parked.timer is not None:
            parked.timer.cancel()
        return True

    def _arm(self, parked: Parked) -> None:
        if parked.until != math.inf and not self.clock.virtual:
            delay = max(0.0, parked.until - self.clock.now())
            parked.timer = asyncio.get_running_loop().call_later(delay, self._resume, parked)

    def _resume(self, parked: Parked) -> None:
        if self.unpark(parked):
            parked.resume()

    def _park(self, run: _Run, wait: Wait) -> None:
        self.settled()
        self.park(wait, lambda: self._unparked(run))

    def _unparked(self, run: _Run) -> None:
        if not run.call.cancelled:
            self.busy += 1
            self._execute(run)

    def _committed(self, writes: Mapping[bytes, bytes | None], signals: set[bytes]) -> None:
        if not self._parked:
            return
        for key in (self._parked.keys() & writes.keys()) | (self._parked.keys() & signals):
            for parked in list(self._parked.get(key, ())):
                self._resume(parked)

    # the clock

    async def quiet(self) -> None:
        """Wait until nothing is in flight: no request, no effect, no due timer, nothing uncommitted."""
        loop = asyncio.get_running_loop()
        while True:
            if self.busy:
                waiter: asyncio.Future[None] = loop.create_future()
                self._idle.append(waiter)
                await waiter
            await self.store.settle()
            due = self.timers.next_due()
            if not self.busy and (due is None or due > self.clock.now()):
                return
            if not self.busy:
                self.timers.fire()
            await asyncio.sleep(self.timers.rewrite_s / 10 if self.store.failing else 0)  # a full disk: not in a rush

    def _next(self) -> float | None:
        times = [parked.until for waiting in self._parked.values() for parked in waiting if parked.until != math.inf]
        timer = self.timers.next_due()
        if timer is not None:
            times.append(timer)
        return min(times, default=None)

    def _move(self, at: float) -> None:
        self.clock.set(at)
        if self.meter.due is not None and self.meter.due <= self.clock.now():
            self.meter.end()
        self.timers.fire()
        for waiting in list(self._parked.values()):
            for parked in list(waiting):
                if parked.until <= self.clock.now():
                    self._resume(parked)

    async def advance(self, seconds: float) -> None:
        """Move a virtual clock on, running everything that comes due on the way, in order."""
        target = self.clock.now() + seconds
        await self.quiet()
        while (at := min(self._next() or math.inf, self.meter.due or math.inf)) <= target:
            self._move(at)
            await self.quiet()
        self._move(target)
        await self.quiet()

    def real_time(self) -> None:
        """From now on the clock is the real one; what waits for a time waits for a real one."""
        if self.clock.virtual:
            self.meter.leave()
        self.clock.thaw()
        for waiting in self._parked.values():
            for parked in waiting:
                self._arm(parked)
        self.meter.arm()
        self.timers.fire()

    def jump(self) -> None:
        """From now on a virtual clock goes to the next timer whenever nothing is in flight. A minute's end is no timer: else
        every request that is counted would move the clock."""
        self.clock.freeze()
        self.clock.jumping = True
        asyncio.get_running_loop().call_soon(self._jump)

    def _jump(self) -> None:
        if not self.clock.jumping or self.busy:
            return
        at = self._next()
        if at is not None:
            self._move(at)
            asyncio.get_running_loop().call_soon(self._jump)

    # the whole

    async def start(self) -> None:
        """Take up what a crash or a stop left: effects that were running are due again."""
        tx = self.store.begin(TimerScope(account="", region=""))
        self.clock.resume(tx.get_bytes(_LEFT_AT))
        await self.timers.recover()
        self.meter.arm()
        self._unloaded = self.services.stored(self.store.begin(TimerScope(account="", region="")))
        asyncio.get_running_loop().call_soon(self._load_next)

    def _load_next(self) -> None:
        """Load what is in use before somebody asks for it, one service a turn of the loop: requests go between."""
        if self._unloaded and not self.timers.stopped:
            asyncio.get_running_loop().call_soon(self._load_next)
            self.services.get(self._unloaded.pop())

    def load_stored(self) -> None:
        """Load at once what is still to be loaded of the services in use."""
        while self._unloaded:
            self.services.get(self._unloaded.pop())

    async def reset(self) -> None:
        """Back to empty: what waits is run again and finds nothing. Raises: StoreUnavailable; all is then as it was."""
        await self.store.clear()
        self.generation += 1
        self.timers.forget()
        self.meter.clear()
        self._unloaded.clear()
        self.volatile.clear()
        self.tracer.clear()
        self.clock.restart()
        for waiting in list(self._parked.values()):
            for parked in list(waiting):
                asyncio.get_running_loop().call_soon(self._resume, parked)

    async def close(self) -> None:
        """Stop timers, let running effects end for a moment, settle, close the store."""
        self.timers.stop()
        self.meter.disarm()
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=2.0)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        await self.store.settle()
        self.store.close()


def _named(subject: SubjectOf, request: Any) -> Any:
    """What a request says of the resource that it is for."""
    return request.get(subject) if type(subject) is str else subject(request)  # type: ignore[operator]


def _no_wire(*_: Any) -> Any:
    raise TypeError("this pipeline was made without a wire")


def _unknown(service: str, operation: str) -> NotImplementedOnCumulet:
    return NotImplementedOnCumulet(
        f"{service}.{operation} is not implemented by Cumulet.", hint=f"See docs/services/{service}.md"
    )


def _broken(name: str, request_id: str, error: Exception) -> InternalFailure:
    log.error("request %s: %s broke", request_id, name, exc_info=error)
    return InternalFailure("An internal error occurred.", hint=f"{type(error).__name__}: {error}; request {request_id}")


def _failed(failure: Exception) -> InternalFailure:
    if not isinstance(failure, StoreUnavailable):
        return _broken("the commit", "-", failure)
    log.error("%s", failure)
    return InternalFailure(str(failure))
