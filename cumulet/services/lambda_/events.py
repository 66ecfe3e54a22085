"""Asynchronous invocations: a durable queue of events for each function, run at least once.

An accepted event is a row, on disk before the 202 leaves, in the order in which events are due: `queue / function / due / request id`. A
worker (see `lanes.py`) begins with a durable timer; its effect runs the function, and the settlement deletes the row, or moves it to where
its next attempt is due, and takes the next event, all in one commit. Every row is due later by a timer of its own, or
has one that fires now, or belongs to a function with a worker that looks at the queue before it ends. So a crash leaves one of:
the row with such a timer, the row with the kernel's note of a running worker (which is started again and looks), no row (done).

Function errors: two more attempts, after one and two minutes. Throttling and failures of the platform: again after 1, 2,
4 ... 300 s, and at once when capacity falls free; up to six hours. `eventconfigs.py` sets fewer. The request id stays.
A burst begins with 32 workers; while events wait, each that has run for a second lets one more start:
short work reuses warm environments, long work spreads out to the account's limit (on AWS by 1000 in ten seconds).
Source: Lambda developer guide, "How Lambda handles errors and retries with asynchronous invocation" (read 2026-11).
"""

from __future__ import annotations

import logging
from typing import Any

from cumulet.aws.errors import AwsError
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Effect, EffectFailed
from cumulet.kernel.record import replace
from cumulet.kernel.trace import Span
from cumulet.kernel.tx import BLOB_OVER_BYTES
from cumulet.runtimes.model import InvocationResult
from cumulet.services.lambda_ import capacity, destinations, lanes, metering
from cumulet.services.lambda_.destinations import Ending
from cumulet.services.lambda_.errors import ResourceNotFoundException, TooManyRequestsException
from cumulet.services.lambda_.eventsettings import settings_of
from cumulet.services.lambda_.lanes import Lane, Slot
from cumulet.services.lambda_.model import ROOT, Function, QueuedEvent, Version, queue_key
from cumulet.services.lambda_.names import Ref
from cumulet.services.lambda_.running import Run, begin, chosen, invocation_of, request_id_of

_BACK_OFF_MAX_S = 300.0
_RETRY_AFTER_S = 60.0
_LONG_S = 1.0
_SCAN = 64
_DROPS_AT_ONCE = 50
_ERROR_BYTES = 1024
_KEPT_RESPONSE_BYTES = 16 * 1024

log = logging.getLogger("cumulet")


def enqueue(ctx: Context, where: Ref, payload: bytes) -> str:
    """Keep an event and have it run as soon as this is on disk; returns its request id."""
    slot = (where.account, where.region, where.name)
    request_id = request_id_of(ctx)
    key = queue_key(*slot, ctx.now, request_id)
    blob = ctx.tx.put_blob(payload) if len(payload) > BLOB_OVER_BYTES else ""
    event = QueuedEvent(
        qualifier=where.qualifier, payload=b"" if blob else payload, blob=blob, accepted=ctx.now, trace=ctx.trace
    )
    ctx.tx.put(key, event)
    metering.count(ctx, where, "AsyncEventsReceived", 1.0)
    lane = lanes.of(ctx, slot)
    if lane.is_held(ctx.tx) and capacity.has_room(ctx, where.function(ctx)):
        lane.held = None
    if lane.full(ctx.tx):
        lane.wait(key)
        _spread_soon(ctx, lane)
    else:
        lane.starting[lanes.start(ctx, lane, ctx.now, request_id)] = None
    return request_id


def run_event(ctx: Context, key: Key) -> Effect | None:
    """Timer lambda.event: a worker begins, with the event that its timer was set for, or with what is ready."""
    account, region, function, _, _ = key
    lane = lanes.of(ctx, (str(account), str(region), str(function)))
    lane.starting.pop(key, None)
    left = lane.end(key)
    if left is not None:  # what this worker had begun was never written
        capacity.release(ctx, lane.slot, str(left[-1]))
        lane.ready[left] = None
        lane.ready.move_to_end(left, last=False)
    own = (ROOT, "queue", *key)
    if own not in lane.taken and own not in lane.ready and ctx.tx.get(own, QueuedEvent) is not None:
        lane.ready[own] = None
        lane.ready.move_to_end(own, last=False)
    if len(lane.workers) >= lane.limit:
        _spread_soon(ctx, lane)
        return None
    if lane.held == key:
        lane.held = None
    elif lane.is_held(ctx.tx):  # one waits for capacity for all
        return None
    return _next(ctx, lane, key)


def spread(ctx: Context, key: Key) -> None:
    """Timer lambda.spread: events wait while others take long, so more may run at once."""
    slot = (str(key[0]), str(key[1]), str(key[2]))
    lane = lanes.of(ctx, slot)
    lane.spread_at = None
    long = sum(1 for _, since in lane.workers.values() if ctx.now - since >= _LONG_S)
    more = min(long, lanes.AT_MOST - lane.limit)
    if len(lane.ready) < more:
        _look(ctx, lane, more)
    lane.limit += more
    for number in range(min(more, len(lane.ready))):
        lane.starting[lanes.start(ctx, lane, ctx.now, f"spread {number}")] = None
    if lane.ready:
        _spread_soon(ctx, lane)
    lanes.forget(ctx, lane)


def _spread_soon(ctx: Context, lane: Lane) -> None:
    if lane.held is None and lane.limit < lanes.AT_MOST and not lane.spreading(ctx.tx):
        lane.spread_at = ctx.now + _LONG_S
        ctx.tx.wake(lane.spread_at, lanes.SPREAD_NAME, lane.slot)


def _next(ctx: Context, lane: Lane, worker: Key) -> Effect | None:
    """Let the worker attempt the next event; None when there is none that may run, and the worker ends."""
    for _ in range(_DROPS_AT_ONCE):
        if not lane.ready:
            _look(ctx, lane, _SCAN)
        if not lane.ready:
            break
        key = lane.ready.popitem(last=False)[0]
        event = ctx.tx.get(key, QueuedEvent)
        if event is None or key in lane.taken:
            continue
        effect = _attempt(ctx, lane, worker, key, event)
        if effect is not None:
            if lane.ready and not lane.full(ctx.tx):  # capacity came back: one more at a time
                lane.starting[lanes.start(ctx, lane, ctx.now, f"more {ctx.request_id}")] = None
            return effect
        if lane.held is not None:
            return None
    else:
        lane.starting[lanes.start(ctx, lane, ctx.now, f"more {ctx.request_id}")] = None
        return None
    if not lane.workers:
        lane.limit = lanes.AT_FIRST
    lanes.forget(ctx, lane)
    lanes.freed(ctx, None, *lane.slot[:2])
    return None


def _look(ctx: Context, lane: Lane, most: int) -> None:
    """Fill `ready` from the queue: what is due and not being attempted."""
    prefix = (ROOT, "queue", *lane.slot)
    found = seen = 0
    limit = most + len(lane.taken)
    for key in ctx.tx.scan_keys(prefix, end=(*prefix, ctx.now, "\U0010ffff"), limit=limit):
        seen += 1
        if key not in lane.taken and key not in lane.ready:
            lane.ready[key] = None
            found += 1
            if found == most:
                return
    if seen < limit:
        lane.beyond = False


def _attempt(ctx: Context, lane: Lane, worker: Key, key: Key, event: QueuedEvent) -> Effect | None:
    """Run the event now. None: it was given up, or the lane is held because there is no capacity."""
    request_id = str(key[-1])
    where = Ref(*lane.slot, event.qualifier)
    _step(ctx, event, where)
    try:
        function = where.function(ctx)
        settings = settings_of(ctx, function, event.qualifier)
        expires = event.accepted + settings.max_age_s
        if ctx.now >= expires:
            if not event.attempts and not event.error:  # it waited behind others that found no capacity
                event = replace(event, status=429, error="Rate Exceeded.")
            _give_up(ctx, where, where.version(ctx), settings.on_failure, key, event, "EventAgeExceeded")
            return None
        if function.reserved == 0:
            zero = replace(event, status=429, error="The function has a reserved concurrency of zero.", response=b"")
            _give_up(ctx, where, where.version(ctx), settings.on_failure, key, zero, "ZeroReservedConcurrency")
            return None
        payload = ctx.tx.read_blob(event.blob) if event.blob else event.payload
        invocation = invocation_of(ctx, where, payload, request_id, trace=ctx.trace)

        def settle(after: Context, run: Run, outcome: InvocationResult | EffectFailed) -> Effect | None:
            return _settled(after, lane.slot, worker, key, run, outcome)

        effect = begin(ctx, where, chosen(ctx, where), invocation, settle, queued=True)
    except TooManyRequestsException as error:
        if event.status != 429:
            event = replace(event, status=429, error=error.message, response=b"")
            ctx.tx.put(key, event)
        lane.ready[key] = None
        lane.ready.move_to_end(key, last=False)
        lane.throttles += 1
        lane.held = lanes.start(ctx, lane, min(ctx.now + _back_off(lane.throttles), expires), f"held {request_id}")
        return None
    except ResourceNotFoundException as error:
        log.warning("event %s for %s is dropped: %s", request_id, where.arn, error.message)
        metering.count(ctx, where, "AsyncEventsDropped", 1.0)
        _done(ctx, key, event)
        return None
    metering.count(ctx, where, "AsyncEventAge", (ctx.now - event.accepted) * 1e3, "Milliseconds")
    lane.begin(worker, key, ctx.now)
    return effect


def _back_off(attempt: int) -> float:
    return float(min(2.0 ** (attempt - 1), _BACK_OFF_MAX_S))


def _step(ctx: Context, event: QueuedEvent, where: Ref) -> None:
    """Go on with this event's trace. What the worker did before it, for another event, is a step of that one's trace."""
    span = ctx.span
    if span.detail:
        done = Span(span.trace_id, span.span_id, span.parent_id, span.name, span.kind, span.at, span.started,
                    detail=span.detail, links=span.links, subject=span.subject)  # fmt: skip
        ctx.pipeline.tracer.end(done)
        fresh = ctx.pipeline.tracer.begin(span.name, span.kind, ctx.now)
        span.span_id, span.started, span.at = fresh.span_id, fresh.started, fresh.at
        span.trace_id, span.parent_id, span.links = fresh.trace_id, None, ()
    span.detail = f"attempt {event.attempts + 1}"
    ctx.follow([event.trace], at=where.arn)


def _settled(
    ctx: Context, slot: Slot, worker: Key, key: Key, run: Run, outcome: InvocationResult | EffectFailed
) -> Effect | None:
    lane = lanes.of(ctx, slot)
    lane.end(worker)
    if isinstance(outcome, EffectFailed) and outcome.code == "RuntimesClosed":  # the server stops: no attempt was made
        lane.starting[lanes.start(ctx, lane, ctx.now, f"again {ctx.request_id}")] = None
        return None
    event = ctx.tx.get(key, QueuedEvent)
    if event is not None:
        _settle(ctx, Ref(*slot, event.qualifier), key, replace(event, attempts=event.attempts + 1), run, outcome)
    if ctx.pipeline.timers.stopped:  # the server stops: the next start goes on
        lane.starting[lanes.start(ctx, lane, ctx.now, f"again {ctx.request_id}")] = None
        return None
    mark = ctx.tx.savepoint()
    try:
        return _next(ctx, lane, worker)
    except AwsError as error:  # what has ended has ended; the next one is begun by a timer, which bears repetition
        log.warning("the next event of %s could not be begun: %s: %s", slot[2], error.wire_code, error.message)
        ctx.tx.rollback(mark)
        lane.starting[lanes.start(ctx, lane, ctx.now + 1.0, f"again {ctx.request_id}")] = None
        return None


def _settle(
    ctx: Context, where: Ref, key: Key, event: QueuedEvent, run: Run, outcome: InvocationResult | EffectFailed
) -> None:
    settings = settings_of(ctx, ctx.tx.get(run.function.key, Function) or run.function, event.qualifier)
    if isinstance(outcome, EffectFailed):
        log.warning("event %s for %s could not be run: %s", key[-1], where.arn, outcome.message)
        event = replace(event, ill=event.ill + 1, status=500, error=outcome.message[:_ERROR_BYTES], response=b"")
        _again(ctx, key, event, min(ctx.now + _back_off(event.ill), event.accepted + settings.max_age_s))
        return
    event = replace(event, status=200, version=run.version.label)
    if outcome.function_error is None:
        if settings.on_success:
            ending = _ending(ctx, where, key, event, "Success", outcome.payload)
            destinations.send(ctx, where, settings.on_success, ending)
        _done(ctx, key, event)
        return
    failures = event.failures + 1
    event = replace(event, failures=failures, error=_error_text(outcome.payload), function_error=outcome.function_error)
    if failures > settings.retries:
        _give_up(ctx, where, run.version, settings.on_failure, key, event, "RetriesExhausted", outcome.payload)
        return
    response = outcome.payload if len(outcome.payload) <= _KEPT_RESPONSE_BYTES else b""
    due = min(ctx.now + _RETRY_AFTER_S * failures, event.accepted + settings.max_age_s)
    _again(ctx, key, replace(event, response=response), due)


def _again(ctx: Context, key: Key, event: QueuedEvent, due: float) -> None:
    """Back into the queue, due then."""
    later = queue_key(str(key[2]), str(key[3]), str(key[4]), due, str(key[-1]))
    if later != key:
        ctx.tx.delete(key)
    ctx.tx.put(later, event)
    ctx.tx.wake(due, lanes.TIMER_NAME, later[2:])


def _done(ctx: Context, key: Key, event: QueuedEvent) -> None:
    ctx.tx.delete(key)
    if event.blob:
        ctx.tx.delete_blob(event.blob)


def _ending(ctx: Context, where: Ref, key: Key, event: QueuedEvent, condition: str, response: bytes) -> Ending:
    return Ending(
        request_id=str(key[-1]),
        condition=condition,
        attempts=event.attempts,
        payload=ctx.tx.read_blob(event.blob) if event.blob else event.payload,
        status=event.status,
        version=event.version,
        function_error=event.function_error if condition != "Success" else "",
        error=event.error,
        response=response,
    )


def _give_up(
    ctx: Context, where: Ref, version: Version, on_failure: str, key: Key, event: QueuedEvent, condition: str,
    response: bytes = b"",
) -> None:  # fmt: skip
    """No more attempts: to the dead-letter queue and the on-failure destination, where there are any."""
    ending = _ending(ctx, where, key, event, condition, response or event.response)
    metering.count(ctx, where, "AsyncEventsDropped", 1.0)
    if version.dead_letter:
        destinations.bury(ctx, where, version.dead_letter, ending)
    if on_failure:
        destinations.send(ctx, where, on_failure, ending)
    if not version.dead_letter and not on_failure:
        log.warning("event %s for %s is dropped: %s", ending.request_id, where.arn, condition)
    _done(ctx, key, event)


def _error_text(payload: bytes) -> str:
    """The errorMessage of a function's error, at most 1 KB."""
    try:
        found: Any = read_json(payload)
    except NotJson:
        return payload[:_ERROR_BYTES].decode("utf-8", "replace")
    text = str(found.get("errorMessage", "")) if isinstance(found, dict) else ""
    return text.encode("utf-8", "replace")[:_ERROR_BYTES].decode("utf-8", "ignore")
