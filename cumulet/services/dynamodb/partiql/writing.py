"""INSERT, UPDATE, DELETE and EXISTS, prepared as changes of one item."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.dynamodb.changes import CHECK, DELETE, Change, put_change, update_change
from cumulet.services.dynamodb.errors import ValidationException
from cumulet.services.dynamodb.expressions.lexer import Syntax
from cumulet.services.dynamodb.expressions.update import compile_actions
from cumulet.services.dynamodb.layout import item_of, item_raw, open_table
from cumulet.services.dynamodb.model import Item
from cumulet.services.dynamodb.partiql.conditions import compiled, demand_key, exists
from cumulet.services.dynamodb.partiql.statements import Delete, Insert, Select, Statement, Update
from cumulet.services.dynamodb.values import measured


def prepare(ctx: Context, statement: Statement) -> tuple[Change, str]:
    """(the change, which values it returns). Raises: ValidationException, ResourceNotFoundException."""
    match statement:
        case Insert():
            size, item = measured(statement.item)
            change = put_change(ctx, statement.table, size, item, None)
            change.new = True
            return change, "NONE"
        case Update():
            return _update(ctx, statement), statement.returning
        case Delete():
            return _delete(ctx, statement), statement.returning
        case Select():
            return _check(ctx, statement), "NONE"
    raise AssertionError(statement)


def _update(ctx: Context, statement: Update) -> Change:
    layout = open_table(ctx, statement.table)
    key, rest = demand_key(layout, statement)
    update = compile_actions(Syntax("UPDATE statement", ""), statement.actions, {})
    for check in update.checks:
        check(statement.values)
    test = compiled([exists(layout.pk), *rest], statement.values)
    return update_change(layout, key, update, statement.values, test)


def _delete(ctx: Context, statement: Delete) -> Change:
    """An item that is not there is fine, whatever else the WHERE clause says."""
    layout = open_table(ctx, statement.table)
    key, rest = demand_key(layout, statement)
    holds = compiled(rest, statement.values)
    test = None if holds is None else lambda item: not item or holds(item)
    return Change(DELETE, layout, layout.key_of(key), key, 0, test)


def _check(ctx: Context, statement: Select) -> Change:
    if not statement.exists or statement.index is not None:
        raise ValidationException("Only EXISTS on a table can stand beside writes")
    layout = open_table(ctx, statement.table)
    key, rest = demand_key(layout, statement)
    return Change(CHECK, layout, layout.key_of(key), key, 0, compiled([exists(layout.pk), *rest], statement.values))


def returned(change: Change, wanted: str, old: bytes | None, new: Item | None) -> list[Any]:
    """What a RETURNING clause gives: no item or one."""
    if wanted == "ALL_OLD":
        return [item_raw(old)] if old is not None else []
    if wanted == "ALL_NEW":
        return [new] if new is not None else []
    if wanted == "NONE":
        return []
    touched = change.touched((item_of(old) if old is not None else {}) if wanted == "UPDATED_OLD" else new or {})
    return [touched] if touched else []
