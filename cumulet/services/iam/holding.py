"""What roles, users and groups have in common: inline policies and attached managed policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.iam import documents
from cumulet.services.iam.errors import LimitExceeded, NoSuchEntity
from cumulet.services.iam.listing import page
from cumulet.services.iam.managed import require_policy
from cumulet.services.iam.model import (
    GROUP,
    ROLE,
    Attachment,
    Group,
    Inline,
    Role,
    User,
    attachment_key,
    entity_key,
    inline_key,
)

_ATTACHED_MAX = 10
_INLINE_MAX = {ROLE: 10_240, "user": 2_048, GROUP: 5_120}  # characters, white space apart; IAM user guide, quotas


def put_inline(ctx: Context, kind: str, entity: Role | User | Group, name: str, document: str) -> None:
    """Add or replace an inline policy. Raises: MalformedPolicyDocument, LimitExceeded."""
    documents.check_identity(document)
    others = ctx.tx.scan(("iam", ctx.account, "inline", kind, entity.name.lower()), Inline)
    used = sum(documents.size(each.document) for _, each in others if each.name != name)
    limit = _INLINE_MAX[kind]
    if used + documents.size(document) > limit:
        raise LimitExceeded(f"Maximum policy size of {limit} bytes exceeded for {kind} {entity.name}")
    ctx.tx.put(inline_key(ctx.account, kind, entity.name, name), Inline(name=name, document=document))


def get_inline(ctx: Context, kind: str, entity: Role | User | Group, name: str) -> str:
    """The document as answers carry it. Raises: NoSuchEntity."""
    found = ctx.tx.get(inline_key(ctx.account, kind, entity.name, name), Inline)
    if found is None:
        raise NoSuchEntity(f"The {kind} policy with name {name} cannot be found.")
    return documents.encoded(found.document)


def delete_inline(ctx: Context, kind: str, entity: Role | User | Group, name: str) -> None:
    """Raises: NoSuchEntity."""
    get_inline(ctx, kind, entity, name)
    ctx.tx.delete(inline_key(ctx.account, kind, entity.name, name))


def list_inline(ctx: Context, kind: str, entity: Role | User | Group, req: Mapping[str, Any]) -> dict[str, Any]:
    prefix = ("iam", ctx.account, "inline", kind, entity.name.lower())
    return page(ctx, req, prefix, Inline, "PolicyNames", lambda each: each.name)


def attach(ctx: Context, kind: str, entity: Role | User | Group, arn: str) -> None:
    """Attach a managed policy; one that is attached already is fine. Raises: NoSuchEntity, LimitExceeded."""
    require_policy(ctx, arn)
    held = ctx.tx.scan(("iam", ctx.account, "attachment", kind, entity.name.lower()), Attachment)
    arns = {each.arn for _, each in held if not each.boundary}
    if arn not in arns and len(arns) >= _ATTACHED_MAX:
        raise LimitExceeded(f"Cannot exceed quota for PoliciesPer{kind.capitalize()}: {_ATTACHED_MAX}")
    attachment = Attachment(arn=arn, entity=entity.name)
    ctx.tx.put(attachment_key(ctx.account, kind, entity.name, arn), attachment)
    ctx.tx.put(entity_key(ctx.account, arn, kind, entity.name), attachment)


def detach(ctx: Context, kind: str, entity: Role | User | Group, arn: str) -> None:
    """Raises: NoSuchEntity when it is not attached."""
    if ctx.tx.get(attachment_key(ctx.account, kind, entity.name, arn), Attachment) is None:
        raise NoSuchEntity(f"Policy {arn} was not found.")
    ctx.tx.delete(attachment_key(ctx.account, kind, entity.name, arn))
    ctx.tx.delete(entity_key(ctx.account, arn, kind, entity.name))


def list_attached(ctx: Context, kind: str, entity: Role | User | Group, req: Mapping[str, Any]) -> dict[str, Any]:
    under = req.get("PathPrefix", "/")
    return page(
        ctx,
        req,
        ("iam", ctx.account, "attachment", kind, entity.name.lower()),
        Attachment,
        "AttachedPolicies",
        lambda each: {"PolicyName": each.arn.rpartition("/")[2], "PolicyArn": each.arn},
        lambda each: not each.boundary and each.arn.partition(":policy")[2].startswith(under),
    )
