"""XML in and out: bodies of rest-xml, answers of query and ec2. One reader and one writer closure per shape."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from math import isnan
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from cumulet.wire import times
from cumulet.wire.shapes import Convert, Json, body_members, timestamp_format

if TYPE_CHECKING:
    from cumulet.wire.models import ServiceModel

Append = Callable[[str], None]
Write = Callable[[Append, Any], None]
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_special = re.compile('[&<>"\r\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]').search
_REPLACEMENTS = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
_TABLE = str.maketrans(
    _REPLACEMENTS | {chr(c): f"&#x{c:x};" for c in (*range(9), 11, 12, *range(13, 32), 0xFFFE, 0xFFFF)}
)


class NotXml(ValueError):
    """A body that is no XML, or whose text does not fit its type."""


def escape(text: str) -> str:
    """`text` for an element or an attribute; what XML cannot hold becomes a character reference, as S3 answers it."""
    return text.translate(_TABLE) if _special(text) else text


def text_of(value: Any) -> str:
    """A scalar without a model: what error members without a shape are written as."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _float_text(value: float) -> str:
    if isnan(value):
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(float(value))


def scalar_text(service: ServiceModel, ref: Json, time_format: str) -> Callable[[Any], str]:
    """The text of a scalar, unescaped where it needs no escaping."""
    kind = service.shapes[ref["shape"]]["type"]
    if kind == "timestamp":
        return times.WRITERS[timestamp_format(service, ref, time_format)]
    if kind == "boolean":
        return lambda value: "true" if value else "false"
    if kind == "blob":
        return lambda value: b64encode(value).decode()
    if kind in ("float", "double"):
        return _float_text
    if kind in ("integer", "long"):
        return str
    return lambda value: value if type(value) is str else text_of(value)


class Names:
    """How a protocol names members, and whether lists are flattened: rest-xml, query and ec2 differ only here."""

    def __init__(self, service: ServiceModel, protocol: str) -> None:
        self.service = service
        self.protocol = protocol
        self.query = protocol == "query"

    def of(self, ref: Json, default: str) -> str:
        name: str = (self.query and ref.get("queryLocationName")) or ref.get("locationName", default)
        return name

    def flattened(self, ref: Json) -> bool:
        shape = self.service.shapes[ref["shape"]]
        return bool(ref.get("flattened") or shape.get("flattened"))

    def member(self, ref: Json, member: str) -> str:
        """A structure member's element name: a flattened list is named by its elements."""
        shape = self.service.shapes[ref["shape"]]
        if shape["type"] == "list" and self.flattened(ref):
            element = self.of(shape["member"], "")
            if element:
                return element
        return self.of(ref, member)


# Reading


def parse_document(raw: bytes) -> ElementTree.Element:
    """Raises: NotXml."""
    try:
        return ElementTree.fromstring(raw)
    except (ElementTree.ParseError, ValueError, LookupError) as e:
        raise NotXml(str(e)) from e


def local_name(tag: str) -> str:
    return tag.rpartition("}")[2]


def _read_bool(text: str) -> bool:
    word = text.strip().lower()
    if word not in ("true", "false"):
        raise NotXml(f"not a boolean: {text!r}")
    return word == "true"


def _read_blob(text: str) -> bytes:
    try:
        return b64decode(text)
    except (binascii.Error, ValueError) as e:
        raise NotXml("not base64") from e


def _read_int(text: str) -> int:
    try:
        if len(text) <= 40 and "_" not in text:
            return int(text)
    except ValueError:
        pass
    raise NotXml(f"not an integer: {text[:40]!r}")


def _read_float(text: str) -> float:
    try:
        if "_" not in text:
            return float(text)
    except ValueError:
        pass
    raise NotXml(f"not a number: {text[:40]!r}")


_SCALARS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "character": str,
    "integer": _read_int,
    "long": _read_int,
    "float": _read_float,
    "double": _read_float,
    "boolean": _read_bool,
    "timestamp": times.parse_text,
    "blob": _read_blob,
}


def scalar_reader(kind: str) -> Callable[[str], Any]:
    """Text to value. The result raises ValueError (NotXml is one) for text that does not fit."""
    return _SCALARS[kind]


def reader(names: Names, ref: Json) -> Convert:
    """Element to value."""
    service = names.service
    kind = service.shapes[ref["shape"]]["type"]
    if kind in _SCALARS:
        read = _SCALARS[kind]
        if kind == "string":
            return lambda element: element.text or ""
        return lambda element: read(element.text or "")
    key = (f"xml-read-{names.protocol}-{names.flattened(ref)}", ref["shape"])
    return service.cached(key, lambda: _build_reader(names, ref))


def _build_reader(names: Names, ref: Json) -> Convert:
    shape = names.service.shapes[ref["shape"]]
    if shape["type"] == "structure":
        return _structure_reader(names, body_members(shape))
    if shape["type"] == "list":
        read = reader(names, shape["member"])
        return lambda element: [read(child) for child in element]
    read_entry = entry_reader(names, shape)
    return lambda element: dict(read_entry(child) for child in element)


def entry_reader(names: Names, shape: Json) -> Callable[[Any], tuple[str, Any]]:
    key_name, value_name = names.of(shape["key"], "key"), names.of(shape["value"], "value")
    read_value = reader(names, shape["value"])

    def read_entry(element: Any) -> tuple[str, Any]:
        found = {local_name(child.tag): child for child in element}
        if key_name not in found or value_name not in found:
            raise NotXml(f"a map's entry needs {key_name} and {value_name}")
        return found[key_name].text or "", read_value(found[value_name])

    return read_entry


def _structure_reader(names: Names, members: dict[str, Json]) -> Convert:
    known: dict[str, tuple[str, str, Convert]] = {}
    attributes: dict[str, str] = {}
    for member, ref in members.items():
        shape = names.service.shapes[ref["shape"]]
        if ref.get("xmlAttribute"):
            attributes[names.of(ref, member).rpartition(":")[2]] = member
        elif shape["type"] == "list" and names.flattened(ref):
            known[names.member(ref, member)] = (member, "list", reader(names, shape["member"]))
        elif shape["type"] == "map" and names.flattened(ref):
            known[names.of(ref, member)] = (member, "map", entry_reader(names, shape))
        else:
            known[names.of(ref, member)] = (member, "", reader(names, ref))

    def read_structure(element: Any) -> Json:
        out: Json = {}
        for child in element:
            found = known.get(local_name(child.tag))
            if found is None:
                continue
            member, how, read = found
            if not how:
                out[member] = read(child)
            elif how == "list":
                out.setdefault(member, []).append(read(child))
            else:
                key, value = read(child)
                out.setdefault(member, {})[key] = value
        for name, value in element.attrib.items() if attributes else ():
            if local_name(name) in attributes:
                out[attributes[local_name(name)]] = value
        return out

    return read_structure


# Writing


def tag_of(name: str, namespace: Json | str | None = None) -> tuple[str, str]:
    """Opening and closing tag."""
    if not namespace:
        return f"<{name}>", f"</{name}>"
    if isinstance(namespace, str):
        namespace = {"uri": namespace}
    prefix = f":{namespace['prefix']}" if namespace.get("prefix") else ""
    return f'<{name} xmlns{prefix}="{namespace["uri"]}">', f"</{name}>"


def writer(names: Names, ref: Json, name: str) -> Write:
    """Writes a value as element(s) called `name`."""
    service = names.service
    shape = service.shapes[ref["shape"]]
    kind = shape["type"]
    opening, closing = tag_of(name, ref.get("xmlNamespace"))
    if kind == "structure":
        attribute = next((m for m, r in shape["members"].items() if r.get("xmlAttribute")), None)
        if attribute is not None:
            return _attributed_writer(names, ref, name, attribute)
        inner = content_writer(names, ref["shape"])

        def write_structure(append: Append, value: Any) -> None:
            append(opening)
            inner(append, value)
            append(closing)

        return write_structure
    if kind == "list":
        return _list_writer(names, ref, name)
    if kind == "map":
        return _map_writer(names, ref, name)
    if kind == "string":

        def write_string(append: Append, value: Any) -> None:
            text = value if type(value) is str else text_of(value)
            append(f"{opening}{text.translate(_TABLE) if _special(text) else text}{closing}")

        return write_string
    if kind in ("integer", "long"):
        return lambda append, value: append(f"{opening}{value}{closing}")
    text_of_value = scalar_text(service, ref, "iso8601")
    return lambda append, value: append(f"{opening}{text_of_value(value)}{closing}")


def _list_writer(names: Names, ref: Json, name: str) -> Write:
    member = names.service.shapes[ref["shape"]]["member"]
    if names.flattened(ref):
        write = _later(names, member, name)

        def write_flat(append: Append, value: Any) -> None:
            for item in value:
                write(append, item)

        return write_flat
    write = _later(names, member, names.of(member, "item" if names.protocol == "ec2" else "member"))
    opening, closing = tag_of(name, ref.get("xmlNamespace"))

    def write_list(append: Append, value: Any) -> None:
        append(opening)
        for item in value:
            write(append, item)
        append(closing)

    return write_list


def _map_writer(names: Names, ref: Json, name: str) -> Write:
    shape = names.service.shapes[ref["shape"]]
    key_open, key_close = tag_of(names.of(shape["key"], "key"))
    write = _later(names, shape["value"], names.of(shape["value"], "value"))
    flat = names.flattened(ref)
    opening, closing = ("", "") if flat else tag_of(name, ref.get("xmlNamespace"))
    entry_open, entry_close = tag_of(name if flat else "entry")

    def write_map(append: Append, value: Any) -> None:
        append(opening)
        for key, item in value.items():
            append(f"{entry_open}{key_open}{escape(key)}{key_close}")
            write(append, item)
            append(entry_close)
        append(closing)

    return write_map


def _later(names: Names, ref: Json, name: str) -> Write:
    """A writer that a recursive shape may reach again: built once per shape and element name."""
    return names.service.cached((f"xml-write-{names.protocol}-{name}", ref["shape"]), lambda: writer(names, ref, name))


def _attributed_writer(names: Names, ref: Json, name: str, attribute: str) -> Write:
    shape = names.service.shapes[ref["shape"]]
    label = shape["members"][attribute].get("locationName", attribute)
    namespace = ref.get("xmlNamespace") or shape.get("xmlNamespace") or {}
    uri = namespace.get("uri", _XSI)
    declared = f'xmlns:{label.partition(":")[0]}="{uri}"'
    rest = {m: r for m, r in shape["members"].items() if m != attribute}
    inner = members_writer(names, rest)

    def write_attributed(append: Append, value: Any) -> None:
        append(f'<{name} {declared} {label}="{escape(str(value.get(attribute, "")))}">')
        inner(append, value)
        append(f"</{name}>")

    return write_attributed


def content_writer(names: Names, shape_name: str) -> Write:
    """Writes a structure's members, without an element around them."""
    members = body_members(names.service.shapes[shape_name])
    return names.service.cached((f"xml-content-{names.protocol}", shape_name), lambda: members_writer(names, members))


def members_writer(names: Names, members: dict[str, Json]) -> Write:
    find = {m: writer(names, r, names.member(r, m)) for m, r in members.items()}.get

    def write_members(append: Append, value: Any) -> None:
        for member, item in value.items():
            write = find(member)
            if write is not None:
                write(append, item)

    return write_members
