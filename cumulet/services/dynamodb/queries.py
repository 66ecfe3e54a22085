"""Query and Scan: ranges of rows, in pages of at most 1 MB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.dynamodb import keys, legacy
from cumulet.services.dynamodb.capacity import Tally, read_units
from cumulet.services.dynamodb.errors import ValidationException, invalid
from cumulet.services.dynamodb.expressions.binding import Binding
from cumulet.services.dynamodb.expressions.paths import Tree, project
from cumulet.services.dynamodb.keyranges import key_range, legacy_key_range
from cumulet.services.dynamodb.layout import IndexLayout, Layout, item_of, item_raw, item_size, open_table
from cumulet.services.dynamodb.model import Item
from cumulet.services.dynamodb.values import measured

Json = dict[str, Any]
PAGE_BYTES = 1024 * 1024
_SKIP_BYTES = 16 * 1024 * 1024  # what a segment's scan reads of other segments' rows before it ends its page


@dataclass(slots=True)
class _Read:
    """What to read and what to answer."""

    layout: Layout
    index: IndexLayout | None
    low: bytes
    high: bytes
    keep: Callable[[Item], bool] | None
    tree: Tree | None
    fetch: bool = False  # read the whole items of a local index's rows
    count_only: bool = False
    reverse: bool = False
    segment: tuple[int, int] | None = None
    limit: int | None = None
    consistent: bool = False
    items: list[Any] = field(default_factory=list)


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
    index = _index(layout, req)
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
    read = _reading(req, layout, index, low, high, keep, tree)
    read.reverse = not req.get("ScanIndexForward", True)
    if start is not None:
        at = _start_row(layout, index, start)
        if not low <= at < high:
            raise ValidationException(
                "The provided starting key is outside query boundaries based on provided conditions"
            )
        _begin_after(read, at)
    return _answer(ctx, req, read)


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
    index = _index(layout, req)
    prefix = layout.prefix if index is None else index.prefix
    low, high = prefix, prefix + b"\xff"
    if segment is not None:
        first, last = segment
        low = prefix + keys.BUCKETS[keys.bucket_number(first)]
        high = prefix + keys.BUCKETS[keys.bucket_number(last - 1)] + b"\xff" if first < last else low
    read = _reading(req, layout, index, low, high, keep, tree)
    read.segment = segment
    if start is not None:
        at = _start_row(layout, index, start)
        if not low <= at < high or not _inside(at, prefix, segment):
            raise ValidationException(
                "The provided starting key is outside query boundaries based on provided conditions"
                if segment is None
                else "The provided Segment does not contain the exclusive start key"
            )
        _begin_after(read, at)
    return _answer(ctx, req, read)


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


def _index(layout: Layout, req: Json) -> IndexLayout | None:
    if "IndexName" not in req:
        return None
    index = layout.index(req["IndexName"])
    name = req["IndexName"]
    if not index.index.local:
        if req.get("ConsistentRead"):
            raise ValidationException("Consistent reads are not supported on global secondary indexes")
        if index.index.status == "CREATING":
            raise ValidationException(f"Cannot read from backfilling global secondary index: {name}")
        if req.get("Select") == "ALL_ATTRIBUTES" and index.kept is not None:
            raise invalid(
                f"Select type ALL_ATTRIBUTES is not supported for global secondary index {name} "
                "because its projection type is not ALL"
            )
    return index


def _reading(
    req: Json,
    layout: Layout,
    index: IndexLayout | None,
    low: bytes,
    high: bytes,
    keep: Callable[[Item], bool] | None,
    tree: Tree | None,
) -> _Read:
    fetch = False
    if index is not None and index.kept is not None:
        missing = [name for name in tree or () if name not in index.kept]
        if not index.index.local and missing:
            raise invalid(f"Global secondary index {index.index.name} does not project [{', '.join(missing)}]")
        fetch = index.index.local and (bool(missing) or req.get("Select") == "ALL_ATTRIBUTES")
    return _Read(
        layout,
        index,
        low,
        high,
        keep,
        tree,
        fetch,
        req.get("Select") == "COUNT",
        limit=req.get("Limit"),
        consistent=req.get("ConsistentRead", False),
    )


def _start_row(layout: Layout, index: IndexLayout | None, start: Item) -> bytes:
    """The row key of an ExclusiveStartKey. Raises: ValidationException."""
    names = set(layout.key_names)
    if index is not None:
        names |= {index.index.pk} | ({index.index.sk} if index.index.sk else set())
    if set(start) != names:
        raise ValidationException(
            "The provided starting key is invalid"
            if index is not None or len(start) == len(names)
            else "Exclusive Start Key must have same size as table's key schema"
        )
    if any(next(iter(value)) != layout.table.attributes[name] for name, value in start.items()):
        raise ValidationException(
            "The provided starting key is invalid: The provided key element does not match the schema"
        )
    suffix = layout.item_suffix(start)
    if index is None:
        return layout.item_key(start)
    row = index.row_key(start, suffix)
    assert row is not None
    return row


def _begin_after(read: _Read, at: bytes) -> None:
    if read.reverse:
        read.high = at
    else:
        read.low = at + b"\x00"


# reading


def _inside(row_key: bytes, prefix: bytes, segment: tuple[int, int] | None) -> bool:
    """Whether a row belongs to a segment."""
    if segment is None:
        return True
    start = len(prefix) + 2
    end = row_key.index(b"\x00", start + 1)
    while row_key[end + 1 : end + 2] == b"\xff":
        end = row_key.index(b"\x00", end + 1)
    return segment[0] <= keys.hash_of(row_key[start : end + 1]) < segment[1]


def _rows(ctx: Context, read: _Read) -> Iterator[tuple[bytes, bytes]]:
    limit = None if read.limit is None or read.segment is not None else read.limit
    return ctx.tx.scan_bytes(read.low, read.high, limit=limit, reverse=read.reverse)


def _answer(ctx: Context, req: Json, read: _Read) -> Json:
    plain = read.keep is None and read.tree is None and not read.fetch
    prefix = read.layout.prefix if read.index is None else read.index.prefix
    size = skipped = scanned = count = 0
    fetched = 0.0
    last: bytes | None = None
    stopped = False
    for key, row in _rows(ctx, read):
        if read.segment is not None and not _inside(key, prefix, read.segment):
            skipped += len(row)
            if skipped > _SKIP_BYTES:
                last, stopped = row, True
                break
            continue
        row_size = item_size(row)
        if size + row_size > PAGE_BYTES and scanned:
            stopped = True
            break
        size += row_size
        scanned += 1
        last = row
        if plain:
            count += 1
            if not read.count_only:
                read.items.append(item_raw(row))
        else:
            item = item_of(row)
            if read.fetch:
                item, units = _fetched(ctx, read, item)
                fetched += units
            if read.keep is None or read.keep(item):
                count += 1
                if not read.count_only:
                    read.items.append(item if read.tree is None else project(item, read.tree))
        if scanned == read.limit:
            stopped = True
            break
    out: Json = {} if read.count_only else {"Items": read.items}
    out["Count"] = count
    out["ScannedCount"] = scanned
    if stopped and last is not None:
        out["LastEvaluatedKey"] = _last_key(read, item_of(last))
    level = req.get("ReturnConsumedCapacity", "NONE")
    if level != "NONE":
        out["ConsumedCapacity"] = _consumed(read, size, fetched).answer(level)
    return out


def _fetched(ctx: Context, read: _Read, row: Item) -> tuple[Item, float]:
    whole = ctx.tx.get_bytes(read.layout.item_key(row))
    assert whole is not None, "a local index has a row for an item that is not there"
    return item_of(whole), read_units(item_size(whole), read.consistent)


def _last_key(read: _Read, item: Item) -> Item:
    out: Item = {}
    if read.index is not None:
        out[read.index.index.pk] = item[read.index.index.pk]
        if read.index.index.sk:
            out[read.index.index.sk] = item[read.index.index.sk]
    return {**read.layout.key_item(item), **out}


def _consumed(read: _Read, size: int, fetched: float) -> Tally:
    tally = Tally(read.layout.table.name)
    units = read_units(size, read.consistent)
    if read.index is None:
        tally.table = units
    else:
        tally.table = fetched
        tally.add_index(read.index.index.name, read.index.index.local, units)
    return tally
