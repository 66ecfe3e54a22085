"""Amazon RDS: DB instances that are real PostgreSQL servers, supervised on this machine."""

from __future__ import annotations

from cumulet.kernel.service import Service
from cumulet.services.rds import catalogue, groups, instances, keeper, snapshots, subnets, tags
from cumulet.services.rds.authz import AUTHZ
from cumulet.services.rds.cfn import RESOURCES

SERVICE = Service(
    "rds",
    modules=(instances, snapshots, groups, subnets, catalogue, tags),
    timers={"rds.keep": keeper.keep, "rds.measure": keeper.measure, "rds.discard": keeper.discard},
    internals={"cumulet:EngineEnded": keeper.engine_ended, "cumulet:Wanted": keeper.wanted},
    resources=RESOURCES,
    gauges=keeper.gauges,
    authz=AUTHZ,
)
