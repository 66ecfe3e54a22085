"""What DynamoDB's operations need of IAM: an action for each table, index, backup and stream that they touch.

Tables' resource policies are looked at in `access` whenever a table is opened, with or without enforcement; here they are given
to the decision because an Allow in them is enough for a principal of the table's account.
Source: Service Authorization Reference, "Amazon DynamoDB"; developer guide, "Using IAM policy conditions for fine-grained
access control", "IAM policies with PartiQL", "with transactions" (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from cumulet.kernel.authz import Authz, Need
from cumulet.kernel.context import Context
from cumulet.services.dynamodb.layout import split_name
from cumulet.services.dynamodb.model import Table, table_key
from cumulet.services.dynamodb.partiql.parser import parse
from cumulet.services.dynamodb.partiql.statements import Select

Json = dict[str, Any]
Needs = Callable[[Context, Json], Iterable[Need]]
_TRANSACT = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
_KEY_MEMBERS = (
    "ProjectionExpression",
    "KeyConditionExpression",
    "FilterExpression",
    "UpdateExpression",
    "ConditionExpression",
)


def need(ctx: Context, action: str, name: str, index: str = "", **facts: Any) -> Need:
    """To do something with a table, named or by ARN, or with an index of it."""
    account, region, plain = split_name(ctx, name)
    table = ctx.tx.get(table_key(account, region, plain), Table)
    arn = f"arn:aws:dynamodb:{region}:{account}:table/{plain}"
    if table is not None:
        facts |= {f"aws:ResourceTag/{key}": value for key, value in table.tags.items()}
    policy = table.policy or None if table is not None else None
    return Need(f"dynamodb:{action}", f"{arn}/index/{index}" if index else arn, account, policy, facts)


def _text(value: Json) -> str:
    return str(next(iter(value.values())))


def _leading(ctx: Context, name: str, keys: Iterable[Json]) -> Callable[[], list[str] | None]:
    """dynamodb:LeadingKeys: the partition keys that are touched."""

    def found() -> list[str] | None:
        table = ctx.tx.get(table_key(*split_name(ctx, name)), Table)
        return None if table is None else sorted({_text(key[table.pk]) for key in keys if table.pk in key}) or None

    return found


def _attributes(req: Json) -> Callable[[], list[str] | None]:
    """dynamodb:Attributes: the top-level attributes that a request names."""

    def found() -> list[str] | None:
        names = set(req.get("ExpressionAttributeNames", {}).values()) | set(req.get("AttributesToGet", ()))
        names |= set(req.get("Item", {})) | set(req.get("Key", {})) | set(req.get("AttributeUpdates", {}))
        names |= set(req.get("KeyConditions", {})) | set(req.get("QueryFilter", {})) | set(req.get("Expected", {}))
        for member in _KEY_MEMBERS:
            names |= _named_in(req.get(member, ""))
        return sorted(names) or None

    return found


_WORDS = frozenset((
    "and", "or", "not", "between", "in", "set", "remove", "add", "delete", "attribute_exists", "attribute_not_exists",
    "attribute_type", "begins_with", "contains", "size", "if_not_exists", "list_append",
))  # fmt: skip


def _named_in(expression: str) -> set[str]:
    tokens = re.findall(r"(?<![\w.:#\]])[A-Za-z_][A-Za-z0-9_]*", expression)
    return {token for token in tokens if token.lower() not in _WORDS}


def _facts(ctx: Context, req: Json) -> Json:
    facts: Json = {"dynamodb:Attributes": _attributes(req)}
    for member, key in (("Select", "dynamodb:Select"), ("ReturnValues", "dynamodb:ReturnValues"),
                        ("ReturnConsumedCapacity", "dynamodb:ReturnConsumedCapacity")):  # fmt: skip
        if member in req:
            facts[key] = req[member]
    return facts


def _on_item(action: str) -> Needs:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        key = req.get("Key") or req.get("Item") or {}
        facts = _facts(ctx, req)
        facts["dynamodb:LeadingKeys"] = _leading(ctx, req["TableName"], [key])
        yield need(ctx, action, req["TableName"], **facts)

    return needs


def _reading(action: str) -> Needs:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        facts = _facts(ctx, req)
        if action == "Query":
            facts["dynamodb:LeadingKeys"] = lambda: _asked_key(ctx, req)
        else:
            facts["dynamodb:FullTableScan"] = True
        yield need(ctx, action, req["TableName"], req.get("IndexName", ""), **facts)

    return needs


def _asked_key(ctx: Context, req: Json) -> list[str] | None:
    """What a Query's condition says the partition key is."""
    table = ctx.tx.get(table_key(*split_name(ctx, req["TableName"])), Table)
    if table is None:
        return None
    pk = table.pk
    if "IndexName" in req:
        pk = next((index.pk for index in table.indexes if index.name == req["IndexName"]), pk)
    for name, condition in req.get("KeyConditions", {}).items():
        if name == pk:
            return [_text(value) for value in condition.get("AttributeValueList", ())]
    names, values = req.get("ExpressionAttributeNames", {}), req.get("ExpressionAttributeValues", {})
    for left, right in re.findall(r"([#:\w]+)\s*=\s*([#:\w]+)", req.get("KeyConditionExpression", "")):
        for name, value in ((left, right), (right, left)):
            if names.get(name, name) == pk and value in values:
                return [_text(values[value])]
    return None


def _batch_get(ctx: Context, req: Json) -> Iterable[Need]:
    for name, asked in req["RequestItems"].items():
        facts = _facts(ctx, asked)
        yield need(
            ctx, "BatchGetItem", name, **{**facts, "dynamodb:LeadingKeys": _leading(ctx, name, asked.get("Keys", ()))}
        )


def _batch_write(ctx: Context, req: Json) -> Iterable[Need]:
    for name, asked in req["RequestItems"].items():
        items = [each["PutRequest"]["Item"] if "PutRequest" in each else each.get("DeleteRequest", {}).get("Key", {})
                 for each in asked]  # fmt: skip
        attributes = sorted({attribute for item in items for attribute in item})
        facts: Json = {"dynamodb:LeadingKeys": _leading(ctx, name, items), "dynamodb:Attributes": attributes}
        yield need(ctx, "BatchWriteItem", name, **facts)


def _transact(ctx: Context, req: Json) -> Iterable[Need]:
    """A transaction needs the actions of its parts."""
    for each in req["TransactItems"]:
        for kind, asked in each.items():
            action = _TRANSACT.get(kind, "GetItem")
            facts = _facts(ctx, asked)
            key = asked.get("Key") or asked.get("Item") or {}
            facts["dynamodb:LeadingKeys"] = _leading(ctx, asked["TableName"], [key])
            facts["dynamodb:EnclosingOperation"] = "TransactWriteItems" if action != "GetItem" else "TransactGetItems"
            yield need(ctx, action, asked["TableName"], **facts)


def _statements(member: str) -> Needs:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        for entry in req[member] if member else (req,):
            statement = parse(entry["Statement"], entry.get("Parameters", ()))
            index = statement.index if isinstance(statement, Select) else None
            yield need(ctx, f"PartiQL{type(statement).__name__}", statement.table, index or "")

    return needs


def _table(action: str) -> Needs:
    return lambda ctx, req: (need(ctx, action, req["TableName"]),)


def _by_arn(action: str, member: str = "ResourceArn") -> Needs:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        arn = req[member]
        if (
            "/backup/" in arn
            or "/stream/" in arn
            or "/export/" in arn
            or "/import/" in arn
            or not arn.startswith("arn:")
        ):
            return (Need(f"dynamodb:{action}", arn),)
        return (need(ctx, action, arn),)

    return needs


def _restore_backup(ctx: Context, req: Json) -> Iterable[Need]:
    yield Need("dynamodb:RestoreTableFromBackup", req["BackupArn"])
    for action in (
        "RestoreTableFromBackup",
        "BatchWriteItem",
        "UpdateItem",
        "PutItem",
        "DeleteItem",
        "GetItem",
        "Query",
        "Scan",
    ):
        yield need(ctx, action, req["TargetTableName"])


def _restore_time(ctx: Context, req: Json) -> Iterable[Need]:
    yield need(ctx, "RestoreTableToPointInTime", req.get("SourceTableName") or req.get("SourceTableArn", ""))
    for action in (
        "RestoreTableToPointInTime",
        "BatchWriteItem",
        "UpdateItem",
        "PutItem",
        "DeleteItem",
        "GetItem",
        "Query",
        "Scan",
    ):
        yield need(ctx, action, req["TargetTableName"])


def _export(ctx: Context, req: Json) -> Iterable[Need]:
    yield need(ctx, "ExportTableToPointInTime", req["TableArn"])
    prefix = f"{req['S3Prefix'].strip('/')}/" if req.get("S3Prefix") else ""
    yield Need("s3:PutObject", f"arn:aws:s3:::{req['S3Bucket']}/{prefix}AWSDynamoDB/*")


def _import(ctx: Context, req: Json) -> Iterable[Need]:
    source = req["S3BucketSource"]
    arn, prefix = f"arn:aws:s3:::{source['S3Bucket']}", source.get("S3KeyPrefix", "")
    yield Need("s3:ListBucket", arn, facts={"s3:prefix": prefix})
    yield Need("s3:GetObject", f"{arn}/{prefix}*")
    yield need(ctx, "ImportTable", req["TableCreationParameters"]["TableName"])


_TABLE = ("CreateBackup", "CreateTable", "DeleteTable", "DescribeContinuousBackups", "DescribeTable", "DescribeTimeToLive",
          "UpdateContinuousBackups", "UpdateTable", "UpdateTimeToLive")  # fmt: skip

AUTHZ = Authz(
    "dynamodb",
    {
        **{name: _on_item(name) for name in ("GetItem", "PutItem", "UpdateItem", "DeleteItem")},
        **{name: _reading(name) for name in ("Query", "Scan")},
        "BatchGetItem": _batch_get,
        "BatchWriteItem": _batch_write,
        "TransactGetItems": _transact,
        "TransactWriteItems": _transact,
        "ExecuteStatement": _statements(""),
        "BatchExecuteStatement": _statements("Statements"),
        "ExecuteTransaction": _statements("TransactStatements"),
        **{name: _table(name) for name in _TABLE},
        **{
            name: _by_arn(name)
            for name in ("DeleteResourcePolicy", "GetResourcePolicy", "ListTagsOfResource", "PutResourcePolicy", "TagResource",
                         "UntagResource")
        },
        **{name: _by_arn(name, "BackupArn") for name in ("DescribeBackup", "DeleteBackup")},
        "DescribeExport": _by_arn("DescribeExport", "ExportArn"),
        "DescribeImport": _by_arn("DescribeImport", "ImportArn"),
        "ExportTableToPointInTime": _export,
        "ImportTable": _import,
        "RestoreTableFromBackup": _restore_backup,
        "RestoreTableToPointInTime": _restore_time,
    },
)  # fmt: skip
