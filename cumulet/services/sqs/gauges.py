"""The gauges of queues, each minute of the clock, while a queue holds messages or was used within six hours.

Source: SQS developer guide, "Available CloudWatch metrics for Amazon SQS" (read 2026-11).
"""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.services.sqs import rows
from cumulet.services.sqs.model import ROOT, Open, Queue, decode_message

_ACTIVE_S = 6 * 3600
_Seen = tuple[tuple[int, ...], float]


def gauges(ctx: Context) -> bool:
    """Meter every active queue; True while there is one."""
    before: dict[int, _Seen] = ctx.pipeline.volatile.get("sqs.used", {})
    now: dict[int, _Seen] = {}
    more = False
    for _, queue in list(ctx.tx.scan((ROOT, "queue"), Queue)):
        here = ctx.at(queue.account, queue.region)
        o = Open(here, queue)
        numbers = rows.counted(o)
        mark = (o.counts.tail, *numbers)
        seen = before.get(queue.uid)
        last = ctx.now if seen is None or seen[0] != mark else seen[1]
        now[queue.uid] = mark, last
        if not any(numbers) and ctx.now - last >= _ACTIVE_S:
            continue
        more = True
        for name, value, unit in (
            ("ApproximateNumberOfMessagesVisible", numbers[0], "Count"),
            ("ApproximateNumberOfMessagesNotVisible", numbers[1], "Count"),
            ("ApproximateNumberOfMessagesDelayed", numbers[2], "Count"),
            ("ApproximateAgeOfOldestMessage", oldest_age_s(o), "Seconds"),
        ):
            here.meter("AWS/SQS", name, float(value), unit, QueueName=queue.name)
    ctx.pipeline.volatile["sqs.used"] = now
    return more


def oldest_age_s(o: Open) -> int:
    """How long the oldest message has been in the queue, in whole seconds; 0 for an empty one."""
    base = o.shelf.message
    for _, raw in o.tx.scan_bytes(base, base + b"\xff", limit=1):
        message = decode_message(raw)
        return max(0, (o.now_ms - (message.arrived_ms or message.sent_ms)) // 1000)
    return 0
