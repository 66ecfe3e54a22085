"""CloudWatch Logs' CloudFormation types.

Source: CloudFormation template reference, AWS::Logs::LogGroup, AWS::Logs::LogStream, AWS::Logs::SubscriptionFilter,
AWS::Logs::MetricFilter (read 2026-11).
"""

from __future__ import annotations

from typing import Any

from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope


def _arn(scope: Scope, name: str) -> str:
    return f"arn:aws:logs:{scope.region}:{scope.account}:log-group:{name}"


def _tags(p: Properties, scope: Scope) -> dict[str, str]:
    return {**scope.tags, **{tag["Key"]: str(tag["Value"]) for tag in p.get("Tags", ())}}


def _group(scope: Scope, name: str) -> Created:
    return Created(name, {"Arn": f"{_arn(scope, name)}:*"})


def _create_group(call: Call, p: Properties, scope: Scope) -> Created:
    name = p["LogGroupName"]
    request: dict[str, Any] = {"logGroupName": name, "tags": _tags(p, scope)}
    if not request["tags"]:
        del request["tags"]
    for prop, member in (
        ("KmsKeyId", "kmsKeyId"),
        ("LogGroupClass", "logGroupClass"),
        ("DeletionProtectionEnabled", "deletionProtectionEnabled"),
    ):
        if prop in p:
            request[member] = p[prop]
    call("CreateLogGroup", **request)
    if "RetentionInDays" in p:
        call("PutRetentionPolicy", logGroupName=name, retentionInDays=p["RetentionInDays"])
    return _group(scope, name)


def _update_group(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    name = p["LogGroupName"]
    if p.get("RetentionInDays") != old.get("RetentionInDays"):
        if "RetentionInDays" in p:
            call("PutRetentionPolicy", logGroupName=name, retentionInDays=p["RetentionInDays"])
        else:
            call("DeleteRetentionPolicy", logGroupName=name)
    if p.get("DeletionProtectionEnabled") != old.get("DeletionProtectionEnabled"):
        wanted = p.get("DeletionProtectionEnabled", False)
        call("PutLogGroupDeletionProtection", logGroupIdentifier=name, deletionProtectionEnabled=wanted)
    tags, now = _tags(p, scope), call("ListTagsForResource", resourceArn=_arn(scope, name))["tags"]
    gone = [key for key in now if key not in tags]
    if gone:
        call("UntagResource", resourceArn=_arn(scope, name), tagKeys=gone)
    if tags:
        call("TagResource", resourceArn=_arn(scope, name), tags=tags)
    return _group(scope, name)


def _delete_group(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteLogGroup", logGroupName=scope.physical_id)


LOG_GROUP = Resource(
    type="AWS::Logs::LogGroup",
    service="logs",
    properties=frozenset(
        {"DeletionProtectionEnabled", "KmsKeyId", "LogGroupClass", "LogGroupName", "RetentionInDays", "Tags"}
    ),
    create=_create_group,
    update=_update_group,
    delete=_delete_group,
    replace_on=frozenset({"KmsKeyId", "LogGroupClass", "LogGroupName"}),
    name="LogGroupName",
    name_max=512,
)


def _create_stream(call: Call, p: Properties, scope: Scope) -> Created:
    call("CreateLogStream", logGroupName=p["LogGroupName"], logStreamName=p["LogStreamName"])
    return Created(p["LogStreamName"])


def _delete_stream(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteLogStream", logGroupName=p["LogGroupName"], logStreamName=scope.physical_id)


LOG_STREAM = Resource(
    type="AWS::Logs::LogStream",
    service="logs",
    properties=frozenset({"LogGroupName", "LogStreamName"}),
    required=frozenset({"LogGroupName"}),
    create=_create_stream,
    delete=_delete_stream,
    replace_on=frozenset({"LogGroupName", "LogStreamName"}),
    name="LogStreamName",
    name_max=512,
)

_FILTER = {
    "ApplyOnTransformedLogs": "applyOnTransformedLogs",
    "DestinationArn": "destinationArn",
    "Distribution": "distribution",
    "EmitSystemFields": "emitSystemFields",
    "FieldSelectionCriteria": "fieldSelectionCriteria",
    "FilterName": "filterName",
    "FilterPattern": "filterPattern",
    "LogGroupName": "logGroupName",
    "RoleArn": "roleArn",
}


def _put_filter(call: Call, p: Properties, scope: Scope) -> Created:
    call("PutSubscriptionFilter", **{member: p[name] for name, member in _FILTER.items() if name in p})
    return Created(p["FilterName"])


def _delete_filter(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteSubscriptionFilter", logGroupName=p["LogGroupName"], filterName=scope.physical_id)


SUBSCRIPTION_FILTER = Resource(
    type="AWS::Logs::SubscriptionFilter",
    service="logs",
    properties=frozenset(_FILTER),
    required=frozenset({"DestinationArn", "FilterPattern", "LogGroupName"}),
    create=_put_filter,
    update=lambda call, p, old, scope: _put_filter(call, p, scope),
    delete=_delete_filter,
    replace_on=frozenset({"FilterName", "LogGroupName"}),
    name="FilterName",
    name_max=512,
)

_TRANSFORMATION = {
    "DefaultValue": "defaultValue",
    "MetricName": "metricName",
    "MetricNamespace": "metricNamespace",
    "MetricValue": "metricValue",
    "Unit": "unit",
}
_METRIC_FILTER = {
    "ApplyOnTransformedLogs": "applyOnTransformedLogs",
    "EmitSystemFieldDimensions": "emitSystemFieldDimensions",
    "FieldSelectionCriteria": "fieldSelectionCriteria",
    "FilterName": "filterName",
    "FilterPattern": "filterPattern",
    "LogGroupName": "logGroupName",
}


def _transformation(p: Properties) -> dict[str, Any]:
    made = {member: p[name] for name, member in _TRANSFORMATION.items() if name in p}
    if "Dimensions" in p:
        made["dimensions"] = {each["Key"]: each["Value"] for each in p["Dimensions"]}
    return made


def _put_metric_filter(call: Call, p: Properties, scope: Scope) -> Created:
    request = {member: p[name] for name, member in _METRIC_FILTER.items() if name in p}
    call(
        "PutMetricFilter",
        metricTransformations=[_transformation(each) for each in p["MetricTransformations"]],
        **request,
    )
    return Created(p["FilterName"])


def _delete_metric_filter(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteMetricFilter", logGroupName=p["LogGroupName"], filterName=scope.physical_id)


METRIC_FILTER = Resource(
    type="AWS::Logs::MetricFilter",
    service="logs",
    properties=frozenset({*_METRIC_FILTER, "MetricTransformations"}),
    members={
        "MetricTransformations": frozenset({*_TRANSFORMATION, "Dimensions"}),
        "MetricTransformations.Dimensions": frozenset({"Key", "Value"}),
    },
    required=frozenset({"FilterPattern", "LogGroupName", "MetricTransformations"}),
    create=_put_metric_filter,
    update=lambda call, p, old, scope: _put_metric_filter(call, p, scope),
    delete=_delete_metric_filter,
    replace_on=frozenset({"FilterName", "LogGroupName"}),
    name="FilterName",
    name_max=512,
)

RESOURCES = (LOG_GROUP, LOG_STREAM, SUBSCRIPTION_FILTER, METRIC_FILTER)
