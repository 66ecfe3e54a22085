"""Operations on replays."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.events.checks import parsed
from cumulet.services.events.errors import (
    IllegalStatusException,
    LimitExceededException,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
    ValidationException,
)
from cumulet.services.events.model import ROOT, Archive, Replay, archive_key, replay_key
from cumulet.services.events.paging import page_of
from cumulet.services.events.replaying import ACTIVE, TIMER

Json = dict[str, Any]
_MOST_ACTIVE = 10
_STARTING_S = 1.0


def start_replay(ctx: Context, req: Json) -> Json:
    """Send an archive's events of a time range to its bus again, with `replay-name`: a minute of them each second.

    Raises: ResourceNotFoundException, ResourceAlreadyExistsException, ValidationException, LimitExceededException (10 active).
    Source: EventBridge API_StartReplay; user guide, "Replaying archived events" (read 2026-11).
    """
    name = req["ReplayName"]
    if ctx.tx.get(replay_key(ctx.account, ctx.region, name), Replay) is not None:
        raise ResourceAlreadyExistsException(f"Replay {name} already exists.")
    arn = parsed(req["EventSourceArn"])
    archive_name = arn.resource.removeprefix("archive/")
    archive = ctx.tx.get(archive_key(ctx.account, ctx.region, archive_name), Archive)
    if archive is None or archive.arn != req["EventSourceArn"]:
        raise ResourceNotFoundException(
            f"Parameter EventSourceArn is not valid. Reason: Archive {archive_name} does not exist."
        )
    destination = req["Destination"]
    if destination["Arn"] != archive.source_arn:
        raise ValidationException(
            "Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted."
        )
    if req["EventEndTime"] <= req["EventStartTime"]:
        raise ValidationException(
            "Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime."
        )
    rows = ctx.tx.scan((ROOT, "replay", ctx.account, ctx.region), Replay)
    if sum(1 for _, other in rows if other.state in ACTIVE) >= _MOST_ACTIVE:
        raise LimitExceededException("The requested resource exceeds the maximum number allowed.")
    replay = Replay(
        account=ctx.account, region=ctx.region, name=name, id=ctx.ids.hex(16), source_arn=archive.arn,
        destination=destination, event_start=req["EventStartTime"], event_end=req["EventEndTime"], started=ctx.now,
        description=req.get("Description"), trace=ctx.trace,
    )  # fmt: skip
    ctx.tx.put(replay.key, replay)
    ctx.tx.wake(ctx.now + _STARTING_S, TIMER, (replay.account, replay.region, replay.name, replay.id))
    return {"ReplayArn": replay.arn, "State": replay.state, "ReplayStartTime": replay.started}


def cancel_replay(ctx: Context, req: Json) -> Json:
    """End a replay that is starting or running.

    Raises: ResourceNotFoundException, IllegalStatusException. Source: EventBridge API_CancelReplay (read 2026-11).
    """
    replay = _found(ctx, req["ReplayName"])
    if replay.state not in ("STARTING", "RUNNING"):
        raise IllegalStatusException(f"Replay {replay.name} is not in a valid state for this operation.")
    replay = replace(replay, state="CANCELLING")
    ctx.tx.put(replay.key, replay)
    return {"ReplayArn": replay.arn, "State": replay.state}


def describe_replay(ctx: Context, req: Json) -> Json:
    """A replay and how far it is. Raises: ResourceNotFoundException. Source: EventBridge API_DescribeReplay (read 2026-11)."""
    replay = _found(ctx, req["ReplayName"])
    described = {**_shown(replay), "ReplayArn": replay.arn, "Destination": replay.destination}
    if replay.description is not None:
        described["Description"] = replay.description
    return described


def list_replays(ctx: Context, req: Json) -> Json:
    """The replays of the last 90 days by name, 100 at a time: all, or those of a prefix, an archive or a state.

    Raises: ValidationException, InvalidToken. Source: EventBridge API_ListReplays (read 2026-11).
    """
    if len(req.keys() & {"NamePrefix", "EventSourceArn", "State"}) > 1:
        raise ValidationException(
            "At most one filter is allowed for ListReplays. Use either : State, EventSourceArn, or NamePrefix."
        )
    found = (
        (replay.name, _shown(replay))
        for _, replay in ctx.tx.scan((ROOT, "replay", ctx.account, ctx.region), Replay)
        if replay.name.startswith(req.get("NamePrefix", ""))
        and req.get("EventSourceArn", replay.source_arn) == replay.source_arn
        and req.get("State", replay.state) == replay.state
    )
    return page_of(req, found, "Replays")


def _found(ctx: Context, name: str) -> Replay:
    replay = ctx.tx.get(replay_key(ctx.account, ctx.region, name), Replay)
    if replay is None:
        raise ResourceNotFoundException(f"Replay {name} does not exist.")
    return replay


def _shown(replay: Replay) -> Json:
    found = {
        "ReplayName": replay.name,
        "EventSourceArn": replay.source_arn,
        "State": replay.state,
        "StateReason": replay.reason,
        "EventStartTime": replay.event_start,
        "EventEndTime": replay.event_end,
        "EventLastReplayedTime": replay.last_replayed,
        "ReplayStartTime": replay.started,
        "ReplayEndTime": replay.ended,
    }
    return {member: value for member, value in found.items() if value is not None}
