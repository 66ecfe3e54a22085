"""Reading ranges of rows, in pages of at most 1 MB: what Query, Scan and PartiQL's SELECT have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.dynamodb import keys
from cumulet.services.dynamodb.capacity import Tally, read_units
from cumulet.services.dynamodb.errors import ValidationException, invalid
from cumulet.services.dynamodb.expressions.paths import Tree, project
from cumulet.services.dynamodb.layout import IndexLayout, Layout, item_of, item_raw, item_size
from cumulet.services.dynamodb.model import Item

Json = dict[str, Any]
PAGE_BYTES = 1024 * 1024
_SKIP_BYTES = 16 * 1024 * 1024  # what a segment's scan reads of other segments' rows before it ends its page


@dataclass(slots=True)
class Read:
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
    tally: Tally | None = None  # what it consumed, once it is answered


def index_of(layout: Layout, req: Json) -> IndexLayout | None:
    """The index that a request names. Raises: ValidationException."""
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


def reading(
    req: Json,
    layout: Layout,
    index: IndexLayout | None,
    low: bytes,
    high: bytes,
    keep: Callable[[Item], bool] | None,
    tree: Tree | None,
) -> Read:
    """What a request reads between two row keys. Raises: ValidationException."""
    fetch = False
    if index is not None and index.kept is not None:
        missing = [name for name in tree or () if name not in index.kept]
        if not index.index.local and missing:
            raise invalid(f"Global secondary index {index.index.name} does not project [{', '.join(missing)}]")
        fetch = index.index.local and (bool(missing) or req.get("Select") == "ALL_ATTRIBUTES")
    return Read(
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


def start_row(layout: Layout, index: IndexLayout | None, start: Item) -> bytes:
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
    if row is None:  # empty or too long
        raise ValidationException("The provided starting key is invalid")
    return row


def begin_after(read: Read, at: bytes) -> None:
    """Go on behind a row."""
    if read.reverse:
        read.high = at
    else:
        read.low = at + b"\x00"


# reading


def inside(row_key: bytes, prefix: bytes, segment: tuple[int, int] | None) -> bool:
    """Whether a row belongs to a segment."""
    if segment is None:
        return True
    return segment[0] <= keys.hash_of(keys.partition(row_key, prefix)) < segment[1]


def _rows(ctx: Context, read: Read) -> Iterator[tuple[bytes, bytes]]:
    limit = None if read.limit is None or read.segment is not None else read.limit
    return ctx.tx.scan_bytes(read.low, read.high, limit=limit, reverse=read.reverse)


def answer(ctx: Context, req: Json, read: Read) -> Json:
    """One page, in the words of Query's answer."""
    plain = read.keep is None and read.tree is None and not read.fetch
    prefix = read.layout.prefix if read.index is None else read.index.prefix
    size = skipped = scanned = count = 0
    fetched = 0.0
    last: bytes | None = None
    stopped = False
    for key, row in _rows(ctx, read):
        if read.segment is not None and not inside(key, prefix, read.segment):
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
    read.tally = _consumed(read, size, fetched)
    level = req.get("ReturnConsumedCapacity", "NONE")
    if level != "NONE":
        read.tally.name = req["TableName"]  # or its ARN
        out["ConsumedCapacity"] = read.tally.answer(level)
    return out


def _fetched(ctx: Context, read: Read, row: Item) -> tuple[Item, float]:
    whole = ctx.tx.get_bytes(read.layout.item_key(row))
    assert whole is not None, "a local index has a row for an item that is not there"
    return item_of(whole), read_units(item_size(whole), read.consistent)


def _last_key(read: Read, item: Item) -> Item:
    out: Item = {}
    if read.index is not None:
        out[read.index.index.pk] = item[read.index.index.pk]
        if read.index.index.sk:
            out[read.index.index.sk] = item[read.index.index.sk]
    return {**read.layout.key_item(item), **out}


def _consumed(read: Read, size: int, fetched: float) -> Tally:
    tally = Tally(read.layout.table.name)
    units = read_units(size, read.consistent)
    if read.index is None:
        tally.table = units
    else:
        tally.table = fetched
        tally.add_index(read.index.index.name, read.index.index.local, units)
    return tally
