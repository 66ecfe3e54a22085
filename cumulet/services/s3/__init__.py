"""S3: buckets and objects, versions, multipart uploads, browser uploads."""

from cumulet.kernel.service import Service
from cumulet.services.s3 import buckets, cfn, copying, listing, multipart, objects, posting, reading, settings, uploads
from cumulet.services.s3.authz import AUTHZ

SERVICE = Service(
    "s3",
    modules=(buckets, copying, listing, multipart, objects, reading, settings, uploads),
    internals={"PostObject": posting.post_object},  # no operation of the model: the gateway reads the form
    resources=cfn.RESOURCES,
    authz=AUTHZ,
)
