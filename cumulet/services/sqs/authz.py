"""What SQS's operations need of IAM: the action of the operation on the queue, which may have a policy of its own.

Source: Service Authorization Reference, "Amazon SQS"; developer guide, "Using identity-based policies" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from cumulet.kernel.authz import Authz, Need
from cumulet.kernel.context import Context
from cumulet.services.sqs.lookup import place_of, queue_of
from cumulet.services.sqs.model import Queue, queue_key

Json = dict[str, Any]
Needs = Callable[[Context, Json], Iterable[Need]]


def _need(ctx: Context, action: str, account: str, region: str, name: str) -> Need:
    queue = ctx.tx.get(queue_key(account, region, name), Queue)
    arn = f"arn:aws:sqs:{region}:{account}:{name}"
    if queue is None:
        return Need(f"sqs:{action}", arn, account)
    facts = {f"aws:ResourceTag/{key}": value for key, value in queue.tags.items()}
    return Need(f"sqs:{action}", arn, account, queue.policy or None, facts)


def _on_queue(action: str) -> Needs:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        account, region, name = place_of(req["QueueUrl"], ctx)
        return (_need(ctx, action, account, region, name),)

    return needs


def _named(action: str) -> Needs:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        account = req.get("QueueOwnerAWSAccountId", ctx.account)
        return (_need(ctx, action, account, ctx.region, req["QueueName"]),)

    return needs


def _by_arn(action: str, member: str) -> Needs:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        queue = queue_of(ctx, req[member])
        if queue is None:
            return (Need(f"sqs:{action}", req[member]),)
        return (_need(ctx, action, queue.account, queue.region, queue.name),)

    return needs


def _move(ctx: Context, req: Json) -> Iterable[Need]:
    """Messages are taken here and sent there."""
    for action in ("StartMessageMoveTask", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes"):
        yield from _by_arn(action, "SourceArn")(ctx, req)
    if "DestinationArn" in req:
        yield from _by_arn("SendMessage", "DestinationArn")(ctx, req)


def _poller(ctx: Context, req: Json) -> Iterable[Need]:
    """What a function's role needs to be triggered by a queue."""
    for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes"):
        yield from _by_arn(action, "QueueArn")(ctx, req)


_QUEUE = {
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "DeleteMessageBatch": "DeleteMessage",
    "SendMessageBatch": "SendMessage",
    **{
        name: name
        for name in ("AddPermission", "ChangeMessageVisibility", "DeleteMessage", "DeleteQueue", "GetQueueAttributes",
                     "ListDeadLetterSourceQueues", "ListQueueTags", "PurgeQueue", "ReceiveMessage", "RemovePermission",
                     "SendMessage", "SetQueueAttributes", "TagQueue", "UntagQueue")
    },
}  # fmt: skip

AUTHZ = Authz(
    "sqs",
    {
        **{operation: _on_queue(action) for operation, action in _QUEUE.items()},
        "CreateQueue": _named("CreateQueue"),
        "GetQueueUrl": _named("GetQueueUrl"),
        "StartMessageMoveTask": _move,
        "ListMessageMoveTasks": _by_arn("ListMessageMoveTasks", "SourceArn"),
        "cumulet:Backlog": _poller,
        "cumulet:Poll": _by_arn("ReceiveMessage", "QueueArn"),
        "cumulet:Delete": _by_arn("DeleteMessage", "QueueArn"),
    },
    code="AccessDenied",
    status=403,
    spelled=str.lower,
)
