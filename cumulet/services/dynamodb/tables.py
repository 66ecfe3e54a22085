"""Operations on tables.

States of a table: CREATING -> ACTIVE, ACTIVE -> UPDATING -> ACTIVE, ACTIVE -> DELETING -> gone. Each arrow out of a
passing state is a durable timer (`lifecycle`), so that a restart in between leaves nothing stuck.
"""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.dynamodb.access import check_policy
from cumulet.services.dynamodb.describe import describe
from cumulet.services.dynamodb.errors import (
    LimitExceededException,
    ResourceInUseException,
    ResourceNotFoundException,
    ValidationException,
    invalid,
)
from cumulet.services.dynamodb.layout import find_layout, split_name
from cumulet.services.dynamodb.model import COUNTER, Index, Table, table_key
from cumulet.services.dynamodb.quotas import keep, switched, with_units
from cumulet.services.dynamodb.schema import (
    attribute_types,
    check_attributes,
    check_indexes,
    check_name,
    index_record,
    key_names,
    on_demand,
    refuse_settings,
    tags_of,
    throughput,
)
from cumulet.services.dynamodb.snapshots import keep_deleted
from cumulet.services.dynamodb.streamcontrol import with_stream, without_stream

Json = dict[str, Any]
_LIST_LIMIT = 100


def create_table(ctx: Context, req: Json) -> Json:
    """Create a table; it is CREATING until a timer, due at once, makes it ACTIVE.

    Raises: ValidationException, ResourceInUseException, NotImplementedOnCumulet (encryption with a key of one's
    own, replicas, warm throughput).
    Source: DynamoDB API_CreateTable (read 2026-11).
    """
    refuse_settings(req)
    check_name(req["TableName"])
    for member in ("AttributeDefinitions", "KeySchema"):
        if member not in req:
            raise ValidationException(
                f"1 validation error detected: Value null at '{member[0].lower()}{member[1:]}' failed to "
                "satisfy constraint: Member must not be null"
            )
    mode = req.get("BillingMode", "PROVISIONED")
    read, write = throughput(req, mode)
    most_read, most_write = on_demand(req.get("OnDemandThroughput"), mode)
    types = attribute_types(req["AttributeDefinitions"])
    pk, sk = key_names(req["KeySchema"])
    specs = _index_specs(req)
    indexes = tuple(index_record(spec, local, ctx.tx.add(COUNTER), mode, pk) for spec, local in specs)
    names = [pk, sk, *(name for index in indexes for name in (index.pk, index.sk))]
    check_attributes(types, [name for name in names if name], bool(indexes))
    check_indexes(indexes, sk)
    name = req["TableName"]
    if ctx.tx.get(table_key(ctx.account, ctx.region, name), Table) is not None:
        raise ResourceInUseException(f"Table already exists: {name}")
    table = Table(
        name=name, account=ctx.account, region=ctx.region, table_id=ctx.ids.uuid(), number=ctx.tx.add(COUNTER), attributes=types,
        pk=pk, sk=sk, created_at=ctx.now, billing_mode=mode, billed_since=ctx.now if mode == "PAY_PER_REQUEST" else 0.0,
        read_units=read, write_units=write, max_read_units=most_read, max_write_units=most_write, indexes=indexes,
        deletion_protection=req.get("DeletionProtectionEnabled", False),
        table_class=req.get("TableClass", ""), tags=tags_of({}, req.get("Tags", [])),
    )  # fmt: skip
    if "ResourcePolicy" in req:
        check_policy(req["ResourcePolicy"])
        table = replace(table, policy=req["ResourcePolicy"])
    if "StreamSpecification" in req:
        table = with_stream(ctx, table, req["StreamSpecification"])
    keep(ctx, None, table)
    _continue(ctx, table)
    return {"TableDescription": describe(ctx, table)}


def _index_specs(req: Json) -> list[tuple[Json, bool]]:
    specs: list[tuple[Json, bool]] = []
    for member, local in (("LocalSecondaryIndexes", True), ("GlobalSecondaryIndexes", False)):
        if member in req and not req[member]:
            raise invalid(f"List of {member} is empty")
        specs += [(spec, local) for spec in req.get(member, [])]
    return specs


def _continue(ctx: Context, table: Table) -> None:
    ctx.tx.wake(ctx.now, "dynamodb.table", (table.account, table.region, table.name, table.number))


def _table(ctx: Context, name: str) -> Table:
    layout = find_layout(ctx, name)
    if layout is None:
        raise ResourceNotFoundException(f"Requested resource not found: Table: {split_name(ctx, name)[2]} not found")
    return layout.table


def describe_table(ctx: Context, req: Json) -> Json:
    """Describe a table. ItemCount and sizes are exact up to a thousand items, above that from a count up to 6 h old.

    Raises: ResourceNotFoundException.
    Source: DynamoDB API_DescribeTable (read 2026-11).
    """
    return {"Table": describe(ctx, _table(ctx, req["TableName"]))}


def list_tables(ctx: Context, req: Json) -> Json:
    """Table names in alphabetical order, at most Limit (100) at a time.

    Source: DynamoDB API_ListTables (read 2026-11).
    """
    limit = req.get("Limit", _LIST_LIMIT)
    prefix = ("dynamodb", "table", ctx.account, ctx.region)
    start = (*prefix, req["ExclusiveStartTableName"]) if "ExclusiveStartTableName" in req else None
    names = [str(key[-1]) for key in ctx.tx.scan_keys(prefix, start=start, limit=limit + 2)]
    if start is not None and names and names[0] == req["ExclusiveStartTableName"]:
        names = names[1:]
    out: Json = {"TableNames": names[:limit]}
    if len(names) > limit:
        out["LastEvaluatedTableName"] = names[limit - 1]
    return out


def delete_table(ctx: Context, req: Json) -> Json:
    """Delete a table and its items; it is DELETING while a timer removes its rows, some at a time.

    Raises: ResourceNotFoundException, ResourceInUseException (while it is created or updated), ValidationException (deletion
    protection).
    Source: DynamoDB API_DeleteTable (read 2026-11).
    """
    table = _table(ctx, req["TableName"])
    if table.deletion_protection:
        raise ValidationException(
            "Resource cannot be deleted as it is currently protected against deletion. "
            "Disable deletion protection first."
        )
    if table.status == "DELETING":
        return {"TableDescription": describe(ctx, table)}
    if table.status != "ACTIVE":
        raise ResourceInUseException(
            f"Attempt to change a resource which is still in use: Table is being "
            f"{'created' if table.status == 'CREATING' else 'updated'}: {table.name}"
        )
    keep_deleted(ctx, table)
    deleted = replace(without_stream(ctx, table), status="DELETING")
    keep(ctx, table, deleted)
    _continue(ctx, deleted)
    return {"TableDescription": describe(ctx, deleted)}


def update_table(ctx: Context, req: Json) -> Json:
    """Change billing mode, throughput, deletion protection, class or stream, or create, update or delete one global index.

    A new index is filled by a timer, some items at a time; it can be queried when it is ACTIVE.
    Raises: ValidationException, ResourceNotFoundException, ResourceInUseException,
    LimitExceededException (one index at a time, throughput), NotImplementedOnCumulet.
    Source: DynamoDB API_UpdateTable (read 2026-11).
    """
    refuse_settings(req)
    table = _table(ctx, req["TableName"])
    if table.status != "ACTIVE":
        raise ResourceInUseException(
            f"Attempt to change a resource which is still in use: Table is being "
            f"{'created' if table.status == 'CREATING' else table.status.lower()}: {table.name}"
        )
    changed = _rebilled(ctx, table, req)
    if "OnDemandThroughput" in req or changed.billing_mode == "PROVISIONED":
        most_read, most_write = on_demand(req.get("OnDemandThroughput"), changed.billing_mode)
        changed = replace(changed, max_read_units=most_read, max_write_units=most_write)
    if "DeletionProtectionEnabled" in req:
        changed = replace(changed, deletion_protection=req["DeletionProtectionEnabled"])
    if "TableClass" in req:
        changed = replace(changed, table_class=req["TableClass"])
    if "StreamSpecification" in req:
        changed = with_stream(ctx, changed, req["StreamSpecification"])
    updates = req.get("GlobalSecondaryIndexUpdates", [])
    if sum("Create" in update or "Delete" in update for update in updates) > 1:
        raise _too_many_index_updates()
    for update in updates:
        changed = _reindexed(ctx, changed, update, req)
    if not any(name in req for name in ("BillingMode", "ProvisionedThroughput", "DeletionProtectionEnabled", "TableClass", "OnDemandThroughput",
                                        "GlobalSecondaryIndexUpdates", "StreamSpecification", "SSESpecification")):  # fmt: skip
        raise invalid(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or "
            "SSESpecification or ReplicaUpdates is required"
        )
    for index in changed.indexes:
        if (
            changed.billing_mode == "PROVISIONED"
            and not index.local
            and index.status != "DELETING"
            and not index.read_units
        ):
            raise invalid(f"ProvisionedThroughput must be specified for index: {index.name}")
    changed = replace(changed, status="UPDATING")
    keep(ctx, table, changed)
    _continue(ctx, changed)
    return {"TableDescription": describe(ctx, changed)}


def _too_many_index_updates() -> LimitExceededException:
    return LimitExceededException(
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"
    )


def _unchanged(owner: str, kind: str, read: int, write: int) -> ValidationException:
    return ValidationException(
        f"The provisioned throughput for the {owner} will not change. The requested value equals the "
        f"current value. Current ReadCapacityUnits provisioned for the {kind}: {read}. Requested "
        f"ReadCapacityUnits: {read}. Current WriteCapacityUnits provisioned for the {kind}: {write}. "
        f"Requested WriteCapacityUnits: {write}. Refer to the Amazon DynamoDB Developer Guide for "
        "current limits and how to request higher limits."
    )


def _rebilled(ctx: Context, table: Table, req: Json) -> Table:
    mode = req.get("BillingMode", table.billing_mode)
    if mode == table.billing_mode and "ProvisionedThroughput" not in req:
        return table
    read, write = throughput(req, mode)
    if mode == table.billing_mode and (read, write) == (table.read_units, table.write_units):
        if mode == "PROVISIONED" and "GlobalSecondaryIndexUpdates" not in req:
            raise _unchanged("table", "table", read, write)
        return table
    if mode == "PROVISIONED" and table.billing_mode == "PROVISIONED":
        return with_units(table, read, write, ctx.now)
    indexes = table.indexes
    if mode == "PAY_PER_REQUEST":
        indexes = tuple(replace(index, read_units=0, write_units=0) for index in indexes)
    else:
        indexes = tuple(replace(index, max_read_units=0, max_write_units=0) for index in indexes)
    if mode == "PAY_PER_REQUEST" and mode != table.billing_mode:
        table = switched(table, ctx.now)
    since = ctx.now if mode == "PAY_PER_REQUEST" and mode != table.billing_mode else table.billed_since
    return replace(
        table, billing_mode=mode, read_units=read, write_units=write, indexes=indexes, billed_since=since or ctx.now
    )


def _reindexed(ctx: Context, table: Table, update: Json, req: Json) -> Table:
    if "Create" in update:
        return _with_index(ctx, table, update["Create"], req)
    spec = update.get("Update") or update.get("Delete")
    if spec is None:
        raise invalid(
            "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, "
            "GlobalSecondaryIndexUpdate.Delete must not be null"
        )
    index = next((i for i in table.indexes if i.name == spec["IndexName"] and not i.local), None)
    if index is None or index.status == "DELETING":
        raise ResourceNotFoundException(
            f"Requested resource not found: Table: {table.name} Index: {spec['IndexName']} not found"
        )
    if "Delete" in update:
        if index.status != "ACTIVE":
            raise ResourceInUseException(
                f"Attempt to change a resource which is still in use: Index is being created: {index.name}"
            )
        return _with(table, replace(index, status="DELETING"))
    if "OnDemandThroughput" in spec:
        most_read, most_write = on_demand(spec["OnDemandThroughput"], table.billing_mode)
        index = replace(index, max_read_units=most_read, max_write_units=most_write)
        if "ProvisionedThroughput" not in spec:
            return _with(table, index)
    read, write = throughput(spec, table.billing_mode, index.name)
    if table.billing_mode == "PROVISIONED" and index.read_units:
        if (read, write) == (index.read_units, index.write_units):
            raise _unchanged(f"index {index.name}", "index", read, write)
        return _with(table, with_units(index, read, write, ctx.now))
    return _with(table, replace(index, read_units=read, write_units=write))


def _with_index(ctx: Context, table: Table, spec: Json, req: Json) -> Table:
    asked = attribute_types(req.get("AttributeDefinitions", []))
    types = {**asked, **table.attributes}  # what an attribute is, it remains
    index = index_record(spec, False, ctx.tx.add(COUNTER), table.billing_mode, table.pk)
    if any(other.name == index.name for other in table.indexes):
        raise invalid(f"Duplicate index name: {index.name}")
    if any(other.status in ("CREATING", "DELETING") for other in table.indexes):
        raise _too_many_index_updates()
    indexes = (*table.indexes, replace(index, status="CREATING", backfilling=True))
    check_indexes(indexes, table.sk)
    missing = [name for name in (index.pk, index.sk) if name and name not in asked]  # those the table has do not count
    if missing:
        raise invalid(
            "Some index key attributes are not defined in AttributeDefinitions. "
            f"Keys: [{', '.join(missing)}], AttributeDefinitions: [{', '.join(asked)}]"
        )
    used = {table.pk, table.sk, *(name for i in indexes for name in (i.pk, i.sk))}
    return replace(table, indexes=indexes, attributes={name: kind for name, kind in types.items() if name in used})


def _with(table: Table, index: Index) -> Table:
    return replace(table, indexes=tuple(index if i.name == index.name else i for i in table.indexes))
