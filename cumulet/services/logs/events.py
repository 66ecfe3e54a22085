"""Operations on events: put, get, filter."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from cumulet.kernel.context import Context
from cumulet.services.logs.errors import InvalidParameterException
from cumulet.services.logs.lookup import group_asked, group_named, stream_named
from cumulet.services.logs.model import DAY_MS, ROOT, Group, Stream
from cumulet.services.logs.patterns import compiled
from cumulet.services.logs.reading import Event, backwards, forwards
from cumulet.services.logs.storing import store

if TYPE_CHECKING:
    from cumulet.services.logs import api

_BATCH_LIMIT_BYTES = 1_048_576
_EVENT_OVERHEAD_BYTES = 26
_TOO_OLD_MS = 14 * DAY_MS
_TOO_NEW_MS = 2 * 3600 * 1000
_PAGE = 10_000
_PAGE_BYTES = 1_048_576
_FOREVER_MS = 10**13


def put_log_events(ctx: Context, req: api.PutLogEventsRequest) -> api.PutLogEventsResult:
    """Keep a batch of events. Sequence tokens are accepted and not needed, as on AWS.

    Limits: 10,000 events, 1 MB with 26 bytes an event, 24 hours between the first and the last, in order. Events more than
    two hours ahead, older than 14 days or than the group's retention are left out and reported.
    Raises: ResourceNotFoundException, InvalidParameterException.
    Source: CloudWatch Logs API_PutLogEvents (read 2026-11).
    """
    group = group_named(ctx, req["logGroupName"])
    stream = stream_named(ctx, group, req["logStreamName"])
    events = [(event["timestamp"], event["message"]) for event in req["logEvents"]]
    _check_batch(events)
    now_ms = int(ctx.now * 1000)
    rejected: api.RejectedLogEventsInfo = {}
    kept: list[tuple[int, str]] = []
    for index, (at_ms, message) in enumerate(events):
        if at_ms > now_ms + _TOO_NEW_MS:
            rejected.setdefault("tooNewLogEventStartIndex", index)
        elif at_ms < group.oldest_ms(ctx.now):
            rejected["expiredLogEventEndIndex"] = index + 1
        elif at_ms < now_ms - _TOO_OLD_MS:
            rejected["tooOldLogEventEndIndex"] = index + 1
        else:
            kept.append((at_ms, message))
    if kept:
        store(ctx, group, stream, kept)
    answer: api.PutLogEventsResult = {"nextSequenceToken": f"{int(ctx.now * 1e6):056d}"}
    if rejected:
        answer["rejectedLogEventsInfo"] = rejected
    return answer


def _check_batch(events: list[tuple[int, str]]) -> None:
    size = sum(len(message.encode()) + _EVENT_OVERHEAD_BYTES for _, message in events)
    if size > _BATCH_LIMIT_BYTES:
        raise InvalidParameterException(f"Upload too large: {size} bytes exceeds limit of {_BATCH_LIMIT_BYTES}")
    if any(after[0] < before[0] for before, after in pairwise(events)):
        raise InvalidParameterException("Log events in a single PutLogEvents request must be in chronological order.")
    if events[-1][0] - events[0][0] > DAY_MS:
        raise InvalidParameterException(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
        )


def get_log_events(ctx: Context, req: api.GetLogEventsRequest) -> api.GetLogEventsResult:
    """A stream's events: the newest, or from the head; a page is 10,000 events or 1 MB.

    The end is reached when the token that comes back is the one that was sent.
    Raises: ResourceNotFoundException, InvalidParameterException.
    Source: CloudWatch Logs API_GetLogEvents (read 2026-11).
    """
    group = group_asked(ctx, req)
    stream = stream_named(ctx, group, req["logStreamName"])
    low, high = _range(ctx, group, req, inclusive=False)
    direction, gap = _token(req)
    limit = req.get("limit", _PAGE)
    if direction == "f":
        page = _page(forwards(ctx, stream, gap or 0, low, high), limit)
    else:
        page = _page(backwards(ctx, stream, gap, low, high), limit)
        page.reverse()
    before, after = (page[0].place, page[-1].place + 1) if page else (gap or 0, gap or 0)
    return {
        "events": [
            {"timestamp": event.at_ms, "message": event.message, "ingestionTime": event.ingested_ms} for event in page
        ],
        "nextForwardToken": f"f/{after:056d}/s",
        "nextBackwardToken": f"b/{before:056d}/s",
    }


def filter_log_events(ctx: Context, req: api.FilterLogEventsRequest) -> api.FilterLogEventsResult:
    """Events of a group, or of some of its streams, that match a pattern, interleaved by time.

    A page is 10,000 events or 1 MB. See patterns.py for the pattern language.
    Raises: ResourceNotFoundException, InvalidParameterException.
    Source: CloudWatch Logs API_FilterLogEvents (read 2026-11).
    """
    group = group_asked(ctx, req)
    if "logStreamNames" in req and "logStreamNamePrefix" in req:
        raise InvalidParameterException("Cannot specify both logStreamNames and logStreamNamePrefix.")
    if "logStreamNames" in req:
        streams = [stream_named(ctx, group, name) for name in req["logStreamNames"]]
    else:
        prefix = req.get("logStreamNamePrefix", "")
        streams = [s for _, s in ctx.tx.scan((ROOT, "stream", group.id), Stream) if s.name.startswith(prefix)]
    matches = compiled(req.get("filterPattern", ""))
    low, high = _range(ctx, group, req, inclusive=True)
    head, first = _position(req)
    limit = req.get("limit", _PAGE)
    shown: list[api.FilteredLogEvent] = []
    size = 0
    for event, name in _interleaved(ctx, streams, first, low, high, head):
        if not matches(event.message):
            continue
        size += len(event.message.encode()) + _EVENT_OVERHEAD_BYTES
        if len(shown) == limit or (shown and size > _PAGE_BYTES):
            return {
                "events": shown,
                "searchedLogStreams": [],
                "nextToken": f"{'f' if head else 'b'}/{event.place:056d}/{name}",
            }
        shown.append(
            {
                "logStreamName": name,
                "timestamp": event.at_ms,
                "message": event.message,
                "ingestionTime": event.ingested_ms,
                "eventId": f"{event.place:056d}",
            }
        )
    return {"events": shown, "searchedLogStreams": []}


def _interleaved(
    ctx: Context, streams: list[Stream], first: tuple[int, str] | None, low: int, high: int, head: bool
) -> Iterator[tuple[Event, str]]:
    """Events of all streams by time, from the one at `first` on."""

    def named(stream: Stream) -> Iterator[tuple[Event, str]]:
        if head:
            events = forwards(ctx, stream, first[0] if first else 0, low, high)
        else:
            events = backwards(ctx, stream, first[0] + 1 if first else None, low, high)
        for event in events:
            if (
                first is None
                or event.place != first[0]
                or (stream.name >= first[1] if head else stream.name <= first[1])
            ):
                yield event, stream.name

    return heapq.merge(*map(named, streams), key=lambda pair: (pair[0].place, pair[1]), reverse=not head)


def _range(
    ctx: Context, group: Group, req: api.GetLogEventsRequest | api.FilterLogEventsRequest, inclusive: bool
) -> tuple[int, int]:
    """[low, high) in milliseconds, without what has expired."""
    low = max(req.get("startTime", 0), group.oldest_ms(ctx.now))
    high = req.get("endTime", _FOREVER_MS)
    return low, high + 1 if inclusive else high


def _token(req: api.GetLogEventsRequest) -> tuple[str, int | None]:
    """(direction, the gap between two events that the page begins at)."""
    token = req.get("nextToken")
    if token is None:
        return ("f" if req.get("startFromHead", False) else "b"), None
    parts = token.split("/")
    if len(parts) != 3 or parts[0] not in ("f", "b") or not parts[1].isdigit():
        raise InvalidParameterException("The specified nextToken is invalid.")
    return parts[0], int(parts[1])


def _position(req: api.FilterLogEventsRequest) -> tuple[bool, tuple[int, str] | None]:
    """(whether from the head, the event to begin with). A token keeps the direction it was made in."""
    if "nextToken" not in req:
        return req.get("startFromHead", True), None
    direction, _, rest = req["nextToken"].partition("/")
    place, _, name = rest.partition("/")
    if direction not in ("f", "b") or not place.isdigit() or not name:
        raise InvalidParameterException("The specified nextToken is invalid.")
    return direction == "f", (int(place), name)


def _page(events: Iterator[Event], limit: int) -> list[Event]:
    page: list[Event] = []
    size = 0
    for event in events:
        size += len(event.message.encode()) + _EVENT_OVERHEAD_BYTES
        if len(page) == limit or (page and size > _PAGE_BYTES):
            break
        page.append(event)
    return page
