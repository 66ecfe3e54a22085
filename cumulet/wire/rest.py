"""The REST protocols: members in path, query string, headers and status, the rest in a JSON or XML body."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import msgspec

from cumulet.aws.errors import AwsError, GenericAwsError
from cumulet.aws.http import FileBody, HttpRequest, HttpResponse, ResponseBody
from cumulet.wire import eventstream, json, times, xml
from cumulet.wire.errors import Malformed, parse_error, request_id_headers
from cumulet.wire.shapes import Json, body_members, has_message_locations, is_streaming, timestamp_format

if TYPE_CHECKING:
    from cumulet.wire.models import OperationModel, ServiceModel

Step = Callable[[HttpRequest, Json], None]
ReadBody = Callable[[bytes, Json], None]
_HEADER_TIMES, _QUERY_TIMES = "rfc822", "iso8601"


def parse_query(query: str) -> dict[str, list[str]]:
    """A raw query string, decoded, every value kept."""
    found: dict[str, list[str]] = {}
    for part in query.split("&"):
        if part:
            key, _, value = part.partition("=")
            if "%" in key or "+" in key:
                key = unquote_plus(key)
            if "%" in value or "+" in value:
                value = unquote_plus(value)
            found.setdefault(key, []).append(value)
    return found


def _text_reader(service: ServiceModel, ref: Json) -> Callable[[str], Any]:
    """Text of a path label, a query value or a header to its value. The result raises ValueError."""
    if ref.get("jsonvalue"):
        return _read_json_value
    return xml.scalar_reader(service.shapes[ref["shape"]]["type"])


def _read_json_value(text: str) -> Any:
    try:
        return json.decode(b64decode(text))
    except (binascii.Error, msgspec.DecodeError) as e:
        raise Malformed("not a JSON value") from e


def _bad_value(protocol: str, name: str, text: str) -> AwsError:
    if protocol == "rest-xml":
        return GenericAwsError("InvalidArgument", f"Invalid value for {name}.", 400,
                               members={"ArgumentName": name, "ArgumentValue": text})  # fmt: skip
    return parse_error(protocol, f"Invalid value for parameter {name}: {text}")


def split_list(text: str) -> list[str]:
    """A header that is a list: comma separated, elements perhaps quoted."""
    if '"' not in text:
        return [part.strip() for part in text.split(",")]
    parts: list[str] = []
    current: list[str] = []
    quoted = escaped = False
    for char in text:
        if escaped:
            current.append(char)
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            parts.append("".join(current).strip())
            current = []
        else:
            current.append(char)
    parts.append("".join(current).strip())
    return parts


def _split_dates(text: str) -> list[str]:
    """RFC 822 dates hold a comma of their own."""
    parts = [part.strip() for part in text.split(",")]
    if any(part[:1].isdigit() and "T" in part for part in parts):
        return parts
    return [", ".join(parts[i : i + 2]) for i in range(0, len(parts), 2)]


# Reading


def _path_step(op: OperationModel) -> Callable[[dict[str, str], Json], None] | None:
    labels = []
    for member, ref in op.input_shape.get("members", {}).items():
        if ref.get("location") == "uri":
            labels.append((member, ref.get("locationName", member), _text_reader(op.service, ref)))
    if not labels:
        return None

    def read_labels(params: dict[str, str], out: Json) -> None:
        for member, label, read in labels:
            text = params.get(label)
            if text is not None:
                try:
                    out[member] = read(text)
                except ValueError as e:
                    raise _bad_value(op.protocol, label, text) from e

    return read_labels


def _query_step(op: OperationModel) -> Step | None:
    service = op.service
    single: list[tuple[str, str, bool, Callable[[str], Any]]] = []
    rest: tuple[str, bool, Callable[[str], Any]] | None = None
    for member, ref in op.input_shape.get("members", {}).items():
        if ref.get("location") != "querystring":
            continue
        shape = service.shapes[ref["shape"]]
        if shape["type"] == "map":
            many = service.shapes[shape["value"]["shape"]]["type"] == "list"
            rest = (member, many, str)
        elif shape["type"] == "list":
            single.append((member, ref.get("locationName", member), True, _text_reader(service, shape["member"])))
        else:
            single.append((member, ref.get("locationName", member), False, _text_reader(service, ref)))
    if not single and rest is None:
        return None
    constants = op.http["requestUri"].partition("?")[2].split("&")
    bound = {name for _, name, _, _ in single} | {constant.partition("=")[0] for constant in constants}

    def read_query(request: HttpRequest, out: Json) -> None:
        if not request.query:
            return
        values = parse_query(request.query)
        for member, name, many, read in single:
            texts = values.get(name)
            if texts is not None:
                try:
                    out[member] = [read(text) for text in texts] if many else read(texts[0])
                except ValueError as e:
                    raise _bad_value(op.protocol, name, texts[0]) from e
        if rest is not None:
            member, many, _ = rest
            others = {k: (v if many else v[0]) for k, v in values.items() if k not in bound}
            if others:
                out[member] = others

    return read_query


def _header_step(op: OperationModel) -> Step | None:
    service = op.service
    single: list[tuple[str, str, Callable[[str], Any]]] = []
    prefixed: list[tuple[str, str]] = []
    for member, ref in op.input_shape.get("members", {}).items():
        name = ref.get("locationName", member).lower()
        if ref.get("location") == "headers":
            prefixed.append((member, "" if "locationName" not in ref else name))
        elif ref.get("location") == "header":
            single.append((member, name, _header_reader(service, ref)))
    if not single and not prefixed:
        return None

    def read_headers(request: HttpRequest, out: Json) -> None:
        headers = request.headers
        for member, name, read in single:
            text = headers.get(name)
            if text is not None:
                try:
                    out[member] = read(text)
                except ValueError as e:
                    raise _bad_value(op.protocol, name, text) from e
        for member, prefix in prefixed:
            found = {name[len(prefix) :]: text for name, text in headers.items() if name.startswith(prefix)}
            if found:
                out[member] = found

    return read_headers


def _header_reader(service: ServiceModel, ref: Json) -> Callable[[str], Any]:
    shape = service.shapes[ref["shape"]]
    if shape["type"] != "list":
        return _text_reader(service, ref)
    read = _text_reader(service, shape["member"])
    if service.shapes[shape["member"]["shape"]]["type"] == "timestamp":
        return lambda text: [read(part) for part in _split_dates(text)]
    return lambda text: [read(part) for part in split_list(text)]


def _json_body(op: OperationModel, ref: Json, into: str | None) -> ReadBody:
    """Reads a JSON document into the member `into`, or its members into the request."""
    plain, strip = json.reader(op.service, ref, False), json.reader(op.service, ref, True)
    elsewhere = frozenset(op.input_shape.get("members", {})) - frozenset(body_members(op.input_shape))
    is_document = bool(op.service.shapes[ref["shape"]].get("document"))

    def read_body(raw: bytes, out: Json) -> None:
        if not raw:
            return
        value = json.decode_body(raw)
        if type(value) is not dict and not is_document:
            raise json.mismatch(value, "Structure")
        convert = strip if b"null" in raw else plain
        value = convert(value) if convert else value
        if into is not None:
            out[into] = value
        elif not elsewhere:
            out.update(value)
        else:
            for key, item in value.items():
                if key not in elsewhere:
                    out[key] = item

    return read_body


def _xml_body(op: OperationModel, ref: Json, into: str | None) -> ReadBody:
    read = xml.reader(xml.Names(op.service, "rest-xml"), ref)

    def read_body(raw: bytes, out: Json) -> None:
        if not raw:
            return
        value = read(xml.parse_document(raw))
        if into is not None:
            out[into] = value
        else:
            out.update(value)

    return read_body


def _body_step(op: OperationModel) -> Step | None:
    """Reads the payload member, or the members that have no other place."""
    if op.input is None:
        return None
    service, shape = op.service, op.input_shape
    payload = shape.get("payload")
    if payload is None and not body_members(shape):
        return None
    document = _xml_body if op.protocol == "rest-xml" else _json_body
    if payload is None:
        read = document(op, {"shape": _body_shape(service, op.input["shape"])}, None)
        return lambda request, out: read(request.read_body(), out)
    ref = shape["members"][payload]
    kind = service.shapes[ref["shape"]]["type"]
    if is_streaming(service, ref):
        return lambda request, out: out.__setitem__(payload, request.body)
    if kind in ("blob", "string"):

        def read_plain(request: HttpRequest, out: Json) -> None:
            raw = request.read_body()
            if raw or (kind == "string" and op.method in ("PUT", "POST")):
                out[payload] = raw if kind == "blob" else raw.decode()

        return read_plain
    read_payload = document(op, ref, payload)
    return lambda request, out: read_payload(request.read_body(), out)


def _body_shape(service: ServiceModel, name: str) -> str:
    """A shape of only the members that travel in the body."""
    shape = service.shapes[name]
    if not has_message_locations(shape):
        return name
    body = f"{name}$body"
    if body not in service.shapes:
        service.shapes[body] = {"type": "structure", "members": body_members(shape)}
    return body


def compile_parse(op: OperationModel) -> Callable[[HttpRequest, dict[str, str]], Json]:
    path, protocol = _path_step(op), op.protocol
    steps = [step for step in (_query_step(op), _header_step(op), _body_step(op)) if step is not None]

    def parse(request: HttpRequest, uri_params: dict[str, str]) -> Json:
        out: Json = {}
        if path is not None:
            path(uri_params, out)
        try:
            for step in steps:
                step(request, out)
        except (ValueError, RecursionError) as e:  # Malformed, NotXml, UnicodeDecodeError
            raise parse_error(protocol, str(e)) from e
        return out

    return parse


# Writing


def _clean(text: str) -> str:
    """A header's value on one line."""
    return text.replace("\r", " ").replace("\n", " ") if "\n" in text or "\r" in text else text


def _header_writer(service: ServiceModel, ref: Json) -> Callable[[Any], str]:
    if ref.get("jsonvalue"):
        return lambda value: b64encode(json.encode(value)).decode()
    shape = service.shapes[ref["shape"]]
    if shape["type"] == "list":
        write = _header_writer(service, shape["member"])
        quotes = service.shapes[shape["member"]["shape"]]["type"] == "string"

        def quote(text: str) -> str:
            return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if "," in text or '"' in text else text

        return lambda value: ", ".join(quote(write(v)) if quotes else write(v) for v in value)
    if shape["type"] == "timestamp":
        return times.WRITERS[timestamp_format(service, ref, _HEADER_TIMES)]
    write_text = xml.scalar_text(service, ref, _HEADER_TIMES)
    return lambda value: _clean(write_text(value))


class _Output:
    """How the members of an operation's output leave: headers, status, payload, body."""

    def __init__(self, op: OperationModel) -> None:
        service = op.service
        shape = op.output_shape
        self.headers: dict[str, tuple[str, Callable[[Any], str]]] = {}
        self.prefixes: dict[str, str] = {}
        self.status: str | None = None
        for member, ref in shape.get("members", {}).items():
            location = ref.get("location")
            if location == "header":
                self.headers[member] = (ref.get("locationName", member), _header_writer(service, ref))
            elif location == "headers":
                self.prefixes[member] = ref.get("locationName", "")
            elif location == "statusCode":
                self.status = member
        self.located = frozenset((*self.headers, *self.prefixes, *([self.status] if self.status else [])))
        self.payload: str | None = shape.get("payload")
        self.body = body_members(shape)

    def head(self, result: Json, headers: list[tuple[str, str]]) -> None:
        for member, value in result.items():
            known = self.headers.get(member)
            if known is not None:
                headers.append((known[0], known[1](value)))
            elif member in self.prefixes:
                headers += [(self.prefixes[member] + k, _clean(xml.text_of(v))) for k, v in value.items()]


WriteBody = Callable[[Json], ResponseBody]


def _json_writer(op: OperationModel, output: _Output) -> tuple[WriteBody, str]:
    service = op.service
    if output.payload is not None:
        ref = op.output_shape["members"][output.payload]
        convert = json.writer(service, ref)
        payload = output.payload

        def write_payload(result: Json) -> ResponseBody:
            if payload not in result:
                return b""
            return json.encode(convert(result[payload]) if convert else result[payload])

        return write_payload, "application/json"
    if not output.body:
        return lambda result: b"{}", "application/json"
    assert op.output is not None
    body_convert = json.writer(service, {"shape": _body_shape(service, op.output["shape"])})
    located = output.located

    def write_body(result: Json) -> ResponseBody:
        if body_convert is not None:
            return json.encode(body_convert(result))
        if located:
            return json.encode({k: v for k, v in result.items() if k not in located})
        return json.encode(result)

    return write_body, "application/json"


def _xml_writer(op: OperationModel, output: _Output) -> tuple[WriteBody, str]:
    service = op.service
    names = xml.Names(service, "rest-xml")
    namespace = service.metadata.get("xmlNamespace")
    declaration = '<?xml version="1.0" encoding="UTF-8"?>\n'
    assert op.output is not None
    if output.payload is not None:
        payload = output.payload
        ref = op.output_shape["members"][payload]
        shape = service.shapes[ref["shape"]]
        root = ref.get("locationName") or shape.get("locationName") or ref["shape"]
        opening, closing = xml.tag_of(root, ref.get("xmlNamespace") or namespace)
        inner = xml.content_writer(names, ref["shape"])

        def write_payload(result: Json) -> ResponseBody:
            if payload not in result:
                return b""
            parts = [declaration, opening]
            inner(parts.append, result[payload])
            parts.append(closing)
            return "".join(parts).encode()

        return write_payload, "application/xml"
    if not output.body:
        return lambda result: b"", "application/xml"
    unwrapped = op.output.get("unwrapped")
    opening, closing = xml.tag_of(op.output.get("root") or op.output["shape"], namespace)
    write = xml.members_writer(names, output.body)

    def write_body(result: Json) -> ResponseBody:
        parts = [declaration, opening]
        if unwrapped:
            parts.append(xml.escape(str(result.get(unwrapped) or "")))
        else:
            write(parts.append, result)
        parts.append(closing)
        return "".join(parts).encode()

    return write_body, "application/xml"


def _plain_payload(payload: str) -> WriteBody:
    def write_plain(result: Json) -> ResponseBody:
        value: ResponseBody | str | bytearray = result.get(payload, b"")
        if isinstance(value, bytes | FileBody) or callable(value):
            return value
        return value.encode() if isinstance(value, str) else bytes(value)

    return write_plain


def _body_writer(op: OperationModel, output: _Output) -> tuple[WriteBody, str | None]:
    """The function that writes the body, and its content type unless a header says it."""
    if op.output is None:
        return lambda result: b"", None
    service = op.service
    if output.payload is not None:
        ref = op.output_shape["members"][output.payload]
        shape = service.shapes[ref["shape"]]
        if shape.get("eventstream"):
            encoder, payload = eventstream.EventEncoder(op, ref["shape"]), output.payload
            write = lambda result: eventstream.body_of(encoder, result.get(payload, ()), b"")  # noqa: E731
            return write, "application/vnd.amazon.eventstream"
        if shape["type"] in ("blob", "string"):
            kind = "binary/octet-stream" if op.protocol == "rest-xml" else "application/octet-stream"
            if shape["type"] == "string":
                kind = "text/plain"
            return _plain_payload(output.payload), kind
    write_document = _xml_writer if op.protocol == "rest-xml" else _json_writer
    return write_document(op, output)


def compile_serialize(op: OperationModel) -> Callable[[Json, str], HttpResponse]:
    output = _Output(op)
    write, content_type = _body_writer(op, output)
    status: int = op.http.get("responseCode", 200)
    service_name = op.service.name
    sets_type = any(name.lower() == "content-type" for name, _ in output.headers.values())
    status_member, heads = output.status, bool(output.headers or output.prefixes)
    empty = op.method == "HEAD"

    def serialize(result: Json, request_id: str) -> HttpResponse:
        headers = request_id_headers(service_name, request_id)
        code = status if status_member is None else result.get(status_member, status)
        if heads:
            output.head(result, headers)
        body = b"" if empty or code in (204, 304) else write(result)
        if body and not callable(body):  # its length is known; a stream's and HEAD's is what the operation says
            headers = [header for header in headers if header[0].lower() != "content-length"]
        if content_type and body and not (sets_type and any(name.lower() == "content-type" for name, _ in headers)):
            headers.append(("content-type", content_type))
        return HttpResponse(code, headers, body)

    return serialize
