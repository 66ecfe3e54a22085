"""Message groups: strict order and locks on FIFO queues, fair shares on standard ones.

A group that can be received from has one row in `ready`, so a receive never walks locked groups. On a FIFO queue that is a group
with something waiting and nothing in flight. On a standard queue every group with something waiting is there; the rank puts noisy
neighbours behind, those with the fewest messages in flight first: a group is noisy with 30 messages and over 10 % of the queue's
messages in flight.

Source: SQS developer guide, "FIFO queue delivery logic", "How Amazon SQS fair queues work" (read 2026-11).
"""

from __future__ import annotations

from cumulet.kernel.keys import pack_part
from cumulet.services.sqs.model import Flight, Group, Message, Open, encode, number, number_of

NOISY_MESSAGES = 30
NOISY_SHARE = 0.1


def opened(o: Open, name: str) -> Group:
    group = o.groups.get(name)
    if group is None:
        group = o.groups[name] = Group(o.tx.get_bytes(o.shelf.group + pack_part(name)))
    return group


def add(o: Open, message: Message, seq: int, delay_ms: int) -> None:
    """A new message of a group. On a FIFO queue all have the same delay, so none becomes visible before those ahead of it."""
    group = opened(o, message.group)
    at_ms = o.now_ms + delay_ms
    flight = Flight(group=message.group, large=message.body_in != 0)
    if at_ms > o.now_ms:
        delayed = Flight(group=message.group, large=flight.large, delayed=True)
        o.tx.put(o.shelf.later + number(at_ms) + number(seq), encode(delayed))
        if at_ms < o.counts.due:
            o.counts.due = at_ms
            o.signal()  # who waits for the next due message waits too long
        o.counts.delayed += 1
        group.delayed += 1
    else:
        o.counts.ready += 1
        offer(o, seq, flight)
        o.signal()
    flush(o, message.group)


def waiting_key(o: Open, name: str, seq: int) -> bytes:
    return o.shelf.waiting + pack_part(name) + number(seq)


def offer(o: Open, seq: int, flight: Flight) -> None:
    """A message becomes visible; `counts.ready` was raised already."""
    group = opened(o, flight.group)
    o.tx.put(waiting_key(o, flight.group, seq), encode(flight))
    o.counts.grouped += 1
    if not group.stale and (group.waiting == 0 or seq < group.head):
        group.head = seq
    group.waiting += 1


def withdraw(o: Open, seq: int, flight: Flight) -> None:
    """A visible message is taken, or deleted."""
    group = opened(o, flight.group)
    o.tx.delete(waiting_key(o, flight.group, seq))
    o.counts.ready -= 1
    o.counts.grouped -= 1
    group.waiting -= 1
    if seq == group.head:
        group.stale = True


def took_off(o: Open, flight: Flight) -> None:
    """A message went into flight."""
    opened(o, flight.group).flying += 1


def landed(o: Open, flight: Flight) -> None:
    """A message is no longer in flight, or delayed."""
    group = opened(o, flight.group)
    if flight.delayed:
        group.delayed -= 1
    else:
        group.flying -= 1


def waiting(o: Open, name: str, limit: int) -> list[tuple[int, bytes]]:
    """(number, Flight's row) of the first visible messages of a group."""
    base = o.shelf.waiting + pack_part(name)
    return [(number_of(k), raw) for k, raw in o.tx.scan_bytes(base, base + b"\xff", limit=limit)]


def in_flight(o: Open, limit: int = 10_000) -> int:
    """How many groups have messages in flight, of the first `limit` groups with messages."""
    base = o.shelf.group
    return sum(Group(raw).flying > 0 for _, raw in o.tx.scan_bytes(base, base + b"\xff", limit=limit))


def ready(o: Open, limit: int) -> list[tuple[int, int, str]]:
    """(rank, first message, group) of the groups to receive from, in order."""
    base = o.shelf.ready
    rows = o.tx.scan_bytes(base, base + b"\xff", limit=limit)
    return [(number_of(k, -9), number_of(k), raw.decode()) for k, raw in rows]


def flush(o: Open, name: str) -> None:
    """Write a group's row, and put it where it belongs in `ready`."""
    group = o.groups.pop(name)
    if group.stale or group.waiting == 0:
        first = waiting(o, name, 1) if group.waiting else []
        group.head = first[0][0] if first else 0
        group.stale = False
    rank = _rank(o, group)
    if (rank, group.head) != (group.shown, group.shown_head):
        if group.shown >= 0:
            o.tx.delete(o.shelf.ready + number(group.shown) + number(group.shown_head))
        if rank >= 0:
            o.tx.put(o.shelf.ready + number(rank) + number(group.head), name.encode())
            if group.shown < 0:
                o.signal()  # a group that was locked can be received from again
        group.shown, group.shown_head = rank, group.head
    key = o.shelf.group + pack_part(name)
    if group.waiting or group.flying or group.delayed:
        o.tx.put(key, group.pack())
    else:
        o.tx.delete(key)


def flush_all(o: Open) -> None:
    for name in list(o.groups):
        flush(o, name)


def _rank(o: Open, group: Group) -> int:
    """Where the group stands in `ready`; -1: nowhere."""
    if group.waiting == 0:
        return -1
    if o.queue.fifo:
        return -1 if group.flying else 0
    if group.flying >= NOISY_MESSAGES and group.flying > NOISY_SHARE * o.counts.flying:
        return group.flying
    return 0
