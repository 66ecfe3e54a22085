"""Operations on the tags of parameters; other resources of Systems Manager are not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.ssm.errors import InvalidResourceId, ParameterNotFound
from cumulet.services.ssm.lookup import parameter_named
from cumulet.services.ssm.model import Parameter
from cumulet.services.ssm.tagging import tagged

Json = dict[str, Any]


def _parameter(ctx: Context, req: Mapping[str, Any]) -> Parameter:
    if req["ResourceType"] != "Parameter":
        raise NotImplementedOnCumulet(
            f"Tags of Systems Manager's {req['ResourceType']} are not implemented by Cumulet."
        )
    try:
        return parameter_named(ctx, req["ResourceId"])
    except ParameterNotFound as error:
        raise InvalidResourceId(
            "The resource ID is not valid. Verify that you entered the correct ID and try again."
        ) from error


def add_tags_to_resource(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Add tags to a parameter, 50 at most.

    Raises: InvalidResourceId, TooManyTagsError, ValidationException. Source: Systems Manager API_AddTagsToResource (read 2026-11).
    """
    parameter = _parameter(ctx, req)
    ctx.tx.put(parameter.key, replace(parameter, tags=tagged(parameter.tags, req["Tags"])))
    return {}


def remove_tags_from_resource(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Take tags off a parameter. Raises: InvalidResourceId. Source: Systems Manager API_RemoveTagsFromResource (read 2026-11)."""
    parameter = _parameter(ctx, req)
    left = {name: value for name, value in parameter.tags.items() if name not in req["TagKeys"]}
    ctx.tx.put(parameter.key, replace(parameter, tags=left))
    return {}


def list_tags_for_resource(ctx: Context, req: Mapping[str, Any]) -> Json:
    """A parameter's tags. Raises: InvalidResourceId. Source: Systems Manager API_ListTagsForResource (read 2026-11)."""
    return {"TagList": [{"Key": name, "Value": value} for name, value in _parameter(ctx, req).tags.items()]}
