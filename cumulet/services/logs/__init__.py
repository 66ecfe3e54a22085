"""Amazon CloudWatch Logs: groups, streams, events, filter patterns, retention."""

from __future__ import annotations

from cumulet.kernel.service import Service
from cumulet.services.logs import events, expiry, groups, storing, streams, tags
from cumulet.services.logs.authz import AUTHZ
from cumulet.services.logs.cfn import RESOURCES

SERVICE = Service(
    "logs",
    modules=(groups, streams, events, tags),
    timers={"logs.expire": expiry.expire, "logs.sweep": expiry.sweep},
    internals={"cumulet:Append": storing.append},
    resources=RESOURCES,
    authz=AUTHZ,
)
