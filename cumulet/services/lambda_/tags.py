"""Operations on the tags of functions and event source mappings."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.lambda_.errors import ResourceNotFoundException
from cumulet.services.lambda_.model import Function
from cumulet.services.lambda_.names import ref_of_arn
from cumulet.services.lambda_.sources.model import Mapping, mapping_key
from cumulet.services.lambda_.tagging import check_tags

Json = dict[str, Any]


def list_tags(ctx: Context, req: Json) -> Json:
    """The tags of a function or a mapping. Raises: ResourceNotFoundException. Source: Lambda API_ListTags (read 2026-11)."""
    return {"Tags": dict(_tagged(ctx, req).tags or {})}


def tag_resource(ctx: Context, req: Json) -> Json:
    """Add tags, at most 50.

    Raises: ResourceNotFoundException, InvalidParameterValueException. Source: Lambda API_TagResource (read 2026-11).
    """
    tagged = _tagged(ctx, req)
    ctx.tx.put(tagged.key, replace(tagged, tags=check_tags(tagged.tags or {}, req["Tags"])))
    return {}


def untag_resource(ctx: Context, req: Json) -> Json:
    """Take tags off; keys that are not there are fine.

    Raises: ResourceNotFoundException. Source: Lambda API_UntagResource (read 2026-11).
    """
    tagged = _tagged(ctx, req)
    gone = set(req["TagKeys"])
    ctx.tx.put(tagged.key, replace(tagged, tags={k: v for k, v in (tagged.tags or {}).items() if k not in gone}))
    return {}


def _tagged(ctx: Context, req: Json) -> Function | Mapping:
    arn: str = req["Resource"]
    if ":event-source-mapping:" not in arn:
        return ref_of_arn(arn).function(ctx)
    _, _, _, region, account, _, uuid = arn.split(":")
    mapping = ctx.tx.get(mapping_key(account, region, uuid), Mapping)
    if mapping is None:
        raise ResourceNotFoundException(f"Resource not found: {arn}")
    return mapping
