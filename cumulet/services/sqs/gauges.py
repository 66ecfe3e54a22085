"""The gauges of queues, each minute of the clock, while a queue holds messages or was used within six hours.

Source: SQS developer guide, "Available CloudWatch metrics for Amazon SQS" (read 2026-11).
"""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.services.sqs import groups, rows
from cumulet.services.sqs.model import ROOT, Open, Queue, decode_message, in_use, queue_key

_ACTIVE_S = 6 * 3600


def gauges(ctx: Context) -> bool:
    """Meter every active queue; True while there is one.

    Only queues in use are looked at, so that ten thousand idle ones cost nothing; the first time after a start all are, because those
    that hold messages are active too.
    """
    used = in_use(ctx)
    if "sqs.gauged" not in ctx.pipeline.volatile:
        ctx.pipeline.volatile["sqs.gauged"] = True
        for _, each in ctx.tx.scan((ROOT, "queue"), Queue):
            used.setdefault(each.uid, (each.account, each.region, each.name, 0.0))
    for uid, (account, region, name, last) in list(used.items()):
        queue = ctx.tx.get(queue_key(account, region, name), Queue)
        if queue is None or queue.uid != uid or not _metered(ctx.at(account, region), queue, last):
            del used[uid]
    return bool(used)


def _metered(ctx: Context, queue: Queue, last: float) -> bool:
    """Meter a queue, unless it is empty and was not used for hours."""
    o = Open(ctx, queue, used=False)
    visible, flying, delayed = rows.counted(o)
    if not (visible or flying or delayed) and ctx.now - last >= _ACTIVE_S:
        return False
    for name, value, unit in (
        ("ApproximateNumberOfMessagesVisible", visible, "Count"),
        ("ApproximateNumberOfMessagesNotVisible", flying, "Count"),
        ("ApproximateNumberOfMessagesDelayed", delayed, "Count"),
        ("ApproximateAgeOfOldestMessage", oldest_age_s(o), "Seconds"),
    ):
        ctx.meter("AWS/SQS", name, float(value), unit, QueueName=queue.name)
    if queue.fifo:
        name = "ApproximateNumberOfGroupsWithInflightMessages"
        ctx.meter("AWS/SQS", name, float(groups.in_flight(o)), "Count", QueueName=queue.name)
    return True


def oldest_age_s(o: Open) -> int:
    """How long the oldest message has been in the queue, in whole seconds; 0 for an empty one."""
    base = o.shelf.message
    for _, raw in o.tx.scan_bytes(base, base + b"\xff", limit=1):
        message = decode_message(raw)
        return max(0, (o.now_ms - (message.arrived_ms or message.sent_ms)) // 1000)
    return 0
