"""AWS::Lambda::EventSourceMapping.

Source: CloudFormation template reference, AWS::Lambda::EventSourceMapping (read 2026-11).
"""

from __future__ import annotations

import contextlib
from typing import Any

from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope
from cumulet.services.lambda_.errors import ResourceInUseException

_SETTINGS = (
    "BatchSize",
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "Enabled",
    "FilterCriteria",
    "FunctionName",
    "FunctionResponseTypes",
    "KmsKeyArn",
    "MaximumBatchingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "MetricsConfig",
    "ParallelizationFactor",
    "ProvisionedPollerConfig",
    "ScalingConfig",
    "SourceAccessConfigurations",
    "TumblingWindowInSeconds",
)
_ONCE = ("EventSourceArn", "SelfManagedEventSource", "StartingPosition", "StartingPositionTimestamp")
_API_NAMES = {"KmsKeyArn": "KMSKeyArn"}
# What a setting is again when a template gives it no more.
_DEFAULTS: dict[str, Any] = {
    "BatchSize": 10,
    "Enabled": True,
    "FilterCriteria": {},
    "FunctionResponseTypes": [],
    "MaximumBatchingWindowInSeconds": 0,
    "MetricsConfig": {"Metrics": []},
    "ScalingConfig": {},
}
_STREAM_DEFAULTS: dict[str, Any] = {
    **_DEFAULTS,
    "BatchSize": 100,
    "BisectBatchOnFunctionError": False,
    "DestinationConfig": {},
    "MaximumRecordAgeInSeconds": -1,
    "MaximumRetryAttempts": -1,
    "ParallelizationFactor": 1,
    "TumblingWindowInSeconds": 0,
}


def _request(p: Properties, names: Any) -> Properties:
    return {_API_NAMES.get(name, name): p[name] for name in names if name in p}


def _tags(p: Properties, scope: Scope) -> dict[str, str]:
    return {**scope.tags, **{tag["Key"]: str(tag["Value"]) for tag in p.get("Tags", ())}}


def _made(configuration: dict[str, Any]) -> Created:
    uuid = configuration["UUID"]
    return Created(uuid, {"Id": uuid, "EventSourceMappingArn": configuration["EventSourceMappingArn"]})


def _create(call: Call, p: Properties, scope: Scope) -> Created:
    return _made(call("CreateEventSourceMapping", **_request(p, (*_ONCE, *_SETTINGS)), Tags=_tags(p, scope)))


def _update(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    changed = {name: p[name] for name in _SETTINGS if name in p and p[name] != old.get(name)}
    defaults = _DEFAULTS if ":sqs:" in p.get("EventSourceArn", "") else _STREAM_DEFAULTS
    changed |= {name: default for name, default in defaults.items() if name in old and name not in p}
    uuid = scope.physical_id
    configuration = call("GetEventSourceMapping", UUID=uuid)
    if changed:
        configuration = call("UpdateEventSourceMapping", UUID=uuid, **_request(changed, changed))
    _retag(call, configuration["EventSourceMappingArn"], _tags(p, scope))
    return _made(configuration)


def _retag(call: Call, arn: str, wanted: dict[str, str]) -> None:
    gone = [key for key in call("ListTags", Resource=arn)["Tags"] if key not in wanted]
    if gone:
        call("UntagResource", Resource=arn, TagKeys=gone)
    if wanted:
        call("TagResource", Resource=arn, Tags=wanted)


def _delete(call: Call, p: Properties, scope: Scope) -> None:
    with contextlib.suppress(ResourceInUseException):  # a change goes on: `_gone` asks again
        call("DeleteEventSourceMapping", UUID=scope.physical_id)


def _ready(call: Call, uuid: str, scope: Scope) -> bool:
    return call("GetEventSourceMapping", UUID=uuid)["State"] in ("Enabled", "Disabled")


def _gone(call: Call, uuid: str, scope: Scope) -> bool:
    if call("GetEventSourceMapping", UUID=uuid)["State"] in ("Enabled", "Disabled"):
        call("DeleteEventSourceMapping", UUID=uuid)
    return False


EVENT_SOURCE_MAPPING = Resource(
    type="AWS::Lambda::EventSourceMapping",
    service="lambda",
    properties=frozenset({*_ONCE, *_SETTINGS, "Tags"}),
    required=frozenset({"FunctionName"}),
    create=_create,
    update=_update,
    delete=_delete,
    ready=_ready,
    gone=_gone,
    replace_on=frozenset(_ONCE),
)
