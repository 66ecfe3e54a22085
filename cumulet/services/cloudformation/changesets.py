"""Operations on change sets: a planned create or update, looked at before it is executed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.cloudformation import engine, prepare
from cumulet.services.cloudformation.environment import plan_for
from cumulet.services.cloudformation.errors import (
    AlreadyExistsException,
    ChangeSetNotFound,
    InvalidChangeSetStatus,
    ValidationError,
)
from cumulet.services.cloudformation.history import move
from cumulet.services.cloudformation.launch import launch
from cumulet.services.cloudformation.lifecycle import (
    INITIATED,
    begin_update,
    drop_change_set,
    need_updatable,
    new_stack,
)
from cumulet.services.cloudformation.lookup import change_sets_of, find_change_set, find_stack, need_stack, page
from cumulet.services.cloudformation.model import NAME, ChangeSet, Named, Stack, revision_of
from cumulet.services.cloudformation.parameters import shown_parameters

if TYPE_CHECKING:
    from cumulet.services.cloudformation import api


def create_change_set(ctx: Context, req: api.CreateChangeSetRequest) -> api.CreateChangeSetResult:
    """Plan a create or an update. A stack that is to be created waits in REVIEW_IN_PROGRESS.

    The change set is there at once; a serverless template is transformed first, and what is wrong with it makes the change
    set FAILED. One without changes is FAILED too. A request repeated with its ClientToken gets the first one's answer.
    Raises: AlreadyExistsException, InsufficientCapabilitiesException, ValidationError, NotImplementedOnCumulet.
    Source: CloudFormation API_CreateChangeSet (read 2026-11).
    """
    kind = req.get("ChangeSetType", "UPDATE")
    if kind == "IMPORT":
        raise NotImplementedOnCumulet("cloudformation: ChangeSetType IMPORT is not supported by Cumulet.")
    stack = find_stack(ctx, req["StackName"], deleted=False)
    present = next((c for c in change_sets_of(ctx, stack) if c.name == req["ChangeSetName"]), None) if stack else None
    if stack is not None and present is not None:
        if req.get("ClientToken") and present.client_token == req["ClientToken"]:
            return {"Id": present.id, "StackId": stack.id}
        raise AlreadyExistsException(f"ChangeSet {req['ChangeSetName']} already exists")
    if kind == "CREATE":
        if stack is not None and stack.status != "REVIEW_IN_PROGRESS":
            raise ValidationError(
                f"Stack [{stack.name}] already exists and cannot be created again with the changeSet [{req['ChangeSetName']}]."
            )
    else:
        if stack is None:
            raise ValidationError(f"Stack [{req['StackName']}] does not exist")
        need_updatable(stack)
    revision, data = prepare.new_revision(ctx, req, stack, reviewed=True)
    if stack is None:
        stack = new_stack(ctx, req["StackName"], req, "review")
    change_set = ChangeSet(
        uid=ctx.ids.uuid(), name=req["ChangeSetName"], stack=stack.uid, account=ctx.account, region=ctx.region,
        revision=revision.id, kind=kind, status="CREATE_PENDING", execution="UNAVAILABLE", created=ctx.now,
        description=req.get("Description", ""), on_failure=req.get("OnStackFailure", ""), client_token=req.get("ClientToken", ""),
    )  # fmt: skip
    ctx.tx.put(change_set.key, change_set)
    ctx.tx.put((NAME, "changeset-stack", ctx.account, ctx.region, change_set.uid), Named(uid=stack.uid))
    launch(ctx, stack, revision, data, change_set)
    return {"Id": change_set.id, "StackId": stack.id}


def describe_change_set(ctx: Context, req: api.DescribeChangeSetRequest) -> api.DescribeChangeSetResult:
    """A change set and what it would do. Raises: ChangeSetNotFound, ValidationError.

    Source: CloudFormation API_DescribeChangeSet (read 2026-11).
    """
    stack, change_set = find_change_set(ctx, req)
    if req.get("IncludePropertyValues"):
        raise NotImplementedOnCumulet("cloudformation: IncludePropertyValues is not supported by Cumulet.")
    shown, token = page(change_set.changes, req.get("NextToken"))
    result: dict[str, Any] = {
        **_summary(stack, change_set), "NotificationARNs": [], "RollbackConfiguration": {}, "Capabilities": [], "Tags": [],
        "Changes": [{"Type": "Resource", "ResourceChange": change} for change in shown],
    }  # fmt: skip
    if change_set.on_failure:
        result["OnStackFailure"] = change_set.on_failure
    revision = revision_of(ctx, stack, change_set.revision)
    parameters = shown_parameters(revision.body, revision.parameters, revision.resolved)
    if parameters:
        result["Parameters"] = parameters
    result["Capabilities"] = list(revision.capabilities)
    result["Tags"] = [{"Key": key, "Value": value} for key, value in revision.tags.items()]
    if token:
        result["NextToken"] = token
    return cast("api.DescribeChangeSetResult", result)


def _summary(stack: Stack, change_set: ChangeSet) -> dict[str, Any]:
    result = {
        "StackId": stack.id, "StackName": stack.name, "ChangeSetId": change_set.id, "ChangeSetName": change_set.name,
        "ExecutionStatus": change_set.execution, "Status": change_set.status, "CreationTime": change_set.created,
        "IncludeNestedStacks": False,
    }  # fmt: skip
    if change_set.description:
        result["Description"] = change_set.description
    if change_set.reason:
        result["StatusReason"] = change_set.reason
    return result


def list_change_sets(ctx: Context, req: api.ListChangeSetsRequest) -> api.ListChangeSetsResult:
    """The change sets of a stack. Raises: ValidationError.

    Source: CloudFormation API_ListChangeSets (read 2026-11).
    """
    stack = need_stack(ctx, req["StackName"], "Stack [{}] does not exist")
    shown, token = page(change_sets_of(ctx, stack), req.get("NextToken"))
    result: api.ListChangeSetsResult = {
        "Summaries": cast("list[api.ChangeSetSummary]", [_summary(stack, change_set) for change_set in shown])
    }
    if token:
        result["NextToken"] = token
    return result


def execute_change_set(ctx: Context, req: api.ExecuteChangeSetRequest) -> api.ExecuteChangeSetResult:
    """Do what the change set says; the stack's other change sets are then gone.

    Raises: ChangeSetNotFound, InvalidChangeSetStatus, ValidationError.
    Source: CloudFormation API_ExecuteChangeSet (read 2026-11).
    """
    if req.get("RetainExceptOnCreate"):
        raise NotImplementedOnCumulet("cloudformation: RetainExceptOnCreate is not supported by Cumulet.")
    stack, change_set = find_change_set(ctx, req)
    if change_set.execution != "AVAILABLE":
        raise InvalidChangeSetStatus(
            f"ChangeSet [{change_set.id}] cannot be executed in its current status of [{change_set.status}]"
        )
    if change_set.kind == "CREATE":
        for other in change_sets_of(ctx, stack):
            if other.uid != change_set.uid:
                drop_change_set(ctx, stack, other)
    else:
        need_updatable(stack)
    ctx.tx.put(change_set.key, replace(change_set, execution="EXECUTE_COMPLETE"))
    revision = revision_of(ctx, stack, change_set.revision)
    data, _ = plan_for(ctx, stack, revision)
    stack = replace(stack, change_set=change_set.id, description=str(data.get("Description", "")))
    if change_set.kind == "CREATE":
        stack = move(
            ctx, stack, "create", INITIATED, revision=revision.id, client_token=req.get("ClientRequestToken", ""),
            disable_rollback=req.get("DisableRollback", False), on_failure=change_set.on_failure or "ROLLBACK",
        )  # fmt: skip
    else:
        disable = req.get("DisableRollback", False) or change_set.on_failure == "DO_NOTHING"
        stack = begin_update(ctx, stack, revision.id, {**req, "DisableRollback": disable})
    engine.begin_apply(ctx, stack)
    return {}


def delete_change_set(ctx: Context, req: api.DeleteChangeSetRequest) -> api.DeleteChangeSetResult:
    """Drop a change set that is not being executed; a missing one is fine. A stack that only waited for it stays.

    Raises: InvalidChangeSetStatus, ValidationError. Source: CloudFormation API_DeleteChangeSet (read 2026-11).
    """
    try:
        stack, change_set = find_change_set(ctx, req)
    except ChangeSetNotFound:
        return {}
    if change_set.execution == "EXECUTE_COMPLETE" and stack.status.endswith("_IN_PROGRESS"):
        raise InvalidChangeSetStatus(f"ChangeSet [{change_set.id}] cannot be deleted: it is being executed")
    drop_change_set(ctx, stack, change_set)
    return {}
