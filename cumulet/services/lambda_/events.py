"""Asynchronous invocations: a durable queue of events, run at least once.

An accepted event is a row and a timer, on disk before the 202 leaves. The timer's effect runs the function; the settlement deletes the
row, or notes the failure and sets the next timer in the same commit. So a crash leaves one of: the row with its timer
(nothing happened yet), the row with the kernel's note of a running effect (the function is run again), no row (done).
Function errors: two more attempts, after one and two minutes. Throttling and failures of the platform: again after 1, 2,
4 ... 300 s, and for throttled events at once when a slot of the function falls free; up to six hours. The request id stays.
A burst begins with 32 events of a function at once; those that wait go on as others end, and after each time-out they
may be twice as many: short work reuses warm environments, long work spreads out (on AWS by 1000 in ten seconds).
Source: Lambda developer guide, "How Lambda handles errors and retries with asynchronous invocation" (read 2026-11).
"""

from __future__ import annotations

import logging

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Effect, EffectFailed
from cumulet.kernel.record import replace
from cumulet.kernel.tx import BLOB_OVER_BYTES
from cumulet.runtimes.model import InvocationResult
from cumulet.services.lambda_ import capacity
from cumulet.services.lambda_.errors import ResourceNotFoundException, TooManyRequestsException
from cumulet.services.lambda_.model import QueuedEvent, event_key
from cumulet.services.lambda_.names import Ref
from cumulet.services.lambda_.running import Run, begin, chosen, invocation_of

MAXIMUM_AGE_S = 21_600.0
MAXIMUM_RETRIES = 2
_BACK_OFF_MAX_S = 300.0
_AT_FIRST = 32

log = logging.getLogger("cumulet")


def enqueue(ctx: Context, where: Ref, payload: bytes) -> str:
    """Keep an event and have it run as soon as this is on disk; returns its request id."""
    request_id = ctx.request_id
    if ctx.tx.get(event_key(request_id), QueuedEvent) is not None:  # several events of one request
        request_id = ctx.ids.uuid()
    blob = ctx.tx.put_blob(payload) if len(payload) > BLOB_OVER_BYTES else ""
    event = QueuedEvent(
        account=where.account, region=where.region, function=where.name, qualifier=where.qualifier, invoked_arn=where.arn,
        payload=b"" if blob else payload, blob=blob, accepted=ctx.now, due=ctx.now, trace=ctx.trace,
    )  # fmt: skip
    ctx.tx.put(event_key(request_id), event)
    ctx.tx.wake(ctx.now, "lambda.event", (request_id,))
    return request_id


def run_event(ctx: Context, key: Key) -> Effect | None:
    """Timer lambda.event: attempt a queued event, if it is due and not running."""
    request_id = str(key[0])
    event = ctx.tx.get(event_key(request_id), QueuedEvent)
    if event is None or event.due > ctx.now:
        return None
    slot = (event.account, event.region, event.function)
    if capacity.is_running(ctx, slot, request_id):
        return None
    if capacity.count(ctx, slot) >= _AT_FIRST << event.throttled:
        _again(ctx, request_id, event)
        capacity.wait(ctx, slot, request_id)
        return None
    where = Ref(*slot, event.qualifier)
    payload = ctx.tx.read_blob(event.blob) if event.blob else event.payload
    try:
        invocation = invocation_of(ctx, where, payload, request_id, trace=event.trace or None)
        return begin(ctx, where, chosen(ctx, where), invocation, _settle, durable=True)
    except TooManyRequestsException:
        _again(ctx, request_id, event)
        capacity.wait(ctx, slot, request_id)
    except ResourceNotFoundException as error:
        _drop(ctx, request_id, event, error.message)
    return None


def promote(ctx: Context, key: Key) -> Effect | None:
    """Timer lambda.promote: a slot fell free; what has waited longest for it is due now."""
    account, region, function, first = (str(part) for part in key)
    slot = (account, region, function)
    request_id: str | None = first
    while request_id is not None:
        event = ctx.tx.get(event_key(request_id), QueuedEvent)
        if event is not None and event.throttled and not capacity.is_running(ctx, slot, request_id):
            ctx.tx.put(event_key(request_id), replace(event, due=ctx.now))
            return run_event(ctx, (request_id,))
        request_id = capacity.next_waiting(ctx, slot)
    return None


def _settle(ctx: Context, run: Run, outcome: InvocationResult | EffectFailed) -> None:
    request_id = run.invocation.request_id
    event = ctx.tx.get(event_key(request_id), QueuedEvent)
    if event is None:
        return
    if isinstance(outcome, EffectFailed):
        log.warning("event %s for %s could not be run: %s", request_id, run.version.arn, outcome.message)
        _again(ctx, request_id, event)
    elif outcome.function_error is None:
        _done(ctx, request_id, event)
    elif event.failures >= MAXIMUM_RETRIES:
        _drop(ctx, request_id, event, "retries exhausted")
    else:
        failures = event.failures + 1
        due = ctx.now + 60.0 * failures
        if due - event.accepted > MAXIMUM_AGE_S:
            _drop(ctx, request_id, event, "event age exceeded")
            return
        ctx.tx.put(event_key(request_id), replace(event, failures=failures, throttled=0, due=due))
        ctx.tx.wake(due, "lambda.event", (request_id,))


def _again(ctx: Context, request_id: str, event: QueuedEvent) -> None:
    """Back to the queue, for up to six hours."""
    due = ctx.now + min(2.0**event.throttled, _BACK_OFF_MAX_S)
    if due - event.accepted > MAXIMUM_AGE_S:
        _drop(ctx, request_id, event, "event age exceeded")
        return
    ctx.tx.put(event_key(request_id), replace(event, throttled=min(event.throttled + 1, 16), due=due))
    ctx.tx.wake(due, "lambda.event", (request_id,))


def _done(ctx: Context, request_id: str, event: QueuedEvent) -> None:
    ctx.tx.delete(event_key(request_id))
    if event.blob:
        ctx.tx.delete_blob(event.blob)


def _drop(ctx: Context, request_id: str, event: QueuedEvent, why: str) -> None:
    """Give an event up. The one place that will hand it to a dead-letter queue or a destination."""
    log.warning("event %s for %s is dropped: %s", request_id, event.invoked_arn, why)
    _done(ctx, request_id, event)
