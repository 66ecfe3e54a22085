"""Finding groups and streams by what requests call them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.logs.errors import InvalidParameterException, no_group, no_stream
from cumulet.services.logs.model import Group, Stream, group_key, stream_key

_ARN = re.compile(r"arn:aws[a-zA-Z-]*:logs:([a-z0-9-]+):(\d{12}):log-group:([^:]+)(?::\*)?")


def group_named(ctx: Context, name: str) -> Group:
    """Raises: ResourceNotFoundException."""
    found = ctx.tx.get(group_key(ctx.account, ctx.region, name), Group)
    if found is None:
        raise no_group()
    return found


def group_of_arn(ctx: Context, arn: str) -> Group:
    """Raises: InvalidParameterException, ResourceNotFoundException."""
    match = _ARN.fullmatch(arn)
    if match is None:
        raise InvalidParameterException(f"Invalid resource ARN: {arn}")
    found = ctx.tx.get(group_key(match[2], match[1], match[3]), Group)
    if found is None:
        raise no_group()
    return found


def group_asked(ctx: Context, req: Mapping[str, Any]) -> Group:
    """The group that logGroupName or logGroupIdentifier (a name or an ARN) names.

    Raises: InvalidParameterException, ResourceNotFoundException.
    """
    if ("logGroupName" in req) == ("logGroupIdentifier" in req):
        raise InvalidParameterException("Either logGroupName or logGroupIdentifier must be specified, but not both.")
    if "logGroupName" in req:
        return group_named(ctx, req["logGroupName"])
    identifier: str = req["logGroupIdentifier"]
    return group_of_arn(ctx, identifier) if identifier.startswith("arn:") else group_named(ctx, identifier)


def stream_named(ctx: Context, group: Group, name: str) -> Stream:
    """Raises: ResourceNotFoundException."""
    found = ctx.tx.get(stream_key(group.id, name), Stream)
    if found is None:
        raise no_stream()
    return found
