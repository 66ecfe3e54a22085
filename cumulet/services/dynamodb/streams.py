"""Stream records, written in the transaction of the change that they tell of: one for a real change, none for a no-op.

A shard's counter is the position of its last record. It commits with the record, so positions have no gap whatever fails, and
whoever waits for the shard's next record waits for the counter.
"""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.keys import pack_part
from cumulet.services.dynamodb.layout import Layout, encode_json, item_of
from cumulet.services.dynamodb.model import Item
from cumulet.services.dynamodb.streammodel import GROWN_RECORDS, StreamLayout, StreamRecord
from cumulet.services.dynamodb.values import equal


def record_change(
    ctx: Context, layout: Layout, stream: StreamLayout, key: bytes, item: Item, row: bytes, old: bytes | None
) -> None:
    """An item is put or updated. `old` is the row that `row` replaces."""
    if old is None:
        _write(ctx, layout, stream, key, item, "INSERT", row, b"", False)
    elif not _same(item, row, old):
        _write(ctx, layout, stream, key, item, "MODIFY", row, old, False)


def record_removal(ctx: Context, layout: Layout, stream: StreamLayout, key: bytes, old: bytes, expired: bool) -> None:
    """An item that was there is deleted."""
    _write(ctx, layout, stream, key, item_of(old), "REMOVE", b"", old, expired)


def _same(item: Item, row: bytes, old: bytes) -> bool:
    """Whether two rows hold the same item; attributes and the elements of sets have no order."""
    if row == old:
        return True
    if len(row) != len(old) or row[:4] != old[:4]:
        return False
    was = item_of(old)
    return was.keys() == item.keys() and all(equal(value, was[name]) for name, value in item.items())


def _write(
    ctx: Context,
    layout: Layout,
    stream: StreamLayout,
    key: bytes,
    item: Item,
    name: str,
    row: bytes,
    old: bytes,
    expired: bool,
) -> None:
    records, counter, shard = stream.shards[key[len(layout.prefix) + 1] - 1]  # the key's bucket: see `keys.BUCKETS`
    position = ctx.tx.add(counter)
    record = StreamRecord(
        name=name,
        at=ctx.now,
        keys=encode_json(layout.key_item(item)),
        trace=ctx.trace,
        old=old if stream.old else b"",
        new=row if stream.new else b"",
        expired=expired,
    )
    ctx.tx.put(records + pack_part(position), record)
    if not position % GROWN_RECORDS:
        ctx.tx.wake(ctx.now, "dynamodb.split", (*stream.place, shard, position), fresh=True)
