"""What an alarm tells others when its state changes: messages to topics, events to functions and to EventBridge. Pure.

Source: CloudWatch user guide, "Alarm events and EventBridge", "Invoke a Lambda function from an alarm" (read 2026-11);
the notification's JSON and subject as SNS topics receive them from CloudWatch.
"""

from __future__ import annotations

import json
from typing import Any

from cumulet.services.cloudwatch.model import Alarm
from cumulet.services.cloudwatch.reasons import stamp
from cumulet.services.cloudwatch.wakes import period_of

_SUBJECT_MAX = 100
_REGIONS = {
    "af-south-1": "Africa (Cape Town)",
    "ap-east-1": "Asia Pacific (Hong Kong)",
    "ap-northeast-1": "Asia Pacific (Tokyo)",
    "ap-northeast-2": "Asia Pacific (Seoul)",
    "ap-northeast-3": "Asia Pacific (Osaka)",
    "ap-south-1": "Asia Pacific (Mumbai)",
    "ap-south-2": "Asia Pacific (Hyderabad)",
    "ap-southeast-1": "Asia Pacific (Singapore)",
    "ap-southeast-2": "Asia Pacific (Sydney)",
    "ap-southeast-3": "Asia Pacific (Jakarta)",
    "ap-southeast-4": "Asia Pacific (Melbourne)",
    "ca-central-1": "Canada (Central)",
    "ca-west-1": "Canada West (Calgary)",
    "eu-central-1": "EU (Frankfurt)",
    "eu-central-2": "Europe (Zurich)",
    "eu-north-1": "EU (Stockholm)",
    "eu-south-1": "Europe (Milan)",
    "eu-south-2": "Europe (Spain)",
    "eu-west-1": "EU (Ireland)",
    "eu-west-2": "EU (London)",
    "eu-west-3": "EU (Paris)",
    "il-central-1": "Israel (Tel Aviv)",
    "me-central-1": "Middle East (UAE)",
    "me-south-1": "Middle East (Bahrain)",
    "sa-east-1": "South America (Sao Paulo)",
    "us-east-1": "US East (N. Virginia)",
    "us-east-2": "US East (Ohio)",
    "us-west-1": "US West (N. California)",
    "us-west-2": "US West (Oregon)",
}

Json = dict[str, Any]


def region_name(region: str) -> str:
    return _REGIONS.get(region, region)


def subject(alarm: Alarm) -> str:
    """A subject as SNS takes it: 100 ASCII characters."""
    text = f'{alarm.state}: "{alarm.name}" in {region_name(alarm.region)}'
    return text.encode("ascii", "replace").decode()[:_SUBJECT_MAX]


def message(alarm: Alarm, before: Alarm, triggering: list[Alarm]) -> str:
    """The notification for an SNS topic, as JSON."""
    settings = alarm.settings
    told: Json = {
        "AlarmName": alarm.name,
        "AlarmDescription": settings.get("AlarmDescription"),
        "AWSAccountId": alarm.account,
        "AlarmConfigurationUpdatedTimestamp": stamp(alarm.configured_at),
        "NewStateValue": alarm.state,
        "NewStateReason": alarm.reason,
        "StateChangeTime": stamp(alarm.state_at),
        "Region": region_name(alarm.region),
        "AlarmArn": alarm.arn,
        "OldStateValue": before.state,
        "OKActions": settings.get("OKActions", []),
        "AlarmActions": settings.get("AlarmActions", []),
        "InsufficientDataActions": settings.get("InsufficientDataActions", []),
    }
    if alarm.rule is None:
        told["Trigger"] = _trigger(settings)
    else:
        told["AlarmRule"] = alarm.rule
        told["TriggeringChildren"] = [
            {"Arn": child.arn, "State": {"Value": child.state, "Timestamp": stamp(child.state_at)}}
            for child in triggering
        ]
    return json.dumps(told, separators=(",", ":"))


def _trigger(settings: Json) -> Json:
    trigger: Json = {}
    if "MetricName" in settings:
        extended = "ExtendedStatistic" in settings
        trigger["MetricName"] = settings["MetricName"]
        trigger["Namespace"] = settings["Namespace"]
        trigger["StatisticType"] = "ExtendedStatistic" if extended else "Statistic"
        if extended:
            trigger["ExtendedStatistic"] = settings["ExtendedStatistic"]
        else:
            trigger["Statistic"] = settings["Statistic"].upper()
        trigger["Unit"] = settings.get("Unit")
        trigger["Dimensions"] = _lower(settings.get("Dimensions", ()))
    trigger["Period"] = settings.get("Period", 0) or _period(settings)
    trigger["EvaluationPeriods"] = settings["EvaluationPeriods"]
    if "DatapointsToAlarm" in settings:
        trigger["DatapointsToAlarm"] = settings["DatapointsToAlarm"]
    trigger["ComparisonOperator"] = settings["ComparisonOperator"]
    trigger["Threshold"] = float(settings["Threshold"])
    trigger["TreatMissingData"] = settings.get("TreatMissingData", "")
    trigger["EvaluateLowSampleCountPercentile"] = settings.get("EvaluateLowSampleCountPercentile", "")
    if "Metrics" in settings:
        trigger["Metrics"] = [_query(query) for query in settings["Metrics"]]
    return trigger


def _period(settings: Json) -> int:
    return max((query["MetricStat"]["Period"] for query in settings["Metrics"] if "MetricStat" in query), default=60)


def _lower(dimensions: Any) -> list[Json]:
    return [{"value": each["Value"], "name": each["Name"]} for each in dimensions]


def _query(query: Json) -> Json:
    told: Json = {member: query[member] for member in ("Expression", "Id", "Label") if member in query}
    if "MetricStat" in query:
        stat = query["MetricStat"]
        metric = stat["Metric"]
        told["MetricStat"] = {
            "Metric": {
                "Dimensions": _lower(metric.get("Dimensions", ())),
                "MetricName": metric["MetricName"],
                "Namespace": metric["Namespace"],
            },
            "Period": stat["Period"],
            "Stat": stat["Stat"],
        }
    told["ReturnData"] = query.get("ReturnData", True)
    return told


def state_of(alarm: Alarm) -> Json:
    """A state as events tell it."""
    state: Json = {"value": alarm.state, "reason": alarm.reason}
    if alarm.reason_data is not None:
        state["reasonData"] = alarm.reason_data
    state["timestamp"] = stamp(alarm.state_at)
    return state


def configuration(alarm: Alarm, id_: str) -> Json:
    """A configuration as events tell it; `id_` names the metric of an alarm that has just one."""
    settings = alarm.settings
    told: Json = {}
    if "AlarmDescription" in settings:
        told["description"] = settings["AlarmDescription"]
    if alarm.rule is not None:
        return {**told, "alarmRule": alarm.rule}
    if "Metrics" in settings:
        told["metrics"] = [_event_query(query) for query in settings["Metrics"]]
        return told
    stat = {
        "Metric": {
            member: settings[member] for member in ("Namespace", "MetricName", "Dimensions") if member in settings
        },
        "Period": period_of(alarm),
        "Stat": settings.get("Statistic", settings.get("ExtendedStatistic")),
    }
    if "Unit" in settings:
        stat["Unit"] = settings["Unit"]
    told["metrics"] = [_event_query({"Id": id_, "MetricStat": stat, "ReturnData": True})]
    return told


def _event_query(query: Json) -> Json:
    told: Json = {"id": query["Id"]}
    if "MetricStat" in query:
        stat = query["MetricStat"]
        metric = stat["Metric"]
        told["metricStat"] = {
            "metric": {
                "namespace": metric["Namespace"],
                "name": metric["MetricName"],
                "dimensions": {each["Name"]: each["Value"] for each in metric.get("Dimensions", ())},
            },
            "period": stat["Period"],
            "stat": stat["Stat"],
        }
        if "Unit" in stat:
            told["metricStat"]["unit"] = stat["Unit"]
    for member, name in (("Expression", "expression"), ("Label", "label")):
        if member in query:
            told[name] = query[member]
    told["returnData"] = query.get("ReturnData", True)
    return told


def detail(alarm: Alarm, before: Alarm, id_: str) -> Json:
    """The `detail` of a "CloudWatch Alarm State Change" event, and the `alarmData` of a function's event."""
    return {
        "alarmName": alarm.name,
        "state": state_of(alarm),
        "previousState": state_of(before),
        "configuration": configuration(alarm, id_),
    }


def function_event(alarm: Alarm, before: Alarm, id_: str) -> bytes:
    """What a Lambda function that is an alarm's action gets."""
    event = {
        "source": "aws.cloudwatch",
        "alarmArn": alarm.arn,
        "accountId": alarm.account,
        "time": stamp(alarm.state_at),
        "region": alarm.region,
        "alarmData": detail(alarm, before, id_),
    }
    return json.dumps(event, separators=(",", ":")).encode()
