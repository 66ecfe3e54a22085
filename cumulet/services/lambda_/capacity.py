"""How many invocations run now, and whether one more may: reserved concurrency and the account's limit.

What runs lives in memory, as a crash ends every invocation. An entry has an end of its own, so that a slot whose
settlement never came (its client's transaction failed) is free again some time after the function's time-out.
"""

from __future__ import annotations

from collections import deque

from cumulet.kernel.context import Context
from cumulet.services.lambda_.errors import TooManyRequestsException
from cumulet.services.lambda_.model import Function, Version, reserved_key

ACCOUNT_LIMIT = 1000
UNRESERVED_MINIMUM = 100
_GRACE_S = 60.0

Slot = tuple[str, str, str]  # account, region, function


class Running:
    """Invocations in progress, by function: request id -> when it is over at the latest."""

    def __init__(self) -> None:
        self.by_function: dict[Slot, dict[str, float]] = {}
        self.waiting: dict[Slot, deque[str]] = {}  # queued events that found no capacity


def running(ctx: Context) -> Running:
    """This process's invocations in progress."""
    found: Running | None = ctx.pipeline.volatile.get("lambda.running")
    if found is None:
        found = ctx.pipeline.volatile["lambda.running"] = Running()
    return found


def acquire(ctx: Context, function: Function, version: Version, request_id: str) -> None:
    """Take a slot. Raises: TooManyRequestsException.

    Source: Lambda developer guide, "Configuring reserved concurrency for a function" (read 2026-11).
    """
    table = running(ctx)
    slot = (function.account, function.region, function.name)
    own = table.by_function.get(slot)
    if own is None:
        own = table.by_function[slot] = {}
    if function.reserved is not None:
        if len(own) >= function.reserved and not _purged(ctx, own, function.reserved):
            raise TooManyRequestsException("Rate Exceeded.", reason="ReservedFunctionConcurrentInvocationLimitExceeded")
    elif len(own) >= UNRESERVED_MINIMUM or len(table.by_function) > UNRESERVED_MINIMUM // 2:
        _check_account(ctx, table, slot)
    own[request_id] = ctx.now + version.timeout_s + _GRACE_S


def _purged(ctx: Context, own: dict[str, float], limit: int) -> bool:
    for request_id in [r for r, until in own.items() if until < ctx.now]:
        del own[request_id]
    return len(own) < limit


def _check_account(ctx: Context, table: Running, slot: Slot) -> None:
    limit = ACCOUNT_LIMIT - ctx.tx.counter(reserved_key(slot[0], slot[1]))
    used = 0
    for other, own in table.by_function.items():
        if other[:2] == slot[:2] and own:
            function = ctx.tx.get(("lambda", "function", *other), Function)
            if function is None or function.reserved is None:
                _purged(ctx, own, 0)
                used += len(own)
    if used >= limit:
        raise TooManyRequestsException("Rate Exceeded.", reason="ConcurrentInvocationLimitExceeded")


def release(ctx: Context, slot: Slot, request_id: str) -> None:
    """Give a slot back; the queued event that has waited longest for this function is due now."""
    table = running(ctx)
    own = table.by_function.get(slot)
    if own is not None:
        own.pop(request_id, None)
        if not own:
            del table.by_function[slot]
    if table.waiting:
        first = next_waiting(ctx, slot)
        if first is not None:
            ctx.tx.wake(ctx.now, "lambda.promote", (*slot, first))


def count(ctx: Context, slot: Slot) -> int:
    """How many invocations of this function are in progress."""
    return len(running(ctx).by_function.get(slot, ()))


def is_running(ctx: Context, slot: Slot, request_id: str) -> bool:
    """Whether this very invocation is in progress."""
    return request_id in running(ctx).by_function.get(slot, ())


def wait(ctx: Context, slot: Slot, request_id: str) -> None:
    """Remember a queued event that found no capacity."""
    running(ctx).waiting.setdefault(slot, deque()).append(request_id)


def next_waiting(ctx: Context, slot: Slot) -> str | None:
    """Take the queued event that has waited longest for a slot of this function."""
    table = running(ctx)
    waiting = table.waiting.get(slot)
    if not waiting:
        return None
    first = waiting.popleft()
    if not waiting:
        del table.waiting[slot]
    return first
