"""Transactions' common part: changes prepared, checked and written all or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.services.dynamodb.capacity import Tally, read_units
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
from cumulet.services.dynamodb.rows import collection_metrics
from cumulet.services.dynamodb.throttle import charge

Json = dict[str, Any]
Entry = TypeVar("Entry")
Prepared = list[tuple[Change, bool]]  # a change, and whether its failed condition shows the item
MAX_TRANSACTION_BYTES = 4 * 1024 * 1024
FACTOR = 2.0


def prepare_all(entries: Sequence[Entry], prepare: Callable[[Entry], tuple[Change, bool]]) -> Prepared:
    """The changes of a transaction's entries. Raises: TransactionCanceledException, ValidationException."""
    prepared: list[tuple[Change, bool]] = []
    reasons: list[Json] = []
    for entry in entries:
        try:
            prepared.append(prepare(entry))
        except ValidationException as error:
            if not _about_the_item(error):
                raise
            reasons.append({"Code": "ValidationError", "Message": error.message})
        else:
            reasons.append({"Code": "None"})
    if any(reason["Code"] != "None" for reason in reasons):
        raise cancelled(reasons)
    if len({change.key for change, _ in prepared}) < len(prepared):
        raise ValidationException("Transaction request cannot include multiple operations on one item")
    if sum(change.size for change, _ in prepared) > MAX_TRANSACTION_BYTES:
        raise ValidationException(
            "Collection size of all items in the transaction has exceeded the maximum limit of 4 MB"
        )
    return prepared


def _about_the_item(error: ValidationException) -> bool:
    """Whether AWS cancels the transaction for it: errors found when the key or item meets its table."""
    return error.message.startswith(("The provided key element", "One or more parameter values were invalid: Missing the key",
                                     "One or more parameter values were invalid: Type mismatch",
                                     "One or more parameter values were invalid: Size ",
                                     "One or more parameter values were invalid: Aggregated size",
                                     "One or more parameter values are not valid",
                                     "One or more parameter values were invalid: Cannot update attribute"))  # fmt: skip


def cancelled(reasons: list[Json]) -> TransactionCanceledException:
    """One reason per action."""
    codes = ", ".join(reason["Code"] for reason in reasons)
    return TransactionCanceledException(
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        members={"CancellationReasons": reasons},
    )


def write_all(ctx: Context, prepared: Prepared, req: Json) -> Json:
    """Write all changes, or none. Raises: TransactionCanceledException."""
    level = req.get("ReturnConsumedCapacity", "NONE")
    rows = [ctx.tx.get_bytes(change.key) for change, _ in prepared]
    reasons: list[Json] = []
    for (change, show), old in zip(prepared, rows, strict=True):
        try:
            change.check(old, show)
        except ConditionalCheckFailedException as error:
            reasons.append({"Code": "ConditionalCheckFailed", "Message": error.message, **error.members})
        except DuplicateItemException as error:
            reasons.append({"Code": "DuplicateItem", "Message": error.message})
        else:
            reasons.append({"Code": "None"})
    if any(reason["Code"] != "None" for reason in reasons):
        raise cancelled(reasons)
    tallies: dict[str, Tally] = {}
    metrics: dict[str, list[Any]] = {}
    for at, ((change, _), old) in enumerate(zip(prepared, rows, strict=True)):
        name = change.layout.table.name
        tally = tallies.setdefault(name, Tally(name))
        if change.kind == CHECK:
            tally.table += read_units(item_size(old) if old else 0, True)
            continue
        try:
            change.apply(ctx, old, tally)
        except (ValidationException, ItemCollectionSizeLimitExceededException) as error:
            reasons[at] = {"Code": _reason(error), "Message": error.message}
            raise cancelled(reasons) from error
        if req.get("ReturnItemCollectionMetrics") == "SIZE" and change.layout.tracked:
            metrics.setdefault(name, []).append(collection_metrics(ctx, change.layout, change.item))
    _charge(ctx, prepared, tallies, reasons)
    out: Json = {}
    if level != "NONE":
        out["ConsumedCapacity"] = consumed(tallies, level, "Write")
    if metrics:
        out["ItemCollectionMetrics"] = metrics
    return out


def _charge(ctx: Context, prepared: Prepared, tallies: dict[str, Tally], reasons: list[Json]) -> None:
    """Raises: TransactionCanceledException when a table has no throughput left."""
    tables = {change.layout.table.name: change.layout.table for change, _ in prepared}
    for name, table in tables.items():
        try:
            charge(ctx, table, tallies[name], write=True, factor=FACTOR)
        except (ProvisionedThroughputExceededException, ThrottlingException) as error:
            for at, (change, _) in enumerate(prepared):
                if change.layout.table.name == name:
                    code = (
                        "ThrottlingError" if isinstance(error, ThrottlingException) else "ProvisionedThroughputExceeded"
                    )
                    reasons[at] = {"Code": code, "Message": error.message}
            raise cancelled(reasons) from error


def _reason(error: AwsError) -> str:
    return "ValidationError" if isinstance(error, ValidationException) else "ItemCollectionSizeLimitExceeded"


def consumed(tallies: dict[str, Tally], level: str, kind: str) -> list[Json]:
    """ConsumedCapacity of a transaction, which costs twice."""
    for tally in tallies.values():
        tally.times(FACTOR)
    return [tally.answer(level, kind) for tally in tallies.values()]
