"""Deliveries: handing one message to one endpoint, trying again, dead-letter queues, status logs and metrics.

Queues and functions are given their message within the Publish transaction, so it is acknowledged and delivered in one
commit. What fails there for the server's sake, and everything for HTTP endpoints, becomes a row and a timer:

    row + timer  ->  attempt  ->  delivered: row deleted
                              ->  server error: failures + 1, next timer by the retry policy, or given up
                              ->  client error (the endpoint is gone, or refuses): given up
    given up     ->  the subscription's dead-letter queue, in the commit that deletes the row

A crash between attempt and settlement leaves row and timer: the endpoint gets the message again. Messages of a FIFO topic
stand in a line for each subscription and group while the first of them is being tried, so that order holds.
Source: SNS developer guide, "Message delivery retries", "Dead-letter queues", "Message delivery status", "Monitoring topics
using CloudWatch" (read 2026-11).
"""

from __future__ import annotations

import base64
import contextlib
from dataclasses import dataclass
from typing import Any

import msgspec

from cumulet.aws.errors import AwsError
from cumulet.aws.http import HttpCall, HttpReply
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Effect, EffectFailed
from cumulet.kernel.record import replace
from cumulet.kernel.tx import BLOB_OVER_BYTES
from cumulet.services.sns import outbox, registry, retries, sealing
from cumulet.services.sns.endpoints import credentials_of
from cumulet.services.sns.messages import timestamp
from cumulet.services.sns.model import Delivery, Outgoing, Topic, delivery_key, pace_key
from cumulet.services.sns.settings import LOGGED, dead_letter_queue

Json = dict[str, Any]

HTTP_TIMEOUT_S = 15.0
PRINCIPAL = "sns.amazonaws.com"
_WEB = ("http", "https")
_THROTTLED = frozenset(
    ("ThrottlingException", "TooManyRequestsException", "RequestThrottled", "KmsThrottled", "OverLimit", "Throttling")
)
_QUERY_CODES = {"QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue"}  # SNS still uses SQS's older protocol
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True, frozen=True)
class Answer:
    """What an endpoint said: its status, and its response as the delivery log has it."""

    status: int
    response: str = ""


@dataclass(slots=True, frozen=True)
class Failure:
    """Why an attempt failed; `again`: a retry may help."""

    code: str
    message: str
    status: int
    again: bool


def meter(ctx: Context, topic: Topic, name: str, value: float = 1.0, unit: str = "Count", times: int = 1) -> None:
    """Count one of the topic's metrics, in the topic's account and region."""
    series = topic.account, topic.region, "AWS/SNS", name, unit, (("TopicName", topic.name),)
    ctx.pipeline.meter.add(series, ctx.now, value, times)


def begin(ctx: Context, topic: Topic | None, delivery: Delivery) -> None:
    """Deliver now (queues, functions, people), or as soon as this is on disk (HTTP)."""
    if delivery.subscription.protocol in _WEB:
        _keep(ctx, replace(delivery, due=ctx.now))
        ctx.tx.wake(ctx.now, "sns.deliver", (delivery.id,))
    elif delivery.line and any(ctx.tx.scan_keys(delivery.line[:-1], limit=1)):
        _keep(ctx, replace(delivery, due=ctx.now))
    else:
        _attempt(ctx, topic, delivery)


def refused(ctx: Context, topic: Topic | None, delivery: Delivery, error: AwsError) -> None:
    """The endpoint did not take the message: try again later, or give up."""
    status = error.http_status
    again = (status >= 500 and status != 501) or status == 429 or error.wire_code in _THROTTLED
    code = _QUERY_CODES.get(error.wire_code, error.wire_code)
    _failed(ctx, topic, delivery, Failure(code, error.message, status, again))


def deliver(ctx: Context, key: Key) -> Effect | None:
    """Timer sns.deliver: the next attempt of a delivery."""
    delivery = ctx.tx.get(delivery_key(str(key[0])), Delivery)
    if delivery is None or delivery.due > ctx.now:
        return None
    ctx.follow([delivery.trace], at=delivery.subscription.topic_arn)
    topic = registry.topic_at(ctx, delivery.subscription.place)
    if delivery.type == "Notification":
        current = registry.subscription_at(ctx, delivery.subscription.place, delivery.subscription.id)
        if current is None or topic is None:
            _done(ctx, delivery)
            return None
        delivery = replace(delivery, subscription=current)
    if delivery.subscription.protocol not in _WEB:
        _attempt(ctx, topic, delivery)
        return None
    policy = _policy(topic, delivery)
    if policy.per_second and delivery.type == "Notification" and not _has_slot(ctx, delivery, policy.per_second):
        return None
    try:
        post = _post(ctx, delivery, policy)
    except AwsError as error:  # the topic's key cannot be used any more
        _failed(ctx, topic, delivery, Failure(error.wire_code, error.message, error.http_status, False))
        return None
    return Effect("http", (post,), lambda after, outcome: _settle(after, delivery.id, outcome))


def _keep(ctx: Context, delivery: Delivery) -> None:
    """Write a delivery that has to wait; a large body goes to a file."""
    if delivery.kms_key and not delivery.sealed:
        delivery = sealing.sealed(ctx, delivery)
    if len(delivery.body) > BLOB_OVER_BYTES:
        delivery = replace(delivery, blob=ctx.tx.put_blob(delivery.body), body=b"")
    ctx.tx.put(delivery.key, delivery)
    if delivery.line:
        ctx.tx.put(delivery.line, delivery.id.encode())


def _body(ctx: Context, delivery: Delivery) -> bytes:
    return _content(ctx, delivery)[0]


def _content(ctx: Context, delivery: Delivery) -> tuple[bytes, dict[str, dict[str, Any]]]:
    """(body, message attributes beside it). Raises: KMSDisabled, KMSInvalidState, KMSNotFound."""
    body = ctx.tx.read_blob(delivery.blob) if delivery.blob else delivery.body
    return sealing.opened(ctx, delivery, body) if delivery.sealed else (body, delivery.attributes)


def _attempt(ctx: Context, topic: Topic | None, delivery: Delivery) -> None:
    try:
        answer = _hand_over(ctx, delivery)
    except AwsError as error:
        refused(ctx, topic, delivery, error)
    else:
        _delivered(ctx, topic, delivery, answer)


def _hand_over(ctx: Context, delivery: Delivery) -> Answer:
    """Give the body to a queue, a function or the outbox. Raises: the target's AwsErrors."""
    subscription = delivery.subscription
    if subscription.protocol == "sqs":
        body, attributes = _content(ctx, delivery)
        sent = to_queue(
            ctx, subscription.endpoint, body.decode(), attributes, subscription.topic_arn, delivery.group,
            delivery.deduplication, delivery.unsigned,
        )  # fmt: skip
        return Answer(200, f'{{"sqsRequestId":"{ctx.request_id}","sqsMessageId":"{sent}"}}')
    if subscription.protocol == "lambda":
        _, _, _, region, account, _ = subscription.endpoint.split(":", 5)
        invocation = {
            "FunctionName": subscription.endpoint,
            "InvocationType": "Event",
            "Payload": _body(ctx, delivery),
        }
        ctx.call(
            "lambda",
            "Invoke",
            invocation,
            principal=PRINCIPAL,
            source=subscription.topic_arn,
            region=region,
            account=account,
        )
        return Answer(202, _encode({"lambdaRequestId": ctx.request_id}).decode())
    outbox.keep(ctx, subscription.topic_account, subscription.region, _decode_outgoing(_body(ctx, delivery)))
    return Answer(200)


_decode_outgoing = msgspec.msgpack.Decoder(Outgoing).decode


def to_queue(
    ctx: Context,
    arn: str,
    body: str,
    attributes: Json,
    topic_arn: str,
    group: str = "",
    deduplication: str = "",
    unsigned: bool = False,
    lost: bool = False,
) -> str:
    """Put a message on a queue; answers its id there. `unsigned`: the body is to be signed when it is read. Raises: SQS's AwsErrors."""
    _, _, _, region, account, name = arn.split(":", 5)
    request: Json = {"QueueUrl": f"http://127.0.0.1/{account}/{name}", "MessageBody": body}
    if attributes:
        request["MessageAttributes"] = attributes
    if group:
        request["MessageGroupId"] = group
    if deduplication and name.endswith(".fifo"):
        request["MessageDeduplicationId"] = deduplication
    operation = "SendMessage"
    if unsigned:
        operation, request["Finisher"] = "cumulet:SendMessage", "sns"
    sent = ctx.call(
        "sqs", operation, request, principal=PRINCIPAL, source=topic_arn, region=region, account=account, lost=lost
    )
    return sent["MessageId"]  # type: ignore[no-any-return]


# HTTP


def _policy(topic: Topic | None, delivery: Delivery) -> retries.Policy:
    below = topic.attributes.get("DeliveryPolicy") if topic is not None else None
    return retries.effective(below, delivery.subscription.attributes.get("DeliveryPolicy"))


def _has_slot(ctx: Context, delivery: Delivery, per_second: int) -> bool:
    """Whether the throttle policy lets this attempt go now; otherwise it is given a later time."""
    if delivery.slot:
        return True
    key = pace_key(delivery.subscription.place, delivery.subscription.id)
    raw = ctx.tx.get_bytes(key)
    free = max(float(raw) if raw else 0.0, ctx.now)
    ctx.tx.put(key, repr(free + 1.0 / per_second).encode())
    if free <= ctx.now:
        return True
    ctx.tx.put(delivery.key, replace(delivery, slot=free, due=free))
    ctx.tx.wake(free, "sns.deliver", (delivery.id,))
    return False


def _post(ctx: Context, delivery: Delivery, policy: retries.Policy) -> HttpCall:
    subscription = delivery.subscription
    headers = {
        "x-amz-sns-message-type": delivery.type,
        "x-amz-sns-message-id": delivery.message_id,
        "x-amz-sns-topic-arn": subscription.topic_arn,
        "Content-Type": policy.content_type if delivery.type == "Notification" else retries.TEXT,
        "User-Agent": "Amazon Simple Notification Service Agent",
    }
    if delivery.type != "SubscriptionConfirmation":
        headers["x-amz-sns-subscription-arn"] = subscription.arn
    if delivery.type == "Notification" and subscription.raw:
        headers["x-amz-sns-rawdelivery"] = "true"
    url, secret = credentials_of(subscription.endpoint)
    if secret:
        headers["Authorization"] = f"Basic {base64.b64encode(secret.encode()).decode()}"
    return HttpCall("POST", url, headers, _body(ctx, delivery), HTTP_TIMEOUT_S)


def _settle(ctx: Context, id_: str, outcome: HttpReply | EffectFailed) -> None:
    delivery = ctx.tx.get(delivery_key(id_), Delivery)
    if delivery is None:
        return
    ctx.follow([delivery.trace], at=delivery.subscription.topic_arn)
    topic = registry.topic_at(ctx, delivery.subscription.place)
    current = registry.subscription_at(ctx, delivery.subscription.place, delivery.subscription.id)
    if current is not None:
        delivery = replace(delivery, subscription=current)
    if isinstance(outcome, EffectFailed):
        _failed(ctx, topic, delivery, Failure(outcome.code, outcome.message, 0, True))
    elif 200 <= outcome.status < 300:
        _delivered(ctx, topic, delivery, Answer(outcome.status, outcome.body[:1024].decode("utf-8", "replace")))
    else:
        text = f"The endpoint answered with status {outcome.status}"
        again = outcome.status >= 500 or outcome.status == 429
        _failed(ctx, topic, delivery, Failure(str(outcome.status), text, outcome.status, again))


# outcomes


def _delivered(ctx: Context, topic: Topic | None, delivery: Delivery, answer: Answer) -> None:
    if topic is not None and delivery.type == "Notification":
        meter(ctx, topic, "NumberOfNotificationsDelivered")
        _log(ctx, topic, delivery, answer, "SUCCESS")
    _done(ctx, delivery)


def _failed(ctx: Context, topic: Topic | None, delivery: Delivery, failure: Failure) -> None:
    failures = delivery.failures + 1
    delay_s: float | None = None
    if failure.again:
        web = delivery.subscription.protocol in _WEB
        schedule = _policy(topic, delivery).schedule if web else retries.AWS_MANAGED
        delay_s = schedule.delay_s(failures)
    if delay_s is None:
        _give_up(ctx, topic, replace(delivery, failures=failures), failure)
        return
    due = ctx.now + delay_s
    _keep(ctx, replace(delivery, failures=failures, slot=0.0, due=due))
    ctx.tx.wake(due, "sns.deliver", (delivery.id,))


def _give_up(ctx: Context, topic: Topic | None, delivery: Delivery, failure: Failure) -> None:
    """The subscription's dead-letter queue gets what its endpoint did not."""
    if topic is not None and delivery.type == "Notification":
        meter(ctx, topic, "NumberOfNotificationsFailed")
        _log(
            ctx,
            topic,
            delivery,
            Answer(failure.status, f"ErrorCode={failure.code}, ErrorMessage={failure.message}"),
            "FAILURE",
        )
        queue = dead_letter_queue(delivery.subscription)
        if queue:
            redriven = _redrive(ctx, delivery, queue, failure)
            meter(
                ctx,
                topic,
                "NumberOfNotificationsRedrivenToDlq" if redriven else "NumberOfNotificationsFailedToRedriveToDlq",
            )
    _done(ctx, delivery)


def _redrive(ctx: Context, delivery: Delivery, queue: str, failure: Failure) -> bool:
    try:
        body, given = _content(ctx, delivery)
    except AwsError:
        return False
    attributes: dict[str, Any] = dict(given) if len(given) <= 7 else {}
    for name, value in (("RequestID", ctx.request_id), ("ErrorCode", failure.code), ("ErrorMessage", failure.message)):
        attributes[name] = {"DataType": "String", "StringValue": value or "-"}
    try:
        to_queue(
            ctx, queue, body.decode(), attributes, delivery.subscription.topic_arn, delivery.group,
            delivery.deduplication, delivery.unsigned, lost=True,
        )  # fmt: skip
    except AwsError:
        return False
    return True


def _done(ctx: Context, delivery: Delivery) -> None:
    """The end of a delivery; the next one in its line is due."""
    if not delivery.due:
        return  # delivered at once: it was never written
    ctx.tx.delete(delivery.key)
    if delivery.blob:
        ctx.tx.delete_blob(delivery.blob)
    if delivery.line:
        ctx.tx.delete(delivery.line)
        for place in ctx.tx.scan_keys(delivery.line[:-1], limit=1):
            following = ctx.tx.get_bytes(place)
            if following is not None:
                ctx.tx.wake(ctx.now, "sns.deliver", (following.decode(),))


def _log(ctx: Context, topic: Topic, delivery: Delivery, answer: Answer, status: str) -> None:
    """Write a delivery's status to CloudWatch Logs, where the topic asks for it."""
    protocol = LOGGED.get(delivery.subscription.protocol)
    if protocol is None:
        return
    succeeded = status == "SUCCESS"
    role = topic.attributes.get(f"{protocol}{'Success' if succeeded else 'Failure'}FeedbackRoleArn")
    if role is None:
        return
    rate = int(topic.attributes.get(f"{protocol}SuccessFeedbackSampleRate", 100))
    if succeeded and int(ctx.ids.hex(8), 16) % 100 >= rate:
        return
    notification = {
        "messageId": delivery.message_id,
        "topicArn": topic.arn,
        "timestamp": timestamp(delivery.published).replace("T", " ").removesuffix("Z"),
    }
    if delivery.md5:  # unknown for what was on its way when logging was switched on
        notification["messageMD5Sum"] = delivery.md5
    entry = {
        "notification": notification,
        "delivery": {
            "deliveryId": delivery.id,
            "destination": delivery.subscription.endpoint,
            "providerResponse": answer.response,
            "dwellTimeMs": round((ctx.now - delivery.published) * 1000),
            "attempts": delivery.failures + (1 if succeeded else 0),
            "statusCode": answer.status,
        },
        "status": status,
    }
    group = f"sns/{topic.region}/{topic.account}/{topic.name}{'' if succeeded else '/Failure'}"
    request = {
        "logGroupName": group,
        "logStreamName": topic.id,
        "events": [(ctx.now, _encode(entry).decode())],
    }
    principal = PRINCIPAL if ctx.pipeline.authority is None else role
    with contextlib.suppress(AwsError):  # its role may not write there
        ctx.call("logs", "cumulet:Append", request, principal=principal, region=topic.region, account=topic.account)
