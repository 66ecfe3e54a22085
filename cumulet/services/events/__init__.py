"""Amazon EventBridge: buses, rules, targets, archives and replays."""

from __future__ import annotations

from cumulet.kernel.service import Service

SERVICE = Service("events")
