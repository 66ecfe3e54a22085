"""Amazon CloudWatch: metrics, alarms, dashboards."""

from __future__ import annotations

from cumulet.kernel.service import Service
from cumulet.services.cloudwatch import (
    alarms,
    dashboards,
    description,
    embedded,
    evaluation,
    history,
    metrics,
    queries,
    retention,
    statistics,
    storing,
    tags,
)
from cumulet.services.cloudwatch.authz import AUTHZ
from cumulet.services.cloudwatch.cfn import RESOURCES

SERVICE = Service(
    "cloudwatch",
    modules=(metrics, queries, statistics, alarms, description, history, dashboards, tags),
    timers={"cloudwatch.evaluate": evaluation.evaluate, "cloudwatch.roll": retention.roll},
    internals={"cumulet:Embedded": embedded.embedded, "cumulet:Record": storing.record},
    resources=RESOURCES,
    authz=AUTHZ,
)
