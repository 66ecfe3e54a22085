"""Amazon SQS: standard and FIFO queues, their messages, dead letters and metrics."""

from __future__ import annotations

from cumulet.kernel.service import Service
from cumulet.services.sqs import (
    expiry,
    gauges,
    internal,
    messages,
    moving,
    permissions,
    queues,
    redrive,
    tags,
    tasks,
)
from cumulet.services.sqs.authz import AUTHZ
from cumulet.services.sqs.cfn import RESOURCES

SERVICE = Service(
    "sqs",
    modules=(queues, messages, tags, permissions, tasks),
    timers={
        "sqs.expire": expiry.expire,
        "sqs.expire_one": expiry.expire_one,
        "sqs.forget": expiry.forget,
        "sqs.freed": expiry.freed,
        "sqs.sweep": expiry.sweep,
        "sqs.move": redrive.move,
    },
    internals={
        "cumulet:SendMessage": internal.send,
        "cumulet:Poll": internal.poll,
        "cumulet:Backlog": internal.backlog,
        "cumulet:Delete": internal.delete,
        "cumulet:Return": internal.give_back,
        "cumulet:Bury": moving.bury,
        "cumulet:Redrive": redrive.redrive,
    },
    inspect={"cumulet:Peek": internal.peek},
    resources=RESOURCES,
    gauges=gauges.gauges,
    subjects={
        "cumulet:Bury": lambda req: req["Shelf"].queue.dead_letter_arn,
        "cumulet:Redrive": lambda req: req["Target"].arn,
        **dict.fromkeys(
            (
                "SendMessage",
                "SendMessageBatch",
                "ReceiveMessage",
                "DeleteMessage",
                "DeleteMessageBatch",
                "ChangeMessageVisibility",
                "ChangeMessageVisibilityBatch",
            ),
            "QueueUrl",
        ),
    },
    authz=AUTHZ,
)
