"""The one way items are written: the item, its index rows, its expiry and its collection's size, in one transaction."""

from __future__ import annotations

import math
from decimal import Decimal

from cumulet.kernel.context import Context
from cumulet.kernel.keys import pack, pack_part
from cumulet.services.dynamodb.capacity import Tally, write_units
from cumulet.services.dynamodb.errors import ItemCollectionSizeLimitExceededException, ValidationException
from cumulet.services.dynamodb.layout import IndexLayout, Layout, item_of, item_size, stored
from cumulet.services.dynamodb.model import Item
from cumulet.services.dynamodb.past import remember
from cumulet.services.dynamodb.streams import record_change, record_removal
from cumulet.services.dynamodb.values import MAX_ITEM_BYTES

COLLECTION_LIMIT = 10 * 1024**3
_TTL_OLDEST_S = 5 * 365 * 86400
_WAKE_GRID_S = 5


def put_item_row(
    ctx: Context, layout: Layout, key: bytes, item: Item, size: int, old: bytes | None, tally: Tally | None
) -> None:
    """Write an item. `old` is the row it replaces; `needs_old` says when it must be read.

    Raises: ItemCollectionSizeLimitExceededException; ValidationException when it has over 400 KB with its rows in local indexes.
    """
    row = stored(size, item)
    grown = _write_indexes(ctx, layout, key, item, size, row, old, tally) if layout.indexes else 0
    if layout.table.ttl_attribute:
        write_expiry(ctx, layout, key, item)
    if layout.tracked:
        _grow(ctx, layout, item, grown + size - (item_size(old) if old else 0))
    if tally is not None:
        tally.table += write_units(max(size, item_size(old) if old else 0))
    if layout.stream is not None:
        record_change(ctx, layout, layout.stream, key, item, row, old)
    if layout.table.past:
        remember(ctx, layout, key, old)
    ctx.tx.put(key, row)


def delete_item_row(
    ctx: Context, layout: Layout, key: bytes, old: bytes | None, tally: Tally | None, *, expired: bool = False
) -> None:
    """Delete an item that may not be there; `expired` when time to live does it."""
    if tally is not None:
        tally.table += write_units(item_size(old) if old else 0)
    if old is None:
        return
    grown = _write_indexes(ctx, layout, key, None, 0, None, old, tally) if layout.indexes else 0
    if layout.tracked:
        _grow(ctx, layout, item_of(old), grown - item_size(old))
    if layout.stream is not None:
        record_removal(ctx, layout, layout.stream, key, old, expired)
    if layout.table.past:
        remember(ctx, layout, key, old)
    ctx.tx.delete(key)


def _write_indexes(
    ctx: Context,
    layout: Layout,
    key: bytes,
    item: Item | None,
    size: int,
    row: bytes | None,
    old: bytes | None,
    tally: Tally | None,
) -> int:
    """By how many bytes the rows of local indexes grew, which count with their items."""
    suffix = key[len(layout.prefix) + 2 :]
    was = item_of(old) if old is not None else None
    grown, whole = 0, size
    for index in layout.indexes:
        before = index.row_key(was, suffix) if was is not None else None
        after = index.row_key(item, suffix) if item is not None else None
        new_row = index.row(item, size, row) if item is not None and after is not None else None
        old_row: bytes | None = None
        if before is not None and was is not None and old is not None:
            if before == after or tally is not None or index.index.local:
                old_row = index.row(was, item_size(old), old)
            if before != after:
                ctx.tx.delete(before)
                if tally is not None and old_row is not None:
                    _count(tally, index, item_size(old_row))
        if index.index.local:
            grown += (item_size(new_row) if new_row else 0) - (item_size(old_row) if old_row else 0)
            whole += item_size(new_row) if new_row else 0
        if after is None or new_row is None:
            continue
        if before != after or old_row != new_row:
            if tally is not None:
                _count(tally, index, max(item_size(new_row), item_size(old_row) if old_row and before == after else 0))
            ctx.tx.put(after, new_row)
        elif index.index.backfilling:
            ctx.tx.put(after, new_row)
    if whole > MAX_ITEM_BYTES:
        raise ValidationException("Item size has exceeded the maximum allowed size")
    return grown


def _count(tally: Tally, index: IndexLayout, size: int) -> None:
    tally.add_index(index.index.name, index.index.local, write_units(size))


def _grow(ctx: Context, layout: Layout, item: Item, amount: int) -> None:
    key = collection_key(layout, item)
    if ctx.tx.add(key, amount) > COLLECTION_LIMIT and amount > 0:
        raise ItemCollectionSizeLimitExceededException("Collection size exceeded.")


def collection_key(layout: Layout, item: Item) -> bytes:
    """Where the size of an item's collection is counted."""
    kind = layout.pk_kind
    raw = item[layout.pk][kind]
    return pack(layout.table.collection_rows) + pack_part(raw)


def expiry_of(layout: Layout, item: Item, now: float) -> int | None:
    """When an item expires, in epoch seconds, or None. More than five years in the past does not count.

    Source: developer guide, "Using time to live (TTL)" (read 2026-11).
    """
    value = item.get(layout.table.ttl_attribute)
    if value is None or "N" not in value:
        return None
    number = Decimal(value["N"])
    if number <= 0 or number > 10**12:
        return None
    expiry = math.floor(number)
    return None if expiry < now - _TTL_OLDEST_S else expiry


def write_expiry(ctx: Context, layout: Layout, key: bytes, item: Item) -> None:
    """Enter an item into its table's expiry rows and set a timer; what an older version of it left there is harmless."""
    expiry = expiry_of(layout, item, ctx.now)
    if expiry is None:
        return
    table = layout.table
    ctx.tx.put(pack(table.ttl_rows) + pack_part(expiry) + key[len(layout.prefix) :], b"")
    at = max(math.ceil(expiry / _WAKE_GRID_S) * _WAKE_GRID_S, math.ceil(ctx.now))
    ctx.tx.wake(at, "dynamodb.expire", (table.account, table.region, table.name, table.number))


def collection_metrics(ctx: Context, layout: Layout, item: Item) -> dict[str, object]:
    """ItemCollectionMetrics of an item's collection, for tables with local indexes."""
    gigabytes = float(ctx.tx.counter(collection_key(layout, item)) // 1024**3)
    return {"ItemCollectionKey": {layout.pk: item[layout.pk]}, "SizeEstimateRangeGB": [gigabytes, gigabytes + 1.0]}
