"""Amazon CloudWatch Logs: groups, streams, events, filter patterns, retention."""

from __future__ import annotations

from cumulet.kernel.service import Service
from cumulet.services.logs import storing

SERVICE = Service("logs", modules=(), internals={"cumulet:Append": storing.append})
