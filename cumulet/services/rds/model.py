"""What RDS keeps: DB instances, parameter groups, subnet groups, snapshots, and their keys.

A DB instance's life is the table `NEXT`: what may happen in which status, and the status that follows. In the statuses of
`WORKING` the keeper (keeper.py) has something done with the engine; every change of status raises `epoch`, so that the
outcome of work that is out of date by then changes nothing.
"""

from __future__ import annotations

from typing import Any

from msgspec import field

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record, replace
from cumulet.services.rds.errors import DBInstanceNotFound, InvalidDBInstanceState

ROOT = "rds"
ENGINE = "postgres"
FAMILY = "postgres18"
MAJOR_VERSION = "18"
ENGINE_VERSION = "18.6"
DEFAULT_GROUP = f"default.{FAMILY}"
OPTION_GROUP = f"default:postgres-{MAJOR_VERSION}"
HOST = "127.0.0.1"
KEEPER = "rds.keep"

NEXT: dict[tuple[str, str], str] = {
    ("creating", "started"): "available",
    ("creating", "failed"): "failed",
    ("starting", "started"): "available",
    ("starting", "failed"): "starting",
    ("starting", "misconfigured"): "incompatible-parameters",
    ("rebooting", "started"): "available",
    ("rebooting", "failed"): "starting",
    ("rebooting", "misconfigured"): "incompatible-parameters",
    ("incompatible-parameters", "reboot"): "rebooting",
    ("available", "ended"): "starting",
    ("available", "reboot"): "rebooting",
    ("available", "stop"): "stopping",
    ("available", "modify"): "modifying",
    ("available", "password"): "resetting-master-credentials",
    ("available", "snapshot"): "backing-up",
    ("modifying", "done"): "available",
    ("modifying", "ended"): "starting",
    ("resetting-master-credentials", "done"): "available",
    ("backing-up", "done"): "available",
    ("stopping", "done"): "stopped",
    ("stopped", "start"): "starting",
    **{
        (status, "delete"): "deleting"
        for status in (
            "creating", "starting", "rebooting", "available", "stopped", "stopping", "modifying", "failed",
            "incompatible-parameters", "resetting-master-credentials",
        )
    },
}  # fmt: skip


class Instance(Record):
    """A DB instance. `applied` are the engine's settings since its last start; `pending` waits for the maintenance window."""

    account: str
    region: str
    id: str
    resource_id: str
    created: float
    instance_class: str
    storage_gb: int
    storage_type: str
    master: str
    verifier: str
    port: int
    group: str
    window: str
    backup_window: str
    zone: str
    status: str = "creating"
    epoch: int = 0
    failures: int = 0
    message: str = ""
    version: str = ENGINE_VERSION
    database: str | None = None
    source: str | None = None
    subnet_group: str | None = None
    security_groups: list[str] = field(default_factory=list)
    applied: dict[str, str] = field(default_factory=dict)
    pending: dict[str, Any] = field(default_factory=dict)
    pending_at: float | None = None
    new_password: bool = False
    port_given: bool = False
    stopped_at: float | None = None
    max_storage_gb: int | None = None
    protected: bool = False
    copy_tags: bool = False
    minor_upgrades: bool = True
    public: bool = False
    final_snapshot: str | None = None
    making: str | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return instance_key(self.account, self.region, self.id)

    @property
    def arn(self) -> str:
        return f"arn:aws:rds:{self.region}:{self.account}:db:{self.id}"

    def after(self, event: str, **changes: Any) -> Instance:
        """The instance after an event. Raises: KeyError when its status does not allow that."""
        return replace(self, status=NEXT[self.status, event], epoch=self.epoch + 1, **changes)


class Group(Record):
    """A DB parameter group; `values` are the parameters that differ from the defaults: name -> (value, apply method)."""

    account: str
    region: str
    name: str
    family: str
    description: str
    values: dict[str, tuple[str, str]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return group_key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        return f"arn:aws:rds:{self.region}:{self.account}:pg:{self.name}"


class SubnetGroup(Record):
    """A DB subnet group: names only, as there is no network of subnets on one machine."""

    account: str
    region: str
    name: str
    description: str
    subnets: list[str]
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return subnet_group_key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        return f"arn:aws:rds:{self.region}:{self.account}:subgrp:{self.name}"


class Snapshot(Record):
    """A DB snapshot; its files are the engine's, under `resource_id`."""

    account: str
    region: str
    id: str
    resource_id: str
    instance: Instance
    created: float
    status: str = "creating"
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return snapshot_key(self.account, self.region, self.id)

    @property
    def arn(self) -> str:
        return f"arn:aws:rds:{self.region}:{self.account}:snapshot:{self.id}"


def instance_key(account: str, region: str, id_: str) -> Key:
    return (ROOT, "instance", account, region, id_)


def group_key(account: str, region: str, name: str) -> Key:
    return (ROOT, "group", account, region, name)


def subnet_group_key(account: str, region: str, name: str) -> Key:
    return (ROOT, "subnets", account, region, name)


def snapshot_key(account: str, region: str, id_: str) -> Key:
    return (ROOT, "snapshot", account, region, id_)


def instances_of(ctx: Context) -> list[Instance]:
    """The caller's DB instances in this region, by name."""
    return [found for _, found in ctx.tx.scan((ROOT, "instance", ctx.account, ctx.region), Instance)]


def instance_at(ctx: Context, id_: str) -> Instance:
    """Raises: DBInstanceNotFound."""
    name = id_.rpartition(":")[2].lower()
    found = ctx.tx.get(instance_key(ctx.account, ctx.region, name), Instance)
    if found is None:
        raise DBInstanceNotFound(f"DBInstance {id_} not found.")
    return found


def allowed(instance: Instance, event: str) -> None:
    """Raises: InvalidDBInstanceState when the instance's status does not allow the event."""
    if (instance.status, event) not in NEXT:
        wanted = "stopped" if event == "start" else "available"
        message = f"Instance {instance.id} is not in {wanted} state."
        if instance.status == "deleting":
            message = f"Instance {instance.id} is already being deleted."
        raise InvalidDBInstanceState(message, hint=f"its status is {instance.status}")


def save(ctx: Context, instance: Instance) -> Instance:
    """Store it and have the keeper look at it."""
    ctx.tx.put(instance.key, instance)
    ctx.tx.wake(ctx.now, KEEPER, (instance.account, instance.region, instance.id))
    return instance
