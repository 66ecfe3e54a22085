"""Operations that put events on buses, and the test of a pattern."""

from __future__ import annotations

from typing import Any

import msgspec

from cumulet.aws.arn import Arn
from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.aws.eventpattern import InvalidPattern, compile_pattern
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.context import Context
from cumulet.services.events.emitting import envelope_of
from cumulet.services.events.errors import InvalidEventPatternException, ValidationException
from cumulet.services.events.event import Event
from cumulet.services.events.metrics import count
from cumulet.services.events.model import DEFAULT, find_bus
from cumulet.services.events.policy import permits
from cumulet.services.events.routing import route

Json = dict[str, Any]
_MOST_BYTES = 1_048_576
_DETAIL_TYPE_CHARACTERS = 128
_EVENT_MEMBERS = ("id", "account", "source", "time", "region", "resources", "detail-type")


class _Refused(Exception):
    """An entry that is not taken: its code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.entry = {"ErrorCode": code, "ErrorMessage": message}


def put_events(ctx: Context, req: Json) -> Json:
    """Put up to 10 events on buses, under 1 MiB together; each entry succeeds or fails by itself.

    What comes of them belongs to the traces that TraceHeaders name, the first before all.
    They are with their targets, or on their way with a timer, when this is answered. An event for a bus of this account that
    does not exist is taken and goes nowhere, as on AWS.
    Raises: ValidationException (too large), NotImplementedOnCumulet (EndpointId).
    Source: EventBridge API_PutEvents, API_PutEventsRequestEntry, API_PutEventsResultEntry; user guide, "Calculating PutEvents
    event entry size" (read 2026-11).
    """
    if "EndpointId" in req:
        raise NotImplementedOnCumulet("EventBridge's global endpoints (EndpointId) are not implemented by Cumulet.")
    if sum(map(_size, req["Entries"])) >= _MOST_BYTES:
        raise ValidationException("Total size of the entries in the request is over the limit.")
    traces = [entry["TraceHeader"] for entry in req["Entries"] if "TraceHeader" in entry]
    if traces:
        _follow(ctx, traces)
    results: list[Json] = []
    failed = 0
    for entry in req["Entries"]:
        try:
            results.append({"EventId": _put(ctx, entry)})
        except _Refused as refused:
            failed += 1
            results.append(refused.entry)
    count(ctx, "PutEventsApproximateCallCount")
    count(ctx, "PutEventsEntriesCount", float(len(results)))
    if failed:
        count(ctx, "PutEventsFailedEntriesCount", float(failed))
    return {"FailedEntryCount": failed, "Entries": results}


def _follow(ctx: Context, traces: list[str]) -> None:
    """Go on with the traces that entries name, unless the request is part of them anyway."""
    others = [trace for trace in traces if ctx.span.trace_id not in trace]
    if others:
        ctx.follow(others)


def _size(entry: Json) -> int:
    texts = [entry.get("Source", ""), entry.get("DetailType", ""), entry.get("Detail", ""), *entry.get("Resources", ())]
    return (14 if "Time" in entry else 0) + sum(len(text.encode()) for text in texts)


def _put(ctx: Context, entry: Json) -> str:
    for member in ("Source", "DetailType", "Detail"):
        if not entry.get(member):
            raise _Refused(
                "InvalidArgument", f"Parameter {member} is not valid. Reason: {member} is a required argument."
            )
    source, kind = entry["Source"], entry["DetailType"]
    if source.startswith("aws."):
        raise _Refused("NotAuthorizedForSourceException", "Not authorized for the source.")
    if len(kind) > _DETAIL_TYPE_CHARACTERS:
        raise _Refused("InvalidArgument", "Parameter DetailType is not valid. Reason: it has more than 128 characters.")
    try:
        detail = read_json(entry["Detail"])
        raw = msgspec.json.format(entry["Detail"].encode(), indent=-1)
    except NotJson:
        raise _Refused("MalformedDetail", "Detail is malformed.") from None
    if not isinstance(detail, dict):
        raise _Refused("MalformedDetail", "Detail is malformed.")
    try:
        envelope = envelope_of(ctx, source, kind, entry.get("Time", ctx.now), entry.get("Resources", []))
    except ValueError:
        raise _Refused("InvalidArgument", "Parameter Time is not valid.") from None
    _dispatch(ctx, entry.get("EventBusName", DEFAULT), Event.made(envelope, detail, raw, ctx.now))
    return str(envelope["id"])


def _dispatch(ctx: Context, asked: str, event: Event) -> None:
    """Raises: _Refused for a bus of another account that does not permit it."""
    where, name = ctx, asked
    if asked.startswith("arn:"):
        arn = Arn.parse(asked)
        name = arn.resource.removeprefix("event-bus/")
        where = ctx.at(arn.account, arn.region)
    bus = find_bus(where, name)
    if where.account != ctx.account and (
        bus is None or not permits(bus, ctx.account, event.fields["source"], event.fields["detail-type"])
    ):
        raise _Refused("AccessDeniedException", f"Not authorized to put events on event bus {asked}.")
    if bus is not None:
        route(where, bus, event)


def test_event_pattern(ctx: Context, req: Json) -> Json:
    """Whether a pattern matches an event.

    Raises: InvalidEventPatternException, ValidationException (no event). Source: EventBridge API_TestEventPattern (read 2026-11).
    """
    try:
        pattern = compile_pattern(req["EventPattern"])
    except InvalidPattern as error:
        raise InvalidEventPatternException(str(error)) from error
    try:
        event = read_json(req["Event"])
    except NotJson as error:
        raise ValidationException("Parameter Event is not valid.") from error
    if not isinstance(event, dict):
        raise ValidationException("Parameter Event is not valid.")
    for member in _EVENT_MEMBERS:
        if member not in event:
            raise ValidationException(f"Parameter Event is not valid. Reason: {member} is a required argument.")
    return {"Result": pattern(event)}
