"""Sets a revision going: at once, or after the serverless transform has worked on it outside the process."""

from __future__ import annotations

import json
from typing import Any

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Effect, EffectFailed
from cumulet.kernel.record import replace
from cumulet.services.cloudformation import changes, engine, prepare, transforms
from cumulet.services.cloudformation.environment import plan_for
from cumulet.services.cloudformation.errors import ValidationError
from cumulet.services.cloudformation.model import NAME, ChangeSet, Revision, Stack, stack_at

NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."


def launch(
    ctx: Context, stack: Stack, revision: Revision, data: dict[str, Any], change_set: ChangeSet | None = None
) -> None:
    """Begin the create or update that the stack's status says, or fill the change set.

    Raises: ValidationError and others for a template that can be judged now; a serverless one is judged later.
    """
    data = prepare.expand_macros(ctx, stack, revision, data)
    if not transforms.is_serverless(data):
        _ready(ctx, stack, prepare.finish(ctx, stack, revision, data), change_set)
        return
    ctx.tx.put(
        stack.under("revision", revision.id), replace(revision, unprocessed=json.dumps(data, ensure_ascii=False))
    )
    key: Key = (stack.account, stack.region, stack.uid, revision.id, change_set.uid if change_set else "")
    ctx.tx.wake(ctx.now, "cloudformation.transform", key)


def transform(ctx: Context, key: Key) -> Effect | None:
    """Timer: have the serverless transform done. After a crash it is done again; nothing was created yet."""
    _, _, uid, revision_id, change_set_uid = key
    stack = stack_at(ctx, str(uid))
    revision = None if stack is None else ctx.tx.get(stack.under("revision", str(revision_id)), Revision)
    if stack is None or revision is None or not revision.unprocessed:
        return None
    args = (revision.unprocessed.encode(), dict(revision.resolved), stack.region, stack.account)
    return Effect(
        "sam.transform", args, lambda c, outcome: _transformed(c, str(uid), revision, str(change_set_uid), outcome)
    )


def _transformed(ctx: Context, uid: str, revision: Revision, change_set_uid: str, outcome: Any) -> None:
    stack = stack_at(ctx, uid)
    if stack is None:
        return
    change_set = (
        ctx.tx.get((NAME, "changeset", stack.account, stack.region, uid, change_set_uid), ChangeSet)
        if change_set_uid
        else None
    )
    if (change_set_uid and change_set is None) or (
        not change_set_uid  # it was cancelled meanwhile, and perhaps another one begun
        and (stack.status not in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS") or stack.revision != revision.id)
    ):
        return
    undo = ctx.tx.savepoint()
    try:
        if isinstance(outcome, EffectFailed):
            raise ValidationError(f"Transform {transforms.SERVERLESS} failed with: {outcome.message}")
        finished = prepare.finish(ctx, stack, revision, json.loads(outcome))
        _ready(ctx, stack, finished, change_set)
    except AwsError as error:
        ctx.tx.rollback(undo)
        if change_set is not None:
            ctx.tx.put(
                change_set.key, replace(change_set, status="FAILED", execution="UNAVAILABLE", reason=error.message)
            )
        else:
            engine.fail_apply(ctx, stack, error.message)


def _ready(ctx: Context, stack: Stack, revision: Revision, change_set: ChangeSet | None) -> None:
    changes.check_same_types(ctx, stack, revision)
    if change_set is None:
        data, _ = plan_for(ctx, stack, revision)
        stack = replace(stack, description=str(data.get("Description", "")))
        ctx.tx.put(stack.key, stack)
        engine.begin_apply(ctx, stack)
        return
    found = changes.changes_of(ctx, stack, revision)
    if stack.revision and not changes.anything(ctx, stack, revision, found):
        change_set = replace(change_set, status="FAILED", execution="UNAVAILABLE", reason=NO_CHANGES)
    else:
        change_set = replace(change_set, status="CREATE_COMPLETE", execution="AVAILABLE", changes=found)
    ctx.tx.put(change_set.key, change_set)
