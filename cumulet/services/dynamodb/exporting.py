"""Exports under way: a table at a moment, written to S3 as gzipped lines of DynamoDB JSON, one file a step.

The job's record carries the cursor and is written with the step's file, so a crash repeats nothing.
Source: developer guide, "DynamoDB table export output format" (read 2026-11).
"""

from __future__ import annotations

import gzip
import hashlib
import math
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import msgspec

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Wait
from cumulet.kernel.record import Record, replace
from cumulet.services.dynamodb.layout import item_raw
from cumulet.services.dynamodb.model import Table
from cumulet.services.dynamodb.past import Moment, release, rows_at
from cumulet.services.dynamodb.quotas import end_job

_PRINCIPAL = ""  # what the caller may do in the bucket was asked when he asked for this


class Export(Record):
    """An export; `cursor` and the counts tell how far it is."""

    id: str
    table: Table
    moment: Moment
    export_time: float
    started_at: float
    bucket: str
    owner: str = ""
    prefix: str = ""
    sse: str = ""
    token: str = ""
    status: str = "IN_PROGRESS"
    ended_at: float = 0.0
    cursor: bytes = b""
    files: int = 0
    items: int = 0
    size: int = 0
    failure_code: str = ""
    failure: str = ""

    @property
    def arn(self) -> str:
        return f"{self.table.arn}/export/{self.id}"

    @property
    def folder(self) -> str:
        return f"{self.prefix}/AWSDynamoDB/{self.id}" if self.prefix else f"AWSDynamoDB/{self.id}"

    @property
    def manifest(self) -> str:
        return f"{self.folder}/manifest-summary.json"

    @property
    def key(self) -> Key:
        return export_key(self.table.account, self.table.region, self.id)


def export_key(account: str, region: str, name: str) -> Key:
    return ("dynamodb", "export", account, region, name)


def export_step(ctx: Context, key: Key) -> Wait | None:
    """Timer: write one file, or the manifests at the end; the key is (account, region, id)."""
    account, region, name = (str(part) for part in key)
    export = ctx.tx.get(export_key(account, region, name), Export)
    if export is None or export.status != "IN_PROGRESS":
        return None
    if ctx.tx.depends == 2:  # the step before is not even being written
        return Wait(on=export.key, until=math.inf)
    try:
        moved = _write(ctx, export)
    except AwsError as error:
        moved = replace(export, status="FAILED", failure_code=f"S3{error.wire_code}", failure=error.message)
    if moved.status == "IN_PROGRESS":
        ctx.tx.wake(ctx.now, "dynamodb.export", key)
    else:
        moved = replace(moved, ended_at=ctx.now, cursor=b"")
        ctx.tx.delete_all(_files(export))
        release(ctx, export.table, "export", export.id)
        end_job(ctx, "export", export.table.account, export.table.region)
    ctx.tx.put(moved.key, moved)
    return None


def _files(export: Export) -> Key:
    return ("dynamodb", "exported", export.id)


def _put(ctx: Context, export: Export, key: str, body: bytes) -> str:
    request: dict[str, Any] = {"Bucket": export.bucket, "Key": key, "Body": body}
    if export.owner:
        request["ExpectedBucketOwner"] = export.owner
    if export.sse:
        request["ServerSideEncryption"] = export.sse
    etag: str = ctx.call("s3", "PutObject", request, principal=_PRINCIPAL)["ETag"]
    return etag.strip('"')


def _write(ctx: Context, export: Export) -> Export:
    if not export.files:
        _put(ctx, export, f"{export.folder}/_started", b"")
    rows, cursor = rows_at(ctx, export.table.number, export.moment, export.cursor)
    lines = b"".join(b'{"Item":' + bytes(item_raw(row)) + b"}\n" for _, row in rows)
    body = gzip.compress(lines, 1, mtime=0)
    path = f"{export.folder}/data/{ctx.ids.lower(26)}.json.gz"
    etag = _put(ctx, export, path, body)
    line = {
        "itemCount": len(rows),
        "md5Checksum": b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode(),
        "etag": etag,
        "dataFileS3Key": path,
    }
    ctx.tx.put((*_files(export), export.files), msgspec.json.encode(line))
    moved = replace(
        export,
        files=export.files + 1,
        items=export.items + len(rows),
        size=export.size + sum(len(row) for _, row in rows),
        cursor=cursor or b"",
    )
    return moved if cursor is not None else _finish(ctx, moved)


def _finish(ctx: Context, export: Export) -> Export:
    base = (*_files(export),)
    lines = [ctx.tx.get_bytes((*base, number)) or b"" for number in range(export.files)]
    manifest = b"\n".join(lines) + b"\n"
    _put(ctx, export, f"{export.folder}/manifest-files.json", manifest)
    _put(ctx, export, f"{export.folder}/manifest-files.md5", _md5(manifest))
    summary = msgspec.json.encode(
        {
            "version": "2020-06-30",
            "exportArn": export.arn,
            "startTime": _iso(export.started_at),
            "endTime": _iso(ctx.now),
            "tableArn": export.table.arn,
            "tableId": export.table.table_id,
            "exportTime": _iso(export.export_time),
            "s3Bucket": export.bucket,
            "s3Prefix": export.prefix or None,
            "s3SseAlgorithm": export.sse or "AES256",
            "s3SseKmsKeyId": None,
            "manifestFilesS3Key": f"{export.folder}/manifest-files.json",
            "billedSizeBytes": export.size,
            "itemCount": export.items,
            "outputFormat": "DYNAMODB_JSON",
            "exportType": "FULL_EXPORT",
        }
    )
    _put(ctx, export, export.manifest, summary)
    _put(ctx, export, f"{export.folder}/manifest-summary.md5", _md5(summary))
    return replace(export, status="COMPLETED")


def _md5(data: bytes) -> bytes:
    return b64encode(hashlib.md5(data, usedforsecurity=False).digest())


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
