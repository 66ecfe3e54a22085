"""What other services ask of IAM beside its API."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.iam import documents
from cumulet.services.iam.model import AccessKey, User, key

USED_EVERY_S = 3600.0


def check_policy(ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
    """`cumulet:CheckPolicy`: hold an identity or session policy (PolicyDocument) against IAM's grammar.

    Raises: MalformedPolicyDocument.
    """
    documents.check_identity(req["PolicyDocument"])
    return {}


def access_key(ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
    """`cumulet:AccessKey`: whose an access key is, with its secret; {} for an unknown one.

    With `ServiceName` (and `Region`) the use is recorded, at most once an hour per key.
    """
    found = ctx.tx.get(("iam-access-key", req["AccessKeyId"]), AccessKey)
    user = ctx.tx.get(key(found.account, "user", found.user), User) if found is not None else None
    if found is None or user is None:
        return {}
    if "ServiceName" in req and (found.used_at is None or ctx.now - found.used_at >= USED_EVERY_S):
        used = replace(found, used_at=ctx.now, used_service=req["ServiceName"], used_region=req.get("Region", "N/A"))
        ctx.tx.put(("iam-access-key", found.id), used)
    return {
        "AccountId": found.account,
        "UserName": user.name,
        "UserId": user.id,
        "Arn": user.arn,
        "SecretAccessKey": found.secret,
        "Status": found.status,
    }
