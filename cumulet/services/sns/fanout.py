"""Who gets a topic's messages: its confirmed subscriptions with their filters, compiled once and kept by the topic's stamp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.sns import filters
from cumulet.services.sns.messages import Message
from cumulet.services.sns.model import Subscription, Topic, subscriptions_of
from cumulet.services.sns.settings import logs_deliveries

_KEPT_TOPICS = 10_000


@dataclass(slots=True, frozen=True)
class Target:
    """A subscription as Publish needs it. `test` is its filter policy, of the body where `on_body` says so."""

    subscription: Subscription
    protocol: str
    raw: bool
    test: filters.Test | None
    on_body: bool
    arn: str

    def rejection(self, message: Message) -> str | None:
        """Why the filter policy rejects a message, as the metric's name has it; None when it accepts."""
        assert self.test is not None
        if self.on_body:
            body = message.body
            if body is None:
                return "InvalidMessageBody"
            return None if self.test(body) else "MessageBody"
        if not message.attributes:
            return "NoMessageAttributes"  # nothing matches an empty set, `exists: false` included
        values = message.values
        if values is None:
            return "InvalidAttributes"
        return None if self.test(values) else "MessageAttributes"


@dataclass(slots=True, frozen=True)
class Fan:
    """A topic's confirmed subscriptions, and what of the topic all deliveries need."""

    stamp: str
    targets: tuple[Target, ...]
    logged: bool


def fan_of(ctx: Context, topic: Topic) -> Fan:
    """Who gets the topic's messages."""
    cache: dict[Any, Fan] = ctx.pipeline.volatile.setdefault("sns.fanout", {})
    place = topic.place
    cached = cache.get(place)
    if cached is not None and cached.stamp == topic.stamp:
        return cached
    targets = tuple(
        _target(subscription)
        for _, subscription in ctx.tx.scan(subscriptions_of(place), Subscription)
        if subscription.confirmed
    )
    if len(cache) >= _KEPT_TOPICS:
        cache.clear()
    fan = cache[place] = Fan(topic.stamp, targets, logs_deliveries(topic))
    return fan


def _target(subscription: Subscription) -> Target:
    on_body = subscription.attributes.get("FilterPolicyScope") == "MessageBody"
    policy = subscription.attributes.get("FilterPolicy")
    test = filters.compiled(policy, on_body) if policy is not None else None
    return Target(subscription, subscription.protocol, subscription.raw, test, on_body, subscription.arn)
