"""Messages that move from queue to queue: dead letters, and their way back by message move tasks.

A move of a dead letter is part of the receive that finds it; the message is in exactly one of the two queues after any crash.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cumulet.kernel.context import Context
from cumulet.services.sqs import rows, sending
from cumulet.services.sqs.lookup import queue_of
from cumulet.services.sqs.model import BLOB, Flight, Message, Open, Remembered, seconds

_Json = dict[str, Any]


def bury(ctx: Context, req: _Json) -> _Json:
    """`cumulet:Bury`: move a message that its queue has just let go of to that queue's dead-letter queue.

    A standard queue's keeps its id and the time it was sent; a FIFO queue's is sent anew, with its id as deduplication id. A step of
    the message's own trace. {"Moved": False} when the dead-letter queue is gone: the message stays.
    Source: SQS developer guide, "Using dead-letter queues in Amazon SQS", "Setting-up dead-letter queue retention" (read 2026-11).
    """
    o: Open = req["Shelf"]
    message: Message = req["Message"]
    flight: Flight = req["Flight"]
    target = queue_of(ctx, o.queue.dead_letter_arn)
    if target is None or target.uid == o.queue.uid:
        return {"Moved": False}
    scope = ctx.tx.scope
    ctx.follow([message.trace])
    ctx.span.via, ctx.span.lost = o.queue.arn, True
    to = Open(ctx, target)
    body, where = carry(o, req["Seq"], message, to)
    fifo = target.fifo
    moved = msgspec.structs.replace(
        message,
        body=body,
        body_in=where,
        trace=ctx.trace,
        sent_ms=o.now_ms if fifo else message.sent_ms,
        arrived_ms=o.now_ms,
        deduplication=message.id if fifo else message.deduplication,
        sequence=sending.sequence_number(to) if fifo else message.sequence,
        source=o.queue.arn,
        receives_before=message.receives_before + flight.receives,
        first_ms=flight.first_ms or message.first_ms,
        delayed=False,
    )
    place(to, moved)
    ctx.tx.scope = scope
    return {"Moved": True}


def carry(o: Open, seq: int, message: Message, to: Open) -> tuple[str, int]:
    """Take a message's rows from one shelf; (body, where it is) for its row on the other."""
    if message.body_in == 0:
        body, where = message.body, 0
    elif message.body_in == BLOB:
        body, where = message.body, BLOB
    else:
        body, where = rows.shelve_body(to, rows.kept_body(o, seq, message), message.size)
    rows.discard(o, seq, message, keep_blob=True)
    return body, where


def place(to: Open, message: Message) -> None:
    """Add a moved message, visible at once, and see that it expires by its own time."""
    if to.queue.fifo:
        until = Remembered(message.id, message.sequence, to.now_ms + 300_000)
        sending.remember(to, "d", message.deduplication, until)
    seq = rows.add(to, message, 0)
    if message.sent_ms < to.now_ms:
        queue = to.queue
        key = (queue.account, queue.region, queue.name, queue.shelf, seq)
        to.tx.wake(seconds(message.sent_ms + queue.retention_s * 1000), "sqs.expire_one", key, fresh=True)
    rows.close(to)
