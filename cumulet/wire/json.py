"""The JSON protocols (1.0, 1.1) and the JSON bodies of rest-json: what needs no conversion is passed as it is."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.wire import eventstream, times
from cumulet.wire.errors import Malformed, parse_error
from cumulet.wire.shapes import Convert, Json, any_reachable, timestamp_format, wire_name
from cumulet.wire.shapes import renames as _renames

if TYPE_CHECKING:
    from cumulet.wire.models import OperationModel, ServiceModel

decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode
_TYPE_WORDS = {str: "STRING_VALUE", int: "NUMBER_VALUE", float: "NUMBER_VALUE", bool: "BOOLEAN_VALUE"}


def mismatch(value: Any, wanted: str) -> Malformed:
    """AWS's words for a JSON value of the wrong type."""
    if isinstance(value, list):
        return Malformed("Start of list found where not expected")
    if isinstance(value, dict):
        return Malformed("Start of structure or map found where not expected.")
    return Malformed(f"{_TYPE_WORDS.get(type(value), 'NULL_VALUE')} can not be converted to {wanted}")


def _read_blob(value: Any) -> bytes:
    if type(value) is not str:
        raise mismatch(value, "Blob")
    try:
        return b64decode(value, validate=True)
    except (binascii.Error, ValueError) as e:
        raise Malformed("Invalid base64 encoding") from e


def _read_timestamp(value: Any) -> float:
    try:
        return times.parse_value(value)
    except (ValueError, TypeError, OverflowError) as e:
        raise mismatch(value, "Timestamp") from e


def reader(service: ServiceModel, ref: Json, nulls: bool) -> Convert | None:
    """Converts a decoded value to what operations take; None where there is nothing to convert.

    With `nulls` structures and maps lose their null members, which AWS treats as absent.
    """

    def converts(shape: Json) -> bool:
        kind = shape["type"]
        return kind in ("blob", "timestamp") or _renames(shape) or (nulls and kind in ("structure", "map"))

    if not any_reachable(service, ref["shape"], f"json-read-{nulls}", converts):
        return None
    kind = service.shapes[ref["shape"]]["type"]
    if kind == "blob":
        return _read_blob
    if kind == "timestamp":
        return _read_timestamp
    return service.cached((f"json-reader-{nulls}", ref["shape"]), lambda: _build_reader(service, ref["shape"], nulls))


def _build_reader(service: ServiceModel, name: str, nulls: bool) -> Convert:
    shape = service.shapes[name]
    if shape["type"] == "structure":
        members = {wire_name(r, m): (m, reader(service, r, nulls)) for m, r in shape["members"].items()}
        return _structure_reader(members, nulls)
    if shape["type"] == "list":
        element = reader(service, shape["member"], nulls)

        def read_list(value: Any) -> Any:
            if type(value) is not list:
                raise mismatch(value, "List")
            return [None if v is None else element(v) for v in value] if element else value

        return read_list
    item = reader(service, shape["value"], nulls)

    def read_map(value: Any) -> Any:
        if type(value) is not dict:
            raise mismatch(value, "Map")
        if item is None:
            return {k: v for k, v in value.items() if v is not None}
        return {k: item(v) for k, v in value.items() if v is not None}

    return read_map


def _structure_reader(members: dict[str, tuple[str, Convert | None]], nulls: bool) -> Convert:
    find = members.get
    unchanged = frozenset(key for key, (member, convert) in members.items() if key == member and convert is None)

    def read_structure(value: Any) -> Json:
        if type(value) is not dict:
            raise mismatch(value, "Structure")
        if not nulls and value.keys() <= unchanged:
            return value
        out: Json = {}
        for key, item in value.items():
            known = find(key)
            if known is not None and item is not None:
                member, convert = known
                out[member] = convert(item) if convert else item
        return out

    return read_structure


def writer(service: ServiceModel, ref: Json, default: str = "unixTimestamp") -> Convert | None:
    """Converts a result's value to what msgspec encodes rightly by itself; None where it does already."""

    def converts(shape: Json) -> bool:
        formats = [r.get("timestampFormat") for r in shape.get("members", {}).values()]
        formats.append(shape.get("timestampFormat"))
        return _renames(shape) or any(f and f != "unixTimestamp" for f in formats)

    if service.shapes[ref["shape"]]["type"] == "timestamp":
        form = timestamp_format(service, ref, default)
        return None if form == "unixTimestamp" else times.WRITERS[form]
    if not any_reachable(service, ref["shape"], "json-write", converts):
        return None
    return service.cached(("json-writer", ref["shape"]), lambda: _build_writer(service, ref["shape"]))


def _build_writer(service: ServiceModel, name: str) -> Convert:
    shape = service.shapes[name]
    if shape["type"] == "structure":
        return structure_writer(service, shape["members"])
    if shape["type"] == "list":
        element = writer(service, shape["member"])
        return lambda value: [element(v) for v in value] if element else value
    if shape["type"] == "map":
        item = writer(service, shape["value"])
        return lambda value: {k: item(v) for k, v in value.items()} if item else value
    return lambda value: value


def structure_writer(service: ServiceModel, members: dict[str, Json]) -> Convert:
    known = {m: (wire_name(r, m), writer(service, r)) for m, r in members.items()}
    find = known.get

    def write_structure(value: Any) -> Any:
        if type(value) is not dict:
            return value
        out: Json = {}
        for member, item in value.items():
            found = find(member)
            if found is not None:
                key, convert = found
                out[key] = convert(item) if convert else item
        return out

    return write_structure


def decode_body(raw: bytes) -> Any:
    """Raises: Malformed."""
    try:
        return decode(raw) if raw else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise Malformed(f"Could not parse request body into json: {e}") from e


def compile_parse(op: OperationModel) -> Callable[[HttpRequest, dict[str, str]], Json]:
    ref = op.input or {"shape": None}
    plain = reader(op.service, ref, False) if op.input else None
    strip = reader(op.service, ref, True) if op.input else None

    def parse(request: HttpRequest, uri_params: dict[str, str]) -> Json:
        raw = request.body if type(request.body) is bytes else request.read_body()
        try:
            value = decode_body(raw)
            if type(value) is not dict:
                raise mismatch(value, "Structure")
            convert = strip if b"null" in raw else plain
            result: Json = convert(value) if convert else value
            return result
        except (Malformed, RecursionError) as e:
            raise parse_error("json", str(e)) from e

    return parse


def compile_serialize(op: OperationModel) -> Callable[[Json, str], HttpResponse]:
    content_type = ("content-type", f"application/x-amz-json-{op.service.json_version}")
    if op.output is None:
        return lambda result, request_id: HttpResponse(200, [("x-amzn-requestid", request_id), content_type])
    stream = eventstream.member_of(op)
    if stream is not None:
        return eventstream.compile_serialize(op, stream, initial=True)
    convert = writer(op.service, op.output)

    def serialize(result: Json, request_id: str) -> HttpResponse:
        body = encode(convert(result) if convert else result)
        return HttpResponse(200, [("x-amzn-requestid", request_id), content_type], body)

    return serialize
