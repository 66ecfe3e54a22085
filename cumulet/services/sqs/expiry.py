"""What ends by time: messages past their retention period, deduplication ids, freed names, rows of what was purged or deleted.

All work in small transactions, each of which sets the timer for the next before it commits; a crash in between leaves the timer.
Receives drop expired messages by themselves, so it does not matter when exactly they are removed.
"""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key, after_prefix
from cumulet.services.sqs import groups, rows
from cumulet.services.sqs.model import (
    BLOB,
    ROOT,
    SHELF_PARTS,
    Deleted,
    Open,
    Queue,
    decode_flight,
    decode_message,
    decode_remembered,
    forget_prefix,
    number,
    number_of,
    queue_key,
    queue_prefixes,
    seconds,
    seen_prefix,
)

_AT_ONCE = 500
_SWEPT_AT_ONCE = 2000


def expire(ctx: Context, key: Key) -> None:
    """Timer sqs.expire: remove some of a queue's expired messages that are visible, and come again when the next ones are due.

    `counts.watched` says which timer is the queue's: one that is due earlier than that was replaced. The key ends with the number of
    the message to go on with.
    """
    account, region, name, shelf, cursor = str(key[0]), str(key[1]), str(key[2]), key[3], int(str(key[4]))
    queue = ctx.tx.get(queue_key(account, region, name), Queue)
    if queue is None or queue.shelf != shelf:
        return
    o = Open(ctx, queue)
    if o.due_ms < o.counts.watched:
        return
    rows.settle(o, rows.SETTLED_AT_ONCE)
    groups.flush_all(o)
    retention_ms = queue.retention_s * 1000
    next_seq, next_sent_ms = _expire_some(o, cursor, o.due_ms - retention_ms)
    if next_seq:
        rows.watch(o, o.now_ms, next_seq)
    elif next_sent_ms:
        rows.watch(o, next_sent_ms + retention_ms)
    elif o.counts.held:  # in flight or delayed beyond their time
        rows.watch(o, max(o.now_ms + 1000, min(o.counts.due, o.now_ms + retention_ms)))
    else:
        o.counts.watched = 0
    rows.close(o)


def _expire_some(o: Open, cursor: int, limit_ms: int) -> tuple[int, int]:
    """Remove visible messages sent at or before `limit_ms`.

    (where to go on at once, when the first message that has not expired was sent); 0: there is none.
    """
    base = o.shelf.message
    for looked, (k, raw) in enumerate(o.tx.scan_bytes(base + number(cursor), base + b"\xff", limit=_AT_ONCE + 1)):
        seq, message = number_of(k), decode_message(raw)
        if looked == _AT_ONCE:
            return seq, 0
        if message.sent_ms > limit_ms:
            return 0, message.sent_ms
        if _remove_visible(o, seq, message.group, message.delayed):
            rows.discard(o, seq, message)
    return 0, 0


def expire_one(ctx: Context, key: Key) -> None:
    """Timer sqs.expire_one: a message that came from another queue expires by when it was sent there, not by its place."""
    account, region, name, shelf, seq = str(key[0]), str(key[1]), str(key[2]), key[3], int(str(key[4]))
    queue = ctx.tx.get(queue_key(account, region, name), Queue)
    if queue is None or queue.shelf != shelf:
        return
    o = Open(ctx, queue)
    message = rows.load(o, seq)
    if message is None:
        return
    end_ms = message.sent_ms + queue.retention_s * 1000
    if end_ms > o.due_ms:  # the retention period has grown since
        ctx.tx.wake(seconds(end_ms), "sqs.expire_one", key)
        return
    rows.settle(o, rows.SETTLED_AT_ONCE)
    if _remove_visible(o, seq, message.group, message.delayed):
        rows.discard(o, seq, message)
    rows.close(o)


def _remove_visible(o: Open, seq: int, group: str, delayed: bool) -> bool:
    """Take a message out of where visible ones are; False when it is in flight or delayed."""
    tail = number(seq)
    if group:
        raw = o.tx.get_bytes(groups.waiting_key(o, group, seq))
        if raw is None:
            return False
        groups.withdraw(o, seq, decode_flight(raw))
        return True
    if o.tx.get_bytes(o.shelf.back + tail) is not None:
        o.tx.delete(o.shelf.back + tail)
        o.counts.back -= 1
    elif seq < o.counts.head or delayed:
        return False
    o.counts.ready -= 1
    return True


def forget(ctx: Context, key: Key) -> None:
    """Timer sqs.forget: drop the deduplication ids and receive attempts whose minute is over, unless they were renewed."""
    uid, minute = int(str(key[0])), int(str(key[1]))
    base = forget_prefix(uid, minute)
    for done, (k, _) in enumerate(list(ctx.tx.scan_bytes(base, after_prefix(base), limit=_SWEPT_AT_ONCE + 1))):
        if done == _SWEPT_AT_ONCE:
            ctx.tx.wake(ctx.now, "sqs.forget", key)
            return
        ctx.tx.delete(k)
        seen = seen_prefix(uid) + k[len(base) :]
        raw = ctx.tx.get_bytes(seen)
        if raw is not None and decode_remembered(raw).until_ms < minute * 60_000:
            ctx.tx.delete(seen)


def freed(ctx: Context, key: Key) -> None:
    """Timer sqs.freed: forget that a queue of this name was deleted."""
    row = (ROOT, "deleted", *key)
    gone = ctx.tx.get(row, Deleted)
    if gone is not None and gone.at + 60 <= ctx.now:
        ctx.tx.delete(row)


def sweep_later(ctx: Context, shelf: int, uid: int | None) -> None:
    """Remove the rows of a shelf, and with `uid` all else of a deleted queue, by and by."""
    ctx.tx.wake(ctx.now, "sqs.sweep", (shelf, uid if uid is not None else 0))


def sweep(ctx: Context, key: Key) -> None:
    """Timer sqs.sweep: remove some of the rows of a shelf that no queue has any more."""
    shelf, uid = int(str(key[0])), int(str(key[1]))
    left = _SWEPT_AT_ONCE
    prefixes = [part + number(shelf) for part in SHELF_PARTS]
    if uid:
        prefixes += queue_prefixes(uid)
    for base in prefixes:
        for k, raw in list(ctx.tx.scan_bytes(base, after_prefix(base), limit=left)):
            if base == prefixes[0]:
                message = decode_message(raw)
                if message.body_in == BLOB:
                    ctx.tx.delete_blob(message.body)
            ctx.tx.delete(k)
            left -= 1
        if left == 0:
            ctx.tx.wake(ctx.now, "sqs.sweep", key)
            return
