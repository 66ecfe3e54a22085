"""What S3's operations need of IAM: actions on the bucket or the object, and what the bucket's policy says.

Whoever asks for an object that is not there needs s3:ListBucket to be told so.
Source: Service Authorization Reference, "Amazon S3"; S3 user guide, "Required permissions for Amazon S3 API operations"
(read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

from cumulet.kernel.authz import Authz, Need
from cumulet.kernel.context import Context
from cumulet.services.s3.access import parse_tags
from cumulet.services.s3.model import Bucket, Version, bucket_key, current_key

Json = dict[str, Any]
Needs = Callable[[Context, Json], Iterable[Need]]
_FACTS = {
    "ACL": "s3:x-amz-acl",
    "GrantRead": "s3:x-amz-grant-read",
    "GrantWrite": "s3:x-amz-grant-write",
    "GrantReadACP": "s3:x-amz-grant-read-acp",
    "GrantWriteACP": "s3:x-amz-grant-write-acp",
    "GrantFullControl": "s3:x-amz-grant-full-control",
    "CopySource": "s3:x-amz-copy-source",
    "MetadataDirective": "s3:x-amz-metadata-directive",
    "ServerSideEncryption": "s3:x-amz-server-side-encryption",
    "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "StorageClass": "s3:x-amz-storage-class",
    "Prefix": "s3:prefix",
    "Delimiter": "s3:delimiter",
    "MaxKeys": "s3:max-keys",
    "VersionId": "s3:VersionId",
}


def _facts(req: Json) -> Json:
    facts = {key: req[member] for member, key in _FACTS.items() if member in req}
    if "Tagging" in req and isinstance(req["Tagging"], str):
        tags = parse_tags(req["Tagging"])
        facts["s3:RequestObjectTagKeys"] = list(tags)
        facts |= {f"s3:RequestObjectTag/{name}": value for name, value in tags.items()}
    return facts


def need(ctx: Context, action: str, bucket: str, key: str | None = None, **facts: Any) -> Need:
    """To do something with a bucket, or with an object of it."""
    found = ctx.tx.get(bucket_key(bucket), Bucket)
    arn = f"arn:aws:s3:::{bucket}" if key is None else f"arn:aws:s3:::{bucket}/{key}"
    if found is None:
        return Need(f"s3:{action}", arn, facts=facts)
    if key is not None:
        version = ctx.tx.get(current_key(bucket, key), Version)
        for name, value in (version.tags if version is not None else {}).items():
            facts[f"s3:ExistingObjectTag/{name}"] = value
    return Need(f"s3:{action}", arn, found.account, found.policy, facts)


def _on_bucket(action: str) -> Needs:
    return lambda ctx, req: (need(ctx, action, req["Bucket"], **_facts(req)),)


def _on_object(action: str, versioned: bool = False) -> Needs:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        called = action
        if versioned and "VersionId" in req:
            called = action.replace("Object", "ObjectVersion", 1)
        yield need(ctx, called, req["Bucket"], req["Key"], **_facts(req))

    return needs


def _read(ctx: Context, req: Json) -> Iterable[Need]:
    version = "VersionId" in req
    yield need(ctx, "GetObjectVersion" if version else "GetObject", req["Bucket"], req["Key"], **_facts(req))
    if ctx.tx.get(bucket_key(req["Bucket"]), Bucket) is None:
        return
    current = ctx.tx.get(current_key(req["Bucket"], req["Key"]), Version)
    if not version and (current is None or current.marker):
        yield need(ctx, "ListBucket", req["Bucket"])


def _attributes(ctx: Context, req: Json) -> Iterable[Need]:
    yield from _read(ctx, req)
    action = "GetObjectVersionAttributes" if "VersionId" in req else "GetObjectAttributes"
    yield need(ctx, action, req["Bucket"], req["Key"])


def _write(ctx: Context, req: Json) -> Iterable[Need]:
    facts = _facts(req)
    yield need(ctx, "PutObject", req["Bucket"], req["Key"], **facts)
    if "Tagging" in req:
        yield need(ctx, "PutObjectTagging", req["Bucket"], req["Key"], **facts)
    if req.get("ACL", "private") != "private" or any(member.startswith("Grant") for member in req):
        yield need(ctx, "PutObjectAcl", req["Bucket"], req["Key"], **facts)


def _copy(ctx: Context, req: Json) -> Iterable[Need]:
    text, _, version = req["CopySource"].partition("?versionId=")
    bucket, _, key = unquote(text).lstrip("/").partition("/")
    yield need(ctx, "GetObjectVersion" if version else "GetObject", bucket, key)
    yield from _write(ctx, req)


def _delete_objects(ctx: Context, req: Json) -> Iterable[Need]:
    for each in req["Delete"]["Objects"]:
        action = "DeleteObjectVersion" if "VersionId" in each else "DeleteObject"
        yield need(ctx, action, req["Bucket"], each["Key"])


_BUCKET = {
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "GetBucketCors": "GetBucketCORS",
    "PutBucketCors": "PutBucketCORS",
    "DeleteBucketCors": "PutBucketCORS",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    **{
        name: name
        for name in ("CreateBucket", "DeleteBucket", "DeleteBucketPolicy", "GetBucketAcl", "GetBucketLocation",
                     "GetBucketOwnershipControls", "GetBucketPolicy", "GetBucketPolicyStatus", "GetBucketTagging",
                     "GetBucketVersioning", "PutBucketAcl", "PutBucketOwnershipControls", "PutBucketPolicy", "PutBucketTagging",
                     "PutBucketVersioning", "GetBucketWebsite", "PutBucketWebsite", "DeleteBucketWebsite", "GetBucketLogging",
                     "PutBucketLogging")
    },
}  # fmt: skip

AUTHZ = Authz(
    "s3",
    {
        **{operation: _on_bucket(action) for operation, action in _BUCKET.items()},
        "ListBuckets": lambda ctx, req: (Need("s3:ListAllMyBuckets"),),
        "GetObject": _read,
        "HeadObject": _read,
        "GetObjectAttributes": _attributes,
        "PutObject": _write,
        "PostObject": _write,
        "CreateMultipartUpload": _write,
        "UploadPart": _on_object("PutObject"),
        "CompleteMultipartUpload": _on_object("PutObject"),
        "UploadPartCopy": _copy,
        "CopyObject": _copy,
        "AbortMultipartUpload": _on_object("AbortMultipartUpload"),
        "ListParts": _on_object("ListMultipartUploadParts"),
        "DeleteObject": _on_object("DeleteObject", True),
        "DeleteObjects": _delete_objects,
        **{
            name: _on_object(name, True)
            for name in ("GetObjectAcl", "PutObjectAcl", "GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging")
        },
    },
    code="AccessDenied",
    status=403,
    quoted=True,
)  # fmt: skip
