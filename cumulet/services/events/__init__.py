"""Amazon EventBridge: buses, rules, targets, schedules, archives, replays and API destinations."""

from __future__ import annotations

from cumulet.kernel.service import Service
from cumulet.services.events import (
    archives,
    archiving,
    buses,
    connections,
    deliveries,
    destinations,
    emitting,
    permissions,
    publishing,
    replaying,
    replays,
    routing,
    rules,
    schedules,
    tags,
    targets,
)
from cumulet.services.events.authz import AUTHZ
from cumulet.services.events.cfn import RESOURCES
from cumulet.services.events.subjects import SUBJECTS

SERVICE = Service(
    "events",
    modules=(archives, buses, connections, destinations, permissions, publishing, replays, rules, tags, targets),
    timers={
        archiving.EXPIRE: archiving.expire,
        archiving.SWEEP: archiving.sweep,
        deliveries.TIMER: deliveries.deliver_again,
        replaying.FORGET: replaying.forget,
        replaying.TIMER: replaying.step,
        schedules.TIMER: schedules.fire,
    },
    resources=RESOURCES,
    subjects=SUBJECTS,
    internals={"cumulet:Emit": emitting.emit, "cumulet:Forward": routing.forward},
    authz=AUTHZ,
)
