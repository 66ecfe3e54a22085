"""What a receive gives: which messages, in which shape, and the same ones again for a repeated attempt."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import md5
from typing import Any

from cumulet.services.sqs import attributes, receipts, rows, sealing
from cumulet.services.sqs.errors import invalid, unknown_attribute
from cumulet.services.sqs.model import (
    DEDUPLICATION_S,
    IN_FLIGHT,
    Message,
    Open,
    Queue,
    Remembered,
    decode_remembered,
    seen_key,
)
from cumulet.services.sqs.sending import check_token, remember
from cumulet.services.sqs.taking import Take, Taken

_NOT_OF_THIS_TYPE = "The request include parameter that is not valid for this queue type."
_Json = dict[str, Any]
SYSTEM_ATTRIBUTES = frozenset(
    {
        "SenderId",
        "SentTimestamp",
        "ApproximateReceiveCount",
        "ApproximateFirstReceiveTimestamp",
        "SequenceNumber",
        "MessageDeduplicationId",
        "MessageGroupId",
        "AWSTraceHeader",
        "DeadLetterQueueSourceArn",
    }
)
# AttributeNames took queue attributes too, in the days of one list of names; they ask for nothing
_LEGACY = frozenset({"Policy", "VisibilityTimeout", "QueueArn", "SqsManagedSseEnabled"})


class Shape:
    """Which attributes a request wants to see."""

    __slots__ = ("system", "user")

    def __init__(self, req: Mapping[str, Any]) -> None:
        """Raises: InvalidAttributeName."""
        self.user: list[str] = req.get("MessageAttributeNames", [])
        names = {*req.get("AttributeNames", ()), *req.get("MessageSystemAttributeNames", ())}
        if not names:
            self.system: frozenset[str] = frozenset()
        elif "All" in names:
            self.system = SYSTEM_ATTRIBUTES
        else:
            for name in names - SYSTEM_ATTRIBUTES - _LEGACY:
                raise unknown_attribute(name)
            self.system = frozenset(names)


EVERYTHING = Shape({"AttributeNames": ["All"], "MessageAttributeNames": ["All"]})


def take(o: Open, wanted: int, hidden_ms: int, max_bytes: int | None = None) -> tuple[list[Taken], bool]:
    """(messages taken, whether anything changed that must be kept though none was). Nothing goes over the in-flight limit."""
    if o.counts.flying + wanted > IN_FLIGHT:
        complete = rows.settle(o, rows.SETTLED_AT_ONCE)
        wanted = max(0, min(wanted, IN_FLIGHT - o.counts.flying))
        if wanted == 0:
            return [], not complete
    action = Take(o, wanted, hidden_ms, max_bytes)
    return action.run(), action.changed


def shown(o: Open, taken: Taken, shape: Shape) -> _Json:
    """A message as ReceiveMessage gives it."""
    message = taken.message
    if message.sealed:
        message, body = sealing.opened(o, message, rows.kept_body(o, taken.seq, message))
    else:
        body = rows.body_of(o, taken.seq, message)
    found: _Json = {
        "MessageId": message.id,
        "ReceiptHandle": receipts.handle_of(o, taken),
        "MD5OfBody": message.md5 or md5(body.encode(), usedforsecurity=False).hexdigest(),
        "Body": body,
    }
    if shape.system:
        found["Attributes"] = _system(o, taken, shape.system)
    if shape.user and message.attributes:
        some = attributes.wanted(message.attributes, shape.user)
        if some:
            whole = len(some) == len(message.attributes)
            found["MD5OfMessageAttributes"] = message.attributes_md5 if whole else attributes.digest(some)
            found["MessageAttributes"] = attributes.shown(some)
    return found


def _system(o: Open, taken: Taken, names: frozenset[str]) -> dict[str, str]:
    message, flight = taken.message, taken.flight
    every = {
        "SenderId": message.sender,
        "SentTimestamp": str(message.sent_ms),
        "ApproximateReceiveCount": str(message.receives_before + flight.receives),
        "ApproximateFirstReceiveTimestamp": str(flight.first_ms) if flight.first_ms else "",
        "SequenceNumber": message.sequence,
        "MessageDeduplicationId": message.deduplication,
        "MessageGroupId": message.group,
        "AWSTraceHeader": message.trace_header,
        "DeadLetterQueueSourceArn": message.source,
    }
    return {name: value for name, value in every.items() if value and name in names}


# a repeated attempt


def attempt_of(queue: Queue, req: Mapping[str, Any]) -> str | None:
    """Raises: InvalidParameterValue on a standard queue, or for a malformed id."""
    attempt: str | None = req.get("ReceiveRequestAttemptId")
    if attempt is None:
        return None
    if not queue.fifo:
        raise invalid(attempt, "ReceiveRequestAttemptId", _NOT_OF_THIS_TYPE)
    check_token("ReceiveRequestAttemptId", attempt)
    return attempt


def remember_attempt(o: Open, attempt: str, taken: list[Taken]) -> None:
    handles = " ".join(receipts.handle_of(o, one) for one in taken)
    remember(o, "r", attempt, Remembered(handles, "", o.now_ms + DEDUPLICATION_S * 1000))


def again(o: Open, attempt: str, hidden_s: int) -> list[Taken]:
    """The messages of an earlier attempt with the same receipt handles, invisible for the whole timeout from now on.

    None when one of them was deleted, changed, or became visible since.
    """
    raw = o.tx.get_bytes(seen_key(o.queue.uid, "r", attempt))
    earlier = None if raw is None else decode_remembered(raw)
    if earlier is None or earlier.until_ms <= o.due_ms:
        return []
    found: list[tuple[receipts.Receipt, receipts.Found, Message]] = []
    for handle in earlier.id.split():
        receipt = receipts.receipt_of(o, handle)
        place = receipts.find(o, receipt)
        if place is None or place.at_ms is None or place.at_ms <= o.due_ms:
            return []
        if place.flight.takes != receipt.takes or place.flight.changed:
            return []
        message = rows.load(o, receipt.seq)
        assert message is not None
        found.append((receipt, place, message))
    for _, place, _ in found:
        receipts.move(o, place, o.now_ms + hidden_s * 1000, changed=False)
    return [Taken(receipt.seq, message, place.flight, receipt.at_ms) for receipt, place, message in found]
