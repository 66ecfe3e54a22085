"""Saying what happened to objects: S3's event messages to queues, topics and functions, and to EventBridge.

A message is handed over in the transaction of the write it speaks of: both are on disk, or neither is. A destination that
refuses loses nothing either; the refusal is undone alone and leaves a row and a timer in the same commit:

    row + timer  ->  attempt  ->  delivered, or the bucket names the destination no more: row deleted
                              ->  refused: failures + 1, next timer after 1, 2, 4 ... 300 s, given up after a day

Source: S3 user guide, "Event message structure", "EventBridge event message structure", "Supported event types for SQS,
SNS, and Lambda" (read 2026-11). Messages are of versions 2.1 and (lifecycle, tags) 2.3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import msgspec

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record, replace
from cumulet.services.s3.model import NULL, Bucket, Version, bucket_key

Json = dict[str, Any]

PRINCIPAL = "s3.amazonaws.com"
TIMER = "s3.notify"
DESTINATIONS = {
    "TopicConfigurations": "TopicArn",
    "QueueConfigurations": "QueueArn",
    "LambdaFunctionConfigurations": "LambdaFunctionArn",
}
_LONGEST_WAIT_S = 300.0
_AGE_S = 86_400
_EMPTY_ETAG = "d41d8cd98f00b204e9800998ecf8427e"
_REASONS = {"Put": "PutObject", "Post": "POST Object", "Copy": "CopyObject"}
_BRIDGED = {
    "ObjectCreated": "Object Created",
    "ObjectRemoved": "Object Deleted",
    "LifecycleExpiration": "Object Deleted",
    "LifecycleTransition": "Object Storage Class Changed",
}
_encode = msgspec.json.Encoder().encode


class Notice(Record):
    """A message that its destination refused."""

    id: str
    bucket: str
    arn: str
    body: bytes
    first: float
    due: float
    failures: int = 1
    trace: str = ""


def created(ctx: Context, bucket: Bucket, version: Version, how: str) -> None:
    """An object was stored: `how` is Put, Post, Copy or CompleteMultipartUpload."""
    if bucket.notification is not None:
        _announce(ctx, bucket, f"ObjectCreated:{how}", version, sequenced=True)


def removed(
    ctx: Context, bucket: Bucket, gone: Version | None, marker: Version | None, family: str = "ObjectRemoved"
) -> None:
    """A version was deleted for good, or a delete marker was put; nothing is said where there was nothing to delete."""
    if bucket.notification is None:
        return
    if marker is not None:
        _announce(ctx, bucket, f"{family}:DeleteMarkerCreated", marker, sequenced=True)
    elif gone is not None:
        _announce(ctx, bucket, f"{family}:Delete", gone, sequenced=True)


def tagged(ctx: Context, bucket: Bucket, version: Version, how: str) -> None:
    """An object's tags were put (Put) or removed (Delete)."""
    if bucket.notification is not None:
        _announce(ctx, bucket, f"ObjectTagging:{how}", version, sequenced=False)


def transitioned(ctx: Context, bucket: Bucket, version: Version) -> None:
    """A lifecycle rule moved an object to another storage class."""
    if bucket.notification is not None:
        _announce(ctx, bucket, "LifecycleTransition", version, sequenced=False)


def test_event(ctx: Context, bucket: str) -> bytes:
    """What a queue or a topic gets when it becomes a destination."""
    return _encode(
        {
            "Service": "Amazon S3",
            "Event": "s3:TestEvent",
            "Time": _iso(ctx.now),
            "Bucket": bucket,
            "RequestId": ctx.request_id,
            "HostId": _host_id(ctx),
        }
    )


def hand_over(ctx: Context, bucket: str, arn: str, body: bytes) -> None:
    """Give a message of a bucket to a destination. Raises: its AwsErrors."""
    extra = {"Subject": "Amazon S3 Notification"} if arn.split(":")[2] == "sns" else {}
    source = f"arn:aws:s3:::{bucket}"
    ctx.deliver(arn, body, principal=PRINCIPAL, source=source, extra=extra)


def configurations(notification: Json) -> Iterator[tuple[str, Json]]:
    """(the destination's ARN, the configuration) of all that name one."""
    for member, arn in DESTINATIONS.items():
        for each in notification.get(member, ()):
            yield each[arn], each


def filters(configuration: Json) -> tuple[str, str]:
    """(prefix, suffix) of a configuration, "" for any."""
    rules = configuration.get("Filter", {}).get("Key", {}).get("FilterRules", ())
    named = {rule.get("Name", "").lower(): rule.get("Value", "") for rule in rules}
    return named.get("prefix", ""), named.get("suffix", "")


def wants(configuration: Json, name: str, key: str) -> bool:
    """Whether a configuration is for an event ("ObjectCreated:Put") of a key."""
    event = f"s3:{name}"
    if not any(
        each == event or (each.endswith("*") and event.startswith(each[:-1])) for each in configuration["Events"]
    ):
        return False
    prefix, suffix = filters(configuration)
    return key.startswith(prefix) and key.endswith(suffix)


def _announce(ctx: Context, bucket: Bucket, name: str, version: Version, *, sequenced: bool) -> None:
    assert bucket.notification is not None
    wanted = [each for each in configurations(bucket.notification) if wants(each[1], name, version.key)]
    bridged = "EventBridgeConfiguration" in bucket.notification
    if not wanted and not bridged:
        return
    sequencer = _sequencer(ctx, bucket) if sequenced else ""
    if wanted:
        record = _record(ctx, bucket, name, version, sequencer)
        for arn, configuration in wanted:
            s3 = {**record["s3"], "configurationId": configuration["Id"]}
            _deliver(ctx, bucket, arn, _encode({"Records": [{**record, "s3": s3}]}))
    if bridged:
        _bridge(ctx, bucket, name, version, sequencer)


def _deliver(ctx: Context, bucket: Bucket, arn: str, body: bytes) -> None:
    try:
        hand_over(ctx, bucket.name, arn, body)
    except AwsError:
        notice = Notice(id=ctx.ids.uuid(), bucket=bucket.name, arn=arn, body=body, first=ctx.now, due=ctx.now + 1.0,
                        trace=ctx.trace)  # fmt: skip
        ctx.tx.put(_notice_key(notice.id), notice)
        ctx.tx.wake(notice.due, TIMER, (notice.id,))


def deliver_again(ctx: Context, key: Key) -> None:
    """Timer s3.notify: the next attempt of a message that was refused."""
    at = _notice_key(str(key[0]))
    notice = ctx.tx.get(at, Notice)
    if notice is None or notice.due > ctx.now:
        return
    ctx.follow([notice.trace], at=f"arn:aws:s3:::{notice.bucket}")
    bucket = ctx.tx.get(bucket_key(notice.bucket), Bucket)
    still = bucket is not None and any(arn == notice.arn for arn, _ in configurations(bucket.notification or {}))
    if still:
        try:
            hand_over(ctx, notice.bucket, notice.arn, notice.body)
        except AwsError:
            due = ctx.now + min(2.0 ** min(notice.failures, 16), _LONGEST_WAIT_S)
            if due - notice.first <= _AGE_S:
                ctx.tx.put(at, replace(notice, failures=notice.failures + 1, due=due))
                ctx.tx.wake(due, TIMER, (notice.id,))
                return
    ctx.tx.delete(at)


def _notice_key(number: str) -> Key:
    return ("s3", "notice", number)


def _sequencer(ctx: Context, bucket: Bucket) -> str:
    """Greater than all before it in this bucket, whatever the clock does."""
    at = ("s3", "sequencer", bucket.name)
    number = max(ctx.tx.counter(at) + 1, int(ctx.now) << 32)
    ctx.tx.put(at, b"%d" % number)
    return f"{number:018X}"


def _record(ctx: Context, bucket: Bucket, name: str, version: Version, sequencer: str) -> Json:
    family = name.partition(":")[0]
    own = not family.startswith("Object")  # S3 itself did it
    s3: Json = {
        "s3SchemaVersion": "1.0",
        "configurationId": "",
        "bucket": {
            "name": bucket.name,
            "ownerIdentity": {"principalId": _customer(bucket.account)},
            "arn": f"arn:aws:s3:::{bucket.name}",
        },
        "object": _object(bucket, name, version, sequencer, "eTag", "versionId", _encoded(version.key)),
    }
    record: Json = {
        "eventVersion": "2.3" if own or family == "ObjectTagging" else "2.1",
        "eventSource": "aws:s3",
        "awsRegion": bucket.region,
        "eventTime": _iso(ctx.now),
        "eventName": name,
        "userIdentity": {"principalId": PRINCIPAL if own else _principal(ctx)},
        "requestParameters": {"sourceIPAddress": PRINCIPAL if own else ctx.source_ip},
        "responseElements": {"x-amz-request-id": ctx.request_id, "x-amz-id-2": _host_id(ctx)},
        "s3": s3,
    }
    if family == "LifecycleTransition":
        record["lifecycleEventData"] = {"transitionEventData": {"destinationStorageClass": version.storage_class}}
    return record


def _object(bucket: Bucket, name: str, version: Version, sequencer: str, etag: str, version_id: str, key: str) -> Json:
    """The object of a message; the members' names are those of the message's kind."""
    shown: Json = {"key": key}
    if not name.endswith(":Delete") or name.startswith("ObjectTagging"):
        if not version.marker and not name.startswith("ObjectTagging"):
            shown["size"] = version.size
        shown[etag] = _EMPTY_ETAG if version.marker else version.etag
    if bucket.versioning or version.version != NULL:
        shown[version_id] = version.version
    if sequencer:
        shown["sequencer"] = sequencer
    return shown


def _bridge(ctx: Context, bucket: Bucket, name: str, version: Version, sequencer: str) -> None:
    family, _, how = name.partition(":")
    own = not family.startswith("Object")
    key = version.key.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    detail: Json = {
        "version": "0",
        "bucket": {"name": bucket.name},
        "object": _object(bucket, name, version, sequencer.lower(), "etag", "version-id", key),
        "request-id": ctx.request_id,
        "requester": PRINCIPAL if own else ctx.account,
    }
    if not own:
        detail["source-ip-address"] = ctx.source_ip
    if family == "ObjectCreated":
        detail["reason"] = _REASONS.get(how, how)
    elif family == "LifecycleTransition":
        detail["destination-storage-class"] = version.storage_class
    elif family != "ObjectTagging":
        detail["reason"] = "Lifecycle Expiration" if own else "DeleteObject"
        detail["deletion-type"] = "Permanently Deleted" if how == "Delete" else "Delete Marker Created"
    kind = f"Object Tags {'Added' if how == 'Put' else 'Deleted'}" if family == "ObjectTagging" else _BRIDGED[family]
    event = {"Source": "aws.s3", "DetailType": kind, "Resources": [f"arn:aws:s3:::{bucket.name}"], "Detail": detail}
    ctx.call("events", "cumulet:Emit", event, principal="", region=bucket.region, account=bucket.account)


def _principal(ctx: Context) -> str:
    """The unique id of who made the request: the account's number for its root, as STS says it for users and roles."""
    if ctx.principal in ("", f"arn:aws:iam::{ctx.account}:root"):
        return f"AWS:{ctx.account}"
    if ctx.principal.endswith(".amazonaws.com"):
        return ctx.principal
    try:
        return f"AWS:{ctx.call('sts', 'GetCallerIdentity', {})['UserId']}"
    except AwsError:  # the role was deleted meanwhile
        return f"AWS:{ctx.account}"


def _customer(account: str) -> str:
    return f"A{hashlib.sha256(f'customer {account}'.encode()).hexdigest()[:13].upper()}"


def _host_id(ctx: Context) -> str:
    return f"{ctx.request_id}cumulet"


def _encoded(key: str) -> str:
    """As a form's field: a space is `+`, what is neither letter, digit nor one of `/*-_.` is percent-encoded."""
    return quote_plus(key, safe="/*", errors="surrogatepass").replace("~", "%7E")


def _iso(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}.{int(at * 1000) % 1000:03d}Z"
