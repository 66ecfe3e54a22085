"""Publishing: a message to a topic's subscribers or to a telephone, and batches.

Queues and functions get their message in the Publish transaction itself; one subscriber's failure is noted and delays no other
(see delivery.py).
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.kernel.once import once
from cumulet.services.sns import delivery, fanout, outbox, registry, rendering, sealing
from cumulet.services.sns.api import PublishBatchRequest, PublishBatchResult, PublishRequest, PublishResult
from cumulet.services.sns.errors import (
    BatchEntryIdsNotDistinct,
    BatchRequestTooLong,
    EmptyBatchRequest,
    InvalidBatchEntryId,
    InvalidParameter,
    TooManyEntriesInBatchRequest,
    unsupported,
)
from cumulet.services.sns.messages import Message, message_of, order
from cumulet.services.sns.model import DEDUPLICATION_S, ROOT, Accepted, Delivery, Outgoing, Topic, line_of, sequence_key
from cumulet.services.sns.settings import logs_deliveries

Json = dict[str, Any]

MAX_ENTRIES = 10
_FIRST_SEQUENCE = 10**19
_PHONE = re.compile(r"\+[1-9][0-9]{4,14}")
_ENTRY = re.compile(r"[a-zA-Z0-9_-]{1,80}")
_encode_outgoing = msgspec.msgpack.Encoder().encode


def publish(ctx: Context, req: PublishRequest) -> PublishResult:
    """Send a message to a topic's subscribers, or as a text message (which goes to the outbox) to a telephone.

    Limits: 256 KiB (or the topic's MaximumMessageSize) with attributes. FIFO topics accept a deduplication id once in five
    minutes; a duplicate gets the first one's ids and is not delivered.
    Raises: InvalidParameter, ParameterValueInvalid, NotFound, KMSDisabled, KMSInvalidState, KMSNotFound; NotImplemented for platform
    endpoints.
    Source: SNS API_Publish (read 2026-11).
    """
    given = [member for member in ("TopicArn", "TargetArn", "PhoneNumber") if member in req]
    if not given:
        raise InvalidParameter.of("TopicArn or TargetArn Reason: no value for required parameter")
    if len(given) > 1:
        raise InvalidParameter.of("Only one of TopicArn, TargetArn and PhoneNumber can be specified")
    if given == ["PhoneNumber"]:
        return _text(ctx, req)
    arn = str(req.get("TopicArn") or req.get("TargetArn", ""))
    if given == ["TargetArn"] and ":endpoint/" in arn:
        raise unsupported("TargetArn (a platform endpoint)")
    topic = registry.topic_named(ctx, arn, given[0])
    return _published(ctx, topic, req)


def _text(ctx: Context, req: Json | PublishRequest) -> PublishResult:
    number = str(req.get("PhoneNumber"))
    if not _PHONE.fullmatch(number):
        raise InvalidParameter.of(f"PhoneNumber Reason: {number} is not valid to publish to")
    if len(str(req["Message"])) > 1600:
        raise InvalidParameter.of("Message too long")
    message = message_of(dict(req), None, ctx.ids.uuid(), ctx.now)
    sender = message.attributes.get("AWS.SNS.SMS.SenderID", {}).get("StringValue", "")
    outgoing = Outgoing(
        at=ctx.now, protocol="sms", to=number, body=message.text_for("sms"), sender=sender, message_id=message.id
    )
    outbox.keep(ctx, ctx.account, ctx.region, outgoing)
    return {"MessageId": message.id}


def _published(ctx: Context, topic: Topic, req: Any) -> PublishResult:
    message = message_of(req, topic, ctx.ids.uuid(), ctx.now)
    order(message, topic, req)
    if sealing.SETTING in topic.attributes:
        sealing.check(ctx, topic)
    if topic.fifo:
        wide = topic.attributes.get("FifoThroughputScope") != "MessageGroup"
        key = (ROOT, topic.id, "" if wide else message.group, message.deduplication)
        accepted, fresh = once(ctx, key, DEDUPLICATION_S, Accepted, lambda: _accepted(ctx, topic, message))
        if not fresh:
            return {"MessageId": accepted.message_id, "SequenceNumber": accepted.sequence}
        message.sequence = accepted.sequence
    delivery.meter(ctx, topic, "NumberOfMessagesPublished")
    delivery.meter(ctx, topic, "PublishSize", float(message.size), "Bytes")
    fan = fanout.fan_of(ctx, topic)
    at_once = not (topic.fifo or fan.logged)
    delivered = 0
    for target in fan.targets:
        if target.test is not None:
            why = target.rejection(message)
            if why is not None:
                delivery.meter(ctx, topic, "NumberOfNotificationsFilteredOut")
                delivery.meter(ctx, topic, f"NumberOfNotificationsFilteredOut-{why}")
                continue
        if at_once and target.protocol == "sqs":
            delivered += _queued(ctx, topic, message, target)
        else:
            delivery.begin(ctx, topic, _delivery(ctx, topic, message, target))
    if delivered:
        delivery.meter(ctx, topic, "NumberOfNotificationsDelivered", times=delivered)
    if message.sequence:
        return {"MessageId": message.id, "SequenceNumber": message.sequence}
    return {"MessageId": message.id}


def _accepted(ctx: Context, topic: Topic, message: Message) -> Accepted:
    number = ctx.tx.add(sequence_key(topic.place))
    return Accepted(message_id=message.id, sequence=str(_FIRST_SEQUENCE + number))


def _queued(ctx: Context, topic: Topic, message: Message, target: fanout.Target) -> bool:
    """Whether a queue took its message; if it did not, a delivery was begun, or given up."""
    attributes: Json = {}
    if target.raw:
        body, attributes = message.text_for("sqs"), message.attributes
    else:
        body = rendering.envelope(ctx, topic, message, "sqs", target.arn)
    try:
        delivery.to_queue(
            ctx, target.subscription.endpoint, body, attributes, topic.arn, message.group, unsigned=not target.raw
        )
    except AwsError as error:
        delivery.refused(ctx, topic, _delivery(ctx, topic, message, target), error)
        return False
    return True


def _delivery(ctx: Context, topic: Topic, message: Message, target: fanout.Target) -> Delivery:
    """What a subscriber gets."""
    subscription = target.subscription
    attributes: dict[str, Any] = {}
    unsigned = False
    if target.protocol == "lambda":
        body = rendering.lambda_event(ctx, topic, message, subscription)
    elif target.protocol in ("email", "email-json", "sms"):
        body = _encode_outgoing(_outgoing(ctx, topic, message, target))
    elif target.raw:
        body = message.text_for(target.protocol).encode()
        if target.protocol == "sqs":
            attributes = message.attributes
    else:
        body = rendering.envelope(ctx, topic, message, target.protocol, target.arn).encode()
        unsigned = target.protocol == "sqs"
    if not message.md5 and logs_deliveries(topic):
        message.md5 = hashlib.md5(message.text.encode(), usedforsecurity=False).hexdigest()
    line: tuple[Any, ...] = ()
    if topic.fifo:
        line = (*line_of(topic.place, subscription.id, message.group), int(message.sequence))
    return Delivery(
        id=ctx.ids.uuid(), subscription=subscription, type="Notification", message_id=message.id, body=body,
        published=message.at, md5=message.md5, trace=ctx.trace, attributes=attributes, group=message.group,
        deduplication=message.deduplication, line=line, kms_key=topic.attributes.get(sealing.SETTING, ""),
        unsigned=unsigned,
    )  # fmt: skip


def _outgoing(ctx: Context, topic: Topic, message: Message, target: fanout.Target) -> Outgoing:
    subscription = target.subscription
    name = topic.attributes.get("DisplayName", "")
    common = {"message_id": message.id, "topic_arn": topic.arn, "subscription_arn": subscription.arn}
    if target.protocol == "sms":
        text = rendering.text_message(topic, message)
        return Outgoing(at=ctx.now, protocol="sms", to=subscription.endpoint, body=text, sender=name, **common)
    if target.protocol == "email-json":
        text = rendering.envelope(ctx, topic, message, target.protocol, target.arn)
    else:
        text = rendering.email(ctx, message, subscription)
    return Outgoing(
        at=ctx.now, protocol=target.protocol, to=subscription.endpoint, body=text,
        subject=message.subject or "AWS Notification Message", sender=name or "AWS Notifications", **common,
    )  # fmt: skip


def publish_batch(ctx: Context, req: PublishBatchRequest) -> PublishBatchResult:
    """Send up to ten messages to a topic; each succeeds or fails on its own, in their order.

    Limit: 256 KiB (or the topic's MaximumMessageSize) for all of them together.
    Raises: EmptyBatchRequest, TooManyEntriesInBatchRequest, BatchEntryIdsNotDistinct, InvalidBatchEntryId, BatchRequestTooLong,
    InvalidParameter, NotFound.
    Source: SNS API_PublishBatch (read 2026-11).
    """
    topic = registry.topic_named(ctx, req["TopicArn"])
    entries: list[Any] = req["PublishBatchRequestEntries"]
    if not entries:
        raise EmptyBatchRequest("The batch request doesn't contain any entries.")
    if len(entries) > MAX_ENTRIES:
        raise TooManyEntriesInBatchRequest("The batch request contains more entries than permissible.")
    ids = [entry["Id"] for entry in entries]
    if not all(_ENTRY.fullmatch(id_) for id_ in ids):
        raise InvalidBatchEntryId("The Id of a batch entry in a batch request doesn't abide by the specification.")
    if len(set(ids)) < len(ids):
        raise BatchEntryIdsNotDistinct("Two or more batch entries in the request have the same Id.")
    if sum(_size(entry) for entry in entries) > topic.size_bytes:
        raise BatchRequestTooLong("The length of all the messages put together is more than the limit.")
    result: Json = {"Successful": [], "Failed": []}
    for entry in entries:
        try:
            result["Successful"].append({"Id": entry["Id"], **_published(ctx, topic, entry)})
        except AwsError as error:
            failed = {"Id": entry["Id"], "Code": error.wire_code, "Message": error.message}
            result["Failed"].append({**failed, "SenderFault": error.http_status < 500})
    return result  # type: ignore[return-value]


def _size(entry: Json) -> int:
    size = len(entry["Message"].encode())
    for name, attribute in entry.get("MessageAttributes", {}).items():
        value = attribute.get("StringValue", "").encode() or attribute.get("BinaryValue", b"")
        size += len(name.encode()) + len(attribute.get("DataType", "")) + len(value)
    return size
