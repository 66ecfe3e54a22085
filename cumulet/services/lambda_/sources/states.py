"""The states of mappings, on the clock."""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import replace
from cumulet.services.lambda_.sources import queues, shards
from cumulet.services.lambda_.sources.model import STATES, Mapping, mapping_key

TRANSITION_S = 0.2


def begin(ctx: Context, mapping: Mapping) -> None:
    """Store a mapping whose state ends in -ing, and have it go on."""
    ctx.tx.put(mapping.key, mapping)
    ctx.tx.wake(ctx.now + TRANSITION_S, "lambda.source", mapping.place)


def go_on(ctx: Context, key: Key) -> None:
    """Timer lambda.source: a mapping comes into the state that it was meant to have, and its poller with it.

    A timer that was set for an earlier change finds a later one in its place, which has come or comes to the same end.
    """
    mapping = ctx.tx.get(mapping_key(*(str(part) for part in key)), Mapping)
    if mapping is None or (mapping.state, mapping.enabled) not in STATES:
        return
    state = STATES[mapping.state, mapping.enabled]
    if not state:
        ctx.tx.delete(mapping.key)
        (shards if mapping.stream else queues).forget(ctx, mapping)
        return
    ctx.tx.put(mapping.key, replace(mapping, state=state, modified=ctx.now))
    if state == "Enabled":
        (shards if mapping.stream else queues).listen(ctx, replace(mapping, state=state))
