"""A user's or a group's new name: what is kept under the old one moves, but for the record itself."""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.services.iam.model import (
    USER,
    Attachment,
    Group,
    Inline,
    Membership,
    User,
    attachment_key,
    entity_key,
    inline_key,
)


def move(ctx: Context, kind: str, old: User | Group, new: str) -> None:
    """Inline policies, attachments, boundary and memberships of `old` become those of the name `new`."""
    account, name = ctx.account, old.name.lower()
    for at, policy in list(ctx.tx.scan(("iam", account, "inline", kind, name), Inline)):
        ctx.tx.delete(at)
        ctx.tx.put(inline_key(account, kind, new, policy.name), policy)
    for at, each in list(ctx.tx.scan(("iam", account, "attachment", kind, name), Attachment)):
        moved = Attachment(arn=each.arn, entity=new)
        ctx.tx.delete(at)
        ctx.tx.delete(entity_key(account, each.arn, kind, name))
        ctx.tx.put(attachment_key(account, kind, new, each.arn), moved)
        ctx.tx.put(entity_key(account, each.arn, kind, new), moved)
    if isinstance(old, User) and old.boundary is not None:
        bound = ("iam", account, "boundary", old.boundary, kind)
        ctx.tx.delete((*bound, name))
        ctx.tx.put((*bound, new.lower()), Attachment(arn=old.boundary, entity=new, boundary=True))
    _move_memberships(ctx, kind, name, new)


def _move_memberships(ctx: Context, kind: str, name: str, new: str) -> None:
    account = ctx.account
    mine = ("group-of", "member") if kind == USER else ("member", "group-of")  # (under this name, under the other's)
    for at, each in list(ctx.tx.scan(("iam", account, mine[0], name), Membership)):
        moved = Membership(user=new, group=each.group) if kind == USER else Membership(user=each.user, group=new)
        other = (each.group if kind == USER else each.user).lower()
        ctx.tx.delete(at)
        ctx.tx.delete(("iam", account, mine[1], other, name))
        ctx.tx.put(("iam", account, mine[0], new.lower(), other), moved)
        ctx.tx.put(("iam", account, mine[1], other, new.lower()), moved)
