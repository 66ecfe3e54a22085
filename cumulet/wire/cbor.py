"""smithy-rpc-v2-cbor: CBOR maps both ways; only timestamps (tag 1) and floats need conversion."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import cbor2

from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.wire import eventstream, times
from cumulet.wire.errors import Malformed, parse_error
from cumulet.wire.shapes import Convert, Json, any_reachable, wire_name
from cumulet.wire.shapes import renames as _renames

if TYPE_CHECKING:
    from cumulet.wire.models import OperationModel, ServiceModel

_NULL, _UNDEFINED, _TAG = b"\xf6", b"\xf7", 1


def _read_timestamp(value: Any) -> float:
    try:
        return times.parse_value(value)
    except (ValueError, TypeError, OverflowError) as e:
        raise Malformed("not a timestamp") from e


def reader(service: ServiceModel, ref: Json, nulls: bool) -> Convert | None:
    """Converts a decoded value; None where there is nothing to convert."""

    def converts(shape: Json) -> bool:
        kind = shape["type"]
        return kind == "timestamp" or _renames(shape) or (nulls and kind in ("structure", "map"))

    if not any_reachable(service, ref["shape"], f"cbor-read-{nulls}", converts):
        return None
    if service.shapes[ref["shape"]]["type"] == "timestamp":
        return _read_timestamp
    return service.cached((f"cbor-reader-{nulls}", ref["shape"]), lambda: _build_reader(service, ref["shape"], nulls))


def _build_reader(service: ServiceModel, name: str, nulls: bool) -> Convert:
    shape = service.shapes[name]
    if shape["type"] == "structure":
        members = {wire_name(r, m): (m, reader(service, r, nulls)) for m, r in shape["members"].items()}

        def read_structure(value: Any) -> Json:
            _expect(value, dict)
            out: Json = {}
            for key, item in value.items():
                known = members.get(key)
                if known is not None and item is not None:
                    out[known[0]] = known[1](item) if known[1] else item
            return out

        return read_structure
    if shape["type"] == "list":
        element = reader(service, shape["member"], nulls)

        def read_list(value: Any) -> Any:
            _expect(value, list)
            return [None if v is None else element(v) for v in value] if element else value

        return read_list
    item = reader(service, shape["value"], nulls)

    def read_map(value: Any) -> Json:
        _expect(value, dict)
        return {k: item(v) if item else v for k, v in value.items() if v is not None}

    return read_map


def _expect(value: Any, kind: type) -> None:
    if type(value) is not kind:
        raise Malformed("Unexpected value type in payload")


def writer(service: ServiceModel, ref: Json) -> Convert | None:
    """Converts a result's value to what cbor2 encodes rightly; None where it does already."""

    def converts(shape: Json) -> bool:
        return shape["type"] in ("timestamp", "float", "double") or _renames(shape)

    if not any_reachable(service, ref["shape"], "cbor-write", converts):
        return None
    return service.cached(("cbor-writer", ref["shape"]), lambda: _build_writer(service, ref["shape"]))


def _build_writer(service: ServiceModel, name: str) -> Convert:
    shape = service.shapes[name]
    kind = shape["type"]
    if kind == "timestamp":
        return lambda value: cbor2.CBORTag(_TAG, float(value))
    if kind in ("float", "double"):
        return float
    if kind == "structure":
        members = {m: (wire_name(r, m), writer(service, r)) for m, r in shape["members"].items()}

        def write_structure(value: Any) -> Json:
            out: Json = {}
            for member, item in value.items():
                known = members.get(member)
                if known is not None:
                    out[known[0]] = known[1](item) if known[1] else item
            return out

        return write_structure
    if kind == "list":
        element = writer(service, shape["member"])
        return lambda value: [element(v) for v in value] if element else value
    item = writer(service, shape["value"])
    return lambda value: {k: item(v) for k, v in value.items()} if item else value


def _plain(value: Any) -> bool:
    """Whether a decoded document holds only what the protocol knows (cbor2 decodes many a tag more)."""
    kind = type(value)
    if kind is dict:
        return all(type(k) is str and _plain(v) for k, v in value.items())
    if kind is list:
        return all(map(_plain, value))
    return kind in (str, int, float, bool, bytes, type(None), datetime)


def decode_body(raw: bytes) -> Any:
    """Raises: Malformed."""
    if not raw:
        return {}
    try:
        value = cbor2.loads(raw)
        if not _plain(value):
            raise Malformed("Unexpected value type in payload")
        return value
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as e:
        raise Malformed(f"Could not parse request body into cbor: {e}") from e


def compile_parse(op: OperationModel) -> Callable[[HttpRequest, dict[str, str]], Json]:
    plain = reader(op.service, op.input, False) if op.input else None
    strip = reader(op.service, op.input, True) if op.input else None

    def parse(request: HttpRequest, uri_params: dict[str, str]) -> Json:
        raw = request.body if type(request.body) is bytes else request.read_body()
        try:
            value = decode_body(raw)
            _expect(value, dict)
            convert = strip if _NULL in raw or _UNDEFINED in raw else plain
            result: Json = convert(value) if convert else value
            return result
        except (Malformed, RecursionError) as e:
            raise parse_error("smithy-rpc-v2-cbor", str(e)) from e

    return parse


def compile_serialize(op: OperationModel) -> Callable[[Json, str], HttpResponse]:
    common = [("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor")]
    if op.output is None:
        return lambda result, request_id: HttpResponse(200, [("x-amzn-requestid", request_id), common[0]])
    stream = eventstream.member_of(op)
    if stream is not None:
        return eventstream.compile_serialize(op, stream, initial=True)
    convert = writer(op.service, op.output)

    def serialize(result: Json, request_id: str) -> HttpResponse:
        body = cbor2.dumps(convert(result) if convert else result)
        return HttpResponse(200, [("x-amzn-requestid", request_id), *common], body)

    return serialize
