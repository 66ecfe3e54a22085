"""Amazon CloudWatch Logs: groups, streams, events, filter patterns, retention, subscription and metric filters."""

from __future__ import annotations

from cumulet.kernel.service import Service
from cumulet.services.logs import events, expiry, forwarding, groups, metrics, storing, streams, subscriptions, tags
from cumulet.services.logs.authz import AUTHZ
from cumulet.services.logs.cfn import RESOURCES

SERVICE = Service(
    "logs",
    modules=(groups, streams, events, subscriptions, metrics, tags),
    timers={"logs.expire": expiry.expire, "logs.sweep": expiry.sweep, forwarding.TIMER: forwarding.forward_again},
    internals={"cumulet:Append": storing.append},
    resources=RESOURCES,
    authz=AUTHZ,
)
