"""Taking messages: what a receive gives, what it drops because it expired, what it moves to the dead-letter queue."""

from __future__ import annotations

from collections.abc import Iterator

from cumulet.services.sqs import groups, rows
from cumulet.services.sqs.model import (
    Flight,
    Message,
    Open,
    decode_flight,
    decode_message,
    number,
    number_of,
)

_FLIGHT = Flight()
_LARGE = Flight(large=True)
_PROBES = 8
_PROBED = 3
_WORK_AT_ONCE = 1000  # expired messages dropped; one moved to the dead-letter queue is as much work as ten


class Taken:
    """A message taken: its number, its new Flight, and until when it is invisible."""

    __slots__ = ("at_ms", "flight", "message", "seq")

    def __init__(self, seq: int, message: Message, flight: Flight, at_ms: int) -> None:
        self.seq, self.message, self.flight, self.at_ms = seq, message, flight, at_ms


class Take:
    """One receive: up to `wanted` messages and `max_bytes`, invisible for `hidden_ms`.

    With `lift` they do not go into flight: they are left in no row but their own, for the caller to move them on.
    `changed` says that something else was written which must not be undone by a Wait: messages that expired, or moved.
    """

    def __init__(self, o: Open, wanted: int, hidden_ms: int, max_bytes: int | None = None, lift: bool = False) -> None:
        self.o, self.wanted, self.hidden_ms, self.max_bytes, self.lift = o, wanted, hidden_ms, max_bytes, lift
        self.taken: list[Taken] = []
        self.size = 0
        self.changed = False
        self.full = False
        self.work = 0
        self._expired_ms = o.due_ms - o.queue.retention_s * 1000

    def run(self) -> list[Taken]:
        o = self.o
        more = False
        if o.counts.due <= o.due_ms:
            more = not rows.settle(o, max(64, 2 * self.wanted))
            groups.flush_all(o)
        if o.counts.grouped == 0:
            while self._left and self._plain(self._left):
                pass  # what was moved or dropped makes room for others
        elif o.queue.fifo:
            self._in_order()
        else:
            self._fairly()
        if more and not self.taken:
            self.changed = True  # go on with the rest next time, not from the beginning
        return self.taken

    @property
    def _left(self) -> int:
        return 0 if self.full or self.work >= _WORK_AT_ONCE else self.wanted - len(self.taken)

    # messages without a group

    def _plain(self, most: int) -> int:
        """Take `most` messages at most; how many there were to look at."""
        o, looked = self.o, 0
        if o.counts.back:
            base = o.shelf.back
            for k, raw in list(o.tx.scan_bytes(base, base + b"\xff", limit=most + 16)):
                if not self._left or looked == most:
                    return looked
                seq = number_of(k)
                message = rows.load(o, seq)
                assert message is not None
                looked += 1
                if not self._fits(message):
                    return looked
                o.tx.delete(k)
                o.counts.back -= 1
                o.counts.ready -= 1
                self._take(seq, message, decode_flight(raw))
        if looked < most and self._left:
            for seq, message in self._fresh(most - looked):
                looked += 1
                if not self._fits(message):
                    o.counts.head = seq
                    break
                o.counts.ready -= 1
                self._take(seq, message, _LARGE if message.body_in else _FLIGHT)
                if looked == most or not self._left:
                    break
        return looked

    def _fresh(self, most: int) -> Iterator[tuple[int, Message]]:
        """Messages never received, from `counts.head` on, which follows."""
        o, counts, misses = self.o, self.o.counts, 0
        get, base = o.tx.get_bytes, o.shelf.message
        if most <= _PROBED:
            while counts.fresh > 0 and misses < _PROBES:
                seq = counts.head
                raw = get(base + number(seq))
                counts.head = seq + 1
                message = None if raw is None else decode_message(raw)
                if message is None or message.group or message.delayed:
                    misses += 1
                else:
                    yield seq, message
        while counts.fresh > 0:
            found = list(o.tx.scan_bytes(base + number(counts.head), base + b"\xff", limit=min(most, counts.fresh) + 8))
            assert found, "fewer messages than counted"
            for k, raw in found:
                seq, message = number_of(k), decode_message(raw)
                counts.head = seq + 1
                if not message.group and not message.delayed:
                    yield seq, message
                    if counts.fresh == 0:
                        return

    # messages of groups

    def _in_order(self) -> None:
        """FIFO: as many as possible of a group, then the next group that is not locked."""
        o = self.o
        while self._left:
            found = groups.ready(o, 1)
            if not found:
                return
            name = found[0][2]
            while self._left:
                asked = self._left
                some = groups.waiting(o, name, asked)
                for seq, raw in some:
                    if not self._from_group(seq, raw):
                        break
                if len(some) < asked:
                    break  # that was all; otherwise, where some moved or expired, there may be more
            groups.flush(o, name)

    def _fairly(self) -> None:
        """Standard: one after the other, quiet groups and messages without one first, then noisy groups."""
        o = self.o
        while self._left:
            found = groups.ready(o, 1)
            rank, first, name = found[0] if found else (0, 0, "")
            plain = o.counts.ready - o.counts.grouped
            if plain and (not found or rank > 0 or o.counts.back or o.counts.head < first):
                self._plain(1)
            elif found:
                if not self._from_group(first, groups.waiting(o, name, 1)[0][1]):
                    return
                groups.flush(o, name)
            else:
                return

    def _from_group(self, seq: int, raw: bytes) -> bool:
        flight = decode_flight(raw)
        groups.opened(self.o, flight.group)
        message = rows.load(self.o, seq)
        assert message is not None
        if not self._left or not self._fits(message):
            return False
        groups.withdraw(self.o, seq, flight)
        self._take(seq, message, flight)
        return True

    # one message

    def _fits(self, message: Message) -> bool:
        if self.max_bytes is not None and self.taken and self.size + message.size > self.max_bytes:
            self.full = True
            return False
        return True

    def _take(self, seq: int, message: Message, flight: Flight) -> None:
        """A message that is in no row but its own goes into flight, or away."""
        o, queue = self.o, self.o.queue
        if message.sent_ms <= self._expired_ms:
            rows.discard(o, seq, message)
            self.changed = True
            self.work += 1
            return
        if self.lift:
            self.taken.append(Taken(seq, message, flight, 0))
            return
        if queue.max_receives and flight.receives >= queue.max_receives and self._bury(seq, message, flight):
            return
        first_ms = flight.first_ms or message.first_ms or o.now_ms
        flight = Flight(
            flight.receives + 1, first_ms, flight.group, flight.large, taken_ms=o.now_ms, takes=flight.takes + 1
        )
        at_ms = o.now_ms + self.hidden_ms
        rows.hide(o, seq, at_ms, flight)
        if flight.group:
            groups.took_off(o, flight)
        self.size += message.size
        self.taken.append(Taken(seq, message, flight, at_ms))

    def _bury(self, seq: int, message: Message, flight: Flight) -> bool:
        """Move a message that was received too often to the dead-letter queue; False when that queue is gone."""
        o = self.o
        request = {"Source": o.queue, "Shelf": o, "Seq": seq, "Message": message, "Flight": flight}
        if not o.ctx.call("sqs", "cumulet:Bury", request)["Moved"]:
            return False
        self.changed = True
        self.work += 10
        return True
