"""How messages move between a shelf's rows; each function leaves rows and counts in step."""

from __future__ import annotations

from cumulet.services.sqs import groups
from cumulet.services.sqs.model import (
    BLOB,
    BLOB_OVER_BYTES,
    IN_FLIGHT,
    INLINE_BYTES,
    NEVER,
    ROW,
    Flight,
    Message,
    Open,
    decode_flight,
    decode_message,
    encode,
    number,
    number_of,
    seconds,
)

SETTLED_AT_ONCE = 1000


def add(o: Open, message: Message, delay_ms: int) -> int:
    """Put a new message on the shelf, visible after `delay_ms`; returns its number on the shelf."""
    counts = o.counts
    seq = counts.tail
    counts.tail = seq + 1
    o.tx.put(o.shelf.message + number(seq), encode(message))
    if not counts.watched:
        watch(o, message.sent_ms + o.queue.retention_s * 1000)
    if message.group:
        groups.add(o, message, seq, delay_ms)
    elif delay_ms > 0:
        hide(o, seq, o.now_ms + delay_ms, Flight(large=message.body_in != 0, delayed=True))
    else:
        counts.ready += 1
        o.signal()
    return seq


def close(o: Open) -> None:
    """Write the counts and groups that the operation changed, and meter what it sent; one that changed nothing need not wait for the disk."""
    if o.groups:
        groups.flush_all(o)
    if o.sent:
        o.count("NumberOfMessagesSent", 1.0, times=len(o.sent))
        for size in o.sent if len(o.sent) == 1 else set(o.sent):
            o.count("SentMessageSize", float(size), "Bytes", o.sent.count(size))
        o.sent = []
    raw = o.counts.pack()
    if raw != o.stored:
        o.tx.put(o.shelf.counts, raw)
        o.stored = raw


def watch(o: Open, at_ms: int, cursor: int = 0) -> None:
    """Look for expired messages then, from the message `cursor` on."""
    queue = o.queue
    o.counts.watched = max(o.now_ms, at_ms)
    key = (queue.account, queue.region, queue.name, queue.shelf, cursor)
    o.tx.wake(seconds(at_ms) if at_ms > o.now_ms else o.ctx.now, "sqs.expire", key, fresh=True)


def body_of(o: Open, seq: int, message: Message) -> str:
    """A message's body, as receivers see it."""
    body = kept_body(o, seq, message)
    return finished(o, message, body) if message.finisher else body


def finished(o: Open, message: Message, body: str) -> str:
    """A body that its finisher has finished."""
    answer: str = o.ctx.call(message.finisher, "cumulet:Finish", {"Body": body})["Body"]
    return answer


def kept_body(o: Open, seq: int, message: Message) -> str:
    """A message's body as it is stored."""
    if message.body_in == 0:
        return message.body
    if message.body_in == ROW:
        return (o.tx.get_bytes(o.shelf.body + number(seq)) or b"").decode()
    return o.tx.read_blob(message.body).decode()


def shelve_body(o: Open, body: str, size: int) -> tuple[str, int]:
    """(what the message keeps of its body, where the body is); for a message about to be added."""
    if size <= INLINE_BYTES:
        return body, 0
    raw = body.encode()
    if size <= BLOB_OVER_BYTES:
        o.tx.put(o.shelf.body + number(o.counts.tail), raw)
        return "", ROW
    return o.tx.put_blob(raw), BLOB


def load(o: Open, seq: int) -> Message | None:
    raw = o.tx.get_bytes(o.shelf.message + number(seq))
    return None if raw is None else decode_message(raw)


def discard(o: Open, seq: int, message: Message | None, keep_blob: bool = False) -> None:
    """Remove a message's own rows. `message` None: its body is inline."""
    key = number(seq)
    o.tx.delete(o.shelf.message + key)
    if message is None or message.body_in == 0:
        return
    if message.body_in == ROW:
        o.tx.delete(o.shelf.body + key)
    elif not keep_blob:
        o.tx.delete_blob(message.body)


# later: in flight, delayed


def hide(o: Open, seq: int, at_ms: int, flight: Flight) -> None:
    o.tx.put(o.shelf.later + number(at_ms) + number(seq), encode(flight))
    counts = o.counts
    if at_ms < counts.due:
        counts.due = at_ms
        o.signal()  # who waits for what is due next would wait too long
    if flight.delayed:
        counts.delayed += 1
    else:
        counts.flying += 1


def unhide(o: Open, seq: int, at_ms: int, flight: Flight) -> None:
    o.tx.delete(o.shelf.later + number(at_ms) + number(seq))
    if flight.moved:
        o.tx.delete(o.shelf.place + number(seq))
    if flight.delayed:
        o.counts.delayed -= 1
    else:
        o.counts.flying -= 1
        if o.counts.flying == IN_FLIGHT - 1:
            o.signal()  # there is room for one more


def offer(o: Open, seq: int, flight: Flight) -> None:
    """Make a message that is in no other row visible."""
    if flight.moved or flight.delayed:
        flight = Flight(flight.receives, flight.first_ms, flight.group, flight.large, takes=flight.takes)
    o.counts.ready += 1
    if flight.group:
        groups.offer(o, seq, flight)
    else:
        o.tx.put(o.shelf.back + number(seq), encode(flight))
        o.counts.back += 1
    o.signal()


def show(o: Open, seq: int, at_ms: int, flight: Flight) -> None:
    """From `later` to visible."""
    unhide(o, seq, at_ms, flight)
    if flight.group:
        groups.landed(o, flight)
    offer(o, seq, flight)


def settle(o: Open, limit: int) -> bool:
    """Make what is due visible, `limit` at most; False when more is due."""
    if o.counts.due > o.due_ms:
        return True
    base = o.shelf.later
    found = list(o.tx.scan_bytes(base, base + b"\xff", limit=limit + 1))
    for place, (k, raw) in enumerate(found):
        at_ms = number_of(k, -9)
        if at_ms > o.due_ms or place == limit:
            o.counts.due = at_ms
            return at_ms > o.due_ms
        show(o, number_of(k), at_ms, decode_flight(raw))
    o.counts.due = NEVER
    return True


def due_uncounted(o: Open, limit: int = 10_000) -> tuple[int, int]:
    """(in flight, delayed) messages in `later` that are visible by now; for counts, after `settle`."""
    flying = delayed = 0
    if o.counts.due <= o.due_ms:
        base = o.shelf.later
        for _, raw in o.tx.scan_bytes(base, base + number(o.due_ms + 1), limit=limit):
            if decode_flight(raw).delayed:
                delayed += 1
            else:
                flying += 1
    return flying, delayed


def counted(o: Open) -> tuple[int, int, int]:
    """(visible, in flight, delayed) messages now; what is due becomes visible."""
    if o.counts.due <= o.due_ms:
        settle(o, SETTLED_AT_ONCE)
        close(o)
    flying, delayed = due_uncounted(o)
    return o.counts.ready + flying + delayed, o.counts.flying - flying, o.counts.delayed - delayed
