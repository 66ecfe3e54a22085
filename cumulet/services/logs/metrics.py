"""Operations on metric filters: numbers that a group's events are counted by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.logs.errors import InvalidParameterException, LimitExceededException, ResourceNotFoundException
from cumulet.services.logs.extracting import extracted, extractor
from cumulet.services.logs.lookup import group_named
from cumulet.services.logs.measuring import value_getter
from cumulet.services.logs.model import ROOT, Group, MetricFilter
from cumulet.services.logs.patterns import check_patterns, compiled

if TYPE_CHECKING:
    from cumulet.services.logs import api

_MOST = 100
_DIMENSIONS = 3
_PAGE = 50
_REFUSED = ("applyOnTransformedLogs", "fieldSelectionCriteria", "emitSystemFieldDimensions")


def put_metric_filter(ctx: Context, req: api.PutMetricFilterRequest) -> api.PutMetricFilterResult:
    """Make a metric of those of a group's events that match a pattern, from now on; one of the same name is changed.

    The value is a number, or a field of the event (`$.latency`, `$bytes`); dimensions are fields.
    Limits: 100 a group; 3 dimensions, not beside a default value; 2 regular expressions a pattern, 5 a group.
    Raises: ResourceNotFoundException, InvalidParameterException, LimitExceededException, NotImplementedOnCumulet.
    Source: CloudWatch Logs API_PutMetricFilter, API_MetricTransformation; user guide, "CloudWatch Logs quotas" (read 2026-11).
    """
    group = group_named(ctx, req["logGroupName"])
    for name in _REFUSED:
        if req.get(name):
            raise NotImplementedOnCumulet(f"CloudWatch Logs' setting {name} is not implemented by Cumulet.")
    pattern, transformation = req["filterPattern"], req["metricTransformations"][0]
    compiled(pattern)
    _check(pattern, transformation)
    before = group.metrics or {}
    found = before.get(req["filterName"])
    made = MetricFilter(
        name=req["filterName"], pattern=pattern, transformation=dict(transformation),
        created_ms=int(ctx.now * 1000) if found is None else found.created_ms,
    )  # fmt: skip
    after = {**before, made.name: made}
    check_patterns(pattern, after, group.subscriptions)
    if len(after) > _MOST:
        raise LimitExceededException("Resource limit exceeded.")
    ctx.tx.put(group.key, replace(group, metrics=after))
    return {}


def _check(pattern: str, transformation: api.MetricTransformation) -> None:
    value_getter(pattern, transformation["metricValue"])
    dimensions = transformation.get("dimensions", {})
    if dimensions and "defaultValue" in transformation:
        raise InvalidParameterException(
            "Invalid metric transformation: dimensions and default value are mutually exclusive properties."
        )
    if len(dimensions) > _DIMENSIONS:
        raise InvalidParameterException(f"Invalid metric transformation: at most {_DIMENSIONS} dimensions are allowed.")
    for source in dimensions.values():
        extractor(pattern, source)


def describe_metric_filters(ctx: Context, req: api.DescribeMetricFiltersRequest) -> api.DescribeMetricFiltersResult:
    """Metric filters by group and name, 50 at a time: of one group, of a metric, with a prefix, or all.

    Raises: ResourceNotFoundException, InvalidParameterException (a metric's name without its namespace, or the other way round).
    Source: CloudWatch Logs API_DescribeMetricFilters (read 2026-11).
    """
    if ("metricName" in req) != ("metricNamespace" in req):
        raise InvalidParameterException("metricName and metricNamespace must be specified together.")
    start, prefix, limit = req.get("nextToken", ""), req.get("filterNamePrefix", ""), req.get("limit", _PAGE)
    shown: list[api.MetricFilter] = []
    for group, filter_ in _all(ctx, req):
        place = f"{group.name}/{filter_.name}"
        metric = (filter_.transformation["metricName"], filter_.transformation["metricNamespace"])
        if "metricName" in req and metric != (req["metricName"], req["metricNamespace"]):
            continue
        if place >= start and filter_.name.startswith(prefix):
            if len(shown) == limit:
                return {"metricFilters": shown, "nextToken": place}
            shown.append(_shown(group, filter_))
    return {"metricFilters": shown}


def _all(ctx: Context, req: api.DescribeMetricFiltersRequest) -> Iterator[tuple[Group, MetricFilter]]:
    """In the order of `group/filter`."""
    if "logGroupName" in req:
        groups = [group_named(ctx, req["logGroupName"])]
    else:
        groups = [group for _, group in ctx.tx.scan((ROOT, "group", ctx.account, ctx.region), Group)]
    found = [(group, filter_) for group in groups for filter_ in (group.metrics or {}).values()]
    yield from sorted(found, key=lambda each: f"{each[0].name}/{each[1].name}")


def delete_metric_filter(ctx: Context, req: api.DeleteMetricFilterRequest) -> api.DeleteMetricFilterResult:
    """Take a metric filter away; what it has counted stays.

    Raises: ResourceNotFoundException. Source: CloudWatch Logs API_DeleteMetricFilter (read 2026-11).
    """
    group = group_named(ctx, req["logGroupName"])
    left = dict(group.metrics or {})
    if left.pop(req["filterName"], None) is None:
        raise ResourceNotFoundException("The specified metric filter does not exist.")
    ctx.tx.put(group.key, replace(group, metrics=left or None))
    return {}


def test_metric_filter(ctx: Context, req: api.TestMetricFilterRequest) -> api.TestMetricFilterResult:
    """Which of these messages a pattern matches, and the values of its fields in them.

    Raises: InvalidParameterException. Source: CloudWatch Logs API_TestMetricFilter (read 2026-11).
    """
    matches = compiled(req["filterPattern"])
    return {
        "matches": [
            {
                "eventNumber": place,
                "eventMessage": message,
                "extractedValues": extracted(req["filterPattern"], message),
            }
            for place, message in enumerate(req["logEventMessages"], 1)
            if matches(message)
        ]
    }


def _shown(group: Group, filter_: MetricFilter) -> api.MetricFilter:
    return {
        "filterName": filter_.name,
        "filterPattern": filter_.pattern,
        "metricTransformations": [filter_.transformation],  # type: ignore[list-item]
        "creationTime": filter_.created_ms,
        "logGroupName": group.name,
    }
