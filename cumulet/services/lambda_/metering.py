"""Lambda's metrics, namespace AWS/Lambda: by function, by version or alias, and across all functions.

Source: Lambda developer guide, "Types of metrics for Lambda functions" (read 2026-11).
"""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.meter import Series
from cumulet.services.lambda_.names import Ref

NAMESPACE = "AWS/Lambda"
_KEPT = 10_000


def count(ctx: Context, where: Ref, name: str, value: float, unit: str = "Count") -> None:
    """Count a metric of what was invoked, in all its dimensions."""
    add = ctx.pipeline.meter.add
    for series in _series(ctx, where, name, unit):
        add(series, ctx.now, value)


def _series(ctx: Context, where: Ref, name: str, unit: str) -> tuple[Series, ...]:
    """The series that the metric goes into; made once, as this is on the way of every invocation."""
    table: dict[tuple[Ref, str], tuple[Series, ...]] | None = ctx.pipeline.volatile.get("lambda.series")
    if table is None:
        table = ctx.pipeline.volatile["lambda.series"] = {}
    key = (where, name)
    found = table.get(key)
    if found is None:
        if len(table) >= _KEPT:
            table.clear()
        function = ("FunctionName", where.name)
        resource = ("Resource", f"{where.name}:{where.qualifier}" if where.qualifier else where.name)
        found = table[key] = tuple(
            (where.account, where.region, NAMESPACE, name, unit, dimensions)
            for dimensions in ((), (function,), (function, resource))
        )
    return found
