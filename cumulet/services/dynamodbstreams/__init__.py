"""Amazon DynamoDB Streams: what changed in a table's items, in order, for 24 hours. DynamoDB itself keeps the records."""

from __future__ import annotations

from cumulet.kernel.service import Service
from cumulet.services.dynamodbstreams import internal, reading, streams
from cumulet.services.dynamodbstreams.authz import AUTHZ

SERVICE = Service(
    "dynamodbstreams",
    modules=(streams, reading),
    internals={"cumulet:Shards": internal.shards, "cumulet:Read": internal.read, "cumulet:Latest": internal.latest},
    authz=AUTHZ,
)
