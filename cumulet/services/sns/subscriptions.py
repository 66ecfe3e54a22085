"""Operations on subscriptions."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.sns import confirming, registry, settings
from cumulet.services.sns.api import (
    ConfirmSubscriptionRequest,
    ConfirmSubscriptionResult,
    GetSubscriptionAttributesRequest,
    GetSubscriptionAttributesResult,
    ListSubscriptionsByTopicRequest,
    ListSubscriptionsByTopicResult,
    ListSubscriptionsRequest,
    ListSubscriptionsResult,
    SetSubscriptionAttributesRequest,
    SubscribeRequest,
    SubscribeResult,
    UnsubscribeRequest,
)
from cumulet.services.sns.endpoints import check_endpoint, masked
from cumulet.services.sns.errors import InvalidParameter, SubscriptionLimitExceeded, no_topic
from cumulet.services.sns.model import SIZE_BYTES, Subscription, Topic, count_key, owned_by, subscriptions_of
from cumulet.services.sns.paging import page

Json = dict[str, Any]

MAX_STANDARD = 12_500_000
MAX_FIFO = 100
MAX_PENDING = 5_000
_UNSET = {"RawMessageDelivery": "false", "FilterPolicyScope": "MessageAttributes"}
PENDING = "pending confirmation"


def subscribe(ctx: Context, req: SubscribeRequest) -> SubscribeResult:
    """Subscribe an endpoint to a topic. Queues, functions and telephones get messages from now on.

    HTTP endpoints, email addresses and queues of another account must confirm within two days. The same endpoint again gives the
    same subscription, and a new confirmation message if it is still pending.
    Limits: 12,500,000 subscriptions a topic (FIFO: 100), 5,000 pending ones an account, 200 filter policies a topic.
    Raises: InvalidParameter, NotFound, SubscriptionLimitExceeded, FilterPolicyLimitExceeded; NotImplemented for application and
    firehose.
    Source: SNS API_Subscribe; quotas page (read 2026-11).
    """
    topic = registry.topic_named(ctx, req["TopicArn"])
    protocol, endpoint = req["Protocol"], req.get("Endpoint", "")
    check_endpoint(topic, protocol, endpoint)
    given: dict[str, str] = dict(req.get("Attributes", {}))
    found = registry.subscription_of_endpoint(ctx, topic, protocol, endpoint)
    if found is None:
        found = _subscribed(ctx, topic, protocol, endpoint, given)
    else:
        wanted = settings.all_attributes(ctx, topic, replace(found, attributes={}), given)
        if any(found.attributes.get(name, _UNSET.get(name, "")) != wanted.get(name, "") for name in given):
            raise InvalidParameter.of("Attributes Reason: Subscription already exists with different attributes")
        if not found.confirmed:
            asked = confirming.ask(ctx, topic, found)
            registry.change_subscription(ctx, topic, found, asked)
    return {"SubscriptionArn": found.arn if found.confirmed or req.get("ReturnSubscriptionArn") else PENDING}


def _subscribed(ctx: Context, topic: Topic, protocol: str, endpoint: str, given: dict[str, str]) -> Subscription:
    if topic.confirmed + topic.pending >= (MAX_FIFO if topic.fifo else MAX_STANDARD):
        raise SubscriptionLimitExceeded("Subscription limit exceeded")
    large = topic.size_bytes > SIZE_BYTES
    if large and (protocol not in ("sqs", "lambda") or topic.confirmed + topic.pending >= settings.LARGE_SUBSCRIPTIONS):
        raise settings.large_refused()
    foreign = protocol == "sqs" and endpoint.split(":")[4] != ctx.account
    pending = foreign or protocol in ("http", "https", "email", "email-json")
    if pending and ctx.tx.counter(count_key(topic.account, topic.region, "pending")) >= MAX_PENDING:
        raise SubscriptionLimitExceeded("Pending subscription limit exceeded")
    made = Subscription(
        account=ctx.account, region=topic.region, topic_account=topic.account, topic=topic.name, id=ctx.ids.uuid(),
        protocol=protocol, endpoint=endpoint, principal=ctx.principal, confirmed=not pending, authenticated=not pending,
    )  # fmt: skip
    made = replace(made, attributes=settings.all_attributes(ctx, topic, made, given))
    if pending:
        made = confirming.ask(ctx, topic, made)
    registry.add_subscription(ctx, topic, made)
    return made


def confirm_subscription(ctx: Context, req: ConfirmSubscriptionRequest) -> ConfirmSubscriptionResult:
    """Confirm a subscription with the token its endpoint got; again with the same token is fine.

    AuthenticateOnUnsubscribe "true" lets only signed calls of the owners unsubscribe it.
    Raises: InvalidParameter, NotFound. Source: SNS API_ConfirmSubscription (read 2026-11).
    """
    signed = bool(ctx.access_key)
    guard = signed and req.get("AuthenticateOnUnsubscribe", "").lower() == "true"
    found = confirming.confirm(ctx, req["TopicArn"], req["Token"], authenticated=signed, guard=guard)
    return {"SubscriptionArn": found.arn}


def unsubscribe(ctx: Context, req: UnsubscribeRequest) -> Json:
    """Delete a subscription; one that is not there is fine. Another's endpoint gets a message with which it can come back.

    Raises: InvalidParameter, AuthorizationError. Source: SNS API_Unsubscribe (read 2026-11).
    """
    confirming.leave(ctx, req["SubscriptionArn"], by_owner=True)
    return {}


def get_subscription_attributes(ctx: Context, req: GetSubscriptionAttributesRequest) -> GetSubscriptionAttributesResult:
    """A subscription's attributes, with the delivery policy that holds.

    Raises: InvalidParameter, NotFound. Source: SNS API_GetSubscriptionAttributes (read 2026-11).
    """
    found = registry.subscription_named(ctx, req["SubscriptionArn"])
    return {"Attributes": settings.shown_subscription(registry.topic_at(ctx, found.place), found)}


def set_subscription_attributes(ctx: Context, req: SetSubscriptionAttributesRequest) -> Json:
    """Set one attribute of a subscription, from the next message on; an empty value takes it away.

    Raises: InvalidParameter, NotFound, FilterPolicyLimitExceeded; NotImplemented for SubscriptionRoleArn and ReplayPolicy.
    Source: SNS API_SetSubscriptionAttributes (read 2026-11).
    """
    found = registry.subscription_named(ctx, req["SubscriptionArn"])
    topic = registry.topic_at(ctx, found.place)
    if topic is None:
        raise no_topic()
    value = req.get("AttributeValue", "")
    attributes = settings.subscription_attribute(ctx, topic, found, req["AttributeName"], value)
    registry.change_subscription(ctx, topic, found, replace(found, attributes=attributes))
    return {}


def list_subscriptions(ctx: Context, req: ListSubscriptionsRequest) -> ListSubscriptionsResult:
    """The account's subscriptions, a hundred a page. Raises: InvalidParameter. Source: SNS API_ListSubscriptions."""
    prefix = owned_by(ctx.account, ctx.region)

    def rows(start: Any, limit: int) -> Any:
        for key in ctx.tx.scan_keys(prefix, start=start, limit=limit):
            account, topic, id_ = key[len(prefix) :]
            yield key, registry.subscription_at(ctx, (account, ctx.region, topic), str(id_))

    return _listed(*page(req, prefix, rows, _shown))  # type: ignore[no-any-return]


def list_subscriptions_by_topic(ctx: Context, req: ListSubscriptionsByTopicRequest) -> ListSubscriptionsByTopicResult:
    """A topic's subscriptions, a hundred a page. Raises: InvalidParameter, NotFound.

    Source: SNS API_ListSubscriptionsByTopic (read 2026-11).
    """
    prefix = subscriptions_of(registry.topic_named(ctx, req["TopicArn"]).place)
    shown = page(req, prefix, lambda start, limit: ctx.tx.scan(prefix, Subscription, start=start, limit=limit), _shown)
    return _listed(*shown)  # type: ignore[no-any-return]


def _shown(subscription: Subscription) -> Json:
    return {
        "SubscriptionArn": subscription.arn if subscription.confirmed else "PendingConfirmation",
        "Owner": subscription.account,
        "Protocol": subscription.protocol,
        "Endpoint": masked(subscription.endpoint),
        "TopicArn": subscription.topic_arn,
    }


def _listed(shown: list[Json], token: str | None) -> Any:
    return {"Subscriptions": shown, **({"NextToken": token} if token is not None else {})}
