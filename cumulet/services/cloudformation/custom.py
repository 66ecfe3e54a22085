"""Custom resources: a Lambda function makes the resource and answers by a PUT to the ResponseURL of its request.

The function is invoked asynchronously, as AWS does. The resource is polled until the answer is there, which the door
`cloudformation-response` takes in; it also wakes the resource's step. A function that never answers fails the resource
after ServiceTimeout seconds (3600). Crash: request and invocation are one transaction; the answer is another.
Source: CloudFormation user guide, "Custom resource request and response reference" (read 2026-11).
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, unquote

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.aws.http import DoorRequest, HttpRequest, HttpResponse
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record, replace
from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope
from cumulet.kernel.tx import TimerScope
from cumulet.services.cloudformation import engine
from cumulet.services.cloudformation.errors import ValidationError
from cumulet.services.cloudformation.intrinsics import text_of
from cumulet.services.cloudformation.model import NAME, Stack, resources_of

DOOR = "cloudformation-response"
TIMEOUT_S = 3600
MAX_ANSWER_BYTES = 4096
_CONTROL = ("ServiceToken", "ServiceTimeout")


class CustomRequest(Record):
    """The newest request to a custom resource's function; `answer` is its JSON."""

    token: str
    until: float
    answer: bytes = b""


def _key(account: str, region: str, uid: str, logical_id: str) -> Key:
    return (NAME, "custom", account, region, uid, logical_id)


def request(ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
    """Internal: invoke the function for a Create, Update or Delete. Raises: the function's errors, NotImplementedOnCumulet."""
    function: str = req["Properties"]["ServiceToken"]
    if not function.startswith("arn:") or function.split(":")[2] != "lambda":
        raise NotImplementedOnCumulet(
            f"A custom resource's ServiceToken must be a Lambda function; {function} is not supported by Cumulet."
        )
    stack_id: str = req["StackId"]
    token = ctx.ids.uuid()
    key = _key(ctx.account, ctx.region, stack_id.rpartition("/")[2], req["LogicalResourceId"])
    until = ctx.now + float(req["Properties"].get("ServiceTimeout", TIMEOUT_S))
    ctx.tx.put(key, CustomRequest(token=token, until=until))
    target = "/".join(quote(str(part), safe="") for part in key[2:])
    event: dict[str, Any] = {
        "RequestType": req["RequestType"], "ResponseURL": f"{ctx.endpoint}/_aws/{DOOR}/{token}/{target}", "StackId": stack_id,
        "RequestId": token, "LogicalResourceId": req["LogicalResourceId"], "ResourceType": req["ResourceType"],
        "ServiceToken": function, "ResourceProperties": _texts(req["Properties"]),
    }  # fmt: skip
    if "PhysicalResourceId" in req:
        event["PhysicalResourceId"] = req["PhysicalResourceId"]
    if "OldProperties" in req:
        event["OldResourceProperties"] = _texts(req["OldProperties"])
    ctx.call(
        "lambda", "Invoke", {"FunctionName": function, "InvocationType": "Event", "Payload": json.dumps(event).encode()}
    )
    return {}


def _texts(value: Any) -> Any:
    """Scalars as text: so a custom resource's function gets them."""
    if isinstance(value, dict):
        return {key: _texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return text_of(value)


def answer(ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
    """Internal: the function's answer, if there is one. Raises: ValidationError for FAILED and for none in time."""
    found = ctx.tx.get(
        _key(ctx.account, ctx.region, req["StackId"].rpartition("/")[2], req["LogicalResourceId"]), CustomRequest
    )
    if found is None or not found.answer:
        if found is None or ctx.now >= found.until:
            raise ValidationError(
                "CloudFormation did not receive a response from your Custom Resource. Please check your logs for requestId "
                f"[{found.token if found else ''}]."
            )
        return {}
    body: dict[str, Any] = json.loads(found.answer)
    if body.get("Status") != "SUCCESS":
        raise ValidationError(
            f"Received response status [FAILED] from custom resource. Message returned: {body.get('Reason', '')} (RequestId: {found.token})"
        )
    return {"Answer": body}


def response_door(ctx: Context, message: HttpRequest) -> HttpResponse:
    """The PUT of a function's answer; a later one, or one to an old request, changes nothing."""
    assert isinstance(message, DoorRequest)
    parts = [unquote(part) for part in message.rest.strip("/").split("/")]
    if message.method != "PUT" or len(parts) != 4:
        return HttpResponse(405 if message.method != "PUT" else 404)
    found = ctx.tx.get(_key(*parts), CustomRequest)
    if found is None or found.token != message.target:
        return HttpResponse(403)
    if found.answer:
        return HttpResponse(200)
    body = message.read_body()
    problem = _problem(body)
    if problem:
        body = json.dumps({"Status": "FAILED", "Reason": f"Invalid Response object: {problem}"}).encode()
    ctx.tx.put(_key(*parts), replace(found, answer=body))
    account, region, uid, logical_id = parts
    stack = ctx.tx.get((NAME, "stack", account, region, uid), Stack)
    if stack is not None:
        _wake(ctx, stack, logical_id)
    return HttpResponse(200)


def _problem(body: bytes) -> str:
    if len(body) > MAX_ANSWER_BYTES:
        return "Response object is too long."
    try:
        parsed = read_json(body)
    except NotJson:
        return "Response is not valid JSON."
    if not isinstance(parsed, dict) or parsed.get("Status") not in ("SUCCESS", "FAILED"):
        return "Value of property Status must be SUCCESS or FAILED"
    if parsed["Status"] == "SUCCESS" and not isinstance(parsed.get("PhysicalResourceId"), str):
        return "Value of property PhysicalResourceId must be of type String"
    return "" if isinstance(parsed.get("Data") or {}, dict) else "Value of property Data must be an object"


def _wake(ctx: Context, stack: Stack, logical_id: str) -> None:
    for record in resources_of(ctx, stack):
        if record.logical_id == logical_id and record.phase == "wait":
            ctx.tx.scope = TimerScope(account=stack.account, region=stack.region)
            engine.look_now(ctx, stack, record)


def _common(kind: str, p: Properties, scope: Scope) -> dict[str, Any]:
    return {
        "RequestType": kind, "StackId": scope.stack_id, "LogicalResourceId": scope.logical_id, "Properties": p,
        "ResourceType": "AWS::CloudFormation::CustomResource",
    }  # fmt: skip


def _create(call: Call, p: Properties, scope: Scope) -> Created:
    call("cumulet:CustomRequest", **_common("Create", p, scope))
    return Created(scope.generated_name)


def _update(call: Call, new: Properties, old: Properties, scope: Scope) -> Created:
    assert scope.physical_id is not None
    call(
        "cumulet:CustomRequest",
        PhysicalResourceId=scope.physical_id,
        OldProperties=old,
        **_common("Update", new, scope),
    )
    return Created(scope.physical_id)


def _delete(call: Call, p: Properties, scope: Scope) -> None:
    call("cumulet:CustomRequest", PhysicalResourceId=scope.physical_id, **_common("Delete", p, scope))


def _ready(call: Call, physical_id: str, scope: Scope) -> bool | Created:
    found = call("cumulet:CustomAnswer", StackId=scope.stack_id, LogicalResourceId=scope.logical_id).get("Answer")
    return Created(found["PhysicalResourceId"], found.get("Data") or {}) if found else False


def _gone(call: Call, physical_id: str, scope: Scope) -> bool:
    return bool(call("cumulet:CustomAnswer", StackId=scope.stack_id, LogicalResourceId=scope.logical_id))


CUSTOM_RESOURCE = Resource(
    type="AWS::CloudFormation::CustomResource",
    service="cloudformation",
    properties=frozenset({"*"}),
    required=frozenset({"ServiceToken"}),
    create=_create,
    update=_update,
    delete=_delete,
    replace_on=frozenset({"ServiceToken"}),
    ready=_ready,
    gone=_gone,
)
INTERNALS = {"cumulet:CustomRequest": request, "cumulet:CustomAnswer": answer}


def _handle(call: Call, p: Properties, scope: Scope) -> Created:
    return Created(scope.generated_name)


def _nothing(call: Call, p: Properties, scope: Scope) -> None:
    return None


WAIT_HANDLE = Resource(
    type="AWS::CloudFormation::WaitConditionHandle",
    service="cloudformation",
    properties=frozenset(),
    create=_handle,
    delete=_nothing,
)
CDK_METADATA = Resource(
    type="AWS::CDK::Metadata", service="cloudformation", properties=frozenset({"Analytics", "Modules"}), create=_handle, delete=_nothing,
    update=lambda call, new, old, scope: Created(scope.physical_id or ""),
)  # fmt: skip
