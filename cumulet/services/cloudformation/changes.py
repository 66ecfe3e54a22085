"""What a revision would change in a stack, as DescribeChangeSet tells it; whether there is anything to do at all.

A value that depends on a resource that is new or replaced is not known yet and counts as a change.
Source: CloudFormation API reference, "ResourceChange", "ResourceChangeDetail" (read 2026-11).
"""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.cloudformation import intrinsics
from cumulet.services.cloudformation.environment import StackEnvironment, Unknown, plan_for, types_of
from cumulet.services.cloudformation.errors import ValidationError
from cumulet.services.cloudformation.model import Revision, Stack, StackResource, resources_of, revision_of
from cumulet.services.cloudformation.template import Plan, Planned, takes_snapshot, type_of

Json = dict[str, Any]
_UNKNOWN: Any = object()


def changes_of(ctx: Context, stack: Stack, revision: Revision) -> list[Json]:
    """The resource changes in the order of execution, removals last."""
    check_same_types(ctx, stack, revision)
    data, plan = plan_for(ctx, stack, revision)
    there = {
        record.item: record
        for record in resources_of(ctx, stack)
        if record.now.physical_id and not record.status.startswith("DELETE_") and "#" not in record.item
    }
    unknown: set[str] = set()
    found: list[Json] = []
    tags_changed = bool(stack.revision) and revision_of(ctx, stack, stack.revision).tags != revision.tags
    for logical_id, planned in plan.resources.items():
        record = there.get(logical_id)
        if record is None:
            unknown.add(logical_id)
            found.append(
                {
                    "Action": "Add",
                    "LogicalResourceId": logical_id,
                    "ResourceType": planned.type,
                    "Scope": [],
                    "Details": [],
                }
            )
            continue
        env = StackEnvironment(ctx, stack, revision, data, frozenset(unknown))
        change = _modification(ctx, planned, record, env, tags_changed)
        if change is not None:
            found.append(change)
            if change["Replacement"] == "True":
                unknown.add(logical_id)
    for logical_id, record in there.items():
        if logical_id not in plan.resources:
            found.append({
                "Action": "Remove", "LogicalResourceId": logical_id, "PhysicalResourceId": record.now.physical_id,
                "ResourceType": record.now.type, "Scope": [], "Details": [],
                "PolicyAction": _policy_action(ctx, record),
            })  # fmt: skip
    return found


def _policy_action(ctx: Context, record: StackResource) -> str:
    if record.now.deletion_policy.startswith("Retain"):
        return "Retain"
    return (
        "Snapshot" if takes_snapshot(type_of(types_of(ctx), record.now.type), record.now.deletion_policy) else "Delete"
    )


def check_same_types(ctx: Context, stack: Stack, revision: Revision) -> None:
    """A resource keeps its type for life. Raises: ValidationError."""
    _, plan = plan_for(ctx, stack, revision)
    modified = [
        record.item for record in resources_of(ctx, stack)
        if record.now.physical_id and not record.status.startswith("DELETE_") and record.item in plan.resources
        and plan.resources[record.item].type != record.now.type
    ]  # fmt: skip
    if modified:
        raise ValidationError(
            "Update of resource type is not permitted. The new template modifies resource type of the following resources: "
            f"[{', '.join(modified)}]"
        )


def _modification(
    ctx: Context, planned: Planned, record: StackResource, env: StackEnvironment, tags_changed: bool
) -> Json | None:
    kind = type_of(types_of(ctx), planned.type)
    assert kind is not None
    details: list[Json] = []
    replacement = "False"
    for name in sorted({*planned.properties, *record.now.properties}):
        value = _value(planned.properties[name], env) if name in planned.properties else None
        if value == record.now.properties.get(name):
            continue
        recreate = "Always" if kind.update is None or name in kind.replace_on else "Never"
        evaluation = "Static"
        if value is _UNKNOWN:
            evaluation = "Dynamic"
            recreate = "Conditionally" if recreate == "Always" else recreate
        replacement = (
            {"Always": "True", "Conditionally": "Conditional"}.get(recreate, "False")
            if replacement != "True"
            else "True"
        )
        details.append({
            "Target": {"Attribute": "Properties", "Name": name, "RequiresRecreation": recreate},
            "Evaluation": evaluation, "ChangeSource": "DirectModification",
        })  # fmt: skip
    scope = ["Properties"] if details else []
    if tags_changed and not details and "Tags" in kind.properties and kind.update is not None:
        scope = ["Tags"]
        details.append(
            {
                "Target": {"Attribute": "Tags", "RequiresRecreation": "Never"},
                "Evaluation": "Static",
                "ChangeSource": "DirectModification",
            }
        )
    if planned.deletion_policy != record.now.deletion_policy:
        scope.append("DeletionPolicy")
        details.append(
            {
                "Target": {"Attribute": "DeletionPolicy", "RequiresRecreation": "Never"},
                "Evaluation": "Static",
                "ChangeSource": "DirectModification",
            }
        )
    if not details:
        return None
    return {
        "Action": "Modify", "LogicalResourceId": planned.logical_id, "PhysicalResourceId": record.now.physical_id,
        "ResourceType": planned.type, "Replacement": replacement, "Scope": scope, "Details": details,
    }  # fmt: skip


def _value(value: Any, env: StackEnvironment) -> Any:
    try:
        return intrinsics.resolve(value, env)
    except Unknown:
        return _UNKNOWN


def anything(ctx: Context, stack: Stack, revision: Revision, changes: list[Json]) -> bool:
    """Whether an update would do something: to resources, outputs, tags, or to what is remembered beside them."""
    if changes:
        return True
    before = revision_of(ctx, stack, stack.revision)
    if before.tags != revision.tags or before.role_arn != revision.role_arn:
        return True
    old_data, old = plan_for(ctx, stack, before)
    new_data, new = plan_for(ctx, stack, revision)
    if _beside(old) != _beside(new):
        return True
    now = _outputs(old, StackEnvironment(ctx, stack, before, old_data))
    return bool(now != _outputs(new, StackEnvironment(ctx, stack, revision, new_data)))


def _beside(plan: Plan) -> Json:
    return {name: (planned.metadata, planned.replace_policy) for name, planned in plan.resources.items()}


def _outputs(plan: Plan, env: StackEnvironment) -> Any:
    return {name: _value(body, env) for name, body in plan.outputs.items()}
