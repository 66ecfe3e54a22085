"""Query and Scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.dynamodb import keys, legacy
from cumulet.services.dynamodb.errors import ValidationException
from cumulet.services.dynamodb.expressions.binding import Binding
from cumulet.services.dynamodb.expressions.paths import Tree
from cumulet.services.dynamodb.keyranges import key_range, legacy_key_range
from cumulet.services.dynamodb.layout import open_table
from cumulet.services.dynamodb.metering import count_returned
from cumulet.services.dynamodb.model import Item
from cumulet.services.dynamodb.reads import answer, begin_after, index_of, inside, reading, start_row
from cumulet.services.dynamodb.throttle import charge
from cumulet.services.dynamodb.values import measured

Json = dict[str, Any]


def query(ctx: Context, req: Json) -> Json:
    """Read the items of one partition key, in the order of the sort key, from a table or an index.

    A page ends at Limit items or 1 MB; LastEvaluatedKey then says where to go on.
    Raises: ValidationException, ResourceNotFoundException.
    Source: DynamoDB API_Query (read 2026-11).
    """
    expressions = ("KeyConditionExpression", "FilterExpression", "ProjectionExpression")
    legacy.not_both(req, ("AttributesToGet", "QueryFilter", "ConditionalOperator", "KeyConditions"), expressions)
    start = _start_key(req)
    binding = Binding(req, expressions, ("FilterExpression", "KeyConditionExpression"))
    if "KeyConditionExpression" not in req and "KeyConditions" not in req:
        raise ValidationException(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
        )
    conditions = binding.key_conditions(req["KeyConditionExpression"]) if "KeyConditionExpression" in req else None
    keep, heads = _filter(req, binding, "QueryFilter")
    tree = _projection(req, binding)
    binding.finish()
    _check_select(req, tree)
    layout = open_table(ctx, req["TableName"])
    index = index_of(layout, req)
    if conditions is not None:
        low, high = key_range(layout, index, conditions, binding.values)
    else:
        low, high = legacy_key_range(layout, index, req["KeyConditions"])
    pk, sk = (index.index.pk, index.index.sk) if index is not None else (layout.pk, layout.sk)
    for name in sorted(heads):
        if name in (pk, sk):
            raise ValidationException(
                f"Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}"
            )
    read = reading(req, layout, index, low, high, keep, tree)
    read.reverse = not req.get("ScanIndexForward", True)
    if start is not None:
        at = start_row(layout, index, start)
        if not low <= at < high:
            prefix = layout.prefix if index is None else index.prefix
            raise ValidationException(
                "The provided starting key does not match the range key predicate"
                if keys.same_partition(at, low, prefix)
                else "The provided starting key is outside query boundaries based on provided conditions"
            )
        begin_after(read, at)
    out = answer(ctx, req, read)
    assert read.tally is not None
    charge(ctx, layout.table, read.tally, write=False)
    count_returned(ctx, layout.table, "Query", out["Count"])
    return out


def scan(ctx: Context, req: Json) -> Json:
    """Read all items of a table or an index, or one of TotalSegments parts of them, in the order of a hash.

    A page ends at Limit items or 1 MB; LastEvaluatedKey then says where to go on.
    Raises: ValidationException, ResourceNotFoundException.
    Source: DynamoDB API_Scan (read 2026-11).
    """
    expressions = ("FilterExpression", "ProjectionExpression")
    legacy.not_both(req, ("AttributesToGet", "ScanFilter", "ConditionalOperator"), expressions)
    start = _start_key(req)
    binding = Binding(req, expressions, ("FilterExpression",))
    keep, _ = _filter(req, binding, "ScanFilter")
    tree = _projection(req, binding)
    binding.finish()
    _check_select(req, tree)
    segment = _segment(req)
    layout = open_table(ctx, req["TableName"])
    index = index_of(layout, req)
    prefix = layout.prefix if index is None else index.prefix
    low, high = prefix, prefix + b"\xff"
    if segment is not None:
        first, last = segment
        low = prefix + keys.BUCKETS[keys.bucket_number(first)]
        high = prefix + keys.BUCKETS[keys.bucket_number(last - 1)] + b"\xff" if first < last else low
    read = reading(req, layout, index, low, high, keep, tree)
    read.segment = segment
    if start is not None:
        at = start_row(layout, index, start)
        if not low <= at < high or not inside(at, prefix, segment):
            raise ValidationException(
                "The provided starting key is outside query boundaries based on provided conditions"
                if segment is None
                else "The provided Segment does not contain the exclusive start key"
            )
        begin_after(read, at)
    out = answer(ctx, req, read)
    assert read.tally is not None
    charge(ctx, layout.table, read.tally, write=False)
    count_returned(ctx, layout.table, "Scan", out["Count"])
    return out


# what the request says


def _start_key(req: Json) -> Item | None:
    if "ExclusiveStartKey" not in req:
        return None
    try:
        return measured(req["ExclusiveStartKey"])[1]
    except ValidationException as error:
        raise ValidationException(f"The provided starting key is invalid: {error.message}") from error


def _filter(req: Json, binding: Binding, old: str) -> tuple[Callable[[Item], bool] | None, frozenset[str]]:
    if "FilterExpression" in req:
        condition = binding.condition("FilterExpression", req["FilterExpression"])
        test, values = condition.test, binding.values
        return lambda item: test(item, values), condition.heads
    if req.get(old):
        heads = frozenset(req[old]) if old == "QueryFilter" else frozenset()
        return legacy.filtering(req, old), heads
    return None, frozenset()


def _projection(req: Json, binding: Binding) -> Tree | None:
    if "ProjectionExpression" in req:
        return binding.projection(req["ProjectionExpression"])
    return legacy.projection(req["AttributesToGet"]) if "AttributesToGet" in req else None


def _check_select(req: Json, tree: Tree | None) -> None:
    select = req.get("Select")
    member = "ProjectionExpression" if "ProjectionExpression" in req else "AttributesToGet"
    if tree is not None and select is not None and select != "SPECIFIC_ATTRIBUTES":
        words = "only the Count" if select == "COUNT" else select
        raise ValidationException(f"Cannot specify the {member} when choosing to get {words}")
    if select == "SPECIFIC_ATTRIBUTES" and tree is None:
        raise ValidationException(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
        )
    if select == "ALL_PROJECTED_ATTRIBUTES" and "IndexName" not in req:
        raise ValidationException("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")


def _segment(req: Json) -> tuple[int, int] | None:
    """The half-open range of hashes of a segment."""
    if "Segment" not in req and "TotalSegments" not in req:
        return None
    if "TotalSegments" not in req:
        raise ValidationException(
            "The TotalSegments parameter is required but was not present in the request when Segment "
            "parameter is present"
        )
    if "Segment" not in req:
        raise ValidationException(
            "The Segment parameter is required but was not present in the request when parameter "
            "TotalSegments is present"
        )
    segment, total = req["Segment"], req["TotalSegments"]
    if segment >= total:
        raise ValidationException(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            f"Segment: {segment} is not less than TotalSegments: {total}"
        )
    first, last = segment * keys.HASHES // total, (segment + 1) * keys.HASHES // total
    return first, max(first, last)
