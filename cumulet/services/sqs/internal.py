"""What other services ask of SQS beside its API: pollers, and the command line's look into queues."""

from __future__ import annotations

import math
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Wait
from cumulet.services.sqs import gauges, groups, receipts, receiving, rows, sending
from cumulet.services.sqs.lookup import open_arn, open_at
from cumulet.services.sqs.model import NEVER, Flight, Open, decode_flight, decode_message, number, number_of, seconds
from cumulet.services.sqs.taking import Taken

_Json = dict[str, Any]


def send(ctx: Context, req: _Json) -> _Json:
    """`cumulet:SendMessage`: SendMessage of a body that Finisher, a service, finishes with its `cumulet:Finish` when it is read.

    {"Body": stored} -> {"Body": finished}: as long as the stored one and always the same, so that what is costly about a body can wait
    until somebody wants it. Answers without MD5OfMessageBody. Raises: as SendMessage.
    """
    o = open_at(ctx, req["QueueUrl"])
    answer = sending.send(o, sending.Draft(o.queue, req), req["Finisher"])
    rows.close(o)
    return answer


def poll(ctx: Context, req: _Json) -> _Json:
    """`cumulet:Poll`: take up to MaxNumberOfMessages and MaxBytes (the first message always) for QueueArn's visibility timeout.

    Answers {"Messages": [...]} with all attributes and "Trace", or {"Wait": Wait(...)} when nothing can be had before something is
    sent, returned or due. {"Messages": []} says: nothing now, but dead letters were moved or expired messages dropped; commit, and
    poll again at once.
    Raises: QueueDoesNotExist.
    """
    o = open_arn(ctx, req["QueueArn"])
    hidden_s = req.get("VisibilityTimeout", o.queue.visibility_s)
    taken, changed = receiving.take(o, req["MaxNumberOfMessages"], hidden_s * 1000, req.get("MaxBytes"))
    if not taken and not changed:
        return {"Wait": _wait(o)}
    if taken:
        o.count("NumberOfMessagesReceived", float(len(taken)))
    rows.close(o)
    return {"Messages": [_traced(o, one) for one in taken]}


def _traced(o: Open, taken: Taken) -> _Json:
    return {**receiving.shown(o, taken, receiving.EVERYTHING), "Trace": taken.message.trace}


def _wait(o: Open) -> Wait:
    """Until something is sent, returned or due."""
    return Wait(on=o.arrival, until=math.inf if o.counts.due == NEVER else seconds(o.counts.due))


def backlog(ctx: Context, req: _Json) -> _Json:
    """`cumulet:Backlog`: what QueueArn holds; "Wait" is for the next message. Raises: QueueDoesNotExist.

    With Weigh there is "VisibleBytes", the size of all visible messages, which have to be read for it.
    """
    o = open_arn(ctx, req["QueueArn"])
    visible, flying, delayed = rows.counted(o)
    weighed = {"VisibleBytes": _visible_bytes(o)} if req.get("Weigh") else {}
    return {
        **weighed,
        "Visible": visible,
        "NotVisible": flying,
        "Delayed": delayed,
        "OldestAgeSeconds": gauges.oldest_age_s(o),
        "Fifo": o.queue.fifo,
        "VisibilityTimeout": o.queue.visibility_s,
        "Wait": _wait(o),
    }


def _visible_bytes(o: Open) -> int:
    base, hidden = o.shelf.message, _hidden(o)
    messages = o.tx.scan_bytes(base, base + b"\xff")
    return sum(decode_message(raw).size for k, raw in messages if number_of(k) not in hidden)


def delete(ctx: Context, req: _Json) -> _Json:
    """`cumulet:Delete`: delete QueueArn's messages by ReceiptHandles; those whose time is over are left alone.

    Raises: QueueDoesNotExist, ReceiptHandleIsInvalid.
    """
    o = open_arn(ctx, req["QueueArn"])
    count = 0
    for handle in req["ReceiptHandles"]:
        receipt = receipts.receipt_of(o, handle)
        found = receipts.find(o, receipt)
        if found is not None and found.flight.takes == receipt.takes:
            receipts.remove(o, found)
            count += 1
    if count:
        o.count("NumberOfMessagesDeleted", float(count))
    rows.close(o)
    return {}


def give_back(ctx: Context, req: _Json) -> _Json:
    """`cumulet:Return`: QueueArn's messages of ReceiptHandles are visible again at once, and their receive does not count.

    Raises: QueueDoesNotExist, ReceiptHandleIsInvalid.
    """
    o = open_arn(ctx, req["QueueArn"])
    for handle in req["ReceiptHandles"]:
        receipts.give_back(o, handle)
    rows.close(o)
    return {}


def peek(ctx: Context, req: _Json) -> _Json:
    """`cumulet:Peek`: the first Limit messages of QueueArn, in flight, delayed or visible, without receiving them.

    Each as ReceiveMessage shows it, without receipt handle, with "Trace" and "State" (visible, in flight, delayed).
    Raises: QueueDoesNotExist.
    """
    o = open_arn(ctx, req["QueueArn"])
    base = o.shelf.message
    hidden = _hidden(o)
    found: list[_Json] = []
    for k, raw in o.tx.scan_bytes(base, base + b"\xff", limit=req.get("Limit", 10)):
        seq, message = number_of(k), decode_message(raw)
        flight = hidden.get(seq) or _visible(o, seq, message.group)
        shown = _traced(o, Taken(seq, message, flight, 0))
        del shown["ReceiptHandle"]
        shown["State"] = "visible" if seq not in hidden else "delayed" if flight.delayed else "in flight"
        found.append(shown)
    return {"Messages": found}


def _hidden(o: Open) -> dict[int, Flight]:
    base = o.shelf.later
    rows_ = o.tx.scan_bytes(base, base + b"\xff")
    return {number_of(k): decode_flight(raw) for k, raw in rows_ if number_of(k, -9) > o.due_ms}


def _visible(o: Open, seq: int, group: str) -> Flight:
    key = groups.waiting_key(o, group, seq) if group else o.shelf.back + number(seq)
    raw = o.tx.get_bytes(key)
    return Flight() if raw is None else decode_flight(raw)
