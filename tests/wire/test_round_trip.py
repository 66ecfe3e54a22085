"""Every operation of every model: requests that botocore writes are read, results that are written botocore reads."""

from __future__ import annotations

import asyncio
import io
import random
from datetime import UTC, datetime
from functools import cache
from typing import Any

import botocore.model
import botocore.parsers
import botocore.serialize
import pytest
from botocore.awsrequest import HeadersDict, create_request_object, prepare_request_dict
from botocore.loaders import Loader

from cumulet import wire
from cumulet.aws.errors import AwsError
from cumulet.aws.http import HttpRequest, HttpResponse

MODELS = wire.Models()
ROUTER = wire.Router(MODELS)
SERVICES = sorted(MODELS.index)
PROTOCOLS = [(s, p) for s in SERVICES for p in MODELS.index[s]["protocols"]]
NO_BOTOCORE_ROUTE = {("s3", "ListDirectoryBuckets")}  # told from ListBuckets by its endpoint alone
DEPRECATED_TWINS = {  # the same method and path as their successors
    ("s3", name)
    for name in (
        "GetBucketLifecycle",
        "PutBucketLifecycle",
        "GetBucketNotification",
        "PutBucketNotification",
    )
}
TEXTS = ("a", 'x&y <z> "q"', "é→\U0001f600", "a b+c%2F/d=e", "0", "null", "true", "line\nline")
PLAIN = ("a", "b-c", "d.e", "f_g", "1")
DEPTH = 5
NESTED = ("structure", "list", "map")


class Samples:
    """Values for shapes. `mode`: minimal (required members only), full (all), random (some)."""

    def __init__(self, mode: str, seed: str, plain: bool = False) -> None:
        self.mode = mode
        self.random = random.Random(seed)
        self.plain = plain

    def structure(self, shape: Any, depth: int = 0, skip: frozenset[str] = frozenset()) -> dict[str, Any]:
        out = {}
        members = [m for m in shape.members if m not in skip]
        if getattr(shape, "is_tagged_union", False):
            members = [self.random.choice(members)]
        for name in members:
            member = shape.members[name]
            required = name in shape.required_members or getattr(shape, "is_tagged_union", False)
            if not required and (self.mode == "minimal" or depth >= DEPTH):
                continue
            if not required and self.mode == "random" and self.random.random() < 0.5:
                continue
            out[name] = self.value(member, depth + 1, located="location" in member.serialization)
        if not out and depth and members:  # an empty structure looks like an absent one in XML and query forms
            name = next((m for m in members if shape.members[m].type_name not in NESTED), None)
            if name is not None:
                out[name] = self.value(shape.members[name], depth + 1)
        return out

    def value(self, shape: Any, depth: int, located: bool = False) -> Any:
        kind = shape.type_name
        if kind == "structure":
            if shape.is_document_type:
                return {"any": ["document", 1, {"x": True}]}
            return self.structure(shape, depth)
        if kind == "list":
            size = max(1, shape.metadata.get("min", 1)) if depth < DEPTH else shape.metadata.get("min", 0)
            size = min(size + self.random.randint(0, 1), shape.metadata.get("max", 99)) if depth < DEPTH else size
            return [self.value(shape.member, depth + 1, located) for _ in range(size)]
        if kind == "map":
            size = shape.metadata.get("min", 1) if depth < DEPTH else 0
            return {self.key(shape.key, i): self.value(shape.value, depth + 1, located) for i in range(max(size, 1))}
        return self.scalar(shape, located)

    def key(self, shape: Any, i: int) -> str:
        if shape.enum:
            return str(shape.enum[i % len(shape.enum)])
        return self.fit(f"k{i}", shape)

    def fit(self, text: str, shape: Any) -> str:
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 1 << 30)
        return (text + "a" * max(0, low - len(text)))[: max(high, 1)]

    def scalar(self, shape: Any, located: bool) -> Any:
        kind = shape.type_name
        if kind in ("string", "character"):
            if shape.enum:
                return self.random.choice(shape.enum)
            return self.fit(self.random.choice(PLAIN if located or self.plain else TEXTS), shape)
        if kind == "boolean":
            return self.random.random() < 0.5
        if kind == "timestamp":
            return datetime.fromtimestamp(self.random.randint(10**9, 2 * 10**9), UTC)
        if kind == "blob":
            size = max(shape.metadata.get("min", 0), 3)
            return bytes(self.random.choices(range(256), k=size))
        low = int(shape.metadata.get("min", 0))
        high = int(shape.metadata.get("max", low + 1000))
        number = self.random.randint(low, max(low, high))
        return number if kind in ("integer", "long") else float(number) + (0.5 if number + 1 < high else 0.0)


@cache
def botocore_model(service: str, protocol: str) -> botocore.model.ServiceModel:
    data = Loader().load_service_model(service, "service-2")
    if (service, protocol) == ("sqs", "query"):
        data = query_form_of(service)
    elif service.startswith("dynamodb"):
        members = data["shapes"]["AttributeValue"]["members"]
        members["B"] = {"shape": members["S"]["shape"]}
        members["BS"] = {"shape": members["SS"]["shape"]}
    return botocore.model.ServiceModel({**data, "metadata": {**data["metadata"], "protocol": protocol}}, service)


def query_form_of(service: str) -> dict[str, Any]:
    """Our patched model in botocore's terms: the query form's names in place of the JSON ones."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            out = {k: walk(v) for k, v in value.items()}
            if "queryLocationName" in out:
                out["locationName"] = out.pop("queryLocationName")
            return out
        return [walk(v) for v in value] if isinstance(value, list) else value

    model = MODELS.service(service)
    operations = {
        name: {"name": name, **{k: v for k, v in model.operation(name).spec.items() if k != "errors"}}
        for name in model.operation_names()
    }
    return {"metadata": model.metadata, "shapes": walk(model.shapes), "operations": walk(operations)}


def epochs(value: Any) -> Any:
    """Datetimes as epoch seconds, bodies read."""
    if isinstance(value, datetime):
        return value.timestamp()
    if hasattr(value, "read"):
        return value.read()
    if isinstance(value, dict):
        return {k: epochs(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [epochs(v) for v in value]
    return value


def pruned(value: Any) -> Any:
    """Without empty lists, maps and structures, which the XML and query forms cannot tell from absent ones."""
    if isinstance(value, dict):
        inner = {k: pruned(v) for k, v in value.items()}
        return {k: v for k, v in inner.items() if v not in ({}, [])}
    return [p for p in map(pruned, value) if p not in ({}, [])] if isinstance(value, list) else value


def http_request(service: str, protocol: str, model: Any, operation: Any, params: dict[str, Any]) -> HttpRequest:
    """What a client sends."""
    serializer = botocore.serialize.create_serializer(protocol, include_validation=False)
    raw = serializer.serialize_to_request(params, operation)
    prepare_request_dict(raw, "http://localhost:4566", context={})
    prepared = create_request_object(raw).prepare()
    path, _, query = prepared.url.partition("://")[2].partition("?")
    headers = {}
    for key, value in prepared.headers.items():
        text = value.decode() if isinstance(value, bytes) else str(value)
        headers[key.lower()] = f"{headers[key.lower()]}, {text}" if key.lower() in headers else text
    signing = MODELS.index[service]["signingName"]
    scope = f"AKID/20260101/us-east-1/{signing}/aws4_request"
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    headers["host"] = "localhost:4566"
    body = prepared.body or b""
    return HttpRequest(
        prepared.method, "/" + path.partition("/")[2], query, headers, body.encode() if isinstance(body, str) else body
    )


def without_empty_payload(shape: Any, found: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """Nobody can tell an absent payload from an empty one, and every client sends a Content-Length."""
    payload = shape.serialization.get("payload") if shape is not None else None
    out = {k: v for k, v in found.items() if not (k == payload and k not in expected and v in (b"", "", {}))}
    if "ContentLength" not in expected:
        out.pop("ContentLength", None)
    return out


def lower_header_maps(shape: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Header maps come with lower-case names."""
    out = dict(params)
    for name, member in shape.members.items():
        if member.serialization.get("location") == "headers" and name in out:
            out[name] = {k.lower(): v for k, v in out[name].items()}
    return out


def variants(service: str, name: str) -> list[tuple[str, str]]:
    few = [("minimal", f"{service}.{name}"), ("full", f"{service}.{name}"), ("random", f"{service}.{name}.1")]
    return few[:2] if service == "ec2" else few


@pytest.mark.parametrize(("service", "protocol"), PROTOCOLS)
def test_what_botocore_sends_is_read(service: str, protocol: str) -> None:
    model = botocore_model(service, protocol)
    loose = protocol in ("query", "ec2", "rest-xml")
    for name in MODELS.index[service]["names"].values():
        if (service, name) in NO_BOTOCORE_ROUTE | DEPRECATED_TWINS:
            continue
        operation = model.operation_model(name)
        shape = operation.input_shape
        for mode, seed in variants(service, name):
            params = Samples(mode, seed).structure(shape) if shape is not None else {}
            request = http_request(service, protocol, model, operation, params)
            match = ROUTER.route(request)
            assert (match.service, match.operation, match.protocol) == (service, name, protocol), request.path
            ours = MODELS.service(service).operation(name)
            found = ours.parse(request, match.protocol, match.uri_params)
            expected = epochs(lower_header_maps(shape, params)) if shape is not None else {}
            found = without_empty_payload(shape, found, expected)
            left, right = (pruned(found), pruned(expected)) if loose else (found, expected)
            assert left == right, (name, mode)
            accept(ours, expected, (name, mode))


def accept(operation: wire.OperationModel, request: dict[str, Any], what: object) -> None:
    """Check the request; only patterns may complain, for samples do not follow them."""
    try:
        operation.check(request)
    except AwsError as e:
        complaints = e.message.partition(": ")[2].split("; Value")
        assert all("regular expression" in text for text in complaints), (what, e.message)


class NotBytes:
    """botocore decodes a payload that is not a stream as text, even where the model says blob."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def read(self) -> bytes:
        return self.body


def payload_kind(shape: Any) -> str | None:
    payload = shape.serialization.get("payload") if shape is not None else None
    return shape.members[payload].type_name if payload else None


async def collect(body: Any) -> bytes:
    return b"".join([part async for part in body()])


def botocore_reads(model: Any, protocol: str, operation: Any, response: HttpResponse) -> dict[str, Any]:
    shape = operation.output_shape
    body = response.body if isinstance(response.body, bytes) else asyncio.run(collect(response.body))
    headers = HeadersDict(response.headers)
    raw: dict[str, Any] = {"status_code": response.status, "headers": headers, "body": body}
    raw["context"] = {"operation_name": operation.name}
    if operation.has_streaming_output:
        raw["body"] = io.BytesIO(body)
    elif payload_kind(shape) == "blob":
        raw["body"] = NotBytes(body)
    parsed = botocore.parsers.create_parser(protocol).parse(raw, shape)
    assert parsed.pop("ResponseMetadata")["HTTPStatusCode"] == response.status
    return dict(parsed)


@pytest.mark.parametrize(("service", "protocol"), PROTOCOLS)
def test_what_is_answered_botocore_reads(service: str, protocol: str) -> None:
    model = botocore_model(service, protocol)
    loose = protocol in ("query", "ec2", "rest-xml")
    for name in MODELS.index[service]["names"].values():
        operation = model.operation_model(name)
        shape = operation.output_shape
        if shape is not None and operation.has_event_stream_output:
            continue
        if (service, name) in DEPRECATED_TWINS | {
            ("s3", "GetBucketLocation")
        }:  # its root is its value; test_rest.py looks at it
            continue
        for mode, seed in variants(service, name):
            result = Samples(mode, "out" + seed).structure(shape) if shape is not None else {}
            status = (
                next((m for m, s in shape.members.items() if s.serialization.get("location") == "statusCode"), None)
                if shape is not None
                else None
            )
            if status in result:
                result[status] = 202
            ours = MODELS.service(service).operation(name)
            response = ours.serialize(epochs(result), "request-1", protocol)
            if status is not None and status not in result:
                result[status] = response.status
            if response.status == 204 or ours.method == "HEAD":
                result = {k: v for k, v in result.items() if "location" in shape.members[k].serialization}
            found = epochs(botocore_reads(model, protocol, operation, response))
            expected = epochs(result)
            if response.body and not callable(response.body):
                expected.pop("ContentLength", None)  # the front adds it
            found = without_empty_payload(shape, found, expected)
            if shape is not None and ours.protocol.startswith("rest"):
                expected, found = lower_header_maps(shape, expected), lower_header_maps(shape, found)
            left, right = (pruned(found), pruned(expected)) if loose else (found, expected)
            assert left == right, (name, mode, response.body)
