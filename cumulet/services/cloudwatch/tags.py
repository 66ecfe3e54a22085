"""Operations on tags of alarms and dashboards."""

from __future__ import annotations

import re
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.cloudwatch.errors import InvalidParameterValue, ResourceNotFoundException
from cumulet.services.cloudwatch.model import ROOT, Alarm, Dashboard, alarm_key
from cumulet.services.cloudwatch.tagging import checked_tags

_ALARM = re.compile(r"arn:aws[a-z-]*:cloudwatch:([a-z0-9-]+):(\d{12}):alarm:(.+)")
_DASHBOARD = re.compile(r"arn:aws[a-z-]*:cloudwatch::(\d{12}):dashboard/(.+)")

Json = dict[str, Any]


def tag_resource(ctx: Context, req: Json) -> Json:
    """Add tags to an alarm or a dashboard, 50 at most.

    Raises: InvalidParameterValue, ResourceNotFoundException. Source: CloudWatch API_TagResource (read 2026-11).
    """
    found = _found(ctx, req["ResourceARN"])
    _put(ctx, found, checked_tags(found.tags, req["Tags"]))
    return {}


def untag_resource(ctx: Context, req: Json) -> Json:
    """Take tags off an alarm or a dashboard.

    Raises: InvalidParameterValue, ResourceNotFoundException. Source: CloudWatch API_UntagResource (read 2026-11).
    """
    found = _found(ctx, req["ResourceARN"])
    _put(ctx, found, {key: value for key, value in found.tags.items() if key not in req["TagKeys"]})
    return {}


def list_tags_for_resource(ctx: Context, req: Json) -> Json:
    """The tags of an alarm or a dashboard.

    Raises: InvalidParameterValue, ResourceNotFoundException. Source: CloudWatch API_ListTagsForResource (read 2026-11).
    """
    tags = _found(ctx, req["ResourceARN"]).tags
    return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}


def _put(ctx: Context, found: Alarm | Dashboard, tags: dict[str, str]) -> None:
    if isinstance(found, Alarm):
        ctx.tx.put(found.key, replace(found, tags=tags))
    else:
        ctx.tx.put(found.key, replace(found, tags=tags))


def _found(ctx: Context, arn: str) -> Alarm | Dashboard:
    alarm, dashboard = _ALARM.fullmatch(arn), _DASHBOARD.fullmatch(arn)
    found: Alarm | Dashboard | None = None
    if alarm is not None:
        found = ctx.tx.get(alarm_key(alarm[2], alarm[1], alarm[3]), Alarm)
    elif dashboard is not None:
        found = ctx.tx.get((ROOT, "dashboard", dashboard[1], dashboard[2]), Dashboard)
    elif not arn.startswith("arn:"):
        raise InvalidParameterValue(f"The value {arn} for parameter ResourceARN is invalid.")
    if found is None:
        kind = "dashboard" if dashboard is not None else "alarm"
        raise ResourceNotFoundException(f"{arn} not found", members={"ResourceType": kind, "ResourceId": arn})
    return found
