"""CloudWatch's CloudFormation types.

Source: CloudFormation template reference, AWS::CloudWatch::Alarm, ::CompositeAlarm, ::Dashboard (read 2026-11).
"""

from __future__ import annotations

import json
from typing import Any

from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope

_ACTIONS = frozenset(("ActionsEnabled", "AlarmActions", "AlarmDescription", "InsufficientDataActions", "OKActions"))


def _arn(scope: Scope, name: str) -> str:
    return f"arn:aws:cloudwatch:{scope.region}:{scope.account}:alarm:{name}"


def _created(scope: Scope, name: str) -> Created:
    return Created(name, {"Arn": _arn(scope, name)})


def _tags(p: Properties, scope: Scope) -> dict[str, str]:
    return {**scope.tags, **{tag["Key"]: str(tag["Value"]) for tag in p.get("Tags", ())}}


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _request(p: Properties) -> dict[str, Any]:
    return {name: value for name, value in p.items() if name != "Tags"}


def _retag(call: Call, arn: str, tags: dict[str, str]) -> None:
    there = [tag["Key"] for tag in call("ListTagsForResource", ResourceARN=arn)["Tags"]]
    gone = [key for key in there if key not in tags]
    if gone:
        call("UntagResource", ResourceARN=arn, TagKeys=gone)
    if tags:
        call("TagResource", ResourceARN=arn, Tags=_listed(tags))


def _put(operation: str, call: Call, p: Properties, scope: Scope) -> Created:
    call(operation, Tags=_listed(_tags(p, scope)), **_request(p))
    return _created(scope, p["AlarmName"])


def _create_alarm(call: Call, p: Properties, scope: Scope) -> Created:
    return _put("PutMetricAlarm", call, p, scope)


def _update_alarm(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    call("PutMetricAlarm", **_request(p))
    _retag(call, _arn(scope, p["AlarmName"]), _tags(p, scope))
    return _created(scope, p["AlarmName"])


def _create_composite(call: Call, p: Properties, scope: Scope) -> Created:
    return _put("PutCompositeAlarm", call, p, scope)


def _update_composite(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    call("PutCompositeAlarm", **_request(p))
    _retag(call, _arn(scope, p["AlarmName"]), _tags(p, scope))
    return _created(scope, p["AlarmName"])


def _delete_alarm(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteAlarms", AlarmNames=[scope.physical_id])


ALARM = Resource(
    type="AWS::CloudWatch::Alarm",
    service="cloudwatch",
    properties=_ACTIONS
    | {
        "AlarmName",
        "ComparisonOperator",
        "DatapointsToAlarm",
        "Dimensions",
        "EvaluateLowSampleCountPercentile",
        "EvaluationPeriods",
        "ExtendedStatistic",
        "MetricName",
        "Metrics",
        "Namespace",
        "Period",
        "Statistic",
        "Tags",
        "Threshold",
        "TreatMissingData",
        "Unit",
    },
    required=frozenset({"ComparisonOperator", "EvaluationPeriods"}),
    create=_create_alarm,
    update=_update_alarm,
    delete=_delete_alarm,
    replace_on=frozenset({"AlarmName"}),
    name="AlarmName",
    name_max=255,
)

COMPOSITE_ALARM = Resource(
    type="AWS::CloudWatch::CompositeAlarm",
    service="cloudwatch",
    properties=_ACTIONS | {"AlarmName", "AlarmRule", "Tags"},
    required=frozenset({"AlarmRule"}),
    create=_create_composite,
    update=_update_composite,
    delete=_delete_alarm,
    replace_on=frozenset({"AlarmName"}),
    name="AlarmName",
    name_max=255,
)


def _dashboard(p: Properties) -> dict[str, Any]:
    body = p["DashboardBody"]
    return {"DashboardName": p["DashboardName"], "DashboardBody": body if isinstance(body, str) else json.dumps(body)}


def _dashboard_arn(scope: Scope, name: str) -> str:
    return f"arn:aws:cloudwatch::{scope.account}:dashboard/{name}"


def _create_dashboard(call: Call, p: Properties, scope: Scope) -> Created:
    call("PutDashboard", Tags=_listed(_tags(p, scope)), **_dashboard(p))
    return Created(p["DashboardName"])


def _update_dashboard(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    call("PutDashboard", **_dashboard(p))
    _retag(call, _dashboard_arn(scope, p["DashboardName"]), _tags(p, scope))
    return Created(p["DashboardName"])


def _delete_dashboard(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteDashboards", DashboardNames=[scope.physical_id])


DASHBOARD = Resource(
    type="AWS::CloudWatch::Dashboard",
    service="cloudwatch",
    properties=frozenset({"DashboardBody", "DashboardName", "Tags"}),
    required=frozenset({"DashboardBody"}),
    create=_create_dashboard,
    update=_update_dashboard,
    delete=_delete_dashboard,
    replace_on=frozenset({"DashboardName"}),
    name="DashboardName",
    name_max=255,
)

RESOURCES = (ALARM, COMPOSITE_ALARM, DASHBOARD)
