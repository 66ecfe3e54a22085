"""S3: buckets and objects, versions, multipart uploads."""

from cumulet.kernel.service import Service
from cumulet.services.s3 import buckets, cfn, copying, listing, multipart, objects, reading, settings, uploads

SERVICE = Service(
    "s3", modules=(buckets, copying, listing, multipart, objects, reading, settings, uploads), resources=cfn.RESOURCES
)
