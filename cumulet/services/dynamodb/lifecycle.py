"""Timers: tables and indexes that come and go, back-filling, expiry, counting. Each does some rows and sets itself again.

A crash between two steps repeats at most one step: every step writes its cursor, or finds its work by what is left.
"""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key, after_prefix, pack, pack_part, unpack
from cumulet.kernel.record import replace
from cumulet.services.dynamodb.describe import Count, count_key
from cumulet.services.dynamodb.layout import IndexLayout, Layout, item_of, item_size
from cumulet.services.dynamodb.metering import count_expired
from cumulet.services.dynamodb.model import Index, Table, table_key
from cumulet.services.dynamodb.past import holders
from cumulet.services.dynamodb.quotas import keep
from cumulet.services.dynamodb.rows import delete_item_row, expiry_of, write_expiry

_ROWS_A_STEP = 500
_COUNTED_A_STEP = 4000


def _table(ctx: Context, key: Key) -> Table | None:
    """The table of a timer's key (account, region, name, number, ...), unless it is another one by now."""
    account, region, name, number = key[:4]
    table = ctx.tx.get(table_key(str(account), str(region), str(name)), Table)
    return table if table is not None and table.number == number else None


def _clear(ctx: Context, prefix: Key, limit: int) -> int:
    """Delete up to `limit` rows under a prefix; how many of the limit are left."""
    low = pack(prefix)
    found = [k for k, _ in ctx.tx.scan_bytes(low, after_prefix(low), limit=limit)]
    for k in found:
        ctx.tx.delete(k)
    return limit - len(found)


def table_step(ctx: Context, key: Key) -> None:
    """Timer: bring a table one step closer to rest."""
    table = _table(ctx, key)
    if table is None or table.importing:
        return
    if table.status == "DELETING":
        left = _ROWS_A_STEP
        held = bool(holders(ctx, table.number))  # a backup, or somebody who reads the rows: they stay for now
        rows = () if held else (table.rows, ("dynamodb", "past", table.number), ("dynamodb", "version", table.number))
        for prefix in (*rows, *(index.rows for index in table.indexes), table.ttl_rows, table.collection_rows):
            left = _clear(ctx, prefix, left) if left else 0
        if left:
            for number in (table.number, *(index.number for index in table.indexes)):
                ctx.tx.delete(count_key(number))
            keep(ctx, table, None)
        else:
            ctx.tx.wake(ctx.now, "dynamodb.table", key)
        return
    moved = table
    for index in table.indexes:
        if index.status == "DELETING":
            moved = _drop_index(ctx, moved, index)
        elif index.backfilling:
            moved = _fill_index(ctx, moved, index)
    busy = any(index.status != "ACTIVE" for index in moved.indexes)
    moved = replace(moved, status="ACTIVE")
    if moved != table:
        keep(ctx, table, moved)
    if busy:
        ctx.tx.wake(ctx.now, "dynamodb.table", key)


def _drop_index(ctx: Context, table: Table, index: Index) -> Table:
    if not _clear(ctx, index.rows, _ROWS_A_STEP):
        return table
    ctx.tx.delete(count_key(index.number))
    indexes = tuple(other for other in table.indexes if other.number != index.number)
    used = {table.pk, table.sk, *(name for other in indexes for name in (other.pk, other.sk))}
    return replace(table, indexes=indexes, attributes={n: kind for n, kind in table.attributes.items() if n in used})


def _fill_index(ctx: Context, table: Table, index: Index) -> Table:
    low = pack(table.rows)
    layout = IndexLayout(table, index)
    last = b""
    found = 0
    for k, row in ctx.tx.scan_bytes(index.cursor or low, after_prefix(low), limit=_ROWS_A_STEP):
        found += 1
        last = k
        item = item_of(row)
        at = layout.row_key(item, k[len(low) + 2 :])
        if at is not None:
            ctx.tx.put(at, layout.row(item, item_size(row), row))
    if found < _ROWS_A_STEP:
        moved = replace(index, status="ACTIVE", backfilling=False, cursor=b"")
    else:
        moved = replace(index, cursor=last + b"\x00")
    return replace(table, indexes=tuple(moved if other.number == index.number else other for other in table.indexes))


def expire(ctx: Context, key: Key) -> None:
    """Timer: delete a table's expired items, some at a time."""
    table = _table(ctx, key)
    if table is None or not table.ttl_attribute:
        return
    layout = Layout(table)
    prefix = pack(table.ttl_rows)
    due = [k for k, _ in ctx.tx.scan_bytes(prefix, prefix + pack_part(int(ctx.now)) + b"\xff", limit=_ROWS_A_STEP)]
    expired = 0
    for k in due:
        ctx.tx.delete(k)
        at = len(prefix)
        expiry = int(unpack(k[at:])[0])  # type: ignore[arg-type]
        item_key = layout.prefix + k[at + len(pack_part(expiry)) :]
        row = ctx.tx.get_bytes(item_key)
        if row is not None and expiry_of(layout, item_of(row), ctx.now) == expiry:
            delete_item_row(ctx, layout, item_key, row, None, expired=True)
            expired += 1
    count_expired(ctx, table, expired)
    if len(due) == _ROWS_A_STEP:
        ctx.tx.wake(ctx.now, "dynamodb.expire", key)


def enter(ctx: Context, key: Key) -> None:
    """Timer: enter the items that were there when expiry was switched on. The key ends with the cursor."""
    table = _table(ctx, key)
    if table is None or not table.ttl_attribute:
        return
    layout = Layout(table)
    cursor = key[4]
    assert isinstance(cursor, bytes)
    found = 0
    last = b""
    for k, row in ctx.tx.scan_bytes(cursor or layout.prefix, after_prefix(layout.prefix), limit=_ROWS_A_STEP):
        found += 1
        last = k
        write_expiry(ctx, layout, k, item_of(row))
    if found == _ROWS_A_STEP:
        ctx.tx.wake(ctx.now, "dynamodb.enter", (*key[:4], last + b"\x00"))


def count(ctx: Context, key: Key) -> None:
    """Timer: count the rows of a table or an index; the key is (kind, number, rows, bytes, cursor)."""
    kind, number, rows, size, cursor = key
    assert isinstance(number, int) and isinstance(rows, int) and isinstance(size, int) and isinstance(cursor, bytes)
    known = ctx.tx.get(count_key(number), Count)
    if known is None:
        return
    found = 0
    last = b""
    for k, row in ctx.tx.scan_bytes(cursor, after_prefix(pack(("dynamodb", kind, number))), limit=_COUNTED_A_STEP):
        found += 1
        size += item_size(row)
        last = k
    if found == _COUNTED_A_STEP:
        ctx.tx.wake(ctx.now, "dynamodb.count", (kind, number, rows + found, size, last + b"\x00"))
    else:
        ctx.tx.put(count_key(number), Count(rows=rows + found, size=size, at=ctx.now))
