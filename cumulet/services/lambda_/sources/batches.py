"""One batch of a queue's messages: received, filtered, given to the function; deleted, or left to come back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Effect, EffectFailed, Wait
from cumulet.kernel.record import replace
from cumulet.kernel.store import Fate
from cumulet.runtimes.model import InvocationResult
from cumulet.services.lambda_ import capacity, pools
from cumulet.services.lambda_.acting import SERVICE_PRINCIPAL, acting
from cumulet.services.lambda_.model import Function, Version
from cumulet.services.lambda_.running import Run, begin, chosen, invocation_of
from cumulet.services.lambda_.sources import turns
from cumulet.services.lambda_.sources.filters import wanted
from cumulet.services.lambda_.sources.model import TAKEN, Mapping, Taken, mapping_key, taken_key
from cumulet.services.lambda_.sources.records import PAYLOAD_LIMIT_BYTES, failed_of, payload_of, record_of

_ROUNDS = 20  # receives in one transaction, while filters let nothing pass
_SLOT_LOST_S, _ACCOUNT_FULL_S = 60.0, 1.0
OK, FAILED = "OK", "PROBLEM: Function call failed"

Json = dict[str, Any]
After = Callable[[Context, Mapping | None, Key, int], None]


@dataclass(slots=True, frozen=True)
class Batch:
    """What a poller's function runs with."""

    place: Key
    number: int
    queue_arn: str
    messages: tuple[Json, ...]
    partial: bool


def ask(ctx: Context, operation: str, mapping: Mapping, **request: Any) -> Any:
    """Ask SQS about a mapping's queue. Raises: its AwsErrors."""
    return told(ctx, operation, mapping.source_arn, acting(ctx, mapping.function), **request)


def told(ctx: Context, operation: str, queue_arn: str, principal: str = SERVICE_PRINCIPAL, **request: Any) -> Any:
    """Ask SQS about a queue. Raises: its AwsErrors."""
    return ctx.call("sqs", operation, {"QueueArn": queue_arn, **request}, principal=principal)


def take(ctx: Context, mapping: Mapping, number: int, after: After) -> Effect | Wait | None:
    """Receive a batch and run the function; `after(ctx, mapping, place, number)` is called in the settlement.

    Returns a Wait for messages or for a slot of the function where there is none; None where something was done and the next
    look may find more. Raises: ResourceNotFoundException (the function), SQS's AwsErrors.
    """
    function, version = mapping.function.function(ctx), chosen(ctx, mapping.function)
    if not _slot_is_free(ctx, mapping, function, version):
        backlog = ask(ctx, "cumulet:Backlog", mapping)
        if not backlog["Visible"]:
            wait: Wait = backlog["Wait"]
            return wait
        # The key is signalled when an invocation ends, and written when the reservation changes.
        return Wait(function.key, ctx.now + (_ACCOUNT_FULL_S if function.reserved is None else _SLOT_LOST_S))
    for rounds in range(_ROUNDS):
        got = ask(ctx, "cumulet:Poll", mapping, MaxNumberOfMessages=mapping.batch_size,
                  MaxBytes=PAYLOAD_LIMIT_BYTES)  # fmt: skip
        if "Wait" in got:
            return got["Wait"] if rounds == 0 else None
        messages, records = _filtered(ctx, mapping, got["Messages"])
        if messages:
            return _run(ctx, mapping, number, version, messages, records, after)
    return None


def free_version(ctx: Context, mapping: Mapping) -> Version | None:
    """The version that an invocation would run now; None while the function has no free concurrency.

    Raises: ResourceNotFoundException (the function).
    """
    version = chosen(ctx, mapping.function)
    return version if _slot_is_free(ctx, mapping, mapping.function.function(ctx), version) else None


def _slot_is_free(ctx: Context, mapping: Mapping, function: Function, version: Version) -> bool:
    """Whether `begin` is sure to find one; nothing else runs before it does."""
    if capacity.has_room(ctx, function):
        return True
    pool = pools.pool_for(ctx, function, mapping.function, version) if function.reserved is None else None
    return pool is not None and pools.has_room(ctx, mapping.function, pool)


def _filtered(ctx: Context, mapping: Mapping, received: list[Json]) -> tuple[list[Json], list[Json]]:
    """(messages, their records) that the filters let pass; the others are deleted from the queue."""
    messages: list[Json] = []
    records: list[Json] = []
    unwanted: list[str] = []
    for message in received:
        record = record_of(message, mapping.source_arn, mapping.region)
        if wanted(ctx, mapping.filters, record):
            messages.append(message)
            records.append(record)
        else:
            unwanted.append(message["ReceiptHandle"])
    if unwanted:
        ask(ctx, "cumulet:Delete", mapping, ReceiptHandles=unwanted)
    count(ctx, mapping, "PolledEventCount", len(received))
    count(ctx, mapping, "FilteredOutEventCount", len(unwanted))
    count(ctx, mapping, "DeletedEventCount", len(unwanted))
    return messages, records


def _run(
    ctx: Context, mapping: Mapping, number: int, version: Version, messages: list[Json], records: list[Json], after: After
) -> Effect:  # fmt: skip
    payload, fitting = payload_of(records)
    assert fitting, "a message of 1 MiB in JSON is shorter than a payload"
    if fitting < len(messages):
        ask(ctx, "cumulet:Return", mapping, ReceiptHandles=_handles(messages[fitting:]))
    batch = Batch(mapping.place, number, mapping.source_arn, tuple(messages[:fitting]), mapping.partial)
    ctx.follow([message["Trace"] for message in batch.messages], at=mapping.source_arn)
    invocation = invocation_of(ctx, mapping.function, payload, ctx.request_id)

    def settle(later: Context, run: Run, outcome: InvocationResult | EffectFailed) -> None:
        _settled(later, batch, outcome, after)

    effect = begin(ctx, mapping.function, version, invocation, settle)
    turns.poller_takes(ctx, mapping.slot)
    ctx.tx.put(
        taken_key(mapping.place, number), Taken(queue_arn=batch.queue_arn, handles=tuple(_handles(messages[:fitting])))
    )
    _running(ctx)[mapping.place, number] = ctx.pipeline.store.fate
    count(ctx, mapping, "InvokedEventCount", fitting)
    return effect


def _settled(ctx: Context, batch: Batch, outcome: InvocationResult | EffectFailed, after: After) -> None:
    _running(ctx).pop((batch.place, batch.number), None)
    ctx.tx.delete(taken_key(batch.place, batch.number))
    mapping = ctx.tx.get(mapping_key(*(str(part) for part in batch.place)), Mapping)
    with contextlib.suppress(AwsError):  # the queue is gone, and its messages with it
        if isinstance(outcome, EffectFailed) and outcome.code == "RuntimesClosed":
            told(ctx, "cumulet:Return", batch.queue_arn, ReceiptHandles=_handles(batch.messages))
        else:
            _end(ctx, batch, mapping, outcome)
    after(ctx, mapping, batch.place, batch.number)


def _end(ctx: Context, batch: Batch, mapping: Mapping | None, outcome: InvocationResult | EffectFailed) -> None:
    """Delete what succeeded; what failed comes back at the end of its visibility timeout."""
    identifiers = {message["MessageId"] for message in batch.messages}
    if isinstance(outcome, EffectFailed) or outcome.function_error is not None:
        failed = identifiers
    else:
        failed = failed_of(outcome.payload, identifiers) if batch.partial else set()
    done = [message for message in batch.messages if message["MessageId"] not in failed]
    if done:
        principal = acting(ctx, mapping.function) if mapping is not None else ""
        told(ctx, "cumulet:Delete", batch.queue_arn, principal, ReceiptHandles=_handles(done))
    if mapping is not None:
        note(ctx, mapping, FAILED if failed == identifiers else OK)
        count(ctx, mapping, "FailedInvokeEventCount", len(failed))
        count(ctx, mapping, "DeletedEventCount", len(done))


def give_back(ctx: Context, place: Key, number: int) -> None:
    """After a crash: what this poller's function had, is visible again at once and was not received."""
    key = taken_key(place, number)
    taken = ctx.tx.get(key, Taken)
    if taken is not None:
        ctx.tx.delete(key)
        with contextlib.suppress(AwsError):
            told(ctx, "cumulet:Return", taken.queue_arn, ReceiptHandles=list(taken.handles))


def all_given_back(ctx: Context) -> bool:
    """Whether the server's last end has left no message to functions that ended with it. Where it has, they are given back.

    All are, before the first poller receives: after an end that took longer than a visibility timeout, one poller would else receive
    what was another's, once more, and a queue's redrive policy would give it up.
    """
    begun: Fate | None = ctx.pipeline.volatile.get("lambda.given-back")
    if begun is not None and not begun.failed:
        return True
    ctx.pipeline.volatile["lambda.given-back"] = ctx.pipeline.store.fate
    found = [(key[2:-1], int(str(key[-1]))) for key in ctx.tx.scan_keys(TAKEN)]
    left = [poller for poller in found if not is_running(ctx, *poller)]
    for poller in left:
        give_back(ctx, *poller)
    return not left


def is_running(ctx: Context, place: Key, number: int) -> bool:
    """Whether this poller's function runs."""
    begun = _running(ctx).get((place, number))
    return begun is not None and not begun.failed


def _running(ctx: Context) -> dict[tuple[Key, int], Fate]:
    """The pollers whose function runs, with what became of the commit that began it."""
    found: dict[tuple[Key, int], Fate] = ctx.pipeline.volatile.setdefault("lambda.pollers", {})
    return found


def _handles(messages: list[Json] | tuple[Json, ...]) -> list[str]:
    return [message["ReceiptHandle"] for message in messages]


def note(ctx: Context, mapping: Mapping, result: str) -> None:
    """Keep the last result, where it is another one."""
    if mapping.result != result:
        ctx.tx.put(mapping.key, replace(mapping, result=result))


def count(ctx: Context, mapping: Mapping, metric: str, value: int) -> None:
    """Count messages or records, where the mapping wants to have them counted.

    Source: Lambda developer guide, "Event source mapping metrics" (read 2026-11).
    """
    if value and "EventCount" in mapping.metrics:
        ctx.at(mapping.account, mapping.region).meter(
            "AWS/Lambda", metric, float(value), "Count", EventSourceMappingUUID=mapping.uuid
        )
