"""BatchGetItem and BatchWriteItem."""

from __future__ import annotations

from typing import Any

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.services.dynamodb import legacy
from cumulet.services.dynamodb.capacity import Tally, read_units
from cumulet.services.dynamodb.changes import Change, prepare_delete, prepare_put
from cumulet.services.dynamodb.errors import ResourceNotFoundException, ValidationException
from cumulet.services.dynamodb.expressions.binding import Binding
from cumulet.services.dynamodb.expressions.paths import Tree, project
from cumulet.services.dynamodb.layout import Layout, item_of, item_raw, item_size, open_table
from cumulet.services.dynamodb.rows import collection_metrics
from cumulet.services.dynamodb.throttle import THROTTLED, charge, throttled
from cumulet.services.dynamodb.values import measured

Json = dict[str, Any]
_MAX_GETS, _MAX_WRITES = 100, 25
_ANSWER_BYTES = 16 * 1024 * 1024
_KEYS = tuple(
    f"One or more parameter values were invalid: {words} key " for words in ("Missing the", "Type mismatch for")
)
_PROJECTION = ("ProjectionExpression",)


def batch_get_item(ctx: Context, req: Json) -> Json:
    """Read up to 100 items by their keys, from any tables; what exceeds 16 MB comes back as UnprocessedKeys.

    Raises: ValidationException, ResourceNotFoundException.
    Source: DynamoDB API_BatchGetItem (read 2026-11).
    """
    if sum(len(asked["Keys"]) for asked in req["RequestItems"].values()) > _MAX_GETS:
        raise ValidationException("Too many items requested for the BatchGetItem call")
    asked = req["RequestItems"].values()
    legacy.not_both(
        {name: value for entry in asked for name, value in entry.items()}, ("AttributesToGet",), _PROJECTION
    )
    reads = [_GetBatch(ctx, name, asked) for name, asked in req["RequestItems"].items()]
    _all_different([key for read in reads for key in read.keys])
    level = req.get("ReturnConsumedCapacity", "NONE")
    responses: dict[str, list[Any]] = {}
    unprocessed: Json = {}
    tallies: list[Tally] = []
    size = 0
    for read in reads:
        found, left, size = read.run(ctx, size)
        responses[read.name] = found
        if left:
            unprocessed[read.name] = {**read.asked, "Keys": left}
        tallies.append(read.tally)
    refused = next((read.throttled for read in reads if read.throttled is not None), None)
    if refused is not None and not any(read.done for read in reads):
        raise refused
    out: Json = {"Responses": responses, "UnprocessedKeys": unprocessed}
    if level != "NONE":
        out["ConsumedCapacity"] = [tally.answer(level) for tally in tallies]
    return out


def _all_different(keys: list[bytes]) -> None:
    """No item twice, not even in a table that is named by its name and by its ARN. Raises: ValidationException."""
    if len(set(keys)) < len(keys):
        raise ValidationException("Provided list of item keys contains duplicates")


class _GetBatch:
    """What a batch reads of one table."""

    def __init__(self, ctx: Context, name: str, asked: Json) -> None:
        self.name = name
        self.asked = asked
        keys = [measured(key)[1] for key in asked["Keys"]]
        self.tree = _projection(asked)
        try:
            self.layout = open_table(ctx, name)
        except ResourceNotFoundException:
            _all_different([repr(sorted(key.items())).encode() for key in keys])
            raise
        self.keys = [self.layout.key_of(key) for key in keys]
        self.tally = Tally(name)
        self.done = 0
        self.throttled: AwsError | None = None

    def run(self, ctx: Context, size: int) -> tuple[list[Any], list[Json], int]:
        """(items, keys left over, bytes so far)."""
        found: list[Any] = []
        for index, key in enumerate(self.keys):
            row = ctx.tx.get_bytes(key)
            grown = item_size(row) if row is not None else 0
            if size + grown > _ANSWER_BYTES:
                return found, self.asked["Keys"][index:], size
            units = Tally(self.tally.name)
            units.table = read_units(grown, self.asked.get("ConsistentRead", False))
            try:
                charge(ctx, self.layout.table, units, write=False)
            except THROTTLED as error:
                self.throttled = error
                return found, self.asked["Keys"][index:], size
            size += grown
            self.done += 1
            self.tally.join(units)
            if row is not None:
                found.append(item_raw(row) if self.tree is None else project(item_of(row), self.tree))
        return found, [], size


def _projection(asked: Json) -> Tree | None:
    binding = Binding(asked, _PROJECTION)
    tree: Tree | None = None
    if "ProjectionExpression" in asked:
        tree = binding.projection(asked["ProjectionExpression"])
    elif "AttributesToGet" in asked:
        tree = legacy.projection(asked["AttributesToGet"])
    binding.finish()
    return tree


def batch_write_item(ctx: Context, req: Json) -> Json:
    """Put or delete up to 25 items in any tables, without conditions. Either all are written or the call fails, except in
    tables that throttle: what they refuse comes back as UnprocessedItems.

    Raises: ValidationException, ResourceNotFoundException, ItemCollectionSizeLimitExceededException.
    Source: DynamoDB API_BatchWriteItem (read 2026-11).
    """
    if sum(len(requests) for requests in req["RequestItems"].values()) > _MAX_WRITES:
        raise ValidationException("Too many items requested for the BatchWriteItem call")
    level = req.get("ReturnConsumedCapacity", "NONE")
    changes: dict[str, list[Change]] = {}
    for name, requests in req["RequestItems"].items():
        changes[name] = [_prepared(ctx, name, request) for request in requests]
    _all_different([change.key for prepared in changes.values() for change in prepared])
    tallies: list[Tally] = []
    metrics: dict[str, list[Any]] = {}
    unprocessed: dict[str, list[Json]] = {}
    refused: AwsError | None = None
    for name, prepared in changes.items():
        tally = Tally(name)
        for change, request in zip(prepared, req["RequestItems"][name], strict=True):
            error = _write(ctx, change, tally, level != "NONE")
            if error is not None:
                refused = error
                unprocessed.setdefault(name, []).append(request)
        tallies.append(tally)
        if req.get("ReturnItemCollectionMetrics") == "SIZE" and prepared[0].layout.tracked:
            metrics[name] = _metrics(ctx, prepared[0].layout, prepared)
    if refused is not None and sum(map(len, unprocessed.values())) == sum(map(len, changes.values())):
        raise refused
    out: Json = {"UnprocessedItems": unprocessed}
    if level != "NONE":
        out["ConsumedCapacity"] = [tally.answer(level) for tally in tallies]
    if metrics:
        out["ItemCollectionMetrics"] = metrics
    return out


def _write(ctx: Context, change: Change, tally: Tally, tallied: bool) -> AwsError | None:
    """Write one change; the error when the table has no throughput left for it."""
    limited = throttled(change.layout.table)
    old = ctx.tx.get_bytes(change.key) if change.needs_old() or tallied or limited else None
    mark = ctx.tx.savepoint() if limited else 0
    units = Tally(tally.name)
    change.apply(ctx, old, units)
    try:
        charge(ctx, change.layout.table, units, write=True)
    except THROTTLED as error:
        ctx.tx.rollback(mark)
        return error
    tally.join(units)
    return None


def _prepared(ctx: Context, name: str, request: Json) -> Change:
    if len(request) != 1:
        raise ValidationException(
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the "
            "supported datatypes"
            if len(request) > 1
            else "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
        )
    if "PutRequest" in request:
        try:
            return prepare_put(ctx, {"TableName": name, "Item": request["PutRequest"]["Item"]})
        except ValidationException as error:
            if error.message.startswith(_KEYS):
                raise ValidationException("The provided key element does not match the schema") from error
            raise
    return prepare_delete(ctx, {"TableName": name, "Key": request["DeleteRequest"]["Key"]})


def _metrics(ctx: Context, layout: Layout, changes: list[Change]) -> list[Any]:
    seen: dict[str, Any] = {}
    for change in changes:
        seen.setdefault(str(change.item[layout.pk]), collection_metrics(ctx, layout, change.item))
    return list(seen.values())
