"""AWS Lambda: functions, versions, aliases, layers, permissions, URLs, synchronous and queued invocations."""

from __future__ import annotations

from cumulet.kernel.service import Service
from cumulet.services.lambda_ import (
    aliases,
    concurrency,
    destinations,
    doors,
    eventconfigs,
    events,
    functions,
    invocations,
    layers,
    management,
    permissions,
    pools,
    provisioned,
    provisioning,
    tags,
    urls,
    versions,
)
from cumulet.services.lambda_.authz import AUTHZ
from cumulet.services.lambda_.cfn import RESOURCES
from cumulet.services.lambda_.sources import mappings, progress, queues, readers, shards, states

SERVICE = Service(
    "lambda",
    modules=(
        functions,
        versions,
        aliases,
        layers,
        permissions,
        concurrency,
        eventconfigs,
        management,
        provisioned,
        tags,
        urls,
        invocations,
        mappings,
    ),
    doors={"lambda-url": doors.function_url, "lambda-code": doors.package},
    timers={
        "lambda.event": events.run_event,
        "lambda.spread": events.spread,
        "lambda.provision": provisioning.keep,
        "lambda.source": states.go_on,
        "lambda.poll": queues.poll,
        progress.READER: readers.read,
        progress.SHARDS: shards.follow,
    },
    resources=RESOURCES,
    subjects=dict.fromkeys(("Invoke", "InvokeAsync", "InvokeWithResponseStream"), "FunctionName"),
    gauges=pools.gauges,
    internals={"cumulet:DeadLetterSources": destinations.dead_letter_sources},
    authz=AUTHZ,
)
