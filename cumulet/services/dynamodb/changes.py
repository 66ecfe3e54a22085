"""Changes of one item, prepared from a request and then applied: what PutItem, UpdateItem, DeleteItem and the items of
batches and transactions have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.dynamodb import legacy
from cumulet.services.dynamodb.capacity import Tally
from cumulet.services.dynamodb.errors import (
    ConditionalCheckFailedException,
    DuplicateItemException,
    ValidationException,
    invalid,
)
from cumulet.services.dynamodb.expressions.binding import Binding
from cumulet.services.dynamodb.expressions.paths import Tree, project
from cumulet.services.dynamodb.expressions.update import Update, apply_update
from cumulet.services.dynamodb.layout import Layout, item_of, open_table
from cumulet.services.dynamodb.model import Item
from cumulet.services.dynamodb.rows import delete_item_row, put_item_row
from cumulet.services.dynamodb.values import MAX_ITEM_BYTES, measured

PUT, UPDATE, DELETE, CHECK = "put", "update", "delete", "check"
Test = Callable[[Item], bool]
_CONDITION = ("ConditionExpression",)
_UPDATE = ("UpdateExpression", "ConditionExpression")


class Change:
    """One item's change: which item, under which condition, to what."""

    __slots__ = ("creates", "edit", "item", "key", "kind", "layout", "named", "new", "size", "test", "tree")

    def __init__(self, kind: str, layout: Layout, key: bytes, item: Item, size: int, test: Test | None) -> None:
        self.kind = kind
        self.layout = layout
        self.named = layout.table.name  # the table as the request names it, by its name or ARN
        self.key = key
        self.item = item  # the whole item of a put, else its key
        self.size = size
        self.test = test
        self.edit: Callable[[Item], Item] | None = None
        self.tree: Tree = {}
        self.new = False  # the item must not be there yet (PartiQL's INSERT)
        self.creates = True  # whether an update makes an item that is not there

    def needs_old(self) -> bool:
        """Whether the item as it is must be read."""
        layout = self.layout
        return (
            self.kind != PUT
            or self.test is not None
            or self.new
            or bool(layout.indexes)
            or layout.tracked
            or layout.stream is not None
            or bool(layout.table.past)
        )

    def check(self, old: bytes | None, show_old: bool) -> None:
        """Raises: ConditionalCheckFailedException, with the item when `show_old`; DuplicateItemException."""
        if self.new and old is not None:
            raise DuplicateItemException("Duplicate primary key exists in table")
        if self.test is None:
            return
        item = item_of(old) if old is not None else {}
        if not self.test(item):
            members = {"Item": item} if show_old and item else None
            raise ConditionalCheckFailedException("The conditional request failed", members=members)

    def apply(self, ctx: Context, old: bytes | None, tally: Tally | None) -> Item | None:
        """Write it; the item as it then is. Raises: ValidationException."""
        if self.kind == PUT:
            put_item_row(ctx, self.layout, self.key, self.item, self.size, old, tally)
            return self.item
        if self.kind == DELETE:
            delete_item_row(ctx, self.layout, self.key, old, tally)
            return None
        assert self.kind == UPDATE
        item = item_of(old) if old is not None else dict(self.item)
        if self.edit is not None:
            item = self.edit(item)
        if old is None and not self.creates:
            delete_item_row(ctx, self.layout, self.key, None, tally)
            return None
        size, item = measured(item)
        if size > MAX_ITEM_BYTES:
            raise ValidationException("Item size to update has exceeded the maximum allowed size")
        if self.layout.indexes:  # what is not changed may be older than its index
            changed = {name: item[name] for name in self.tree if name in item}
            for index in self.layout.indexes:
                _check_updated(index.check, changed)
        put_item_row(ctx, self.layout, self.key, item, size, old, tally)
        return item

    def touched(self, item: Item) -> Item:
        """The parts of an item that this update names."""
        return project(item, self.tree)


def _check_updated(check: Callable[[Item], None], item: Item) -> None:
    try:
        check(item)
    except ValidationException as error:
        if "contain an empty" in error.message:
            kind = "binary" if "empty binary" in error.message else "string"
            raise ValidationException(
                "One or more parameter values are not valid. The update expression attempted to update a secondary index key "
                "to a value that is not supported. The AttributeValue for a key attribute cannot contain an empty "
                f"{kind} value."
            ) from error
        if "Type mismatch" not in error.message:
            raise
        raise ValidationException(
            "The update expression attempted to update the secondary index key to unsupported type"
        ) from error


def _test(req: Mapping[str, Any], binding: Binding) -> Test | None:
    if "ConditionExpression" in req:
        return binding.test("ConditionExpression", req["ConditionExpression"])
    if "Expected" in req:
        return legacy.expected(req)
    return None


def _plain(req: Mapping[str, Any]) -> bool:
    """Whether a request has no expression of any kind."""
    return not (
        "ConditionExpression" in req
        or "ExpressionAttributeNames" in req
        or "ExpressionAttributeValues" in req
        or "Expected" in req
        or "ConditionalOperator" in req
    )


def prepare_put(ctx: Context, req: Mapping[str, Any]) -> Change:
    """Raises: ValidationException, ResourceNotFoundException."""
    test: Test | None = None
    if _plain(req):
        size, item = measured(req["Item"])
    else:
        legacy.not_both(req, ("Expected", "ConditionalOperator"), _CONDITION)
        size, item = measured(req["Item"])
        binding = Binding(req, _CONDITION, _CONDITION)
        test = _test(req, binding)
        binding.finish()
    change = put_change(ctx, req["TableName"], size, item, test)
    change.named = req["TableName"]
    return change


def put_change(ctx: Context, name: str, size: int, item: Item, test: Test | None) -> Change:
    """Raises: ValidationException, ResourceNotFoundException."""
    if size > MAX_ITEM_BYTES:
        raise ValidationException("Item size has exceeded the maximum allowed size")
    layout = open_table(ctx, name)
    key = layout.item_key(item)
    for index in layout.indexes:
        index.check(item)
    return Change(PUT, layout, key, item, size, test)


def prepare_delete(ctx: Context, req: Mapping[str, Any], kind: str = DELETE) -> Change:
    """Raises: ValidationException, ResourceNotFoundException."""
    test: Test | None = None
    _, key = measured(req["Key"])
    if not _plain(req):
        legacy.not_both(req, ("Expected", "ConditionalOperator"), _CONDITION)
        binding = Binding(req, _CONDITION, _CONDITION)
        test = _test(req, binding)
        binding.finish()
    layout = open_table(ctx, req["TableName"])
    change = Change(kind, layout, layout.key_of(key), key, 0, test)
    change.named = req["TableName"]
    return change


def prepare_update(ctx: Context, req: Mapping[str, Any]) -> Change:
    """Raises: ValidationException, ResourceNotFoundException."""
    legacy.not_both(req, ("AttributeUpdates", "Expected", "ConditionalOperator"), _UPDATE)
    _, key = measured(req["Key"])
    binding = Binding(req, _UPDATE, _UPDATE)
    update = binding.update(req["UpdateExpression"]) if "UpdateExpression" in req else None
    test = _test(req, binding)
    binding.finish()
    updates = legacy.attribute_updates(req) if "AttributeUpdates" in req else None
    layout = open_table(ctx, req["TableName"])
    if update is not None:
        change = update_change(layout, key, update, binding.values, test)
    else:
        change = Change(UPDATE, layout, layout.key_of(key), key, 0, test)
    change.named = req["TableName"]
    if updates is not None:
        _spare_keys(layout, updates.tree)
        change.tree = updates.tree
        change.edit = updates.apply
        change.creates = updates.creates
    return change


def update_change(layout: Layout, key: Item, update: Update, values: Item, test: Test | None) -> Change:
    """Raises: ValidationException."""
    change = Change(UPDATE, layout, layout.key_of(key), key, 0, test)
    _spare_keys(layout, update.heads)
    change.tree = update.tree
    change.creates = update.creates
    change.edit = _editor(update, values)
    return change


def _spare_keys(layout: Layout, heads: Iterable[str]) -> None:
    for name in heads:
        if name in layout.key_names:
            raise invalid(f"Cannot update attribute {name}. This attribute is part of the key")


def _editor(update: Update, values: Item) -> Callable[[Item], Item]:
    return lambda item: apply_update(update, item, values)
