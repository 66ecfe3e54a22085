"""Durable timers: what must happen later is a row, found again after a crash.

`~timer / at / handler / key` is a timer. When it is due, its handler runs in a transaction that also deletes the row: done,
or nothing happened. When the handler returns an Effect, the same transaction writes `~running / id`, and the settlement
deletes it; a crash in between leaves the row, and `recover` makes it due again at the next start. A handler that breaks
is tried again after 1, 2, 4 ... 60 s; one whose commit fails (a full disk) every second until it can be written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key, after_prefix, pack, unpack
from cumulet.kernel.outcome import Effect
from cumulet.kernel.record import Record
from cumulet.kernel.trace import Span
from cumulet.kernel.tx import TIMER, TimerScope, Tx

if TYPE_CHECKING:
    from cumulet.kernel.pipeline import Pipeline

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


class Timers:
    """Fires due timers in the event loop."""

    def __init__(self, pipeline: Pipeline, handlers: Mapping[str, Callable[[Context, Any], Any]]) -> None:
        self._pipeline = pipeline
        self._handlers = handlers
        self._handle: asyncio.TimerHandle | asyncio.Handle | None = None
        self._next: float | None = None
        self._low, self._high = pack((TIMER,)), after_prefix(pack((TIMER,)))
        self._attempts: dict[bytes, int] = {}
        self._stopped = False
        self.rewrite_s = _REWRITE_S

    def upcoming(self, at: float) -> None:
        """A timer was set for `at`."""
        if self._stopped or (self._next is not None and self._next <= at and self._handle is not None):
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
        if self._stopped:
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
        pipeline = self._pipeline
        pipeline.faults.hit("timer.fire")
        _, _, name, *key = unpack(k)
        handler = str(name)
        scope = pipeline.store.codec.decode(v, TimerScope)
        tx = pipeline.store.begin(scope)
        span = pipeline.tracer.begin(f"timer {handler}", "timer", pipeline.clock.now(), scope.trace)
        ctx = self._context(tx, scope, span)
        pipeline.busy += 1
        tx.delete(k)  # before the handler, which may set the same timer again
        try:
            outcome = self._handlers[handler](ctx, tuple(key))
        except Exception as error:
            tx.abandon()
            tx.delete(k)
            self._put_off(tx, k, handler, tuple(key), error)
            outcome = None
        if isinstance(outcome, Effect):
            effect = outcome
            running: Key = (RUNNING, pipeline.ids.uuid())
            tx.put(running, Running(handler=handler, key=list(key), scope=scope))
            pipeline.finish(
                tx,
                lambda failure: (
                    self._unwritten(span, self.fire)
                    if failure
                    else pipeline.spawn(self._perform(effect, running, scope, span, pipeline.generation))
                ),
            )
        else:
            self._attempts.pop(k, None)
            pipeline.finish(tx, lambda failure: self._unwritten(span, self.fire) if failure else self._ended(span))

    def _context(self, tx: Tx, scope: TimerScope, span: Span) -> Context:
        pipeline = self._pipeline
        now = pipeline.clock.now()
        return Context(
            pipeline, tx, now, now, scope.account, scope.region, "", "", pipeline.ids.uuid(), pipeline.endpoint, span
        )

    def _put_off(self, tx: Tx, k: bytes, handler: str, key: Key, error: Exception) -> None:
        attempts = self._attempts.pop(k, 0) + 1
        at = self._pipeline.clock.now() + min(2.0 ** (attempts - 1), _RETRY_MAX_S)
        tx.wake(at, handler, key)
        self._attempts[pack((TIMER, at, handler, *key))] = attempts
        level = logging.WARNING if isinstance(error, AwsError) else logging.ERROR
        log.log(level, "timer %s %r broke (attempt %d)", handler, key, attempts, exc_info=error)

    async def _perform(self, effect: Effect, running: Key, scope: TimerScope, span: Span, generation: int) -> None:
        pipeline = self._pipeline
        outcome = await pipeline.perform(effect, span)
        if pipeline.generation != generation:  # the cloud was emptied meanwhile
            self._ended(span)
            return
        tx = pipeline.store.begin(scope)
        ctx = self._context(tx, scope, span)
        try:
            following = effect.settle(ctx, outcome)
        except Exception:
            tx.abandon()
            log.exception("the settlement of %s broke; it is performed again after a restart", span.name)
            self._ended(span)
            return
        if isinstance(following, Effect):
            again = following
            pipeline.finish(
                tx,
                lambda failure: (
                    self._unwritten(span, lambda: self._requeue(running))
                    if failure
                    else pipeline.spawn(self._perform(again, running, scope, span, pipeline.generation))
                ),
            )
            return
        tx.delete(running)
        pipeline.finish(
            tx,
            lambda failure: self._unwritten(span, lambda: self._requeue(running)) if failure else self._ended(span),
        )

    def _ended(self, span: Span) -> None:
        self._pipeline.tracer.end(span)
        self._pipeline.settled()

    def _unwritten(self, span: Span, again: Callable[[], None]) -> None:
        """The store could not write (a full disk): the rows are as before; try again soon."""
        self._ended(span)
        asyncio.get_running_loop().call_later(self.rewrite_s, lambda: None if self._stopped else again())

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
        self._stopped = True
        if self._handle is not None:
            self._handle.cancel()
