"""Operations that tell of stacks, their resources and events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from cumulet.kernel.context import Context
from cumulet.services.cloudformation import parameters
from cumulet.services.cloudformation.errors import ValidationError
from cumulet.services.cloudformation.lookup import need_stack, page
from cumulet.services.cloudformation.model import (
    NAME,
    Event,
    Stack,
    StackResource,
    resources_of,
    revision_of,
)

if TYPE_CHECKING:
    from cumulet.services.cloudformation import api

_NOT_CHECKED = {"StackDriftStatus": "NOT_CHECKED"}
_RESOURCE_NOT_CHECKED = {"StackResourceDriftStatus": "NOT_CHECKED"}


def describe_stacks(ctx: Context, req: api.DescribeStacksRequest) -> api.DescribeStacksResult:
    """The stacks with their parameters, tags and outputs; deleted ones only by their id. Raises: ValidationError.

    Source: CloudFormation API_DescribeStacks (read 2026-11).
    """
    if "StackName" in req:
        return {"Stacks": [_stack(ctx, need_stack(ctx, req["StackName"]))]}
    found = [stack for stack in _all(ctx) if stack.status != "DELETE_COMPLETE"]
    stacks, token = page(found, req.get("NextToken"))
    result: api.DescribeStacksResult = {"Stacks": [_stack(ctx, stack) for stack in stacks]}
    if token:
        result["NextToken"] = token
    return result


def list_stacks(ctx: Context, req: api.ListStacksRequest) -> api.ListStacksResult:
    """Summaries of all stacks, those deleted in the last 90 days included, newest first. Raises: ValidationError.

    Source: CloudFormation API_ListStacks (read 2026-11).
    """
    wanted = req.get("StackStatusFilter")
    found = [stack for stack in _all(ctx) if not wanted or stack.status in wanted]
    stacks, token = page(found, req.get("NextToken"))
    result: api.ListStacksResult = {"StackSummaries": [_summary(stack) for stack in stacks]}
    if token:
        result["NextToken"] = token
    return result


def _all(ctx: Context) -> list[Stack]:
    stacks = [stack for _, stack in ctx.tx.scan((NAME, "stack", ctx.account, ctx.region), Stack)]
    return sorted(stacks, key=lambda stack: -stack.created)


def _times(stack: Stack) -> dict[str, Any]:
    result: dict[str, Any] = {"CreationTime": stack.created}
    if stack.updated is not None:
        result["LastUpdatedTime"] = stack.updated
    if stack.deleted is not None:
        result["DeletionTime"] = stack.deleted
    return result


def _summary(stack: Stack) -> api.StackSummary:
    result = {
        "StackId": stack.id, "StackName": stack.name, **_times(stack), "StackStatus": stack.status,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }  # fmt: skip
    if stack.description:
        result["TemplateDescription"] = stack.description
    if stack.reason:
        result["StackStatusReason"] = stack.reason
    return cast("api.StackSummary", {**result, **_nesting(ctx=None, stack=stack)})


def _nesting(ctx: Context | None, stack: Stack) -> dict[str, Any]:
    if not stack.parent:
        return {}
    prefix = f"arn:aws:cloudformation:{stack.region}:{stack.account}:stack"
    result = {"ParentId": f"{prefix}/{stack.parent_name}/{stack.parent}"}
    if stack.root:
        result["RootId"] = stack.root
    return result


def _stack(ctx: Context, stack: Stack) -> api.Stack:
    result: dict[str, Any] = {
        "StackId": stack.id, "StackName": stack.name, **_times(stack), "StackStatus": stack.status,
        "DisableRollback": stack.disable_rollback, "RollbackConfiguration": {}, "NotificationARNs": [], "Capabilities": [],
        "Tags": [], "DriftInformation": dict(_NOT_CHECKED), "EnableTerminationProtection": stack.termination_protection,
        **_nesting(ctx, stack),
    }  # fmt: skip
    if stack.reason:
        result["StackStatusReason"] = stack.reason
    if stack.description:
        result["Description"] = stack.description
    if stack.timeout_minutes:
        result["TimeoutInMinutes"] = stack.timeout_minutes
    if stack.change_set:
        result["ChangeSetId"] = stack.change_set
    if stack.outputs and stack.status != "DELETE_COMPLETE":
        result["Outputs"] = [dict(output) for output in stack.outputs]
    if stack.revision:
        revision = revision_of(ctx, stack, stack.revision)
        result["Capabilities"] = list(revision.capabilities)
        result["Tags"] = [{"Key": key, "Value": value} for key, value in revision.tags.items()]
        shown = parameters.shown_parameters(revision.body, revision.parameters, revision.resolved)
        if shown:
            result["Parameters"] = shown
        if revision.role_arn:
            result["RoleARN"] = revision.role_arn
    return cast("api.Stack", result)


def describe_stack_events(ctx: Context, req: api.DescribeStackEventsRequest) -> api.DescribeStackEventsResult:
    """A stack's events, newest first. Raises: ValidationError.

    Source: CloudFormation API_DescribeStackEvents (read 2026-11).
    """
    stack = _named(ctx, req)
    events = [event for _, event in ctx.tx.scan(stack.under("event"), Event, reverse=True)]
    shown, token = page(events, req.get("NextToken"))
    result: api.DescribeStackEventsResult = {"StackEvents": [_event(stack, event) for event in shown]}
    if token:
        result["NextToken"] = token
    return result


def _named(ctx: Context, req: Mapping[str, Any]) -> Stack:
    if "StackName" not in req:
        raise ValidationError(
            "1 validation error detected: Value null at 'stackName' failed to satisfy constraint: Member must not be null"
        )
    return need_stack(ctx, req["StackName"], "Stack [{}] does not exist")


def _event(stack: Stack, event: Event) -> api.StackEvent:
    result: api.StackEvent = {
        "StackId": stack.id, "EventId": event.id, "StackName": stack.name, "LogicalResourceId": event.logical_id,
        "PhysicalResourceId": event.physical_id, "ResourceType": event.type, "Timestamp": event.at,
        "ResourceStatus": event.status,
    }  # fmt: skip
    if event.reason:
        result["ResourceStatusReason"] = event.reason
    if event.properties:
        result["ResourceProperties"] = event.properties
    if event.token:
        result["ClientRequestToken"] = event.token
    return result


def _shown(ctx: Context, stack: Stack) -> list[StackResource]:
    """The resources that were begun, replaced ones that wait for their clean-up apart."""
    return [record for record in resources_of(ctx, stack) if record.status and "#" not in record.item]


def _resource(stack: Stack, record: StackResource, time: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "LogicalResourceId": record.logical_id, "ResourceType": record.now.type, time: record.at,
        "ResourceStatus": record.status, "DriftInformation": dict(_RESOURCE_NOT_CHECKED),
    }  # fmt: skip
    if record.now.physical_id:
        result["PhysicalResourceId"] = record.now.physical_id
    if record.reason:
        result["ResourceStatusReason"] = record.reason
    return result


def _resource_summary(stack: Stack, record: StackResource) -> api.StackResourceSummary:
    return cast("api.StackResourceSummary", _resource(stack, record, "LastUpdatedTimestamp"))


def list_stack_resources(ctx: Context, req: api.ListStackResourcesRequest) -> api.ListStackResourcesResult:
    """Summaries of a stack's resources. Raises: ValidationError.

    Source: CloudFormation API_ListStackResources (read 2026-11).
    """
    stack = need_stack(ctx, req["StackName"])
    records, token = page(_shown(ctx, stack), req.get("NextToken"))
    result: api.ListStackResourcesResult = {
        "StackResourceSummaries": [_resource_summary(stack, record) for record in records]
    }
    if token:
        result["NextToken"] = token
    return result


def describe_stack_resources(ctx: Context, req: api.DescribeStackResourcesRequest) -> api.DescribeStackResourcesResult:
    """Up to 100 resources of a stack, found by the stack or by one's physical id. Raises: ValidationError.

    Source: CloudFormation API_DescribeStackResources (read 2026-11).
    """
    if ("StackName" in req) == ("PhysicalResourceId" in req):
        raise ValidationError("You must specify either StackName or PhysicalResourceId, but not both.")
    if "StackName" in req:
        stack = need_stack(ctx, req["StackName"])
    else:
        stack = _holder(ctx, req["PhysicalResourceId"])
    wanted = req.get("LogicalResourceId")
    records = [record for record in _shown(ctx, stack) if wanted in (None, record.logical_id)]
    named = {"StackName": stack.name, "StackId": stack.id}
    found = [{**named, **_resource(stack, record, "Timestamp")} for record in records[:100]]
    return {"StackResources": cast("list[api.StackResource]", found)}


def _holder(ctx: Context, physical_id: str) -> Stack:
    for stack in _all(ctx):
        if stack.status != "DELETE_COMPLETE" and any(r.now.physical_id == physical_id for r in _shown(ctx, stack)):
            return stack
    raise ValidationError(f"Stack for {physical_id} does not exist")


def describe_stack_resource(ctx: Context, req: api.DescribeStackResourceRequest) -> api.DescribeStackResourceResult:
    """One resource of a stack, with its metadata. Raises: ValidationError.

    Source: CloudFormation API_DescribeStackResource (read 2026-11).
    """
    stack = need_stack(ctx, req["StackName"], "Stack '{}' does not exist")
    record = ctx.tx.get(stack.under("resource", req["LogicalResourceId"]), StackResource)
    if record is None or not record.status:
        raise ValidationError(f"Resource {req['LogicalResourceId']} does not exist for stack {stack.name}")
    detail = {"StackName": stack.name, "StackId": stack.id, **_resource(stack, record, "LastUpdatedTimestamp")}
    revision = revision_of(ctx, stack, stack.revision)
    body = json.loads(revision.processed or "{}").get("Resources", {}).get(record.logical_id, {})
    if "Metadata" in body:
        detail["Metadata"] = json.dumps(body["Metadata"])
    return {"StackResourceDetail": cast("api.StackResourceDetail", detail)}
