"""Amazon SNS: topics, subscriptions, publishing, deliveries with retries and dead-letter queues."""

from __future__ import annotations

from cumulet.kernel.service import Service
from cumulet.services.sns import confirming, delivery, doors, outbox, publishing, signing, subscriptions, tags, topics
from cumulet.services.sns.authz import AUTHZ
from cumulet.services.sns.cfn import RESOURCES

SERVICE = Service(
    "sns",
    modules=(topics, subscriptions, publishing, tags),
    doors={"sns": doors.sns},
    timers={"sns.deliver": delivery.deliver, "sns.expire": confirming.expire},
    internals={"cumulet:Finish": signing.finish},
    inspect={"cumulet:Outbox": outbox.listing},
    resources=RESOURCES,
    subjects={"Publish": lambda req: req.get("TopicArn") or req.get("TargetArn"), "PublishBatch": "TopicArn"},
    authz=AUTHZ,
)
