"""Event buses, rules, archives, replays and deliveries, and their keys.

The default bus is always there; it has a row only once something of it was changed. A bus's `revision` is new with every
change of its rules: what was compiled for one revision holds as long as the row names it. A rule's `version` is new with
every change that concerns its schedule, so that a timer of an earlier one ends. Archives are kept by name, their events by
an id: what a deleted archive leaves cannot come back.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cumulet.aws.arn import Arn
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record, replace
from cumulet.services.events.errors import ResourceNotFoundException

ROOT = "events"
DEFAULT = "default"
Json = dict[str, Any]


class Bus(Record):
    account: str
    region: str
    name: str
    revision: str = ""
    created: float | None = None
    modified: float | None = None
    description: str | None = None
    statements: list[Json] = msgspec.field(default_factory=list)
    tags: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def key(self) -> Key:
        return bus_key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        return f"arn:aws:events:{self.region}:{self.account}:event-bus/{self.name}"


class Rule(Record):
    """A rule with its targets by id, as PutTargets got them. `archive` names the archive that a managed rule feeds."""

    account: str
    region: str
    bus: str
    name: str
    version: str
    created: float
    pattern: str | None = None
    schedule: str | None = None
    counted_from: float = 0.0
    enabled: bool = True
    state: str = "ENABLED"
    description: str | None = None
    role_arn: str | None = None
    managed_by: str | None = None
    archive: str | None = None
    targets: dict[str, Json] = msgspec.field(default_factory=dict)
    tags: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def key(self) -> Key:
        return rule_key(self.account, self.region, self.bus, self.name)

    @property
    def arn(self) -> str:
        path = self.name if self.bus == DEFAULT else f"{self.bus}/{self.name}"
        return f"arn:aws:events:{self.region}:{self.account}:rule/{path}"


class Archive(Record):
    account: str
    region: str
    name: str
    id: str
    source_arn: str
    bus: str
    created: float
    description: str | None = None
    pattern: str | None = None
    retention_days: int = 0
    watched: bool = False  # a timer is set for the oldest event

    @property
    def key(self) -> Key:
        return archive_key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        return f"arn:aws:events:{self.region}:{self.account}:archive/{self.name}"

    @property
    def events(self) -> Key:
        """Rows of events: (..., the event's time, id)."""
        return (ROOT, "archived", self.id)

    @property
    def arrivals(self) -> Key:
        """The same events by the time of their archiving: (..., archived, the event's time, id)."""
        return (ROOT, "arrival", self.id)

    def counter(self, what: str) -> Key:
        """The number of events, or their bytes."""
        return (ROOT, "counter", self.id, what)


class Archived(Record):
    """An event in an archive: its text, or the blob of a long one, and the trace it came in."""

    text: bytes
    size: int
    blob: str = ""
    trace: str = ""


class Replay(Record):
    account: str
    region: str
    name: str
    id: str
    source_arn: str
    destination: Json
    event_start: float
    event_end: float
    started: float
    state: str = "STARTING"
    description: str | None = None
    reason: str | None = None
    last_replayed: float | None = None
    ended: float | None = None
    place: tuple[float, str] | None = None  # of the last event replayed
    trace: str = ""

    @property
    def key(self) -> Key:
        return replay_key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        return f"arn:aws:events:{self.region}:{self.account}:replay/{self.name}"


class Delivery(Record):
    """What a target is still to get. `target` is as it was when the event matched."""

    account: str
    region: str
    bus: str
    rule: str
    rule_arn: str
    target: Json
    payload: bytes
    event: bytes
    hops: int
    first: float
    due: float
    attempts: int = 0  # those that failed
    trace: str = ""


def bus_key(account: str, region: str, name: str) -> Key:
    return (ROOT, "bus", account, region, name)


def rule_key(account: str, region: str, bus: str, name: str) -> Key:
    return (ROOT, "rule", account, region, bus, name)


def archive_key(account: str, region: str, name: str) -> Key:
    return (ROOT, "archive", account, region, name)


def replay_key(account: str, region: str, name: str) -> Key:
    return (ROOT, "replay", account, region, name)


def delivery_key(number: str) -> Key:
    return (ROOT, "delivery", number)


def find_bus(ctx: Context, name: str) -> Bus | None:
    """The bus of this account and region."""
    bus = ctx.tx.get(bus_key(ctx.account, ctx.region, name), Bus)
    if bus is None and name == DEFAULT:
        return Bus(account=ctx.account, region=ctx.region, name=DEFAULT)
    return bus


def bus_asked(ctx: Context, req: Json, member: str = "EventBusName") -> Bus:
    """The bus that a request names, by name or ARN. Raises: ResourceNotFoundException."""
    asked: str = req.get(member, DEFAULT)
    name = asked
    if asked.startswith("arn:"):
        arn = Arn.parse(asked)
        name = arn.resource.removeprefix("event-bus/")
        if (arn.account, arn.region) != (ctx.account, ctx.region):
            raise ResourceNotFoundException(f"Event bus {name} does not exist.")
    bus = find_bus(ctx, name)
    if bus is None:
        raise ResourceNotFoundException(f"Event bus {name} does not exist.")
    return bus


def touch(ctx: Context, bus: Bus, **changes: Any) -> None:
    """Write a bus whose rules changed."""
    ctx.tx.put(bus.key, replace(bus, revision=ctx.ids.hex(16), **changes))


def find_rule(ctx: Context, bus: Bus, name: str) -> Rule:
    """Raises: ResourceNotFoundException."""
    rule = ctx.tx.get(rule_key(bus.account, bus.region, bus.name, name), Rule)
    if rule is None:
        raise ResourceNotFoundException(f"Rule {name} does not exist on EventBus {bus.name}.")
    return rule
