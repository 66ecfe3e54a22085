"""A table made ready for its hot paths: packed prefixes, and how to build keys and index rows from items.

Layouts are kept in the pipeline's volatile memory and belong to one version of the table's record.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cumulet.aws.arn import Arn
from cumulet.kernel.context import Context
from cumulet.kernel.keys import pack
from cumulet.services.dynamodb import keys
from cumulet.services.dynamodb.access import authorize
from cumulet.services.dynamodb.errors import ValidationException, invalid, no_table
from cumulet.services.dynamodb.model import AttributeValue, Index, Item, Table, table_key
from cumulet.services.dynamodb.streammodel import StreamLayout
from cumulet.services.dynamodb.values import measured

_KEPT = 4096
_SIZE_BYTES = 4
encode_json = msgspec.json.Encoder().encode
decode_item = msgspec.json.Decoder(Item).decode
_WORDS = {"S": "string", "B": "binary", "N": "number"}


def stored(size: int, item: Item) -> bytes:
    """A row's bytes."""
    return size.to_bytes(_SIZE_BYTES, "big") + encode_json(item)


def item_size(row: bytes) -> int:
    return int.from_bytes(row[:_SIZE_BYTES], "big")


def item_raw(row: bytes) -> msgspec.Raw:
    """The item's JSON, for an answer."""
    return msgspec.Raw(row[_SIZE_BYTES:])


def item_of(row: bytes) -> Item:
    return decode_item(row[_SIZE_BYTES:])


class IndexLayout:
    """One index: its rows' prefix, its keys, what it projects."""

    __slots__ = ("index", "kept", "pk_kind", "prefix", "sk_kind")

    def __init__(self, table: Table, index: Index) -> None:
        self.index = index
        self.prefix = pack(index.rows)
        self.pk_kind = table.attributes[index.pk]
        self.sk_kind = table.attributes[index.sk] if index.sk else ""
        self.kept: frozenset[str] | None = None
        if index.projection != "ALL":
            names = {table.pk, table.sk, index.pk, index.sk, *index.include}
            self.kept = frozenset(name for name in names if name)

    def row_key(self, item: Item, item_suffix: bytes) -> bytes | None:
        """The key of an item's row, or None when it has none (a sparse index). `item_suffix` is the item's own key."""
        parts = self.key_parts(item)
        return None if parts is None else self.prefix + keys.bucket(parts[0]) + b"".join(parts) + item_suffix

    def key_parts(self, item: Item) -> tuple[bytes, ...] | None:
        """The parts of an index key, or None: items older than their index may hold what is no key, and are left out."""
        index = self.index
        first = _key_part(item, index.pk, self.pk_kind, keys.MAX_HASH_KEY_BYTES)
        if first is None:
            return None
        if not index.sk:
            return (first,)
        second = _key_part(item, index.sk, self.sk_kind, keys.MAX_RANGE_KEY_BYTES)
        return None if second is None else (first, second)

    def check(self, item: Item) -> None:
        """Raises: ValidationException when an item's index key has the wrong type, is empty or too long."""
        for name, kind in ((self.index.pk, self.pk_kind), (self.index.sk, self.sk_kind)):
            value = item.get(name) if name else None
            if value is None:
                continue
            actual = next(iter(value))
            if actual != kind:
                raise invalid(
                    f"Type mismatch for Index Key {name} Expected: {kind} Actual: {actual} IndexName: {self.index.name}"
                )
            if value[kind] == "":
                raise ValidationException(
                    "One or more parameter values are not valid. A value specified for a secondary index key is not supported. "
                    f"The AttributeValue for a key attribute cannot contain an empty {_WORDS[kind]} value. "
                    f"IndexName: {self.index.name}, IndexKey: {name}"
                )
            keys.check_index_size(self.index.name, str(name), keys.key_part(kind, value[kind]), name == self.index.pk)

    def row(self, item: Item, size: int, row: bytes | None = None) -> bytes:
        """An index row's bytes; `row` is the item's own where it is at hand."""
        if self.kept is None:
            return row if row is not None else stored(size, item)
        part = {name: value for name, value in item.items() if name in self.kept}
        return stored(measured(part)[0], part)


def _key_part(item: Item, name: str, kind: str, most: int) -> bytes | None:
    value = item.get(name)
    if value is None:
        return None
    raw = value.get(kind)
    if raw is None or raw == "":
        return None
    part = keys.key_part(kind, raw)
    return None if len(part) - 2 > most and keys.part_size(part) > most else part


class Layout:
    """One version of a table."""

    __slots__ = ("indexes", "key_names", "pk", "pk_kind", "prefix", "sk", "sk_kind", "stream", "table", "tracked")

    def __init__(self, table: Table) -> None:
        self.table = table
        self.prefix = pack(table.rows)
        self.pk, self.pk_kind = table.pk, table.attributes[table.pk]
        self.sk = table.sk
        self.sk_kind = table.attributes[table.sk] if table.sk else ""
        self.key_names = frozenset((table.pk, table.sk)) if table.sk else frozenset((table.pk,))
        there = [index for index in table.indexes if index.status != "DELETING"]
        there.sort(key=lambda index: index.name)  # errors name the first by the alphabet
        self.indexes = tuple(IndexLayout(table, index) for index in there)
        self.tracked = any(index.local for index in table.indexes)
        self.stream = StreamLayout(table) if table.stream is not None and table.stream.open else None

    def item_suffix(self, item: Item) -> bytes:
        """The parts of an item's key, partition key first.

        Raises: ValidationException when a key attribute is missing, of the wrong type, empty or too long.
        """
        part = self._part(item, self.pk, self.pk_kind)
        if len(part) > 2000:
            keys.check_hash_size(part)
        if self.sk is None:
            return part
        other = self._part(item, self.sk, self.sk_kind)
        if len(other) > 1000:
            keys.check_range_size(other)
        return part + other

    def item_key(self, item: Item) -> bytes:
        """An item's row key. Raises: as `item_suffix`."""
        part = self._part(item, self.pk, self.pk_kind)
        if len(part) > 2000:
            keys.check_hash_size(part)
        key = self.prefix + keys.bucket(part) + part
        if self.sk is None:
            return key
        other = self._part(item, self.sk, self.sk_kind)
        if len(other) > 1000:
            keys.check_range_size(other)
        return key + other

    def _part(self, item: Item, name: str, kind: str) -> bytes:
        value = item.get(name)
        if value is None:
            raise invalid(f"Missing the key {name} in the item")
        raw = value.get(kind)
        if raw is None:
            raise invalid(f"Type mismatch for key {name} expected: {kind} actual: {next(iter(value))}")
        if raw == "":
            raise _empty_key(name, kind)
        return keys.key_part(kind, raw)

    def key_of(self, key: Item) -> bytes:
        """The row key of a request's Key, which must be the key attributes and nothing else. Raises: ValidationException."""
        if len(key) != len(self.key_names):
            raise _wrong_key()
        for name, kind in ((self.pk, self.pk_kind), (self.sk, self.sk_kind)):
            if name and (name not in key or kind not in key[name]):
                raise _wrong_key()
        return self.item_key(key)

    def index(self, name: str) -> IndexLayout:
        """Raises: ValidationException when the table has no such index."""
        for index in self.indexes:
            if index.index.name == name:
                return index
        raise ValidationException(f"The table does not have the specified index: {name}")

    def key_item(self, item: Item) -> dict[str, AttributeValue]:
        """The key attributes of an item."""
        out = {self.pk: item[self.pk]}
        if self.sk:
            out[self.sk] = item[self.sk]
        return out


def _empty_key(name: str, kind: str) -> ValidationException:
    return ValidationException(
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty "
        f"{_WORDS[kind]} value. Key: {name}"
    )


def _wrong_key() -> ValidationException:
    return ValidationException("The provided key element does not match the schema")


class _Layouts:
    """The layouts of one pipeline: (account, region, name) -> (packed record key, its layout)."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str, str], tuple[bytes, Layout | None]] = {}


def split_name(ctx: Context, name: str) -> tuple[str, str, str]:
    """(account, region, table name) of a table's name or ARN. Raises: ValidationException."""
    if not name.startswith("arn:"):
        return ctx.account, ctx.region, name
    try:
        arn = Arn.parse(name)
    except ValueError as error:
        raise _bad_arn(name) from error
    kind, _, rest = arn.resource.partition("/")
    if arn.service != "dynamodb" or kind != "table" or not rest or "/" in rest:
        raise _bad_arn(name)
    return arn.account, arn.region, rest


def _bad_arn(name: str) -> ValidationException:
    return ValidationException(f"Invalid table ARN: {name}")


def find_layout(ctx: Context, name: str) -> Layout | None:
    """The layout of a table in whatever state, or None."""
    volatile: dict[str, Any] = ctx.pipeline.volatile
    layouts: _Layouts | None = volatile.get("dynamodb")
    if layouts is None:
        layouts = volatile["dynamodb"] = _Layouts()
    place = (ctx.account, ctx.region, name) if ":" not in name else split_name(ctx, name)
    known = layouts.known.get(place)
    key = pack(table_key(*place)) if known is None else known[0]
    table = ctx.tx.get(key, Table)
    if table is None:
        return None
    if table.policy or table.account != ctx.account:
        authorize(ctx, table)
    if known is not None and known[1] is not None and known[1].table is table:
        return known[1]
    layout = Layout(table)
    if len(layouts.known) >= _KEPT:
        layouts.known.clear()
    layouts.known[place] = (key, layout)
    return layout


def open_table(ctx: Context, name: str) -> Layout:
    """The layout of a table of this region that can be read and written.

    Raises: ResourceNotFoundException, ValidationException.
    """
    layout = find_layout(ctx, name)
    if layout is None or layout.table.status not in ("ACTIVE", "UPDATING"):
        raise no_table()
    if layout.table.region != ctx.region:
        raise _bad_arn(name)
    return layout
