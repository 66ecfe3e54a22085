"""Operations that list unfinished multipart uploads and their parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cumulet.kernel.context import Context
from cumulet.services.s3.access import open_bucket as _open_bucket
from cumulet.services.s3.errors import NoSuchUpload
from cumulet.services.s3.listing import _behind, _coder
from cumulet.services.s3.model import Part, Upload
from cumulet.services.s3.model import owner as _owner
from cumulet.services.s3.model import upload_key as _upload_key
from cumulet.services.s3.rules import abort_headers as _abort_headers

if TYPE_CHECKING:
    from cumulet.services.s3 import api

_MOST = 1000


def list_parts(ctx: Context, req: api.ListPartsRequest) -> api.ListPartsResult:
    """An upload's parts by number, in pages of up to 1000. Raises: NoSuchUpload. Source: S3 API_ListParts (read 2026-11)."""
    bucket = _open_bucket(ctx, req)
    upload = ctx.tx.get(_upload_key(bucket.name, req["Key"], req["UploadId"]), Upload)
    if upload is None:
        raise NoSuchUpload(req["UploadId"])
    after, most = int(req.get("PartNumberMarker", 0)), min(req.get("MaxParts", _MOST), _MOST)
    base = ("s3", "part", upload.id)
    found = [part for _, part in ctx.tx.scan(base, Part, start=(*base, after + 1), limit=most + 1)]
    parts = [
        {
            "PartNumber": part.number,
            "LastModified": part.modified,
            "ETag": f'"{part.etag}"',
            "Size": part.size,
            **(part.checksums if upload.algorithm else {}),
        }
        for part in found[:most]
    ]
    result: dict[str, Any] = {
        "Bucket": bucket.name,
        "Key": upload.key,
        "UploadId": upload.id,
        "PartNumberMarker": str(after),
        "NextPartNumberMarker": str(parts[-1]["PartNumber"] if parts else 0),
        "MaxParts": most,
        "IsTruncated": len(found) > most,
        "StorageClass": upload.storage_class,
        "Owner": _owner(bucket.account),
        "Initiator": _owner(bucket.account),
    }
    if parts:
        result["Parts"] = parts
    if upload.algorithm:
        result |= {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.checksum_type}
    result |= _abort_headers(bucket, upload)
    return result  # type: ignore[return-value]


def list_multipart_uploads(ctx: Context, req: api.ListMultipartUploadsRequest) -> api.ListMultipartUploadsResult:
    """Unfinished uploads by key, in pages of up to 1000, with prefix and delimiter.

    Raises: NoSuchBucket. Source: S3 API_ListMultipartUploads (read 2026-11).
    """
    bucket, code = _open_bucket(ctx, req), _coder(req)
    prefix, delimiter = req.get("Prefix", ""), req.get("Delimiter", "")
    most = min(req.get("MaxUploads", _MOST), _MOST)
    after, after_id = req.get("KeyMarker", ""), req.get("UploadIdMarker", "")
    uploads: list[dict[str, Any]] = []
    prefixes: list[str] = []
    truncated = False
    last = ("", "")
    base = ("s3", "upload", bucket.name)
    for _, upload in ctx.tx.scan(base, Upload, start=(*base, after)):
        if not upload.key.startswith(prefix) or (prefixes and upload.key.startswith(prefixes[-1])):
            continue
        if "KeyMarker" in req and upload.key == after and (not after_id or upload.id <= after_id):
            continue
        if delimiter and after.endswith(delimiter) and upload.key < (_behind(after) or "") and upload.key > after:
            continue
        if len(uploads) + len(prefixes) == most:
            truncated = True
            break
        at = upload.key.find(delimiter, len(prefix)) if delimiter else -1
        if at >= 0:
            prefixes.append(upload.key[: at + len(delimiter)])
            last = (prefixes[-1], "")
            continue
        last = (upload.key, upload.id)
        shown: dict[str, Any] = {
            "UploadId": upload.id,
            "Key": code(upload.key),
            "Initiated": upload.started,
            "StorageClass": upload.storage_class,
            "Owner": _owner(bucket.account),
            "Initiator": _owner(bucket.account),
        }
        if upload.algorithm:
            shown |= {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.checksum_type}
        uploads.append(shown)
    result: dict[str, Any] = {
        "Bucket": bucket.name,
        "KeyMarker": code(after),
        "UploadIdMarker": after_id,
        "Prefix": code(prefix),
        "MaxUploads": most,
        "IsTruncated": truncated,
    }
    if truncated:
        result |= {"NextKeyMarker": code(last[0]), "NextUploadIdMarker": last[1]}
    if "Delimiter" in req:
        result["Delimiter"] = code(delimiter)
    if "EncodingType" in req:
        result["EncodingType"] = req["EncodingType"]
    if uploads:
        result["Uploads"] = uploads
    if prefixes:
        result["CommonPrefixes"] = [{"Prefix": code(each)} for each in prefixes]
    return result  # type: ignore[return-value]
