"""The engine's planner: which resources may be worked on now, and what follows when none is left.

A stack operation goes through phases, one schedule each: *apply* (create and update what the template says), *restore*
(give updated resources their old properties back) and *delete* (what must go, dependents first). Every resource that
may start gets a timer of its own (`cloudformation.resource`), whose handler (steps.py) does one resource in one
transaction and comes back here with `finished` or `failed`; so a crash between any two leaves a schedule that the
remaining timers carry on with. The stack's states are `model.TRANSITIONS`.

A failure stops the phase: what has not begun is dropped, what waits is cancelled, an effect on its way is awaited.
"""

from __future__ import annotations

from collections.abc import Iterable

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import replace
from cumulet.services.cloudformation import outputs
from cumulet.services.cloudformation.environment import current_plan
from cumulet.services.cloudformation.errors import ValidationError
from cumulet.services.cloudformation.history import mark, move
from cumulet.services.cloudformation.model import (
    NAME,
    Schedule,
    Stack,
    StackResource,
    Version,
    named_key,
    resources_of,
    stack_at,
)
from cumulet.services.cloudformation.template import Planned

SUFFIX_LENGTH = 12
KEPT_AFTER_DELETION_S = 90 * 86400
_GONE = ("DELETE_COMPLETE", "DELETE_SKIPPED")


def begin_apply(ctx: Context, stack: Stack) -> None:
    """Start to make the stack what its revision says: a create or an update. The stack's status says so already."""
    _, _, plan = current_plan(ctx, stack)
    stack = replace(stack, operation=stack.operation + 1)
    ctx.tx.put(stack.key, stack)
    there = {record.item: record for record in resources_of(ctx, stack)}
    for item, planned in plan.resources.items():
        record = there.get(item)
        if record is None or not record.now.physical_id or record.status in _GONE:
            record = StackResource(item=item, now=_fresh(ctx, planned), change="create", born=stack.operation,
                                   serial=record.serial if record else 0)  # fmt: skip
        else:
            if record.change == "replace" and record.before is not None:  # of an update that failed and was kept
                _set_aside(ctx, stack, record, record.before)
            now = replace(_fresh(ctx, planned), suffix=record.now.suffix, physical_id=record.now.physical_id,
                          properties=record.now.properties, attributes=record.now.attributes)  # fmt: skip
            record = replace(record, now=now, before=record.now, change="")
        ctx.tx.put(stack.under("resource", item), replace(record, todo="apply", phase=""))
    waiting = {item: sorted(planned.needs) for item, planned in plan.resources.items()}
    _schedule(ctx, stack, Schedule(mode="apply", waiting=waiting))


def _fresh(ctx: Context, planned: Planned) -> Version:
    return Version(
        type=planned.type, suffix=ctx.ids.upper(SUFFIX_LENGTH), needs=sorted(planned.needs),
        deletion_policy=planned.deletion_policy, replace_policy=planned.replace_policy,
    )  # fmt: skip


def begin_deletion(ctx: Context, stack: Stack, records: Iterable[StackResource], rolled_back: bool = False) -> None:
    """Start to delete these resources, dependents first; what its policy retains is only noted."""
    doomed: dict[str, StackResource] = {}
    for record in records:
        if record.status in _GONE:
            continue
        if not record.now.physical_id or record.logical_id in stack.retain:
            _let_go(ctx, stack, record, skipped=bool(record.now.physical_id))
        elif _retained(stack, record, rolled_back):
            _let_go(ctx, stack, record, skipped=True)
        else:
            doomed[record.item] = replace(record, todo="delete", phase="")
            ctx.tx.put(stack.under("resource", record.item), doomed[record.item])
    waiting = {
        item: [other for other, dependent in doomed.items() if record.logical_id in dependent.now.needs]
        for item, record in doomed.items()
    }
    _schedule(ctx, stack, Schedule(mode="delete", waiting=waiting))


def _retained(stack: Stack, record: StackResource, rolled_back: bool) -> bool:
    if "#" in record.item:
        return not rolled_back and record.now.replace_policy == "Retain"
    policy = record.now.deletion_policy
    if policy == "RetainExceptOnCreate":
        return not (rolled_back and record.born == stack.operation)
    return policy == "Retain"


def _let_go(ctx: Context, stack: Stack, record: StackResource, skipped: bool) -> None:
    if skipped:
        record = mark(ctx, stack, record, "DELETE_SKIPPED", todo="", phase="")
    elif not record.status:
        ctx.tx.delete(stack.under("resource", record.item))
        return
    else:
        record = mark(ctx, stack, record, "DELETE_COMPLETE", todo="", phase="")
    forget_if_extra(ctx, stack, record)


def forget_if_extra(ctx: Context, stack: Stack, record: StackResource) -> None:
    """After clean-up a resource that the stack no longer has is gone from its list; after a deletion it stays listed."""
    if stack.status.endswith("CLEANUP_IN_PROGRESS"):
        ctx.tx.delete(stack.under("resource", record.item))


def _begin_restore(ctx: Context, stack: Stack) -> None:
    """Start to give back what a failed update changed."""
    restoring: dict[str, StackResource] = {}
    for record in resources_of(ctx, stack):
        if record.before is None or "#" in record.item:
            continue
        if record.change == "modify":
            restoring[record.item] = replace(record, todo="restore", phase="")
            ctx.tx.put(stack.under("resource", record.item), restoring[record.item])
        elif record.change == "replace":
            _set_aside(ctx, stack, record, record.now)
            mark(ctx, stack, record, "UPDATE_COMPLETE", now=record.before, before=None, change="", todo="", phase="")
        else:
            ctx.tx.put(
                stack.under("resource", record.item), replace(record, now=record.before, before=None, todo="", phase="")
            )
    waiting = {
        item: [need for need in record.before.needs if need in restoring]
        for item, record in restoring.items()
        if record.before is not None
    }
    _schedule(ctx, stack, Schedule(mode="restore", waiting=waiting))


def _set_aside(ctx: Context, stack: Stack, record: StackResource, version: Version) -> None:
    """Keep a replaced physical resource for the clean-up."""
    if version.physical_id:
        aside = StackResource(item=f"{record.item}#{stack.operation}", now=version, status=record.status, at=ctx.now)
        ctx.tx.put(stack.under("resource", aside.item), aside)


def _begin_cleanup(ctx: Context, stack: Stack) -> None:
    """Start to delete what an update, or its rollback, left over."""
    _, _, plan = current_plan(ctx, stack)
    rolled_back = stack.status.startswith("UPDATE_ROLLBACK")
    extra: list[StackResource] = []
    for record in resources_of(ctx, stack):
        if "#" in record.item or record.item not in plan.resources:
            extra.append(record)
            continue
        if record.change == "replace" and record.before is not None:
            _set_aside(ctx, stack, record, record.before)
            aside = ctx.tx.get(stack.under("resource", f"{record.item}#{stack.operation}"), StackResource)
            if aside is not None:
                extra.append(aside)
        if record.before is not None or record.change:
            ctx.tx.put(stack.under("resource", record.item), replace(record, before=None, change=""))
    begin_deletion(ctx, stack, extra, rolled_back)


def _schedule(ctx: Context, stack: Stack, schedule: Schedule) -> None:
    ctx.tx.put(stack.under("schedule"), schedule)
    proceed(ctx, stack)


def schedule_of(ctx: Context, stack: Stack) -> Schedule | None:
    return ctx.tx.get(stack.under("schedule"), Schedule)


def finished(ctx: Context, stack: Stack, item: str) -> None:
    """A resource's step is done: start what waited for it."""
    schedule = schedule_of(ctx, stack)
    assert schedule is not None
    waiting = {name: [need for need in needs if need != item] for name, needs in schedule.waiting.items()}
    running = [name for name in schedule.running if name != item]
    ctx.tx.put(stack.under("schedule"), replace(schedule, waiting=waiting, running=running))
    proceed(ctx, stack)


def failed(ctx: Context, stack: Stack, item: str, reason: str = "") -> None:
    """A resource's step failed: what depends on it is not started, and the phase fails at its end."""
    schedule = schedule_of(ctx, stack)
    assert schedule is not None
    running = [name for name in schedule.running if name != item]
    marks = [*schedule.failed, item] if item else schedule.failed
    ctx.tx.put(
        stack.under("schedule"), replace(schedule, running=running, failed=marks, reason=reason or schedule.reason)
    )
    proceed(ctx, stack)


def interrupt(ctx: Context, stack: Stack, reason: str, then: str = "") -> None:
    """Stop the running phase: a time limit, a cancelled update, a deletion in the middle of a creation."""
    schedule = schedule_of(ctx, stack)
    assert schedule is not None
    ctx.tx.put(stack.under("schedule"), replace(schedule, reason=reason, then=then))
    proceed(ctx, stack)


def proceed(ctx: Context, stack: Stack) -> None:
    """Start every resource that may be worked on now; when none is left, go to what follows the phase."""
    schedule = schedule_of(ctx, stack)
    assert schedule is not None
    broken = bool(schedule.failed or schedule.reason or schedule.then)
    if broken and schedule.mode != "delete":
        schedule = _stop(ctx, stack, schedule)
    else:
        ready = [item for item, needs in schedule.waiting.items() if not needs]
        if not ready and not schedule.running and schedule.waiting and not schedule.failed:
            ready = list(schedule.waiting)  # a circle between old and new resources: any order will do
        for item in ready:
            _start(ctx, stack, item)
        waiting = {item: needs for item, needs in schedule.waiting.items() if item not in ready}
        schedule = replace(schedule, waiting=waiting, running=[*schedule.running, *ready])
    ctx.tx.put(stack.under("schedule"), schedule)
    if not schedule.running:
        _follow(ctx, stack, schedule, broken)


def _start(ctx: Context, stack: Stack, item: str) -> None:
    record = ctx.tx.get(stack.under("resource", item), StackResource)
    assert record is not None
    record = replace(record, phase="start", serial=record.serial + 1, polls=0)
    if record.todo == "delete":
        mark(ctx, stack, record, "DELETE_IN_PROGRESS")
    elif record.todo == "apply" and record.before is None:
        mark(ctx, stack, record, "CREATE_IN_PROGRESS")
    else:
        ctx.tx.put(stack.under("resource", item), record)
    wake_step(ctx, stack, record, ctx.now)


def wake_step(ctx: Context, stack: Stack, record: StackResource, at: float) -> None:
    key: Key = (stack.account, stack.region, stack.uid, record.item, record.serial, record.polls)
    ctx.tx.wake(at, "cloudformation.resource", key)


def look_now(ctx: Context, stack: Stack, record: StackResource) -> None:
    """Look at once whether a resource that is waited for is ready; its next poll is void."""
    record = replace(record, polls=record.polls + 1)
    ctx.tx.put(stack.under("resource", record.item), record)
    wake_step(ctx, stack, record, ctx.now)


def _stop(ctx: Context, stack: Stack, schedule: Schedule) -> Schedule:
    """Drop what has not begun, cancel what waits; effects on their way go on."""
    verb, word = ("CREATE", "creation") if stack.status.startswith("CREATE") else ("UPDATE", "update")
    performing = []
    for item in schedule.running:
        record = ctx.tx.get(stack.under("resource", item), StackResource)
        assert record is not None
        if record.phase == "perform":
            performing.append(item)
            continue
        if record.status.endswith("_IN_PROGRESS"):
            kind = "CREATE" if record.change == "create" else verb
            mark(ctx, stack, record, f"{kind}_FAILED", f"Resource {word} cancelled", todo="", phase="")
        else:
            ctx.tx.put(stack.under("resource", item), replace(record, todo="", phase=""))
    for item in schedule.waiting:
        record = ctx.tx.get(stack.under("resource", item), StackResource)
        assert record is not None
        ctx.tx.put(stack.under("resource", item), replace(record, todo="", phase=""))
    return replace(schedule, waiting={}, running=performing)


def _follow(ctx: Context, stack: Stack, schedule: Schedule, broken: bool) -> None:
    fresh = stack_at(ctx, stack.uid)
    assert fresh is not None
    stack = fresh
    if schedule.then == "delete" and schedule.mode != "delete":
        begin_deletion(ctx, stack, resources_of(ctx, stack))
    elif schedule.mode == "apply":
        _after_apply(ctx, stack, schedule, broken)
    elif schedule.mode == "restore":
        if broken:
            move(ctx, stack, "failed", _failure(schedule, "update"))
            return
        stack = move(ctx, stack, "done")
        _begin_cleanup(ctx, stack)
    else:
        _after_deletion(ctx, stack, schedule, bool(schedule.failed or schedule.waiting))


def _after_apply(ctx: Context, stack: Stack, schedule: Schedule, broken: bool) -> None:
    creating = stack.status == "CREATE_IN_PROGRESS"
    reason = _failure(schedule, "create" if creating else "update")
    if not broken:
        try:
            stack = outputs.publish(ctx, stack)
        except ValidationError as error:
            broken, reason = True, error.message
    if not broken:
        stack = move(ctx, stack, "done")
        if creating:
            _ended(ctx, stack)
        else:
            _begin_cleanup(ctx, stack)
        return
    fail_apply(ctx, stack, reason)


def fail_apply(ctx: Context, stack: Stack, reason: str) -> None:
    """A create or update that cannot be completed: roll back, keep or delete, as the stack says."""
    creating = stack.status == "CREATE_IN_PROGRESS"
    if stack.disable_rollback or (creating and stack.on_failure == "DO_NOTHING"):
        stack = move(ctx, stack, "kept", reason)
        _ended(ctx, stack)
    elif creating and stack.on_failure == "DELETE":
        stack = move(ctx, stack, "delete", f"{reason} Delete requested by user.")
        begin_deletion(ctx, stack, resources_of(ctx, stack), rolled_back=True)
    elif creating:
        stack = move(ctx, stack, "failed", f"{reason} Rollback requested by user.")
        begin_deletion(ctx, stack, resources_of(ctx, stack), rolled_back=True)
    else:
        roll_back_update(ctx, move(ctx, stack, "failed", reason))


def roll_back_update(ctx: Context, stack: Stack) -> None:
    """The stack is in UPDATE_ROLLBACK_IN_PROGRESS: take the revision before, and restore."""
    if stack.previous:
        stack = replace(stack, revision=stack.previous, previous="")
        ctx.tx.put(stack.key, stack)
    _begin_restore(ctx, stack)


def _after_deletion(ctx: Context, stack: Stack, schedule: Schedule, broken: bool) -> None:
    items = ", ".join(sorted({item.partition("#")[0] for item in schedule.failed}))
    if broken:
        stack = move(ctx, stack, "failed", f"The following resource(s) failed to delete: [{items}]. ")
        _ended(ctx, stack)
        return
    if stack.status == "DELETE_IN_PROGRESS":
        outputs.withdraw(ctx, stack)
        ctx.tx.delete(named_key(ctx, stack.name))
        stack = move(ctx, stack, "done", deleted=ctx.now)
        ctx.tx.wake(ctx.now + KEPT_AFTER_DELETION_S, "cloudformation.forget", (stack.account, stack.region, stack.uid))
    else:
        if stack.status == "ROLLBACK_IN_PROGRESS":
            outputs.withdraw(ctx, stack)
        stack = move(ctx, stack, "done")
    _ended(ctx, stack)


def _ended(ctx: Context, stack: Stack) -> None:
    """The operation is over: clear its tracks, tell the stack that this one is nested in."""
    ctx.tx.delete(stack.under("schedule"))
    if stack.parent:
        parent = stack_at(ctx, stack.parent)
        record = parent and ctx.tx.get(parent.under("resource", stack.parent_item), StackResource)
        if parent and record and record.phase == "wait":
            look_now(ctx, parent, record)


def _failure(schedule: Schedule, verb: str) -> str:
    if schedule.failed:
        return f"The following resource(s) failed to {verb}: [{', '.join(sorted(schedule.failed))}]."
    return schedule.reason


def time_out(ctx: Context, key: Key) -> None:
    """Timer: the time that a creation was given is over."""
    stack = stack_at(ctx, str(key[2]))
    if stack is None or stack.status != "CREATE_IN_PROGRESS" or not stack.timeout_minutes:
        return
    if ctx.now >= stack.created + stack.timeout_minutes * 60 and schedule_of(ctx, stack) is not None:
        interrupt(ctx, stack, "Stack creation time exceeded the specified timeout.")


def forget(ctx: Context, key: Key) -> None:
    """Timer: a stack deleted 90 days ago is no longer listed."""
    stack = stack_at(ctx, str(key[2]))
    if stack is not None and stack.status == "DELETE_COMPLETE":
        for kind in ("resource", "event", "events", "revision", "schedule", "imports"):
            ctx.tx.delete_all(stack.under(kind))
        ctx.tx.delete_all((NAME, "changeset", stack.account, stack.region, stack.uid))
        ctx.tx.delete(stack.key)
