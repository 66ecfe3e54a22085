"""Operations on what belongs to a table: tags and time to live; and the account's limits."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.dynamodb.errors import (
    ResourceInUseException,
    ResourceNotFoundException,
    ValidationException,
)
from cumulet.services.dynamodb.layout import find_layout
from cumulet.services.dynamodb.model import Table
from cumulet.services.dynamodb.quotas import ACCOUNT_UNITS, MAX_UNITS
from cumulet.services.dynamodb.schema import tags_of

Json = dict[str, Any]
_TTL_CHANGES_S = 3600.0
_TTL_CHANGED = "Time to live has been modified multiple times within a fixed interval"


# tags


def _existing(ctx: Context, name: str) -> Table:
    layout = find_layout(ctx, name)
    if layout is None:
        raise ResourceNotFoundException(f"Requested resource not found: Table: {name} not found")
    return layout.table


def _tagged(ctx: Context, arn: str) -> Table:
    if not arn.startswith("arn:"):
        raise ValidationException("Invalid TableArn")
    layout = find_layout(ctx, arn)
    if layout is None:
        raise ResourceNotFoundException(f"Requested resource not found: ResourcArn: {arn} not found")
    return layout.table


def tag_resource(ctx: Context, req: Json) -> Json:
    """Add tags to a table or overwrite them; at most 50.

    Raises: ResourceNotFoundException, ValidationException.
    Source: DynamoDB API_TagResource (read 2026-11).
    """
    table = _tagged(ctx, req["ResourceArn"])
    ctx.tx.put(table.key, replace(table, tags=tags_of(table.tags, req["Tags"])))
    return {}


def untag_resource(ctx: Context, req: Json) -> Json:
    """Remove tags from a table.

    Raises: ResourceNotFoundException.
    Source: DynamoDB API_UntagResource (read 2026-11).
    """
    table = _tagged(ctx, req["ResourceArn"])
    gone = set(req["TagKeys"])
    ctx.tx.put(table.key, replace(table, tags={key: value for key, value in table.tags.items() if key not in gone}))
    return {}


def list_tags_of_resource(ctx: Context, req: Json) -> Json:
    """A table's tags, all at once.

    Raises: ResourceNotFoundException, ValidationException.
    Source: DynamoDB API_ListTagsOfResource (read 2026-11).
    """
    if "NextToken" in req:  # none was given out
        raise ValidationException("Invalid NextToken")
    return {"Tags": [{"Key": key, "Value": value} for key, value in _tagged(ctx, req["ResourceArn"]).tags.items()]}


# account and endpoint


def describe_limits(ctx: Context, req: Json) -> Json:
    """The default quotas: of a table or an index, and of all that an account has in a region.

    Source: DynamoDB API_DescribeLimits; developer guide, "Quotas" (read 2026-11).
    """
    return {"AccountMaxReadCapacityUnits": ACCOUNT_UNITS, "AccountMaxWriteCapacityUnits": ACCOUNT_UNITS,
            "TableMaxReadCapacityUnits": MAX_UNITS, "TableMaxWriteCapacityUnits": MAX_UNITS}  # fmt: skip


def describe_endpoints(ctx: Context, req: Json) -> Json:
    """Where clients with endpoint discovery go: here.

    Source: DynamoDB API_DescribeEndpoints (read 2026-11).
    """
    return {"Endpoints": [{"Address": ctx.endpoint.partition("://")[2], "CachePeriodInMinutes": 1440}]}


# time to live


def update_time_to_live(ctx: Context, req: Json) -> Json:
    """Name the attribute that holds items' expiry in epoch seconds, or switch expiry off. Items that are there are entered
    by a timer, some at a time; expired ones go within seconds. It is changed once an hour.

    Raises: ValidationException, ResourceNotFoundException, ResourceInUseException.
    Source: DynamoDB API_UpdateTimeToLive (read 2026-11).
    """
    table = _existing(ctx, req["TableName"])
    if table.status not in (
        "ACTIVE",
        "CREATING",
    ):  # CREATING, unlike AWS, so that a template's table has it from the start
        raise ResourceInUseException(f"Attempt to change a resource which is still in use: {table.name}")
    spec = req["TimeToLiveSpecification"]
    name = spec["AttributeName"]
    lately = table.ttl_changed_at and ctx.now < table.ttl_changed_at + _TTL_CHANGES_S
    if table.ttl_attribute and table.ttl_attribute != name:
        raise ValidationException(
            f"TimeToLive is active on a different AttributeName: current AttributeName is {table.ttl_attribute}"
        )
    if spec["Enabled"]:
        if table.ttl_attribute:
            raise ValidationException("TimeToLive is already enabled")
        if lately:
            raise ValidationException(_TTL_CHANGED)
        changed = replace(table, ttl_attribute=name, ttl_changed_at=ctx.now)
        ctx.tx.wake(ctx.now, "dynamodb.enter", (table.account, table.region, table.name, table.number, b""))
    else:
        if not table.ttl_attribute:
            raise ValidationException("TimeToLive is already disabled")
        if lately:
            raise ValidationException(_TTL_CHANGED)
        changed = replace(table, ttl_attribute="", ttl_changed_at=ctx.now)
    ctx.tx.put(changed.key, changed)
    return {"TimeToLiveSpecification": {"Enabled": spec["Enabled"], "AttributeName": name}}


def describe_time_to_live(ctx: Context, req: Json) -> Json:
    """Whether items expire, and by which attribute.

    Raises: ResourceNotFoundException.
    Source: DynamoDB API_DescribeTimeToLive (read 2026-11).
    """
    table = _existing(ctx, req["TableName"])
    if not table.ttl_attribute:
        return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
    return {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": table.ttl_attribute}}
