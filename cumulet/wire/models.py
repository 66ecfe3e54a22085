"""Service models loaded on demand, and the parse, check, serialize and error functions compiled from them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from cumulet.aws.errors import AwsError
from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.wire import cbor, compressed, errors, json, query, rest, validate, xml
from cumulet.wire.shapes import Json

FOLDER = Path(__file__).resolve().parent / "models"
Parse = Callable[[HttpRequest, dict[str, str]], Json]
Serialize = Callable[[Json, str], HttpResponse]
T = TypeVar("T", bound=Callable[..., Any])


def _load(name: str) -> Any:
    path = FOLDER / f"{name}.json"
    raw = path.read_bytes() if path.exists() else gzip.decompress(path.with_name(f"{name}.json.gz").read_bytes())
    return msgspec.json.decode(raw)


class Models:
    """The models of all services: an index at once, each service when it is first asked for."""

    def __init__(self) -> None:
        self.index: dict[str, Json] = _load("index")
        self._services: dict[str, ServiceModel] = {}
        self._classes: dict[str, str] = {}

    def names(self, service: str) -> dict[str, str]:
        """Snake-case name -> operation name. Raises: KeyError."""
        names: dict[str, str] = self.index[service]["names"]
        return names

    def service(self, name: str) -> ServiceModel:
        """Raises: KeyError for a service that has no model."""
        found = self._services.get(name)
        if found is None:
            if name not in self.index:
                raise KeyError(name)
            found = self._services[name] = ServiceModel(name, _load(name), self)
        return found

    def unicode_classes(self) -> dict[str, str]:
        """Character ranges of the Unicode categories, for patterns."""
        if not self._classes:
            self._classes = _load("unicode")
        return self._classes


class ServiceModel:
    """One service's model: metadata, shapes, operations, and everything compiled from them."""

    def __init__(self, name: str, data: Json, models: Models) -> None:
        self.name = name
        self.models = models
        self.metadata: Json = data["metadata"]
        self.shapes: dict[str, Json] = data["shapes"]
        self.protocol: str = self.metadata["protocol"]
        self.json_version: str = self.metadata.get("jsonVersion", "1.0")
        self.compiled: dict[tuple[str, str], Any] = {}
        self._specs: dict[str, Json] = data["operations"]
        self._operations: dict[str, OperationModel] = {}
        self._error_shapes: dict[str, errors.ErrorShape] = {}
        self.error_shapes = {n: n for n, s in self.shapes.items() if s.get("exception")}
        for shape, code in self.metadata.get("queryErrors", {}).items():
            self.error_shapes.setdefault(code, shape)
        for shape, spec in self.shapes.items():
            if "code" in spec.get("error", {}):
                self.error_shapes.setdefault(spec["error"]["code"], shape)

    def operation(self, name: str) -> OperationModel:
        """Raises: KeyError for an operation that the model does not have."""
        found = self._operations.get(name)
        if found is None:
            found = self._operations[name] = OperationModel(self, name, self._specs[name])
        return found

    def operation_names(self) -> list[str]:
        return list(self._specs)

    def cached(self, key: tuple[str, str], build: Callable[[], T]) -> T:
        """What `build` makes, once per key; while it is being built a recursive shape gets a forwarder to it."""
        found: T | None = self.compiled.get(key)
        if found is None:
            cell: list[Any] = []

            def forward(*args: Any) -> Any:
                return cell[0](*args)

            self.compiled[key] = forward
            try:
                found = build()
            except BaseException:
                del self.compiled[key]
                raise
            cell.append(found)
            self.compiled[key] = found
        return found

    def error_shape(self, code: str) -> errors.ErrorShape:
        found = self._error_shapes.get(code)
        if found is None:
            found = errors.ErrorShape(self, code)
            if code in self.error_shapes:  # codes are ours to bound, not a client's
                self._error_shapes[code] = found
        return found

    def write_json_members(self, shape: str, members: Any) -> Json:
        """Members of a structure as a JSON document's; those that the shape does not have stay as they are."""
        if not members:
            return {}
        if shape not in self.shapes:
            return dict(members)
        convert = json.writer(self, {"shape": shape})
        known: Json = convert(dict(members)) if convert else dict(members)
        return {**{k: v for k, v in members.items() if k not in self.shapes[shape].get("members", {})}, **known}

    def write_cbor_members(self, shape: str, members: Any) -> Json:
        if not members:
            return {}
        convert = cbor.writer(self, {"shape": shape}) if shape in self.shapes else None
        known: Json = convert(dict(members)) if convert else dict(members)
        return known

    def write_xml_members(self, shape: str, members: Any) -> str:
        """Members of an error as elements."""
        if not members:
            return ""
        parts: list[str] = []
        known = self.shapes.get(shape, {}).get("members", {})
        names = xml.Names(self, self.protocol if self.protocol == "rest-xml" else "query")
        for member, value in members.items():
            if member in known:
                ref = known[member]
                xml.writer(names, ref, names.member(ref, member))(parts.append, value)
            else:
                parts.append(f"<{member}>{xml.escape(xml.text_of(value))}</{member}>")
        return "".join(parts)


class OperationModel:
    """One operation: functions compiled on first use, per protocol."""

    def __init__(self, service: ServiceModel, name: str, spec: Json) -> None:
        self.service = service
        self.name = name
        self.spec = spec
        self.http: Json = spec["http"]
        self.method: str = self.http["method"]
        self.protocol = service.protocol
        self.input: Json | None = spec.get("input")
        self.output: Json | None = spec.get("output")
        self.input_shape: Json = service.shapes[self.input["shape"]] if self.input else {}
        self.output_shape: Json = service.shapes[self.output["shape"]] if self.output else {}
        self._parsers: dict[str | None, Parse] = {}
        self._serializers: dict[str | None, Serialize] = {}
        self._check: Callable[[Json], None] | None = None

    def parse(
        self, request: HttpRequest, protocol: str | None = None, uri_params: dict[str, str] | None = None
    ) -> Json:
        """The operation's request out of an HTTP request. Raises: AwsError, in the protocol's words."""
        parser = self._parsers.get(protocol) or self._compile_parser(protocol)
        if "content-encoding" in request.headers:
            request = self._uncompressed(request, protocol)
        return parser(request, uri_params or {})

    def _uncompressed(self, request: HttpRequest, protocol: str | None) -> HttpRequest:
        """The request with a plain body. For REST protocols the encoding is the payload's (S3), not the request's."""
        wanted = protocol or self.protocol
        if wanted.startswith("rest") or not compressed.is_compressed(request):
            return request
        try:
            return compressed.plain(request)
        except errors.Malformed as error:
            raise errors.parse_error(wanted, str(error)) from error

    def check(self, req: Json) -> None:
        """Hold a request against the model's constraints. Raises: AwsError, in the service's words."""
        check = self._check
        if check is None:
            check = self._check = validate.compile_check(self)
        check(req)

    def serialize(self, result: Json, request_id: str, protocol: str | None = None) -> HttpResponse:
        """The HTTP response of the operation's result."""
        write = self._serializers.get(protocol) or self._compile_serializer(protocol)
        return write(result, request_id)

    def error(
        self, err: AwsError, request_id: str, protocol: str | None = None, request: HttpRequest | None = None
    ) -> HttpResponse:
        """The HTTP response of an error; with `request` it names the resource (S3), heeds x-amzn-query-mode (SQS)."""
        return errors.WRITERS[protocol or self.protocol](self.service, err, request_id, request)

    def _compile_parser(self, protocol: str | None) -> Parse:
        wanted = protocol or self.protocol
        if wanted == "json":
            parser = json.compile_parse(self)
        elif wanted in ("query", "ec2"):
            parser = query.compile_parse(self, wanted)
        elif wanted == "smithy-rpc-v2-cbor":
            parser = cbor.compile_parse(self)
        else:
            parser = rest.compile_parse(self)
        self._parsers[protocol] = parser
        return parser

    def _compile_serializer(self, protocol: str | None) -> Serialize:
        wanted = protocol or self.protocol
        if wanted == "json":
            write = json.compile_serialize(self)
        elif wanted in ("query", "ec2"):
            write = query.compile_serialize(self, wanted)
        elif wanted == "smithy-rpc-v2-cbor":
            write = cbor.compile_serialize(self)
        else:
            write = rest.compile_serialize(self)
        self._serializers[protocol] = write
        return write
