"""Durable timers: what must happen later is a row, found again after a crash.

`~timer / at / handler / key` is a timer. When it is due, its handler runs in a transaction that also deletes the row: done,
or nothing happened. When the handler returns an Effect, the same transaction writes `~running / id`, and the settlement
deletes it; a crash in between leaves the row, and `recover` makes it due again at the next start. A handler that breaks
is tried again after 1, 2, 4 ... 60 s. Where a commit fails (a full disk) no timer fires for a second, or until one succeeds: else each of
thousands that are due would run as often as the loop turns.

A handler that returns a Wait is parked: the row moves to `~running` too, the handler runs again when what it waits for comes, and
after a crash at once. One waits per (handler, key): a timer that fires for the same takes its place.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cumulet.aws.errors import AwsError, InternalFailure
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key, after_prefix, pack, unpack
from cumulet.kernel.outcome import Effect, EffectInterrupted, Wait
from cumulet.kernel.record import Record, replace
from cumulet.kernel.trace import Span
from cumulet.kernel.tx import TIMER, TimerScope, Tx

if TYPE_CHECKING:
    from cumulet.kernel.pipeline import Parked, Pipeline
    from cumulet.kernel.service import TimerHandler

log = logging.getLogger("cumulet")

RUNNING = "~running"
_AT_ONCE = 64
_LONGEST_SLEEP_S = 3600.0
_RETRY_MAX_S = 60.0
_REWRITE_S = 1.0


class Running(Record):
    """A timer whose effect is being performed."""

    handler: str
    key: list[Any]
    scope: TimerScope


@dataclass(slots=True)
class _Turn:
    """One run of a handler: for the timer in `row`, or for what waited or ran as `running`."""

    handler: str
    key: Key
    scope: TimerScope
    row: bytes | None = None
    running: Key | None = None
    span: Span = field(init=False)

    @property
    def ident(self) -> bytes:
        return pack((self.handler, *self.key))

    def waiting(self, number: str) -> _Turn:
        """The turn that follows a wait; it begins a trace of its own."""
        scope = TimerScope(account=self.scope.account, region=self.scope.region)
        return _Turn(self.handler, self.key, scope, running=self.running or (RUNNING, number))


class Timers:
    """Fires due timers in the event loop."""

    def __init__(self, pipeline: Pipeline, handler: Callable[[str], TimerHandler]) -> None:
        self._pipeline = pipeline
        self._handler = handler
        self._handle: asyncio.TimerHandle | asyncio.Handle | None = None
        self._next: float | None = None
        self._rewrite: asyncio.TimerHandle | None = (
            None  # the store could not write: no timer fires before, while that is so
        )
        self._low, self._high = pack((TIMER,)), after_prefix(pack((TIMER,)))
        self._attempts: dict[bytes, int] = {}
        self._waiting: dict[bytes, tuple[Parked, Key]] = {}
        self.stopped = False
        self.rewrite_s = _REWRITE_S

    def upcoming(self, at: float) -> None:
        """A timer was set for `at`."""
        if self.stopped or (self._next is not None and self._next <= at and self._handle is not None):
            return
        loop = asyncio.get_running_loop()
        if self._handle is not None:
            self._handle.cancel()
        self._next = at
        delay = at - self._pipeline.clock.now()
        if delay <= 0:
            self._handle = loop.call_soon(self.fire)
        elif self._pipeline.clock.virtual:
            self._handle = self._next = None
        else:
            self._handle = loop.call_later(min(delay, _LONGEST_SLEEP_S), self.fire)

    def next_due(self) -> float | None:
        """When the first timer is due, uncommitted ones included."""
        tx = self._pipeline.store.begin(TimerScope(account="", region=""))
        for k, _ in tx.scan_bytes(self._low, self._high, limit=1):
            return float(unpack(k)[1])  # type: ignore[arg-type]
        return None

    def fire(self) -> None:
        """Run what is due, some at a time, and sleep until the next."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._next = None
        if self.stopped or (self._rewrite is not None and self._pipeline.store.failing):
            return
        now = self._pipeline.clock.now()
        tx = self._pipeline.store.begin(TimerScope(account="", region=""))
        due = list(tx.scan_bytes(self._low, pack((TIMER, now)) + b"\xff", limit=_AT_ONCE))
        for k, v in due:
            self._run(k, v)
        following = now if len(due) == _AT_ONCE else self.next_due()
        if following is not None:
            self.upcoming(following)

    def _run(self, k: bytes, v: bytes) -> None:
        _, _, name, *key = unpack(k)
        scope = self._pipeline.store.codec.decode(v, TimerScope)
        turn = _Turn(str(name), tuple(key), scope, row=k)
        waiting = self._waiting.pop(turn.ident, None)
        if waiting is not None:
            parked, turn.running = waiting
            self._pipeline.unpark(parked)
        self._attempt(turn)

    def _attempt(self, turn: _Turn) -> None:
        pipeline = self._pipeline
        tx = pipeline.store.begin(turn.scope)
        tx.origin = turn.ident
        turn.span = pipeline.tracer.begin(f"timer {turn.handler}", "timer", pipeline.clock.now(), turn.scope.trace)
        if turn.scope.trace is not None:
            tx.scope = replace(turn.scope, trace=turn.span.header())
        pipeline.busy += 1
        self._take(tx, turn)  # before the handler, which may set the same timer again
        try:
            if turn.row is not None:
                pipeline.faults.hit("timer.fire")
            outcome = self._handler(turn.handler)(self._context(tx, turn.scope, turn.span), turn.key)
        except Exception as error:
            tx.abandon()
            self._take(tx, turn)
            tx.scope = turn.scope
            self._put_off(tx, turn, error)
            outcome = None
        if isinstance(outcome, Effect):
            self._go_on(tx, turn, outcome)
        elif isinstance(outcome, Wait):
            self._park(tx, turn, outcome)
        else:
            if turn.row is not None:
                self._attempts.pop(turn.row, None)
            self._finish(tx, turn, lambda: self._ended(turn.span))

    @staticmethod
    def _take(tx: Tx, turn: _Turn) -> None:
        if turn.row is not None:
            tx.delete(turn.row)
        if turn.running is not None:
            tx.delete(turn.running)

    def _finish(self, tx: Tx, turn: _Turn, done: Callable[[], None]) -> None:
        """Commit; where that fails the rows are as before, and are taken up again soon."""
        running, row = turn.running, turn.row

        def committed(failure: Exception | None) -> None:
            if failure is None:
                done()
            elif row is not None:
                self._unfired(turn.span)
            else:
                assert running is not None
                self._unwritten(turn.span, lambda: self._requeue(running))

        self._pipeline.finish(tx, committed)

    def _go_on(self, tx: Tx, turn: _Turn, effect: Effect) -> None:
        """Note that the effect is being performed, then perform it."""
        running: Key = turn.running or (RUNNING, self._pipeline.ids.uuid())
        tx.put(running, Running(handler=turn.handler, key=list(turn.key), scope=turn.scope))
        generation = self._pipeline.generation
        self._finish(
            tx,
            turn,
            lambda: self._pipeline.spawn(self._perform(effect, running, turn, generation)),
        )

    def _park(self, tx: Tx, turn: _Turn, wait: Wait) -> None:
        """Wait in memory from now on, as what was read may change with the next commit; and on disk, by the row in `~running`."""
        tx.abandon()
        if turn.row is not None:
            self._attempts.pop(turn.row, None)
        moved = turn.waiting(self._pipeline.ids.uuid())
        assert moved.running is not None
        self._waiting[turn.ident] = (self._pipeline.park(wait, lambda: self._resume(moved)), moved.running)
        if turn.row is None:
            self._pipeline.settled()
            return
        tx.delete(turn.row)
        tx.put(moved.running, Running(handler=turn.handler, key=list(turn.key), scope=moved.scope))

        def committed(failure: Exception | None) -> None:
            if failure is None:
                self._pipeline.settled()
                return
            waiting = self._waiting.get(turn.ident)
            if waiting is not None and waiting[1] == moved.running:
                self._pipeline.unpark(self._waiting.pop(turn.ident)[0])
            self._unfired(turn.span)

        self._pipeline.finish(tx, committed)

    def _resume(self, turn: _Turn) -> None:
        del self._waiting[turn.ident]
        if not self.stopped:
            self._attempt(turn)

    def forget(self) -> None:
        """The cloud is emptied: no timer waits any more."""
        for parked, _ in self._waiting.values():
            self._pipeline.unpark(parked)
        self._waiting.clear()
        self._attempts.clear()

    def _context(self, tx: Tx, scope: TimerScope, span: Span) -> Context:
        pipeline = self._pipeline
        now = pipeline.clock.now()
        return Context(
            pipeline, tx, now, now, scope.account, scope.region, "", "", pipeline.ids.uuid(), pipeline.endpoint, span
        )

    def _put_off(self, tx: Tx, turn: _Turn, error: Exception) -> None:
        attempts = (self._attempts.pop(turn.row, 0) if turn.row is not None else 0) + 1
        at = self._pipeline.clock.now() + min(2.0 ** min(attempts - 1, 10), _RETRY_MAX_S)
        tx.origin = None
        tx.wake(at, turn.handler, turn.key)
        self._attempts[pack((TIMER, at, turn.handler, *turn.key))] = attempts
        level = logging.WARNING if isinstance(error, AwsError) else logging.ERROR
        log.log(level, "timer %s %r broke (attempt %d)", turn.handler, turn.key, attempts, exc_info=error)

    async def _perform(self, effect: Effect, running: Key, turn: _Turn, generation: int) -> None:
        pipeline, scope, span, ident = self._pipeline, turn.scope, turn.span, turn.ident
        outcome = await pipeline.perform(effect, span)
        if pipeline.generation != generation or isinstance(outcome, EffectInterrupted):
            self._ended(span)  # the cloud was emptied meanwhile, or stops: then its row is for the next start
            return
        tx = pipeline.store.begin(scope if span.parent_id is None else replace(scope, trace=span.header()))
        tx.origin = ident
        ctx = self._context(tx, scope, span)
        try:
            following = effect.settle(ctx, outcome)
        except InternalFailure as error:  # a full disk, met before the commit
            tx.abandon()
            log.error("%s could not be settled: %s", span.name, error.message)
            self._unwritten(span, lambda: self._requeue(running))
            return
        except Exception as error:
            tx.abandon()
            self._broke(tx, turn, running, error)
            return
        if isinstance(following, Effect):
            again = following
            pipeline.finish(
                tx,
                lambda failure: (
                    self._unwritten(span, lambda: self._requeue(running))
                    if failure
                    else pipeline.spawn(self._perform(again, running, turn, pipeline.generation))
                ),
            )
            return
        if turn.row is not None:
            self._attempts.pop(turn.row, None)
        tx.delete(running)
        pipeline.finish(
            tx,
            lambda failure: self._unwritten(span, lambda: self._requeue(running)) if failure else self._ended(span),
        )

    def _broke(self, tx: Tx, turn: _Turn, running: Key, error: Exception) -> None:
        """A settlement failed by a mistake of ours: decide, perform and settle again later, as when the decision fails."""
        tx.delete(running)
        tx.scope = turn.scope
        self._put_off(tx, turn, error)
        self._pipeline.finish(
            tx,
            lambda failure: (
                self._unwritten(turn.span, lambda: self._requeue(running)) if failure else self._ended(turn.span)
            ),
        )

    def _ended(self, span: Span) -> None:
        self._pipeline.tracer.end(span)
        self._pipeline.settled()

    def _unfired(self, span: Span) -> None:
        """The store could not write what a timer did (a full disk): the rows are as before; all that is due fires again soon."""
        self._ended(span)
        if self._rewrite is None:
            self._rewrite = asyncio.get_running_loop().call_later(self.rewrite_s, self._fire_again)

    def _fire_again(self) -> None:
        self._rewrite = None
        self.fire()

    def _unwritten(self, span: Span, again: Callable[[], None]) -> None:
        """As `_unfired`, where an effect's settlement could not be written: `again` makes it due."""
        self._ended(span)
        asyncio.get_running_loop().call_later(self.rewrite_s, lambda: None if self.stopped else again())

    def _requeue(self, key: Key) -> None:
        """Make an effect due again whose settlement could not be written."""
        pipeline = self._pipeline
        tx = pipeline.store.begin(TimerScope(account="", region=""))
        running = tx.get(key, Running)
        if running is None:
            return
        tx.scope = running.scope
        tx.delete(key)
        tx.wake(pipeline.clock.now(), running.handler, tuple(running.key))
        span = pipeline.tracer.begin(f"timer {running.handler}", "timer", pipeline.clock.now(), running.scope.trace)
        pipeline.busy += 1
        pipeline.finish(
            tx,
            lambda failure: self._unwritten(span, lambda: self._requeue(key)) if failure else self._ended(span),
        )

    async def recover(self) -> None:
        """At the start: effects that were being performed are due at once."""

        def again(tx: Tx) -> None:
            for key, running in list(tx.scan((RUNNING,), Running)):
                tx.delete(key)
                tx.scope = running.scope
                tx.wake(self._pipeline.clock.now(), running.handler, tuple(running.key))

        await self._pipeline.store.transact(again)
        following = self.next_due()
        if following is not None:
            self.upcoming(following)

    def stop(self) -> None:
        self.stopped = True
        if self._handle is not None:
            self._handle.cancel()
