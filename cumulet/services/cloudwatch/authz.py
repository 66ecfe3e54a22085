"""What CloudWatch's operations need of IAM. Source: Service Authorization Reference, "Amazon CloudWatch" (read 2026-11)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from cumulet.kernel.authz import Authz, Need
from cumulet.kernel.context import Context

Json = dict[str, Any]
Needs = Callable[[Context, Json], Iterable[Need]]


def _alarms(action: str, member: str) -> Needs:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        given = req.get(member) or "*"
        for name in given if isinstance(given, list) else [given]:
            yield Need(f"cloudwatch:{action}", f"arn:aws:cloudwatch:{ctx.region}:{ctx.account}:alarm:{name}")

    return needs


def _dashboards(action: str, member: str) -> Needs:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        given = req[member]
        for name in given if isinstance(given, list) else [given]:
            yield Need(f"cloudwatch:{action}", f"arn:aws:cloudwatch::{ctx.account}:dashboard/{name}")

    return needs


def _put(ctx: Context, req: Json) -> Iterable[Need]:
    return (Need("cloudwatch:PutMetricData", facts={"cloudwatch:namespace": req["Namespace"]}),)


def _by_arn(action: str) -> Needs:
    return lambda ctx, req: (Need(f"cloudwatch:{action}", req["ResourceARN"]),)


AUTHZ = Authz(
    "cloudwatch",
    {
        "PutMetricData": _put,
        **{name: _alarms(name, "AlarmName") for name in ("PutMetricAlarm", "PutCompositeAlarm", "SetAlarmState",
                                                         "DescribeAlarmHistory")},
        **{name: _alarms(name, "AlarmNames") for name in ("DeleteAlarms", "DescribeAlarms", "DisableAlarmActions",
                                                          "EnableAlarmActions")},
        **{name: _dashboards(name, "DashboardName") for name in ("GetDashboard", "PutDashboard")},
        "DeleteDashboards": _dashboards("DeleteDashboards", "DashboardNames"),
        **{name: _by_arn(name) for name in ("ListTagsForResource", "TagResource", "UntagResource")},
    },
    code="AccessDenied",
    status=403,
)  # fmt: skip
