"""Quotas of accounts and tables that change over time, in AWS's defaults.

Source: developer guide, "Quotas in Amazon DynamoDB", "Constraints in Amazon DynamoDB" (read 2026-11).
"""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.dynamodb.errors import LimitExceededException
from cumulet.services.dynamodb.model import Table

MAX_TABLES = 2500
MAX_UNITS = 40_000
ACCOUNT_UNITS = 80_000
_DAY_S, _HOUR_S = 86400, 3600
_FREE_DECREASES = 4
_SWITCHES = 4


def count_table(ctx: Context, account: str, region: str, amount: int = 1) -> None:
    """Count a table that comes or goes. Raises: LimitExceededException."""
    key = ("dynamodb", "tables", account, region)
    count = ctx.tx.add(key, amount)
    if count > MAX_TABLES and amount > 0:
        raise LimitExceededException(
            f"Subscriber limit exceeded: There is a limit of {MAX_TABLES} tables per subscriber"
        )
    if count <= 0:
        ctx.tx.delete(key)


def decreases_today(table: Table, now: float) -> int:
    """How often a table's throughput was decreased on this day (UTC)."""
    return table.decreases if table.decreased_at // _DAY_S == now // _DAY_S else 0


def decrease(table: Table, now: float) -> int:
    """The count of this day's decreases with one more. Raises: LimitExceededException."""
    today = decreases_today(table, now)
    if today >= _FREE_DECREASES and now - table.decreased_at < _HOUR_S:
        raise LimitExceededException(
            "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the "
            "first 4 decreases, each subsequent decrease in the same UTC day can be performed at most once every 3600 seconds. "
            f"Number of decreases today: {today}."
        )
    return today + 1


def switched(table: Table, now: float) -> Table:
    """A table that turns to on-demand mode: four times in 24 hours. Raises: LimitExceededException."""
    recent = tuple(at for at in table.on_demand_at if at > now - _DAY_S)
    if len(recent) >= _SWITCHES:
        raise LimitExceededException(
            "Subscriber limit exceeded: Update to PayPerRequest mode are limited to 4 times in 1 day(s)."
        )
    return replace(table, on_demand_at=(*recent, now))
