"""Operations on imports from S3."""

from __future__ import annotations

from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.once import once
from cumulet.kernel.record import Record, replace
from cumulet.services.dynamodb.errors import ImportConflictException, ImportNotFoundException, ValidationException
from cumulet.services.dynamodb.importing import Import, import_key
from cumulet.services.dynamodb.model import Table, table_key
from cumulet.services.dynamodb.quotas import begin_job
from cumulet.services.dynamodb.tables import create_table

Json = dict[str, Any]
_TOKEN_S = 8 * 3600.0
_LIST_LIMIT = 25
_ASKED = ("S3BucketSource", "InputFormat", "InputFormatOptions", "InputCompressionType", "TableCreationParameters")


class _Asked(Record):
    """What a client token stands for."""

    id: str
    request: Json


def import_table(ctx: Context, req: Json) -> Json:
    """Create a table from the objects below a prefix: lines of DynamoDB JSON or CSV, plain or gzipped. It is CREATING until
    a timer has taken all lines; lines that are no items are counted as errors and left out.

    Idempotent by ClientToken for 8 hours. Raises: ResourceInUseException, ValidationException, ImportConflictException,
    LimitExceededException (50 at a time), NotImplementedOnCumulet (ION, ZSTD).
    Source: DynamoDB API_ImportTable; developer guide, "DynamoDB data import from Amazon S3" (read 2026-11).
    """
    for member, value in (("InputFormat", "ION"), ("InputCompressionType", "ZSTD")):
        if req.get(member) == value:
            raise NotImplementedOnCumulet(f"dynamodb: {member} {value} of an import is not implemented by Cumulet.")
    if "InputFormatOptions" in req and req["InputFormat"] != "CSV":
        raise ValidationException("InputFormatOptions can only be specified when InputFormat is CSV")
    token: str | None = req.get("ClientToken")
    key = ("dynamodb", "import token", ctx.account, ctx.region, token) if token else None
    asked = {name: req[name] for name in _ASKED if name in req}
    known, first = once(
        ctx, key, _TOKEN_S, _Asked, lambda: _Asked(id=f"{int(ctx.now * 1000):014d}-{ctx.ids.hex(8)}", request=asked)
    )
    if not first:
        if known.request != asked:
            raise ImportConflictException("Import request with the same client token but different parameters exists")
        job = ctx.tx.get(import_key(ctx.account, ctx.region, known.id), Import)
        assert job is not None, "a token of an import that is not there"
        return {"ImportTableDescription": _described(job)}
    begin_job(ctx, "import", ctx.account, ctx.region)
    create_table(ctx, req["TableCreationParameters"])
    place = (ctx.account, ctx.region, req["TableCreationParameters"]["TableName"])
    table = ctx.tx.get(table_key(*place), Table)
    assert table is not None, "a table that was just created"
    ctx.tx.put(table.key, replace(table, importing=known.id))
    job = Import(
        id=known.id,
        table_arn=table.arn,
        table_id=table.table_id,
        table=place,
        number=table.number,
        asked=asked,
        token=token or ctx.ids.uuid(),
        started_at=ctx.now,
    )
    ctx.tx.put(job.key, job)
    ctx.tx.wake(ctx.now, "dynamodb.import", (ctx.account, ctx.region, job.id))
    return {"ImportTableDescription": _described(job)}


def _described(job: Import) -> Json:
    out: Json = {
        "ImportArn": job.arn,
        "ImportStatus": job.status,
        "TableArn": job.table_arn,
        "TableId": job.table_id,
        "ClientToken": job.token,
        "InputCompressionType": "NONE",
        **job.asked,
        "ErrorCount": job.errors,
        "StartTime": job.started_at,
        "ProcessedSizeBytes": job.size,
        "ProcessedItemCount": job.processed,
        "ImportedItemCount": job.imported,
    }
    if job.ended_at:
        out["EndTime"] = job.ended_at
    if job.failure_code:
        out.update(FailureCode=job.failure_code, FailureMessage=job.failure)
    return out


def describe_import(ctx: Context, req: Json) -> Json:
    """An import and how far it is.

    Raises: ImportNotFoundException.
    Source: DynamoDB API_DescribeImport (read 2026-11).
    """
    arn = req["ImportArn"]
    parts = arn.split(":", 5)
    name = parts[5].rpartition("/import/")[2] if len(parts) == 6 else ""
    job = ctx.tx.get(import_key(parts[4], parts[3], name), Import) if name else None
    if job is None or job.arn != arn:
        raise ImportNotFoundException(f"Import not found: {arn}")
    return {"ImportTableDescription": _described(job)}


def list_imports(ctx: Context, req: Json) -> Json:
    """Imports into a table or into all, oldest first, at most PageSize (25) at a time.

    Raises: ValidationException.
    Source: DynamoDB API_ListImports (read 2026-11).
    """
    limit = req.get("PageSize", _LIST_LIMIT)
    prefix = ("dynamodb", "import", ctx.account, ctx.region)
    start = None
    if "NextToken" in req:
        try:
            start = (*prefix, bytes.fromhex(req["NextToken"]).decode().rstrip().rpartition("/")[2] + "\x00")
        except ValueError as error:
            raise ValidationException("Invalid NextToken") from error
    found: list[Import] = []
    for _, job in ctx.tx.scan(prefix, Import, start=start):
        if req.get("TableArn", job.table_arn) == job.table_arn:
            found.append(job)
        if len(found) > limit:
            break
    out: Json = {"ImportSummaryList": [_summary(job) for job in found[:limit]]}
    if len(found) > limit:
        out["NextToken"] = _token(found[limit - 1].arn)
    return out


def _token(arn: str) -> str:
    """A NextToken: hexadecimal, 112 digits or more, in groups of 16."""
    width = max(56, -(-len(arn) // 8) * 8)
    return arn.ljust(width).encode().hex()


def _summary(job: Import) -> Json:
    out: Json = {
        "ImportArn": job.arn,
        "ImportStatus": job.status,
        "TableArn": job.table_arn,
        "S3BucketSource": job.asked["S3BucketSource"],
        "InputFormat": job.asked["InputFormat"],
        "StartTime": job.started_at,
    }
    if job.ended_at:
        out["EndTime"] = job.ended_at
    return out
