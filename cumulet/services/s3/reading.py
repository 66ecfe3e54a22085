"""Operations that read objects: GetObject, HeadObject, GetObjectAttributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cumulet.kernel.context import Context
from cumulet.services.s3 import bodies as _bodies
from cumulet.services.s3 import conditions as _conditions
from cumulet.services.s3 import sealing as _sealing
from cumulet.services.s3 import versions as _versions
from cumulet.services.s3.access import open_bucket as _open_bucket
from cumulet.services.s3.errors import InvalidPartNumber, InvalidRequest
from cumulet.services.s3.model import NULL, Bucket, Version
from cumulet.services.s3.rules import expiration_header as _expiration_header

if TYPE_CHECKING:
    from cumulet.services.s3 import api

_OVERRIDES = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires")


def get_object(ctx: Context, req: api.GetObjectRequest) -> api.GetObjectResult:
    """An object's bytes, whole, a Range of them or one part, with its headers, metadata and (ChecksumMode) checksums.

    Raises: NoSuchBucket, NoSuchKey, NoSuchVersion, MethodNotAllowed, PreconditionFailed, NotModified, InvalidRange,
    InvalidPartNumber. Source: S3 API_GetObject (read 2026-11).
    """
    bucket = _open_bucket(ctx, req)
    found = _versions.readable(ctx, bucket, req["Key"], req.get("VersionId"), "GET")
    _conditions.check_read(req, found)
    start, size, result = _described(bucket, found, req)
    for name in _OVERRIDES:
        if f"Response{name}" in req:
            result[name] = req[f"Response{name}"]  # type: ignore[literal-required]
    result["Body"] = _bodies.body_of(ctx, found.segments, start, size)
    return result  # type: ignore[return-value]


def head_object(ctx: Context, req: api.HeadObjectRequest) -> api.HeadObjectResult:
    """What GetObject answers, without the bytes. Raises: as GetObject. Source: S3 API_HeadObject (read 2026-11)."""
    bucket = _open_bucket(ctx, req)
    found = _versions.readable(ctx, bucket, req["Key"], req.get("VersionId"), "HEAD")
    _conditions.check_read(req, found)
    result = _described(bucket, found, req)[2]
    for name in _OVERRIDES:
        if f"Response{name}" in req:
            result[name] = req[f"Response{name}"]  # type: ignore[literal-required]
    return result  # type: ignore[return-value]


def _described(bucket: Bucket, found: Version, req: Mapping[str, Any]) -> tuple[int, int, dict[str, Any]]:
    """(start, size, headers) of what the request asks for."""
    start, size, partial = _extent(found, req)
    result: dict[str, Any] = {
        "AcceptRanges": "bytes",
        "LastModified": found.modified,
        "ContentLength": size,
        "ETag": f'"{found.etag}"',
        "ContentType": "binary/octet-stream",
        **_sealing.shown(found),
        **found.headers,
    }
    if found.metadata:
        result["Metadata"] = found.metadata
    if bucket.versioning or found.version != NULL:
        result["VersionId"] = found.version
    if found.storage_class != "STANDARD":
        result["StorageClass"] = found.storage_class
    if found.redirect:
        result["WebsiteRedirectLocation"] = found.redirect
    if found.tags:
        result["TagCount"] = len(found.tags)
    if partial:
        result["StatusCode"] = 206
        result["ContentRange"] = f"bytes {start}-{start + size - 1}/{found.size}"
    if "VersionId" not in req:
        result |= _expiration_header(bucket, found)
    if "PartNumber" in req and found.parts:
        result["PartsCount"] = len(found.parts)
    if req.get("ChecksumMode") == "ENABLED" and (not partial or size == found.size):
        result.update(found.checksums)
        result["ChecksumType"] = found.checksum_type
    return start, size, result


def _extent(found: Version, req: Mapping[str, Any]) -> tuple[int, int, bool]:
    if "PartNumber" in req:
        if "Range" in req:
            raise InvalidRequest("Cannot specify both Range header and partNumber query parameter")
        number = req["PartNumber"]
        sizes = [part.size for part in found.parts] or [found.size]
        if not 1 <= number <= len(sizes):
            raise InvalidPartNumber(number, len(sizes))
        return sum(sizes[: number - 1]), sizes[number - 1], sizes[number - 1] > 0
    asked = _conditions.range_of(req["Range"], found.size) if "Range" in req else None
    return (0, found.size, False) if asked is None else (*asked, True)


def get_object_attributes(ctx: Context, req: api.GetObjectAttributesRequest) -> api.GetObjectAttributesResult:
    """ETag, Checksum, ObjectParts, StorageClass and ObjectSize, as ObjectAttributes asks.

    Parts are listed for multipart objects that have checksums per part. Raises: NoSuchKey, NoSuchVersion.
    Source: S3 API_GetObjectAttributes (read 2026-11).
    """
    bucket = _open_bucket(ctx, req)
    found = _versions.readable(ctx, bucket, req["Key"], req.get("VersionId"), "GET")
    wanted = set(req["ObjectAttributes"])
    result: dict[str, Any] = {"LastModified": found.modified}
    if bucket.versioning or found.version != NULL:
        result["VersionId"] = found.version
    if "ETag" in wanted:
        result["ETag"] = found.etag
    if "Checksum" in wanted and found.checksums:
        result["Checksum"] = {**found.checksums, "ChecksumType": found.checksum_type}
    if "ObjectParts" in wanted and found.parts:
        result["ObjectParts"] = _parts(found, req)
    if "StorageClass" in wanted:
        result["StorageClass"] = found.storage_class
    if "ObjectSize" in wanted:
        result["ObjectSize"] = found.size
    return result  # type: ignore[return-value]


def _parts(found: Version, req: Mapping[str, Any]) -> dict[str, Any]:
    member = next(iter(found.checksums), "")
    after, most = int(req.get("PartNumberMarker", 0)), req.get("MaxParts", 1000)
    parts = [part for part in found.parts if part.number > after]
    shown: dict[str, Any] = {
        "TotalPartsCount": len(found.parts),
        "PartNumberMarker": str(after),
        "MaxParts": most,
        "IsTruncated": len(parts) > most,
    }
    if found.checksum_type == "COMPOSITE":
        shown["Parts"] = [
            {"PartNumber": part.number, "Size": part.size, member: part.checksum} for part in parts[:most]
        ]
        shown["NextPartNumberMarker"] = str(parts[:most][-1].number if parts[:most] else 0)
    return shown
