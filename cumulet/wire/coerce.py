"""A template's scalars as the operation's model wants them: `"5"` where it says integer, `5` where it says string."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator
from typing import Any

from cumulet.wire import times
from cumulet.wire.models import Models, ServiceModel

_INTEGERS = frozenset(("integer", "long"))
_FLOATS = frozenset(("float", "double"))


def coerce(models: Models, service: str, operation: str, request: Any) -> Any:
    """A copy of `request` in which numbers, booleans, times and strings that a template wrote in another form have the model's type.

    A blob that is given as text is its base64, as in JSON; not where a blob is the whole body, and not in what
    services take as it came (DynamoDB's attribute values).
    What cannot be read as the model's type stays as it is; the operation's check then refuses it in AWS's words.
    Raises: KeyError for an operation that the model does not have.
    """
    model = models.service(service)
    ref = model.operation(operation).input
    if ref is None:
        return request
    out = _coerce(model, ref["shape"], request, True)
    payload = model.shapes[ref["shape"]].get("payload")
    if payload is not None and isinstance(request, dict) and isinstance(request.get(payload), str):
        out[payload] = request[payload]
    return out


def strangers(models: Models, service: str, operation: str, request: Any) -> list[tuple[str, str]]:
    """(path, name) of each member that the operation's model does not know. Raises: KeyError for an unknown operation."""
    model = models.service(service)
    ref = model.operation(operation).input
    return [] if ref is None else list(_strangers(model, ref["shape"], request, ""))


def _strangers(model: ServiceModel, name: str, value: Any, path: str) -> Iterator[tuple[str, str]]:
    shape = model.shapes[name]
    if shape.get("document"):
        return
    if shape["type"] == "structure" and isinstance(value, dict):
        members = shape.get("members", {})
        for key, item in value.items():
            if key in members:
                yield from _strangers(model, members[key]["shape"], item, f"{path}/{key}")
            else:
                yield path, str(key)
    elif shape["type"] == "list" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strangers(model, shape["member"]["shape"], item, f"{path}/{index}")
    elif shape["type"] == "map" and isinstance(value, dict):
        for key, item in value.items():
            yield from _strangers(model, shape["value"]["shape"], item, f"{path}/{key}")


def _coerce(model: ServiceModel, name: str, value: Any, blobs: bool) -> Any:
    shape = model.shapes[name]
    kind = shape["type"]
    if shape.get("opaque") or shape.get("document"):
        blobs = False
    if kind == "structure":
        if isinstance(value, dict):
            members = shape.get("members", {})
            return {
                key: _coerce(model, members[key]["shape"], item, blobs) if key in members else item
                for key, item in value.items()
            }
        return value
    if kind == "list":
        if isinstance(value, list):
            return [_coerce(model, shape["member"]["shape"], item, blobs) for item in value]
        return value
    if kind == "map":
        if isinstance(value, dict):
            return {str(key): _coerce(model, shape["value"]["shape"], item, blobs) for key, item in value.items()}
        return value
    return _blob(value) if kind == "blob" and blobs else _scalar(kind, value)


def _blob(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return b64decode(value, validate=True)
    except (NotBase64, ValueError):
        return value


def _scalar(kind: str, value: Any) -> Any:
    if kind == "string":
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value) if isinstance(value, int | float) else value
    if kind == "timestamp" and isinstance(value, str):
        try:
            return times.parse_value(value)
        except (ValueError, OverflowError):
            return value
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
