"""What this process knows of each function's queue of events: who runs, what is ready, what is being attempted.

A lane is memory beside the durable queue in `events.py`, and holds nothing that a scan of the queue would not find again. Its workers are
chains of attempts: the settlement of one event takes the next one, so that under load an event costs two rows, its own
being written and deleted. A worker is named by the timer that started it; a worker whose timer fires while it is listed here is one
whose commit failed, and gives back what it had taken.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.tx import TIMER, Tx

AT_FIRST = 32
AT_MOST = 1000
READY_AT_MOST = 2000
TIMER_NAME = "lambda.event"
SPREAD_NAME = "lambda.spread"

Slot = tuple[str, str, str]  # account, region, function


@dataclass(slots=True)
class Lane:
    """One function's events in this process.

    ready     events that are due and have no timer of their own, in the order in which they are taken
    beyond    whether more of them are in the queue alone: a long queue costs no memory
    workers   worker -> (the event it attempts, since when)
    starting  workers whose timer was set and has not fired
    held      the worker that tries again after throttling, while there is no capacity
    """

    slot: Slot
    ready: OrderedDict[Key, None] = field(default_factory=OrderedDict)
    beyond: bool = False
    workers: dict[Key, tuple[Key, float]] = field(default_factory=dict)
    taken: set[Key] = field(default_factory=set)
    starting: OrderedDict[Key, None] = field(default_factory=OrderedDict)
    limit: int = AT_FIRST
    held: Key | None = None
    throttles: int = 0
    spread_at: float | None = None

    def wait(self, event: Key) -> None:
        """The event is due; somebody is sure to take it. Behind those that are in the queue alone it is one of them."""
        if len(self.ready) >= READY_AT_MOST:
            self.beyond = True
        if not self.beyond:
            self.ready[event] = None

    def begin(self, worker: Key, event: Key, now: float) -> None:
        """The worker attempts this event."""
        self.workers[worker] = (event, now)
        self.taken.add(event)
        self.held = None
        self.throttles = 0

    def end(self, worker: Key) -> Key | None:
        """The worker attempts nothing now; returns what it did attempt."""
        found = self.workers.pop(worker, None)
        if found is None:
            return None
        self.taken.discard(found[0])
        return found[0]

    def full(self, tx: Tx) -> bool:
        """Whether somebody is sure to take what is put into `ready`: enough workers, or one that waits for capacity.

        A worker counts while its timer's row is there: what a transaction that was undone had set is none.
        """
        if self.is_held(tx):
            return True
        while len(self.workers) + len(self.starting) >= self.limit:
            if len(self.workers) >= self.limit:
                return True
            first = next(iter(self.starting))
            if tx.get_bytes(_timer(first)) is not None:
                return True
            del self.starting[first]
        return False

    def is_held(self, tx: Tx) -> bool:
        """Whether a worker waits for capacity; the others need not ask for it meanwhile."""
        if self.held is not None and tx.get_bytes(_timer(self.held)) is None:
            self.held = None
        return self.held is not None

    def spreading(self, tx: Tx) -> bool:
        """Whether the timer that lets more workers start is set."""
        at = self.spread_at
        return at is not None and tx.get_bytes((TIMER, at, SPREAD_NAME, *self.slot)) is not None


def _timer(worker: Key) -> Key:
    return (TIMER, worker[3], TIMER_NAME, *worker)


def of(ctx: Context, slot: Slot) -> Lane:
    """The function's lane."""
    lanes = _lanes(ctx)
    found = lanes.get(slot)
    if found is None:
        found = lanes[slot] = Lane(slot)
    return found


def start(ctx: Context, lane: Lane, at: float, name: str) -> Key:
    """Set the timer of a worker of this lane; returns the worker."""
    worker = (*lane.slot, float(at), name)
    ctx.tx.wake(at, TIMER_NAME, worker)
    return worker


def freed(ctx: Context, slot: Slot | None, account: str, region: str) -> None:
    """Capacity fell free: the lane of this function, or else another one of the account that waits for it, goes on."""
    lanes = _lanes(ctx)
    lane = lanes.get(slot) if slot is not None else None
    if lane is None or lane.held is None:
        lane = next((each for each in lanes.values() if each.held and each.slot[:2] == (account, region)), None)
    if lane is not None:
        lane.held = None
        lane.starting[start(ctx, lane, ctx.now, f"freed {ctx.request_id}")] = None


def forget(ctx: Context, lane: Lane) -> None:
    """Drop the memory of a lane that has nothing to do."""
    if not lane.workers and not lane.starting and not lane.ready and lane.held is None:
        _lanes(ctx).pop(lane.slot, None)


def _lanes(ctx: Context) -> dict[Slot, Lane]:
    found: dict[Slot, Lane] | None = ctx.pipeline.volatile.get("lambda.lanes")
    if found is None:
        found = ctx.pipeline.volatile["lambda.lanes"] = {}
    return found
