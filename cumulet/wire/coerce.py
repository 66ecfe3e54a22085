"""Scalars of a request made what the model says they are: CloudFormation writes `"30"`, `"true"` and 30 alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cumulet.wire.shapes import Json

if TYPE_CHECKING:
    from cumulet.wire.models import Models, ServiceModel

_WHOLE = {"integer", "long"}
_REAL = {"float", "double"}
_TEXT = {"string", "character"}


def coerce(models: Models, service: str, operation: str, request: Json) -> Json:
    """`request` with numbers, booleans and text converted where the conversion is exact; the rest is left to validation."""
    try:
        model = models.service(service)
        found = model.operation(operation)
    except KeyError:
        return request
    return _convert(model, found.input["shape"], request) if found.input else request  # type: ignore[no-any-return]


def _convert(model: ServiceModel, name: str, value: Any) -> Any:
    shape = model.shapes[name]
    kind = shape["type"]
    if shape.get("document") or shape.get("opaque") or shape.get("eventstream"):
        return value
    if kind == "structure" and isinstance(value, dict):
        members = shape.get("members", {})
        return {k: _convert(model, members[k]["shape"], v) if k in members else v for k, v in value.items()}
    if kind == "list" and isinstance(value, list):
        return [_convert(model, shape["member"]["shape"], item) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {k: _convert(model, shape["value"]["shape"], v) for k, v in value.items()}
    return _scalar(kind, value)


def _scalar(kind: str, value: Any) -> Any:
    if kind in _WHOLE and isinstance(value, str):
        return _number(int, value)
    if kind in _WHOLE and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind in _REAL and isinstance(value, str):
        return _number(float, value)
    if kind == "boolean" and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if kind in _TEXT and isinstance(value, bool):
        return "true" if value else "false"
    if kind in _TEXT and isinstance(value, int | float):
        return str(value)
    return value


def _number(make: Callable[[str], float], value: str) -> Any:
    try:
        return make(value)
    except ValueError:
        return value
