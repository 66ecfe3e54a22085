"""Multipart uploads: create, upload and copy parts, complete, abort, list.

Completing moves the parts' segments into the object; no byte is copied. The parts that the request leaves out go away.
Source: S3 user guide, "Uploading and copying objects using multipart upload", "Multipart upload limits" (read 2026-11).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cumulet.kernel.context import Context
from cumulet.services.s3 import announcing as _announcing
from cumulet.services.s3 import bodies as _bodies
from cumulet.services.s3 import checksums as _checksums
from cumulet.services.s3 import conditions as _conditions
from cumulet.services.s3 import rules as _rules
from cumulet.services.s3 import sealing as _sealing
from cumulet.services.s3 import versions as _versions
from cumulet.services.s3.access import check_acl as _check_acl
from cumulet.services.s3.access import check_key as _check_key
from cumulet.services.s3.access import object_settings as _object_settings
from cumulet.services.s3.access import open_bucket as _open_bucket
from cumulet.services.s3.copying import _source
from cumulet.services.s3.errors import (
    BadDigest,
    EntityTooSmall,
    InvalidArgument,
    InvalidPart,
    InvalidPartOrder,
    InvalidRequest,
    MalformedXML,
    NoSuchUpload,
)
from cumulet.services.s3.model import NULL, Bucket, Part, PartOf, Upload, Version
from cumulet.services.s3.model import part_key as _part_key
from cumulet.services.s3.model import upload_key as _upload_key

if TYPE_CHECKING:
    from cumulet.services.s3 import api

SMALLEST_PART = 5 * 1024 * 1024
_MOST_PARTS = 10_000


def create_multipart_upload(ctx: Context, req: api.CreateMultipartUploadRequest) -> api.CreateMultipartUploadResult:
    """Begin an upload; it lives until it is completed or aborted.

    Raises: NoSuchBucket, AccessControlListNotSupported, InvalidRequest (checksum type), KeyTooLongError.
    Source: S3 API_CreateMultipartUpload (read 2026-11).
    """
    bucket, key = _open_bucket(ctx, req), req["Key"]
    _check_acl(bucket, req)
    _check_key(key)
    _checksums.sent(req)
    algorithm = req.get("ChecksumAlgorithm", "")
    type_ = _checksums.type_for(algorithm, req.get("ChecksumType")) if algorithm else ""
    settings = _sealing.resolved(ctx, bucket, _object_settings(bucket, req))
    upload = Upload(id=ctx.ids.hex(64), key=key, started=ctx.now, algorithm=algorithm, checksum_type=type_, **settings)
    ctx.tx.put(_upload_key(bucket.name, key, upload.id), upload)
    result: api.CreateMultipartUploadResult = {
        "Bucket": bucket.name,
        "Key": key,
        "UploadId": upload.id,
        **_sealing.shown(upload),  # type: ignore[typeddict-item]
    }
    if algorithm:
        result["ChecksumAlgorithm"] = algorithm
        result["ChecksumType"] = type_
    result.update(_rules.abort_headers(bucket, upload))  # type: ignore[typeddict-item]
    return result


def upload_part(ctx: Context, req: api.UploadPartRequest) -> api.UploadPartResult:
    """Store one part, 1-10000, of up to 5 GiB; a part uploaded again replaces the earlier one.

    Raises: NoSuchUpload, BadDigest, InvalidDigest, InvalidRequest (another checksum algorithm), InvalidArgument.
    Source: S3 API_UploadPart (read 2026-11).
    """
    bucket = _open_bucket(ctx, req)
    upload, number = _upload(ctx, bucket, req), _number(req)
    body = req.get("Body", b"")
    size, md5 = (
        (len(body), hashlib.md5(body, usedforsecurity=False).hexdigest())
        if isinstance(body, bytes)
        else (body.size, body.md5)
    )
    _checksums.check_md5(req.get("ContentMD5"), md5)
    for member in _checksums.sent(req):
        if upload.algorithm and member != f"Checksum{upload.algorithm}":
            raise InvalidRequest(
                f"Checksum Type mismatch occurred, expected checksum Type: {upload.algorithm.lower()}, "
                f"actual checksum Type: {member.removeprefix('Checksum').lower()}"
            )
    segments = _bodies.store(ctx, body, upload.kms_key)
    algorithm = upload.algorithm or _checksums.DEFAULT
    found = _checksums.verified(req, algorithm, _bodies.chunks(ctx, segments, 0, size))
    if (
        f"Checksum{algorithm}" not in found
    ):  # an upload without an algorithm ends with CRC64NVME, whatever parts come with
        kept = {f"Checksum{algorithm}": _checksums.compute(algorithm, _bodies.chunks(ctx, segments, 0, size))}
    else:
        kept = found
    _put_part(
        ctx, upload, Part(number=number, segments=segments, size=size, etag=md5, modified=ctx.now, checksums=kept)
    )
    return {"ETag": f'"{md5}"', **_sealing.shown(upload), **found}  # type: ignore[typeddict-item]


def upload_part_copy(ctx: Context, req: api.UploadPartCopyRequest) -> api.UploadPartCopyResult:
    """Make an object, or CopySourceRange of it (`bytes=first-last`), a part.

    Raises: NoSuchUpload, NoSuchKey, PreconditionFailed, InvalidArgument (range). Source: S3 API_UploadPartCopy (read 2026-11).
    """
    bucket = _open_bucket(ctx, req)
    upload, number = _upload(ctx, bucket, req), _number(req)
    from_bucket, source = _source(ctx, req, "GET")
    start, size = 0, source.size
    if "CopySourceRange" in req:
        start, size = _copy_range(req["CopySourceRange"], source.size)
    segments = _bodies.copy(ctx, source.segments, start, size, upload.kms_key)
    md5 = _bodies.md5_of(ctx, segments, size)
    algorithm = upload.algorithm or _checksums.DEFAULT
    checksum = _checksums.compute(algorithm, _bodies.chunks(ctx, segments, 0, size))
    found = {f"Checksum{algorithm}": checksum}
    _put_part(
        ctx, upload, Part(number=number, segments=segments, size=size, etag=md5, modified=ctx.now, checksums=found)
    )
    copied: dict[str, Any] = {"ETag": f'"{md5}"', "LastModified": ctx.now, **(found if upload.algorithm else {})}
    result: dict[str, Any] = {"CopyPartResult": copied, **_sealing.shown(upload)}
    if from_bucket.versioning or source.version != NULL:
        result["CopySourceVersionId"] = source.version
    return result  # type: ignore[return-value]


def _copy_range(text: str, size: int) -> tuple[int, int]:
    wrong = InvalidArgument(
        "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
        "zero-based offsets of the first and last bytes to copy",
        "x-amz-copy-source-range",
        text,
    )
    first, dash, last = text.removeprefix("bytes=").partition("-")
    if not text.startswith("bytes=") or not dash or not first.isdigit() or not last.isdigit():
        raise wrong
    start, end = int(first), int(last)
    if end < start:
        raise wrong
    if end >= size:
        raise InvalidArgument(
            f"Range specified is not valid for source object of size: {size}", "x-amz-copy-source-range", text
        )
    return start, end - start + 1


def _put_part(ctx: Context, upload: Upload, part: Part) -> None:
    at = _part_key(upload.id, part.number)
    earlier = ctx.tx.get(at, Part)
    if earlier is not None:
        _bodies.drop(ctx, earlier.segments)
    ctx.tx.put(at, part)


def _number(req: Mapping[str, Any]) -> int:
    number: int = req["PartNumber"]
    if not 1 <= number <= _MOST_PARTS:
        raise InvalidArgument("Part number must be an integer between 1 and 10000, inclusive", "partNumber", number)
    return number


def _upload(ctx: Context, bucket: Bucket, req: Mapping[str, Any]) -> Upload:
    upload = ctx.tx.get(_upload_key(bucket.name, req["Key"], req["UploadId"]), Upload)
    if upload is None:
        raise NoSuchUpload(req["UploadId"])
    return upload


def complete_multipart_upload(
    ctx: Context, req: api.CompleteMultipartUploadRequest
) -> api.CompleteMultipartUploadResult:
    """Make the object from the listed parts, in ascending order; each but the last has at least 5 MiB.

    Raises: NoSuchUpload, InvalidPart, InvalidPartOrder, EntityTooSmall, MalformedXML, PreconditionFailed, BadDigest,
    InvalidRequest. Source: S3 API_CompleteMultipartUpload (read 2026-11).
    """
    bucket, key = _open_bucket(ctx, req), req["Key"]
    upload = _upload(ctx, bucket, req)
    listed = req.get("MultipartUpload", {}).get("Parts", [])
    if not listed:
        raise MalformedXML()
    _conditions.check_write(req, key, _versions.current(ctx, bucket, key))
    parts = _listed_parts(ctx, upload, listed)
    size = sum(part.size for part in parts)
    if req.get("MpuObjectSize", size) != size:
        raise InvalidRequest("The provided 'x-amz-mp-object-size' header value does not match what was computed.")
    algorithm = upload.algorithm or _checksums.DEFAULT
    type_ = upload.checksum_type or _checksums.FULL_OBJECT
    member = f"Checksum{algorithm}"
    if req.get("ChecksumType", type_) != type_:
        raise InvalidRequest(
            f"The upload was created using the {type_} checksum mode. The complete request must use the same checksum mode."
        )
    checksum = _checksums.combined(algorithm, type_, [(part.checksums[member], part.size) for part in parts])
    given = _checksums.sent(req).get(member)
    if given is not None and given.partition("-")[0] != checksum.partition("-")[0]:
        raise BadDigest(f"The {algorithm.lower()} you specified did not match the calculated checksum.")
    digest = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in parts), usedforsecurity=False).hexdigest()
    version = Version(
        key=key,
        version=_versions.next_version(ctx, bucket),
        sequence=1,
        modified=ctx.now,
        etag=f"{digest}-{len(parts)}",
        size=size,
        segments=[segment for part in parts for segment in part.segments],
        headers=upload.headers,
        metadata=upload.metadata,
        tags=upload.tags,
        storage_class=upload.storage_class,
        encryption=upload.encryption,
        redirect=upload.redirect,
        kms_key=upload.kms_key,
        bucket_key=upload.bucket_key,
        checksums={member: checksum},
        checksum_type=type_,
        parts=[PartOf(number=part.number, size=part.size, checksum=part.checksums[member]) for part in parts],
    )
    added = _versions.add(ctx, bucket, version)
    _announcing.created(ctx, bucket, added, "CompleteMultipartUpload")
    _forget(ctx, bucket, upload, {part.number for part in parts})
    result: dict[str, Any] = {
        "Location": f"{ctx.endpoint}/{bucket.name}/{quote(key)}",
        "Bucket": bucket.name,
        "Key": key,
        "ETag": f'"{version.etag}"',
        **_sealing.shown(version),
        member: checksum,
        "ChecksumType": type_,
        **_rules.expiration_header(bucket, version),
    }
    if bucket.versioning:
        result["VersionId"] = version.version
    return result  # type: ignore[return-value]


def _listed_parts(ctx: Context, upload: Upload, listed: list[Any]) -> list[Part]:
    """The parts that a completion names, checked against what was uploaded."""
    parts: list[Part] = []
    for each in listed:
        if "PartNumber" not in each or "ETag" not in each:
            raise MalformedXML()
        number, etag = each["PartNumber"], each["ETag"].strip('"')
        if parts and number <= parts[-1].number:
            raise InvalidPartOrder(
                "The list of parts was not in ascending order. The parts list must be specified in order by part number.",
                members={"UploadId": upload.id},
            )
        part = ctx.tx.get(_part_key(upload.id, number), Part)
        sent = {name: each[name] for name in (part.checksums if part is not None else {}) if name in each}
        if part is None or part.etag != etag or any(part.checksums[name] != value for name, value in sent.items()):
            raise InvalidPart(
                "One or more of the specified parts could not be found.  The part may not have been uploaded, "
                "or the specified entity tag may not match the part's entity tag.",
                members={"UploadId": upload.id, "PartNumber": number, "ETag": etag},
            )
        if upload.checksum_type == _checksums.COMPOSITE and not sent:
            raise InvalidRequest(
                f"The upload was created using a {upload.algorithm.lower()} checksum. The complete request must include "
                f"the checksum for each part. It was missing for part {number} in the request."
            )
        parts.append(part)
    for part in parts[:-1]:
        if part.size < SMALLEST_PART:
            raise EntityTooSmall(
                "Your proposed upload is smaller than the minimum allowed size",
                members={
                    "ProposedSize": part.size,
                    "MinSizeAllowed": SMALLEST_PART,
                    "PartNumber": part.number,
                    "ETag": part.etag,
                },
            )
    return parts


def _forget(ctx: Context, bucket: Bucket, upload: Upload, kept: set[int]) -> None:
    """Remove an upload; the bytes of parts that are not in `kept` go with it."""
    for at, part in list(ctx.tx.scan(("s3", "part", upload.id), Part)):
        if part.number not in kept:
            _bodies.drop(ctx, part.segments)
        ctx.tx.delete(at)
    ctx.tx.delete(_upload_key(bucket.name, upload.key, upload.id))


def abort_multipart_upload(ctx: Context, req: api.AbortMultipartUploadRequest) -> api.AbortMultipartUploadResult:
    """Forget an upload and its parts. Raises: NoSuchUpload. Source: S3 API_AbortMultipartUpload (read 2026-11)."""
    bucket = _open_bucket(ctx, req)
    _forget(ctx, bucket, _upload(ctx, bucket, req), set())
    return {}
