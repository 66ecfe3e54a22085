"""Tumbling windows: which window a record belongs to, the event with its state, and what an answer's state does.

Windows begin at multiples of their length since 1970. One opens with its first record. Each invocation gets the state that the one before
returned; when the window's time is over and all its records were processed, a last invocation without records gets
it (isFinalInvokeForWindow). A state over 1 MB ends the window early, and the records that follow begin with an empty state again.

Source: Lambda developer guide, "Implementing stateful DynamoDB stream processing in Lambda" (read 2026-11).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.record import replace
from cumulet.services.lambda_.sources.progress import Part, Reader, Window
from cumulet.services.lambda_.sources.trials import Item, Step, Verdict, delay_s

STATE_LIMIT_BYTES = 1_048_576
_EMPTY = b"{}"
_encode = msgspec.json.Encoder().encode


class _Answer(msgspec.Struct):
    state: msgspec.Raw


def start_of(at: float, size_s: int) -> float:
    """When the window of a record begins."""
    return float(math.floor(at / size_s) * size_s)


def opened(reader: Reader, items: Sequence[Item], size_s: int) -> Window:
    """The window that the items belong to."""
    return reader.window or Window(start=start_of(items[0].at, size_s), size_s=size_s, state=_EMPTY)


def tail(window: Window, shard: str, arn: str, *, final: bool, early: bool) -> bytes:
    """What follows the records in the event, from the end of their list on."""
    fields = {
        "window": {"start": _time(window.start), "end": _time(window.end)},
        "state": msgspec.Raw(window.state),
        "shardId": shard,
        "eventSourceARN": arn,
        "isFinalInvokeForWindow": final,
        "isWindowTerminatedEarly": early,
    }
    return b"]," + _encode(fields)[1:]


def state_in(payload: bytes) -> bytes | None:
    """The state in an answer, as JSON; None where there is none, which makes it a failure."""
    try:
        return bytes(read_json(payload, _Answer).state)
    except NotJson:
        return None


def kept(reader: Reader, window: Window, state: bytes, last: Item) -> Reader:
    """The reader after records of the window were processed."""
    early = len(state) > STATE_LIMIT_BYTES
    return replace(reader, window=replace(window, state=state, early=early, last=last.sequence, last_at=last.at))


def closed(reader: Reader, verdict: Verdict, retries: int, now: float) -> Step:
    """What follows from a window's last invocation: it is gone, or tried again, or given up like a batch of no records."""
    window = reader.window
    assert window is not None
    if verdict.failed is None:
        return Step(replace(reader, window=None, failures=0, retry_at=0.0))
    part = window.part or Part(
        start=window.last, end=window.last, first_at=window.last_at, last_at=window.last_at, size=0
    )
    part = replace(
        part, tries=part.tries + verdict.counts, invoked=part.invoked + verdict.counts, status=verdict.status,
        error=verdict.error, version=verdict.version, request_id=verdict.request_id,
    )  # fmt: skip
    if 0 <= retries < part.tries:
        return Step(replace(reader, window=None, failures=0, retry_at=0.0), part)
    failures = reader.failures + 1
    return Step(replace(reader, window=replace(window, part=part), failures=failures, retry_at=now + delay_s(failures)))


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
