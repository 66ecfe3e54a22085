"""The end of imported key material, and of the parameters that it is imported with."""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key as StoreKey
from cumulet.services.kms.making import changed
from cumulet.services.kms.model import (
    DAY_S,
    PENDING_DELETION,
    PENDING_IMPORT,
    Import,
    Key,
    import_key,
    key_key,
    material_key,
)


def import_ends(ctx: Context, key: StoreKey) -> None:
    """Timer `kms.import_ends`: the parameters of an import have expired; they are told from unknown ones for another day."""
    found = ctx.tx.get(import_key(str(key[0])), Import)
    if found is None:
        return
    if found.until + DAY_S <= ctx.now:
        ctx.tx.delete(import_key(str(key[0])))
    else:
        ctx.tx.wake(found.until + DAY_S, "kms.import_ends", key)


def expire(ctx: Context, key: StoreKey) -> None:
    """Timer `kms.expire`: imported material has expired."""
    found = ctx.tx.get(key_key(str(key[0])), Key)
    if found is not None and found.material and found.valid_to and found.valid_to <= ctx.now:
        forget(ctx, found)


def forget(ctx: Context, key: Key) -> None:
    """Delete a key's imported material: it waits for the same to be imported again."""
    ctx.tx.delete(material_key(key.id, 1))
    state = key.state if key.state == PENDING_DELETION else PENDING_IMPORT
    changed(ctx, key, material=0, valid_to=0.0, state=state)
