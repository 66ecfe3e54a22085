"""The end of a secret."""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.services.secretsmanager.model import ROOT, Secret, count_key, secret_key


def delete(ctx: Context, key: Key) -> None:
    """Timer `secretsmanager.delete`: a secret's recovery window is over."""
    account, region, name, uid = (str(part) for part in key)
    secret = ctx.tx.get(secret_key(account, region, name), Secret)
    if secret is not None and secret.uid == uid and secret.deleted_at and secret.deleted_at <= ctx.now:
        removed(ctx, secret)


def removed(ctx: Context, secret: Secret) -> None:
    """Delete a secret with its versions."""
    ctx.tx.delete_all((ROOT, "value", secret.uid))
    ctx.tx.delete(secret.key)
    ctx.tx.add(count_key(secret.account, secret.region), -1)
