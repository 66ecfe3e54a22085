"""Who reads a queue for a mapping: the pollers, by timers `lambda.poll`, keyed by mapping and number.

One poller listens: it is parked on the queue and costs nothing while there is nothing to read. When messages come it appoints the next
listener, takes a batch and runs the function: it is busy. After its batch a busy poller goes on with the next one, or ends
when there is none. So as many batches run at once as the backlog fills, up to
- five at first and five more in each second that a backlog lasts (AWS: "up to 300 more instances per minute"), at most 1000,
- the mapping's MaximumConcurrency,
- the function's free concurrency: a slot is sure before a message is received, so throttling never counts as a receive. Where
  there is none the listener waits for the slot, not for the queue,
- the message groups of a FIFO queue, which SQS locks while one of their messages is in flight.
With a batching window the listener waits until the batch is full, by its size or a payload's, or the window over since it first
saw a message.

What a crash leaves, and who repairs it:
- before the batch's commit: the queue as it was, and the listener's timer, which runs again at the start.
- after it: `Taken` names the messages, and the kernel's note of the running effect starts the poller again. It finds its `Taken`,
  knows that the function ended with the server, and returns the messages: visible at once, and the receive does not count. The
  first poller that runs returns all pollers' messages, so that none is received by another one as if it had failed.
- in the settlement: it deletes what succeeded, `Taken`, and goes on or ends, in one commit; before it as above.
Messages that failed are left alone: their visibility timeout brings them back, the queue's redrive policy gives them up.

Source: Lambda developer guide, "Configuring scaling behavior for SQS event source mappings", "Using Lambda with Amazon SQS"
(read 2026-11).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Effect, Wait
from cumulet.kernel.record import replace
from cumulet.services.lambda_.errors import ResourceNotFoundException
from cumulet.services.lambda_.model import function_key
from cumulet.services.lambda_.sources import batches, turns
from cumulet.services.lambda_.sources.model import Mapping, Pollers, mapping_key, pollers_key
from cumulet.services.lambda_.sources.records import PAYLOAD_LIMIT_BYTES

AT_FIRST = 5
MORE_EACH_SECOND = 5
AT_MOST = 1000
_SECOND = 1.0
_LOOK_AGAIN_S = 60.0
_TIMER = "lambda.poll"
_LARGEST_MESSAGE_BYTES = 1_048_576
_RECORD_BYTES = 700  # what a record of the event has around its body


def listen(ctx: Context, mapping: Mapping) -> None:
    """Have somebody listen from now on; who listens already looks at the mapping again."""
    pollers = ctx.tx.get(pollers_key(mapping.place), Pollers)
    if pollers is None:
        pollers = Pollers()
        ctx.tx.put(pollers_key(mapping.place), pollers)
    _wake(ctx, mapping.place, pollers.listener)


def forget(ctx: Context, mapping: Mapping) -> None:
    """The mapping is gone: the listener ends, busy pollers end with their batch."""
    pollers = ctx.tx.get(pollers_key(mapping.place), Pollers)
    if pollers is not None:
        ctx.tx.delete(pollers_key(mapping.place))
        _gathering(ctx).pop(mapping.place, None)
        turns.wait_no_more(ctx, mapping.place)
        _wake(ctx, mapping.place, pollers.listener)


def _wake(ctx: Context, place: Key, number: int) -> None:
    ctx.tx.wake(ctx.now, _TIMER, (*place, number), fresh=True)


def poll(ctx: Context, key: Key) -> Effect | Wait | None:
    """Timer lambda.poll: a poller's next step."""
    place, number = key[:3], int(str(key[3]))
    if batches.is_running(ctx, place, number):
        return None  # a second timer of the same poller
    batches.give_back(ctx, place, number)
    if not batches.all_given_back(ctx):
        _wake(ctx, place, number)
        return None
    mapping = ctx.tx.get(mapping_key(*(str(part) for part in place)), Mapping)
    pollers = ctx.tx.get(pollers_key(place), Pollers)
    if pollers is None or mapping is None:
        return None
    if number in pollers.busy:
        return _go_on(ctx, mapping, pollers, number)
    if number == pollers.listener:
        turns.wait_no_more(ctx, place)
        if mapping.reads:
            return _listen(ctx, mapping, pollers)
    return None


def _go_on(ctx: Context, mapping: Mapping, pollers: Pollers, number: int) -> Effect | None:
    """A busy poller takes the next batch, or ends."""
    found: Effect | Wait | None = Wait((), 0.0)
    if mapping.reads and mapping.window_s == 0 and len(pollers.busy) <= most(mapping, pollers):
        undo = ctx.tx.savepoint()
        try:
            found = batches.take(ctx, mapping, number, _after)
        except AwsError:  # the listener finds the same, and waits
            ctx.tx.rollback(undo)
    if isinstance(found, Effect):
        return found
    if found is None:
        _wake(ctx, mapping.place, number)
    else:
        _leave(ctx, mapping.place, number)
    return None


def _leave(ctx: Context, place: Key, number: int) -> None:
    """A busy poller ends; the listener goes on where it waited for that."""
    pollers = ctx.tx.get(pollers_key(place), Pollers)
    if pollers is not None and number in pollers.busy:
        busy = tuple(each for each in pollers.busy if each != number)
        ctx.tx.put(pollers_key(place), replace(pollers, busy=busy))


def _after(ctx: Context, mapping: Mapping | None, place: Key, number: int) -> None:
    """A batch is over: the poller goes on at once where there is more."""
    if mapping is not None and mapping.reads and mapping.window_s == 0 and _visible(ctx, mapping):
        _wake(ctx, place, number)
    else:
        _leave(ctx, place, number)


def _visible(ctx: Context, mapping: Mapping) -> int:
    try:
        return int(batches.ask(ctx, "cumulet:Backlog", mapping)["Visible"])
    except AwsError:
        return 0


def _listen(ctx: Context, mapping: Mapping, pollers: Pollers) -> Effect | Wait | None:
    """The listener takes a batch and appoints the next listener, or waits."""
    limit = most(mapping, pollers)
    if len(pollers.busy) >= limit:
        if limit == _cap(mapping):
            return Wait(pollers_key(mapping.place), math.inf)
        if ctx.now < pollers.grows:
            return Wait(pollers_key(mapping.place), pollers.grows)
        limit = min(limit + MORE_EACH_SECOND, _cap(mapping))
    try:
        found = _gather(ctx, mapping) or batches.take(ctx, mapping, pollers.listener, _after)
    except ResourceNotFoundException:
        return Wait(function_key(*mapping.slot), ctx.now + _LOOK_AGAIN_S)
    except AwsError:  # the queue is gone; it may come back
        return Wait(pollers_key(mapping.place), ctx.now + _LOOK_AGAIN_S)
    if found is None:
        _wake(ctx, mapping.place, pollers.listener)
    elif isinstance(found, Effect):
        _appoint(ctx, mapping, pollers, limit)
    elif found.on == function_key(*mapping.slot):
        turns.wait(ctx, mapping.slot, mapping.place)
    return found


def _appoint(ctx: Context, mapping: Mapping, pollers: Pollers, limit: int) -> None:
    """The listener is busy; another poller listens."""
    busy = (*pollers.busy, pollers.listener)
    if len(busy) == 1:
        limit = AT_FIRST
    elif len(busy) <= limit - 2 * MORE_EACH_SECOND:  # less to do than before
        limit -= MORE_EACH_SECOND
    listener = next(number for number in range(len(busy) + 1) if number not in busy)
    ctx.tx.put(pollers_key(mapping.place), Pollers(listener=listener, busy=busy, limit=limit, grows=ctx.now + _SECOND))
    _wake(ctx, mapping.place, listener)


def most(mapping: Mapping, pollers: Pollers) -> int:
    """How many batches may run at once now."""
    return min(max(pollers.limit, AT_FIRST), _cap(mapping))


def _cap(mapping: Mapping) -> int:
    return AT_MOST if mapping.most is None else mapping.most


@dataclass(slots=True)
class _Gathering:
    """A batch that a listener gathers: when it saw the first message, and from how many messages on it weighs them (again)."""

    since: float
    weigh_at: int = PAYLOAD_LIMIT_BYTES // _LARGEST_MESSAGE_BYTES


def _gather(ctx: Context, mapping: Mapping) -> Wait | None:
    """Wait for a full batch, as long as the window lasts; None: it is time to take one.

    When the window began is in memory alone: a crash begins it again.
    """
    if mapping.window_s == 0:
        return None
    table = _gathering(ctx)
    backlog = batches.ask(ctx, "cumulet:Backlog", mapping)
    if 0 < backlog["Visible"] < mapping.batch_size:
        gathering = table.setdefault(mapping.place, _Gathering(ctx.now))
        over = gathering.since + mapping.window_s
        if ctx.now < over and not _fills_a_payload(ctx, mapping, gathering, backlog["Visible"]):
            return Wait(backlog["Wait"].on, over)
    table.pop(mapping.place, None)
    return None


def _fills_a_payload(ctx: Context, mapping: Mapping, gathering: _Gathering, visible: int) -> bool:
    """Whether no more messages go into an event. They are weighed seldom: not before so many more came that they might be too heavy,
    nor before a quarter more."""
    if visible < gathering.weigh_at:
        return False
    size = batches.ask(ctx, "cumulet:Backlog", mapping, Weigh=True)["VisibleBytes"] + visible * _RECORD_BYTES
    gathering.weigh_at = visible + max(math.ceil((PAYLOAD_LIMIT_BYTES - size) / _LARGEST_MESSAGE_BYTES), visible // 4)
    return bool(size >= PAYLOAD_LIMIT_BYTES)


def _gathering(ctx: Context) -> dict[Key, _Gathering]:
    """The batch that each listener gathers."""
    found: dict[Key, _Gathering] = ctx.pipeline.volatile.setdefault("lambda.gathering", {})
    return found
