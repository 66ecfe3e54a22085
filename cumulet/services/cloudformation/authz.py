"""What CloudFormation's operations need of IAM: their action on the stack; a RoleARN has to be handed over.

What a stack's resources need is asked of its creator, or of its role, when they are made.
Source: Service Authorization Reference, "AWS CloudFormation"; user guide, "Controlling access with IAM" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from cumulet.kernel.authz import Authz, Need
from cumulet.kernel.context import Context

Json = dict[str, Any]


def _on_stack(action: str) -> Callable[[Context, Json], Iterable[Need]]:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        named = req.get("StackName") or "*"
        if named == "*" and ":changeSet/" in str(req.get("ChangeSetName")):
            named = str(req["ChangeSetName"])
        arn = (
            named if named.startswith("arn:") else f"arn:aws:cloudformation:{ctx.region}:{ctx.account}:stack/{named}/*"
        )
        facts: Json = {}
        for member, key in (
            ("RoleARN", "cloudformation:RoleArn"),
            ("TemplateURL", "cloudformation:TemplateUrl"),
            ("ChangeSetName", "cloudformation:ChangeSetName"),
            ("ResourceTypes", "cloudformation:ResourceTypes"),
        ):
            if member in req:
                facts[key] = req[member]
        yield Need(f"cloudformation:{action}", arn, facts=facts)
        if "RoleARN" in req:
            yield Need("iam:PassRole", req["RoleARN"], facts={"iam:PassedToService": "cloudformation.amazonaws.com"})

    return needs  # fmt: skip


AUTHZ = Authz(
    "cloudformation",
    {
        name: _on_stack(name)
        for name in ("CancelUpdateStack", "ContinueUpdateRollback", "CreateChangeSet", "CreateStack", "DeleteChangeSet",
                     "DeleteStack", "DescribeChangeSet", "DescribeStackEvents", "DescribeStackResource",
                     "DescribeStackResources", "DescribeStacks", "ExecuteChangeSet", "GetTemplate", "GetTemplateSummary",
                     "ListChangeSets", "ListStackResources", "RollbackStack", "UpdateStack", "UpdateTerminationProtection")
    },
    code="AccessDenied",
    status=403,
)  # fmt: skip
