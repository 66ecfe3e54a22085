"""The query protocols (query and ec2): `Action=...&Name.member.1=...` in, XML out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.wire import xml
from cumulet.wire.errors import Malformed, parse_error
from cumulet.wire.shapes import Convert, Json

if TYPE_CHECKING:
    from cumulet.wire.models import OperationModel

_VALUE = ""  # where a node keeps the text of a parameter that is also a prefix of others


def decode_form(raw: bytes | str) -> list[tuple[str, str]]:
    """The pairs of a form body or a query string."""
    pairs = []
    for part in (raw.encode() if isinstance(raw, str) else raw).split(b"&"):
        if part:
            key, _, value = part.partition(b"=")
            pairs.append((_unquoted(key), _unquoted(value)))
    return pairs


def _unquoted(raw: bytes) -> str:
    if b"+" in raw:
        raw = raw.replace(b"+", b" ")
    return (unquote_to_bytes(raw) if b"%" in raw else raw).decode("utf-8", "replace")


def tree_of(pairs: list[tuple[str, str]]) -> Json:
    """`{"A.1.B": "x"}` as `{"A": {"1": {"B": "x"}}}`."""
    root: Json = {}
    for key, value in pairs:
        if "." not in key:
            if isinstance(root.get(key), dict):
                root[key][_VALUE] = value
            else:
                root[key] = value
            continue
        node = root
        parts = key.split(".")
        for part in parts[:-1]:
            inner = node.get(part)
            if type(inner) is not dict:
                inner = node[part] = {} if inner is None else {_VALUE: inner}
            node = inner
        last = parts[-1]
        if type(node.get(last)) is dict:
            node[last][_VALUE] = value
        else:
            node[last] = value
    return root


class _Names(xml.Names):
    """Names of input members: ec2 capitalizes, and flattens every list."""

    def of(self, ref: Json, default: str) -> str:
        if self.protocol == "ec2":
            if "queryName" in ref:
                return str(ref["queryName"])
            name = str(ref.get("locationName", default))
            return name[:1].upper() + name[1:] if "locationName" in ref else name
        return super().of(ref, default)

    def flattened(self, ref: Json) -> bool:
        if self.protocol == "ec2" and self.service.shapes[ref["shape"]]["type"] == "list":
            return True
        return super().flattened(ref)

    def member(self, ref: Json, member: str) -> str:
        return self.of(ref, member) if self.protocol == "ec2" else super().member(ref, member)


def reader(names: _Names, ref: Json) -> Convert:
    """Tree node (text or dict) to value."""
    service = names.service
    kind = service.shapes[ref["shape"]]["type"]
    if kind in ("structure", "list", "map"):
        key = (f"{names.protocol}-read-{names.flattened(ref)}", ref["shape"])
        return service.cached(key, lambda: _build_reader(names, ref))
    read = xml.scalar_reader(kind)

    def read_scalar(node: Any) -> Any:
        text = node if type(node) is str else node.get(_VALUE)
        if type(text) is not str:
            raise Malformed("Start of structure or map found where not expected.")
        return read(text)

    return read_scalar


def _build_reader(names: _Names, ref: Json) -> Convert:
    shape = names.service.shapes[ref["shape"]]
    if shape["type"] == "structure":
        return _structure_reader(names, shape)
    if shape["type"] == "list":
        return _list_reader(names, ref)
    return _map_reader(names, ref)


def _structure_reader(names: _Names, shape: Json) -> Convert:
    members = {names.member(r, m): (m, reader(names, r)) for m, r in shape.get("members", {}).items()}
    find = members.get

    def read_structure(node: Any) -> Json:
        if type(node) is not dict:
            if node == "":
                return {}
            raise Malformed("Unexpected value where a structure was expected")
        out: Json = {}
        for key, item in node.items():
            known = find(key)
            if known is not None:
                out[known[0]] = known[1](item)
        return out

    return read_structure


def _numbered(node: Any) -> list[Any]:
    """The children `1`, `2`, ... of a node, in the order of their numbers."""
    if type(node) is not dict:
        if node == "":
            return []
        raise Malformed("Unexpected value where a list or map was expected")
    try:
        order = sorted((int(key), item) for key, item in node.items() if key != _VALUE)
    except TypeError:
        raise Malformed("A list gives one index twice") from None
    except ValueError:
        raise Malformed("Unexpected list element: its index is no number") from None
    return [item for _, item in order]


def _list_reader(names: _Names, ref: Json) -> Convert:
    member = names.service.shapes[ref["shape"]]["member"]
    read = reader(names, member)
    if names.flattened(ref):
        alone = names.protocol == "query"  # `AttributeName=All`, as old SDKs write a list of one

        def read_flat(node: Any) -> list[Any]:
            return [read(node)] if alone and node and type(node) is str else [read(item) for item in _numbered(node)]

        return read_flat
    element = names.of(member, "member")

    def read_list(node: Any) -> list[Any]:
        if type(node) is dict:
            inner = node.get(element, node.get("member"))
            node = inner if inner is not None else node
        return [read(item) for item in _numbered(node)]

    return read_list


def _map_reader(names: _Names, ref: Json) -> Convert:
    shape = names.service.shapes[ref["shape"]]
    key_name, value_name = names.of(shape["key"], "key"), names.of(shape["value"], "value")
    read = reader(names, shape["value"])
    flat = names.flattened(ref)

    def read_map(node: Any) -> Json:
        if not flat and type(node) is dict:
            node = node.get("entry", node)
        elif type(node) is dict and key_name in node:  # a single entry without its number
            node = {"1": node}
        out: Json = {}
        for entry in _numbered(node):
            if type(entry) is not dict or type(entry.get(key_name)) is not str:
                raise Malformed(f"A map's entry needs {key_name} and {value_name}")
            if value_name in entry:
                out[entry[key_name]] = read(entry[value_name])
        return out

    return read_map


def compile_parse(op: OperationModel, protocol: str) -> Callable[[HttpRequest, dict[str, str]], Json]:
    read = reader(_Names(op.service, protocol), op.input) if op.input else None
    from_path = op.service.metadata.get("queryPathMember")
    members = op.input_shape.get("members", {})
    path_member: str | None = from_path if from_path in members else None

    def parse(request: HttpRequest, uri_params: dict[str, str]) -> Json:
        if read is None:
            return {}
        raw = request.body if type(request.body) is bytes else request.read_body()
        try:
            pairs = decode_form(raw) if raw else []
            if request.query:
                pairs += decode_form(request.query)
            result: Json = read(tree_of(pairs))
        except (ValueError, RecursionError) as e:
            raise parse_error(protocol, str(e)) from e
        if path_member is not None and path_member not in result and request.path.strip("/"):
            result[path_member] = f"{request.scheme}://{request.headers.get('host', 'localhost')}{request.path}"
        return result

    return parse


def compile_serialize(op: OperationModel, protocol: str) -> Callable[[Json, str], HttpResponse]:
    namespace = op.service.metadata.get("xmlNamespace")
    if protocol == "ec2":
        namespace = namespace or "http://ec2.amazonaws.com/doc/2016-11-15/"
    opening, closing = xml.tag_of(f"{op.name}Response", namespace)
    names = xml.Names(op.service, protocol)
    write = xml.content_writer(names, op.output["shape"]) if op.output else None
    wrapper = op.output.get("resultWrapper") if op.output else None
    inner_open, inner_close = xml.tag_of(wrapper) if wrapper else ("", "")
    start = f'<?xml version="1.0"?>\n{opening}{inner_open}'
    if protocol == "ec2":
        id_open, id_close, header = "<requestId>", "</requestId>", "text/xml;charset=UTF-8"
    else:
        id_open, id_close = "<ResponseMetadata><RequestId>", "</RequestId></ResponseMetadata>"
        header = "text/xml"

    def serialize(result: Json, request_id: str) -> HttpResponse:
        parts = [start]
        if write is not None:
            write(parts.append, result)
        parts.append(f"{inner_close}{id_open}{request_id}{id_close}{closing}")
        headers = [("x-amzn-requestid", request_id), ("content-type", header)]
        return HttpResponse(200, headers, "".join(parts).encode())

    return serialize
