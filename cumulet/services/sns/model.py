"""Topics, subscriptions, deliveries on their way and the outbox: records and keys.

A topic's `stamp` is new with every change of the topic or of one of its subscriptions: what Publish compiles from them
(see fanout.py) is good as long as the stamp is the same. Rows of a topic live under its account, region and name; those
of a subscription under its topic, so that a publish finds them in one scan.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record

ROOT = "sns"
DEDUPLICATION_S = 300.0
TOKEN_S = 172_800.0
PAGE = 100
SIZE_BYTES = 262_144
LARGEST_BYTES = 1_048_576


class Topic(Record):
    """A topic. `attributes` holds what was set, `policy` "" the default one; counts of subscriptions by state."""

    account: str
    region: str
    name: str
    id: str
    stamp: str
    fifo: bool = False
    attributes: dict[str, str] = msgspec.field(default_factory=dict)
    policy: str = ""
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    confirmed: int = 0
    pending: int = 0
    deleted: int = 0
    filters: int = 0

    @property
    def key(self) -> Key:
        return topic_key(self.account, self.region, self.name)

    @property
    def place(self) -> Key:
        return (self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        return f"arn:aws:sns:{self.region}:{self.account}:{self.name}"

    @property
    def size_bytes(self) -> int:
        """The largest message, or sum of messages in a batch, with attributes."""
        return int(self.attributes.get("MaximumMessageSize", SIZE_BYTES))


class Subscription(Record):
    """An endpoint that gets a topic's messages.

    account        the owner's: who subscribed (or confirmed)
    topic_account, topic  the topic, in the same region
    attributes     what was set: FilterPolicy, FilterPolicyScope, RawMessageDelivery, RedrivePolicy, DeliveryPolicy
    authenticated  whether the confirmation was signed; guarded: unsubscribing must be, too
    token          of the confirmation that is awaited
    """

    account: str
    region: str
    topic_account: str
    topic: str
    id: str
    protocol: str
    endpoint: str
    principal: str
    attributes: dict[str, str] = msgspec.field(default_factory=dict)
    confirmed: bool = False
    authenticated: bool = True
    guarded: bool = False
    token: str = ""

    @property
    def place(self) -> Key:
        """Its topic's place."""
        return (self.topic_account, self.region, self.topic)

    @property
    def key(self) -> Key:
        return (*subscriptions_of(self.place), self.id)

    @property
    def endpoint_key(self) -> Key:
        return endpoint_key(self.place, self.protocol, self.endpoint)

    @property
    def owned_key(self) -> Key:
        return (*owned_by(self.account, self.region), self.topic_account, self.topic, self.id)

    @property
    def topic_arn(self) -> str:
        return f"arn:aws:sns:{self.region}:{self.topic_account}:{self.topic}"

    @property
    def arn(self) -> str:
        return f"{self.topic_arn}:{self.id}"

    @property
    def raw(self) -> bool:
        return self.attributes.get("RawMessageDelivery") == "true"


class Token(Record):
    """A confirmation's token: for a pending subscription, or (`restores`) for one that its endpoint has left."""

    subscription: Subscription
    until: float
    restores: bool = False


class Delivery(Record):
    """One message on its way to one endpoint: what will be sent, and how often it was tried.

    type         "Notification", "SubscriptionConfirmation" or "UnsubscribeConfirmation"
    body         what the endpoint gets; in `blob` when it is large
    attributes   message attributes that go beside a raw body to a queue
    kms_key      of its topic; `sealed`: what the body is, and attributes, is sealed by it (see sealing.py)
    line         of a message of a FIFO topic: its place behind what is delivered before it, (topic ..., subscription, group, number)
    due          when the next attempt is due; 0 until the delivery is written
    unsigned     the body is a queue's, to be signed when it is read
    slot         the second that the throttle policy gave to the next attempt, or 0
    """

    id: str
    subscription: Subscription
    type: str
    message_id: str
    body: bytes
    published: float
    md5: str
    trace: str
    blob: str = ""
    attributes: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    group: str = ""
    deduplication: str = ""
    line: tuple[str | int, ...] = ()
    failures: int = 0
    slot: float = 0.0
    due: float = 0.0
    unsigned: bool = False
    kms_key: str = ""
    sealed: bool = False

    @property
    def key(self) -> Key:
        return delivery_key(self.id)


class Accepted(Record):
    """What the publisher of a message to a FIFO topic was told; repeated for duplicates."""

    message_id: str
    sequence: str


class Outgoing(Record):
    """An email or a text message that a person would get."""

    at: float
    protocol: str
    to: str
    body: str
    subject: str = ""
    sender: str = ""
    message_id: str = ""
    topic_arn: str = ""
    subscription_arn: str = ""


class Signer(Record):
    """A key pair of the cloud for notifications, and its certificate."""

    name: str
    private_key: bytes
    certificate: bytes


def topics_in(account: str, region: str) -> Key:
    return (ROOT, "topic", account, region)


def topic_key(account: str, region: str, name: str) -> Key:
    return (ROOT, "topic", account, region, name)


def subscriptions_of(place: Key) -> Key:
    return (ROOT, "sub", *place)


def owned_by(account: str, region: str) -> Key:
    return (ROOT, "owned", account, region)


def endpoint_key(place: Key, protocol: str, endpoint: str) -> Key:
    return (ROOT, "endpoint", *place, protocol, endpoint)


def token_key(token: str) -> Key:
    return (ROOT, "token", token)


def delivery_key(id_: str) -> Key:
    return (ROOT, "delivery", id_)


def line_of(place: Key, subscription: str, group: str) -> Key:
    return (ROOT, "line", *place, subscription, group)


def pace_key(place: Key, subscription: str) -> Key:
    return (ROOT, "pace", *place, subscription)


def sequence_key(place: Key) -> Key:
    return (ROOT, "sequence", *place)


def count_key(account: str, region: str, what: str) -> Key:
    return (ROOT, "count", account, region, what)


def outbox_in(account: str, region: str) -> Key:
    return (ROOT, "outbox", account, region)


def outbox_tally(account: str, region: str) -> Key:
    return (ROOT, "outbox-count", account, region)


def signer_key(which: str) -> Key:
    return (ROOT, "signer", which)
