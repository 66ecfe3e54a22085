"""What an operation, a door or a timer handler may return besides its plain result: Effect and Wait.

Decide (a transaction) > perform (no transaction, outside the store) > settle (a transaction of its own).
A crash before the decision's commit leaves nothing; between decision and settlement the effect may have happened or
not: a request's effect is lost with its client, a timer's effect is performed again after the restart (the kernel
keeps the timer until the settlement commits), so what timers perform must bear repetition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cumulet.aws.errors import AwsError
from cumulet.kernel.keys import Key

if TYPE_CHECKING:
    from cumulet.kernel.context import Context

Result = dict[str, Any]
Settle = Callable[["Context", Any], Any]


@dataclass(slots=True)
class Effect:
    """Something slow or outside, performed after the deciding transaction committed.

    kind     which performer (registered in app.py): "invoke", "http", "process", ...
    args     what the performer gets: `await perform(effect_scope, *args)`
    settle   `settle(ctx, outcome)` in a transaction of its own; may return a result, another Effect, or a Wait.
             `outcome` is what the performer returned, or the exception (an EffectFailed) it raised.
    limit_s  real seconds after which `late()` answers the request; the effect goes on, and its settlement answers nobody
    durable  False: the answer need not wait for the settlement's commit to be on disk (log lines, metrics)
    """

    kind: str
    args: tuple[Any, ...]
    settle: Settle
    durable: bool = True
    limit_s: float | None = None
    late: Callable[[], Any] | None = None

    def then(self, after: Callable[[Context, Any], Any]) -> Effect:
        """This effect with `after(ctx, result)` applied to what `settle` returns, in the settlement's transaction."""
        first = self.settle
        return Effect(
            self.kind,
            self.args,
            lambda ctx, outcome: then(ctx, first(ctx, outcome), after),
            self.durable,
            self.limit_s,
            self.late,
        )


@dataclass(slots=True)
class Wait:
    """Nothing yet: park the request or timer, and run it again when `on` is written or signalled, or at `until`.

    What it wrote before it returned a Wait is undone, unless it is to `keep`: then it is committed, and the operation run again at
    once. (Timers do not keep; who passes another operation's Wait on need not.) A parked timer is taken up again after a crash.

    on       a key that a commit must write (exactly this key) or signal (`tx.signal`)
    until    epoch seconds; from then on `ctx.now >= until` and an operation must answer. math.inf: only when woken
    """

    on: Key
    until: float
    keep: bool = False


class EffectFailed(Exception):
    """A performer's failure that the settlement is to handle: `code` for programs, the text for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class EffectInterrupted(EffectFailed):
    """The server stops before the effect has an outcome. A request fails of it; a timer's is performed again at the next start."""


def then(ctx: Context, outcome: Any, after: Callable[[Context, Any], Any]) -> Any:
    """`after(ctx, outcome)`, at once for a plain result, or when an Effect has settled.

    This is how one operation builds on another that may take time:
    `return then(ctx, ctx.call("lambda", "Invoke", {...}), _respond)`.
    """
    if isinstance(outcome, Effect):
        return outcome.then(after)
    if isinstance(outcome, Wait):
        raise TypeError("an operation that waits for data cannot be called from inside another one")
    return after(ctx, outcome)


def settled(
    ctx: Context,
    start: Callable[[], Any],
    after: Callable[[Context, Any], Any],
    failed: Callable[[AwsError], Any],
) -> Any:
    """`after(ctx, start())`, once it has settled; `failed(error)` for an AwsError, whose writes are undone.

    What waits is handed on as it is: the request is run again when there is something.
    """
    mark = ctx.tx.savepoint()
    try:
        outcome = start()
    except AwsError as error:
        ctx.tx.rollback(mark)
        return failed(error)
    if isinstance(outcome, Effect):
        settle = outcome.settle
        outcome.settle = lambda c, result: settled(c, lambda: settle(c, result), after, failed)
        return outcome
    if isinstance(outcome, Wait):
        return outcome
    return after(ctx, outcome)
