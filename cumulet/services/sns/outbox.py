"""The outbox: emails and text messages that people would get, kept to be looked at instead of being sent.

The newest thousand of an account and region are kept.
"""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.sns.model import Outgoing, outbox_in, outbox_tally

KEPT = 1000


def keep(ctx: Context, account: str, region: str, outgoing: Outgoing) -> None:
    """Put a message into the outbox, and drop the oldest one when there are too many."""
    number = ctx.tx.add(outbox_tally(account, region))
    prefix = outbox_in(account, region)
    ctx.tx.put((*prefix, number), outgoing)
    if number > KEPT:
        ctx.tx.delete((*prefix, number - KEPT))


def listing(ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
    """Internal `cumulet:Outbox`: the outbox of the caller's account and region, oldest first; `To` picks one recipient's."""
    found = [outgoing for _, outgoing in ctx.tx.scan(outbox_in(ctx.account, ctx.region), Outgoing)]
    wanted = req.get("To")
    return {
        "Messages": [
            {
                "At": outgoing.at,
                "Protocol": outgoing.protocol,
                "To": outgoing.to,
                "From": outgoing.sender,
                "Subject": outgoing.subject,
                "Body": outgoing.body,
                "MessageId": outgoing.message_id,
                "TopicArn": outgoing.topic_arn,
                "SubscriptionArn": outgoing.subscription_arn,
            }
            for outgoing in found
            if wanted is None or outgoing.to == wanted
        ]
    }
