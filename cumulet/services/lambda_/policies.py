"""Resource policies: statements written from AddPermission's members, and shown as a policy document."""

from __future__ import annotations

from typing import Any

import msgspec

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.services.lambda_.errors import (
    PolicyLengthExceededException,
    ResourceConflictException,
    ResourceNotFoundException,
    revision_mismatch,
)
from cumulet.services.lambda_.model import Policy

_LIMIT_BYTES = 20 * 1024
_encode = msgspec.json.Encoder().encode

Json = dict[str, Any]


def add_statement(ctx: Context, key: Key, statement: Json, revision: str | None) -> str:
    """Add a statement and return it as JSON.

    Raises: ResourceConflictException (the id is taken), PreconditionFailedException, PolicyLengthExceededException.
    """
    policy = ctx.tx.get(key, Policy)
    statements = policy.statements if policy is not None else ()
    if revision is not None and policy is not None and revision != policy.revision:
        raise revision_mismatch("Policy")
    if any(other["Sid"] == statement["Sid"] for other in statements):
        raise ResourceConflictException(
            f"The statement id ({statement['Sid']}) provided already exists. Please provide a new statement id, or remove the "
            "existing statement."
        )
    changed = Policy(revision=ctx.ids.uuid(), statements=(*statements, statement))
    if len(_encode(changed.statements)) > _LIMIT_BYTES:
        raise PolicyLengthExceededException("The final policy size is bigger than the limit (20480).")
    ctx.tx.put(key, changed)
    return _encode(statement).decode()


def remove_statement(ctx: Context, key: Key, sid: str, revision: str | None) -> None:
    """Remove a statement. Raises: ResourceNotFoundException, PreconditionFailedException."""
    policy = ctx.tx.get(key, Policy)
    left = tuple(s for s in policy.statements if s["Sid"] != sid) if policy is not None else ()
    if policy is None or len(left) == len(policy.statements):
        raise ResourceNotFoundException(f"Statement {sid} is not found in resource policy.")
    if revision is not None and revision != policy.revision:
        raise revision_mismatch("Policy")
    if left:
        ctx.tx.put(key, Policy(revision=ctx.ids.uuid(), statements=left))
    else:
        ctx.tx.delete(key)


def document(ctx: Context, key: Key) -> Json:
    """{"Policy": JSON, "RevisionId": ...}. Raises: ResourceNotFoundException."""
    policy = ctx.tx.get(key, Policy)
    if policy is None:
        raise ResourceNotFoundException("The resource you requested does not exist.")
    text = _encode({"Version": "2012-10-17", "Id": "default", "Statement": list(policy.statements)}).decode()
    return {"Policy": text, "RevisionId": policy.revision}


def principal_of(principal: str) -> Any:
    """Principal as a policy has it: a service, an account, a role, or everyone."""
    if principal == "*":
        return "*"
    if principal.endswith((".amazonaws.com", ".amazon.com", ".amazonaws.com.cn")):
        return {"Service": principal}
    if principal.isdigit() and len(principal) == 12:
        return {"AWS": f"arn:aws:iam::{principal}:root"}
    return {"AWS": principal}
