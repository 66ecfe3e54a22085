"""Operation DescribeAlarmHistory."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.cloudwatch.errors import InvalidNextToken
from cumulet.services.cloudwatch.model import HISTORY_S, HistoryItem, history_prefix
from cumulet.services.cloudwatch.paging import place, token

_PAGE = 50

Json = dict[str, Any]


def describe_alarm_history(ctx: Context, req: Json) -> Json:
    """The history of one alarm, or of all metric alarms; 50 items a page, the newest first.

    Raises: InvalidNextToken. Source: CloudWatch API_DescribeAlarmHistory (read 2026-11).
    """
    prefix = history_prefix(ctx.account, ctx.region)
    types = req.get("AlarmTypes", ["MetricAlarm"])
    if "AlarmName" in req:
        prefix = (*prefix, req["AlarmName"])
    if "AlarmContributorId" in req:
        return {"AlarmHistoryItems": []}  # contributors are of Metrics Insights alarms, which are not there
    since = max(req.get("StartDate", 0.0), ctx.now - HISTORY_S)
    until = req.get("EndDate", ctx.now)
    found: list[tuple[tuple[float, int], HistoryItem]] = []
    for key, item in ctx.tx.scan(prefix, HistoryItem):
        if not since <= item.at <= until or req.get("HistoryItemType", item.kind) != item.kind:
            continue
        if item.type in types or ("AlarmName" in req and "AlarmTypes" not in req):
            found.append(((item.at, int(key[-1])), item))  # type: ignore[arg-type]
    newest_first = req.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    found.sort(key=lambda pair: pair[0], reverse=newest_first)
    if "NextToken" in req:
        after = place(req["NextToken"], InvalidNextToken)
        found = [pair for pair in found if (pair[0] < after if newest_first else pair[0] > after)]
    most = req.get("MaxRecords", _PAGE)
    answer: Json = {"AlarmHistoryItems": [_shown(item) for _, item in found[:most]]}
    if len(found) > most:
        answer["NextToken"] = token(found[most - 1][0])
    return answer


def _shown(item: HistoryItem) -> Json:
    return {
        "AlarmName": item.name,
        "AlarmType": item.type,
        "Timestamp": item.at,
        "HistoryItemType": item.kind,
        "HistorySummary": item.summary,
        "HistoryData": item.data,
    }
