"""Throttling: a token bucket per table and index, for tables that carry the tag `cumulet:throttle` = `on`.

A bucket holds what 300 seconds of the provisioned throughput (or of OnDemandThroughput's maximum) give, and fills at that
rate. It lives in memory: after a restart it is full. A request that needs more than there is writes nothing.
Source: developer guide, "Burst and adaptive capacity", "DynamoDB maximum throughput for on-demand tables" (read 2026-11).
"""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.dynamodb.capacity import Tally
from cumulet.services.dynamodb.errors import ProvisionedThroughputExceededException, ThrottlingException
from cumulet.services.dynamodb.metering import count_units
from cumulet.services.dynamodb.model import Index, Table

THROTTLED = (ProvisionedThroughputExceededException, ThrottlingException)
TAG = "cumulet:throttle"
_BURST_S = 300.0
_PLACE = "dynamodb.throttle"
_TABLE = (
    "The level of configured provisioned throughput for the table was exceeded. "
    "Consider increasing your provisioning level with the UpdateTable API."
)
_INDEX = (
    "The level of configured provisioned throughput for one or more global secondary indexes of the table was exceeded. "
    "Consider provisioning your under-provisioned global secondary indexes with the UpdateTable API"
)
_ON_DEMAND = "Throughput exceeds the maximum OnDemandThroughput configured on table or index."
Bucket = tuple[float, float]  # units, as of when


def throttled(table: Table) -> bool:
    return table.tags.get(TAG) == "on"


def charge(ctx: Context, table: Table, tally: Tally, *, write: bool, factor: float = 1.0) -> None:
    """Count what a request consumed, and take it out of the buckets of its table and global indexes; transactions
    consume twice (`factor`).

    Raises: ProvisionedThroughputExceededException, ThrottlingException (a maximum on demand).
    """
    if not throttled(table):
        count_units(ctx, table, tally, write, factor)
        return
    wants: list[tuple[int, float, int, str]] = [
        (table.number, tally.table + sum(tally.local.values()), _rate(table, write), _TABLE)
    ]
    for index in table.indexes:
        if index.name in tally.global_:
            wants.append((index.number, tally.global_[index.name], _rate(index, write), _INDEX))
    buckets: dict[Any, Bucket] = ctx.pipeline.volatile.setdefault(_PLACE, {})
    taken: dict[Any, Bucket] = {}
    for number, tallied, rate, words in wants:
        units = tallied * factor
        if rate <= 0 or units <= 0:
            continue
        key = (number, write)
        size = rate * _BURST_S
        there, since = buckets.get(key, (size, ctx.now))
        there = min(size, there + max(0.0, ctx.now - since) * rate)
        if there < min(units, size):  # one request larger than the bucket may empty a full one
            if table.billing_mode == "PAY_PER_REQUEST":
                raise ThrottlingException(_ON_DEMAND)
            raise ProvisionedThroughputExceededException(words)
        taken[key] = (there - units, ctx.now)
    buckets.update(taken)
    count_units(ctx, table, tally, write, factor)


def _rate(owner: Table | Index, write: bool) -> int:
    """Units per second; 0 for no limit."""
    if write:
        return owner.write_units or owner.max_write_units
    return owner.read_units or owner.max_read_units
