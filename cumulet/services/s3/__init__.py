"""S3: buckets and objects, versions, multipart uploads, browser uploads, notifications, websites."""

from cumulet.kernel.service import Service
from cumulet.services.s3 import (
    announcing,
    buckets,
    cfn,
    copying,
    cors,
    hosting,
    lifecycle,
    listing,
    multipart,
    notifications,
    objects,
    outlying,
    posting,
    reading,
    settings,
    sweeping,
    uploads,
    website,
)
from cumulet.services.s3.authz import AUTHZ

SERVICE = Service(
    "s3",
    modules=(
        buckets,
        copying,
        cors,
        lifecycle,
        listing,
        multipart,
        notifications,
        objects,
        outlying,
        reading,
        settings,
        uploads,
        website,
    ),
    internals={
        "PostObject": posting.post_object,  # no operation of the model: the gateway reads the form
        "cumulet:WebsiteUrl": hosting.url,
        **cors.INTERNALS,
    },
    doors={hosting.DOOR: hosting.serve},
    timers={
        announcing.TIMER: announcing.deliver_again,
        sweeping.DAILY: sweeping.daily,
        sweeping.STEP: sweeping.step,
    },
    resources=cfn.RESOURCES,
    subjects=dict.fromkeys(
        (
            "AbortMultipartUpload",
            "CompleteMultipartUpload",
            "CopyObject",
            "CreateMultipartUpload",
            "DeleteObject",
            "DeleteObjects",
            "GetObject",
            "HeadObject",
            "ListObjects",
            "ListObjectsV2",
            "PostObject",
            "PutObject",
            "UploadPart",
            "UploadPartCopy",
        ),
        "Bucket",
    ),
    authz=AUTHZ,
)
