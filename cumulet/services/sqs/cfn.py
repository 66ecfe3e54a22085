"""SQS's CloudFormation types.

Source: CloudFormation template reference, AWS::SQS::Queue, AWS::SQS::QueuePolicy, AWS::SQS::QueueInlinePolicy (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cumulet.aws.errors import AwsError
from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope

# what an attribute goes back to when a template no longer has it
_DEFAULTS = {
    "ContentBasedDeduplication": "false",
    "DeduplicationScope": "queue",
    "DelaySeconds": "0",
    "FifoThroughputLimit": "perQueue",
    "KmsDataKeyReusePeriodSeconds": "300",
    "KmsMasterKeyId": "",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "RedriveAllowPolicy": "",
    "RedrivePolicy": "",
    "SqsManagedSseEnabled": "true",
    "VisibilityTimeout": "30",
}
_FIFO = ".fifo"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list):
        return msgspec.json.encode(value).decode()
    return str(value)


def _attributes(p: Properties) -> dict[str, str]:
    return {name: _text(p[name]) for name in _DEFAULTS if name in p}


def _is_fifo(p: Properties) -> bool:
    return _text(p.get("FifoQueue", "false")).lower() == "true"


def _tags(p: Properties, scope: Scope) -> dict[str, str]:
    return {**scope.tags, **{tag["Key"]: str(tag["Value"]) for tag in p.get("Tags", ())}}


def _created(call: Call, url: str) -> Created:
    arn = call("GetQueueAttributes", QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return Created(url, {"Arn": arn, "QueueName": arn.rsplit(":", 1)[1], "QueueUrl": url})


def _create_queue(call: Call, p: Properties, scope: Scope) -> Created:
    name, attributes = p["QueueName"], _attributes(p)
    if _is_fifo(p):
        attributes["FifoQueue"] = "true"
        if name == scope.generated_name:
            name += _FIFO
    request: dict[str, Any] = {"QueueName": name, "Attributes": attributes, "tags": _tags(p, scope)}
    return _created(call, call("CreateQueue", **{key: value for key, value in request.items() if value})["QueueUrl"])


def _update_queue(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    url = str(scope.physical_id)
    after, before = _attributes(p), _attributes(old)
    changed = {name: value for name, value in after.items() if before.get(name) != value}
    changed.update({name: _DEFAULTS[name] for name in before if name not in after})
    if changed:
        call("SetQueueAttributes", QueueUrl=url, Attributes=changed)
    tags, there = _tags(p, scope), call("ListQueueTags", QueueUrl=url).get("Tags", {})
    gone = [key for key in there if key not in tags]
    if gone:
        call("UntagQueue", QueueUrl=url, TagKeys=gone)
    if tags:
        call("TagQueue", QueueUrl=url, Tags=tags)
    return _created(call, url)


def _delete_queue(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteQueue", QueueUrl=scope.physical_id)


QUEUE = Resource(
    type="AWS::SQS::Queue",
    service="sqs",
    properties=frozenset({*_DEFAULTS, "FifoQueue", "QueueName", "Tags"}),
    create=_create_queue,
    update=_update_queue,
    delete=_delete_queue,
    replace_on=frozenset({"QueueName", "FifoQueue"}),
    name="QueueName",
    name_max=80 - len(_FIFO),
)


def _set_policy(call: Call, url: str, policy: Any) -> None:
    call("SetQueueAttributes", QueueUrl=url, Attributes={"Policy": _text(policy) if policy else ""})


def _clear_policy(call: Call, url: str) -> None:
    """A queue that is gone has no policy."""
    try:
        _set_policy(call, url, None)
    except AwsError as error:
        if error.wire_code != "QueueDoesNotExist":
            raise


def _create_policy(call: Call, p: Properties, scope: Scope) -> Created:
    for url in p["Queues"]:
        _set_policy(call, url, p["PolicyDocument"])
    return Created(scope.generated_name, {"Id": scope.generated_name})


def _update_policy(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    for url in old["Queues"]:
        if url not in p["Queues"]:
            _clear_policy(call, url)
    for url in p["Queues"]:
        _set_policy(call, url, p["PolicyDocument"])
    return Created(str(scope.physical_id), {"Id": scope.physical_id})


def _delete_policy(call: Call, p: Properties, scope: Scope) -> None:
    for url in p["Queues"]:
        _clear_policy(call, url)


QUEUE_POLICY = Resource(
    type="AWS::SQS::QueuePolicy",
    service="sqs",
    properties=frozenset({"PolicyDocument", "Queues"}),
    required=frozenset({"PolicyDocument", "Queues"}),
    create=_create_policy,
    update=_update_policy,
    delete=_delete_policy,
)


def _create_inline(call: Call, p: Properties, scope: Scope) -> Created:
    _set_policy(call, p["Queue"], p["PolicyDocument"])
    return Created(p["Queue"])


def _update_inline(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    return _create_inline(call, p, scope)


def _delete_inline(call: Call, p: Properties, scope: Scope) -> None:
    _clear_policy(call, p["Queue"])


QUEUE_INLINE_POLICY = Resource(
    type="AWS::SQS::QueueInlinePolicy",
    service="sqs",
    properties=frozenset({"PolicyDocument", "Queue"}),
    required=frozenset({"PolicyDocument", "Queue"}),
    create=_create_inline,
    update=_update_inline,
    delete=_delete_inline,
    replace_on=frozenset({"Queue"}),
)

RESOURCES = (QUEUE, QUEUE_POLICY, QUEUE_INLINE_POLICY)
