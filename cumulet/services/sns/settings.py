"""Attributes of topics and subscriptions: which there are, which values they take, how they are shown.

Source: SNS API_SetTopicAttributes, API_SetSubscriptionAttributes, API_Subscribe; quotas page (read 2026-11).
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.context import Context
from cumulet.services.sns import access, filters, retries
from cumulet.services.sns.endpoints import masked
from cumulet.services.sns.errors import FilterPolicyLimitExceeded, InvalidParameter, unsupported
from cumulet.services.sns.model import LARGEST_BYTES, SIZE_BYTES, Subscription, Topic, count_key, subscriptions_of

Json = dict[str, Any]

FILTERS_A_TOPIC = 200
FILTERS_AN_ACCOUNT = 10_000
LARGE_SUBSCRIPTIONS = 100
LOGGED = {"http": "HTTP", "https": "HTTP", "lambda": "Lambda", "sqs": "SQS"}
_WHOLE = re.compile(r"[0-9]{1,9}")
_ROLE = re.compile(r"arn:aws[a-zA-Z-]*:iam::[0-9]{12}:role/.+")
_FEEDBACK = re.compile(r"(HTTP|Lambda|SQS)(SuccessFeedbackRoleArn|SuccessFeedbackSampleRate|FailureFeedbackRoleArn)")
_REFUSED = re.compile(r"ArchivePolicy|DataProtectionPolicy|(Firehose|Application)\w+Feedback\w+")
_ABOUT_FIFO = ("ContentBasedDeduplication", "FifoThroughputScope")


def topic_attribute(topic: Topic, name: str, value: str) -> str:
    """The value of a topic's attribute as it is kept; "" takes it away. Raises: InvalidParameter, NotImplemented."""
    if _REFUSED.fullmatch(name) and value:
        raise unsupported(name)
    if name in _ABOUT_FIFO and not topic.fifo:
        raise InvalidParameter.of(f"{name} is only supported for FIFO topics" if value else name)
    match name:
        case "Policy":
            return access.checked(value)
        case "DeliveryPolicy":
            if value:
                retries.topic_policy(value)
        case "DisplayName":
            if len(value) > 100 or any(ord(letter) < 32 for letter in value):
                raise InvalidParameter.of("DisplayName")
        case "KmsMasterKeyId":
            pass  # what it names is looked for when a message is published
        case "TracingConfig":
            _one_of(name, value, "PassThrough", "Active")
            if topic.fifo:
                raise InvalidParameter.of("TracingConfig is not supported for FIFO topics")
        case "SignatureVersion":
            _one_of(name, value, "1", "2")
        case "MaximumMessageSize":
            if not _WHOLE.fullmatch(value) or not 1024 <= int(value) <= LARGEST_BYTES:
                raise InvalidParameter.of("MaximumMessageSize must be between 1024 and 1048576")
        case "ContentBasedDeduplication":
            return boolean(name, value)
        case "FifoThroughputScope":
            _one_of(name, value, "Topic", "MessageGroup")
        case _:
            _check_feedback(name, value)
    return value


def _check_feedback(name: str, value: str) -> None:
    if not _FEEDBACK.fullmatch(name) and not _REFUSED.fullmatch(name):
        raise InvalidParameter.of("AttributeName")
    if name.endswith("SampleRate"):
        if not _WHOLE.fullmatch(value) or int(value) > 100:
            raise InvalidParameter.of(f"{name}: must be an integer between 0 and 100")
    elif value and not _ROLE.fullmatch(value):
        raise InvalidParameter.of(f"{name}: {value} is not a valid role to allow SNS to write to Cloudwatch Logs")


def _one_of(name: str, value: str, *allowed: str) -> None:
    if value not in allowed:
        raise InvalidParameter.of(f"{name}: must be one of {', '.join(allowed)}")


def boolean(name: str, value: str) -> str:
    """ "true" or "false". Raises: InvalidParameter."""
    if value.lower() not in ("true", "false"):
        raise InvalidParameter.of(f"{name}: must be true or false")
    return value.lower()


def check_large(ctx: Context, topic: Topic, value: str) -> None:
    """A topic with messages over 256 KiB has at most 100 subscriptions, of queues and functions. Raises: InvalidParameter."""
    if not value or int(value) <= SIZE_BYTES:
        return
    found = [subscription for _, subscription in ctx.tx.scan(subscriptions_of(topic.place), Subscription, limit=101)]
    if len(found) > LARGE_SUBSCRIPTIONS or any(s.protocol not in ("sqs", "lambda") for s in found):
        raise large_refused()


def large_refused() -> InvalidParameter:
    return InvalidParameter.of(
        "MaximumMessageSize: A topic with a MaximumMessageSize above 256 KiB must have 100 or fewer subscriptions, and each "
        "subscription must be an Amazon SQS, Amazon Data Firehose, or Lambda subscription"
    )


def shown_topic(topic: Topic) -> dict[str, str]:
    """GetTopicAttributes' map."""
    shown = {
        "TopicArn": topic.arn,
        "Owner": topic.account,
        "Policy": access.document(topic),
        "DisplayName": "",
        "SubscriptionsConfirmed": str(topic.confirmed),
        "SubscriptionsPending": str(topic.pending),
        "SubscriptionsDeleted": str(topic.deleted),
        "EffectiveDeliveryPolicy": retries.shown_for_topic(topic.attributes.get("DeliveryPolicy")),
        **topic.attributes,
    }
    if topic.fifo:
        shown["FifoTopic"] = "true"
        shown.setdefault("ContentBasedDeduplication", "false")
        shown.setdefault("FifoThroughputScope", "Topic")
    return shown


def logs_deliveries(topic: Topic) -> bool:
    """Whether the topic wants any delivery's status logged."""
    return any(name.endswith("FeedbackRoleArn") for name in topic.attributes)


# subscriptions


def subscription_attribute(
    ctx: Context, topic: Topic, subscription: Subscription, name: str, value: str
) -> dict[str, str]:
    """The subscription's attributes with one more set. Raises: InvalidParameter, FilterPolicyLimitExceeded, NotImplemented."""
    attributes = dict(subscription.attributes)
    if name in ("SubscriptionRoleArn", "ReplayPolicy"):
        raise unsupported(name)
    match name:
        case "FilterPolicy":
            if value and filters.parsed(value):
                filters.compiled(value, attributes.get("FilterPolicyScope") == "MessageBody")
                if name not in attributes:
                    _check_filter_quotas(ctx, topic)
            else:
                value = ""
        case "FilterPolicyScope":
            _one_of(name, value, "MessageAttributes", "MessageBody")
            if "FilterPolicy" in attributes:
                filters.compiled(attributes["FilterPolicy"], value == "MessageBody")
        case "RawMessageDelivery":
            if subscription.protocol not in ("sqs", "http", "https"):
                raise InvalidParameter.of(f"{name} is not supported for protocol {subscription.protocol}")
            value = boolean(name, value)
        case "DeliveryPolicy":
            if subscription.protocol not in ("http", "https"):
                raise InvalidParameter.of(f"{name} is not supported for protocol {subscription.protocol}")
            if value:
                retries.subscription_policy(value, retries.Policy(), subscription.raw)
        case "RedrivePolicy":
            if value:
                _check_redrive(topic, subscription, value)
        case _:
            raise InvalidParameter.of("AttributeName")
    if value:
        attributes[name] = value
    else:
        attributes.pop(name, None)
    return attributes


def all_attributes(ctx: Context, topic: Topic, subscription: Subscription, given: dict[str, str]) -> dict[str, str]:
    """The attributes that Subscribe gives a new subscription; the scope counts before the policy."""
    order = sorted(given, key=lambda name: (name == "FilterPolicy", name == "DeliveryPolicy", name))
    for name in order:
        try:
            changed = subscription_attribute(ctx, topic, subscription, name, given[name])
        except InvalidParameter as error:
            raise error.within(name) from error
        subscription = msgspec.structs.replace(subscription, attributes=changed)
    return subscription.attributes


def _check_filter_quotas(ctx: Context, topic: Topic) -> None:
    if (
        topic.filters >= FILTERS_A_TOPIC
        or ctx.tx.counter(count_key(topic.account, topic.region, "filters")) >= FILTERS_AN_ACCOUNT
    ):
        raise FilterPolicyLimitExceeded(
            "Filter policy limit exceeded", hint=f"{FILTERS_A_TOPIC} a topic, {FILTERS_AN_ACCOUNT} an account"
        )


def dead_letter_queue(subscription: Subscription) -> str:
    """The ARN of a subscription's dead-letter queue, or ""."""
    text = subscription.attributes.get("RedrivePolicy")
    return str(msgspec.json.decode(text)["deadLetterTargetArn"]) if text else ""


def _check_redrive(topic: Topic, subscription: Subscription, value: str) -> None:
    try:
        policy = read_json(value)
    except NotJson as error:
        raise InvalidParameter.of("RedrivePolicy: failed to parse JSON.") from error
    if not isinstance(policy, dict):
        raise InvalidParameter.of("RedrivePolicy: must be a JSON object")
    for name in policy:
        if name != "deadLetterTargetArn":
            raise InvalidParameter.of(f"RedrivePolicy: invalid JSON. Attribute {name} is unknown.")
    arn = policy.get("deadLetterTargetArn")
    parts = arn.split(":") if isinstance(arn, str) else []
    if len(parts) != 6 or parts[2] != "sqs":
        raise InvalidParameter.of("RedrivePolicy: deadLetterTargetArn is an invalid arn")
    if parts[3] != subscription.region or parts[4] != subscription.account:
        raise InvalidParameter.of("RedrivePolicy: deadLetterTargetArn must be in the subscription's account and region")
    if topic.fifo != parts[5].endswith(".fifo"):
        wanted = "FIFO" if topic.fifo else "standard"
        raise InvalidParameter.of(
            f"RedrivePolicy: must use a {wanted} queue as DLQ for a subscription to a {wanted} topic"
        )


def shown_subscription(topic: Topic | None, subscription: Subscription) -> dict[str, str]:
    """GetSubscriptionAttributes' map."""
    shown = {
        "SubscriptionArn": subscription.arn,
        "TopicArn": subscription.topic_arn,
        "Owner": subscription.account,
        "Protocol": subscription.protocol,
        "Endpoint": masked(subscription.endpoint),
        "PendingConfirmation": str(not subscription.confirmed).lower(),
        "ConfirmationWasAuthenticated": str(subscription.authenticated).lower(),
        "RawMessageDelivery": "false",
        "SubscriptionPrincipal": subscription.principal,
        **subscription.attributes,
    }
    if "FilterPolicy" in shown:
        shown.setdefault("FilterPolicyScope", "MessageAttributes")
    if subscription.protocol in ("http", "https"):
        below = topic.attributes.get("DeliveryPolicy") if topic is not None else None
        own = subscription.attributes.get("DeliveryPolicy")
        shown["EffectiveDeliveryPolicy"] = retries.shown_for_subscription(below, own)
    return shown
