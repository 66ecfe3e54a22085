"""Operations on a queue's cost allocation tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.sqs.labels import checked
from cumulet.services.sqs.lookup import queue_at

_Json = dict[str, Any]


def tag_queue(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """Add tags to a queue, or change their values. Limits: 50 tags, keys of 1-128 and values of 0-256 characters.

    Raises: QueueDoesNotExist, InvalidParameterValue.
    Source: SQS API_TagQueue; developer guide, "Amazon SQS standard queue quotas", queue tag (read 2026-11).
    """
    queue = queue_at(ctx, req["QueueUrl"])
    ctx.tx.put(queue.key, replace(queue, tags=checked(req["Tags"], queue.tags)))
    return {}


def untag_queue(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """Remove tags; keys that are not there do no harm.

    Raises: QueueDoesNotExist.
    Source: SQS API_UntagQueue (read 2026-11).
    """
    queue = queue_at(ctx, req["QueueUrl"])
    gone = set(req["TagKeys"])
    ctx.tx.put(queue.key, replace(queue, tags={k: v for k, v in queue.tags.items() if k not in gone}))
    return {}


def list_queue_tags(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """A queue's tags.

    Raises: QueueDoesNotExist.
    Source: SQS API_ListQueueTags (read 2026-11).
    """
    queue = queue_at(ctx, req["QueueUrl"])
    return {"Tags": dict(queue.tags)} if queue.tags else {}
