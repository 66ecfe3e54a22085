"""Tables in the words of TableDescription, and their item counts."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.keys import after_prefix, pack
from cumulet.kernel.record import Record
from cumulet.services.dynamodb.layout import item_size
from cumulet.services.dynamodb.model import Index, Table
from cumulet.services.dynamodb.quotas import decreases_today

Json = dict[str, Any]
COUNTED_AT_ONCE = 1000
STALE_AFTER_S = 6 * 3600.0


class Count(Record):
    """Rows and bytes of a table or an index larger than what is counted at once, as of `at`."""

    rows: int
    size: int
    at: float


def count_key(number: int) -> tuple[str, str, int]:
    return ("dynamodb", "count", number)


def _counted(ctx: Context, owner: Table | Index) -> tuple[int, int]:
    """(rows, bytes): exact up to a thousand rows; above that a count that a timer takes, at most every six hours."""
    low = pack(owner.rows)
    rows = size = 0
    for _, row in ctx.tx.scan_bytes(low, after_prefix(low), limit=COUNTED_AT_ONCE + 1):
        rows += 1
        size += item_size(row)
    if rows <= COUNTED_AT_ONCE:
        return rows, size
    count = ctx.tx.get(count_key(owner.number), Count)
    if count is None or count.at + STALE_AFTER_S <= ctx.now:
        kind = owner.rows[1]
        ctx.tx.put(
            count_key(owner.number),
            Count(rows=count.rows if count else rows, size=count.size if count else size, at=ctx.now),
        )
        ctx.tx.wake(ctx.now, "dynamodb.count", (kind, owner.number, 0, 0, low))
    return (count.rows, count.size) if count is not None else (rows, size)


def _key_schema(pk: str, sk: str | None) -> list[Json]:
    out = [{"AttributeName": pk, "KeyType": "HASH"}]
    if sk:
        out.append({"AttributeName": sk, "KeyType": "RANGE"})
    return out


def _throughput(owner: Table | Index, now: float) -> Json:
    out: Json = {
        "NumberOfDecreasesToday": decreases_today(owner, now),
        "ReadCapacityUnits": owner.read_units,
        "WriteCapacityUnits": owner.write_units,
    }
    if owner.increased_at:
        out["LastIncreaseDateTime"] = owner.increased_at
    if owner.decreased_at:
        out["LastDecreaseDateTime"] = owner.decreased_at
    return out


def _on_demand(owner: Table | Index) -> Json:
    if not owner.max_read_units and not owner.max_write_units:
        return {}
    return {
        "OnDemandThroughput": {
            "MaxReadRequestUnits": owner.max_read_units or -1,
            "MaxWriteRequestUnits": owner.max_write_units or -1,
        }
    }


def describe_index(ctx: Context, table: Table, index: Index) -> Json:
    rows, size = _counted(ctx, index)
    projection: Json = {"ProjectionType": index.projection}
    if index.include:
        projection["NonKeyAttributes"] = list(index.include)
    out: Json = {
        "IndexName": index.name,
        "KeySchema": _key_schema(index.pk, index.sk),
        "Projection": projection,
        "IndexSizeBytes": size,
        "ItemCount": rows,
        "IndexArn": f"{table.arn}/index/{index.name}",
    }
    if not index.local:
        out["IndexStatus"] = index.status
        out["ProvisionedThroughput"] = _throughput(index, ctx.now)
        out.update(_on_demand(index))
        if index.backfilling:
            out["Backfilling"] = True
    return out


def describe(ctx: Context, table: Table) -> Json:
    """TableDescription."""
    rows, size = _counted(ctx, table)
    out: Json = {
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": kind} for name, kind in table.attributes.items()
        ],
        "TableName": table.name,
        "KeySchema": _key_schema(table.pk, table.sk),
        "TableStatus": table.status,
        "CreationDateTime": table.created_at,
        "ProvisionedThroughput": _throughput(table, ctx.now),
        "TableSizeBytes": size,
        "ItemCount": rows,
        "TableArn": table.arn,
        "TableId": table.table_id,
        "DeletionProtectionEnabled": table.deletion_protection,
    }
    if table.billed_since:
        out["BillingModeSummary"] = {"BillingMode": table.billing_mode}
        if table.billing_mode == "PAY_PER_REQUEST":
            out["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"] = table.billed_since
    local = [describe_index(ctx, table, index) for index in table.indexes if index.local]
    global_ = [describe_index(ctx, table, index) for index in table.indexes if not index.local]
    if local:
        out["LocalSecondaryIndexes"] = local
    if global_:
        out["GlobalSecondaryIndexes"] = global_
    if table.stream is not None:
        if table.stream.open:
            out["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": table.stream.view}
        out["LatestStreamLabel"] = table.stream.label
        out["LatestStreamArn"] = table.stream_arn
    out.update(_on_demand(table))
    if table.restored is not None:
        out["RestoreSummary"] = {
            "SourceTableArn": table.restored.table,
            "RestoreDateTime": table.restored.at,
            "RestoreInProgress": table.restored.going_on,
        }
        if table.restored.backup:
            out["RestoreSummary"]["SourceBackupArn"] = table.restored.backup
    if table.table_class:
        out["TableClassSummary"] = {"TableClass": table.table_class}
    return out
