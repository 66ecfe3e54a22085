"""Operations on exports to S3."""

from __future__ import annotations

from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.once import once
from cumulet.kernel.record import Record
from cumulet.services.dynamodb.errors import (
    ExportConflictException,
    ExportNotFoundException,
    InvalidExportTimeException,
    InvalidRestoreTimeException,
    TableNotFoundException,
    ValidationException,
)
from cumulet.services.dynamodb.exporting import Export, export_key
from cumulet.services.dynamodb.layout import find_layout
from cumulet.services.dynamodb.past import hold
from cumulet.services.dynamodb.quotas import begin_job
from cumulet.services.dynamodb.snapshots import moment_at

Json = dict[str, Any]
_TOKEN_S = 8 * 3600.0
_LIST_LIMIT = 25
_SAME = ("TableArn", "S3Bucket", "S3Prefix", "ExportTime", "ExportFormat")


class _Asked(Record):
    """What a client token stands for."""

    id: str
    request: Json


def _refuse(req: Json) -> None:
    refused = {
        "ExportFormat ION": req.get("ExportFormat") == "ION",
        "ExportType INCREMENTAL_EXPORT": req.get("ExportType") == "INCREMENTAL_EXPORT",
        "IncrementalExportSpecification": bool(req.get("IncrementalExportSpecification")),
        "FilterSpecification": bool(req.get("FilterSpecification")),
        "S3SseAlgorithm KMS": req.get("S3SseAlgorithm") == "KMS",
        "S3SseKmsKeyId": "S3SseKmsKeyId" in req,
    }
    for name, asked in refused.items():
        if asked:
            raise NotImplementedOnCumulet(f"dynamodb: {name} of an export is not implemented by Cumulet.")


def export_table_to_point_in_time(ctx: Context, req: Json) -> Json:
    """Write a table with point-in-time recovery, as it was at ExportTime (now), to S3 as gzipped DynamoDB JSON with
    manifests. A timer writes one file of some thousand items after the other.

    Idempotent by ClientToken for 8 hours. Raises: TableNotFoundException, PointInTimeRecoveryUnavailableException,
    InvalidExportTimeException, ExportConflictException (another request with that token), LimitExceededException (300 at a time),
    NotImplementedOnCumulet.
    Source: DynamoDB API_ExportTableToPointInTime (read 2026-11).
    """
    _refuse(req)
    layout = find_layout(ctx, req["TableArn"])
    if layout is None or layout.table.status == "DELETING":
        raise TableNotFoundException(f"Table not found: {req['TableArn'].rpartition('/')[2]}")
    table = layout.table
    token: str | None = req.get("ClientToken")
    key = ("dynamodb", "export token", ctx.account, ctx.region, token) if token else None
    same = {name: req[name] for name in _SAME if name in req}
    asked, first = once(
        ctx, key, _TOKEN_S, _Asked, lambda: _Asked(id=f"{int(ctx.now * 1000):014d}-{ctx.ids.hex(8)}", request=same)
    )
    if not first:
        if asked.request != same:
            raise ExportConflictException("Export request with the same client token but different parameters exists")
        return {"ExportDescription": _described(_export(ctx, f"{table.arn}/export/{asked.id}"))}
    try:
        moment = moment_at(ctx, table, req.get("ExportTime"))
    except InvalidRestoreTimeException as error:
        raise InvalidExportTimeException(
            "The specified ExportTime is outside of the point in time recovery window."
        ) from error
    export = Export(
        id=asked.id,
        table=table,
        moment=moment,
        export_time=req.get("ExportTime", ctx.now),
        started_at=ctx.now,
        bucket=req["S3Bucket"],
        owner=req.get("S3BucketOwner", ""),
        prefix=req.get("S3Prefix", "").strip("/"),
        sse=req.get("S3SseAlgorithm", ""),
        token=token or ctx.ids.uuid(),
    )
    begin_job(ctx, "export", table.account, table.region)
    ctx.tx.put(export.key, export)
    hold(ctx, table, "export", export.id, moment)
    ctx.tx.wake(ctx.now, "dynamodb.export", (table.account, table.region, export.id))
    return {"ExportDescription": _described(export)}


def _export(ctx: Context, arn: str) -> Export:
    parts = arn.split(":", 5)
    name = parts[5].rpartition("/export/")[2] if len(parts) == 6 else ""
    export = ctx.tx.get(export_key(parts[4], parts[3], name), Export) if name else None
    if export is None or export.arn != arn:
        raise ExportNotFoundException(f"Export not found: {arn}")
    return export


def _described(export: Export) -> Json:
    out: Json = {
        "ExportArn": export.arn,
        "ExportStatus": export.status,
        "StartTime": export.started_at,
        "TableArn": export.table.arn,
        "TableId": export.table.table_id,
        "ExportTime": export.export_time,
        "ClientToken": export.token,
        "S3Bucket": export.bucket,
        "S3SseAlgorithm": export.sse or "AES256",
        "ExportFormat": "DYNAMODB_JSON",
        "ExportType": "FULL_EXPORT",
    }
    if export.prefix:
        out["S3Prefix"] = export.prefix
    if export.owner:
        out["S3BucketOwner"] = export.owner
    if export.ended_at:
        out["EndTime"] = export.ended_at
    if export.status == "COMPLETED":
        out.update(ExportManifest=export.manifest, BilledSizeBytes=export.size, ItemCount=export.items)
    if export.failure_code:
        out.update(FailureCode=export.failure_code, FailureMessage=export.failure)
    return out


def describe_export(ctx: Context, req: Json) -> Json:
    """An export and how far it is.

    Raises: ExportNotFoundException.
    Source: DynamoDB API_DescribeExport (read 2026-11).
    """
    return {"ExportDescription": _described(_export(ctx, req["ExportArn"]))}


def list_exports(ctx: Context, req: Json) -> Json:
    """Exports of a table or of all, oldest first, at most MaxResults (25) at a time.

    Raises: ValidationException.
    Source: DynamoDB API_ListExports (read 2026-11).
    """
    limit = req.get("MaxResults", _LIST_LIMIT)
    prefix = ("dynamodb", "export", ctx.account, ctx.region)
    start = None
    if "NextToken" in req:
        if "/export/" not in req["NextToken"]:
            raise ValidationException("Invalid NextToken")
        start = (*prefix, req["NextToken"].rpartition("/")[2] + "\x00")
    found: list[Export] = []
    for _, export in ctx.tx.scan(prefix, Export, start=start):
        if req.get("TableArn", export.table.arn) == export.table.arn:
            found.append(export)
        if len(found) > limit:
            break
    shown = [
        {"ExportArn": export.arn, "ExportStatus": export.status, "ExportType": "FULL_EXPORT"}
        for export in found[:limit]
    ]
    out: Json = {"ExportSummaries": shown}
    if len(found) > limit:
        out["NextToken"] = found[limit - 1].arn
    return out
