"""AWS::CloudFormation::Stack: a stack that is a resource of another one.

It is created, updated and deleted by this service's own operations; the parent waits until it has come to rest, and is
told by a timer when it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope
from cumulet.services.cloudformation.errors import ValidationError
from cumulet.services.cloudformation.intrinsics import text_of
from cumulet.services.cloudformation.lookup import need_stack
from cumulet.services.cloudformation.model import revision_of, stack_at
from cumulet.services.cloudformation.stacks import create_stack, update_stack

if TYPE_CHECKING:
    from cumulet.services.cloudformation import api

_NO_UPDATES = "No updates are to be performed."


def create_nested(ctx: Context, req: dict[str, Any]) -> api.CreateStackResult:
    """Internal: CreateStack on behalf of the stack `Parent`, with its capabilities."""
    parent = stack_at(ctx, req.pop("Parent"))
    assert parent is not None
    item = req.pop("Item")
    own = {**req, "Capabilities": revision_of(ctx, parent, parent.revision).capabilities}
    created = create_stack(ctx, cast("api.CreateStackRequest", own))
    stack = stack_at(ctx, created["StackId"].rpartition("/")[2])
    assert stack is not None
    root = parent.root or parent.id
    ctx.tx.put(stack.key, replace(stack, parent=parent.uid, parent_item=item, parent_name=parent.name, root=root))
    return created


def update_nested(ctx: Context, req: dict[str, Any]) -> api.UpdateStackResult:
    """Internal: UpdateStack on behalf of the stack `Parent`; nothing to update is fine."""
    parent = stack_at(ctx, req.pop("Parent"))
    assert parent is not None
    try:
        own = {**req, "Capabilities": revision_of(ctx, parent, parent.revision).capabilities}
        result = update_stack(ctx, cast("api.UpdateStackRequest", own))
        settled = False
    except ValidationError as error:
        if error.message != _NO_UPDATES:
            raise
        result, settled = {"StackId": req["StackName"]}, True
    stack = need_stack(ctx, req["StackName"])
    ctx.tx.put(stack.key, replace(stack, settled=settled))
    return result


def nested_state(ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
    """Internal: status, reason and outputs of a nested stack."""
    stack = need_stack(ctx, req["StackName"])
    outputs = {f"Outputs.{output['OutputKey']}": output["OutputValue"] for output in stack.outputs}
    return {"Status": stack.status, "Reason": stack.reason, "Outputs": outputs, "Settled": stack.settled}


def _request(p: Properties, scope: Scope) -> dict[str, Any]:
    own = {tag["Key"]: tag["Value"] for tag in p.get("Tags", [])}
    inherited = {key: value for key, value in scope.tags.items() if not key.startswith("aws:")}
    return {
        "TemplateURL": p["TemplateURL"], "Parent": scope.stack_id.rpartition("/")[2],
        "Parameters": [{"ParameterKey": k, "ParameterValue": text_of(v)} for k, v in p.get("Parameters", {}).items()],
        "Tags": [{"Key": key, "Value": text_of(value)} for key, value in {**inherited, **own}.items()],
    }  # fmt: skip


def _create(call: Call, p: Properties, scope: Scope) -> Created:
    request = _request(p, scope)
    if "TimeoutInMinutes" in p:
        request["TimeoutInMinutes"] = int(p["TimeoutInMinutes"])
    made = call("cumulet:CreateNested", StackName=scope.generated_name, Item=scope.logical_id, **request)
    return Created(made["StackId"])


def _update(call: Call, new: Properties, old: Properties, scope: Scope) -> Created:
    assert scope.physical_id is not None
    call("cumulet:UpdateNested", StackName=scope.physical_id, **_request(new, scope))
    return Created(scope.physical_id)


def _delete(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteStack", StackName=scope.physical_id)


def _ready(call: Call, physical_id: str, scope: Scope) -> bool:
    state = call("cumulet:NestedState", StackName=physical_id)
    status: str = state["Status"]
    if status.endswith("_IN_PROGRESS"):
        return False
    if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE") or (status == "UPDATE_ROLLBACK_COMPLETE" and state["Settled"]):
        return True
    verb = "updated" if status.startswith("UPDATE") else "created"
    raise ValidationError(f"Embedded stack {physical_id} was not successfully {verb}: {state['Reason'] or status}")


def _gone(call: Call, physical_id: str, scope: Scope) -> bool:
    state = call("cumulet:NestedState", StackName=physical_id)
    if state["Status"] == "DELETE_FAILED":
        raise ValidationError(f"Embedded stack {physical_id} was not successfully deleted: {state['Reason']}")
    return bool(state["Status"] == "DELETE_COMPLETE")


NESTED_STACK = Resource(
    type="AWS::CloudFormation::Stack",
    service="cloudformation",
    properties=frozenset({"Parameters", "Tags", "TemplateURL", "TimeoutInMinutes"}),
    required=frozenset({"TemplateURL"}),
    create=_create,
    update=_update,
    delete=_delete,
    name_max=128,
    ready=_ready,
    gone=_gone,
    attributes=lambda call, physical_id, scope: call("cumulet:NestedState", StackName=physical_id)["Outputs"],
)
INTERNALS = {
    "cumulet:CreateNested": create_nested, "cumulet:UpdateNested": update_nested, "cumulet:NestedState": nested_state,
}  # fmt: skip
