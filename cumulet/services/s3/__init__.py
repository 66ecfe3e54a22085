"""S3: buckets and objects, versions, multipart uploads, browser uploads."""

from cumulet.kernel.service import Service
from cumulet.services.s3 import buckets, cfn, copying, listing, multipart, objects, posting, reading, settings, uploads

SERVICE = Service(
    "s3",
    modules=(buckets, copying, listing, multipart, objects, reading, settings, uploads),
    internals={"PostObject": posting.post_object},  # no operation of the model: the gateway reads the form
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
)
