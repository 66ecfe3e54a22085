"""TransactWriteItems and TransactGetItems: all or nothing, over any tables."""

from __future__ import annotations

from typing import Any

import msgspec

from cumulet.kernel.context import Context
from cumulet.kernel.once import once
from cumulet.kernel.record import Record
from cumulet.services.dynamodb.capacity import Tally, read_units
from cumulet.services.dynamodb.changes import CHECK, Change, prepare_delete, prepare_put, prepare_update
from cumulet.services.dynamodb.errors import (
    IdempotentParameterMismatchException,
    ValidationException,
)
from cumulet.services.dynamodb.expressions.binding import Binding
from cumulet.services.dynamodb.expressions.paths import Tree, project
from cumulet.services.dynamodb.layout import Layout, item_of, item_raw, item_size, open_table
from cumulet.services.dynamodb.throttle import charge
from cumulet.services.dynamodb.transacting import (
    FACTOR,
    MAX_TRANSACTION_BYTES,
    cancelled,
    consumed,
    digest_of,
    one_account,
    one_each,
    prepare_all,
    write_all,
)
from cumulet.services.dynamodb.values import measured

Json = dict[str, Any]
_TOKEN_S = 600.0
_SUBSTITUTIONS = ("ExpressionAttributeNames", "ExpressionAttributeValues")


class Written(Record):
    """What a client request token stands for: the digest of its request, and what it consumed."""

    digest: bytes
    answer: bytes


def transact_write_items(ctx: Context, req: Json) -> Json:
    """Up to 100 puts, updates, deletes and condition checks of different items: all of them, or none.

    Idempotent by ClientRequestToken for 10 minutes. Raises: TransactionCanceledException with one reason per action,
    ValidationException, ResourceNotFoundException, IdempotentParameterMismatchException.
    Source: DynamoDB API_TransactWriteItems (read 2026-11).
    """
    token: str | None = req.get("ClientRequestToken")
    if not token:
        return _write(ctx, req)
    key = ("dynamodb", "token", ctx.account, ctx.region, token)
    digest = digest_of(req["TransactItems"])
    written, first = once(
        ctx, key, _TOKEN_S, Written, lambda: Written(digest=digest, answer=msgspec.json.encode(_write(ctx, req)))
    )
    if written.digest != digest:
        raise IdempotentParameterMismatchException(
            "The provided request parameters do not match a previous request with the same client request token"
        )
    if not first:
        return _repeated(ctx, req)
    out: Json = msgspec.json.decode(written.answer)
    return out


def _prepare(ctx: Context, entry: Json) -> tuple[Change, bool]:
    """(the change, whether a failed condition shows the item)."""
    if len(entry) != 1:
        raise ValidationException("TransactItems can only contain one of Check, Put, Update or Delete")
    ((action, spec),) = entry.items()
    show = spec.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    if action != "Update" and "ConditionExpression" not in spec and not spec.keys().isdisjoint(_SUBSTITUTIONS):
        # names and values of nothing are no error here
        spec = {member: value for member, value in spec.items() if member not in _SUBSTITUTIONS}
    match action:
        case "Put":
            return prepare_put(ctx, spec), show
        case "Update":
            return prepare_update(ctx, spec), show
        case "Delete":
            return prepare_delete(ctx, spec), show
    return prepare_delete(ctx, spec, CHECK), show


def _write(ctx: Context, req: Json) -> Json:
    return write_all(ctx, prepare_all(req["TransactItems"], lambda entry: _prepare(ctx, entry)), req)


def _repeated(ctx: Context, req: Json) -> Json:
    """The answer to a request that was done before: what it costs to read its items."""
    level = req.get("ReturnConsumedCapacity", "NONE")
    if level == "NONE":
        return {}
    tallies: dict[str, Tally] = {}
    for entry in req["TransactItems"]:
        change, _ = _prepare(ctx, entry)
        row = ctx.tx.get_bytes(change.key)
        name = change.named
        tallies.setdefault(name, Tally(name)).table += read_units(item_size(row) if row else 0, True)
    return {"ConsumedCapacity": consumed(tallies, level, "Read")}


def transact_get_items(ctx: Context, req: Json) -> Json:
    """Read up to 100 items of any tables, 4 MB together, as they are at one moment.

    Raises: TransactionCanceledException, ValidationException, ResourceNotFoundException.
    Source: DynamoDB API_TransactGetItems (read 2026-11).
    """
    level = req.get("ReturnConsumedCapacity", "NONE")
    responses: list[Json] = []
    reasons: list[Json] = []
    tallies: dict[str, Tally] = {}
    layouts: dict[str, Layout] = {}
    keys: list[bytes] = []
    accounts: set[str] = set()
    size = 0
    for entry in req["TransactItems"]:
        get = entry["Get"]
        _, key = measured(get["Key"])
        tree: Tree | None = None
        if "ProjectionExpression" in get:  # without one, names are no error here
            binding = Binding(get, ("ProjectionExpression",))
            tree = binding.projection(get["ProjectionExpression"])
            binding.finish()
        layout = open_table(ctx, get["TableName"])
        layouts[get["TableName"]] = layout
        accounts.add(layout.table.account)
        try:
            keys.append(layout.key_of(key))
            row = ctx.tx.get_bytes(keys[-1])
        except ValidationException as error:
            reasons.append({"Code": "ValidationError", "Message": error.message})
            continue
        reasons.append({"Code": "None"})
        name = get["TableName"]
        size += item_size(row) if row else 0
        tallies.setdefault(name, Tally(name)).table += read_units(item_size(row) if row else 0, True)
        item: Any = None
        if row is not None:
            item = item_raw(row) if tree is None else project(item_of(row), tree)
        responses.append({"Item": item} if item else {})
    if any(reason["Code"] != "None" for reason in reasons):
        raise cancelled(reasons)
    one_account(accounts)
    one_each(keys)
    if size > MAX_TRANSACTION_BYTES:
        raise ValidationException(
            "Collection size of all items in the transaction has exceeded the maximum limit of 4 MB"
        )
    for name, layout in layouts.items():
        charge(ctx, layout.table, tallies[name], write=False, factor=FACTOR)
    out: Json = {"Responses": responses}
    if level != "NONE":
        out["ConsumedCapacity"] = consumed(tallies, level, "Read")
    return out
