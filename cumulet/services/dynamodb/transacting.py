"""Transactions' common part: changes prepared, checked and written all or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.services.dynamodb.capacity import Tally, write_units
from cumulet.services.dynamodb.changes import CHECK, Change
from cumulet.services.dynamodb.errors import (
    ConditionalCheckFailedException,
    DuplicateItemException,
    ItemCollectionSizeLimitExceededException,
    ProvisionedThroughputExceededException,
    ThrottlingException,
    TransactionCanceledException,
    ValidationException,
)
from cumulet.services.dynamodb.layout import item_size
from cumulet.services.dynamodb.model import Table
from cumulet.services.dynamodb.rows import collection_metrics
from cumulet.services.dynamodb.throttle import charge, throttled

Json = dict[str, Any]
Entry = TypeVar("Entry")
Prepared = list[tuple[Change, bool]]  # a change, and whether its failed condition shows the item
MAX_TRANSACTION_BYTES = 4 * 1024 * 1024
FACTOR = 2.0
_EMPTY_KEY = "One or more parameter values are not valid"


def prepare_all(entries: Sequence[Entry], prepare: Callable[[Entry], tuple[Change, bool]]) -> Prepared:
    """The changes of a transaction's entries. Raises: TransactionCanceledException, ValidationException."""
    prepared: list[tuple[Change, bool]] = []
    refused: dict[int, Json] = {}
    for at, entry in enumerate(entries):
        try:
            prepared.append(prepare(entry))
        except ValidationException as error:
            if not _about_the_item(error):
                raise
            refused[at] = {"Code": "ValidationError", "Message": error.message}
    if refused:
        raise cancelled(_reasons(refused, len(entries)))
    one_account({change.layout.table.account for change, _ in prepared})
    one_each([change.key for change, _ in prepared])
    if sum(change.size for change, _ in prepared) > MAX_TRANSACTION_BYTES:
        raise ValidationException(
            "Collection size of all items in the transaction has exceeded the maximum limit of 4 MB"
        )
    return prepared


def one_each(keys: list[bytes]) -> None:
    """Raises: ValidationException for an item that is named twice; the keys of different tables differ."""
    if len(set(keys)) < len(keys):
        raise ValidationException("Transaction request cannot include multiple operations on one item")


def digest_of(entries: Sequence[Any]) -> bytes:
    """What tells one request with a client token from another: maps have no order, and some clients send theirs in any."""
    return hashlib.sha256(msgspec.json.encode(entries, order="deterministic")).digest()


def one_account(accounts: set[str]) -> None:
    """Raises: ValidationException for tables of several accounts."""
    if len(accounts) > 1:
        raise ValidationException("A transaction cannot operate on tables in more than one AWS account")


def _about_the_item(error: ValidationException) -> bool:
    """Whether AWS cancels the transaction for it: errors found when the key or item meets its table."""
    return error.message.startswith(("The provided key element", "One or more parameter values were invalid: Missing the key",
                                     "One or more parameter values were invalid: Type mismatch",
                                     "One or more parameter values were invalid: Cannot update attribute"))  # fmt: skip


def cancelled(reasons: list[Json]) -> TransactionCanceledException:
    """One reason per action."""
    codes = ", ".join(reason["Code"] for reason in reasons)
    return TransactionCanceledException(
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        members={"CancellationReasons": reasons},
    )


def _reasons(refused: dict[int, Json], count: int) -> list[Json]:
    """One reason for each action: the refused ones', by their place, and None for the others."""
    return [refused.get(at, {"Code": "None"}) for at in range(count)]


def write_all(ctx: Context, prepared: Prepared, req: Json) -> Json:
    """Write all changes, or none. Raises: TransactionCanceledException."""
    level = req.get("ReturnConsumedCapacity", "NONE")
    rows: list[bytes | None] = []
    refused: dict[int, Json] = {}
    for at, (change, show) in enumerate(prepared):
        if level == "NONE" and not change.needs_old() and not throttled(change.layout.table):
            rows.append(None)
            continue
        rows.append(ctx.tx.get_bytes(change.key))
        try:
            change.check(rows[at], show)
        except ConditionalCheckFailedException as error:
            refused[at] = {"Code": "ConditionalCheckFailed", "Message": error.message, **error.members}
        except DuplicateItemException as error:
            refused[at] = {"Code": "DuplicateItem", "Message": error.message}
    if refused:
        raise cancelled(_reasons(refused, len(prepared)))
    tallies: dict[str, Tally] = {}
    tables: dict[str, Table] = {}
    metrics: dict[str, list[Any]] = {}
    measured = req.get("ReturnItemCollectionMetrics") == "SIZE"
    for at, (change, _) in enumerate(prepared):
        name, old = change.named, rows[at]
        tally = tallies.get(name)
        if tally is None:
            tally = tallies[name] = Tally(name)
            tables[name] = change.layout.table
        if change.kind == CHECK:
            tally.table += write_units(item_size(old) if old else 0)  # as if it were written
            continue
        try:
            change.apply(ctx, old, tally)
        except (ValidationException, ItemCollectionSizeLimitExceededException) as error:
            if error.message.startswith(_EMPTY_KEY):
                raise
            reason = {"Code": _reason(error), "Message": error.message}
            raise cancelled(_reasons({at: reason}, len(prepared))) from error
        if measured and change.layout.tracked:
            metrics.setdefault(name, []).append(collection_metrics(ctx, change.layout, change.item))
    _charge(ctx, prepared, tables, tallies)
    out: Json = {}
    if level != "NONE":
        out["ConsumedCapacity"] = consumed(tallies, level, "Write")
    if metrics:
        out["ItemCollectionMetrics"] = metrics
    return out


def _charge(ctx: Context, prepared: Prepared, tables: dict[str, Table], tallies: dict[str, Tally]) -> None:
    """Raises: TransactionCanceledException when a table has no throughput left."""
    for name, tally in tallies.items():
        try:
            charge(ctx, tables[name], tally, write=True, factor=FACTOR)
        except (ProvisionedThroughputExceededException, ThrottlingException) as error:
            code = "ThrottlingError" if isinstance(error, ThrottlingException) else "ProvisionedThroughputExceeded"
            refused = {
                at: {"Code": code, "Message": error.message}
                for at, (change, _) in enumerate(prepared)
                if change.named == name
            }
            raise cancelled(_reasons(refused, len(prepared))) from error


def _reason(error: AwsError) -> str:
    return "ValidationError" if isinstance(error, ValidationException) else "ItemCollectionSizeLimitExceeded"


def consumed(tallies: dict[str, Tally], level: str, kind: str) -> list[Json]:
    """ConsumedCapacity of a transaction, which costs twice."""
    for tally in tallies.values():
        tally.times(FACTOR)
    return [tally.answer(level, kind) for tally in tallies.values()]
