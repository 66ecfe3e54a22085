"""Operations on subscription filters: which of a group's events go to a function as they come in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cumulet.aws.arn import Arn
from cumulet.aws.errors import AwsError, NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.logs.errors import InvalidParameterException, LimitExceededException, ResourceNotFoundException
from cumulet.services.logs.forwarding import PRINCIPAL
from cumulet.services.logs.lookup import group_named
from cumulet.services.logs.model import Group, SubscriptionFilter
from cumulet.services.logs.patterns import check_patterns, compiled

if TYPE_CHECKING:
    from cumulet.services.logs import api

_MOST = 2
_PAGE = 50
_REFUSED = ("applyOnTransformedLogs", "fieldSelectionCriteria", "emitSystemFields")


def put_subscription_filter(ctx: Context, req: api.PutSubscriptionFilterRequest) -> api.PutSubscriptionFilterResult:
    """Send those of a group's events that match a pattern to a function, from now on; one of the same name is changed.

    Limits: 2 a group; 2 regular expressions a pattern, 5 a group.
    Raises: ResourceNotFoundException, InvalidParameterException (the pattern; a function that is not there or may not be
    invoked), LimitExceededException, NotImplementedOnCumulet (other destinations, transformed logs, field selections).
    Source: CloudWatch Logs API_PutSubscriptionFilter; user guide, "CloudWatch Logs quotas" (read 2026-11).
    """
    group = group_named(ctx, req["logGroupName"])
    for name in _REFUSED:
        if req.get(name):
            raise NotImplementedOnCumulet(f"CloudWatch Logs' setting {name} is not implemented by Cumulet.")
    compiled(req["filterPattern"])
    before = group.subscriptions or {}
    found = before.get(req["filterName"])
    made = SubscriptionFilter(
        name=req["filterName"], pattern=req["filterPattern"], destination=req["destinationArn"],
        distribution=req.get("distribution", "ByLogStream"),
        created_ms=int(ctx.now * 1000) if found is None else found.created_ms,
    )  # fmt: skip
    after = {**before, made.name: made}
    check_patterns(made.pattern, after, group.metrics)
    if len(after) > _MOST:
        raise LimitExceededException("Resource limit exceeded.")
    _check_destination(ctx, group, req)
    ctx.tx.put(group.key, replace(group, subscriptions=after))
    return {}


def _check_destination(ctx: Context, group: Group, req: api.PutSubscriptionFilterRequest) -> None:
    """The function is there and lets CloudWatch Logs invoke it."""
    arn = req["destinationArn"]
    try:
        service = Arn.parse(arn).service
    except ValueError as error:
        raise InvalidParameterException(f"{arn} is not a valid ARN.") from error
    if service != "lambda":
        raise NotImplementedOnCumulet(f"CloudWatch Logs' destination {arn} is not implemented by Cumulet.")
    if "roleArn" in req:
        raise InvalidParameterException("destinationArn for vendor lambda cannot be used with roleArn")
    trial = {"FunctionName": arn, "InvocationType": "DryRun"}
    try:
        ctx.call("lambda", "Invoke", trial, principal=PRINCIPAL, source=f"{group.arn}:*")
    except AwsError as error:
        raise InvalidParameterException(
            "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to execute your "
            "function.",
            hint=error.message,
        ) from error


def describe_subscription_filters(
    ctx: Context, req: api.DescribeSubscriptionFiltersRequest
) -> api.DescribeSubscriptionFiltersResult:
    """A group's subscription filters by name, 50 at a time, all or those with a prefix.

    Raises: ResourceNotFoundException. Source: CloudWatch Logs API_DescribeSubscriptionFilters (read 2026-11).
    """
    group = group_named(ctx, req["logGroupName"])
    start, prefix, limit = req.get("nextToken", ""), req.get("filterNamePrefix", ""), req.get("limit", _PAGE)
    names = sorted(name for name in group.subscriptions or {} if name.startswith(prefix) and name >= start)
    answer: api.DescribeSubscriptionFiltersResult = {
        "subscriptionFilters": [_shown(group, (group.subscriptions or {})[name]) for name in names[:limit]]
    }
    if len(names) > limit:
        answer["nextToken"] = names[limit]
    return answer


def delete_subscription_filter(
    ctx: Context, req: api.DeleteSubscriptionFilterRequest
) -> api.DeleteSubscriptionFilterResult:
    """Take a subscription filter away; what its destination has refused so far is given up.

    Raises: ResourceNotFoundException. Source: CloudWatch Logs API_DeleteSubscriptionFilter (read 2026-11).
    """
    group = group_named(ctx, req["logGroupName"])
    left = dict(group.subscriptions or {})
    if left.pop(req["filterName"], None) is None:
        raise ResourceNotFoundException("The specified subscription filter does not exist.")
    ctx.tx.put(group.key, replace(group, subscriptions=left or None))
    return {}


def _shown(group: Group, filter_: SubscriptionFilter) -> api.SubscriptionFilter:
    return {
        "filterName": filter_.name,
        "logGroupName": group.name,
        "filterPattern": filter_.pattern,
        "destinationArn": filter_.destination,
        "distribution": filter_.distribution,
        "creationTime": filter_.created_ms,
    }
