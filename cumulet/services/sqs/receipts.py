"""Receipt handles, and what is done with one: delete a message, change its visibility, return it untried."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from struct import Struct as Form
from typing import NamedTuple

import msgspec

from cumulet.services.sqs import groups, rows
from cumulet.services.sqs.errors import MessageNotInflight, ReceiptHandleIsInvalid, invalid
from cumulet.services.sqs.model import Flight, Open, decode_flight, number
from cumulet.services.sqs.taking import Taken

MAX_VISIBILITY_S = 43_200
_form = Form(">BQQQQIxxx")
_MARK = 0x51


class Receipt(NamedTuple):
    """What a receipt handle says: which receive of which message."""

    uid: int
    shelf: int
    seq: int
    at_ms: int
    takes: int


class Found(NamedTuple):
    """A message as its receipt finds it. `at_ms` None: it is visible again, in no row of `later`."""

    seq: int
    flight: Flight
    at_ms: int | None


def handle_of(o: Open, taken: Taken) -> str:
    queue = o.queue
    raw = _form.pack(_MARK, queue.uid, queue.shelf, taken.seq, taken.at_ms, taken.flight.takes & 0xFFFFFFFF)
    return b64encode(raw).decode()


def receipt_of(o: Open, handle: str) -> Receipt:
    """Raises: ReceiptHandleIsInvalid, also for another queue's."""
    try:
        raw = b64decode(handle, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) == _form.size and raw[0] == _MARK:
        receipt = Receipt(*_form.unpack(raw)[1:])
        if receipt.uid == o.queue.uid:
            return receipt
    raise ReceiptHandleIsInvalid(f'The input receipt handle "{handle}" is not a valid receipt handle.')


def find(o: Open, receipt: Receipt) -> Found | None:
    """Where the message is now; None when it is deleted or purged. The receipt may be an old one."""
    if receipt.shelf != o.queue.shelf:
        return None
    tx, shelf, tail = o.tx, o.shelf, number(receipt.seq)
    raw = tx.get_bytes(shelf.later + number(receipt.at_ms) + tail)
    if raw is not None:
        return Found(receipt.seq, decode_flight(raw), receipt.at_ms)
    place = tx.get_bytes(shelf.place + tail)
    if place is not None:
        at_ms = int.from_bytes(place, "big")
        raw = tx.get_bytes(shelf.later + number(at_ms) + tail)
        return None if raw is None else Found(receipt.seq, decode_flight(raw), at_ms)
    raw = tx.get_bytes(shelf.back + tail)
    if raw is None:
        message = rows.load(o, receipt.seq)
        if message is None:
            return None
        raw = tx.get_bytes(groups.waiting_key(o, message.group, receipt.seq)) if message.group else None
        if raw is None:  # received again since, elsewhere in `later`
            return Found(receipt.seq, Flight(takes=-1, group=message.group), None)
    return Found(receipt.seq, decode_flight(raw), None)


def delete(o: Open, handle: str) -> None:
    """Delete a message; nothing happens when it is deleted already, or received again since (standard queues).

    Raises: ReceiptHandleIsInvalid; InvalidParameterValue on a FIFO queue when the visibility timeout is over.
    """
    receipt = receipt_of(o, handle)
    found = find(o, receipt)
    if found is None:
        return
    current = found.flight.takes == receipt.takes
    flying = found.at_ms is not None and found.at_ms > o.due_ms
    if o.queue.fifo and not (current and flying):
        raise invalid(handle, "ReceiptHandle", "The receipt handle has expired.")
    if current:
        remove(o, found)


def remove(o: Open, found: Found) -> None:
    """Take a message away for ever."""
    seq, flight, at_ms = found
    if at_ms is not None:
        rows.unhide(o, seq, at_ms, flight)
        if flight.group:
            groups.landed(o, flight)
    elif flight.group:
        groups.withdraw(o, seq, flight)
    else:
        o.tx.delete(o.shelf.back + number(seq))
        o.counts.back -= 1
        o.counts.ready -= 1
    rows.discard(o, seq, rows.load(o, seq) if flight.large else None)


def change(o: Open, handle: str, visibility_s: int) -> None:
    """Make a message in flight invisible for `visibility_s` from now on; 0: visible at once.

    Raises: ReceiptHandleIsInvalid, MessageNotInflight, InvalidParameterValue.
    """
    if not 0 <= visibility_s <= MAX_VISIBILITY_S:
        raise invalid(visibility_s, "VisibilityTimeout", "VisibilityTimeout must be an integer between 0 and 43200.")
    receipt = receipt_of(o, handle)
    found = find(o, receipt)
    if found is None:
        raise invalid(
            handle,
            "ReceiptHandle",
            "Message does not exist or is not available for visibility timeout change.",
        )
    if found.at_ms is None or found.at_ms <= o.due_ms or found.flight.takes != receipt.takes:
        if o.queue.fifo and found.flight.takes != receipt.takes:
            raise invalid(handle, "ReceiptHandle", "The receipt handle has expired.")
        raise MessageNotInflight("The specified message isn't in flight.")
    if o.now_ms + visibility_s * 1000 > found.flight.taken_ms + MAX_VISIBILITY_S * 1000:
        reason = f"Total VisibilityTimeout for the message is beyond the limit [{MAX_VISIBILITY_S} seconds]"
        raise invalid(visibility_s, "VisibilityTimeout", reason)
    if visibility_s == 0:
        rows.show(o, found.seq, found.at_ms, found.flight)
    else:
        move(o, found, o.now_ms + visibility_s * 1000)


def move(o: Open, found: Found, at_ms: int, changed: bool = True) -> None:
    """Change until when a message in flight is invisible; its receipts keep finding it."""
    seq, flight, old_ms = found
    assert old_ms is not None
    o.tx.delete(o.shelf.later + number(old_ms) + number(seq))
    flight = msgspec.structs.replace(flight, moved=True, changed=changed)
    rows.hide(o, seq, at_ms, flight)
    o.counts.flying -= 1  # `hide` counted it again
    o.tx.put(o.shelf.place + number(seq), at_ms.to_bytes(8, "big"))


def give_back(o: Open, handle: str) -> None:
    """Return a message that was never tried: visible at once, and the receive does not count. Old receipts do nothing."""
    receipt = receipt_of(o, handle)
    found = find(o, receipt)
    if found is None or found.at_ms is None or found.flight.takes != receipt.takes:
        return
    seq, flight, at_ms = found
    rows.unhide(o, seq, found.at_ms, flight)
    if flight.group:
        groups.landed(o, flight)
    assert at_ms is not None
    receives = flight.receives - 1
    rows.offer(
        o, seq, Flight(receives, flight.first_ms if receives else 0, flight.group, flight.large, takes=flight.takes)
    )
