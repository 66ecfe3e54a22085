"""Quotas of accounts and tables that change over time, in AWS's defaults.

What an account has is counted where its tables' records are written (`keep`), and where a job begins and ends.
Source: developer guide, "Quotas in Amazon DynamoDB", "Constraints in Amazon DynamoDB" (read 2026-11).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import replace
from cumulet.services.dynamodb.errors import LimitExceededException
from cumulet.services.dynamodb.model import Index, Table

MAX_TABLES = 2500
MAX_BUSY_TABLES = 500
MAX_UNITS = 40_000
ACCOUNT_UNITS = 80_000
MAX_JOBS = {"import": 50, "export": 300, "restore": 50}
_DAY_S, _HOUR_S = 86400, 3600
_FREE_DECREASES = 4
_SWITCHES = 4
_EXCEEDED = "Subscriber limit exceeded: "
Owner = TypeVar("Owner", Table, Index)


def _count(ctx: Context, place: tuple[str, str], name: str, amount: int) -> int:
    """Add to what an account has of something in a region."""
    key = counter(*place, name)
    count = ctx.tx.add(key, amount)
    if count == 0:
        ctx.tx.delete(key)
    return count


def counter(account: str, region: str, name: str) -> Key:
    """Where is counted what an account has in a region: tables, busy, ReadCapacityUnits, a kind of job ..."""
    return ("dynamodb", "count of account", account, region, name)


# tables


def keep(ctx: Context, before: Table | None, after: Table | None) -> None:
    """Write a table's record, or delete it, where its quotas may be touched: it comes or goes, its status or its throughput changes.

    Raises: LimitExceededException.
    """
    table = after or before
    assert table is not None
    place = (table.account, table.region)
    was, now = _held(before), _held(after)
    words = {
        "tables": f"There is a limit of {MAX_TABLES} tables per subscriber",
        "busy": f"Only {MAX_BUSY_TABLES} tables can be created, updated, or deleted simultaneously",
    }
    most = {"tables": MAX_TABLES, "busy": MAX_BUSY_TABLES}
    for name, held in now.items():
        amount = held - was[name]
        if amount and _count(ctx, place, name, amount) > most.get(name, ACCOUNT_UNITS) and amount > 0:
            units = (
                f"The tables and global secondary indexes of an account have at most {ACCOUNT_UNITS} {name} in a region"
            )
            raise LimitExceededException(_EXCEEDED + words.get(name, units))
    if after is not None:
        ctx.tx.put(after.key, after)
    else:
        ctx.tx.delete(table.key)


def _held(table: Table | None) -> dict[str, int]:
    """What a table takes of its account's quotas."""
    if table is None:
        return {"tables": 0, "busy": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0}
    return {
        "tables": 1,
        "busy": int(table.status != "ACTIVE"),
        "ReadCapacityUnits": table.read_units + sum(index.read_units for index in table.indexes),
        "WriteCapacityUnits": table.write_units + sum(index.write_units for index in table.indexes),
    }


# jobs: imports, exports, restores


def begin_job(ctx: Context, kind: str, account: str, region: str) -> None:
    """Count a job that begins. Raises: LimitExceededException."""
    if _count(ctx, (account, region), kind, 1) > MAX_JOBS[kind]:
        raise LimitExceededException(f"{_EXCEEDED}There is a limit of {MAX_JOBS[kind]} concurrent {kind}s")


def end_job(ctx: Context, kind: str, account: str, region: str) -> None:
    """Count a job that ended, well or not."""
    _count(ctx, (account, region), kind, -1)


# what may happen so many times a day


def decreases_today(owner: Table | Index, now: float) -> int:
    """How often the throughput of a table or an index was decreased on this day (UTC)."""
    return owner.decreases if owner.decreased_at // _DAY_S == now // _DAY_S else 0


def with_units(owner: Owner, read: int, write: int, now: float) -> Owner:
    """A provisioned table or index with other throughput. It may be decreased four times, and once more for each hour that
    begins, but never more than four times in a row; a day (UTC) begins with four.

    Raises: LimitExceededException.
    """
    if read > owner.read_units or write > owner.write_units:
        owner = replace(owner, increased_at=now)
    if read < owner.read_units or write < owner.write_units:
        today, left = decreases_today(owner, now), _FREE_DECREASES
        if today:
            hours = int(now // _HOUR_S - owner.decreased_at // _HOUR_S)
            left = min(_FREE_DECREASES, owner.decreases_left + hours)
        if left == 0:
            raise _too_many_decreases(owner, today, now)
        owner = replace(owner, decreased_at=now, decreases=today + 1, decreases_left=left - 1)
    return replace(owner, read_units=read, write_units=write)


def _too_many_decreases(owner: Table | Index, today: int, now: float) -> LimitExceededException:
    following = (now // _HOUR_S + 1) * _HOUR_S
    return LimitExceededException(
        f"{_EXCEEDED}Provisioned throughput decreases are limited within a given UTC day. After the first "
        f"{_FREE_DECREASES} decreases, each subsequent decrease in the same UTC day can be performed at most once every 3600 seconds. "
        f"Number of decreases today: {today}. Last decrease at {_day(owner.decreased_at)}. "
        f"Next decrease can be made at {_day(following)}"
    )


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%A, %B %d, %Y %I:%M:%S %p UTC")


def switched(table: Table, now: float) -> Table:
    """A table that turns to on-demand mode: four times in 24 hours. Raises: LimitExceededException."""
    recent = tuple(at for at in table.on_demand_at if at > now - _DAY_S)
    if len(recent) >= _SWITCHES:
        raise LimitExceededException(f"{_EXCEEDED}Update to PayPerRequest mode are limited to 4 times in 1 day(s).")
    return replace(table, on_demand_at=(*recent, now))
