"""Finding queues: by URL, by ARN, by name."""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.keys import pack
from cumulet.services.sqs.errors import InvalidAddress, no_queue
from cumulet.services.sqs.model import Open, Queue, queue_key

_KNOWN_URLS = 10_000


def queue_at(ctx: Context, url: str) -> Queue:
    """The queue of a URL `.../{account}/{name}`, whatever its host, or of a name alone in the caller's account.

    Raises: QueueDoesNotExist, InvalidAddress.
    """
    known: dict[tuple[str, str, str], bytes] = ctx.pipeline.volatile.setdefault("sqs.urls", {})
    asked = (url, ctx.region, ctx.account)
    key = known.get(asked)
    if key is None:
        if len(known) >= _KNOWN_URLS:
            known.clear()
        key = known[asked] = pack(queue_key(*place_of(url, ctx)))
    queue = ctx.tx.get(key, Queue)
    if queue is None:
        raise no_queue(url, ctx.region)
    return queue


def place_of(url: str, ctx: Context) -> tuple[str, str, str]:
    """(account, region, name). Raises: InvalidAddress."""
    if "/" not in url:
        return ctx.account, ctx.region, url
    parts = url.rstrip("/").rsplit("/", 2)
    if len(parts) < 3 or not (parts[1].isdigit() and len(parts[1]) == 12):
        raise InvalidAddress(f"The address {url} is not valid for this endpoint.")
    return parts[1], ctx.region, parts[2]


def open_at(ctx: Context, url: str) -> Open:
    """Raises: QueueDoesNotExist, InvalidAddress."""
    return Open(ctx, queue_at(ctx, url))


def queue_of(ctx: Context, arn: str) -> Queue | None:
    """The queue of an ARN."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or parts[2] != "sqs":
        return None
    return ctx.tx.get(queue_key(parts[4], parts[3], parts[5]), Queue)


def open_arn(ctx: Context, arn: str) -> Open:
    """Raises: QueueDoesNotExist."""
    queue = queue_of(ctx, arn)
    if queue is None:
        raise no_queue(arn, ctx.region)
    return Open(ctx, queue)


def url_of(ctx: Context, queue: Queue) -> str:
    return f"{ctx.endpoint}/{queue.account}/{queue.name}"
