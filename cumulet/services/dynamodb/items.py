"""Operations on one item."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.dynamodb import legacy
from cumulet.services.dynamodb.capacity import Tally, read_units
from cumulet.services.dynamodb.changes import Change, prepare_delete, prepare_put, prepare_update
from cumulet.services.dynamodb.errors import ValidationException
from cumulet.services.dynamodb.expressions.binding import Binding
from cumulet.services.dynamodb.expressions.paths import project
from cumulet.services.dynamodb.layout import item_of, item_raw, item_size, open_table
from cumulet.services.dynamodb.rows import collection_metrics
from cumulet.services.dynamodb.throttle import charge, throttled
from cumulet.services.dynamodb.values import measured

Json = dict[str, Any]
_PROJECTION = ("ProjectionExpression",)


def put_item(ctx: Context, req: Json) -> Json:
    """Create an item, or replace the whole of it, if its condition holds; at most 400 KB.

    Raises: ValidationException, ConditionalCheckFailedException, ResourceNotFoundException,
    ItemCollectionSizeLimitExceededException.
    Source: DynamoDB API_PutItem (read 2026-11).
    """
    if req.get("ReturnValues", "NONE") not in ("NONE", "ALL_OLD"):
        raise ValidationException("ReturnValues can only be ALL_OLD or NONE")
    return _run(ctx, req, prepare_put(ctx, req))


def delete_item(ctx: Context, req: Json) -> Json:
    """Delete an item, if its condition holds; one that is not there is fine.

    Raises: ValidationException, ConditionalCheckFailedException, ResourceNotFoundException.
    Source: DynamoDB API_DeleteItem (read 2026-11).
    """
    if req.get("ReturnValues", "NONE") not in ("NONE", "ALL_OLD"):
        raise ValidationException("ReturnValues can only be ALL_OLD or NONE")
    return _run(ctx, req, prepare_delete(ctx, req))


def update_item(ctx: Context, req: Json) -> Json:
    """Change an item's attributes, or create it, if its condition holds.

    All values are computed from the item as it was before. ReturnValues: NONE, ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATED_NEW.
    Raises: ValidationException, ConditionalCheckFailedException, ResourceNotFoundException,
    ItemCollectionSizeLimitExceededException.
    Source: DynamoDB API_UpdateItem (read 2026-11).
    """
    return _run(ctx, req, prepare_update(ctx, req))


def _run(ctx: Context, req: Json, change: Change) -> Json:
    wanted: str = req.get("ReturnValues", "NONE")
    level: str = req.get("ReturnConsumedCapacity", "NONE")
    old: bytes | None = None
    tallied = level != "NONE" or throttled(change.layout.table)
    if change.needs_old() or wanted != "NONE" or tallied:
        old = ctx.tx.get_bytes(change.key)
        change.check(old, req.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD")
    tally = Tally(change.named)
    new = change.apply(ctx, old, tally)
    charge(ctx, change.layout.table, tally, write=True)
    out: Json = {}
    if wanted != "NONE":
        attributes = _attributes(change, wanted, old, new)
        if attributes:
            out["Attributes"] = attributes
    if level != "NONE":
        out["ConsumedCapacity"] = tally.answer(level)
    if req.get("ReturnItemCollectionMetrics") == "SIZE" and change.layout.tracked:
        out["ItemCollectionMetrics"] = collection_metrics(ctx, change.layout, change.item)
    return out


def _attributes(change: Change, wanted: str, old: bytes | None, new: Json | None) -> Any:
    if wanted == "ALL_OLD":
        return item_raw(old) if old is not None else None
    if wanted == "ALL_NEW":
        return new
    if wanted == "UPDATED_NEW":
        return change.touched(new or {})
    return change.touched(item_of(old)) if old is not None else None


def get_item(ctx: Context, req: Json) -> Json:
    """Read one item by its key; without Item when there is none. Every read is consistent here.

    Raises: ValidationException, ResourceNotFoundException.
    Source: DynamoDB API_GetItem (read 2026-11).
    """
    _, key = measured(req["Key"])
    tree = None
    if "ProjectionExpression" in req or "ExpressionAttributeNames" in req or "AttributesToGet" in req:
        legacy.not_both(req, ("AttributesToGet",), _PROJECTION)
        binding = Binding(req, _PROJECTION)
        if "ProjectionExpression" in req:
            tree = binding.projection(req["ProjectionExpression"])
        elif "AttributesToGet" in req:
            tree = legacy.projection(req["AttributesToGet"])
        binding.finish()
    layout = open_table(ctx, req["TableName"])
    row = ctx.tx.get_bytes(layout.key_of(key))
    out: Json = {}
    if row is not None:
        out["Item"] = item_raw(row) if tree is None else project(item_of(row), tree)
    level = req.get("ReturnConsumedCapacity", "NONE")
    tally = Tally(req["TableName"])
    tally.table = read_units(item_size(row) if row is not None else 0, req.get("ConsistentRead", False))
    charge(ctx, layout.table, tally, write=False)
    if level != "NONE":
        out["ConsumedCapacity"] = tally.answer(level)
    return out
