"""What RDS's operations need of IAM. Source: Service Authorization Reference, "Amazon RDS" (read 2026-11)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cumulet.kernel.authz import Authz, Need, Needs
from cumulet.kernel.context import Context

Json = dict[str, Any]
_KINDS = {
    "DBInstanceIdentifier": "db",
    "DBSnapshotIdentifier": "snapshot",
    "DBParameterGroupName": "pg",
    "DBSubnetGroupName": "subgrp",
}


def _on(action: str, *members: str) -> Needs:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        for member in members:
            if member in req or member == members[0]:
                name = req.get(member, "*")
                arn = (
                    name
                    if name.startswith("arn:")
                    else f"arn:aws:rds:{ctx.region}:{ctx.account}:{_KINDS[member]}:{name}"
                )
                yield Need(f"rds:{action}", arn)

    return needs


def _by_arn(action: str) -> Needs:
    return lambda ctx, req: (Need(f"rds:{action}", req["ResourceName"]),)


_DB, _SNAPSHOT, _PG, _SUBNETS = _KINDS
AUTHZ = Authz(
    "rds",
    {
        **{name: _on(name, _DB) for name in ("DeleteDBInstance", "DescribeDBInstances", "RebootDBInstance", "StartDBInstance",
                                             "StopDBInstance")},
        **{name: _on(name, _DB, _PG, _SUBNETS) for name in ("CreateDBInstance", "ModifyDBInstance")},
        "CreateDBSnapshot": _on("CreateDBSnapshot", _DB, _SNAPSHOT),
        "RestoreDBInstanceFromDBSnapshot": _on("RestoreDBInstanceFromDBSnapshot", _SNAPSHOT, _DB, _SUBNETS),
        **{name: _on(name, _SNAPSHOT) for name in ("DeleteDBSnapshot", "DescribeDBSnapshots")},
        **{name: _on(name, _PG) for name in ("CreateDBParameterGroup", "DeleteDBParameterGroup", "DescribeDBParameterGroups",
                                             "DescribeDBParameters", "ModifyDBParameterGroup", "ResetDBParameterGroup")},
        **{name: _on(name, _SUBNETS) for name in ("CreateDBSubnetGroup", "DeleteDBSubnetGroup", "DescribeDBSubnetGroups",
                                                  "ModifyDBSubnetGroup")},
        **{name: _by_arn(name) for name in ("AddTagsToResource", "ListTagsForResource", "RemoveTagsFromResource")},
    },
    code="AccessDenied",
    status=403,
)  # fmt: skip
