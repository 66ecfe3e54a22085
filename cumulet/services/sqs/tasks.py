"""Operations on message move tasks, which bring dead letters back (redrive.py does it)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.sqs import rows
from cumulet.services.sqs.errors import (
    InvalidParameterValue,
    ResourceNotFoundException,
    UnsupportedOperation,
    invalid,
)
from cumulet.services.sqs.lookup import queue_of
from cumulet.services.sqs.model import ROOT, Open, Queue
from cumulet.services.sqs.redrive import CANCELLED, RUNNING, Task, forget, tasks_of

_Json = dict[str, Any]
_FASTEST = 500
_SHOWN = 10
_ACTIVE = 100


def start_message_move_task(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """Begin to move a dead-letter queue's messages to DestinationArn, or each to the queue it came from.

    Moved messages are new ones: another id, sent now. Limits: one task at a time for a queue, 100 for an account, 500 messages per
    second; a task runs 36 hours at most.
    Raises: ResourceNotFoundException, UnsupportedOperation, InvalidParameterValue.
    Source: SQS API_StartMessageMoveTask; developer guide, "Learn how to configure a dead-letter queue redrive" (read 2026-11).
    """
    arn = req["SourceArn"]
    source = _source(ctx, arn)
    if not any(True for _ in ctx.tx.scan_keys((ROOT, "source", arn), limit=1)):
        raise InvalidParameterValue("Source queue must be configured as a Dead Letter Queue.")
    per_second = req.get("MaxNumberOfMessagesPerSecond", 0)
    if "MaxNumberOfMessagesPerSecond" in req and not 1 <= per_second <= _FASTEST:
        raise invalid(
            per_second, "MaxNumberOfMessagesPerSecond", f"Must be an integer between 1 and {_FASTEST}, if provided."
        )
    destination_arn = req.get("DestinationArn", "")
    if destination_arn:
        _check_destination(ctx, source, destination_arn)
    earlier = tasks_of(ctx, arn, 1)
    if earlier and earlier[0].status == RUNNING:
        raise UnsupportedOperation(
            "There is already a task running. Only one active task is allowed for a source queue arn at a given time."
        )
    if _active(ctx, source) >= _ACTIVE:
        raise UnsupportedOperation(f"There are already {_ACTIVE} active tasks in this account.")
    o = Open(ctx, source)
    rows.settle(o, rows.SETTLED_AT_ONCE)
    task = Task(
        handle=ctx.ids.uuid(),
        source_arn=arn,
        started=ctx.now,
        to_move=o.counts.ready,
        destination_arn=destination_arn,
        per_second=per_second,
        number=earlier[0].number + 1 if earlier else 1,
    )
    ctx.tx.put(task.key, task)
    ctx.tx.put((ROOT, "task-handle", task.handle), msgspec.msgpack.encode([arn, task.number]))
    for old in tasks_of(ctx, arn, _SHOWN + 10)[_SHOWN:]:
        forget(ctx, old)
    ctx.tx.wake(ctx.now, "sqs.move", (arn, task.number))
    rows.close(o)
    return {"TaskHandle": task.handle}


def _active(ctx: Context, source: Queue) -> int:
    """The tasks that run in a queue's account and region."""
    place = source.arn.removesuffix(source.name)
    return sum(
        task.status == RUNNING and task.source_arn.startswith(place) for _, task in ctx.tx.scan((ROOT, "task"), Task)
    )


def _source(ctx: Context, arn: str) -> Queue:
    source = queue_of(ctx, arn)
    if source is None:
        raise ResourceNotFoundException("The resource that you specified for the SourceArn parameter doesn't exist.")
    return source


def _check_destination(ctx: Context, source: Queue, arn: str) -> None:
    destination = queue_of(ctx, arn)
    if destination is None:
        raise ResourceNotFoundException(
            "The resource that you specified for the DestinationArn parameter doesn't exist."
        )
    if destination.uid == source.uid:
        raise InvalidParameterValue("Source queue arn and destination queue arn cannot be the same.")
    if destination.fifo != source.fifo:
        raise InvalidParameterValue("Source queue and destination queue must be of the same type.")


def list_message_move_tasks(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """The newest tasks of a dead-letter queue, 1 by default, 10 at most.

    Raises: ResourceNotFoundException, InvalidParameterValue.
    Source: SQS API_ListMessageMoveTasks (read 2026-11).
    """
    _source(ctx, req["SourceArn"])
    limit = req.get("MaxResults", 1)
    if not 1 <= limit <= _SHOWN:
        raise invalid(limit, "MaxResults", f"Must be an integer between 1 and {_SHOWN}, if provided.")
    return {"Results": [_shown(task) for task in tasks_of(ctx, req["SourceArn"], limit)]}


def _shown(task: Task) -> _Json:
    found: _Json = {
        "Status": task.status,
        "SourceArn": task.source_arn,
        "ApproximateNumberOfMessagesMoved": task.moved,
        "ApproximateNumberOfMessagesToMove": task.to_move,
        "StartedTimestamp": int(task.started * 1000),
    }
    for name, value in (
        ("DestinationArn", task.destination_arn),
        ("MaxNumberOfMessagesPerSecond", task.per_second),
        ("FailureReason", task.failure),
        ("TaskHandle", task.handle if task.status == RUNNING else ""),
    ):
        if value:
            found[name] = value
    return found


def cancel_message_move_task(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """Stop a running task; what it has moved stays moved.

    Raises: ResourceNotFoundException for an unknown handle; UnsupportedOperation for a task that has ended.
    Source: SQS API_CancelMessageMoveTask (read 2026-11).
    """
    raw = ctx.tx.get_bytes((ROOT, "task-handle", req["TaskHandle"]))
    if raw is None:
        raise ResourceNotFoundException("Task does not exist.")
    arn, number = msgspec.msgpack.decode(raw)
    task = ctx.tx.get((ROOT, "task", arn, -number), Task)
    if task is None:
        raise ResourceNotFoundException("Task does not exist.")
    if task.status != RUNNING:
        raise UnsupportedOperation("Only active tasks can be cancelled.")
    ctx.tx.put(task.key, replace(task, status=CANCELLED))
    return {"ApproximateNumberOfMessagesMoved": task.moved}
