"""Operations on topics' tags."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.sns import registry
from cumulet.services.sns.api import (
    ListTagsForResourceRequest,
    ListTagsForResourceResult,
    TagResourceRequest,
    UntagResourceRequest,
)
from cumulet.services.sns.errors import NotFound, ResourceNotFound
from cumulet.services.sns.model import Topic
from cumulet.services.sns.tagging import checked

Json = dict[str, Any]


def tag_resource(ctx: Context, req: TagResourceRequest) -> Json:
    """Add tags to a topic, at most 50. Raises: InvalidParameter, ResourceNotFound, TagLimitExceeded.

    Source: SNS API_TagResource (read 2026-11).
    """
    topic = _topic(ctx, req["ResourceArn"])
    registry.save(ctx, topic, tags=checked(topic.tags, req["Tags"]))
    return {}


def untag_resource(ctx: Context, req: UntagResourceRequest) -> Json:
    """Take tags off a topic. Raises: InvalidParameter, ResourceNotFound. Source: SNS API_UntagResource (read 2026-11)."""
    topic = _topic(ctx, req["ResourceArn"])
    left = {key: value for key, value in topic.tags.items() if key not in req["TagKeys"]}
    registry.save(ctx, topic, tags=left)
    return {}


def list_tags_for_resource(ctx: Context, req: ListTagsForResourceRequest) -> ListTagsForResourceResult:
    """A topic's tags. Raises: InvalidParameter, ResourceNotFound. Source: SNS API_ListTagsForResource (read 2026-11)."""
    tags = _topic(ctx, req["ResourceArn"]).tags
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _topic(ctx: Context, arn: str) -> Topic:
    try:
        return registry.topic_named(ctx, arn, "ResourceArn")
    except NotFound as error:
        raise ResourceNotFound("Resource does not exist") from error
