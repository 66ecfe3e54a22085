"""A template's scalars as the operation's model wants them: `"5"` where it says integer, `5` where it says string."""

from __future__ import annotations

from typing import Any

from cumulet.wire.models import Models, ServiceModel

_INTEGERS = frozenset(("integer", "long"))
_FLOATS = frozenset(("float", "double"))


def coerce(models: Models, service: str, operation: str, request: Any) -> Any:
    """A copy of `request` in which numbers, booleans and strings that a template wrote in another form have the model's type.

    What cannot be read as the model's type stays as it is; the operation's check then refuses it in AWS's words.
    Raises: KeyError for an operation that the model does not have.
    """
    model = models.service(service)
    ref = model.operation(operation).input
    return request if ref is None else _coerce(model, ref["shape"], request)


def _coerce(model: ServiceModel, name: str, value: Any) -> Any:
    shape = model.shapes[name]
    kind = shape["type"]
    if kind == "structure":
        if isinstance(value, dict):
            members = shape.get("members", {})
            return {
                key: _coerce(model, members[key]["shape"], item) if key in members else item
                for key, item in value.items()
            }
        return value
    if kind == "list":
        return [_coerce(model, shape["member"]["shape"], item) for item in value] if isinstance(value, list) else value
    if kind == "map":
        if isinstance(value, dict):
            return {str(key): _coerce(model, shape["value"]["shape"], item) for key, item in value.items()}
        return value
    return _scalar(kind, value)


def _scalar(kind: str, value: Any) -> Any:
    if kind == "string":
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value) if isinstance(value, int | float) else value
    if kind == "boolean" and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if kind in _INTEGERS and isinstance(value, str | float) and not isinstance(value, bool):
        try:
            return int(value) if isinstance(value, str) or value.is_integer() else value
        except ValueError:
            return value
    if kind in _FLOATS and isinstance(value, str | int) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            return value
    return value
