"""Operations on log streams: create, delete, describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cumulet.kernel.context import Context
from cumulet.services.logs.errors import InvalidParameterException, ResourceAlreadyExistsException
from cumulet.services.logs.lookup import group_asked, group_named, stream_named
from cumulet.services.logs.model import ROOT, Group, Stream, stream_key
from cumulet.services.logs.reading import newest, oldest_ms
from cumulet.services.logs.storing import new_stream

if TYPE_CHECKING:
    from cumulet.services.logs import api

_PAGE = 50


def create_log_stream(ctx: Context, req: api.CreateLogStreamRequest) -> api.CreateLogStreamResult:
    """Make a stream in a group.

    Raises: ResourceNotFoundException, ResourceAlreadyExistsException.
    Source: CloudWatch Logs API_CreateLogStream (read 2026-11).
    """
    group = group_named(ctx, req["logGroupName"])
    if ctx.tx.get(stream_key(group.id, req["logStreamName"]), Stream) is not None:
        raise ResourceAlreadyExistsException("The specified log stream already exists")
    new_stream(ctx, group, req["logStreamName"])
    return {}


def delete_log_stream(ctx: Context, req: api.DeleteLogStreamRequest) -> api.DeleteLogStreamResult:
    """Delete a stream with its events.

    Raises: ResourceNotFoundException. Source: CloudWatch Logs API_DeleteLogStream (read 2026-11).
    """
    group = group_named(ctx, req["logGroupName"])
    stream = stream_named(ctx, group, req["logStreamName"])
    ctx.tx.delete(stream.key)
    ctx.tx.wake(ctx.now, "logs.sweep", (group.id, stream.id))
    return {}


def describe_log_streams(ctx: Context, req: api.DescribeLogStreamsRequest) -> api.DescribeLogStreamsResult:
    """A group's streams, 50 at a time, by name or by the time of their newest event.

    Raises: ResourceNotFoundException, InvalidParameterException.
    Source: CloudWatch Logs API_DescribeLogStreams (read 2026-11).
    """
    group = group_asked(ctx, req)
    prefix, by_time = req.get("logStreamNamePrefix", ""), req.get("orderBy") == "LastEventTime"
    if by_time and prefix:
        raise InvalidParameterException("Cannot order by LastEventTime with a logStreamNamePrefix.")
    limit, descending = req.get("limit", _PAGE), req.get("descending", False)
    found = [stream for _, stream in ctx.tx.scan((ROOT, "stream", group.id), Stream) if stream.name.startswith(prefix)]
    if by_time:
        times = {stream.name: (newest(ctx, stream) or (0, 0))[0] for stream in found}
        found.sort(key=lambda stream: (times[stream.name], stream.name))
    if descending:
        found.reverse()
    start = 0
    if "nextToken" in req:
        names = [stream.name for stream in found]
        if req["nextToken"] not in names:
            raise InvalidParameterException("The specified nextToken is invalid.")
        start = names.index(req["nextToken"])
    answer: api.DescribeLogStreamsResult = {
        "logStreams": [_shown(ctx, group, stream) for stream in found[start : start + limit]]
    }
    if len(found) > start + limit:
        answer["nextToken"] = found[start + limit].name
    return answer


def _shown(ctx: Context, group: Group, stream: Stream) -> api.LogStream:
    shown: api.LogStream = {
        "logStreamName": stream.name,
        "creationTime": stream.created_ms,
        "arn": f"{group.arn}:log-stream:{stream.name}",
        "storedBytes": 0,  # AWS reports 0 for every stream since 2019
    }
    first, last = oldest_ms(ctx, stream), newest(ctx, stream)
    if first is not None and last is not None:
        shown |= {"firstEventTimestamp": first, "lastEventTimestamp": last[0], "lastIngestionTime": last[1]}
    return shown
