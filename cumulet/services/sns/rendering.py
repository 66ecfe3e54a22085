"""What endpoints get, in AWS's form: the signed JSON envelope, Lambda's event, emails and text messages.

Source: SNS developer guide, "Amazon SNS message and JSON formats"; Lambda developer guide, "Using AWS Lambda with Amazon SNS"
(read 2026-11).
"""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import msgspec

from cumulet.kernel.context import Context
from cumulet.services.sns import signing
from cumulet.services.sns.messages import Message, timestamp
from cumulet.services.sns.model import Subscription, Topic

Json = dict[str, Any]

_encode = msgspec.json.Encoder().encode


def _text(value: str) -> str:
    return _encode(value).decode()


def unsubscribe_url(ctx: Context, region: str, subscription_arn: str) -> str:
    return f"{ctx.endpoint}/_aws/sns/{region}?Action=Unsubscribe&SubscriptionArn={subscription_arn}"


def confirm_url(ctx: Context, subscription: Subscription, token: str) -> str:
    arn = quote(subscription.topic_arn, safe=":")
    return f"{ctx.endpoint}/_aws/sns/{subscription.region}?Action=ConfirmSubscription&TopicArn={arn}&Token={token}"


def _variant(message: Message, protocol: str) -> str:
    """What is the same for all subscribers of a protocol, and for other protocols with the same text and key."""
    return f"{signing.side(protocol)} {protocol if protocol in message.texts else ''}"


def _signed(ctx: Context, topic: Topic, message: Message, protocol: str) -> tuple[str, str]:
    """(signature, its version) of what a protocol gets; the same for all its subscribers."""
    version = topic.attributes.get("SignatureVersion", "1")
    known = f"signature {_variant(message, protocol)}"
    if known not in message.rendered:
        fields = {
            "Message": message.text_for(protocol),
            "MessageId": message.id,
            "Timestamp": message.timestamp,
            "TopicArn": topic.arn,
            "Type": "Notification",
        }
        if message.subject is not None:
            fields["Subject"] = message.subject
        message.rendered[known] = signing.signature(ctx, signing.string_to_sign(fields), version, protocol)
    return message.rendered[known], version


def _shown(attribute: Json) -> Json:
    kind = attribute["DataType"]
    if kind.startswith("Binary"):
        return {"Type": kind, "Value": base64.b64encode(attribute["BinaryValue"]).decode()}
    return {"Type": kind, "Value": attribute["StringValue"]}


def envelope(ctx: Context, topic: Topic, message: Message, protocol: str, subscription_arn: str) -> str:
    """The JSON document that queues, HTTP endpoints and email-json get; all but the UnsubscribeURL is made once.

    A queue's is still to be signed: see `signing.finish`.
    """
    known = f"envelope {_variant(message, protocol)}"
    head = message.rendered.get(known)
    if head is None:
        if protocol == "sqs":
            signature, version = signing.UNSIGNED, topic.attributes.get("SignatureVersion", "1")
        else:
            signature, version = _signed(ctx, topic, message, protocol)
        sequence = f'\n  "SequenceNumber" : "{message.sequence}",' if message.sequence else ""
        subject = f'\n  "Subject" : {_text(message.subject)},' if message.subject is not None else ""
        head = message.rendered[known] = (
            f'{{\n  "Type" : "Notification",\n  "MessageId" : "{message.id}",{sequence}\n  "TopicArn" : "{topic.arn}",{subject}\n'
            f'  "Message" : {_text(message.text_for(protocol))},\n  "Timestamp" : "{message.timestamp}",\n'
            f'  "SignatureVersion" : "{version}",{signing.MEMBER}{signature}",\n'
            f'  "SigningCertURL" : "{signing.certificate_url(ctx, protocol)}",\n  "UnsubscribeURL" : "'
        )
    return f'{head}{unsubscribe_url(ctx, topic.region, subscription_arn)}"{_attributes(message)}\n}}'


def _attributes(message: Message) -> str:
    if not message.attributes:
        return ""
    if "attributes" not in message.rendered:
        listed = ",\n".join(
            f"    {_text(name)} : {_encode(_shown(attribute)).decode()}"
            for name, attribute in message.attributes.items()
        )
        message.rendered["attributes"] = f',\n  "MessageAttributes" : {{\n{listed}\n  }}'
    return message.rendered["attributes"]


def lambda_event(ctx: Context, topic: Topic, message: Message, subscription: Subscription) -> bytes:
    """The event that a function gets."""
    signature, version = _signed(ctx, topic, message, "lambda")
    notification = {
        "Type": "Notification",
        "MessageId": message.id,
        "TopicArn": topic.arn,
        "Subject": message.subject,
        "Message": message.text_for("lambda"),
        "Timestamp": message.timestamp,
        "SignatureVersion": version,
        "Signature": signature,
        "SigningCertUrl": signing.certificate_url(ctx, "lambda"),
        "UnsubscribeUrl": unsubscribe_url(ctx, topic.region, subscription.arn),
        "MessageAttributes": {name: _shown(attribute) for name, attribute in message.attributes.items()},
    }
    record = {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription.arn,
        "Sns": notification,
    }
    return _encode({"Records": [record]})


def confirmation(ctx: Context, topic: Topic, subscription: Subscription, token: str, kind: str, id_: str) -> str:
    """The JSON document that asks an endpoint to confirm (or tells it how to restore) a subscription."""
    subscribe_url = confirm_url(ctx, subscription, token)
    if kind == "SubscriptionConfirmation":
        said = (
            f"You have chosen to subscribe to the topic {topic.arn}.\nTo confirm the subscription, visit the SubscribeURL "
            "included in this message."
        )
    else:
        said = (
            f"You have chosen to deactivate subscription {subscription.arn}.\nTo cancel this operation and restore the "
            "subscription, visit the SubscribeURL included in this message."
        )
    fields = {
        "Type": kind,
        "MessageId": id_,
        "Token": token,
        "TopicArn": topic.arn,
        "Message": said,
        "SubscribeURL": subscribe_url,
        "Timestamp": timestamp(ctx.now),
    }
    version = topic.attributes.get("SignatureVersion", "1")
    signed = {
        **fields,
        "SignatureVersion": version,
        "Signature": signing.signature(ctx, signing.string_to_sign(fields), version, subscription.protocol),
        "SigningCertURL": signing.certificate_url(ctx, subscription.protocol),
    }
    lines = ",\n".join(f'  "{name}" : {_text(value)}' for name, value in signed.items())
    return f"{{\n{lines}\n}}"


def email(ctx: Context, message: Message, subscription: Subscription) -> str:
    """The text of an email, with AWS's footer."""
    return (
        f"{message.text_for('email')}\n\n--\nIf you wish to stop receiving notifications from this topic, please click or visit "
        f"the link below to unsubscribe:\n{unsubscribe_url(ctx, subscription.region, subscription.arn)}\n"
    )


def confirmation_email(ctx: Context, topic: Topic, subscription: Subscription, token: str) -> str:
    return (
        f"You have chosen to subscribe to the topic:\n{topic.arn}\n\nTo confirm this subscription, click or visit the link below "
        f"(If this was in error no action is necessary):\n{confirm_url(ctx, subscription, token)}\n"
    )


def text_message(topic: Topic, message: Message) -> str:
    """A text message; the topic's display name (its first ten characters) goes in front."""
    sender = topic.attributes.get("DisplayName", "")[:10]
    return f"{sender}> {message.text_for('sms')}" if sender else message.text_for("sms")


def goodbye_email(ctx: Context, subscription: Subscription, token: str) -> str:
    return (
        f"Your subscription to the topic below has been deactivated:\n{subscription.topic_arn}\n\nIf this was in error, click or "
        f"visit the link below to resubscribe:\n{confirm_url(ctx, subscription, token)}\n"
    )
