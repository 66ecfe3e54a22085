"""Confirmation of subscriptions: tokens, the messages that carry them, and what they bring about.

A token is good for two days. A subscription that nobody confirms ends with its token; one that its endpoint left by the
UnsubscribeURL can be restored with the token in the message about it.
Source: SNS API_Subscribe, API_ConfirmSubscription, API_Unsubscribe; quotas page (read 2026-11).
"""

from __future__ import annotations

import hashlib

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import replace
from cumulet.services.sns import delivery, outbox, registry, rendering
from cumulet.services.sns.errors import AuthorizationError, InvalidParameter, NotFound
from cumulet.services.sns.model import TOKEN_S, Delivery, Outgoing, Subscription, Token, Topic, token_key

_SENDER = "AWS Notifications"


def ask(ctx: Context, topic: Topic, subscription: Subscription) -> Subscription:
    """Send a pending subscription's endpoint a new token; returns the subscription, which the caller writes."""
    if subscription.token:
        ctx.tx.delete(token_key(subscription.token))
    token = _new_token(ctx, subscription, restores=False)
    asking = replace(subscription, token=token)
    _send(ctx, topic, asking, token, "SubscriptionConfirmation")
    return asking


def say_goodbye(ctx: Context, topic: Topic, subscription: Subscription) -> None:
    """Tell an endpoint that it was unsubscribed, and how to come back."""
    if subscription.protocol in ("http", "https", "email", "email-json"):
        token = _new_token(ctx, subscription, restores=True)
        _send(ctx, topic, subscription, token, "UnsubscribeConfirmation")


def _new_token(ctx: Context, subscription: Subscription, restores: bool) -> str:
    token = hashlib.sha512(ctx.ids.secret(64).encode()).hexdigest()
    until = ctx.now + TOKEN_S
    ctx.tx.put(token_key(token), Token(subscription=subscription, until=until, restores=restores))
    ctx.tx.wake(until, "sns.expire", (token,))
    return token


def _send(ctx: Context, topic: Topic, subscription: Subscription, token: str, kind: str) -> None:
    id_ = ctx.ids.uuid()
    if subscription.protocol == "email":
        goodbye = kind == "UnsubscribeConfirmation"
        subject = (
            "AWS Notification - Unsubscribe Confirmation" if goodbye else "AWS Notification - Subscription Confirmation"
        )
        body = rendering.confirmation_email(ctx, topic, subscription, token)
        if goodbye:
            body = rendering.goodbye_email(ctx, subscription, token)
    else:
        subject = ""
        body = rendering.confirmation(ctx, topic, subscription, token, kind, id_)
    if subscription.protocol in ("email", "email-json"):
        outgoing = Outgoing(
            at=ctx.now, protocol=subscription.protocol, to=subscription.endpoint, body=body, subject=subject, sender=_SENDER,
            message_id=id_, topic_arn=topic.arn, subscription_arn=subscription.arn,
        )  # fmt: skip
        outbox.keep(ctx, topic.account, topic.region, outgoing)
        return
    sent = Delivery(
        id=ctx.ids.uuid(), subscription=subscription, type=kind, message_id=id_, body=body.encode(), published=ctx.now,
        md5="", trace=ctx.trace,
    )  # fmt: skip
    delivery.begin(ctx, topic, sent)


def confirm(ctx: Context, topic_arn: str, text: str, *, authenticated: bool, guard: bool) -> Subscription:
    """Confirm (or restore) the subscription that a token is for. Raises: InvalidParameter, NotFound."""
    topic = registry.topic_named(ctx, topic_arn)
    token = ctx.tx.get(token_key(text), Token)
    if token is None or token.until <= ctx.now or token.subscription.place != topic.place:
        raise InvalidParameter.of("Token")
    asked = token.subscription
    found = registry.subscription_of_endpoint(ctx, topic, asked.protocol, asked.endpoint)
    if token.restores and found is None:
        found = replace(asked, id=ctx.ids.uuid(), confirmed=True, authenticated=authenticated, guarded=guard, token="")
        registry.add_subscription(ctx, topic, found)
    if found is None or (not token.restores and found.id != asked.id):
        raise InvalidParameter.of("Token")
    if not found.confirmed:
        confirmed = replace(found, confirmed=True, authenticated=authenticated, guarded=guard)
        registry.change_subscription(ctx, topic, found, confirmed)
        found = confirmed
    return found


def leave(ctx: Context, arn: str, *, by_owner: bool) -> None:
    """Unsubscribe. `by_owner` False: by the link that the endpoint got. Raises: InvalidParameter, AuthorizationError."""
    try:
        found = registry.subscription_named(ctx, arn)
    except NotFound:
        return
    if found.guarded and not (by_owner and ctx.account in (found.account, found.topic_account)):
        raise AuthorizationError("Unsubscribing this subscription requires authentication")
    topic = registry.topic_at(ctx, found.place)
    assert topic is not None, "a subscription ends with its topic"
    registry.remove_subscription(ctx, topic, found)
    if found.confirmed and not (by_owner and ctx.account == found.account):
        say_goodbye(ctx, topic, replace(found, token=""))


def expire(ctx: Context, key: Key) -> None:
    """Timer sns.expire: a token ends, and the subscription that still waits for it."""
    text = str(key[0])
    token = ctx.tx.get(token_key(text), Token)
    if token is None or token.until > ctx.now:
        return
    ctx.tx.delete(token_key(text))
    topic = registry.topic_at(ctx, token.subscription.place)
    found = registry.subscription_at(ctx, token.subscription.place, token.subscription.id)
    if topic is not None and found is not None and not found.confirmed:
        registry.remove_subscription(ctx, topic, found)
