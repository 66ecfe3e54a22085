"""A stack's status and events, written together."""

from __future__ import annotations

import json
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.cloudformation.model import Event, Stack, StackResource, next_status

STACK_TYPE = "AWS::CloudFormation::Stack"
_MAX_REASON = 1024
_TICK_S = 0.001


def move(ctx: Context, stack: Stack, event: str, reason: str = "", **changes: Any) -> Stack:
    """The stack in the status that follows `event`, stored, with its event."""
    stack = replace(stack, status=next_status(stack.status, event), reason=reason[:_MAX_REASON], **changes)
    ctx.tx.put(stack.key, stack)
    note(ctx, stack, Event(
        id=ctx.ids.uuid(), logical_id=stack.name, physical_id=stack.id, type=STACK_TYPE, at=ctx.now, status=stack.status,
        reason=stack.reason, token=stack.client_token,
    ))  # fmt: skip
    return stack


def note(ctx: Context, stack: Stack, event: Event) -> None:
    """Add an event to the stack's history. It is a millisecond later than the one before at least, though the clock may stand still:
    SAM's CLI and others ask for events later than the last they saw."""
    number = ctx.tx.add(stack.under("events"))
    before = ctx.tx.get(stack.under("event", number - 1), Event)
    if before is not None:
        event = replace(event, at=max(event.at, before.at + _TICK_S))
    ctx.tx.put(stack.under("event", number), event)


def mark(
    ctx: Context,
    stack: Stack,
    record: StackResource,
    status: str,
    reason: str = "",
    *,
    physical_id: str | None = None,
    secrets: list[str] | None = None,
    **changes: Any,
) -> StackResource:
    """The resource in `status`, stored, with its event."""
    record = replace(record, status=status, reason=reason[:_MAX_REASON], at=ctx.now, **changes)
    ctx.tx.put(stack.under("resource", record.item), record)
    shown = json.dumps(record.now.properties, default=str)
    for secret in secrets or ():
        shown = shown.replace(json.dumps(secret)[1:-1], "****")
    note(ctx, stack, Event(
        id=f"{record.logical_id}-{status}-{ctx.ids.uuid()}", logical_id=record.logical_id, type=record.now.type, at=ctx.now,
        physical_id=record.now.physical_id if physical_id is None else physical_id, status=status, reason=record.reason,
        properties=shown, token=stack.client_token,
    ))  # fmt: skip
    return record
