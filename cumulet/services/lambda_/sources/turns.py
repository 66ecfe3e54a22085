"""Turns at a throttled function's slots: queued events and the pollers of queues take them one after the other.

A worker of queued events goes on with its slot by itself, and a freed slot is offered to it first; so once it has had its turn, a
poller that waits comes next. All of it is memory: who waits in it asks again after a crash.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key

_CHANCE_S = 1.0

Slot = tuple[str, str, str]  # account, region, function


@dataclass(slots=True)
class Turns:
    """slots       what each listener waits for, by mapping; `waiting` is the same by slot
    event_last  whether a queued event had the last turn
    kept        since when a slot is kept for a listener
    """

    slots: dict[Key, Slot] = field(default_factory=dict)
    waiting: dict[Slot, set[Key]] = field(default_factory=dict)
    event_last: dict[Slot, bool] = field(default_factory=dict)
    kept: dict[Slot, float] = field(default_factory=dict)


def _turns(ctx: Context) -> Turns:
    found: Turns | None = ctx.pipeline.volatile.get("lambda.turns")
    if found is None:
        found = ctx.pipeline.volatile["lambda.turns"] = Turns()
    return found


def wait(ctx: Context, slot: Slot, place: Key) -> None:
    """A mapping's listener waits for a slot."""
    turns = _turns(ctx)
    turns.slots[place] = slot
    turns.waiting.setdefault(slot, set()).add(place)


def wait_no_more(ctx: Context, place: Key) -> None:
    """The listener looks itself now, or ends."""
    turns = _turns(ctx)
    slot = turns.slots.pop(place, None)
    if slot is not None:
        turns.waiting[slot].discard(place)
        if not turns.waiting[slot]:
            del turns.waiting[slot]


def poller_takes(ctx: Context, slot: Slot) -> None:
    """A poller has its turn."""
    turns = _turns(ctx)
    turns.event_last[slot] = False
    turns.kept.pop(slot, None)


def event_may(ctx: Context, slot: Slot) -> bool:
    """Whether a queued event may take a slot now. The one that had the last turn leaves it, for a second, to a listener that waits."""
    turns = _turns(ctx)
    if slot in turns.waiting and turns.event_last.get(slot, True):
        if ctx.now < turns.kept.setdefault(slot, ctx.now) + _CHANCE_S:
            return False
        del turns.kept[slot]
    if slot in turns.event_last:
        turns.event_last[slot] = True
    return True
