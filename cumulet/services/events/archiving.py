"""Keeping events in archives, and letting them expire.

An event has two rows: by its own time, for replays, and by the time of its archiving, for the retention. Removal works in small
transactions, each of which sets the timer for the next.
"""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import replace
from cumulet.kernel.tx import BLOB_OVER_BYTES
from cumulet.services.events.event import Event
from cumulet.services.events.model import ROOT, Archive, Archived, Rule, archive_key

DAY_S = 86_400.0
EXPIRE, SWEEP = "events.expire", "events.sweep"
_AT_ONCE = 500
_PAUSE_S = 60.0


def keep(ctx: Context, rule: Rule, event: Event) -> None:
    """Put an event into the archive that a managed rule feeds."""
    archive = ctx.tx.get(archive_key(rule.account, rule.region, rule.archive or ""), Archive)
    if archive is None:
        return
    text, at, number = event.text, event.at, ctx.ids.hex(16)
    blob = ctx.tx.put_blob(text) if len(text) > BLOB_OVER_BYTES else ""
    kept = Archived(text=b"" if blob else text, blob=blob, size=len(text), trace=ctx.trace)
    ctx.tx.put((*archive.events, at, number), kept)
    ctx.tx.put((*archive.arrivals, ctx.now, at, number), b"")
    ctx.tx.add(archive.counter("events"))
    ctx.tx.add(archive.counter("bytes"), len(text))
    if archive.retention_days and not archive.watched:
        watch(ctx, archive, ctx.now + archive.retention_days * DAY_S)


def watch(ctx: Context, archive: Archive, at: float) -> None:
    """Have expired events removed at `at`, and from then on as long as there are some."""
    ctx.tx.put(archive.key, replace(archive, watched=True))
    ctx.tx.wake(at, EXPIRE, (archive.account, archive.region, archive.name, archive.id), fresh=True)


def expire(ctx: Context, key: Key) -> None:
    """Timer events.expire: remove an archive's expired events; comes again when the next ones are due."""
    account, region, name, number = (str(part) for part in key)
    archive = ctx.tx.get(archive_key(account, region, name), Archive)
    if archive is None or archive.id != number:
        return
    if not archive.retention_days:
        ctx.tx.put(archive.key, replace(archive, watched=False))
        return
    kept_s = archive.retention_days * DAY_S
    for removed, row in enumerate(list(ctx.tx.scan_keys(archive.arrivals, limit=_AT_ONCE + 1))):
        due = float(row[3] or 0) + kept_s
        if due > ctx.now:
            ctx.tx.wake(max(due, ctx.now + _PAUSE_S), EXPIRE, key)
            return
        if removed == _AT_ONCE:
            ctx.tx.wake(ctx.now, EXPIRE, key)
            return
        _remove(ctx, archive, row)
    ctx.tx.put(archive.key, replace(archive, watched=False))


def _remove(ctx: Context, archive: Archive, arrival: Key) -> None:
    place = (*archive.events, *arrival[4:])
    kept = ctx.tx.get(place, Archived)
    ctx.tx.delete(arrival)
    if kept is not None:
        ctx.tx.delete(place)
        ctx.tx.add(archive.counter("events"), -1)
        ctx.tx.add(archive.counter("bytes"), -kept.size)
        _drop_blob(ctx, kept)


def text_of(ctx: Context, kept: Archived) -> bytes:
    """The event's text."""
    return ctx.tx.read_blob(kept.blob) if kept.blob else kept.text


def _drop_blob(ctx: Context, kept: Archived) -> None:
    if kept.blob:
        ctx.tx.delete_blob(kept.blob)


def sweep(ctx: Context, key: Key) -> None:
    """Timer events.sweep: remove what a deleted archive (its id) has left."""
    left = _AT_ONCE
    for place, kept in list(ctx.tx.scan((ROOT, "archived", *key), Archived, limit=left)):
        ctx.tx.delete(place)
        _drop_blob(ctx, kept)
        left -= 1
    for kind in ("arrival", "counter"):
        if left <= 0:
            break
        for row in list(ctx.tx.scan_keys((ROOT, kind, *key), limit=left)):
            ctx.tx.delete(row)
            left -= 1
    if left <= 0:
        ctx.tx.wake(ctx.now, SWEEP, key)
