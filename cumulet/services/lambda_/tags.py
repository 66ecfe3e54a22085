"""Operations on functions' tags."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.lambda_.model import Function
from cumulet.services.lambda_.names import ref_of_arn
from cumulet.services.lambda_.tagging import check_tags

Json = dict[str, Any]


def list_tags(ctx: Context, req: Json) -> Json:
    """A function's tags. Raises: ResourceNotFoundException. Source: Lambda API_ListTags (read 2026-11)."""
    return {"Tags": dict(_function(ctx, req).tags or {})}


def tag_resource(ctx: Context, req: Json) -> Json:
    """Add tags to a function, at most 50.

    Raises: ResourceNotFoundException, InvalidParameterValueException. Source: Lambda API_TagResource (read 2026-11).
    """
    function = _function(ctx, req)
    ctx.tx.put(function.key, replace(function, tags=check_tags(function.tags or {}, req["Tags"])))
    return {}


def untag_resource(ctx: Context, req: Json) -> Json:
    """Take tags off a function; keys that are not there are fine.

    Raises: ResourceNotFoundException. Source: Lambda API_UntagResource (read 2026-11).
    """
    function = _function(ctx, req)
    gone = set(req["TagKeys"])
    ctx.tx.put(function.key, replace(function, tags={k: v for k, v in (function.tags or {}).items() if k not in gone}))
    return {}


def _function(ctx: Context, req: Json) -> Function:
    return ref_of_arn(req["Resource"]).function(ctx)
