"""What becomes of a reader when its function has run, or its records are too old: a calculation, without the store.

- Success: the checkpoint moves behind the batch.
- A partial batch response moves it before the lowest sequence number that failed; the rest is tried again.
- A failed batch blocks its lane: tried again after 1, 2, 4 ... 60 s, MaximumRetryAttempts times, then discarded.
- With BisectBatchOnFunctionError it is split instead, and the halves are tried at once, one after the other; splitting uses up no retry.
  A single record is retried as above. A record that fails alone is discarded alone, and no other is overtaken.
- What never reached the function (throttled, or the platform failed) uses up no retry either.

Source: Lambda developer guide, "Retain discarded records for a DynamoDB event source in Lambda", "Configuring partial batch
response with DynamoDB and Lambda" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.record import replace
from cumulet.services.lambda_.sources.model import Mapping
from cumulet.services.lambda_.sources.progress import Part, Reader

RETRY_MAX_S = 60.0


@dataclass(slots=True, frozen=True)
class Item:
    """A record of a batch: its sequence number and when it came."""

    sequence: str
    at: float


@dataclass(slots=True, frozen=True)
class Verdict:
    """How an invocation ended.

    failed   the first item that failed, by its place in the batch; None: all is well
    counts   whether a failure uses up a retry: the function ran
    status, error, version, request_id   of the invocation, for the report of discarded records
    """

    failed: int | None
    counts: bool = True
    status: int = 200
    error: str = ""
    version: str = ""
    request_id: str = ""


@dataclass(slots=True, frozen=True)
class Step:
    """The reader as it is now, and the part that is given up, where there is one."""

    reader: Reader
    discarded: Part | None = None


def delay_s(failures: int) -> float:
    """How long after so many failures in a row the next attempt is."""
    return min(2.0 ** min(failures - 1, 10), RETRY_MAX_S)


def part_of(items: Sequence[Item], tried: Part | None = None) -> Part:
    """The items as a part; it goes on with what `tried` counted."""
    ends = {
        "start": items[0].sequence,
        "end": items[-1].sequence,
        "first_at": items[0].at,
        "last_at": items[-1].at,
        "size": len(items),
    }
    return Part(**ends) if tried is None else replace(tried, **ends)  # type: ignore[arg-type]


def judged(reader: Reader, mapping: Mapping, items: Sequence[Item], last: str, verdict: Verdict, now: float) -> Step:
    """What follows from an invocation with `items`; `last` is the checkpoint when all of them are done with."""
    tails = reader.parts[1:]
    if verdict.failed is None:
        return Step(replace(reader, checkpoint=last, parts=tails, failures=0, retry_at=0.0))
    rest = items[verdict.failed :]
    same = reader.parts[0] if reader.parts and verdict.failed == 0 else None
    if verdict.failed:
        reader = replace(reader, checkpoint=items[verdict.failed - 1].sequence, failures=0)
    if verdict.counts and mapping.bisect and len(rest) > 1:
        return Step(replace(reader, parts=(*_halves(rest, verdict), *tails), failures=0, retry_at=0.0))
    part = part_of(rest, same)
    part = replace(
        part, tries=part.tries + verdict.counts, invoked=part.invoked + verdict.counts, status=verdict.status,
        error=verdict.error, version=verdict.version, request_id=verdict.request_id,
    )  # fmt: skip
    if 0 <= mapping.retries < part.tries:
        return Step(replace(reader, checkpoint=last, parts=tails, failures=0, retry_at=0.0), part)
    failures = reader.failures + 1
    return Step(replace(reader, parts=(part, *tails), failures=failures, retry_at=now + delay_s(failures)))


def _halves(rest: Sequence[Item], verdict: Verdict) -> tuple[Part, ...]:
    """The pieces of what failed; what follows a failure that the function named is one piece, as it begins with a new record."""
    if verdict.failed:
        return (part_of(rest),)
    middle = len(rest) // 2
    return part_of(rest[:middle]), part_of(rest[middle:])


def aged(reader: Reader, items: Sequence[Item], last: str, count: int) -> Step:
    """The first `count` items are too old: they are given up, the rest is next."""
    head, tails = (reader.parts[0], reader.parts[1:]) if reader.parts else (None, ())
    rest = (part_of(items[count:], head),) if head is not None and count < len(items) else ()
    checkpoint = last if count == len(items) else items[count - 1].sequence
    discarded = part_of(items[:count], head)
    return Step(
        replace(reader, checkpoint=checkpoint, parts=(*rest, *tails), failures=0, retry_at=0.0),
        discarded,
    )


def first_failure(payload: bytes, sequences: Sequence[str]) -> int | None:
    """The place of the first item that a partial batch response says has failed; 0 for an answer that makes no sense.

    Nothing, null, an object without `batchItemFailures`, and a null or empty list of them are a complete success. What is no JSON,
    an identifier that is empty, null, missing under its name or unknown in this batch is a complete failure.
    """
    try:
        answer = read_json(payload) if payload.strip() else None
    except NotJson:
        return 0
    if answer is None or answer == "":
        return None
    if not isinstance(answer, dict):
        return 0
    failures = answer.get("batchItemFailures")
    if failures is None or failures == []:
        return None
    if not isinstance(failures, list):
        return 0
    places = {sequence: place for place, sequence in enumerate(sequences)}
    lowest = len(sequences)
    for failure in failures:
        identifier: Any = failure.get("itemIdentifier") if isinstance(failure, dict) else None
        if not isinstance(identifier, str) or identifier not in places:
            return 0
        lowest = min(lowest, places[identifier])
    return lowest
