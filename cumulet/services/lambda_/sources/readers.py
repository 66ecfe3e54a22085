"""Who reads a stream's shard for a mapping: readers, by timers `lambda.shard`, keyed by mapping, shard and number.

A shard has as many readers as the mapping's ParallelizationFactor; each takes the records of its own keys and goes through them in
order, one batch at a time. A reader is parked on the shard and costs nothing while there is nothing to read; a record that comes wakes
it. After its batch it goes on with the next one. While a batch fails its reader is held back (see trials.py), and so
are the records behind it, until the batch succeeds or is given up: too many retries, or too old. Where the function has no free
concurrency the reader waits for a slot; that uses up no retry, but its records grow old.
With a batching window a reader waits until the batch is full, or the window over since it first saw a record.

What a crash leaves, and who repairs it:
- before the batch's commit: the reader's row and its timer, which runs again at the start.
- after it: nothing else was written; the kernel's note of the running effect starts the reader again. Its checkpoint is where it was,
  so the function gets the records again: at least once, in order.
- in the settlement: checkpoint, parts, window, report of what is given up and the timer that goes on are one commit; before it as above.
What a reader saw (`Seen`) is memory: it looks again.

Source: Lambda developer guide, "Using AWS Lambda with Amazon DynamoDB" (read 2026-11).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Effect, EffectFailed, Wait
from cumulet.kernel.record import replace
from cumulet.kernel.store import Fate
from cumulet.runtimes.model import InvocationResult
from cumulet.services.lambda_ import metering
from cumulet.services.lambda_.errors import ResourceNotFoundException
from cumulet.services.lambda_.model import Version, function_key
from cumulet.services.lambda_.running import Run, begin, invocation_of
from cumulet.services.lambda_.sources import discards, feeds, gathering, turns, windows
from cumulet.services.lambda_.sources.batches import FAILED, OK, count, free_version, note
from cumulet.services.lambda_.sources.discards import EXHAUSTED, TOO_OLD
from cumulet.services.lambda_.sources.gathering import Found, Seen
from cumulet.services.lambda_.sources.model import Mapping, mapping_key
from cumulet.services.lambda_.sources.progress import (
    Reader,
    Shard,
    Window,
    reader_key,
    shard_key,
    wake_reader,
    wake_shards,
)
from cumulet.services.lambda_.sources.trials import Item, Step, Verdict, aged, first_failure, judged

_HEAD, _TAIL = b'{"Records":[', b"]}"
_LOOK_AGAIN_S, _SLOT_LOST_S, _ACCOUNT_FULL_S = 60.0, 60.0, 1.0
_REMEMBERED = 1000  # records passed over before the checkpoint is moved behind them


@dataclass(slots=True, frozen=True)
class Batch:
    """What a reader's function runs with. `final` is a window's last invocation, which has no records."""

    key: Key
    items: tuple[Item, ...]
    last: str
    payload: bytes
    window: Window | None = None
    final: bool = False


@dataclass(slots=True, frozen=True)
class Place:
    """A reader's surroundings, as they are now."""

    key: Key
    mapping: Mapping
    shard: Shard
    reader: Reader


def read(ctx: Context, key: Key) -> Effect | Wait | None:
    """Timer lambda.shard: a reader's next step."""
    if is_running(ctx, key):
        return None  # a second timer of the same reader
    turns.wait_no_more(ctx, key)
    at = _place(ctx, key)
    if at is None or at.reader.done or not at.mapping.reads:
        gathering.forget(ctx, key)
        return None
    if ctx.now < _held_until(at):
        return Wait(reader_key(key), _held_until(at))
    try:
        window = at.reader.window
        if window is not None and not at.reader.parts and _stale(at, window):
            return _last_of_window(ctx, at)
        if at.shard.factor != at.mapping.factor and window is None:
            wake_shards(ctx, at.mapping.place)  # the shard gets another number of readers
            return None
        return _next(ctx, at)
    except ResourceNotFoundException:
        return Wait(function_key(*at.mapping.slot), ctx.now + _LOOK_AGAIN_S)


def _place(ctx: Context, key: Key) -> Place | None:
    mapping = ctx.tx.get(mapping_key(*(str(part) for part in key[:3])), Mapping)
    shard = ctx.tx.get(shard_key(key[:3], str(key[3])), Shard)
    reader = ctx.tx.get(reader_key(key), Reader)
    if mapping is None or shard is None or reader is None:
        return None
    return Place(key, mapping, shard, reader)


def _stale(at: Place, window: Window) -> bool:
    """Whether a window ends before its time: it grew too large, or the mapping changed."""
    return window.early or window.size_s != at.mapping.tumbling_s or at.shard.factor != at.mapping.factor


def _held_until(at: Place) -> float:
    """Until when a reader is held back after a failure: not longer than the first of its records is young enough."""
    if at.reader.parts:
        return min(at.reader.retry_at, at.reader.parts[0].first_at + _age_limit(at.mapping))
    return at.reader.retry_at


def _age_limit(mapping: Mapping) -> float:
    return math.inf if mapping.max_age_s < 0 else float(mapping.max_age_s)


def _next(ctx: Context, at: Place) -> Effect | Wait | None:
    """Give up what is too old or gone, or run the function, or wait."""
    seen = gathering.seen_by(ctx, at.key, at.reader)
    try:
        found = _gathered(ctx, at, seen)
    except AwsError as error:
        if error.wire_code != feeds.GONE:
            raise
        found = Found(last=at.reader.checkpoint, ended=True)
    if found is None:
        wake_reader(ctx, at.key)
    if found is None or isinstance(found, Wait):
        return found
    if not found.items:
        return _nothing(ctx, at, seen, found)
    young = (place for place, item in enumerate(found.items) if ctx.now < item.at + _age_limit(at.mapping))
    old = next(young, len(found.items))
    if old:
        ctx.follow(found.traces[:old], at=at.mapping.source_arn)
        payload = _HEAD + b",".join(found.bodies[:old]) + _TAIL
        _take_step(ctx, at, aged(at.reader, found.items, found.last, old), TOO_OLD, payload)
        return None
    return _run(ctx, at, found)


def _gathered(ctx: Context, at: Place, seen: Seen) -> Found | Wait | None:
    """The next batch; while the batching window is open a Wait, or None when there is more to see. Raises: the stream's AwsErrors."""
    mapping, reader, room = at.mapping, at.reader, at.mapping.batch_size
    if reader.parts:
        return gathering.gather(ctx, mapping, at.shard, at.key, reader, reader.checkpoint, reader.parts[0].size)
    if seen.full:
        return gathering.gather(ctx, mapping, at.shard, at.key, reader, seen.start, room)
    found = gathering.gather(ctx, mapping, at.shard, at.key, reader, seen.last, room - seen.count, seen.size)
    _count_looks(ctx, mapping, seen, found)
    seen.fate = ctx.pipeline.store.fate
    seen.skipped += found.looked - len(found.items)
    if not seen.count:
        if not found.items:
            seen.start = seen.last = found.last
            seen.counted = (0, 0)
            return found
        seen.since = ctx.now
        if not mapping.window_s:
            return found
    seen.last, seen.size = found.last, found.size
    seen.count += len(found.items)
    seen.counted = (0, 0)
    seen.full = found.full or found.ended
    over = seen.since + mapping.window_s
    if not seen.full and ctx.now < over:
        if found.wait is None:
            return None
        window_end = reader.window.end if reader.window is not None else math.inf
        return Wait(found.wait.on, max(min(over, window_end), ctx.now))
    return gathering.gather(ctx, mapping, at.shard, at.key, reader, seen.start, room)


def _count_looks(ctx: Context, mapping: Mapping, seen: Seen, found: Found) -> None:
    """Count what was looked at for the first time: a reader that waits for a slot looks at the same records again."""
    looked, filtered = seen.counted
    count(ctx, mapping, "PolledEventCount", max(0, found.looked - looked))
    count(ctx, mapping, "FilteredOutEventCount", max(0, found.filtered - filtered))
    seen.counted = (max(looked, found.looked), max(filtered, found.filtered))


def _nothing(ctx: Context, at: Place, seen: Seen, found: Found) -> Effect | Wait | None:
    """No record for the function: the shard's end, a window's end, what has expired, or a wait."""
    reader = at.reader
    if reader.parts:
        expired = reader.parts[0] if not found.looked else None
        following = replace(reader, checkpoint=reader.parts[0].end, parts=reader.parts[1:], failures=0, retry_at=0.0)
        _take_step(ctx, at, Step(following, expired), TOO_OLD, b"")
        return None
    window = reader.window
    if window is not None and (found.full or found.ended or ctx.now >= window.end):
        return _last_of_window(ctx, at)
    if found.ended:
        gathering.forget(ctx, at.key)
        ctx.tx.put(reader_key(at.key), replace(reader, done=True, checkpoint=found.last))
        wake_shards(ctx, at.mapping.place)
        return None
    if found.wait is None or seen.skipped >= _REMEMBERED:
        gathering.forget(ctx, at.key)
        ctx.tx.put(reader_key(at.key), replace(reader, checkpoint=found.last))
        wake_reader(ctx, at.key)
        return None
    return Wait(found.wait.on, math.inf if window is None else window.end)


def _version(ctx: Context, at: Place, first_at: float) -> Version | Wait:
    """The version to run, or a Wait for a free slot of the function, as long as the records are young enough."""
    version = free_version(ctx, at.mapping)
    if version is not None:
        return version
    reserved = at.mapping.function.function(ctx).reserved is not None
    until = min(ctx.now + (_SLOT_LOST_S if reserved else _ACCOUNT_FULL_S), first_at + _age_limit(at.mapping))
    turns.wait(ctx, at.mapping.slot, at.key)
    return Wait(function_key(*at.mapping.slot), until)


def _run(ctx: Context, at: Place, found: Found) -> Effect | Wait:
    version = _version(ctx, at, found.items[0].at)
    if isinstance(version, Wait):
        return version
    window, end = None, _TAIL
    if at.mapping.tumbling_s:
        window = windows.opened(at.reader, found.items, at.mapping.tumbling_s)
        end = windows.tail(window, str(at.key[3]), at.mapping.source_arn, final=False, early=False)
    payload = _HEAD + b",".join(found.bodies) + end
    batch = Batch(at.key, tuple(found.items), found.last, payload, window)
    ctx.follow(found.traces, at=at.mapping.source_arn)
    age_ms = (ctx.now - found.items[-1].at) * 1000
    metering.count(ctx, at.mapping.function, "IteratorAge", age_ms, "Milliseconds")
    count(ctx, at.mapping, "InvokedEventCount", len(found.items))
    return _begin(ctx, at, version, batch)


def _last_of_window(ctx: Context, at: Place) -> Effect | Wait:
    window = at.reader.window
    assert window is not None
    version = _version(ctx, at, math.inf)
    if isinstance(version, Wait):
        return version
    early = ctx.now < window.end
    end = windows.tail(window, str(at.key[3]), at.mapping.source_arn, final=True, early=early)
    return _begin(ctx, at, version, Batch(at.key, (), at.reader.checkpoint, _HEAD + end, window, final=True))


def _begin(ctx: Context, at: Place, version: Version, batch: Batch) -> Effect:
    mapping = at.mapping
    invocation = invocation_of(ctx, mapping.function, batch.payload, ctx.request_id)

    def settle(later: Context, run: Run, outcome: InvocationResult | EffectFailed) -> None:
        _settled(later, batch, run, outcome)

    effect = begin(ctx, mapping.function, version, invocation, settle)
    turns.poller_takes(ctx, mapping.slot)
    _running(ctx)[batch.key] = ctx.pipeline.store.fate
    return effect


def _settled(ctx: Context, batch: Batch, run: Run, outcome: InvocationResult | EffectFailed) -> None:
    _running(ctx).pop(batch.key, None)
    at = _place(ctx, batch.key)
    if at is None:  # the mapping is gone
        return
    if isinstance(outcome, EffectFailed) and outcome.code == "RuntimesClosed":
        wake_reader(ctx, batch.key)
        return
    state = windows.state_in(outcome.payload) if isinstance(outcome, InvocationResult) and batch.window else None
    verdict = _verdict(at.mapping, batch, run, outcome, state)
    if batch.final:
        step = windows.closed(at.reader, verdict, at.mapping.retries, ctx.now)
    else:
        step = judged(at.reader, at.mapping, batch.items, batch.last, verdict, ctx.now)
        done = batch.items[: verdict.failed]
        if batch.window is not None and state is not None and done:
            step = replace_reader(step, windows.kept(step.reader, batch.window, state, done[-1]))
    failed = 0 if verdict.failed is None else len(batch.items) - verdict.failed
    note(ctx, at.mapping, FAILED if verdict.failed == 0 else OK)
    count(ctx, at.mapping, "FailedInvokeEventCount", failed)
    _take_step(ctx, at, step, EXHAUSTED, batch.payload)


def replace_reader(step: Step, reader: Reader) -> Step:
    """The same step, with what else changed of the reader."""
    return Step(reader, step.discarded)


def _verdict(
    mapping: Mapping, batch: Batch, run: Run, outcome: InvocationResult | EffectFailed, state: bytes | None
) -> Verdict:
    request_id, version = run.invocation.request_id, run.version.label
    if isinstance(outcome, EffectFailed):
        return Verdict(0, counts=False, status=500, request_id=request_id, version=version)
    failed: int | None = None
    if outcome.function_error is not None or (batch.window is not None and not batch.final and state is None):
        failed = 0
    elif mapping.partial and not batch.final:
        failed = first_failure(outcome.payload, [item.sequence for item in batch.items])
    return Verdict(failed, error=outcome.function_error or "", request_id=request_id, version=version)


def _take_step(ctx: Context, at: Place, step: Step, condition: str, payload: bytes) -> None:
    """Write where the reader is now, report what it gave up, and have it go on."""
    if step.discarded is not None:
        discards.report(ctx, at.mapping, str(at.key[3]), step.discarded, condition, payload)
    gathering.forget(ctx, at.key)
    ctx.tx.put(reader_key(at.key), step.reader)
    wake_reader(ctx, at.key)


def is_running(ctx: Context, key: Key) -> bool:
    """Whether this reader's function runs."""
    begun = _running(ctx).get(key)
    return begun is not None and not begun.failed


def _running(ctx: Context) -> dict[Key, Fate]:
    """The readers whose function runs, with what became of the commit that began it."""
    found: dict[Key, Fate] = ctx.pipeline.volatile.setdefault("lambda.readers", {})
    return found
