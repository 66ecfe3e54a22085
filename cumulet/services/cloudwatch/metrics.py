"""Operations on metrics: publish values, list what there is."""

from __future__ import annotations

from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.services.cloudwatch.data import checked, is_namespace
from cumulet.services.cloudwatch.errors import InvalidParameterValue, MissingParameter
from cumulet.services.cloudwatch.model import DAY_S, HOUR_S, ROOT, Metric, dimensions_of, shown
from cumulet.services.cloudwatch.paging import place, token
from cumulet.services.cloudwatch.storing import store

_MOST_METRICS = 1000
_PAGE = 500
_LISTED_S = 14 * DAY_S
_RECENT_S = 3 * HOUR_S + 50 * 60

Json = dict[str, Any]


def put_metric_data(ctx: Context, req: Json) -> Json:
    """Publish up to 1000 values, sets of values or statistic sets; a metric comes to be by its first value.

    Time stamps may be two weeks old and two hours ahead. A metric has up to 30 dimensions; each combination is one of its own.
    Raises: InvalidParameterValue, InvalidParameterCombination, MissingParameter, NotImplementedOnCumulet (entities).
    Source: CloudWatch API_PutMetricData, API_MetricDatum, API_Dimension; user guide, "CloudWatch service quotas" (read 2026-11).
    """
    if "EntityMetricData" in req or "StrictEntityValidation" in req:
        raise NotImplementedOnCumulet("CloudWatch's setting EntityMetricData is not implemented by Cumulet.")
    if "MetricData" not in req:
        raise MissingParameter("The parameter MetricData is required.")
    namespace, data = req["Namespace"], req["MetricData"]
    if not is_namespace(namespace):
        raise InvalidParameterValue(f"The value {namespace} for parameter Namespace is invalid.")
    if len(data) > _MOST_METRICS:
        raise InvalidParameterValue("The collection MetricData must not have a size greater than 1000.")
    points = [checked(ctx, f"MetricData.member.{number}", datum) for number, datum in enumerate(data, 1)]
    for datum, point in zip(data, points, strict=True):
        store(
            ctx,
            namespace,
            datum["MetricName"],
            dimensions_of(datum.get("Dimensions", ())),
            datum.get("Timestamp", ctx.now),
            datum.get("Unit", "None"),
            point,
            datum.get("StorageResolution") == 1,
        )
    return {}


def list_metrics(ctx: Context, req: Json) -> Json:
    """The metrics that got data in the past two weeks (or, RecentlyActive, three hours), 500 at a time.

    A dimension filter without a value asks for the name alone; metrics may have more dimensions than asked for.
    Raises: InvalidParameterValue, NotImplementedOnCumulet (other accounts). Source: CloudWatch API_ListMetrics (read 2026-11).
    """
    if req.get("IncludeLinkedAccounts") or "OwningAccount" in req:
        raise NotImplementedOnCumulet("CloudWatch's setting IncludeLinkedAccounts is not implemented by Cumulet.")
    prefix: Key = (ROOT, "metric", ctx.account, ctx.region)
    if "Namespace" in req:
        prefix = (*prefix, req["Namespace"])
        if "MetricName" in req:
            prefix = (*prefix, req["MetricName"])
    wanted = [(each["Name"], each.get("Value")) for each in req.get("Dimensions", ())]
    since = ctx.now - (_RECENT_S if "RecentlyActive" in req else _LISTED_S)
    start = place(req["NextToken"], InvalidParameterValue) if "NextToken" in req else None
    found: list[Json] = []
    for key, metric in ctx.tx.scan(prefix, Metric, start=start):
        if metric.last_at < since or req.get("MetricName", metric.name) != metric.name:
            continue
        if not all(_has(metric, name, value) for name, value in wanted):
            continue
        if len(found) == _PAGE:
            return {"Metrics": found, "NextToken": token(key)}
        found.append({"Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": shown(metric.dimensions)})
    return {"Metrics": found}


def _has(metric: Metric, name: str, value: str | None) -> bool:
    return any(name == dimension and value in (None, its) for dimension, its in metric.dimensions)
