"""One resource's step, in one transaction: create, update, replace, restore or delete it, or look whether it is ready.

Crash: before the commit nothing happened, and the timer is still there. After it the resource's record says what is next,
and its timer is set. A step whose operation answers with an Effect is in phase *perform*: the kernel repeats such a timer
after a crash, and the step runs again under the same generated name. A settlement whose serial is no longer the
record's is void.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Effect
from cumulet.kernel.record import replace
from cumulet.kernel.resource import Created, Properties, PropertiesInvalid, Resource, Scope
from cumulet.services.cloudformation import engine, intrinsics, outputs, parameters
from cumulet.services.cloudformation.environment import (
    StackEnvironment,
    current_plan,
    expand,
    types_of,
)
from cumulet.services.cloudformation.history import mark
from cumulet.services.cloudformation.model import (
    Revision,
    Stack,
    StackResource,
    Version,
    revision_of,
    stack_at,
)
from cumulet.services.cloudformation.template import takes_snapshot, type_of

log = logging.getLogger("cumulet")

_FIRST_POLL_S, _LAST_POLL_S = 0.05, 2.0
_REPLACING = "Requested update requires the creation of a new physical resource; hence creating one."
_GONE_STATUS = 404
_GONE_ENDINGS = ("NotFound", "NotFoundException", "NotFoundFault", "DoesNotExist", "NoSuchEntity")
_GONE_STARTS = ("NoSuch", "NonExistent")


def resource(ctx: Context, key: Key) -> Effect | None:
    """Timer: do the step of one resource."""
    stack = stack_at(ctx, str(key[2]))
    if stack is None:
        return None
    record = ctx.tx.get(stack.under("resource", str(key[3])), StackResource)
    if record is None or record.serial != key[4] or record.polls != key[5] or not record.phase:
        return None
    if record.phase == "wait":
        _look(ctx, stack, record)
        return None
    if record.todo == "delete":
        return _delete(ctx, stack, record)
    if record.todo == "restore":
        return _restore(ctx, stack, record)
    return _apply(ctx, stack, record)


def _apply(ctx: Context, stack: Stack, record: StackResource) -> Effect | None:
    revision, data, plan = current_plan(ctx, stack)
    planned = plan.resources[record.logical_id]
    env = StackEnvironment(ctx, stack, revision, data)
    try:
        properties = intrinsics.resolve(planned.properties, env)
    except AwsError as error:
        _fail(ctx, stack, record, error.message)
        return None
    outputs.imported(ctx, stack, env.imports)
    record = replace(record, now=replace(record.now, properties=properties, imports=sorted(env.imports)))
    kind = _kind(ctx, record)
    secrets = parameters.secrets_of(data, revision.parameters)
    before = record.before
    if before is None:
        return _run(ctx, stack, record, "create", kind.create, properties)
    if before.properties == properties and not _tags_changed(ctx, stack, kind):
        ctx.tx.put(stack.under("resource", record.item), replace(record, todo="", phase=""))
        engine.finished(ctx, stack, record.item)
        return None
    changed = {
        name for name in {*before.properties, *properties} if before.properties.get(name) != properties.get(name)
    }
    replaced = kind.replaces is not None and kind.replaces(properties, before.properties)
    if (kind.update is None and changed) or changed & kind.replace_on or replaced:
        fresh = replace(record.now, physical_id="", attributes={}, suffix=ctx.ids.upper(engine.SUFFIX_LENGTH))
        if kind.name in properties and before.properties.get(kind.name or "") == properties[kind.name or ""]:
            _fail(ctx, stack, record, "CloudFormation cannot update a stack when a custom-named resource requires replacing. "
                  f"Rename {properties[kind.name or '']} and update the stack again.")  # fmt: skip
            return None
        record = mark(ctx, stack, replace(record, change="replace", now=fresh), "UPDATE_IN_PROGRESS", _REPLACING,
                      physical_id=before.physical_id, secrets=secrets)  # fmt: skip
        return _run(ctx, stack, record, "create", kind.create, properties)
    record = mark(ctx, stack, replace(record, change="modify"), "UPDATE_IN_PROGRESS", secrets=secrets)
    return _update(ctx, stack, record, kind, properties, before.properties)


def _tags_changed(ctx: Context, stack: Stack, kind: Resource) -> bool:
    if kind.update is None or "Tags" not in kind.properties or not stack.previous:
        return False
    return revision_of(ctx, stack, stack.revision).tags != revision_of(ctx, stack, stack.previous).tags


def _update(
    ctx: Context, stack: Stack, record: StackResource, kind: Resource, new: Properties, old: Properties
) -> Effect | None:
    change = kind.update
    if change is None:  # only tags, on a type that cannot take them later
        return _made(ctx, stack, record, Created(record.now.physical_id, record.now.attributes))

    def updated(call: Any, properties: Properties, scope: Scope) -> Created | Effect:
        return change(call, properties, _named(kind, expand(ctx, old), stack, record.item, record.now), scope)

    return _run(ctx, stack, record, "update", updated, new)


def _restore(ctx: Context, stack: Stack, record: StackResource) -> Effect | None:
    kind, before = _kind(ctx, record), record.before
    assert before is not None
    old = record.now.properties
    record = mark(
        ctx, stack, replace(record, now=replace(before, physical_id=record.now.physical_id)), "UPDATE_IN_PROGRESS"
    )
    return _update(ctx, stack, record, kind, before.properties, old)


def _delete(ctx: Context, stack: Stack, record: StackResource) -> Effect | None:
    kind = type_of(types_of(ctx), record.now.type)
    if kind is None:
        _fail(ctx, stack, record, f"{record.now.type} is no longer supported by this Cumulet")
        return None
    act = kind.delete
    policy = record.now.replace_policy if "#" in record.item else record.now.deletion_policy
    unborn = "ROLLBACK" in stack.status and ("#" in record.item or record.born == stack.operation)
    if kind.snapshot is not None and takes_snapshot(kind, policy) and not unborn:
        act = kind.snapshot
    return _run(ctx, stack, record, "delete", act, record.now.properties)


def _kind(ctx: Context, record: StackResource) -> Resource:
    kind = type_of(types_of(ctx), record.now.type)
    assert kind is not None, f"{record.now.type} passed the check before"
    return kind


# running one


def _run(
    ctx: Context, stack: Stack, record: StackResource, verb: str, act: Callable[..., Any], properties: Properties
) -> Effect | None:
    """Call `act`; undo it when it raises; go on at once, or when its effect has settled."""
    kind = _kind(ctx, record)
    undo = ctx.tx.savepoint()
    try:
        full = _named(kind, expand(ctx, properties), stack, record.item, record.now)
        if verb != "delete":
            kind.check_members(full)
        outcome = act(_Caller(ctx, stack, kind.service), full, scope_of(ctx, stack, record))
    except Exception as error:
        ctx.tx.rollback(undo)
        _broke(ctx, stack, record, verb, error)
        return None
    if isinstance(outcome, Effect):
        ctx.tx.put(stack.under("resource", record.item), replace(record, phase="perform"))
        return _guarded(outcome, stack.uid, record, verb)
    _done(ctx, stack, record, verb, outcome)
    return None


def _guarded(effect: Effect, uid: str, record: StackResource, verb: str) -> Effect:
    settle = effect.settle

    def settled(ctx: Context, outcome: Any) -> Effect | None:
        stack = stack_at(ctx, uid)
        present = None if stack is None else ctx.tx.get(stack.under("resource", record.item), StackResource)
        if stack is None or present is None or present.serial != record.serial:
            return None
        undo = ctx.tx.savepoint()
        try:
            result = settle(ctx, outcome)
        except Exception as error:
            ctx.tx.rollback(undo)
            _broke(ctx, stack, present, verb, error)
            return None
        if isinstance(result, Effect):
            return _guarded(result, uid, record, verb)
        _done(ctx, stack, present, verb, result)
        return None

    return Effect(effect.kind, effect.args, settled, effect.durable)


def _done(ctx: Context, stack: Stack, record: StackResource, verb: str, outcome: Any) -> None:
    if verb == "delete":
        kind = _kind(ctx, record)
        if kind.gone is not None:
            _look(ctx, stack, replace(record, phase="wait"))
        else:
            _deleted(ctx, stack, record)
    else:
        _made(ctx, stack, record, outcome)


def _broke(ctx: Context, stack: Stack, record: StackResource, verb: str, error: Exception) -> None:
    if isinstance(error, PropertiesInvalid):
        reason = f"Properties validation failed for resource {record.logical_id} with message:\n{error.message}"
    elif isinstance(error, AwsError):
        if verb == "delete" and _is_gone(error):
            _deleted(ctx, stack, record)
            return
        reason = _reason(ctx, record, error)
    else:
        log.error("%s of %s (%s) broke", verb, record.item, record.now.type, exc_info=error)
        reason = f"Internal Failure ({type(error).__name__}: {error})"
    _fail(ctx, stack, record, reason)


def _reason(ctx: Context, record: StackResource, error: AwsError) -> str:
    """The error as CloudFormation reports it: message, service, status code, request id."""
    return (f"Resource handler returned message: \"{error.message} (Service: {_kind(ctx, record).service.capitalize()}, "
            f"Status Code: {error.http_status}, Request ID: {ctx.request_id})\" (HandlerErrorCode: {error.wire_code})")  # fmt: skip


def _is_gone(error: AwsError) -> bool:
    code = error.wire_code.rpartition(".")[2]
    return error.http_status == _GONE_STATUS or code.endswith(_GONE_ENDINGS) or code.startswith(_GONE_STARTS)


def _deleted(ctx: Context, stack: Stack, record: StackResource) -> None:
    record = mark(ctx, stack, record, "DELETE_COMPLETE", todo="", phase="")
    engine.forget_if_extra(ctx, stack, record)
    engine.finished(ctx, stack, record.item)


def _made(ctx: Context, stack: Stack, record: StackResource, created: Created) -> Effect | None:
    """The physical resource is there; wait until it is ready."""
    now = replace(
        record.now, physical_id=created.physical_id, attributes={**record.now.attributes, **created.attributes}
    )
    record = replace(record, now=now)
    if record.before is None or record.change == "replace":
        verb = "CREATE_IN_PROGRESS" if record.change == "create" else "UPDATE_IN_PROGRESS"
        record = mark(ctx, stack, record, verb, "Resource creation Initiated")
    _look(ctx, stack, record)
    return None


def _look(ctx: Context, stack: Stack, record: StackResource) -> None:
    """Is it ready, or gone? If not, look again soon."""
    kind = _kind(ctx, record)
    deleting = record.todo == "delete"
    test = kind.gone if deleting else kind.ready
    schedule = engine.schedule_of(ctx, stack)
    undo = ctx.tx.savepoint()
    try:
        call, scope = _Caller(ctx, stack, kind.service), scope_of(ctx, stack, record)
        ready = test is None or test(call, record.now.physical_id, scope)
        if isinstance(ready, Created):
            record = _renamed(record, ready)
        if ready and kind.attributes is not None and not deleting:
            more = dict(kind.attributes(call, record.now.physical_id, scope))
            record = replace(record, now=replace(record.now, attributes={**record.now.attributes, **more}))
    except Exception as error:
        ctx.tx.rollback(undo)
        _broke(ctx, stack, record, "delete" if deleting else "create", error)
        return
    if not ready and not deleting and schedule is not None and (schedule.failed or schedule.reason or schedule.then):
        _fail(ctx, stack, record, "Resource creation cancelled")
    elif not ready:
        record = replace(record, phase="wait", polls=record.polls + 1)
        ctx.tx.put(stack.under("resource", record.item), record)
        pause = min(_FIRST_POLL_S * 2 ** min(record.polls - 1, 10), _LAST_POLL_S)
        engine.wake_step(ctx, stack, record, ctx.now + pause)
    elif deleting:
        _deleted(ctx, stack, record)
    else:
        verb = "CREATE" if record.change == "create" else "UPDATE"
        if record.todo == "restore":
            record = replace(record, before=None, change="")
        mark(ctx, stack, record, f"{verb}_COMPLETE", todo="", phase="")
        engine.finished(ctx, stack, record.item)


def _renamed(record: StackResource, created: Created) -> StackResource:
    """The resource with the physical id that is known only now; another one than before makes the update a replacement."""
    before = record.before
    replaced = record.change == "modify" and before is not None and created.physical_id != before.physical_id
    now = replace(record.now, physical_id=created.physical_id, attributes=dict(created.attributes))
    return replace(record, now=now, change="replace" if replaced else record.change)


def _fail(ctx: Context, stack: Stack, record: StackResource, reason: str) -> None:
    verb = "DELETE" if record.todo == "delete" else "CREATE" if record.change == "create" else "UPDATE"
    if record.change == "replace" and record.before is not None and not record.now.physical_id:
        record = replace(record, now=record.before, change="")
    elif record.change == "modify" and record.todo == "apply" and record.before is not None:
        record = replace(record, now=replace(record.before, properties=record.before.properties))
    mark(ctx, stack, record, f"{verb}_FAILED", reason, todo="", phase="")
    engine.failed(ctx, stack, record.item)


# what a Resource gets


def generated_name(kind: Resource, stack: Stack, logical_id: str, suffix: str) -> str:
    """`{stack}-{logical id}-{suffix}`, cut to the type's length."""
    room = max(kind.name_max - len(suffix) - 2, 2)
    stack_name, logical = stack.name, logical_id
    if len(stack_name) + len(logical) > room:
        logical = logical[: max(room - len(stack_name), room // 2)]
        stack_name = stack_name[: room - len(logical)]
    name = f"{stack_name}-{logical}-{suffix}"
    return name.lower() if kind.name_lower else name


def _named(kind: Resource, properties: Properties, stack: Stack, item: str, version: Version) -> Properties:
    if kind.name is None or kind.name in properties:
        return dict(properties)
    return {**properties, kind.name: generated_name(kind, stack, item.partition("#")[0], version.suffix)}


def _revision_for(ctx: Context, stack: Stack) -> Revision:
    return revision_of(ctx, stack, stack.revision)


def scope_of(ctx: Context, stack: Stack, record: StackResource) -> Scope:
    kind = _kind(ctx, record)
    tags = {
        **_revision_for(ctx, stack).tags, "aws:cloudformation:stack-name": stack.name, "aws:cloudformation:stack-id": stack.id,
        "aws:cloudformation:logical-id": record.logical_id,
    }  # fmt: skip
    return Scope(
        account=stack.account, region=stack.region, stack_name=stack.name, stack_id=stack.id, logical_id=record.logical_id,
        physical_id=record.now.physical_id or None, tags=tags, now=ctx.now,
        generated_name=generated_name(kind, stack, record.logical_id, record.now.suffix),
    )  # fmt: skip


class _Caller:
    """`call(operation, **request)` on behalf of the stack."""

    def __init__(self, ctx: Context, stack: Stack, service: str) -> None:
        self._ctx = ctx
        self._service = service
        self._principal = stack.principal

    def __call__(self, operation: str, /, **request: Any) -> Any:
        if operation.startswith("cumulet:"):
            return self._ctx.call(self._service, operation, request, principal=self._principal)
        service, colon, name = operation.partition(":")
        if not colon:
            service, name = self._service, operation
        request = self._ctx.pipeline.coerce(service, name, request)
        unknown = self._ctx.pipeline.strangers(service, name, request)
        if unknown:
            raise PropertiesInvalid(
                "\n".join(f"#{path}: extraneous key [{key}] is not permitted" for path, key in unknown)
            )
        return self._ctx.call(service, name, request, principal=self._principal)
