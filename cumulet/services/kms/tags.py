"""Operations on the tags of keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.kms.lookup import key_itself, living, own, page
from cumulet.services.kms.making import changed
from cumulet.services.kms.tagging import tagged

Json = dict[str, Any]


def tag_resource(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Add tags to a key, 50 at most.

    Raises: NotFoundException, KMSInvalidStateException, TagException, LimitExceededException. Source: KMS API_TagResource.
    """
    key = living(own(ctx, key_itself(ctx, req["KeyId"]), "TagResource"))
    changed(ctx, key, tags=tagged(key.tags, req["Tags"]))
    return {}


def untag_resource(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Take tags off a key. Raises: NotFoundException, KMSInvalidStateException. Source: KMS API_UntagResource."""
    key = living(own(ctx, key_itself(ctx, req["KeyId"]), "UntagResource"))
    changed(ctx, key, tags={name: value for name, value in key.tags.items() if name not in req["TagKeys"]})
    return {}


def list_resource_tags(ctx: Context, req: Mapping[str, Any]) -> Json:
    """A key's tags. Raises: NotFoundException, InvalidMarkerException. Source: KMS API_ListResourceTags."""
    key = key_itself(ctx, req["KeyId"])
    return page(req, "Tags", sorted((n, {"TagKey": n, "TagValue": v}) for n, v in key.tags.items()), dict, 50)
