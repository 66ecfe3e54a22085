"""Message move tasks at work: dead letters go back to where they came from, or to another queue.

A task moves some messages in each run of the timer `sqs.move`; the run that moves them counts them and sets the next, so a crash
loses and doubles nothing. Without MaxNumberOfMessagesPerSecond it goes as fast as it can.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record, replace
from cumulet.services.sqs import moving, rows, sending
from cumulet.services.sqs.lookup import queue_of
from cumulet.services.sqs.model import ROOT, Open, Queue
from cumulet.services.sqs.taking import Take, Taken

_Json = dict[str, Any]
_AT_ONCE = 100
RUNNING, COMPLETED, CANCELLED, FAILED = "RUNNING", "COMPLETED", "CANCELLED", "FAILED"
LONGEST_S = 36 * 3600
TOO_LONG = "TaskTimedOut"
NO_QUEUE, NO_SOURCE = "AWS.SimpleQueueService.NonExistentQueue", "CouldNotDetermineMessageSource"


class Task(Record):
    """One move of a dead-letter queue's messages."""

    handle: str
    source_arn: str
    started: float
    to_move: int
    number: int
    status: str = RUNNING
    destination_arn: str = ""
    per_second: int = 0
    moved: int = 0
    failure: str = ""

    @property
    def key(self) -> Key:
        return (ROOT, "task", self.source_arn, -self.number)


def tasks_of(ctx: Context, source_arn: str, limit: int | None = None) -> list[Task]:
    """A queue's tasks, the newest first."""
    return [task for _, task in ctx.tx.scan((ROOT, "task", source_arn), Task, limit=limit)]


def forget(ctx: Context, task: Task) -> None:
    ctx.tx.delete(task.key)
    ctx.tx.delete((ROOT, "task-handle", task.handle))


def move(ctx: Context, key: Key) -> None:
    """Timer sqs.move: move some messages of a task, and come again."""
    task = ctx.tx.get((ROOT, "task", key[0], -int(str(key[1]))), Task)
    if task is None or task.status != RUNNING:
        return
    source = queue_of(ctx, task.source_arn)
    if source is None:
        ctx.tx.put(task.key, replace(task, status=FAILED, failure=NO_QUEUE))
        return
    if ctx.now - task.started >= LONGEST_S:
        ctx.tx.put(task.key, replace(task, status=FAILED, failure=TOO_LONG))
        return
    wanted = min(task.per_second or _AT_ONCE, task.to_move - task.moved)
    o = Open(ctx, source)
    lifted = Take(o, wanted, 0, lift=True).run() if wanted > 0 else []
    failure, moved = "", 0
    for one in lifted:
        target = _target(ctx, task, one)
        if isinstance(target, str):
            failure = target
            break
        ctx.call("sqs", "cumulet:Redrive", {"Shelf": o, "Lifted": one, "Target": target})
        moved += 1
    for one in lifted[moved:]:
        rows.offer(o, one.seq, one.flight)
    rows.close(o)
    task = replace(task, moved=task.moved + moved)
    if failure:
        task = replace(task, status=FAILED, failure=failure)
    elif moved < wanted or task.moved >= task.to_move:
        task = replace(task, status=COMPLETED)
    else:
        ctx.tx.wake(ctx.now + (1.0 if task.per_second else 0.0), "sqs.move", key)
    ctx.tx.put(task.key, task)


def _target(ctx: Context, task: Task, one: Taken) -> Queue | str:
    """The queue that a message goes to, or why there is none."""
    arn = task.destination_arn or one.message.source
    if not arn:
        return NO_SOURCE
    target = queue_of(ctx, arn)
    return NO_QUEUE if target is None or target.arn == task.source_arn else target


def redrive(ctx: Context, req: _Json) -> _Json:
    """`cumulet:Redrive`: send a lifted message anew; a step of the message's own trace."""
    o: Open = req["Shelf"]
    one: Taken = req["Lifted"]
    target: Queue = req["Target"]
    scope = ctx.tx.scope
    ctx.follow([one.message.trace])
    ctx.span.via = o.queue.arn
    to = Open(ctx, target)
    body, where = moving.carry(o, one.seq, one.message, to)
    moved = msgspec.structs.replace(
        one.message,
        id=ctx.ids.uuid(),
        body=body,
        body_in=where,
        trace=ctx.trace,
        sent_ms=o.now_ms,
        arrived_ms=0,
        sequence=sending.sequence_number(to) if target.fifo else "",
        source="",
        receives_before=0,
        first_ms=0,
        delayed=False,
    )
    moving.place(to, moved)
    ctx.tx.scope = scope
    return {}
