"""What every operation asks first: does the bucket exist, is it the caller's, and are there settings we must refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from cumulet.aws.errors import AccessDenied
from cumulet.kernel.context import Context
from cumulet.services.s3.errors import (
    AccessControlListNotSupported,
    BadRequest,
    InvalidArgument,
    InvalidRedirectLocation,
    InvalidRequest,
    InvalidTag,
    KeyTooLongError,
    NoSuchBucket,
    refused,
)
from cumulet.services.s3.model import Bucket, bucket_key

_REFUSED = {
    "SSECustomerAlgorithm": "encryption with customer-provided keys (SSE-C)",
    "SSECustomerKey": "encryption with customer-provided keys (SSE-C)",
    "CopySourceSSECustomerAlgorithm": "encryption with customer-provided keys (SSE-C)",
    "SSEKMSEncryptionContext": "an encryption context",
    "ObjectLockMode": "Object Lock",
    "ObjectLockRetainUntilDate": "Object Lock",
    "ObjectLockEventHold": "Object Lock",
    "WriteOffsetBytes": "appending (WriteOffsetBytes)",
    "MFA": "MFA delete",
}
_STORAGE_CLASSES = frozenset(
    {"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"}
)
ENCRYPTIONS = ("AES256", "aws:kms")
_HEADERS = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires")
_GRANTS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")
_KEY_BYTES, _METADATA_BYTES, _TAGS, _REDIRECT_BYTES = 1024, 2048, 10, 2048


def open_bucket(ctx: Context, req: Mapping[str, Any]) -> Bucket:
    """The bucket of a request. Raises: NoSuchBucket, AccessDenied (another account's), NotImplemented (a setting)."""
    bucket = bucket_of(ctx, req["Bucket"])
    expected = req.get("ExpectedBucketOwner")
    if expected is not None and expected != bucket.account:
        raise AccessDenied("Access Denied")
    for name, setting in _REFUSED.items():
        if name in req:
            raise refused(setting)
    if req.get("ObjectLockLegalHoldStatus") == "ON":
        raise refused("Object Lock")
    if req.get("ServerSideEncryption", "AES256") not in ENCRYPTIONS:
        raise refused(f"server-side encryption {req['ServerSideEncryption']}")
    return bucket


def bucket_of(ctx: Context, name: str) -> Bucket:
    """Raises: NoSuchBucket, AccessDenied."""
    bucket = ctx.tx.get(bucket_key(name), Bucket)
    if bucket is None:
        raise NoSuchBucket(name)
    if bucket.account != ctx.account:
        raise AccessDenied("Access Denied")
    return bucket


def check_key(key: str) -> None:
    """Raises: KeyTooLongError."""
    size = len(key.encode("utf-8", "surrogatepass"))
    if size > _KEY_BYTES:
        raise KeyTooLongError(size)


def check_acl(bucket: Bucket, req: Mapping[str, Any]) -> None:
    """Only an ACL that grants the owner alone is taken.

    Raises: AccessControlListNotSupported where the bucket's owner is enforced, as on AWS; else NotImplemented.
    """
    acl = req.get("ACL", "private")
    if acl in ("private", "bucket-owner-full-control") and not any(name in req for name in _GRANTS):
        return
    if bucket.ownership == "BucketOwnerEnforced":
        raise AccessControlListNotSupported()
    raise refused(f"the ACL {acl}" if "ACL" in req else "ACL grants")


def object_settings(bucket: Bucket, req: Mapping[str, Any]) -> dict[str, Any]:
    """What a Version or Upload keeps of a write's headers: headers, metadata, storage_class, tags, redirect."""
    metadata = req.get("Metadata", {})
    if sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items()) > _METADATA_BYTES:
        raise InvalidRequest("Your metadata headers exceed the maximum allowed metadata size")
    storage_class = req.get("StorageClass", "STANDARD")
    if storage_class not in _STORAGE_CLASSES:
        raise refused(f"the storage class {storage_class}")
    encryption = req.get("ServerSideEncryption", bucket.default_encryption)
    by_default = "ServerSideEncryption" not in req
    if "SSEKMSKeyId" in req and (by_default or encryption != "aws:kms"):
        raise InvalidArgument(
            "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
            "x-amz-server-side-encryption",
            req.get("ServerSideEncryption", ""),
        )
    return {
        "headers": {name: req[name] for name in _HEADERS if name in req},
        "metadata": dict(metadata),
        "encryption": encryption,
        "kms_key": bucket.default_key if by_default else req.get("SSEKMSKeyId", ""),
        "bucket_key": encryption == "aws:kms" and bool(req.get("BucketKeyEnabled", bucket.bucket_key)),
        "storage_class": storage_class,
        "tags": parse_tags(req["Tagging"]) if "Tagging" in req else {},
        "redirect": _redirect(req.get("WebsiteRedirectLocation", "")),
    }


def _redirect(location: str) -> str:
    """Raises: InvalidRedirectLocation."""
    if location and not location.startswith(("/", "http://", "https://")):
        raise InvalidRedirectLocation(
            "The website redirect location must have a prefix of 'http://' or 'https://' or '/'."
        )
    if len(location.encode()) > _REDIRECT_BYTES:
        raise InvalidRedirectLocation(
            f"The length of website redirect location cannot exceed {_REDIRECT_BYTES} characters."
        )
    return location


def parse_tags(header: str) -> dict[str, str]:
    """Tags of the x-amz-tagging header, `a=b&c=d`. Raises: InvalidArgument, InvalidTag."""
    try:
        pairs = parse_qsl(header, keep_blank_values=True, strict_parsing=bool(header))
    except ValueError as error:
        raise InvalidArgument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name "
            "duplicates.",
            "x-amz-tagging",
            header,
        ) from error
    return check_tags([{"Key": name, "Value": value} for name, value in pairs], _TAGS)


def check_tags(tags: list[Any], most: int) -> dict[str, str]:
    """Raises: InvalidTag, BadRequest."""
    found: dict[str, str] = {}
    for tag in tags:
        if tag["Key"] in found:
            raise InvalidTag("Cannot provide multiple Tags with the same key", members={"TagKey": tag["Key"]})
        if tag["Key"].startswith("aws:") and not tag["Key"].startswith("aws:cloudformation:"):
            raise InvalidTag("System tags cannot be added/updated by requester", members={"TagKey": tag["Key"]})
        if not 0 < len(tag["Key"]) <= 128:
            raise InvalidTag("The TagKey you have provided is invalid", members={"TagKey": tag["Key"]})
        if len(tag["Value"]) > 256:
            raise InvalidTag("The TagValue you have provided is invalid", members={"TagKey": tag["Key"]})
        found[tag["Key"]] = tag["Value"]
    if len(found) > most:
        raise BadRequest(f"{'Object' if most == _TAGS else 'Bucket'} tags cannot be greater than {most}")
    return found
