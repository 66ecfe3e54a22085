"""Operations on settings that change little here: acceleration, who pays, access logs, replication, Object Lock.

What would have an effect that Cumulet lacks is refused; what asks for AWS's default is taken, and shown as AWS shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.s3.access import open_bucket as _open_bucket
from cumulet.services.s3.errors import InvalidRequest, MalformedXML, NotThere, refused
from cumulet.services.s3.model import ENABLED, SUSPENDED
from cumulet.services.s3.model import bucket_key as _bucket_key

if TYPE_CHECKING:
    from cumulet.services.s3 import api


def put_bucket_accelerate_configuration(
    ctx: Context, req: api.PutBucketAccelerateConfigurationRequest
) -> api.PutBucketAccelerateConfigurationResult:
    """Enable or suspend transfer acceleration: `s3-accelerate` hosts lead here in either case.

    Raises: NoSuchBucket, MalformedXML, InvalidRequest (a name with dots).
    Source: S3 API_PutBucketAccelerateConfiguration (read 2026-11).
    """
    bucket = _open_bucket(ctx, req)
    status = req["AccelerateConfiguration"].get("Status")
    if status not in (ENABLED, SUSPENDED):
        raise MalformedXML()
    if "." in bucket.name:
        raise InvalidRequest("S3 Transfer Acceleration is not supported for buckets with periods (.) in their names")
    ctx.tx.put(_bucket_key(bucket.name), replace(bucket, accelerate=status))
    return {}


def get_bucket_accelerate_configuration(
    ctx: Context, req: api.GetBucketAccelerateConfigurationRequest
) -> api.GetBucketAccelerateConfigurationResult:
    """Enabled, Suspended, or nothing when it never was. Raises: NoSuchBucket."""
    bucket = _open_bucket(ctx, req)
    return {"Status": bucket.accelerate} if bucket.accelerate else {}


def put_bucket_request_payment(
    ctx: Context, req: api.PutBucketRequestPaymentRequest
) -> api.PutBucketRequestPaymentResult:
    """Accept BucketOwner. Raises: NoSuchBucket; NotImplemented for Requester. Source: S3 API_PutBucketRequestPayment."""
    _open_bucket(ctx, req)
    if req["RequestPaymentConfiguration"]["Payer"] != "BucketOwner":
        raise refused("Requester Pays")
    return {}


def get_bucket_request_payment(
    ctx: Context, req: api.GetBucketRequestPaymentRequest
) -> api.GetBucketRequestPaymentResult:
    """BucketOwner. Raises: NoSuchBucket. Source: S3 API_GetBucketRequestPayment (read 2026-11)."""
    _open_bucket(ctx, req)
    return {"Payer": "BucketOwner"}


def put_bucket_logging(ctx: Context, req: api.PutBucketLoggingRequest) -> api.PutBucketLoggingResult:
    """Accept an empty status, which turns access logs off. Raises: NoSuchBucket; NotImplemented for LoggingEnabled."""
    _open_bucket(ctx, req)
    if "LoggingEnabled" in req["BucketLoggingStatus"]:
        raise refused("server access logging")
    return {}


def get_bucket_logging(ctx: Context, req: api.GetBucketLoggingRequest) -> api.GetBucketLoggingResult:
    """Nothing: access logs are off. Raises: NoSuchBucket. Source: S3 API_GetBucketLogging (read 2026-11)."""
    _open_bucket(ctx, req)
    return {}


def get_bucket_replication(ctx: Context, req: api.GetBucketReplicationRequest) -> api.GetBucketReplicationResult:
    """Raises: ReplicationConfigurationNotFoundError, as there is none; NoSuchBucket. Source: S3 API_GetBucketReplication."""
    bucket = _open_bucket(ctx, req)
    raise NotThere("ReplicationConfigurationNotFoundError", "The replication configuration was not found", bucket.name)


def get_object_lock_configuration(
    ctx: Context, req: api.GetObjectLockConfigurationRequest
) -> api.GetObjectLockConfigurationResult:
    """Raises: ObjectLockConfigurationNotFoundError, as there is none; NoSuchBucket."""
    bucket = _open_bucket(ctx, req)
    raise NotThere(
        "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket", bucket.name
    )
