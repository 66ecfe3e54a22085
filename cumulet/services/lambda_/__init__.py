"""AWS Lambda: functions, versions, aliases, layers, permissions, URLs, synchronous and queued invocations."""

from __future__ import annotations

from cumulet.kernel.service import Service
from cumulet.services.lambda_ import (
    aliases,
    concurrency,
    doors,
    events,
    functions,
    invocations,
    layers,
    permissions,
    tags,
    urls,
    versions,
)
from cumulet.services.lambda_.cfn import RESOURCES

SERVICE = Service(
    "lambda",
    modules=(functions, versions, aliases, layers, permissions, concurrency, tags, urls, invocations),
    doors={"lambda-url": doors.function_url, "lambda-code": doors.package},
    timers={"lambda.event": events.run_event, "lambda.promote": events.promote},
    resources=RESOURCES,
)
