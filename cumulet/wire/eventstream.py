"""Event streams (vnd.amazon.eventstream): results that are sequences of events, as framed messages.

A message: total length, headers length, CRC of both; headers; payload; CRC of all before it.
Source: Amazon Transcribe developer guide, "Event stream encoding"; Smithy specification, "Amazon Event Stream".
"""

from __future__ import annotations

import struct
from binascii import crc32
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import cbor2
import msgspec

from cumulet.aws.errors import AwsError
from cumulet.aws.http import HttpResponse, StreamBody
from cumulet.wire import xml
from cumulet.wire.shapes import Json

if TYPE_CHECKING:
    from cumulet.wire.models import OperationModel

_PRELUDE = struct.Struct(">II")
_CRC = struct.Struct(">I")
_STRING, _BYTES, _LONG, _TIMESTAMP, _TRUE, _FALSE = 7, 6, 5, 8, 0, 1
CONTENT_TYPE = ("content-type", "application/vnd.amazon.eventstream")


def _header(name: str, value: Any, timestamp: bool = False) -> bytes:
    raw = name.encode()
    start = bytes((len(raw),)) + raw
    if isinstance(value, bool):
        return start + bytes((_TRUE if value else _FALSE,))
    if timestamp:
        return start + bytes((_TIMESTAMP,)) + struct.pack(">q", round(value * 1000))
    if isinstance(value, int):
        return start + bytes((_LONG,)) + struct.pack(">q", value)
    data = value if isinstance(value, bytes) else str(value).encode()
    kind = _BYTES if isinstance(value, bytes) else _STRING
    return start + bytes((kind,)) + struct.pack(">H", len(data)) + data


def encode_message(headers: bytes, payload: bytes) -> bytes:
    """One framed message of encoded headers and a payload."""
    prelude = _PRELUDE.pack(16 + len(headers) + len(payload), len(headers))
    start = prelude + _CRC.pack(crc32(prelude)) + headers + payload
    return start + _CRC.pack(crc32(start))


def member_of(op: OperationModel) -> str | None:
    """The output's member that is an event stream."""
    if op.output is None:
        return None
    shapes = op.service.shapes
    members = shapes[op.output["shape"]].get("members", {})
    return next((m for m, ref in members.items() if shapes[ref["shape"]].get("eventstream")), None)


class EventEncoder:
    """Encodes the events of one union: `{"Records": {"Payload": b"..."}}` is one message."""

    def __init__(self, op: OperationModel, union: str) -> None:
        self.service = op.service
        self.protocol = op.service.protocol
        self.members: dict[str, Json] = op.service.shapes[union]["members"]

    def encode(self, event: Json) -> bytes:
        name, value = next(iter(event.items()))
        ref = self.members[name]
        shape = self.service.shapes[ref["shape"]]
        members = shape.get("members", {})
        headers = [_header(":message-type", "event"), _header(":event-type", ref.get("locationName", name))]
        rest = dict(value)
        payload: bytes | None = None
        for member, inner in members.items():
            if member not in rest:
                continue
            kind = self.service.shapes[inner["shape"]]["type"]
            if inner.get("eventheader"):
                headers.append(_header(member, rest.pop(member), kind == "timestamp"))
            elif inner.get("eventpayload") and kind in ("blob", "string"):
                raw = rest.pop(member)
                payload = raw if isinstance(raw, bytes) else raw.encode()
                content = "application/octet-stream" if kind == "blob" else "text/plain"
                headers.append(_header(":content-type", content))
            elif inner.get("eventpayload"):
                payload = self.document(inner["shape"], rest.pop(member), headers)
        if payload is None and (rest or members):
            payload = self.document(ref["shape"], rest, headers) if rest else b""
        return encode_message(b"".join(headers), payload or b"")

    def document(self, shape: str, value: Json, headers: list[bytes]) -> bytes:
        """A structure as the protocol's document."""
        if self.protocol == "rest-xml":
            headers.append(_header(":content-type", "text/xml"))
            parts: list[str] = []
            names = xml.Names(self.service, "rest-xml")
            xml.writer(names, {"shape": shape}, shape)(parts.append, value)
            return "".join(parts).encode()
        if self.protocol == "smithy-rpc-v2-cbor":
            headers.append(_header(":content-type", "application/cbor"))
            return cbor2.dumps(self.service.write_cbor_members(shape, value))
        headers.append(_header(":content-type", "application/json"))
        return msgspec.json.encode(self.service.write_json_members(shape, value))

    def error(self, err: AwsError) -> bytes:
        """An exception that ends the stream."""
        member = next((m for m, ref in self.members.items() if err.wire_code in (m, ref["shape"])), None)
        if member is None:
            headers = [
                _header(":message-type", "error"),
                _header(":error-code", err.wire_code),
                _header(":error-message", err.message),
            ]
            return encode_message(b"".join(headers), b"")
        headers = [_header(":message-type", "exception"), _header(":exception-type", member)]
        shape = self.members[member]["shape"]
        names = self.service.shapes[shape].get("members", {})
        key = next((m for m in names if m.lower() == "message"), "message")
        payload = self.document(shape, {key: err.message, **err.members}, headers)
        return encode_message(b"".join(headers), payload)


def body_of(encoder: EventEncoder, events: Any, first: bytes) -> StreamBody:
    """The body that sends `first` and then each event as it comes."""

    async def generate() -> AsyncIterator[bytes]:
        if first:
            yield first
        try:
            if hasattr(events, "__aiter__"):
                async for event in events:
                    yield encoder.encode(event)
            else:
                for event in events:
                    yield encoder.encode(event)
        except AwsError as err:
            yield encoder.error(err)

    return generate


def compile_serialize(op: OperationModel, member: str, initial: bool) -> Callable[[Json, str], HttpResponse]:
    """Serializer of an operation whose output holds an event stream.

    The RPC protocols send the output's other members as an `initial-response` event; REST sends them as headers.
    """
    assert op.output is not None
    output = op.output["shape"]
    encoder = EventEncoder(op, op.service.shapes[output]["members"][member]["shape"])

    def serialize(result: Json, request_id: str) -> HttpResponse:
        rest = {k: v for k, v in result.items() if k != member}
        headers = [_header(":message-type", "event"), _header(":event-type", "initial-response")]
        payload = encoder.document(output, rest, headers)
        first = encode_message(b"".join(headers), payload)
        body = body_of(encoder, result.get(member, ()), first)
        return HttpResponse(200, [("x-amzn-requestid", request_id), CONTENT_TYPE], body)

    return serialize
