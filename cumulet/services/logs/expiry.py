"""Taking events away: retention, and what deleted groups and streams leave.

Both work in small transactions, each of which sets the timer for the next before it commits; a crash in between leaves the
timer. Readers hide expired events by themselves, so it does not matter when they are removed.
"""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import replace
from cumulet.services.logs.model import DAY_MS, ROOT, Batch, Group, Stream, group_key, stream_key

_AT_ONCE = 1000
_PAUSE_S = 60.0


def expire(ctx: Context, key: Key) -> None:
    """Timer logs.expire: remove a stream's expired events; comes again when the next ones are due."""
    account, region, name, group_id, stream_name = (str(part) for part in key[:5])
    group = ctx.tx.get(group_key(account, region, name), Group)
    if group is None or group.id != group_id or group.policy != key[5] or group.retention_days is None:
        return
    stream = ctx.tx.get(stream_key(group_id, stream_name), Stream)
    if stream is None:
        return
    oldest = group.oldest_ms(ctx.now)
    for removed, (row, batch) in enumerate(list(ctx.tx.scan(stream.batches, Batch, limit=_AT_ONCE + 1))):
        last = batch.events[-1][0]
        if last >= oldest:
            due = (last + group.retention_days * DAY_MS) / 1000
            ctx.tx.wake(max(due, ctx.now + _PAUSE_S), "logs.expire", key)
            return
        if removed == _AT_ONCE:
            ctx.tx.wake(ctx.now, "logs.expire", key)
            return
        ctx.tx.delete(row)
    ctx.tx.put(stream.key, replace(stream, watched=0))


def sweep(ctx: Context, key: Key) -> None:
    """Timer logs.sweep: remove what a deleted group (group id) or stream (group id, stream id) has left."""
    left = _AT_ONCE
    prefixes: list[Key] = [(ROOT, "batch", *key)]
    if len(key) == 1:
        prefixes.append((ROOT, "stream", *key))
    for prefix in prefixes:
        for row in list(ctx.tx.scan_keys(prefix, limit=left)):
            ctx.tx.delete(row)
            left -= 1
        if left <= 0:
            ctx.tx.wake(ctx.now, "logs.sweep", key)
            return
