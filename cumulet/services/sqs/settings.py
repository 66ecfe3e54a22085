"""Queue attributes: names, ranges, policies; as strings on the wire, as fields of a Queue.

Source: SQS API_CreateQueue, API_SetQueueAttributes, API_GetQueueAttributes (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.sqs import policies
from cumulet.services.sqs.errors import (
    InvalidAttributeValue,
    InvalidParameterValue,
    bad_attribute,
    invalid,
    unknown_attribute,
)
from cumulet.services.sqs.lookup import queue_of
from cumulet.services.sqs.model import MAX_BYTES, Queue

_WHOLE = re.compile(r"[0-9]{1,9}")
_RANGES = {
    "VisibilityTimeout": ("visibility_s", 0, 43_200),
    "DelaySeconds": ("delay_s", 0, 900),
    "MaximumMessageSize": ("max_bytes", 1024, MAX_BYTES),
    "MessageRetentionPeriod": ("retention_s", 60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": ("wait_s", 0, 20),
}
_MOST_RECEIVES = 1000
_SOURCES = 10
_READ_ONLY = frozenset(
    {
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
        "CreatedTimestamp",
        "LastModifiedTimestamp",
        "QueueArn",
        "All",
    }
)
_FIFO_ONLY = {"ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"}
Changes = dict[str, Any]


def changes(ctx: Context, queue: Queue, given: Mapping[str, str], creating: bool = False) -> Changes:
    """The fields of `queue` that these attributes change. Raises: InvalidAttributeName, InvalidAttributeValue, ..."""
    found: Changes = {}
    for name, value in given.items():
        if name in _RANGES:
            field, low, high = _RANGES[name]
            if not _WHOLE.fullmatch(value) or not low <= int(value) <= high:
                raise bad_attribute(name)
            found[field] = int(value)
        elif name == "FifoQueue":
            if not creating:
                raise unknown_attribute(name)
        elif name in _SETTERS and not (name in _FIFO_ONLY and not queue.fifo):
            _SETTERS[name](ctx, queue, value, found)
        else:
            raise unknown_attribute(name)
    _one_encryption(found)
    scope = found.get("deduplication_scope", queue.deduplication_scope)
    if found.get("throughput_limit", queue.throughput_limit) == "perMessageGroupId" and scope != "messageGroup":
        raise InvalidParameterValue(
            "The perMessageGroupId value for FifoThroughputLimit is allowed only when the value for DeduplicationScope is "
            "messageGroup."
        )
    return found


def _flag(name: str, field: str) -> Callable[[Context, Queue, str, Changes], None]:
    def take(ctx: Context, queue: Queue, value: str, found: Changes) -> None:
        if value not in ("true", "false"):
            raise bad_attribute(name)
        found[field] = value == "true"

    return take


def _choice(name: str, field: str, choices: tuple[str, ...]) -> Callable[[Context, Queue, str, Changes], None]:
    def take(ctx: Context, queue: Queue, value: str, found: Changes) -> None:
        if value not in choices:
            raise bad_attribute(name)
        found[field] = value

    return take


def _policy(ctx: Context, queue: Queue, value: str, found: Changes) -> None:
    if value:
        policies.check(value)
    found["policy"] = value


def _json(text: str) -> Any:
    try:
        return read_json(text)
    except NotJson:
        return None


def _redrive(ctx: Context, queue: Queue, value: str, found: Changes) -> None:
    """RedrivePolicy: a dead-letter queue that exists, in this region, of the same type, that allows this source."""
    if not value:
        found.update(redrive="", dead_letter_arn="", max_receives=0)
        return

    def wrong(reason: str) -> InvalidParameterValue:
        return invalid(value, "RedrivePolicy", reason)

    policy = _json(value)
    if not isinstance(policy, dict):
        raise wrong("Redrive policy is not a valid JSON map.")
    for name in ("maxReceiveCount", "deadLetterTargetArn"):
        if name not in policy:
            raise wrong(f"Redrive policy does not contain mandatory attribute: {name}.")
    for name in policy:
        if name not in ("maxReceiveCount", "deadLetterTargetArn"):
            raise wrong(
                f"Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount]. Found: {name}."
            )
    count = str(policy["maxReceiveCount"])
    if not _WHOLE.fullmatch(count) or not 1 <= int(count) <= _MOST_RECEIVES:
        raise wrong(
            f"Invalid value for maxReceiveCount: {count}, valid values are from 1 to {_MOST_RECEIVES} both inclusive."
        )
    arn = str(policy["deadLetterTargetArn"])
    target = queue_of(ctx, arn)
    if target is None or target.region != queue.region or target.account != queue.account:
        raise wrong("Dead letter target does not exist.")
    if target.fifo != queue.fifo:
        raise wrong("Dead-letter queue must be same type of queue as the source.")
    if arn == queue.arn:
        raise wrong("Dead letter target owned by the source queue itself is not allowed.")
    if not allows(target, queue.arn):
        raise wrong("Queue redrive permission does not allow source queue to use it as a dead-letter queue.")
    kept = msgspec.json.encode({"deadLetterTargetArn": arn, "maxReceiveCount": int(count)}).decode()
    found.update(redrive=kept, dead_letter_arn=arn, max_receives=int(count))


def allows(target: Queue, source_arn: str) -> bool:
    """Whether a dead-letter queue takes messages of this source."""
    policy = _json(target.redrive_allow) if target.redrive_allow else None
    if not isinstance(policy, dict) or policy.get("redrivePermission", "allowAll") == "allowAll":
        return True
    return policy["redrivePermission"] == "byQueue" and source_arn in policy.get("sourceQueueArns", ())


def _redrive_allow(ctx: Context, queue: Queue, value: str, found: Changes) -> None:
    if value:
        policy = _json(value)
        if not isinstance(policy, dict):
            raise invalid(value, "RedriveAllowPolicy", "Redrive allow policy is not a valid JSON map.")
        sources = policy.get("sourceQueueArns")
        permission = policy.get("redrivePermission")
        right = set(policy) <= {"redrivePermission", "sourceQueueArns"} and (
            (permission in ("allowAll", "denyAll") and sources is None)
            or (permission == "byQueue" and isinstance(sources, list) and 1 <= len(sources) <= _SOURCES)
        )
        if not right:
            raise invalid(
                value,
                "RedriveAllowPolicy",
                "redrivePermission must be allowAll, denyAll or byQueue, the last with 1 to 10 sourceQueueArns.",
            )
    found["redrive_allow"] = value


def _key(ctx: Context, queue: Queue, value: str, found: Changes) -> None:
    found["kms_key"] = value


def _reuse(ctx: Context, queue: Queue, value: str, found: Changes) -> None:
    if not _WHOLE.fullmatch(value) or not 60 <= int(value) <= 86_400:
        raise bad_attribute("KmsDataKeyReusePeriodSeconds")
    found["kms_reuse_s"] = int(value)


def _one_encryption(found: Changes) -> None:
    """A queue is encrypted by a KMS key or by SQS: the one that is set takes the other's place."""
    if found.get("kms_key") and found.get("managed_sse"):
        raise InvalidAttributeValue(
            "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE."
        )
    if found.get("kms_key"):
        found["managed_sse"] = False
    elif found.get("managed_sse"):
        found["kms_key"] = ""


_SETTERS: dict[str, Callable[[Context, Queue, str, Changes], None]] = {
    "Policy": _policy,
    "RedrivePolicy": _redrive,
    "RedriveAllowPolicy": _redrive_allow,
    "ContentBasedDeduplication": _flag("ContentBasedDeduplication", "content_deduplication"),
    "SqsManagedSseEnabled": _flag("SqsManagedSseEnabled", "managed_sse"),
    "DeduplicationScope": _choice("DeduplicationScope", "deduplication_scope", ("queue", "messageGroup")),
    "FifoThroughputLimit": _choice("FifoThroughputLimit", "throughput_limit", ("perQueue", "perMessageGroupId")),
    "KmsMasterKeyId": _key,
    "KmsDataKeyReusePeriodSeconds": _reuse,
}


def changed(queue: Queue, found: Changes) -> Queue:
    return replace(queue, **found) if found else queue


def described(queue: Queue) -> dict[str, str]:
    """All attributes but the counts, as strings."""
    found = {
        "QueueArn": queue.arn,
        "CreatedTimestamp": str(int(queue.created)),
        "LastModifiedTimestamp": str(int(queue.modified)),
        "SqsManagedSseEnabled": _text(queue.managed_sse),
        **{name: str(getattr(queue, field)) for name, (field, _, _) in _RANGES.items()},
    }
    for name, value in (
        ("Policy", queue.policy),
        ("RedrivePolicy", queue.redrive),
        ("RedriveAllowPolicy", queue.redrive_allow),
        ("DeduplicationScope", queue.deduplication_scope),
        ("FifoThroughputLimit", queue.throughput_limit),
    ):
        if value:
            found[name] = value
    if queue.kms_key:
        found["KmsMasterKeyId"] = queue.kms_key
        found["KmsDataKeyReusePeriodSeconds"] = str(queue.kms_reuse_s)
    if queue.fifo:
        found["FifoQueue"] = "true"
        found["ContentBasedDeduplication"] = _text(queue.content_deduplication)
    return found


def _text(flag: bool) -> str:
    return "true" if flag else "false"


NAMES = frozenset({*_RANGES, *_SETTERS, *_READ_ONLY, "FifoQueue"})
