"""Operations on log groups' tags, in the old form (by name) and the new one (by ARN)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.logs.lookup import group_named, group_of_arn
from cumulet.services.logs.model import Group
from cumulet.services.logs.tagging import checked_tags

if TYPE_CHECKING:
    from cumulet.services.logs import api


def tag_resource(ctx: Context, req: api.TagResourceRequest) -> api.TagResourceResult:
    """Add tags to a log group, at most 50.

    Raises: ResourceNotFoundException, InvalidParameterException, TooManyTagsException.
    Source: CloudWatch Logs API_TagResource (read 2026-11).
    """
    _tag(ctx, group_of_arn(ctx, req["resourceArn"]), req["tags"])
    return {}


def untag_resource(ctx: Context, req: api.UntagResourceRequest) -> api.UntagResourceResult:
    """Take tags off a log group. Raises: ResourceNotFoundException. Source: CloudWatch Logs API_UntagResource."""
    _untag(ctx, group_of_arn(ctx, req["resourceArn"]), req["tagKeys"])
    return {}


def list_tags_for_resource(ctx: Context, req: api.ListTagsForResourceRequest) -> api.ListTagsForResourceResult:
    """A log group's tags. Raises: ResourceNotFoundException. Source: CloudWatch Logs API_ListTagsForResource."""
    return {"tags": dict(group_of_arn(ctx, req["resourceArn"]).tags or {})}


def tag_log_group(ctx: Context, req: api.TagLogGroupRequest) -> api.TagLogGroupResult:
    """As TagResource, by name. Raises: ResourceNotFoundException. Source: CloudWatch Logs API_TagLogGroup."""
    _tag(ctx, group_named(ctx, req["logGroupName"]), req["tags"])
    return {}


def untag_log_group(ctx: Context, req: api.UntagLogGroupRequest) -> api.UntagLogGroupResult:
    """As UntagResource, by name. Raises: ResourceNotFoundException. Source: CloudWatch Logs API_UntagLogGroup."""
    _untag(ctx, group_named(ctx, req["logGroupName"]), req["tags"])
    return {}


def list_tags_log_group(ctx: Context, req: api.ListTagsLogGroupRequest) -> api.ListTagsLogGroupResult:
    """As ListTagsForResource, by name. Raises: ResourceNotFoundException. Source: CloudWatch Logs API_ListTagsLogGroup."""
    return {"tags": dict(group_named(ctx, req["logGroupName"]).tags or {})}


def _tag(ctx: Context, group: Group, tags: dict[str, str]) -> None:
    ctx.tx.put(group.key, replace(group, tags=checked_tags(group.tags or {}, tags)))


def _untag(ctx: Context, group: Group, keys: list[str]) -> None:
    left = {key: value for key, value in (group.tags or {}).items() if key not in keys}
    ctx.tx.put(group.key, replace(group, tags=left or None))
