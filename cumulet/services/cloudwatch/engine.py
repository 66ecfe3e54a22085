"""Answers metric data queries: statistics of metrics, and metric math over them; for GetMetricData and for alarms."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.services.cloudwatch import formula, search
from cumulet.services.cloudwatch import series as ts
from cumulet.services.cloudwatch.errors import ValidationError
from cumulet.services.cloudwatch.formula import BadFormula, Binary, Call, Items, Minus, Name, Node, Number, Text, Word
from cumulet.services.cloudwatch.model import MINUTE_S, Dimensions, dimensions_of
from cumulet.services.cloudwatch.reading import is_period, series
from cumulet.services.cloudwatch.series import Series, Value
from cumulet.services.cloudwatch.values import statistic

Json = dict[str, Any]

_ID = re.compile(r"[a-z][A-Za-z0-9_]*")
_INSIGHTS = re.compile(r"\s*SELECT\s", re.IGNORECASE)
_ABSENT = frozenset(("ANOMALY_DETECTION_BAND", "INSIGHT_RULE_METRIC", "SERVICE_QUOTA", "DB_PERF_INSIGHTS", "LAMBDA"))
_MAPS: dict[str, Callable[[float], float]] = {
    "ABS": abs,
    "CEIL": lambda value: float(math.ceil(value)),
    "FLOOR": lambda value: float(math.floor(value)),
    "LOG": ts.logarithm(math.log),
    "LOG10": ts.logarithm(math.log10),
}
_CHANGES = {
    "DIFF": ts.differences,
    "DIFF_TIME": ts.time_differences,
    "RATE": ts.rates,
    "RUNNING_SUM": ts.running_sums,
}
_CLOCK: dict[str, Callable[[time.struct_time], int]] = {
    "MINUTE": lambda at: at.tm_min,
    "HOUR": lambda at: at.tm_hour,
    "DAY": lambda at: at.tm_wday + 1,
    "DATE": lambda at: at.tm_mday,
    "MONTH": lambda at: at.tm_mon,
    "YEAR": lambda at: at.tm_year,
}
_OTHERS = frozenset((
    "EPOCH", "FILL", "FIRST", "IF", "LAST", "METRICS", "METRIC_COUNT", "PERIOD", "REMOVE_EMPTY", "SEARCH", "SLICE", "SORT",
    "TIME_SERIES",
))  # fmt: skip
KNOWN = frozenset((*_MAPS, *_CHANGES, *_CLOCK, *ts.AGGREGATES, *_OTHERS))
TIMELY = frozenset((*_CLOCK, "EPOCH", "TIME_SERIES"))  # what has values although no metric has


class Engine:
    """Answers the queries of one request. Results are computed once; a cycle among expressions is refused."""

    def __init__(self, ctx: Context, queries: Sequence[Json], start: Callable[[int], int], end: float) -> None:
        """`start` gives the first period's start for a period."""
        self._ctx = ctx
        self._queries = {query["Id"]: query for query in queries}
        self._start = start
        self._end = end
        self._done: dict[str, Value] = {}
        self._running: list[str] = []

    def value(self, id_: str) -> Value:
        """The result of one query. Raises: ValidationError, NotImplementedOnCumulet."""
        if id_ not in self._done:
            query = self._queries[id_]
            if id_ in self._running:
                raise ValidationError(f"Circular dependency detected in expression '{id_}'.")
            self._running.append(id_)
            self._done[id_] = self._metric(query) if "MetricStat" in query else self._expression(query)
            self._running.pop()
        return self._done[id_]

    def _metric(self, query: Json) -> Series:
        stat = query["MetricStat"]
        metric = stat["Metric"]
        identity = (metric["Namespace"], metric["MetricName"], dimensions_of(metric.get("Dimensions", ())))
        label = query.get("Label", metric["MetricName"])
        return self._fetch(identity, stat["Stat"], stat["Period"], stat.get("Unit"), label, query["Id"])

    def _fetch(
        self, identity: tuple[str, str, Dimensions], stat: str, period: int, unit: str | None, label: str, id_: str
    ) -> Series:
        compute = statistic(stat)
        assert compute is not None, stat  # checked before
        points: ts.Points = {}
        for at, point in series(self._ctx, identity, period, self._start(period), self._end, unit).items():
            value = compute(point)
            if value is not None:
                points[at] = value
        return Series(points, period, label, id_)

    def _expression(self, query: Json) -> Value:
        try:
            value = self._evaluate(formula.parse(query["Expression"]))
        except BadFormula as error:
            raise ValidationError(f"Error in expression '{query['Id']}': {error}") from error
        return value

    def _evaluate(self, node: Node) -> Value:
        match node:
            case Number(value=number):
                return number
            case Name(id=id_):
                return self.value(id_)
            case Minus(of=inner):
                return ts.combined("*", self._evaluate(inner), -1.0)
            case Binary(sign=sign, left=left, right=right):
                return ts.combined(sign, self._evaluate(left), self._evaluate(right))
            case Items(items=items):
                return [one for item in items for one in _array(self._evaluate(item))]
            case Call(function=name, arguments=arguments):
                return self._call(name, arguments)
            case Text() | Word():
                raise BadFormula("Expected a value but found a word")

    def _call(self, name: str, arguments: tuple[Node, ...]) -> Value:
        match name:
            case "METRICS":
                return self._metrics(arguments)
            case "SEARCH":
                return self._search(arguments)
            case "FILL":
                return self._fill(*_exactly(name, arguments, 2))
            case "SORT":
                return self._sort(arguments)
            case "PERIOD":
                return float(_series(self._evaluate(*_exactly(name, arguments, 1))).period)
            case "IF":
                if len(arguments) not in (2, 3):
                    raise BadFormula("IF expects 2 or 3 arguments")
                return ts.chosen(*([self._evaluate(each) for each in arguments] + [None] * (3 - len(arguments))))  # type: ignore[arg-type]
            case "SLICE":
                if len(arguments) not in (2, 3):
                    raise BadFormula("SLICE expects 2 or 3 arguments")
                listed = _array(self._evaluate(arguments[0]))
                bounds = [int(_number(self._evaluate(each))) for each in arguments[1:]]
                return listed[bounds[0] : bounds[1] if len(bounds) > 1 else None]
        value = self._evaluate(*_exactly(name, arguments, 1))
        if name in _MAPS:
            return ts.mapped(_MAPS[name], value)
        if name in _CHANGES:
            return ts.each(_CHANGES[name], value)
        if name in ts.AGGREGATES:
            return ts.aggregated(name, value)
        return self._arrays_and_times(name, value)

    def _arrays_and_times(self, name: str, value: Value) -> Value:
        match name:
            case "TIME_SERIES":
                number = _number(value)
                period = self._usual_period()
                return Series(period=period).having(dict.fromkeys(self._times(period), number))
            case "METRIC_COUNT":
                return float(len(_array(value)))
            case "REMOVE_EMPTY":
                return [one for one in _array(value) if one.points]
            case "FIRST" | "LAST":
                listed = _array(value)
                if not listed:
                    return Series()
                return listed[0 if name == "FIRST" else -1]
            case "EPOCH":
                one = _series(value)
                return one.having({at: float(at) for at in self._times(one.period)})
        one, part = _series(value), _CLOCK[name]
        return one.having({at: float(part(time.gmtime(at))) for at in self._times(one.period)})

    def _times(self, period: int) -> range:
        """The times of all data points that there can be."""
        return range(self._start(period), math.ceil(self._end), period)

    def _usual_period(self) -> int:
        own = self._queries[self._running[-1]].get("Period")
        if own is not None:
            return int(own)
        periods = [query["MetricStat"]["Period"] for query in self._queries.values() if "MetricStat" in query]
        return max(periods, default=MINUTE_S)

    def _metrics(self, arguments: tuple[Node, ...]) -> list[Series]:
        part = ""
        if arguments:
            (text,) = _exactly("METRICS", arguments, 1)
            if not isinstance(text, Text):
                raise BadFormula("METRICS expects a string")
            part = text.value
        ids = [id_ for id_, query in self._queries.items() if "MetricStat" in query and part in id_]
        return [_series(self.value(id_)) for id_ in ids]

    def _fill(self, of: Node, filler: Node) -> Value:
        with_: float | Series | str
        if isinstance(filler, Word):
            if filler.word not in ("REPEAT", "LINEAR"):
                raise BadFormula(f"FILL does not know {filler.word}")
            with_ = filler.word
        else:
            value = self._evaluate(filler)
            if isinstance(value, list):
                raise BadFormula("FILL expects a number or a time series as second argument")
            with_ = value
        return ts.each(lambda one: ts.filled(one, with_, self._times(one.period)), self._evaluate(of))

    def _sort(self, arguments: tuple[Node, ...]) -> Value:
        match arguments:
            case (of, Word(word="AVG" | "MIN" | "MAX" | "SUM" as by), Word(word="ASC" | "DESC" as order), *rest):
                listed = _array(self._evaluate(of))
                most = int(_number(self._evaluate(rest[0]))) if rest else None
                valued = [one for one in listed if one.points]
                valued.sort(key=lambda one: _number(ts.aggregated(by, one)), reverse=order == "DESC")
                return (valued + [one for one in listed if not one.points])[:most]
        raise BadFormula("SORT expects an array, AVG, MIN, MAX or SUM, and ASC or DESC")

    def _search(self, arguments: tuple[Node, ...]) -> list[Series]:
        match arguments:
            case (Text(value=text), Text(value=stat)):
                period = self._usual_period()
            case (Text(value=text), Text(value=stat), Number(value=seconds)):
                period = int(seconds)
            case _:
                raise BadFormula("SEARCH expects a search text, a statistic and a period")
        if statistic(stat) is None or not is_period(period):
            raise BadFormula("SEARCH expects a statistic and a period")
        found = search.metrics(self._ctx, text, lambda one: one.last_at >= self._start(period))
        return [
            self._fetch((one.namespace, one.name, one.dimensions), stat, period, None, search.label(one), "")
            for one in found
        ]


def _exactly(name: str, arguments: tuple[Node, ...], count: int) -> tuple[Node, ...]:
    if len(arguments) != count:
        raise BadFormula(f"{name} expects {count} argument{'s' if count > 1 else ''} but found {len(arguments)}")
    return arguments


def _array(value: Value) -> list[Series]:
    if isinstance(value, list):
        return value
    return [_series(value)]


def _series(value: Value) -> Series:
    if not isinstance(value, Series):
        raise BadFormula(f"Expected a time series but found {'an array' if isinstance(value, list) else 'a number'}")
    return value


def _number(value: Value) -> float:
    if not isinstance(value, float):
        raise BadFormula("Expected a number but found a time series")
    return value


def check_queries(ctx: Context, queries: Sequence[Json], member: str) -> None:
    """Whether queries make sense together. Raises: ValidationError, NotImplementedOnCumulet.

    Source: CloudWatch API_MetricDataQuery, API_MetricStat (read 2026-11).
    """
    seen: set[str] = set()
    for number, query in enumerate(queries, 1):
        where = f"{member}.member.{number}"
        id_ = query["Id"]
        if not _ID.fullmatch(id_):
            raise ValidationError(
                f"The value {id_} for parameter {where}.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$."
            )
        if id_ in seen:
            raise ValidationError(f"The values for parameter id in {member} are not unique.")
        seen.add(id_)
        if ("Expression" in query) == ("MetricStat" in query):
            raise ValidationError(
                f"Exactly one of the parameters {where}.Expression and {where}.MetricStat must be specified."
            )
        if query.get("AccountId", ctx.account) != ctx.account:
            raise NotImplementedOnCumulet("CloudWatch's metrics of other accounts are not implemented by Cumulet.")
        if "${" in query.get("Label", ""):
            raise NotImplementedOnCumulet("CloudWatch's dynamic labels are not implemented by Cumulet.")
        if "MetricStat" in query:
            _check_stat(f"{where}.MetricStat", query["MetricStat"])
        if "Period" in query and not is_period(query["Period"]):
            raise ValidationError(f"The parameter {where}.Period must be 1, 5, 10, 20, 30 or a multiple of 60.")
    for query in queries:
        if "Expression" in query:
            _check_expression(query, seen)


def _check_stat(where: str, stat: Json) -> None:
    if statistic(stat["Stat"]) is None:
        raise ValidationError(f"The value {stat['Stat']} for parameter {where}.Stat is not supported.")
    if not is_period(stat["Period"]):
        raise ValidationError(f"The parameter {where}.Period must be 1, 5, 10, 20, 30 or a multiple of 60.")
    for member in ("Namespace", "MetricName"):
        if member not in stat["Metric"]:
            raise ValidationError(f"The parameter {where}.Metric.{member} is required.")


def _check_expression(query: Json, there: set[str]) -> None:
    if _INSIGHTS.match(query["Expression"]):
        raise NotImplementedOnCumulet("CloudWatch Metrics Insights (SELECT) is not implemented by Cumulet.")
    try:
        tree = formula.parse(query["Expression"])
    except BadFormula as error:
        raise ValidationError(f"Error in expression '{query['Id']}': {error}") from error
    for name in sorted(formula.functions(tree)):
        if name in _ABSENT:
            raise NotImplementedOnCumulet(f"CloudWatch's metric math function {name} is not implemented by Cumulet.")
        if name not in KNOWN:
            raise ValidationError(f"Error in expression '{query['Id']}': The function {name} is not supported")
    for id_ in sorted(formula.ids(tree) - there):
        raise ValidationError(f"Error in expression '{query['Id']}': Unrecognized id {id_}")
