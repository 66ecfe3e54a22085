"""Idempotency: the only mechanism for client tokens and deduplication ids."""

from __future__ import annotations

from collections.abc import Callable

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import R, Record

ONCE = "~once"


class Remembered(Record):
    value: bytes
    until: float


def once(ctx: Context, key: Key | None, window_s: float, type_: type[R], make: Callable[[], R]) -> tuple[R, bool]:
    """(`make()`'s record, True) the first time a key is seen in `window_s`; then (the same record, False).

    Without a key it always makes. The memory of it ends with a timer at the end of the window.
    """
    if key is None:
        return make(), True
    full = (ONCE, *key)
    seen = ctx.tx.get(full, Remembered)
    codec = ctx.pipeline.store.codec
    if seen is not None and ctx.now < seen.until:
        return codec.decode(seen.value, type_), False
    made = make()
    ctx.tx.put(full, Remembered(value=codec.encode(made), until=ctx.now + window_s))
    ctx.tx.wake(ctx.now + window_s, "kernel.forget", key)
    return made, True


def forget(ctx: Context, key: Key) -> None:
    """Timer: drop what is remembered, unless it was renewed since."""
    seen = ctx.tx.get((ONCE, *key), Remembered)
    if seen is not None and seen.until <= ctx.now:
        ctx.tx.delete((ONCE, *key))
