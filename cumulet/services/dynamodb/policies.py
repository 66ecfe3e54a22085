"""Operations on tables' resource policies."""

from __future__ import annotations

import hashlib
from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.dynamodb.access import check_policy, decide
from cumulet.services.dynamodb.errors import PolicyNotFoundException, ResourceNotFoundException, ValidationException
from cumulet.services.dynamodb.layout import find_layout
from cumulet.services.dynamodb.model import Table

Json = dict[str, Any]
_NO_POLICY = "NO_POLICY"


def _table(ctx: Context, arn: str) -> Table:
    if "/stream/" in arn:
        raise NotImplementedOnCumulet("dynamodb: resource policies of streams are not implemented by Cumulet.")
    if not arn.startswith("arn:"):
        raise ValidationException("Invalid ResourceArn")
    layout = find_layout(ctx, arn)
    if layout is None:
        raise ResourceNotFoundException(f"Requested resource not found: {arn}")
    return layout.table


def _revision(policy: str) -> str:
    return str(int.from_bytes(hashlib.sha256(policy.encode()).digest()[:6], "big"))


def _expect(table: Table, req: Json) -> None:
    expected = req.get("ExpectedRevisionId")
    if expected is not None and expected != (_revision(table.policy) if table.policy else _NO_POLICY):
        raise PolicyNotFoundException("Operation failed because the specified revision of the policy was not found.")


def put_resource_policy(ctx: Context, req: Json) -> Json:
    """Give a table a resource policy of at most 20 KB, or replace the one it has; it holds from the next request on.

    Raises: ResourceNotFoundException, ValidationException, PolicyNotFoundException (another revision is there),
    NotImplementedOnCumulet (Condition, NotPrincipal).
    Source: DynamoDB API_PutResourcePolicy (read 2026-11).
    """
    table = _table(ctx, req["ResourceArn"])
    _expect(table, req)
    policy = req["Policy"]
    check_policy(policy)
    _, denied = decide(policy, ctx.principal, ctx.account, "dynamodb:PutResourcePolicy", table.arn)
    if denied and not req.get("ConfirmRemoveSelfResourceAccess"):
        raise ValidationException(
            "The new resource policy would not allow you to change the policy any more; set ConfirmRemoveSelfResourceAccess."
        )
    ctx.tx.put(table.key, replace(table, policy=policy))
    return {"RevisionId": _revision(policy)}


def get_resource_policy(ctx: Context, req: Json) -> Json:
    """A table's resource policy.

    Raises: ResourceNotFoundException, PolicyNotFoundException.
    Source: DynamoDB API_GetResourcePolicy (read 2026-11).
    """
    table = _table(ctx, req["ResourceArn"])
    if not table.policy:
        raise PolicyNotFoundException(f"Resource-based policy not found for the provided ResourceArn: {table.arn}")
    return {"Policy": table.policy, "RevisionId": _revision(table.policy)}


def delete_resource_policy(ctx: Context, req: Json) -> Json:
    """Take a table's resource policy away; none there is fine.

    Raises: ResourceNotFoundException, PolicyNotFoundException (another revision is there).
    Source: DynamoDB API_DeleteResourcePolicy (read 2026-11).
    """
    table = _table(ctx, req["ResourceArn"])
    _expect(table, req)
    if not table.policy:
        return {}
    ctx.tx.put(table.key, replace(table, policy=""))
    return {"RevisionId": _revision(table.policy)}
