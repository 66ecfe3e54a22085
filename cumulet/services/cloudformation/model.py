"""Stacks, their resources, revisions, change sets and events as records; the states of a stack.

A *revision* is a template with the parameters, tags and capabilities that it was given with: a stack points at the one
it has and, while it is being updated, at the one before. A *schedule* is what an operation still has to do.
Resources are keyed by item: the logical id, or `{logical id}#{n}` for a replaced resource that waits for clean-up.
"""

from __future__ import annotations

from typing import Any

from msgspec import field

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record

NAME = "cloudformation"
_STABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "CREATE_FAILED", "UPDATE_FAILED")
_DELETABLE = (
    *_STABLE, "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "UPDATE_ROLLBACK_FAILED", "DELETE_FAILED",
    "DELETE_IN_PROGRESS", "CREATE_IN_PROGRESS",
)  # fmt: skip

TRANSITIONS: dict[tuple[str, str], str] = {
    ("", "review"): "REVIEW_IN_PROGRESS",
    ("", "create"): "CREATE_IN_PROGRESS",
    ("REVIEW_IN_PROGRESS", "create"): "CREATE_IN_PROGRESS",
    ("CREATE_IN_PROGRESS", "done"): "CREATE_COMPLETE",
    ("CREATE_IN_PROGRESS", "failed"): "ROLLBACK_IN_PROGRESS",
    ("CREATE_IN_PROGRESS", "kept"): "CREATE_FAILED",
    ("ROLLBACK_IN_PROGRESS", "done"): "ROLLBACK_COMPLETE",
    ("ROLLBACK_IN_PROGRESS", "failed"): "ROLLBACK_FAILED",
    **{(status, "update"): "UPDATE_IN_PROGRESS" for status in _STABLE},
    ("UPDATE_IN_PROGRESS", "done"): "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    ("UPDATE_IN_PROGRESS", "failed"): "UPDATE_ROLLBACK_IN_PROGRESS",
    ("UPDATE_IN_PROGRESS", "kept"): "UPDATE_FAILED",
    ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "done"): "UPDATE_COMPLETE",
    ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "failed"): "UPDATE_COMPLETE",
    ("UPDATE_FAILED", "rollback"): "UPDATE_ROLLBACK_IN_PROGRESS",
    ("CREATE_FAILED", "rollback"): "ROLLBACK_IN_PROGRESS",
    ("UPDATE_ROLLBACK_FAILED", "continue"): "UPDATE_ROLLBACK_IN_PROGRESS",
    ("UPDATE_ROLLBACK_IN_PROGRESS", "done"): "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    ("UPDATE_ROLLBACK_IN_PROGRESS", "failed"): "UPDATE_ROLLBACK_FAILED",
    ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "done"): "UPDATE_ROLLBACK_COMPLETE",
    ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "failed"): "UPDATE_ROLLBACK_COMPLETE",
    **{(status, "delete"): "DELETE_IN_PROGRESS" for status in _DELETABLE},
    ("DELETE_IN_PROGRESS", "done"): "DELETE_COMPLETE",
    ("DELETE_IN_PROGRESS", "failed"): "DELETE_FAILED",
}


class Stack(Record):
    """One stack. `uid` is the last part of its id; `operation` counts what was begun on it."""

    uid: str
    name: str
    account: str
    region: str
    status: str
    created: float
    reason: str = ""
    principal: str = ""
    updated: float | None = None
    deleted: float | None = None
    revision: str = ""
    previous: str = ""
    description: str = ""
    outputs: list[dict[str, str]] = field(default_factory=list)
    on_failure: str = "ROLLBACK"
    disable_rollback: bool = False
    timeout_at: float | None = None
    timeout_minutes: int | None = None
    termination_protection: bool = False
    retain: list[str] = field(default_factory=list)
    parent: str = ""  # uid of the stack that this one is nested in, and the item there
    parent_item: str = ""
    parent_name: str = ""
    settled: bool = False  # the nesting stack asked for what is already there
    root: str = ""
    change_set: str = ""
    client_token: str = ""
    operation: int = 0

    @property
    def id(self) -> str:
        return f"arn:aws:cloudformation:{self.region}:{self.account}:stack/{self.name}/{self.uid}"

    @property
    def key(self) -> Key:
        return (NAME, "stack", self.account, self.region, self.uid)

    def under(self, kind: str, *rest: str | int) -> Key:
        """The key of something that belongs to the stack."""
        return (NAME, kind, self.account, self.region, self.uid, *rest)


class Named(Record):
    """The stack that has a name now."""

    uid: str


class Revision(Record):
    """A template and what it was given with. `processed` is the template after its transforms, as JSON; "" before."""

    id: str
    body: str
    processed: str = ""
    unprocessed: str = ""  # as JSON, while the serverless transform has it
    parameters: dict[str, str] = field(default_factory=dict)
    resolved: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    capabilities: list[str] = field(default_factory=list)
    notification_arns: list[str] = field(default_factory=list)
    role_arn: str = ""


class Version(Record):
    """One physical resource: what it was made from."""

    type: str
    physical_id: str = ""
    properties: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    suffix: str = ""
    needs: list[str] = field(default_factory=list)
    deletion_policy: str = "Delete"
    replace_policy: str = "Delete"
    imports: list[str] = field(default_factory=list)


class StackResource(Record):
    """A resource of a stack: the version that is, the one before (during an update), and how far its step is.

    todo    apply, restore, delete, or "" when the operation has nothing to do here
    phase   start (a timer will run it), perform (an effect is on its way), wait (polled until ready)
    change  what the running operation did: create, modify, replace
    serial  counts steps; a timer of an older one is void
    """

    item: str
    now: Version
    status: str = ""
    reason: str = ""
    at: float = 0.0
    before: Version | None = None
    todo: str = ""
    phase: str = ""
    change: str = ""
    serial: int = 0
    polls: int = 0
    born: int = 0  # the stack operation that created the physical resource

    @property
    def logical_id(self) -> str:
        return self.item.partition("#")[0]


class Schedule(Record):
    """What the running phase still has to do: item -> items it waits for; what is under way; what failed.

    mode   apply, restore or delete
    then   "delete": the stack is to be deleted as soon as nothing is under way
    """

    mode: str
    waiting: dict[str, list[str]] = field(default_factory=dict)
    running: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    reason: str = ""
    then: str = ""


class Event(Record):
    id: str
    logical_id: str
    physical_id: str
    type: str
    at: float
    status: str
    reason: str = ""
    properties: str = ""
    token: str = ""


class ChangeSet(Record):
    """A planned change. `uid` is the last part of its id."""

    uid: str
    name: str
    stack: str
    account: str
    region: str
    revision: str
    kind: str
    status: str
    execution: str
    created: float
    description: str = ""
    reason: str = ""
    on_failure: str = ""
    client_token: str = ""
    changes: list[dict[str, Any]] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"arn:aws:cloudformation:{self.region}:{self.account}:changeSet/{self.name}/{self.uid}"

    @property
    def key(self) -> Key:
        return (NAME, "changeset", self.account, self.region, self.stack, self.uid)


class Export(Record):
    name: str
    value: str
    stack: str  # uid


def next_status(status: str, event: str) -> str:
    """The stack's next status. Raises: KeyError for a pair that cannot be."""
    return TRANSITIONS[status, event]


def stack_at(ctx: Context, uid: str) -> Stack | None:
    return ctx.tx.get((NAME, "stack", ctx.account, ctx.region, uid), Stack)


def named_key(ctx: Context, name: str) -> Key:
    return (NAME, "name", ctx.account, ctx.region, name)


def revision_of(ctx: Context, stack: Stack, revision_id: str) -> Revision:
    found = ctx.tx.get(stack.under("revision", revision_id), Revision)
    assert found is not None, f"stack {stack.name} lost its revision {revision_id}"
    return found


def resources_of(ctx: Context, stack: Stack) -> list[StackResource]:
    return [resource for _, resource in ctx.tx.scan(stack.under("resource"), StackResource)]
