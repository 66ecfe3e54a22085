"""Operations that create, update and delete stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.cloudformation import changes, engine, outputs, prepare, transforms
from cumulet.services.cloudformation.errors import AlreadyExistsException, ValidationError
from cumulet.services.cloudformation.history import move
from cumulet.services.cloudformation.launch import launch
from cumulet.services.cloudformation.lifecycle import INITIATED, begin_update, need_updatable, new_stack
from cumulet.services.cloudformation.lookup import check_name, find_stack, need_stack
from cumulet.services.cloudformation.model import (
    TRANSITIONS,
    StackResource,
    resources_of,
    revision_of,
)

if TYPE_CHECKING:
    from cumulet.services.cloudformation import api


def create_stack(ctx: Context, req: api.CreateStackRequest) -> api.CreateStackResult:
    """Create a stack; answers at once, the resources follow.

    Everything that the template says wrongly, and every type or property that is not here, is refused now. A request
    repeated with its ClientRequestToken gets the first one's answer.
    Raises: AlreadyExistsException, InsufficientCapabilitiesException, ValidationError, NotImplementedOnCumulet.
    Source: CloudFormation API_CreateStack (read 2026-11).
    """
    name = req["StackName"]
    check_name(name)
    present = find_stack(ctx, name)
    if present is not None:
        if req.get("ClientRequestToken") and req["ClientRequestToken"] == present.client_token:
            return {"StackId": present.id}
        raise AlreadyExistsException(f"Stack [{name}] already exists")
    if "OnFailure" in req and "DisableRollback" in req:
        raise ValidationError("You can specify either OnFailure or DisableRollback, but not both.")
    revision, data = prepare.new_revision(ctx, req, None)
    stack = new_stack(ctx, name, req, "create")
    stack = replace(
        stack, revision=revision.id, on_failure=req.get("OnFailure", "ROLLBACK"),
        disable_rollback=req.get("DisableRollback", False), timeout_minutes=req.get("TimeoutInMinutes"),
        termination_protection=req.get("EnableTerminationProtection", False),
    )  # fmt: skip
    ctx.tx.put(stack.key, stack)
    if stack.timeout_minutes:
        ctx.tx.wake(
            ctx.now + 60 * stack.timeout_minutes, "cloudformation.timeout", (stack.account, stack.region, stack.uid)
        )
    launch(ctx, stack, revision, data)
    return {"StackId": stack.id}


def update_stack(ctx: Context, req: api.UpdateStackRequest) -> api.UpdateStackResult:
    """Change a stack to another template, parameters or tags; answers at once, the resources follow.

    Raises: ValidationError (`No updates are to be performed.`, a stack in a state that cannot be updated),
    InsufficientCapabilitiesException, NotImplementedOnCumulet.
    Source: CloudFormation API_UpdateStack (read 2026-11).
    """
    stack = need_stack(ctx, req["StackName"], "Stack [{}] does not exist", deleted=False)
    token = req.get("ClientRequestToken", "")
    if token and token == stack.client_token:
        return {"StackId": stack.id}
    need_updatable(stack)
    revision, data = prepare.new_revision(ctx, req, stack)
    expanded = prepare.expand_macros(ctx, stack, revision, data)
    before = revision_of(ctx, stack, stack.revision)
    if transforms.is_serverless(expanded):
        same = (revision.body, revision.parameters, revision.tags) == (before.body, before.parameters, before.tags)
    else:
        revision = prepare.finish(ctx, stack, revision, expanded)
        same = not changes.anything(ctx, stack, revision, changes.changes_of(ctx, stack, revision))
    if same:
        raise ValidationError("No updates are to be performed.")
    stack = begin_update(ctx, stack, revision.id, req)
    launch(ctx, stack, revision, data)
    return {"StackId": stack.id}


def delete_stack(ctx: Context, req: api.DeleteStackRequest) -> api.DeleteStackResult:
    """Delete a stack and its resources, dependents first; one that does not exist is fine.

    RetainResources names resources to leave alone, for a stack in DELETE_FAILED.
    Raises: ValidationError (termination protection, a running update).
    Source: CloudFormation API_DeleteStack (read 2026-11).
    """
    if req.get("DeletionMode", "STANDARD") != "STANDARD":
        raise NotImplementedOnCumulet("cloudformation: DeletionMode is not supported by Cumulet.")
    stack = find_stack(ctx, req["StackName"], deleted=False)
    if stack is None or stack.status == "DELETE_IN_PROGRESS":
        return {}
    if stack.termination_protection:
        raise ValidationError(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
    if (stack.status, "delete") not in TRANSITIONS:
        raise ValidationError(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")
    retain = req.get("RetainResources", [])
    if retain and stack.status != "DELETE_FAILED":
        raise ValidationError("Retain Resources can be specified only when the stack is in DELETE_FAILED state.")
    creating = stack.status == "CREATE_IN_PROGRESS"
    stack = move(ctx, stack, "delete", INITIATED, retain=retain, client_token=req.get("ClientRequestToken", ""))
    for name in outputs.exports_of(ctx, stack):
        users = outputs.importers(ctx, stack, name)
        if users:
            move(
                ctx,
                stack,
                "failed",
                f"Delete canceled. Cannot delete export {name} as it is in use by {', '.join(users)}.",
            )
            return {}
    if creating and engine.schedule_of(ctx, stack) is not None:
        engine.interrupt(ctx, stack, "", then="delete")
    else:
        engine.begin_deletion(ctx, stack, resources_of(ctx, stack))
    return {}


def cancel_update_stack(ctx: Context, req: api.CancelUpdateStackRequest) -> api.CancelUpdateStackResult:
    """Stop an update and roll it back. Raises: ValidationError.

    Source: CloudFormation API_CancelUpdateStack (read 2026-11).
    """
    stack = need_stack(ctx, req["StackName"], "Stack [{}] does not exist", deleted=False)
    if stack.status != "UPDATE_IN_PROGRESS":
        raise ValidationError("CancelUpdateStack cannot be called from current stack status")
    if engine.schedule_of(ctx, stack) is None:
        engine.fail_apply(ctx, stack, INITIATED)
    else:
        engine.interrupt(ctx, stack, INITIATED)
    return {}


def continue_update_rollback(ctx: Context, req: api.ContinueUpdateRollbackRequest) -> api.ContinueUpdateRollbackResult:
    """Go on with a rollback that failed; ResourcesToSkip are taken as restored. Raises: ValidationError.

    Source: CloudFormation API_ContinueUpdateRollback (read 2026-11).
    """
    stack = need_stack(ctx, req["StackName"], "Stack [{}] does not exist", deleted=False)
    if stack.status != "UPDATE_ROLLBACK_FAILED":
        raise ValidationError(f"Stack:{stack.id} is in {stack.status} state and can not be continued to roll back.")
    for logical_id in req.get("ResourcesToSkip", []):
        record = ctx.tx.get(stack.under("resource", logical_id), StackResource)
        if record is None or record.status != "UPDATE_FAILED":
            raise ValidationError(f"Resource [{logical_id}] cannot be skipped: it is not in UPDATE_FAILED state.")
        now = record.before or record.now
        ctx.tx.put(
            stack.under("resource", logical_id),
            replace(record, status="UPDATE_COMPLETE", now=now, before=None, change=""),
        )
    engine.roll_back_update(ctx, move(ctx, stack, "continue", INITIATED))
    return {}


def update_termination_protection(
    ctx: Context, req: api.UpdateTerminationProtectionRequest
) -> api.UpdateTerminationProtectionResult:
    """Turn the protection against deletion on or off. Raises: ValidationError.

    Source: CloudFormation API_UpdateTerminationProtection (read 2026-11).
    """
    stack = need_stack(ctx, req["StackName"], "Stack [{}] does not exist", deleted=False)
    ctx.tx.put(stack.key, replace(stack, termination_protection=req["EnableTerminationProtection"]))
    return {"StackId": stack.id}


def rollback_stack(ctx: Context, req: api.RollbackStackRequest) -> api.RollbackStackResult:
    """Roll back a stack that was kept in CREATE_FAILED or UPDATE_FAILED. Raises: ValidationError.

    Source: CloudFormation API_RollbackStack (read 2026-11).
    """
    stack = need_stack(ctx, req["StackName"], "Stack [{}] does not exist", deleted=False)
    if (stack.status, "rollback") not in TRANSITIONS:
        raise ValidationError(f"Stack:{stack.id} is in {stack.status} state and can not be rolled back.")
    creating = stack.status == "CREATE_FAILED"
    stack = move(ctx, stack, "rollback", INITIATED)
    if creating:
        engine.begin_deletion(ctx, stack, resources_of(ctx, stack), rolled_back=True)
    else:
        engine.roll_back_update(ctx, stack)
    return {"StackId": stack.id}
