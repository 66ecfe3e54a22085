"""Finding managed policies by ARN: the account's own, and AWS's.

Any well-formed `arn:aws:iam::aws:policy/...` counts as one of AWS's policies, since Cumulet does not carry AWS's list.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.iam.errors import InvalidInput, NoSuchEntity
from cumulet.services.iam.model import Attachment, Policy, key

AWS_POLICY = re.compile(r"arn:aws:iam::aws:policy(/(?:[!-.0-~/]*/)?)([\w+=,.@-]{1,128})")
_OWN_POLICY = re.compile(r"arn:aws:iam::(\d{12}):policy(/(?:[!-.0-~/]*/)?)([\w+=,.@-]{1,128})")
_AWS_SINCE = 1_423_180_800.0  # 2015-02-06: AWS introduced managed policies


def find(ctx: Context, arn: str) -> Policy | None:
    """One of the account's policies, or one of AWS's as far as its ARN tells. Raises: InvalidInput for no ARN."""
    known = AWS_POLICY.fullmatch(arn)
    if known:
        letters = str(int(hashlib.sha256(arn.encode()).hexdigest(), 16))[:17]
        return Policy(
            name=known[2], id=f"ANPA{letters}", path=known[1], account="aws", created=_AWS_SINCE, updated=_AWS_SINCE
        )
    own = _OWN_POLICY.fullmatch(arn)
    if own is None:
        raise InvalidInput(f"ARN {arn} is not valid.")
    policy = ctx.tx.get(key(ctx.account, "policy", own[3]), Policy)
    return policy if policy is not None and policy.arn == arn else None


def require_policy(ctx: Context, arn: str) -> Policy:
    """Raises: NoSuchEntity."""
    policy = find(ctx, arn)
    if policy is None:
        raise NoSuchEntity(f"Policy {arn} does not exist or is not attachable.")
    return policy


def get_own(ctx: Context, arn: str) -> Policy:
    """A policy of this account. Raises: NoSuchEntity."""
    policy = find(ctx, arn)
    if policy is None or policy.account == "aws":
        raise NoSuchEntity(f"Policy {arn} was not found.")
    return policy


def attachments(ctx: Context, arn: str) -> list[tuple[str, Attachment]]:
    """(kind, attachment) of every entity that has the policy."""
    return [(str(k[4]), each) for k, each in ctx.tx.scan(("iam", ctx.account, "entity", arn), Attachment)]


def bounded(ctx: Context, arn: str) -> list[tuple[str, Attachment]]:
    """(kind, attachment) of every entity that the policy bounds."""
    return [(str(k[4]), each) for k, each in ctx.tx.scan(("iam", ctx.account, "boundary", arn), Attachment)]


def shown(ctx: Context, policy: Policy) -> dict[str, Any]:
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": f"v{policy.default_version}",
        "AttachmentCount": len(attachments(ctx, policy.arn)),
        "PermissionsBoundaryUsageCount": len(bounded(ctx, policy.arn)),
        "IsAttachable": True,
        "CreateDate": policy.created,
        "UpdateDate": policy.updated,
    }
