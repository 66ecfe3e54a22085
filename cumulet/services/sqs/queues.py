"""Operations on queues: create, find, describe, change, purge, delete."""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.sqs import expiry, redrive, rows, settings
from cumulet.services.sqs.errors import (
    InvalidParameterValue,
    PurgeQueueInProgress,
    QueueDeletedRecently,
    QueueNameExists,
    bad_attribute,
    invalid,
    no_queue,
    unknown_attribute,
)
from cumulet.services.sqs.labels import checked
from cumulet.services.sqs.lookup import queue_at, url_of
from cumulet.services.sqs.model import (
    ROOT,
    Counts,
    Deleted,
    Flight,
    Open,
    Queue,
    arrival_key,
    decode_flight,
    encode,
    number,
    number_of,
    queue_key,
)

_Json = dict[str, Any]
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
_NAME_MAX = 80
_FIFO = ".fifo"
_FREE_AFTER_S = 60
_PURGE_EVERY_S = 60
_PAGE = 1000
_COUNTED = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


def create_queue(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """Make a queue, standard or (FifoQueue, a name ending in `.fifo`) FIFO.

    The same name with the same attributes gives the existing queue's URL. Limits: a name of 80 letters, digits, `-` and `_`,
    not used by a queue deleted within the last 60 s; 50 tags.
    Raises: QueueNameExists, QueueDeletedRecently, InvalidAttributeName, InvalidAttributeValue, InvalidParameterValue.
    Source: SQS API_CreateQueue (read 2026-11).
    """
    name, given = req["QueueName"], dict(req.get("Attributes", {}))
    fifo = _is_fifo(name, given)
    existing = ctx.tx.get(queue_key(ctx.account, ctx.region, name), Queue)
    if existing is not None:
        _same(ctx, existing, given)
        return {"QueueUrl": url_of(ctx, existing)}
    gone = ctx.tx.get((ROOT, "deleted", ctx.account, ctx.region, name), Deleted)
    if gone is not None and ctx.now < gone.at + _FREE_AFTER_S:
        raise QueueDeletedRecently(
            "You must wait 60 seconds after deleting a queue before you can create another with the same name."
        )
    kept = checked(req.get("tags", {}), {})
    uid = ctx.tx.add((ROOT, "last"))
    now = float(int(ctx.now))
    queue = Queue(
        account=ctx.account,
        region=ctx.region,
        name=name,
        uid=uid,
        shelf=uid,
        created=now,
        modified=now,
        fifo=fifo,
        deduplication_scope="queue" if fifo else "",
        throughput_limit="perQueue" if fifo else "",
        tags=kept,
    )
    found = settings.changes(ctx, queue, given, creating=True)
    queue = settings.changed(queue, found)
    ctx.tx.put(queue.key, queue)
    _index_source(ctx, None, queue)
    return {"QueueUrl": url_of(ctx, queue)}


def _is_fifo(name: str, given: dict[str, str]) -> bool:
    asked = given.get("FifoQueue")
    if asked not in (None, "true", "false"):
        raise bad_attribute("FifoQueue")
    if asked == "false":  # as on AWS: what makes no FIFO queue is unknown
        raise unknown_attribute("FifoQueue")
    if asked == "true":
        if not (name.endswith(_FIFO) and len(name) <= _NAME_MAX and _NAME.fullmatch(name.removesuffix(_FIFO))):
            raise InvalidParameterValue(
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with "
                ".fifo suffix and be 1 to 80 in length."
            )
        return True
    if not _NAME.fullmatch(name):
        raise InvalidParameterValue(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
        )
    return False


def _same(ctx: Context, existing: Queue, given: Mapping[str, str]) -> None:
    """Raises: QueueNameExists when an attribute that was given differs."""
    found = settings.changes(ctx, existing, given, creating=True)
    if (given.get("FifoQueue") == "true") != existing.fifo:
        raise _exists("FifoQueue")
    after = settings.described(settings.changed(existing, found))
    before = settings.described(existing)
    for name in given:
        if after.get(name) != before.get(name):
            raise _exists(name)


def _exists(name: str) -> QueueNameExists:
    return QueueNameExists(f"A queue already exists with the same name and a different value for attribute {name}")


def _index_source(ctx: Context, before: Queue | None, after: Queue | None) -> None:
    """Keep which queues name a dead-letter queue."""
    for queue, there in ((before, False), (after, True)):
        if queue is not None and queue.dead_letter_arn:
            key = (ROOT, "source", queue.dead_letter_arn, queue.name)
            if there:
                ctx.tx.put(key, b"")
            else:
                ctx.tx.delete(key)


def delete_queue(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """Delete a queue with its messages, at once; its name is free again after 60 seconds.

    Raises: QueueDoesNotExist.
    Source: SQS API_DeleteQueue (read 2026-11).
    """
    queue = queue_at(ctx, req["QueueUrl"])
    ctx.tx.delete(queue.key)
    _index_source(ctx, queue, None)
    ctx.tx.put((ROOT, "deleted", queue.account, queue.region, queue.name), Deleted(at=ctx.now))
    ctx.tx.wake(ctx.now + _FREE_AFTER_S, "sqs.freed", (queue.account, queue.region, queue.name))
    for task in redrive.tasks_of(ctx, queue.arn):
        redrive.forget(ctx, task)
    expiry.sweep_later(ctx, queue.shelf, queue.uid)
    ctx.tx.signal(arrival_key(queue.shelf))
    return {}


def get_queue_url(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """A queue's URL by its name, also in another account.

    Raises: QueueDoesNotExist.
    Source: SQS API_GetQueueUrl (read 2026-11).
    """
    account = req.get("QueueOwnerAWSAccountId", ctx.account)
    queue = ctx.tx.get(queue_key(account, ctx.region, req["QueueName"]), Queue)
    if queue is None:
        raise no_queue(req["QueueName"], ctx.region)
    return {"QueueUrl": url_of(ctx, queue)}


def list_queues(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """URLs of the queues of this account and region, by prefix, 1,000 at most; pages only with MaxResults.

    Raises: InvalidParameterValue.
    Source: SQS API_ListQueues (read 2026-11).
    """
    prefix = req.get("QueueNamePrefix", "")
    base = (ROOT, "queue", ctx.account, ctx.region)
    after = _after(req)
    start = (*base, max(prefix, after))
    urls: list[str] = []
    limit = _page(req)
    for _, queue in ctx.tx.scan(base, Queue, start=start):
        if not queue.name.startswith(prefix):
            break
        if queue.name == after:
            continue
        if len(urls) == limit:
            return _paged(req, "QueueUrls", urls)
        urls.append(url_of(ctx, queue))
    return {"QueueUrls": urls} if urls else {}


def list_dead_letter_source_queues(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """URLs of the queues whose RedrivePolicy names this queue; pages only with MaxResults.

    Raises: QueueDoesNotExist, InvalidParameterValue.
    Source: SQS API_ListDeadLetterSourceQueues (read 2026-11).
    """
    target = queue_at(ctx, req["QueueUrl"])
    base = (ROOT, "source", target.arn)
    after = _after(req)
    urls: list[str] = []
    for key in ctx.tx.scan_keys(base, start=(*base, after)):
        name = str(key[-1])
        if name == after:
            continue
        if len(urls) == _page(req):
            return _paged(req, "queueUrls", urls)
        urls.append(f"{ctx.endpoint}/{target.account}/{name}")
    return {"queueUrls": urls}


def _page(req: Mapping[str, Any]) -> int:
    limit: int = req.get("MaxResults", _PAGE)
    if not 1 <= limit <= _PAGE:
        raise invalid(limit, "MaxResults", f"MaxResults must be an integer between 1 and {_PAGE}.")
    return limit


def _paged(req: Mapping[str, Any], member: str, urls: list[str]) -> _Json:
    answer: _Json = {member: urls}
    if "MaxResults" in req:
        answer["NextToken"] = urlsafe_b64encode(urls[-1].rsplit("/", 1)[1].encode()).decode()
    return answer


def _after(req: Mapping[str, Any]) -> str:
    """The name of the last queue of the page before; "": there was none. Raises: InvalidParameterValue."""
    token: str = req.get("NextToken", "")
    try:
        name = b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError:
        name = " "
    if name and not _NAME.fullmatch(name.removesuffix(_FIFO)):
        raise InvalidParameterValue("Invalid NextToken value.")
    return name


def get_queue_attributes(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """A queue's settings and counts. The counts are those of this moment.

    Raises: QueueDoesNotExist, InvalidAttributeName.
    Source: SQS API_GetQueueAttributes (read 2026-11).
    """
    o = Open(ctx, queue_at(ctx, req["QueueUrl"]))
    names = req.get("AttributeNames", [])
    for name in names:
        if name not in settings.NAMES:
            raise unknown_attribute(name)
    if not names:
        return {}
    found = settings.described(o.queue)
    if "All" in names or not set(_COUNTED).isdisjoint(names):
        found.update(zip(_COUNTED, map(str, rows.counted(o)), strict=True))
    if "All" not in names:
        found = {name: value for name, value in found.items() if name in names}
    return {"Attributes": found} if found else {}


def set_queue_attributes(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """Change settings of a queue; they hold at once. An empty RedrivePolicy, RedriveAllowPolicy or Policy removes it.

    A new MessageRetentionPeriod holds for the messages there, a new DelaySeconds only on FIFO queues.
    Raises: QueueDoesNotExist, InvalidAttributeName, InvalidAttributeValue, InvalidParameterValue.
    Source: SQS API_SetQueueAttributes; developer guide, "Amazon SQS delay queues" (read 2026-11).
    """
    queue = queue_at(ctx, req["QueueUrl"])
    found = settings.changes(ctx, queue, req["Attributes"])
    after = replace(settings.changed(queue, found), modified=float(int(ctx.now)))
    _index_source(ctx, queue, None)
    _index_source(ctx, None, after)
    ctx.tx.put(after.key, after)
    o = Open(ctx, after)
    if after.retention_s < queue.retention_s and o.counts.held:
        rows.watch(o, o.now_ms)
        rows.close(o)
    if after.fifo and after.delay_s != queue.delay_s and o.counts.delayed:
        _delay_again(o, after.delay_s - queue.delay_s)
        rows.close(o)
    return {}


def _delay_again(o: Open, by_s: int) -> None:
    """Messages that are delayed on a FIFO queue become visible `by_s` later, or earlier."""
    base = o.shelf.later
    for k, raw in list(o.tx.scan_bytes(base, base + b"\xff")):
        flight: Flight = decode_flight(raw)
        if flight.delayed:
            at_ms = max(number_of(k, -9) + by_s * 1000, o.now_ms)
            o.tx.delete(k)
            o.tx.put(base + number(at_ms) + k[-9:], encode(flight))
            o.counts.due = min(o.counts.due, at_ms)
    o.signal()


def purge_queue(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """Delete all messages of a queue, at once; once in 60 seconds.

    Raises: QueueDoesNotExist, PurgeQueueInProgress.
    Source: SQS API_PurgeQueue (read 2026-11).
    """
    queue = queue_at(ctx, req["QueueUrl"])
    if queue.purged and ctx.now < queue.purged + _PURGE_EVERY_S:
        raise PurgeQueueInProgress(f"Only one PurgeQueue operation on {queue.name} is allowed every 60 seconds.")
    before = Open(ctx, queue)
    after = replace(queue, shelf=ctx.tx.add((ROOT, "last")), purged=ctx.now)
    ctx.tx.put(after.key, after)
    o = Open(ctx, after)
    o.counts = Counts(tail=before.counts.tail)  # sequence numbers go on
    rows.close(o)
    expiry.sweep_later(ctx, queue.shelf, None)
    ctx.tx.signal(before.arrival)
    return {}
