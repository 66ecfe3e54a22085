"""How a stack comes into being and into an update: what the operations on stacks and on change sets share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.cloudformation.errors import ValidationError
from cumulet.services.cloudformation.history import move
from cumulet.services.cloudformation.lookup import change_sets_of, check_name
from cumulet.services.cloudformation.model import NAME, TRANSITIONS, ChangeSet, Named, Stack, named_key

INITIATED = "User Initiated"


def new_stack(ctx: Context, name: str, req: Mapping[str, Any], event: str) -> Stack:
    """A stack in its first status, stored with its name and first event. Raises: ValidationError."""
    check_name(name)
    stack = Stack(
        uid=ctx.ids.uuid(), name=name, account=ctx.account, region=ctx.region, status="", created=ctx.now,
        principal=req.get("RoleARN") or ctx.principal, client_token=req.get("ClientRequestToken", ""),
    )  # fmt: skip
    ctx.tx.put(named_key(ctx, name), Named(uid=stack.uid))
    return move(ctx, stack, event, INITIATED)


def need_updatable(stack: Stack) -> None:
    """Raises: ValidationError."""
    if (stack.status, "update") not in TRANSITIONS:
        raise ValidationError(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")


def begin_update(ctx: Context, stack: Stack, revision_id: str, req: Mapping[str, Any]) -> Stack:
    """The stack in UPDATE_IN_PROGRESS with a new revision; the one before is kept for a rollback.

    Change sets that were made for the stack as it was are gone.
    """
    for change_set in change_sets_of(ctx, stack):
        if change_set.revision != revision_id:
            drop_change_set(ctx, stack, change_set)
    if stack.previous:
        ctx.tx.delete(stack.under("revision", stack.previous))
    return move(
        ctx, stack, "update", INITIATED, revision=revision_id, previous=stack.revision, updated=ctx.now,
        disable_rollback=req.get("DisableRollback", False), client_token=req.get("ClientRequestToken", ""),
        principal=req.get("RoleARN") or ctx.principal or stack.principal,
    )  # fmt: skip


def drop_change_set(ctx: Context, stack: Stack, change_set: ChangeSet) -> None:
    """Forget a change set, and its revision unless the stack has it."""
    ctx.tx.delete(change_set.key)
    ctx.tx.delete((NAME, "changeset-stack", ctx.account, ctx.region, change_set.uid))
    if change_set.revision not in (stack.revision, stack.previous):
        ctx.tx.delete(stack.under("revision", change_set.revision))
