"""Operations on topics and their access policies."""

from __future__ import annotations

import re
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.sns import access, registry, settings
from cumulet.services.sns.api import (
    AddPermissionRequest,
    CreateTopicRequest,
    CreateTopicResult,
    DeleteTopicRequest,
    GetTopicAttributesRequest,
    GetTopicAttributesResult,
    ListTopicsRequest,
    ListTopicsResult,
    RemovePermissionRequest,
    SetTopicAttributesRequest,
)
from cumulet.services.sns.errors import InvalidParameter, NotFound, TopicLimitExceeded, unsupported
from cumulet.services.sns.model import Topic, count_key, topic_key, topics_in
from cumulet.services.sns.paging import page
from cumulet.services.sns.tagging import checked

Json = dict[str, Any]

MAX_STANDARD = 100_000
MAX_FIFO = 1_000
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,256}")
_FIFO_NAME = re.compile(r"[a-zA-Z0-9_-]{1,251}\.fifo")


def create_topic(ctx: Context, req: CreateTopicRequest) -> CreateTopicResult:
    """Make a topic; the name of an existing one with the same attributes and tags gives that one's ARN.

    Limits: 100,000 standard and 1,000 FIFO topics an account and region.
    Raises: InvalidParameter, TopicLimitExceeded, TagLimitExceeded; NotImplemented for ArchivePolicy and data
    protection policies.
    Source: SNS API_CreateTopic; quotas page (read 2026-11).
    """
    name, given = req["Name"], dict(req.get("Attributes", {}))
    if req.get("DataProtectionPolicy"):
        raise unsupported("DataProtectionPolicy")
    fifo = settings.boolean("FifoTopic", given.pop("FifoTopic", "false")) == "true"
    _check_name(name, fifo)
    tags = checked({}, req.get("Tags", ()))
    found = ctx.tx.get(topic_key(ctx.account, ctx.region, name), Topic)
    new = Topic(account=ctx.account, region=ctx.region, name=name, id=ctx.ids.uuid(), stamp="", fifo=fifo, tags=tags)
    topic = new
    for attribute, value in given.items():
        try:
            topic = _with_attribute(topic, attribute, value)
        except InvalidParameter as error:
            raise error.within(attribute) from error
    if found is not None:
        return {"TopicArn": _same(found, topic, given, "Tags" in req)}
    count = ctx.tx.add(count_key(ctx.account, ctx.region, "fifo" if fifo else "standard"))
    if count > (MAX_FIFO if fifo else MAX_STANDARD):
        raise TopicLimitExceeded("Topic limit exceeded")
    return {"TopicArn": registry.save(ctx, topic).arn}


def _check_name(name: str, fifo: bool) -> None:
    if fifo and not _FIFO_NAME.fullmatch(name):
        raise InvalidParameter.of(
            "Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII letters, numbers, "
            "underscores, and hyphens, and must be between 1 and 256 characters long."
        )
    if not fifo and not _NAME.fullmatch(name):
        raise InvalidParameter.of("Topic Name")


def _with_attribute(topic: Topic, name: str, value: str) -> Topic:
    kept = settings.topic_attribute(topic, name, value)
    if name == "Policy":
        return replace(topic, policy=kept)
    attributes = {**topic.attributes, name: kept}
    if not kept:
        del attributes[name]
    return replace(topic, attributes=attributes)


def _same(found: Topic, wanted: Topic, given: dict[str, str], tagged: bool) -> str:
    """An existing topic's ARN. Raises: InvalidParameter where it differs from what is asked for."""
    now, then = settings.shown_topic(found), settings.shown_topic(wanted)
    if found.fifo != wanted.fifo or any(now.get(name, "") != then.get(name, "") for name in given):
        raise InvalidParameter.of("Attributes Reason: Topic already exists with different attributes")
    if tagged and found.tags != wanted.tags:
        raise InvalidParameter.of("Tags Reason: Topic already exists with different tags")
    return found.arn


def delete_topic(ctx: Context, req: DeleteTopicRequest) -> Json:
    """Delete a topic with its subscriptions; one that is not there is fine. Messages on their way may be lost.

    Raises: InvalidParameter. Source: SNS API_DeleteTopic (read 2026-11).
    """
    topic = registry.topic_at(ctx, registry.topic_place(ctx, req["TopicArn"]))
    if topic is not None:
        registry.remove_topic(ctx, topic)
    return {}


def list_topics(ctx: Context, req: ListTopicsRequest) -> ListTopicsResult:
    """The account's topics, a hundred a page. Raises: InvalidParameter. Source: SNS API_ListTopics (read 2026-11)."""
    prefix = topics_in(ctx.account, ctx.region)
    shown, token = page(
        req,
        prefix,
        lambda start, limit: ctx.tx.scan(prefix, Topic, start=start, limit=limit),
        lambda topic: {"TopicArn": topic.arn},
    )
    result: Json = {"Topics": shown}
    if token is not None:
        result["NextToken"] = token
    return result  # type: ignore[return-value]


def get_topic_attributes(ctx: Context, req: GetTopicAttributesRequest) -> GetTopicAttributesResult:
    """A topic's attributes, with counts of its subscriptions and the delivery policy that holds.

    Raises: InvalidParameter, NotFound. Source: SNS API_GetTopicAttributes (read 2026-11).
    """
    return {"Attributes": settings.shown_topic(registry.topic_named(ctx, req["TopicArn"]))}


def set_topic_attributes(ctx: Context, req: SetTopicAttributesRequest) -> Json:
    """Set one attribute of a topic; an empty value takes it away.

    Raises: InvalidParameter, NotFound; NotImplemented for ArchivePolicy and feedback of protocols not there.
    Source: SNS API_SetTopicAttributes (read 2026-11).
    """
    topic = registry.topic_named(ctx, req["TopicArn"])
    name, value = req["AttributeName"], req.get("AttributeValue", "")
    if name == "FifoTopic":
        raise InvalidParameter.of("AttributeName")
    changed = _with_attribute(topic, name, value)
    if name == "MaximumMessageSize":
        settings.check_large(ctx, topic, value)
    registry.save(ctx, changed)
    return {}


def add_permission(ctx: Context, req: AddPermissionRequest) -> Json:
    """Add a statement to a topic's policy that lets accounts use actions.

    Raises: InvalidParameter, NotFound. Source: SNS API_AddPermission (read 2026-11).
    """
    topic = registry.topic_named(ctx, req["TopicArn"])
    policy = access.with_statement(topic, req["Label"], req["AWSAccountId"], req["ActionName"])
    registry.save(ctx, topic, policy=policy)
    return {}


def remove_permission(ctx: Context, req: RemovePermissionRequest) -> Json:
    """Take a statement out of a topic's policy.

    Raises: InvalidParameter, NotFound. Source: SNS API_RemovePermission (read 2026-11).
    """
    topic = registry.topic_named(ctx, req["TopicArn"])
    policy = access.without_statement(topic, req["Label"])
    if policy is None:
        raise NotFound("No statement with that label")
    registry.save(ctx, topic, policy=policy)
    return {}
