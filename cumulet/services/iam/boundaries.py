"""Permissions boundaries of roles and users: the managed policy is recorded on the entity and counted at the policy."""

from __future__ import annotations

from typing import TypeVar

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.iam.errors import NoSuchEntity
from cumulet.services.iam.managed import find
from cumulet.services.iam.model import Attachment, Role, User, key

Bounded = TypeVar("Bounded", Role, User)


def put(ctx: Context, kind: str, entity: Bounded, arn: str) -> Bounded:
    """Raises: NoSuchEntity when there is no such policy."""
    if find(ctx, arn) is None:
        raise NoSuchEntity(f"Scope ARN: {arn} does not exist or is not attachable.")
    delete(ctx, kind, entity)
    changed = replace(entity, boundary=arn)
    ctx.tx.put(key(ctx.account, kind, entity.name), changed)
    ctx.tx.put(_at(ctx, kind, entity.name, arn), Attachment(arn=arn, entity=entity.name, boundary=True))
    return changed


def delete(ctx: Context, kind: str, entity: Bounded) -> None:
    if entity.boundary is not None:
        ctx.tx.delete(_at(ctx, kind, entity.name, entity.boundary))
        ctx.tx.put(key(ctx.account, kind, entity.name), replace(entity, boundary=None))


def _at(ctx: Context, kind: str, name: str, arn: str) -> tuple[str, ...]:
    return ("iam", ctx.account, "boundary", arn, kind, name.lower())
