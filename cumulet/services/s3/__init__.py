"""S3: buckets and objects, versions, multipart uploads, browser uploads, notifications."""

from cumulet.kernel.service import Service
from cumulet.services.s3 import (
    announcing,
    buckets,
    cfn,
    copying,
    cors,
    lifecycle,
    listing,
    multipart,
    notifications,
    objects,
    posting,
    reading,
    settings,
    sweeping,
    uploads,
)

SERVICE = Service(
    "s3",
    modules=(buckets, copying, cors, lifecycle, listing, multipart, notifications, objects, reading, settings, uploads),
    internals={
        "PostObject": posting.post_object,
        **cors.INTERNALS,
    },  # no operation of the model: the gateway reads the form
    timers={
        announcing.TIMER: announcing.deliver_again,
        sweeping.DAILY: sweeping.daily,
        sweeping.STEP: sweeping.step,
    },
    resources=cfn.RESOURCES,
)
