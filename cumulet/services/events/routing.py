"""From a bus to its rules' targets.

A bus's rules are compiled once for a revision of the bus and kept in memory. Rules whose pattern says which sources they want
are found by the event's source; the others are tried one by one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from cumulet.aws.arn import Arn
from cumulet.aws.errors import AwsError
from cumulet.aws.eventpattern import Pattern, compile_pattern
from cumulet.kernel.context import Context
from cumulet.services.events.archiving import keep
from cumulet.services.events.deliveries import deliver
from cumulet.services.events.errors import ResourceNotFoundException
from cumulet.services.events.event import Event
from cumulet.services.events.inputs import Shape, shape_of
from cumulet.services.events.metrics import count, count_rule
from cumulet.services.events.model import ROOT, Bus, Delivery, Rule, find_bus
from cumulet.services.events.policy import permits

Json = dict[str, Any]


class AccessDeniedException(AwsError):
    pass


class ThirdHop(AwsError):
    code = "THIRD_ACCOUNT_HOP_DETECTED"


@dataclass(slots=True)
class Ready:
    """A rule, compiled."""

    rule: Rule
    pattern: Pattern
    targets: list[tuple[Json, Shape]]


@dataclass(slots=True)
class Table:
    """The enabled rules of a bus that have a pattern."""

    by_source: dict[str, list[Ready]] = field(default_factory=dict)
    others: list[Ready] = field(default_factory=list)


def table_of(ctx: Context, bus: Bus) -> Table:
    """The bus's rules, compiled when they were last changed."""
    place = f"events.table {bus.arn}"
    known: tuple[str, Table] | None = ctx.pipeline.volatile.get(place)
    if known is not None and known[0] == bus.revision:
        return known[1]
    table = Table()
    if bus.revision:
        for _, rule in ctx.tx.scan((ROOT, "rule", bus.account, bus.region, bus.name), Rule):
            if rule.enabled and rule.pattern is not None:
                _add(table, Ready(rule, compile_pattern(rule.pattern), shapes_of(rule)))
    ctx.pipeline.volatile[place] = (bus.revision, table)
    return table


def _add(table: Table, ready: Ready) -> None:
    sources = ready.pattern.strings("source")
    if sources is None:
        table.others.append(ready)
        return
    for source in sources:
        table.by_source.setdefault(source, []).append(ready)


def shapes_of(rule: Rule) -> list[tuple[Json, Shape]]:
    return [(target, shape_of(target, rule.arn, rule.name)) for target in rule.targets.values()]


def route(ctx: Context, bus: Bus, event: Event, only: Collection[str] = ()) -> None:
    """Give an event to all rules that want it, or to those of `only` (ARNs)."""
    table = table_of(ctx, bus)
    matched = False
    for ready in (*table.by_source.get(event.fields["source"], ()), *table.others):
        if ready.pattern(event.fields) and (not only or ready.rule.arn in only):
            matched = True
            _trigger(ctx, ready, event)
    if matched:
        count(ctx, "MatchedEvents")


def _trigger(ctx: Context, ready: Ready, event: Event) -> None:
    rule = ready.rule
    if rule.archive is not None:
        keep(ctx, rule, event)
        return
    run_rule(ctx, rule, ready.targets, event)


def run_rule(ctx: Context, rule: Rule, targets: list[tuple[Json, Shape]], event: Event) -> None:
    """Send an event to a rule's targets."""
    count_rule(ctx, "TriggeredRules", rule.bus, rule.name)
    for target, shape in targets:
        delivery = Delivery(
            account=rule.account, region=rule.region, bus=rule.bus, rule=rule.name, rule_arn=rule.arn, target=target,
            payload=shape(event), event=event.text, hops=event.hops, first=ctx.now, due=ctx.now,
        )  # fmt: skip
        deliver(ctx, delivery)


def forward(ctx: Context, req: Json) -> Json:
    """Internal `cumulet:Forward`: take an event that a rule of another bus sends. It goes no further than one bus.

    Raises: ThirdHop, ResourceNotFoundException, AccessDeniedException.
    """
    name = Arn.parse(req["Bus"]).resource.removeprefix("event-bus/")
    if req["Hops"] > 0:
        raise ThirdHop(f"An event that came from another event bus can't be sent on to event bus {name}.")
    bus = find_bus(ctx, name)
    if bus is None:
        raise ResourceNotFoundException(f"Event bus {name} does not exist.")
    event = Event.read(req["Event"], ctx.now, req["Hops"] + 1)
    fields = event.fields
    if req["From"] != bus.account and not permits(bus, req["From"], fields["source"], fields["detail-type"]):
        raise AccessDeniedException(f"Account {req['From']} may not put events on event bus {name}.")
    route(ctx, bus, event)
    return {}
