"""Operations that write and delete objects: PutObject, DeleteObject, DeleteObjects, tags."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.s3 import announcing as _announcing
from cumulet.services.s3 import bodies as _bodies
from cumulet.services.s3 import checksums as _checksums
from cumulet.services.s3 import conditions as _conditions
from cumulet.services.s3 import sealing as _sealing
from cumulet.services.s3 import versions as _versions
from cumulet.services.s3.access import check_acl as _check_acl
from cumulet.services.s3.access import check_key as _check_key
from cumulet.services.s3.access import check_tags as _check_tags
from cumulet.services.s3.access import object_settings as _object_settings
from cumulet.services.s3.access import open_bucket as _open_bucket
from cumulet.services.s3.errors import EntityTooLarge, MalformedXML, refused
from cumulet.services.s3.model import NULL, Bucket, Version
from cumulet.services.s3.rules import expiration_header as _expiration_header

if TYPE_CHECKING:
    from cumulet.services.s3 import api

_LARGEST_PUT = 5 * 1024**3
_MOST_DELETES = 1000


def put_object(ctx: Context, req: api.PutObjectRequest, *, how: str = "Put") -> api.PutObjectResult:
    """Store an object of up to 5 GiB; the newest write wins, a versioned bucket keeps the older ones.

    Content-MD5 and checksums are verified; without one a CRC64NVME is computed. If-None-Match: * writes only a new key.
    Raises: NoSuchBucket, BadDigest, InvalidDigest, PreconditionFailed, KeyTooLongError, EntityTooLarge,
    AccessControlListNotSupported, InvalidRequest, KMS.NotFoundException, KMS.DisabledException, KMS.KMSInvalidStateException;
    NotImplemented for SSE-C, Object Lock.
    Source: S3 API_PutObject (read 2026-11).
    """
    bucket, key = _open_bucket(ctx, req), req["Key"]
    _check_acl(bucket, req)
    _check_key(key)
    settings = _sealing.resolved(ctx, bucket, _object_settings(bucket, req))
    body = req.get("Body", b"")
    if isinstance(body, str):  # another service's call
        body = body.encode()
    size, md5 = (
        (len(body), hashlib.md5(body, usedforsecurity=False).hexdigest())
        if isinstance(body, bytes)
        else (body.size, body.md5)
    )
    if size > _LARGEST_PUT:
        raise EntityTooLarge(
            "Your proposed upload exceeds the maximum allowed size",
            members={"ProposedSize": size, "MaxSizeAllowed": _LARGEST_PUT},
        )
    _checksums.check_md5(req.get("ContentMD5"), md5)
    _conditions.check_write(req, key, _versions.current(ctx, bucket, key))
    segments = _bodies.store(ctx, body, settings["kms_key"])
    found = _checksums.verified(req, _checksums.DEFAULT, _bodies.chunks(ctx, segments, 0, size))
    version = Version(
        key=key,
        version=_versions.next_version(ctx, bucket),
        sequence=1,
        modified=ctx.now,
        etag=md5,
        size=size,
        segments=segments,
        checksums=found,
        checksum_type=_checksums.FULL_OBJECT,
        **settings,
    )
    _announcing.created(ctx, bucket, _versions.add(ctx, bucket, version), how)
    result: dict[str, Any] = {
        "ETag": f'"{md5}"',
        **_sealing.shown(version),
        **found,
        "ChecksumType": _checksums.FULL_OBJECT,
        **_expiration_header(bucket, version),
    }
    if bucket.versioning:
        result["VersionId"] = version.version
    return result  # type: ignore[return-value]


def delete_object(ctx: Context, req: api.DeleteObjectRequest) -> api.DeleteObjectResult:
    """Delete an object, or one version for good; in a versioned bucket without VersionId a delete marker is put.

    Deleting what is not there succeeds. Raises: NoSuchBucket, PreconditionFailed.
    Source: S3 API_DeleteObject (read 2026-11).
    """
    bucket = _open_bucket(ctx, req)
    if "IfMatchLastModifiedTime" in req or "IfMatchSize" in req:
        raise refused("deletes conditional on time or size (directory buckets)")
    if "IfMatch" in req:
        _conditions.check_write(req, req["Key"], _versions.current(ctx, bucket, req["Key"]))
    return _deleted(ctx, bucket, req["Key"], req.get("VersionId"))  # type: ignore[return-value]


def _deleted(ctx: Context, bucket: Bucket, key: str, version: str | None) -> dict[str, Any]:
    removed, marker = _versions.remove(ctx, bucket, key, version)
    _announcing.removed(ctx, bucket, removed, marker)
    if marker is not None:
        return {"DeleteMarker": True, "VersionId": marker.version}
    if version is None:
        return {}
    return {"VersionId": version, **({"DeleteMarker": True} if removed is not None and removed.marker else {})}


def delete_objects(ctx: Context, req: api.DeleteObjectsRequest) -> api.DeleteObjectsResult:
    """Delete up to 1000 keys or versions; `Quiet` answers only errors, of which there are none.

    Raises: NoSuchBucket, MalformedXML. Source: S3 API_DeleteObjects (read 2026-11).
    """
    bucket = _open_bucket(ctx, req)
    objects = req["Delete"].get("Objects", [])
    if not 0 < len(objects) <= _MOST_DELETES:
        raise MalformedXML()
    deleted: list[dict[str, Any]] = []
    for each in objects:
        if "ETag" in each or "LastModifiedTime" in each or "Size" in each:
            raise refused("conditional deletes in DeleteObjects (directory buckets)")
        outcome = _deleted(ctx, bucket, each["Key"], each.get("VersionId"))
        shown: dict[str, Any] = {"Key": each["Key"]}
        if "VersionId" in each:
            shown["VersionId"] = each["VersionId"]
        if outcome.get("DeleteMarker"):
            shown["DeleteMarker"] = True
            shown["DeleteMarkerVersionId"] = outcome["VersionId"]
        deleted.append(shown)
    return {} if req["Delete"].get("Quiet") else {"Deleted": deleted}  # type: ignore[typeddict-item]


def put_object_tagging(ctx: Context, req: api.PutObjectTaggingRequest) -> api.PutObjectTaggingResult:
    """Replace an object's tags (at most 10). Raises: NoSuchKey, InvalidTag. Source: S3 API_PutObjectTagging (read 2026-11)."""
    bucket = _open_bucket(ctx, req)
    found = _versions.readable(ctx, bucket, req["Key"], req.get("VersionId"), "PUT")
    tags = _check_tags(req["Tagging"]["TagSet"], 10)
    _versions.replace_in_place(ctx, bucket, replace(found, tags=tags))
    _announcing.tagged(ctx, bucket, found, "Put")
    return _version_of(bucket, found)  # type: ignore[return-value]


def get_object_tagging(ctx: Context, req: api.GetObjectTaggingRequest) -> api.GetObjectTaggingResult:
    """An object's tags. Raises: NoSuchKey, NoSuchVersion. Source: S3 API_GetObjectTagging (read 2026-11)."""
    bucket = _open_bucket(ctx, req)
    found = _versions.readable(ctx, bucket, req["Key"], req.get("VersionId"), "GET")
    tags = [{"Key": name, "Value": value} for name, value in found.tags.items()]
    return {**_version_of(bucket, found), "TagSet": tags}  # type: ignore[typeddict-item]


def delete_object_tagging(ctx: Context, req: api.DeleteObjectTaggingRequest) -> api.DeleteObjectTaggingResult:
    """Remove all tags. Raises: NoSuchKey, NoSuchVersion. Source: S3 API_DeleteObjectTagging (read 2026-11)."""
    bucket = _open_bucket(ctx, req)
    found = _versions.readable(ctx, bucket, req["Key"], req.get("VersionId"), "DELETE")
    _versions.replace_in_place(ctx, bucket, replace(found, tags={}))
    _announcing.tagged(ctx, bucket, found, "Delete")
    return _version_of(bucket, found)  # type: ignore[return-value]


def _version_of(bucket: Bucket, found: Version) -> dict[str, Any]:
    return {"VersionId": found.version} if bucket.versioning or found.version != NULL else {}
