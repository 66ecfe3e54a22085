"""What CloudWatch Logs' operations need of IAM.

AWS holds what concerns a group against the ARN of a stream of it with an empty name, which is why policies end in `:*`.
Source: Service Authorization Reference, "Amazon CloudWatch Logs"; user guide, "Identity-based policies" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from cumulet.kernel.authz import Authz, Need
from cumulet.kernel.context import Context
from cumulet.services.logs.model import Group, group_key

Json = dict[str, Any]
Needs = Callable[[Context, Json], Iterable[Need]]


def _arn(ctx: Context, req: Json, stream: str = "") -> str:
    named = req.get("logGroupName") or req.get("logGroupIdentifier") or ""
    if named.startswith("arn:"):
        return f"{named.removesuffix(':*')}:log-stream:{stream}"
    return f"arn:aws:logs:{ctx.region}:{ctx.account}:log-group:{named}:log-stream:{stream}"


def _tags(ctx: Context, name: str) -> Json:
    group = ctx.tx.get(group_key(ctx.account, ctx.region, name), Group)
    return {f"aws:ResourceTag/{key}": value for key, value in ((group.tags if group else None) or {}).items()}


def _on_group(action: str) -> Needs:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        return (Need(f"logs:{action}", _arn(ctx, req), facts=_tags(ctx, req.get("logGroupName", ""))),)

    return needs


def _on_stream(action: str) -> Needs:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        return (Need(f"logs:{action}", _arn(ctx, req, req.get("logStreamName", ""))),)

    return needs


def _by_arn(action: str) -> Needs:
    return lambda ctx, req: (Need(f"logs:{action}", req["resourceArn"]),)


def _append(ctx: Context, req: Json) -> Iterable[Need]:
    """What a service's role needs that writes lines: to make the group where there is none, the stream, and to write."""
    if ctx.tx.get(group_key(ctx.account, ctx.region, req["logGroupName"]), Group) is None:
        yield Need("logs:CreateLogGroup", _arn(ctx, req))
    yield Need("logs:CreateLogStream", _arn(ctx, req))
    yield Need("logs:PutLogEvents", _arn(ctx, req, req["logStreamName"]))


_GROUP = ("CreateLogGroup", "DeleteLogGroup", "CreateLogStream", "DeleteRetentionPolicy", "DescribeLogStreams", "FilterLogEvents",
          "ListTagsLogGroup", "PutLogGroupDeletionProtection", "PutRetentionPolicy", "TagLogGroup", "UntagLogGroup",
          "DescribeLogGroups", "PutSubscriptionFilter", "DescribeSubscriptionFilters", "DeleteSubscriptionFilter",
          "PutMetricFilter", "DescribeMetricFilters", "DeleteMetricFilter")  # fmt: skip

AUTHZ = Authz(
    "logs",
    {
        **{name: _on_group(name) for name in _GROUP},
        **{name: _on_stream(name) for name in ("DeleteLogStream", "GetLogEvents", "PutLogEvents")},
        **{name: _by_arn(name) for name in ("ListTagsForResource", "TagResource", "UntagResource")},
        "TestMetricFilter": lambda ctx, req: (Need("logs:TestMetricFilter", "*"),),
        "cumulet:Append": _append,
    },
)
