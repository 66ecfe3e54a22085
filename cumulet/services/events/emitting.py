"""Events that services put on the default bus, and the envelope all events have."""

from __future__ import annotations

from typing import Any

import msgspec

from cumulet.kernel.context import Context
from cumulet.services.events.event import Event, iso
from cumulet.services.events.model import DEFAULT, find_bus
from cumulet.services.events.routing import route

Json = dict[str, Any]


def envelope_of(ctx: Context, source: str, kind: str, at: float, resources: list[str]) -> Json:
    """All of an event but its detail. Raises: ValueError (the time)."""
    return {
        "version": "0",
        "id": ctx.ids.uuid(),
        "detail-type": kind,
        "source": source,
        "account": ctx.account,
        "time": iso(at),
        "region": ctx.region,
        "resources": resources,
    }


def emit(ctx: Context, req: Json) -> Json:
    """Internal `cumulet:Emit`: an event of a service (source "aws.s3") for the default bus of `ctx`'s account and region.

    `Detail` is a dict; `Resources` and `Time` may be left out.
    """
    bus = find_bus(ctx, DEFAULT)
    if bus is None or not bus.revision:  # nobody ever made a rule here
        return {}
    at, resources = req.get("Time", ctx.now), req.get("Resources", [])
    envelope = envelope_of(ctx, req["Source"], req["DetailType"], at, resources)
    route(ctx, bus, Event.made(envelope, req["Detail"], msgspec.json.encode(req["Detail"]), ctx.now))
    return {"EventId": envelope["id"]}
