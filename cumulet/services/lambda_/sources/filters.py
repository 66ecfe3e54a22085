"""Filter criteria of event source mappings: which messages and records the function gets.

Source: Lambda developer guide, "Control which events Lambda sends to your function", "Using event filtering with an Amazon SQS
event source", "Using event filtering with a DynamoDB event source" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cumulet.aws.eventpattern import InvalidPattern, compile_pattern
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.context import Context
from cumulet.services.lambda_.errors import InvalidParameterValueException

MOST = 5
_KEPT = 1024

Filter = Callable[[dict[str, Any]], bool]


def checked(criteria: dict[str, Any]) -> tuple[str, ...]:
    """The patterns of FilterCriteria. Raises: InvalidParameterValueException."""
    patterns = tuple(each.get("Pattern", "") for each in criteria.get("Filters", ()))
    if len(patterns) > MOST:
        raise InvalidParameterValueException(
            f"FilterCriteria has more filters than the quota of {MOST} for an event source mapping allows: {len(patterns)}."
        )
    for pattern in patterns:
        try:
            _compiled(pattern)
        except InvalidPattern as error:
            raise InvalidParameterValueException("Invalid filter pattern definition.", hint=error.reason) from error
    return patterns


def wanted(ctx: Context, patterns: tuple[str, ...], record: dict[str, Any]) -> bool:
    """Whether a record of an SQS event passes: any of the filters is enough, and no filters let everything pass."""
    if not patterns:
        return True
    parsed = {**record, "body": _json(record["body"])}
    return any(each(parsed) for each in _filters(ctx, patterns, _compiled))


def passes(ctx: Context, patterns: tuple[str, ...], record: bytes) -> bool:
    """Whether a stream's record, as JSON, passes."""
    if not patterns:
        return True
    parsed = read_json(record)
    return any(each(parsed) for each in _filters(ctx, patterns, compile_pattern))


def _filters(ctx: Context, patterns: tuple[str, ...], compiled: Callable[[str], Filter]) -> list[Filter]:
    kept: dict[tuple[object, ...], list[Filter]] = ctx.pipeline.volatile.setdefault("lambda.filters", {})
    found = kept.get((compiled, *patterns))
    if found is None:
        if len(kept) >= _KEPT:
            kept.clear()
        found = kept[compiled, *patterns] = [compiled(pattern) for pattern in patterns]
    return found


def _compiled(text: str) -> Filter:
    """One filter; a pattern of JSON meets no plain text, and the other way round. Raises: InvalidPattern."""
    matches = compile_pattern(text)
    body = read_json(text).get("body")
    if body is None:
        return matches
    json = isinstance(body, dict)
    return lambda record: isinstance(record["body"], str) != json and matches(record)


def _json(body: str) -> Any:
    """The body parsed where it is a JSON object or list, else as it is."""
    if body.lstrip()[:1] not in ("{", "["):
        return body
    try:
        return read_json(body)
    except NotJson:
        return body
