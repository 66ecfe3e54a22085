"""Requests and results as plain JSON with the model's member names, for `/_cumulet/call/...`: blobs are base64 text."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from cumulet.aws.errors import GenericAwsError
from cumulet.aws.http import FileBody
from cumulet.wire.models import OperationModel, ServiceModel
from cumulet.wire.times import parse_value


def request_of(operation: OperationModel, value: Any) -> dict[str, Any]:
    """The operation's request out of a JSON object. Raises: AwsError (SerializationException)."""
    if not isinstance(value, dict):
        raise _malformed("The body must be a JSON object.")
    if operation.input is None:
        return {}
    found: dict[str, Any] = _read(operation.service, operation.input["shape"], value, "")
    return found


def value_of(operation: OperationModel, result: Any) -> Any:
    """What JSON shows of an operation's result. Files are read; an event stream is refused."""
    if operation.output is None:
        return {}
    return _write(operation.service, operation.output["shape"], result)


def _malformed(message: str) -> GenericAwsError:
    return GenericAwsError("SerializationException", message, 400)


def _read(service: ServiceModel, name: str, value: Any, at: str) -> Any:
    shape = service.shapes[name]
    kind = shape["type"]
    if shape.get("opaque") or shape.get("document"):
        return value
    if kind == "structure" and isinstance(value, dict):
        members = shape.get("members", {})
        for member in value:
            if member not in members:
                raise _malformed(f"Unknown member {at}{member}. There are {', '.join(sorted(members)) or 'none'}.")
        return {
            member: _read(service, members[member]["shape"], item, f"{at}{member}.")
            for member, item in value.items()
            if item is not None
        }
    if kind == "list" and isinstance(value, list):
        return [_read(service, shape["member"]["shape"], item, at) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {key: _read(service, shape["value"]["shape"], item, at) for key, item in value.items()}
    if kind == "blob":
        return _read_blob(value, at)
    if kind == "timestamp":
        try:
            return parse_value(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise _malformed(f"{at.rstrip('.')} is not a timestamp.") from error
    if kind in ("float", "double") and type(value) is int:
        return float(value)
    return value


def _read_blob(value: Any, at: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise _malformed(f"{at.rstrip('.')} is not base64 text.") from error


def _write(service: ServiceModel, name: str, value: Any) -> Any:
    shape = service.shapes[name]
    kind = shape["type"]
    if isinstance(value, FileBody):
        with value.path.open("rb") as file:
            file.seek(value.offset)
            value = file.read(value.size)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if callable(value):
        raise _malformed("The answer is an event stream, which JSON cannot show.")
    if shape.get("opaque") or shape.get("document"):
        return value
    if kind == "structure" and isinstance(value, dict):
        members = shape.get("members", {})
        return {
            member: _write(service, members[member]["shape"], item)
            for member, item in value.items()
            if member in members
        }
    if kind == "list" and isinstance(value, list | tuple):
        return [_write(service, shape["member"]["shape"], item) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {key: _write(service, shape["value"]["shape"], item) for key, item in value.items()}
    return value
