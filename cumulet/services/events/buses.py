"""Operations on event buses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.events.errors import (
    LimitExceededException,
    ResourceAlreadyExistsException,
    ValidationException,
)
from cumulet.services.events.model import DEFAULT, ROOT, Bus, bus_asked, bus_key, find_bus
from cumulet.services.events.paging import page_of
from cumulet.services.events.policy import policy_of
from cumulet.services.events.tagging import merged_tags

Json = dict[str, Any]
_MOST = 100


def create_event_bus(ctx: Context, req: Json) -> Json:
    """Make a custom event bus, at most 100 in an account and region (the default one included).

    Raises: ResourceAlreadyExistsException, ValidationException, LimitExceededException, NotImplementedOnCumulet (partner
    sources, KmsKeyIdentifier, DeadLetterConfig, LogConfig).
    Source: EventBridge API_CreateEventBus; user guide, "Amazon EventBridge quotas" (read 2026-11).
    """
    name = req["Name"]
    if name.startswith("aws.partner/") or "EventSourceName" in req:
        raise NotImplementedOnCumulet("EventBridge's partner event sources are not implemented by Cumulet.")
    if "/" in name:
        raise ValidationException(
            f"Parameter {name} is not valid. Reason: Custom event bus names can't contain the / character."
        )
    _refuse(req)
    if find_bus(ctx, name) is not None:
        raise ResourceAlreadyExistsException(f"Event bus {name} already exists.")
    if sum(1 for _ in _buses(ctx)) >= _MOST:
        raise LimitExceededException("The requested resource exceeds the maximum number allowed.")
    bus = Bus(
        account=ctx.account, region=ctx.region, name=name, revision=ctx.ids.hex(16), created=ctx.now, modified=ctx.now,
        description=req.get("Description"), tags=merged_tags({}, req.get("Tags", [])),
    )  # fmt: skip
    ctx.tx.put(bus.key, bus)
    return {"EventBusArn": bus.arn, **_described(bus)}


def update_event_bus(ctx: Context, req: Json) -> Json:
    """Change a bus's description.

    Raises: ResourceNotFoundException, NotImplementedOnCumulet (as CreateEventBus).
    Source: EventBridge API_UpdateEventBus (read 2026-11).
    """
    _refuse(req)
    bus = bus_asked(ctx, req, "Name")
    if "Description" in req:
        bus = replace(bus, description=req["Description"] or None)
    bus = replace(bus, modified=ctx.now)
    ctx.tx.put(bus.key, bus)
    return {"Arn": bus.arn, "Name": bus.name, **_described(bus)}


def delete_event_bus(ctx: Context, req: Json) -> Json:
    """Delete a custom event bus that has no rules; one that does not exist is fine.

    Raises: ValidationException (the default bus, or rules are left). Source: EventBridge API_DeleteEventBus (read 2026-11).
    """
    name = req["Name"]
    if name == DEFAULT:
        raise ValidationException("Cannot delete event bus default.")
    bus = find_bus(ctx, name)
    if bus is None:
        return {}
    if next(ctx.tx.scan_keys((ROOT, "rule", bus.account, bus.region, name), limit=1), None) is not None:
        raise ValidationException(f"Event bus {name} can't be deleted since it has rules.")
    ctx.tx.delete(bus.key)
    return {}


def describe_event_bus(ctx: Context, req: Json) -> Json:
    """A bus with its resource policy. Raises: ResourceNotFoundException. Source: EventBridge API_DescribeEventBus (read 2026-11)."""
    return _shown(bus_asked(ctx, req, "Name"))


def list_event_buses(ctx: Context, req: Json) -> Json:
    """The buses by name, 100 at a time. Raises: InvalidToken. Source: EventBridge API_ListEventBuses (read 2026-11)."""
    prefix = req.get("NamePrefix", "")
    shown = ((bus.name, _shown(bus)) for bus in _buses(ctx) if bus.name.startswith(prefix))
    return page_of(req, shown, "EventBuses")


def _buses(ctx: Context) -> Iterator[Bus]:
    """All buses by name; the default one too where it has no row."""
    rows = [bus for _, bus in ctx.tx.scan((ROOT, "bus", ctx.account, ctx.region), Bus)]
    if ctx.tx.get(bus_key(ctx.account, ctx.region, DEFAULT), Bus) is None:
        rows.append(Bus(account=ctx.account, region=ctx.region, name=DEFAULT))
    yield from sorted(rows, key=lambda bus: bus.name)


def _refuse(req: Json) -> None:
    for member in ("KmsKeyIdentifier", "DeadLetterConfig", "LogConfig"):
        if member in req:
            raise NotImplementedOnCumulet(
                f"EventBridge's setting {member} of event buses is not implemented by Cumulet."
            )


def _described(bus: Bus) -> Json:
    return {} if bus.description is None else {"Description": bus.description}


def _shown(bus: Bus) -> Json:
    shown: Json = {"Name": bus.name, "Arn": bus.arn, **_described(bus)}
    if bus.created is not None:
        shown["CreationTime"] = bus.created
    if bus.modified is not None:
        shown["LastModifiedTime"] = bus.modified
    if bus.statements:
        shown["Policy"] = policy_of(bus)
    return shown
