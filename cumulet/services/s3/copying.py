"""Copies of objects and of parts of them: CopyObject, and the source of UploadPartCopy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from cumulet.kernel.context import Context
from cumulet.services.s3 import announcing as _announcing
from cumulet.services.s3 import bodies as _bodies
from cumulet.services.s3 import checksums as _checksums
from cumulet.services.s3 import conditions as _conditions
from cumulet.services.s3 import sealing as _sealing
from cumulet.services.s3 import versions as _versions
from cumulet.services.s3.access import bucket_of as _bucket_of
from cumulet.services.s3.access import check_acl as _check_acl
from cumulet.services.s3.access import check_key as _check_key
from cumulet.services.s3.access import object_settings as _object_settings
from cumulet.services.s3.access import open_bucket as _open_bucket
from cumulet.services.s3.errors import InvalidArgument, InvalidRequest
from cumulet.services.s3.model import NULL, Bucket, Version
from cumulet.services.s3.rules import expiration_header as _expiration_header

if TYPE_CHECKING:
    from cumulet.services.s3 import api

_LARGEST_COPY = 5 * 1024**3
_CHANGES = frozenset({"StorageClass", "WebsiteRedirectLocation", "ServerSideEncryption"})


def copy_object(ctx: Context, req: api.CopyObjectRequest) -> api.CopyObjectResult:
    """Copy an object or version of up to 5 GiB, with its metadata and tags, or with new ones (REPLACE).

    Large bodies are linked, not copied, unless their encryption changes; a copy of a multipart object keeps its ETag. An
    object copied onto itself must change something.
    Raises: NoSuchBucket, NoSuchKey, PreconditionFailed, InvalidRequest, InvalidArgument.
    Source: S3 API_CopyObject (read 2026-11).
    """
    bucket, key = _open_bucket(ctx, req), req["Key"]
    _check_acl(bucket, req)
    _check_key(key)
    from_bucket, source = _source(ctx, req, "GET")
    if source.size > _LARGEST_COPY:
        raise InvalidRequest(
            f"The specified copy source is larger than the maximum allowable size for a copy source: {_LARGEST_COPY}"
        )
    replaces = req.get("MetadataDirective") == "REPLACE"
    onto_itself = from_bucket.name == bucket.name and source.key == key and "?versionId=" not in req["CopySource"]
    if onto_itself and not replaces and not _CHANGES.intersection(req) and req.get("TaggingDirective") != "REPLACE":
        raise InvalidRequest(
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes."
        )
    _conditions.check_write(req, key, _versions.current(ctx, bucket, key))
    settings = _sealing.resolved(ctx, bucket, _object_settings(bucket, req))
    if not replaces:
        settings |= {"headers": source.headers, "metadata": source.metadata}
    if req.get("TaggingDirective") != "REPLACE":
        settings["tags"] = source.tags
    segments = _bodies.copy(ctx, source.segments, 0, source.size, settings["kms_key"])
    checksums, checksum_type = source.checksums, source.checksum_type
    if "ChecksumAlgorithm" in req:
        _checksums.sent(req)
        member = f"Checksum{req['ChecksumAlgorithm']}"
        value = _checksums.compute(req["ChecksumAlgorithm"], _bodies.chunks(ctx, segments, 0, source.size))
        checksums, checksum_type = {member: value}, _checksums.FULL_OBJECT
    version = Version(
        key=key,
        version=_versions.next_version(ctx, bucket),
        sequence=1,
        modified=ctx.now,
        etag=source.etag,
        size=source.size,
        segments=segments,
        checksums=checksums,
        checksum_type=checksum_type,
        **settings,
    )
    _announcing.created(ctx, bucket, _versions.add(ctx, bucket, version), "Copy")
    copied = {"ETag": f'"{version.etag}"', "LastModified": ctx.now, **checksums, "ChecksumType": checksum_type}
    result: dict[str, Any] = {"CopyObjectResult": copied, **_sealing.shown(version)}
    result |= _expiration_header(bucket, version)
    if bucket.versioning:
        result["VersionId"] = version.version
    if from_bucket.versioning or source.version != NULL:
        result["CopySourceVersionId"] = source.version
    return result  # type: ignore[return-value]


def _source(ctx: Context, req: Mapping[str, Any], method: str) -> tuple[Bucket, Version]:
    """The bucket and version that CopySource names, its CopySourceIf... conditions checked."""
    text, _, version = req["CopySource"].partition("?versionId=")
    name, slash, key = unquote(text).removeprefix("/").partition("/")
    if name.startswith("arn:") or not slash or not key:
        raise InvalidArgument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            "x-amz-copy-source",
            req["CopySource"],
        )
    bucket = _bucket_of(ctx, name)
    found = _versions.find(ctx, bucket, key, version or None)
    if found is not None and found.marker and version:
        raise InvalidRequest(
            "The source of a copy request may not specifically refer to a delete marker by version id."
        )
    found = _versions.readable(ctx, bucket, key, version or None, method)
    _conditions.check_read(req, found, "CopySource")
    return bucket, found
