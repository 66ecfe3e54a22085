"""How many invocations run now, and whether one more may: reserved concurrency and the account's limit.

What runs lives in memory, as a crash ends every invocation. An entry has an end of its own, so that a slot whose
settlement never came (its client's transaction failed) is free again some time after the function's time-out. One that was
taken in a transaction that could not be written (a full disk) counts no more.
"""

from __future__ import annotations

from collections import Counter

from cumulet.kernel.context import Context
from cumulet.kernel.store import Fate
from cumulet.services.lambda_.errors import TooManyRequestsException
from cumulet.services.lambda_.model import Function, Version, provisioned_key, reserved_key

ACCOUNT_LIMIT = 1000
UNRESERVED_MINIMUM = 100
_GRACE_S = 60.0

Slot = tuple[str, str, str]  # account, region, function


class Running:
    """Invocations in progress, by function: request id -> when it is over at the latest, and what became of its beginning."""

    def __init__(self) -> None:
        self.by_function: dict[Slot, dict[str, tuple[float, Fate]]] = {}
        self.peaks: Counter[Slot] = Counter()  # the most of a function at once in this minute
        self.account_peaks: Counter[tuple[str, str]] = Counter()


def running(ctx: Context) -> Running:
    """This process's invocations in progress."""
    found: Running | None = ctx.pipeline.volatile.get("lambda.running")
    if found is None:
        found = ctx.pipeline.volatile["lambda.running"] = Running()
    return found


def acquire(ctx: Context, function: Function, version: Version, request_id: str, *, provisioned: bool = False) -> None:
    """Take a slot; a `provisioned` one is the function's already. Raises: TooManyRequestsException.

    Source: Lambda developer guide, "Configuring reserved concurrency for a function" (read 2026-11).
    """
    table = running(ctx)
    slot = (function.account, function.region, function.name)
    _check(ctx, function, provisioned)
    own = table.by_function.setdefault(slot, {})
    own[request_id] = (ctx.now + version.timeout_s + _GRACE_S, ctx.pipeline.store.fate)
    if len(own) > table.peaks[slot]:
        table.peaks[slot] = len(own)
        now = sum(len(each) for other, each in table.by_function.items() if other[:2] == slot[:2])
        table.account_peaks[slot[:2]] = max(table.account_peaks[slot[:2]], now)


def has_room(ctx: Context, function: Function) -> bool:
    """Whether one more invocation may run now."""
    try:
        _check(ctx, function, False)
    except TooManyRequestsException:
        return False
    return True


def _check(ctx: Context, function: Function, provisioned: bool) -> None:
    table = running(ctx)
    slot = (function.account, function.region, function.name)
    own = table.by_function.get(slot, {})
    if function.reserved is not None:
        if len(own) >= function.reserved and not _purged(ctx, own, function.reserved):
            raise TooManyRequestsException("Rate Exceeded.", reason="ReservedFunctionConcurrentInvocationLimitExceeded")
    elif not provisioned and (len(own) >= UNRESERVED_MINIMUM or len(table.by_function) > UNRESERVED_MINIMUM // 2):
        _check_account(ctx, table, slot)


def _purged(ctx: Context, own: dict[str, tuple[float, Fate]], limit: int) -> bool:
    for request_id in [r for r, (until, begun) in own.items() if until < ctx.now or begun.failed]:
        del own[request_id]
    return len(own) < limit


def _check_account(ctx: Context, table: Running, slot: Slot) -> None:
    limit = ACCOUNT_LIMIT - ctx.tx.counter(reserved_key(slot[0], slot[1])) - ctx.tx.counter(provisioned_key(*slot[:2]))
    pooled = pooled_by_function(ctx)
    used = 0
    for other, own in table.by_function.items():
        if other[:2] == slot[:2] and own:
            function = ctx.tx.get(("lambda", "function", *other), Function)
            if function is None or function.reserved is None:
                _purged(ctx, own, 0)
                used += len(own) - pooled[other]
    if used >= limit:
        raise TooManyRequestsException("Rate Exceeded.", reason="ConcurrentInvocationLimitExceeded")


def pooled_by_function(ctx: Context) -> Counter[Slot]:
    """How many of each function run in environments that are provisioned for it."""
    found: Counter[Slot] | None = ctx.pipeline.volatile.get("lambda.pooled")
    if found is None:
        found = ctx.pipeline.volatile["lambda.pooled"] = Counter()
    return found


def release(ctx: Context, slot: Slot, request_id: str) -> None:
    """Give a slot back."""
    table = running(ctx)
    own = table.by_function.get(slot)
    if own is not None:
        own.pop(request_id, None)
        if not own:
            del table.by_function[slot]


def count(ctx: Context, slot: Slot) -> int:
    """How many invocations of this function are in progress."""
    return len(running(ctx).by_function.get(slot, ()))
