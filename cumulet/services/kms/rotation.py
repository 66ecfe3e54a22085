"""Rotation: new backing keys by the clock; the old ones stay, and decrypt what they encrypted.

A key has at most one date of rotation; a timer for any other date does nothing. A key that is disabled or about to be deleted
when its date comes is rotated when it is enabled again.
Source: KMS developer guide, "Rotate AWS KMS keys" (read 2026-11).
"""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key as StoreKey
from cumulet.services.kms import material
from cumulet.services.kms.making import changed
from cumulet.services.kms.model import DAY_S, ENABLED, Key, key_key


def rotate(ctx: Context, key: StoreKey) -> None:
    """Timer `kms.rotate`: a key's date of rotation has come."""
    found = ctx.tx.get(key_key(str(key[0])), Key)
    if found is not None:
        catch_up(ctx, found)


def catch_up(ctx: Context, key: Key) -> None:
    """Rotate a key that is due."""
    if key.state == ENABLED and key.period_days and key.rotates_at <= ctx.now:
        schedule(ctx, turned(ctx, key, "AUTOMATIC"), key.period_days)


def turned(ctx: Context, key: Key, kind: str) -> Key:
    """The key with a new backing key."""
    after = changed(ctx, key, material=key.material + 1)
    material.keep(ctx, after, after.material, material.random_material(key.spec), kind)
    return after


def schedule(ctx: Context, key: Key, days: int) -> None:
    """Have the key rotated in so many days, and again and again."""
    at = ctx.now + days * DAY_S
    changed(ctx, key, period_days=days, rotates_at=at)
    ctx.tx.wake(at, "kms.rotate", (key.id,))
