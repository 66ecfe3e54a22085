"""Finding and keeping topics and subscriptions: ARNs, indexes, counts and stamps."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key, pack
from cumulet.kernel.record import replace
from cumulet.services.sns.errors import InvalidParameter, no_subscription, no_topic
from cumulet.services.sns.model import (
    Subscription,
    Topic,
    count_key,
    endpoint_key,
    pace_key,
    sequence_key,
    subscriptions_of,
    token_key,
    topic_key,
)

_KNOWN_ARNS = 10_000


def parts_of(arn: str, member: str, most: int) -> list[str]:
    """The colon-separated parts of an SNS ARN. Raises: InvalidParameter."""
    parts = arn.split(":")
    if len(parts) < 6:
        raise InvalidParameter.of(f"{member} Reason: An ARN must have at least 6 elements, not {len(parts)}")
    if parts[0] != "arn" or parts[2] != "sns" or len(parts) > most:
        raise InvalidParameter.of(member)
    return parts


def topic_place(ctx: Context, arn: str, member: str = "TopicArn") -> Key:
    """(account, region, name) of a topic's ARN, which must be in the caller's region. Raises: InvalidParameter."""
    parts = parts_of(arn, member, 6)
    if parts[3] != ctx.region:
        raise InvalidParameter.of(member)
    return parts[4], parts[3], parts[5]


def topic_named(ctx: Context, arn: str, member: str = "TopicArn") -> Topic:
    """Raises: InvalidParameter, NotFound."""
    known: dict[tuple[str, str], bytes] = ctx.pipeline.volatile.setdefault("sns.arns", {})
    asked = (arn, ctx.region)
    key = known.get(asked)
    if key is None:
        if len(known) >= _KNOWN_ARNS:
            known.clear()
        account, region, name = topic_place(ctx, arn, member)
        key = known[asked] = pack(topic_key(str(account), str(region), str(name)))
    found = ctx.tx.get(key, Topic)
    if found is None:
        raise no_topic()
    return found


def topic_at(ctx: Context, place: Key) -> Topic | None:
    account, region, name = place
    return ctx.tx.get(topic_key(str(account), str(region), str(name)), Topic)


def save(ctx: Context, topic: Topic, **changes: Any) -> Topic:
    """Write a changed topic, with a new stamp."""
    changed = replace(topic, stamp=ctx.ids.hex(16), **changes)
    ctx.tx.put(changed.key, changed)
    return changed


def subscription_named(ctx: Context, arn: str) -> Subscription:
    """Raises: InvalidParameter, NotFound."""
    parts = parts_of(arn, "SubscriptionArn", 7)
    if len(parts) < 7:
        raise InvalidParameter.of("SubscriptionArn Reason: An ARN must have at least 7 elements, not 6")
    if parts[3] != ctx.region:
        raise InvalidParameter.of("SubscriptionArn")
    found = subscription_at(ctx, (parts[4], parts[3], parts[5]), parts[6])
    if found is None:
        raise no_subscription()
    return found


def subscription_at(ctx: Context, place: Key, id_: str) -> Subscription | None:
    return ctx.tx.get((*subscriptions_of(place), id_), Subscription)


def subscription_of_endpoint(ctx: Context, topic: Topic, protocol: str, endpoint: str) -> Subscription | None:
    id_ = ctx.tx.get_bytes(endpoint_key(topic.place, protocol, endpoint))
    return subscription_at(ctx, topic.place, id_.decode()) if id_ is not None else None


def add_subscription(ctx: Context, topic: Topic, subscription: Subscription) -> None:
    """Write a new subscription with its indexes, and count it."""
    ctx.tx.put(subscription.key, subscription)
    ctx.tx.put(subscription.endpoint_key, subscription.id.encode())
    ctx.tx.put(subscription.owned_key, b"")
    _count(ctx, topic, subscription, 1)


def change_subscription(ctx: Context, topic: Topic, old: Subscription, new: Subscription) -> None:
    """Write a changed subscription (the same topic, endpoint and id)."""
    if new.account != old.account:
        ctx.tx.delete(old.owned_key)
        ctx.tx.put(new.owned_key, b"")
    ctx.tx.put(new.key, new)
    _count(ctx, _count(ctx, topic, old, -1), new, 1)


def remove_subscription(ctx: Context, topic: Topic, subscription: Subscription) -> None:
    """Delete a subscription, its token and what waits to be delivered to it."""
    for key in (subscription.key, subscription.endpoint_key, subscription.owned_key):
        ctx.tx.delete(key)
    if subscription.token:
        ctx.tx.delete(token_key(subscription.token))
    ctx.tx.delete(pace_key(topic.place, subscription.id))
    changed = _count(ctx, topic, subscription, -1)
    save(ctx, changed, deleted=changed.deleted + (1 if subscription.confirmed else 0))


def remove_topic(ctx: Context, topic: Topic) -> None:
    """Delete a topic with its subscriptions. Deliveries on their way find no subscription and end."""
    for _, subscription in list(ctx.tx.scan(subscriptions_of(topic.place), Subscription)):
        remove_subscription(ctx, topic, subscription)
    ctx.tx.delete(topic.key)
    ctx.tx.delete(sequence_key(topic.place))
    ctx.tx.add(count_key(topic.account, topic.region, "fifo" if topic.fifo else "standard"), -1)


def _count(ctx: Context, topic: Topic, subscription: Subscription, by: int) -> Topic:
    changes: dict[str, int] = {}
    if subscription.confirmed:
        changes["confirmed"] = topic.confirmed + by
    else:
        changes["pending"] = topic.pending + by
        ctx.tx.add(count_key(topic.account, topic.region, "pending"), by)
    if "FilterPolicy" in subscription.attributes:
        changes["filters"] = topic.filters + by
        ctx.tx.add(count_key(topic.account, topic.region, "filters"), by)
    return save(ctx, topic, **changes)
