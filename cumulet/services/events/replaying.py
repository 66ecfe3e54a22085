"""Replays at work: a durable timer sends the events of one minute, some at a time, and sets itself for the next.

STARTING -> RUNNING -> COMPLETED or FAILED; CANCELLING -> CANCELLED at the next step. A step and the note of its last event are
one transaction, so a crash repeats no event and leaves out none.
"""

from __future__ import annotations

from typing import Any

from cumulet.aws.arn import Arn
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import replace
from cumulet.services.events.archiving import text_of
from cumulet.services.events.event import Event
from cumulet.services.events.model import Archive, Archived, Replay, archive_key, find_bus, replay_key
from cumulet.services.events.routing import route

TIMER, FORGET = "events.replay", "events.forget"
ACTIVE = frozenset({"STARTING", "RUNNING", "CANCELLING"})
_AT_ONCE = 200
_STEP_S = 1.0
_KEPT_S = 90 * 86_400.0


def step(ctx: Context, key: Key) -> None:
    """Timer events.replay: send the next events of a replay."""
    account, region, name, number = (str(part) for part in key)
    replay = ctx.tx.get(replay_key(account, region, name), Replay)
    if replay is None or replay.id != number or replay.state not in ACTIVE:
        return
    if replay.state == "CANCELLING":
        _end(ctx, replay, "CANCELLED")
        return
    source = Arn.parse(replay.source_arn).resource.removeprefix("archive/")
    archive = ctx.tx.get(archive_key(account, region, source), Archive)
    bus = find_bus(ctx, archive.bus) if archive is not None else None
    if archive is None or bus is None:
        _end(ctx, replay, "FAILED", reason=f"Archive {source} does not exist.")
        return
    rows = _next(ctx, archive, replay)
    only = replay.destination.get("FilterArns", ())
    ctx.follow([replay.trace, *(kept.trace for _, kept in rows)])
    for row, kept in rows:
        route(ctx, bus, Event.read(text_of(ctx, kept), ctx.now).replayed(replay.name, ctx.now), only)
        replay = replace(replay, last_replayed=float(row[3] or 0), place=(float(row[3] or 0), str(row[4])))
    if not rows:
        _end(ctx, replay, "COMPLETED")
        return
    ctx.tx.put(replay.key, replace(replay, state="RUNNING"))
    ctx.tx.wake(ctx.now + _STEP_S, TIMER, key)


def _next(ctx: Context, archive: Archive, replay: Replay) -> list[tuple[Key, Archived]]:
    """The events behind the replay's place that lie in the first one's minute."""
    first: Key = (*archive.events, *(replay.place or (replay.event_start,)))
    rows: list[tuple[Key, Archived]] = []
    for row, kept in ctx.tx.scan(archive.events, Archived, start=first, limit=_AT_ONCE + 1):
        at = float(row[3] or 0)
        if replay.place is not None and (at, row[4]) == replay.place:
            continue
        if at > replay.event_end or (rows and at // 60 != float(rows[0][0][3] or 0) // 60) or len(rows) == _AT_ONCE:
            break
        rows.append((row, kept))
    return rows


def _end(ctx: Context, replay: Replay, state: str, **changes: Any) -> None:
    ctx.tx.put(replay.key, replace(replay, state=state, ended=ctx.now, **changes))
    ctx.tx.wake(ctx.now + _KEPT_S, FORGET, (replay.account, replay.region, replay.name, replay.id))


def forget(ctx: Context, key: Key) -> None:
    """Timer events.forget: a replay that ended 90 days ago is listed no more."""
    account, region, name, number = (str(part) for part in key)
    replay = ctx.tx.get(replay_key(account, region, name), Replay)
    if replay is not None and replay.id == number:
        ctx.tx.delete(replay.key)
