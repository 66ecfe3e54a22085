"""ExecuteStatement, BatchExecuteStatement and ExecuteTransaction: PartiQL."""

from __future__ import annotations

from typing import Any

import msgspec

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.kernel.once import once
from cumulet.services.dynamodb.capacity import Tally, read_units
from cumulet.services.dynamodb.changes import Change
from cumulet.services.dynamodb.errors import (
    AccessDeniedException,
    ConditionalCheckFailedException,
    DuplicateItemException,
    IdempotentParameterMismatchException,
    ItemCollectionSizeLimitExceededException,
    ProvisionedThroughputExceededException,
    ResourceNotFoundException,
    ThrottlingException,
    ValidationException,
)
from cumulet.services.dynamodb.layout import item_size
from cumulet.services.dynamodb.model import Table
from cumulet.services.dynamodb.partiql.parser import parse
from cumulet.services.dynamodb.partiql.reading import read_item, select
from cumulet.services.dynamodb.partiql.statements import Select, Statement
from cumulet.services.dynamodb.partiql.writing import prepare, returned
from cumulet.services.dynamodb.throttle import charge
from cumulet.services.dynamodb.transacting import (
    FACTOR,
    MAX_TRANSACTION_BYTES,
    consumed,
    digest_of,
    one_account,
    one_each,
    prepare_all,
    write_all,
)
from cumulet.services.dynamodb.transactions import Written

Json = dict[str, Any]
_TOKEN_S = 600.0
_CODES: dict[type[AwsError], str] = {
    AccessDeniedException: "AccessDenied",
    ConditionalCheckFailedException: "ConditionalCheckFailed",
    DuplicateItemException: "DuplicateItem",
    ItemCollectionSizeLimitExceededException: "ItemCollectionSizeLimitExceeded",
    ProvisionedThroughputExceededException: "ProvisionedThroughputExceeded",
    ResourceNotFoundException: "ResourceNotFound",
    ThrottlingException: "ThrottlingError",
    ValidationException: "ValidationError",
}


def _parsed(entry: Json) -> Statement:
    if "Parameters" in entry and not entry["Parameters"]:
        raise ValidationException(
            "1 validation error detected: Value '[]' at 'parameters' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1"
        )
    return parse(entry["Statement"], entry.get("Parameters", []))


def execute_statement(ctx: Context, req: Json) -> Json:
    """Run one PartiQL statement of at most 8192 characters.

    A SELECT whose WHERE fixes the partition key (by = or IN) is a Query, any other one a Scan; a page ends at Limit items
    or 1 MB. INSERT, UPDATE and DELETE change one item, named by its whole key.
    Raises: ValidationException, ResourceNotFoundException, ConditionalCheckFailedException, DuplicateItemException,
    ItemCollectionSizeLimitExceededException, ProvisionedThroughputExceededException.
    Source: DynamoDB API_ExecuteStatement; developer guide, "PartiQL - a SQL-compatible query language for Amazon
    DynamoDB" (read 2026-11).
    """
    statement = _parsed(req)
    if isinstance(statement, Select):
        if statement.exists:
            raise ValidationException("EXISTS can only be used in ExecuteTransaction")
        return select(ctx, statement, req)
    for member in ("Limit", "NextToken"):
        if member in req:
            raise ValidationException(f"{member} is not supported for write statements")
    items, tally = _write(ctx, statement, req)
    out: Json = {"Items": items}
    level = req.get("ReturnConsumedCapacity", "NONE")
    if level != "NONE":
        out["ConsumedCapacity"] = tally.answer(level)
    return out


def _write(ctx: Context, statement: Statement, entry: Json) -> tuple[list[Any], Tally]:
    change, wanted = prepare(ctx, statement)
    old = ctx.tx.get_bytes(change.key)
    change.check(old, entry.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD")
    tally = Tally(change.layout.table.name)
    new = change.apply(ctx, old, tally)
    charge(ctx, change.layout.table, tally, write=True)
    return returned(change, wanted, old, new), tally


def batch_execute_statement(ctx: Context, req: Json) -> Json:
    """Run up to 25 statements, each for itself: reads of single items, or writes, not both. An error stands in the
    statement's response.

    Raises: ValidationException.
    Source: DynamoDB API_BatchExecuteStatement; developer guide, "Running batch operations with PartiQL" (read 2026-11).
    """
    parsed: list[Statement | AwsError] = []
    for entry in req["Statements"]:
        try:
            parsed.append(_parsed(entry))
        except ValidationException as error:
            parsed.append(error)
    _one_kind([statement for statement in parsed if isinstance(statement, Statement)], "BatchExecuteStatement")
    responses: list[Json] = []
    tallies: dict[str, Tally] = {}
    for entry, statement in zip(req["Statements"], parsed, strict=True):
        mark = ctx.tx.savepoint()
        out: Json = {"TableName": statement.table} if isinstance(statement, Statement) else {}
        try:
            if isinstance(statement, AwsError):
                raise statement
            item, tally = _one(ctx, statement, entry)
        except tuple(_CODES) as error:
            ctx.tx.rollback(mark)
            out["Error"] = {"Code": _CODES[type(error)], "Message": error.message, **error.members}
        else:
            if item is not None:
                out["Item"] = item
            tallies.setdefault(tally.name, Tally(tally.name)).join(tally)
        responses.append(out)
    answer: Json = {"Responses": responses}
    level = req.get("ReturnConsumedCapacity", "NONE")
    if level != "NONE":
        answer["ConsumedCapacity"] = [tally.answer(level) for tally in tallies.values()]
    return answer


def _one_kind(statements: list[Statement], operation: str) -> None:
    """Raises: ValidationException for reads beside writes; EXISTS stands with the writes of a transaction."""
    reads = {isinstance(statement, Select) and not statement.exists for statement in statements}
    if len(reads) > 1:
        raise ValidationException(f"{operation} does not support both read and write statements in the same request")


def _one(ctx: Context, statement: Statement, entry: Json) -> tuple[Any, Tally]:
    if not isinstance(statement, Select):
        items, tally = _write(ctx, statement, entry)
        return (items[0] if items else None), tally
    if statement.exists:
        raise ValidationException("EXISTS can only be used in ExecuteTransaction")
    layout, _, row, item = read_item(ctx, statement, "BatchExecuteStatement")
    tally = Tally(layout.table.name)
    tally.table = read_units(item_size(row) if row else 0, entry.get("ConsistentRead", False))
    charge(ctx, layout.table, tally, write=False)
    return item, tally


def execute_transaction(ctx: Context, req: Json) -> Json:
    """Run up to 100 statements all or none: reads of single items, or writes of different items and EXISTS checks.

    Idempotent by ClientRequestToken for 10 minutes. Raises: TransactionCanceledException with one reason per statement,
    ValidationException, ResourceNotFoundException, IdempotentParameterMismatchException.
    Source: DynamoDB API_ExecuteTransaction; developer guide, "Performing transactions with PartiQL" (read 2026-11).
    """
    statements = [_parsed(entry) for entry in req["TransactStatements"]]
    _one_kind(statements, "ExecuteTransaction")
    if isinstance(statements[0], Select) and not statements[0].exists:
        return _read_all(ctx, [each for each in statements if isinstance(each, Select)], req)
    token: str | None = req.get("ClientRequestToken")
    key = ("dynamodb", "token", ctx.account, ctx.region, token) if token else None
    digest = digest_of(req["TransactStatements"])
    written, _ = once(
        ctx,
        key,
        _TOKEN_S,
        Written,
        lambda: Written(digest=digest, answer=msgspec.json.encode(_write_all(ctx, statements, req))),
    )
    if written.digest != digest:
        raise IdempotentParameterMismatchException(
            "The provided request parameters do not match a previous request with the same client request token"
        )
    out: Json = msgspec.json.decode(written.answer)
    return out


def _read_all(ctx: Context, statements: list[Select], req: Json) -> Json:
    responses: list[Json] = []
    tallies: dict[str, Tally] = {}
    tables: dict[str, Table] = {}
    accounts: set[str] = set()
    keys: list[bytes] = []
    size = 0
    for statement in statements:
        layout, key, row, item = read_item(ctx, statement, "ExecuteTransaction")
        keys.append(key)
        tables[layout.table.name] = layout.table
        accounts.add(layout.table.account)
        size += item_size(row) if row else 0
        responses.append({"Item": item} if item is not None else {})
        tally = tallies.setdefault(layout.table.name, Tally(layout.table.name))
        tally.table += read_units(item_size(row) if row else 0, True)
    one_account(accounts)
    one_each(keys)
    if size > MAX_TRANSACTION_BYTES:
        raise ValidationException(
            "Collection size of all items in the transaction has exceeded the maximum limit of 4 MB"
        )
    for name, table in tables.items():
        charge(ctx, table, tallies[name], write=False, factor=FACTOR)
    out: Json = {"Responses": responses}
    level = req.get("ReturnConsumedCapacity", "NONE")
    if level != "NONE":
        out["ConsumedCapacity"] = consumed(tallies, level, "Read")
    return out


def _write_all(ctx: Context, statements: list[Statement], req: Json) -> Json:
    def prepared(pair: tuple[Statement, Json]) -> tuple[Change, bool]:
        statement, entry = pair
        change, wanted = prepare(ctx, statement)
        if wanted != "NONE":
            raise ValidationException("RETURNING cannot be used in ExecuteTransaction")
        return change, entry.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"

    changes = prepare_all(list(zip(statements, req["TransactStatements"], strict=True)), prepared)
    out = write_all(ctx, changes, {"ReturnConsumedCapacity": req.get("ReturnConsumedCapacity", "NONE")})
    out["Responses"] = [{} for _ in changes]
    return out
