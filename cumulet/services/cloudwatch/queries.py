"""Operation GetMetricData."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.cloudwatch.engine import Engine, check_queries
from cumulet.services.cloudwatch.errors import InvalidNextToken, ValidationError
from cumulet.services.cloudwatch.paging import place, token
from cumulet.services.cloudwatch.reading import rounded_start
from cumulet.services.cloudwatch.series import Series

_MOST_QUERIES = 500
_MOST_POINTS = 100_800

Json = dict[str, Any]


def get_metric_data(ctx: Context, req: Json) -> Json:
    """Statistics of up to 500 metrics, and metric math over them; 100,800 data points a page, the newest first.

    Raises: ValidationError, InvalidNextToken, NotImplementedOnCumulet (Metrics Insights, dynamic labels, other accounts).
    Source: CloudWatch API_GetMetricData (read 2026-11).
    """
    queries = req["MetricDataQueries"]
    if len(queries) > _MOST_QUERIES:
        raise ValidationError("The collection MetricDataQueries must not have a size greater than 500.")
    if not queries:
        raise ValidationError("The collection MetricDataQueries must not be empty.")
    if req["StartTime"] >= req["EndTime"]:
        raise ValidationError("The parameter StartTime must be less than the parameter EndTime.")
    most = req.get("MaxDatapoints", _MOST_POINTS)
    if not 1 <= most <= _MOST_POINTS:
        raise ValidationError(f"The parameter MaxDatapoints must be between 1 and {_MOST_POINTS}.")
    check_queries(ctx, queries, "MetricDataQueries")
    engine = Engine(ctx, queries, lambda period: rounded_start(req["StartTime"], ctx.now, period), req["EndTime"])
    answers: list[tuple[str, Series]] = []
    for query in queries:
        value = engine.value(query["Id"])
        if query.get("ReturnData", True):
            answers += [(query["Id"], one) for one in _shown(query, value)]
    newest_first = req.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    return _page(answers, newest_first, most, req.get("NextToken"))


def _shown(query: Json, value: float | Series | list[Series]) -> list[Series]:
    """The series of a result with their labels. Raises: ValidationError for a number."""
    if isinstance(value, float):
        raise ValidationError(
            f"Error in expression '{query['Id']}': The expression must evaluate to a time series or an array of time series"
        )
    label: str = query["Label"] if "Label" in query else query["Id"]
    if isinstance(value, Series):
        return [value if "MetricStat" in query else Series(value.points, value.period, label)]
    parts = (f"{query.get('Label', '')} {one.label}".strip() for one in value)
    return [Series(one.points, one.period, part) for one, part in zip(value, parts, strict=True)]


def _page(answers: list[tuple[str, Series]], newest_first: bool, most: int, next_token: str | None) -> Json:
    """One page of all data points in the order of the queries; a token is the number of those before it."""
    skip = 0
    if next_token is not None:
        opened = place(next_token, InvalidNextToken)
        if len(opened) != 1 or not isinstance(opened[0], int):
            raise InvalidNextToken("The service does not recognize the NextToken that was specified.")
        skip = opened[0]
    results, first, end = [], 0, skip + most
    for id_, one in answers:
        times = sorted(one.points, reverse=newest_first)
        chosen = times[max(0, skip - first) : max(0, end - first)]
        first += len(times)
        if times and first <= skip:
            continue  # an earlier page had all of it
        results.append(
            {
                "Id": id_,
                "Label": one.label,
                "Timestamps": [float(at) for at in chosen],
                "Values": [one.points[at] for at in chosen],
                "StatusCode": "Complete" if first <= end else "PartialData",
            }
        )
    answer: Json = {"MetricDataResults": results, "Messages": []}
    if first > end:
        answer["NextToken"] = token((end,))
    return answer
