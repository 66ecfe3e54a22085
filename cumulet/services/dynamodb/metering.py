"""DynamoDB's metrics, namespace AWS/DynamoDB: what tables and global indexes consumed, and how many items were returned.

Units of a put that need not look at the item it replaces are those of the new item.
Source: developer guide, "DynamoDB metrics and dimensions" (read 2026-11).
"""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.meter import Series
from cumulet.services.dynamodb.capacity import Tally
from cumulet.services.dynamodb.model import Table

NAMESPACE = "AWS/DynamoDB"
_KEPT = 10_000


def count_units(ctx: Context, table: Table, tally: Tally, write: bool, factor: float) -> None:
    """Count what a request consumed of a table, its local indexes included, and of each of its global indexes."""
    add = ctx.pipeline.meter.add
    units = tally.table
    if tally.local:
        units += sum(tally.local.values())
    if units:
        add(_series(ctx, table, write, ""), ctx.now, units * factor)
    for index, consumed in tally.global_.items():
        if consumed:
            add(_series(ctx, table, write, index), ctx.now, consumed * factor)


def _series(ctx: Context, table: Table, write: bool, index: str) -> Series:
    """Made once, as this is on the way of every request."""
    known: dict[tuple[int, bool, str], Series] | None = ctx.pipeline.volatile.get("dynamodb.series")
    if known is None:
        known = ctx.pipeline.volatile["dynamodb.series"] = {}
    key = (table.number, write, index)
    found = known.get(key)
    if found is None:
        if len(known) >= _KEPT:
            known.clear()
        name = "ConsumedWriteCapacityUnits" if write else "ConsumedReadCapacityUnits"
        dimensions: tuple[tuple[str, str], ...] = (("TableName", table.name),)
        if index:
            dimensions = (*dimensions, ("GlobalSecondaryIndexName", index))
        found = known[key] = (table.account, table.region, NAMESPACE, name, "Count", dimensions)
    return found


def count_returned(ctx: Context, table: Table, operation: str, items: int) -> None:
    """Count the items that a Query or Scan returned."""
    ctx.at(table.account, table.region).meter(
        NAMESPACE, "ReturnedItemCount", float(items), "Count", TableName=table.name, Operation=operation
    )


def count_expired(ctx: Context, table: Table, items: int) -> None:
    """Count the items that time to live removed."""
    if items:
        ctx.at(table.account, table.region).meter(
            NAMESPACE, "TimeToLiveDeletedItemCount", float(items), "Count", TableName=table.name
        )
