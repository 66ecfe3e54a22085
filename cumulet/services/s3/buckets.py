"""Operations on buckets themselves: create, delete, find, list."""

from __future__ import annotations

import ipaddress
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from cumulet.kernel.context import Context
from cumulet.services.s3 import bodies as _bodies
from cumulet.services.s3.access import bucket_of as _bucket_of
from cumulet.services.s3.access import check_acl as _check_acl
from cumulet.services.s3.access import check_tags as _check_tags
from cumulet.services.s3.access import open_bucket as _open_bucket
from cumulet.services.s3.errors import (
    BucketConflict,
    IllegalLocationConstraintException,
    InvalidArgument,
    InvalidBucketName,
    InvalidLocationConstraint,
    refused,
)
from cumulet.services.s3.model import Bucket, Part, Upload, Version
from cumulet.services.s3.model import bucket_key as _bucket_key
from cumulet.services.s3.model import owner as _owner

if TYPE_CHECKING:
    from cumulet.services.s3 import api

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_FORBIDDEN_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_FORBIDDEN_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_DEFAULT_REGION = "us-east-1"
_PUBLIC_ACCESS_BLOCK = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def create_bucket(ctx: Context, req: api.CreateBucketRequest) -> api.CreateBucketResult:
    """Make a bucket in LocationConstraint's region, or us-east-1; private, encrypted, owner-enforced, as AWS does now.

    Making one's own bucket again succeeds in us-east-1 and fails elsewhere. Names are unique across accounts.
    Raises: InvalidBucketName, BucketAlreadyExists, BucketAlreadyOwnedByYou, IllegalLocationConstraintException,
    InvalidLocationConstraint; NotImplemented for Object Lock and directory buckets.
    Source: S3 API_CreateBucket; user guide, "Bucket naming rules" (read 2026-11).
    """
    name = req["Bucket"]
    _check_name(name)
    configuration = req.get("CreateBucketConfiguration", {})
    if "Location" in configuration or "Bucket" in configuration:
        raise refused("directory buckets")
    if req.get("ObjectLockEnabledForBucket"):
        raise refused("Object Lock")
    region = _region(ctx, configuration.get("LocationConstraint"))
    existing = ctx.tx.get(_bucket_key(name), Bucket)
    if existing is not None:
        _exists(ctx, existing, region)
        return {"Location": f"/{name}"}
    bucket = Bucket(
        name=name,
        account=ctx.account,
        region=region,
        created=ctx.now,
        ownership=req.get("ObjectOwnership", "BucketOwnerEnforced"),
        tags=_check_tags(configuration.get("Tags", []), 50),
        public_access=dict.fromkeys(_PUBLIC_ACCESS_BLOCK, True),
    )
    _check_acl(bucket, req)
    ctx.tx.put(_bucket_key(name), bucket)
    ctx.tx.put(("s3", "owned", ctx.account, name), b"")
    return {"Location": f"/{name}" if region == _DEFAULT_REGION else f"http://{name}.s3.amazonaws.com/"}


def _check_name(name: str) -> None:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        address = False
    else:
        address = True
    if (
        address
        or not _NAME.fullmatch(name)
        or ".." in name
        or name.startswith(_FORBIDDEN_STARTS)
        or name.endswith(_FORBIDDEN_ENDS)
    ):
        raise InvalidBucketName(name)


def _region(ctx: Context, constraint: str | None) -> str:
    if constraint == _DEFAULT_REGION:
        raise InvalidLocationConstraint(
            "The specified location-constraint is not valid", members={"LocationConstraint": constraint}
        )
    wanted = {None: _DEFAULT_REGION, "": _DEFAULT_REGION, "EU": "eu-west-1"}.get(constraint, constraint)
    assert wanted is not None
    if ctx.region not in (_DEFAULT_REGION, wanted):
        named = constraint or "unspecified"
        raise IllegalLocationConstraintException(
            f"The {named} location constraint is incompatible for the region specific endpoint this request was sent to."
        )
    return wanted


def _exists(ctx: Context, existing: Bucket, region: str) -> None:
    if existing.account != ctx.account:
        raise BucketConflict(
            "BucketAlreadyExists",
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
            "Please select a different name and try again.",
            existing.name,
        )
    if existing.region != _DEFAULT_REGION or region != _DEFAULT_REGION:
        raise BucketConflict(
            "BucketAlreadyOwnedByYou",
            "Your previous request to create the named bucket succeeded and you already own it.",
            existing.name,
        )


def delete_bucket(ctx: Context, req: api.DeleteBucketRequest) -> api.DeleteBucketResult:
    """Delete an empty bucket: no objects, no versions, no delete markers. Unfinished uploads go with it.

    Raises: NoSuchBucket, BucketNotEmpty. Source: S3 API_DeleteBucket (read 2026-11).
    """
    bucket = _open_bucket(ctx, req)
    for table in ("current", "older"):
        if any(True for _ in ctx.tx.scan(("s3", table, bucket.name), Version, limit=1)):
            versions = " You must delete all versions in the bucket." if bucket.versioning else ""
            raise BucketConflict(
                "BucketNotEmpty",
                f"The bucket you tried to delete is not empty{'.' if versions else ''}{versions}",
                bucket.name,
            )
    for at, upload in list(ctx.tx.scan(("s3", "upload", bucket.name), Upload)):
        for part_at, part in list(ctx.tx.scan(("s3", "part", upload.id), Part)):
            _bodies.drop(ctx, part.segments)
            ctx.tx.delete(part_at)
        ctx.tx.delete(at)
    ctx.tx.delete(_bucket_key(bucket.name))
    ctx.tx.delete(("s3", "owned", bucket.account, bucket.name))
    ctx.tx.delete(("s3", "sequencer", bucket.name))
    ctx.tx.delete(("s3", "sweep", bucket.name))
    return {}


def head_bucket(ctx: Context, req: api.HeadBucketRequest) -> api.HeadBucketResult:
    """Whether the bucket is there, and its region. Raises: NoSuchBucket, AccessDenied. Source: S3 API_HeadBucket."""
    bucket = _open_bucket(ctx, req)
    return {"BucketRegion": bucket.region, "AccessPointAlias": False, "BucketArn": f"arn:aws:s3:::{bucket.name}"}


def get_bucket_location(ctx: Context, req: api.GetBucketLocationRequest) -> api.GetBucketLocationResult:
    """The bucket's region; empty for us-east-1. Raises: NoSuchBucket. Source: S3 API_GetBucketLocation."""
    bucket = _open_bucket(ctx, req)
    return {} if bucket.region == _DEFAULT_REGION else {"LocationConstraint": bucket.region}


def list_buckets(ctx: Context, req: api.ListBucketsRequest) -> api.ListBucketsResult:
    """The account's buckets by name: all, or pages of MaxBuckets. Source: S3 API_ListBuckets (read 2026-11)."""
    prefix, most = req.get("Prefix", ""), req.get("MaxBuckets", 10_000)
    paged = "MaxBuckets" in req or "ContinuationToken" in req or "BucketRegion" in req
    after = ""
    if "ContinuationToken" in req:
        try:
            after = urlsafe_b64decode(req["ContinuationToken"]).decode()
        except ValueError as error:
            raise InvalidArgument(
                "The continuation token provided is incorrect", "continuation-token", req["ContinuationToken"]
            ) from error
    shown: list[dict[str, Any]] = []
    result: dict[str, Any] = {"Buckets": shown, "Owner": _owner(ctx.account)}
    if "Prefix" in req:
        result["Prefix"] = prefix
    for at in ctx.tx.scan_keys(("s3", "owned", ctx.account), start=("s3", "owned", ctx.account, after)):
        name = str(at[3])
        if name <= after or not name.startswith(prefix):
            continue
        bucket = _bucket_of(ctx, name)
        if req.get("BucketRegion", bucket.region) != bucket.region:
            continue
        if len(shown) == most:
            result["ContinuationToken"] = urlsafe_b64encode(shown[-1]["Name"].encode()).decode()
            break
        each: dict[str, Any] = {"Name": name, "CreationDate": bucket.created, "BucketArn": f"arn:aws:s3:::{name}"}
        if paged:
            each["BucketRegion"] = bucket.region
        shown.append(each)
    return result  # type: ignore[return-value]
