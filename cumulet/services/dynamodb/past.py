"""What tables were: the rows that writes replaced, kept while a backup, a restore, an export or point-in-time recovery needs them.

`dynamodb/past/{number}/{item's key}{version}`   when a write replaced a row, and the row (nothing: there was none)
`dynamodb/version/{number}`                      counts the writes that were remembered
`dynamodb/holder/{number}/{kind}/{id}`           who needs the table as it was at a version, or at a time

A moment of a table is its rows as they are, except that the first write after the moment that was remembered of an item
tells what the item was. So a backup copies nothing: it costs each item one row when the item is first changed after it.
A table's rows stay when it is deleted, until nobody holds them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import groupby

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key, after_prefix, pack
from cumulet.kernel.record import Record, replace
from cumulet.services.dynamodb.layout import Layout
from cumulet.services.dynamodb.model import Table

ALL, FIRST = "all", "first"
_DAY_S = 86400
_TIME = struct.Struct(">d")
_VERSION_BYTES = 8
_ROWS_A_STEP = 2000
_BYTES_A_STEP = 4 * 1024 * 1024
_READ_A_STEP = 8000


class Moment(Record):
    """A state of a table: after the write `version`, or, where that is -1, at the time `at` (its writes included)."""

    version: int = -1
    at: float = 0.0


class Holder(Record):
    """Somebody who needs a moment of a table; `backup` is the id of the backup that is made, restored or exported."""

    moment: Moment
    backup: str = ""


class Sweep(Record):
    """How far superfluous rows are removed; `again` when something else became superfluous meanwhile."""

    cursor: bytes = b""
    again: bool = False


def _past_rows(number: int) -> bytes:
    return pack(("dynamodb", "past", number))


def _item_rows(number: int) -> bytes:
    return pack(("dynamodb", "item", number))


def _version_key(number: int) -> Key:
    return ("dynamodb", "version", number)


def holder_key(number: int, kind: str, name: str | int) -> Key:
    return ("dynamodb", "holder", number, kind, name)


def holders(ctx: Context, number: int) -> list[tuple[Key, Holder]]:
    return list(ctx.tx.scan(("dynamodb", "holder", number), Holder))


# writing


def remember(ctx: Context, layout: Layout, key: bytes, old: bytes | None) -> None:
    """Keep the row that a write replaces, where somebody needs it."""
    table = layout.table
    base = _past_rows(table.number) + key[len(layout.prefix) :]
    if table.past == FIRST:
        first = base + _version(table.snapshot + 1)
        for _ in ctx.tx.scan_bytes(first, base + b"\xff" * (_VERSION_BYTES + 1), limit=1):
            return
    version = ctx.tx.add(_version_key(table.number))
    ctx.tx.put(base + _version(version), _TIME.pack(ctx.now) + (old or b""))


def _version(version: int) -> bytes:
    return version.to_bytes(_VERSION_BYTES, "big")


def this_moment(ctx: Context, table: Table) -> Moment:
    return Moment(version=ctx.tx.counter(_version_key(table.number)))


def hold(ctx: Context, table: Table, kind: str, name: str | int, moment: Moment, backup: str = "") -> Table:
    """Keep a moment for somebody; the table as it is from now on (written, unless it is gone)."""
    ctx.tx.put(holder_key(table.number, kind, name), Holder(moment=moment, backup=backup))
    return remembering(ctx, table)


def release(ctx: Context, table: Table, kind: str, name: str | int) -> None:
    """Forget a holder; what nobody needs any more goes, some rows at a time."""
    ctx.tx.delete(holder_key(table.number, kind, name))
    remembering(ctx, table)
    sweep_soon(ctx, table)


def remembering(ctx: Context, table: Table) -> Table:
    """Set what writes must remember from now on. `table` may be an older version of its record."""
    now = ctx.tx.get(table.key, Table)
    if now is None or now.number != table.number:
        return table
    moments = [holder.moment for _, holder in holders(ctx, table.number)]
    newest = max((moment.version for moment in moments), default=-1)
    always = now.pitr_since > 0 or any(moment.version < 0 for moment in moments)
    changed = replace(now, past=ALL if always else FIRST if newest >= 0 else "", snapshot=newest)
    if changed != now:
        ctx.tx.put(changed.key, changed)
    return changed


# reading


def _after(moment: Moment, version: int, at: float) -> bool:
    """Whether a write came after a moment."""
    return version > moment.version if moment.version >= 0 else at > moment.at


def _entries(ctx: Context, number: int, cursor: bytes) -> Iterator[tuple[bytes, int, float, bytes, bytes]]:
    """(the item's part of the key, version, time, the row before, key) of what is remembered, from a cursor on."""
    prefix = _past_rows(number)
    for k, value in ctx.tx.scan_bytes(prefix + cursor, after_prefix(prefix)):
        suffix, version = k[len(prefix) : -_VERSION_BYTES], int.from_bytes(k[-_VERSION_BYTES:], "big")
        yield suffix, version, _TIME.unpack(value[: _TIME.size])[0], value[_TIME.size :], k


def _replaced(ctx: Context, number: int, moment: Moment, cursor: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    """(an item's part of the key, its row at the moment or b"" when it was not there; None: it is as it was since)."""
    for suffix, entries in groupby(_entries(ctx, number, cursor), key=lambda entry: entry[0]):
        found: bytes | None = None
        for _, version, at, row, _ in entries:
            if found is None and _after(moment, version, at):
                found = row
        yield suffix, found


def rows_at(ctx: Context, number: int, moment: Moment, cursor: bytes) -> tuple[list[tuple[bytes, bytes]], bytes | None]:
    """(some (item's part of the key, row) of a table at a moment, from a cursor on, the next cursor or None)."""
    prefix = _item_rows(number)
    rows = ((k[len(prefix) :], row) for k, row in ctx.tx.scan_bytes(prefix + cursor, after_prefix(prefix)))
    changes = _replaced(ctx, number, moment, cursor)
    row, change = next(rows, None), next(changes, None)
    out: list[tuple[bytes, bytes]] = []
    size = seen = 0
    while row is not None or change is not None:
        if len(out) >= _ROWS_A_STEP or size >= _BYTES_A_STEP or seen >= _READ_A_STEP:
            following = min(each[0] for each in (row, change) if each is not None)
            return out, following
        seen += 1
        if change is None or (row is not None and row[0] < change[0]):
            assert row is not None
            suffix, found = row
            row = next(rows, None)
        else:
            suffix, then = change
            now = row[1] if row is not None and row[0] == suffix else b""
            if row is not None and row[0] == suffix:
                row = next(rows, None)
            found = now if then is None else then
            change = next(changes, None)
        if found:
            out.append((suffix, found))
            size += len(found)
    return out, None


# removing


def sweep_soon(ctx: Context, table: Table) -> None:
    key = _sweep_key(table.number)
    going = ctx.tx.get(key, Sweep)
    if going is not None:
        ctx.tx.put(key, replace(going, again=True))
        return
    ctx.tx.wake(ctx.now, "dynamodb.sweep", (table.account, table.region, table.name, table.number))


def _sweep_key(number: int) -> Key:
    return ("dynamodb", "sweep", number)


def sweep(ctx: Context, table: Table | None, number: int) -> bytes | None:
    """Remove some of what nobody needs; the cursor to go on from, or None at the end. `table` None: it was deleted."""
    state = ctx.tx.get(_sweep_key(number), Sweep) or Sweep()
    moments = [holder.moment for _, holder in holders(ctx, number)]
    if table is None and not moments:
        return _clear(ctx, number)
    since = ctx.now - table.pitr_days * _DAY_S - 1 if table is not None and table.pitr_since > 0 else None
    seen = 0
    for suffix, entries in groupby(_entries(ctx, number, state.cursor), key=lambda entry: entry[0]):
        if seen >= _ROWS_A_STEP:
            following: bytes = suffix
            ctx.tx.put(_sweep_key(number), replace(state, cursor=following))
            return following
        waiting = list(moments)
        for _, version, at, _, k in entries:
            seen += 1
            left = [moment for moment in waiting if not _after(moment, version, at)]
            if len(left) == len(waiting) and (since is None or at <= since):
                ctx.tx.delete(k)
            waiting = left
    if state.again:
        ctx.tx.put(_sweep_key(number), Sweep())
        return b""
    ctx.tx.delete(_sweep_key(number))
    return None


def _clear(ctx: Context, number: int) -> bytes | None:
    """All rows of a deleted table."""
    left = _ROWS_A_STEP
    for low in (_item_rows(number), _past_rows(number)):
        found = [k for k, _ in ctx.tx.scan_bytes(low, after_prefix(low), limit=left)]
        for k in found:
            ctx.tx.delete(k)
        left -= len(found)
        if not left:
            ctx.tx.put(_sweep_key(number), Sweep())
            return b""
    ctx.tx.delete(_version_key(number))
    ctx.tx.delete(_sweep_key(number))
    return None
