"""Values that a filter pattern's names stand for in a message: `$.latency` of JSON, `$bytes` or `$3` of fields.

Source: CloudWatch Logs user guide, "Creating metrics from log events using filters", API_MetricFilterMatchRecord (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.services.logs.errors import InvalidParameterException
from cumulet.services.logs.fields import field_names, fields_of
from cumulet.services.logs.json_patterns import selector

Extract = Callable[[str], Any]
_LARGEST = 2.0**360  # CloudWatch API_MetricDatum
_SELECTOR = re.compile(r"\$(?:\.|\[)[^\s=!<>()&|]*")


def extractor(pattern: str, name: str) -> Extract:
    """What finds the value of `name` ($.a.b, $field) in a message, None where there is none.

    Raises: InvalidParameterException for a name that the pattern does not have.
    """
    text = pattern.strip()
    if text.startswith("{"):
        find = selector(name)

        def of_json(message: str) -> Any:
            try:
                value = read_json(message)
            except NotJson:
                return None
            return next(iter(find(value)), None)

        return of_json
    if text.startswith("[") and name.startswith("$"):
        names = field_names(text[1:-1])

        def of_fields(message: str) -> Any:
            return fields_of(message, names).get(name)

        if name in fields_of("", names, every=True):
            return of_fields
    raise InvalidParameterException(f"Invalid metric transformation: {name} is not a field of the filter pattern.")


def extracted(pattern: str, message: str) -> dict[str, str]:
    """All that a pattern names, with its values in a message that matches."""
    text = pattern.strip()
    if text.startswith("["):
        return fields_of(message, field_names(text[1:-1]))
    if not text.startswith("{"):
        return {}
    found = {name: extractor(pattern, name)(message) for name in _SELECTOR.findall(text)}
    return {name: _text(value) for name, value in found.items() if value is not None}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def number(value: Any) -> float | None:
    """A value as a metric's number; None for what is none, or larger than CloudWatch takes."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if abs(found) <= _LARGEST else None


def text_of(value: Any) -> str | None:
    """A value as a dimension's text; None where there is none."""
    return None if value is None or isinstance(value, dict | list) else _text(value) or None
