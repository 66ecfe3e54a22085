"""Errors of the wire itself, and how each protocol writes an AwsError."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cbor2
import msgspec

from cumulet.aws.errors import AwsError, GenericAwsError, NotImplementedOnCumulet
from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.wire.xml import escape, text_of

if TYPE_CHECKING:
    from cumulet.wire.models import ServiceModel

_PARSE_CODES = {
    "json": "SerializationException",
    "rest-json": "SerializationException",
    "smithy-rpc-v2-cbor": "SerializationException",
    "query": "MalformedInput",
    "ec2": "MalformedInput",
    "rest-xml": "MalformedXML",
}
_CORAL = {
    "SerializationException": "com.amazon.coral.service#SerializationException",
    "UnknownOperationException": "com.amazon.coral.service#UnknownOperationException",
    "InternalFailure": "com.amazon.coral.service#InternalFailure",
    "ValidationException": "com.amazon.coral.validate#ValidationException",
}
_encode = msgspec.json.Encoder().encode


class Malformed(ValueError):
    """What a client sent cannot be read; `compiled` parse functions turn it into the protocol's AwsError."""


def parse_error(protocol: str, message: str) -> AwsError:
    """The error of a request that the protocol cannot read."""
    if protocol == "rest-xml":
        message = "The XML you provided was not well-formed or did not validate against our published schema"
    return GenericAwsError(_PARSE_CODES.get(protocol, "SerializationException"), message, 400)


def unknown_operation(name: str, service: str | None = None) -> AwsError:
    """501: a request for an operation that is not there, named."""
    of = f" of {service}" if service else ""
    return NotImplementedOnCumulet(f"The operation {name}{of} is not implemented on Cumulet.")


def request_id_headers(service: str, request_id: str) -> list[tuple[str, str]]:
    if service == "s3":
        return [("x-amz-request-id", request_id), ("x-amz-id-2", f"{request_id}cumulet")]
    return [("x-amzn-requestid", request_id)]


def _fault(status: int) -> str:
    return "Sender" if status < 500 else "Receiver"


class ErrorShape:
    """What the model says of an error: its shape's name, where its message goes, how its members are written."""

    def __init__(self, service: ServiceModel, code: str) -> None:
        metadata = service.metadata
        self.name = service.error_shapes.get(code, code)
        shape = service.shapes.get(self.name, {})
        shape = shape if shape.get("exception") or shape.get("error") else {}
        self.members: dict[str, Any] = shape.get("members", {})
        self.message_member = next((m for m in self.members if m.lower() == "message"), None)
        ref = self.members.get(self.message_member, {}) if self.message_member else {}
        self.message_key: str = ref.get("locationName", self.message_member or "message")
        self.query_code: str = metadata.get("queryErrors", {}).get(self.name) or shape.get("error", {}).get(
            "code", code
        )
        self.query_message: str | None = metadata.get("queryMessages", {}).get(self.name)
        namespace = metadata.get("errorNamespace")
        self.type = f"{namespace}#{self.name}" if namespace else self.name
        if namespace and code in _CORAL and not self.members:
            self.type = _CORAL[code]


def json_error(service: ServiceModel, err: AwsError, request_id: str, request: HttpRequest | None) -> HttpResponse:
    shape = service.error_shape(err.wire_code)
    body: dict[str, Any] = {"__type": shape.type, shape.message_key: err.message}
    body.update(service.write_json_members(shape.name, err.members))
    headers = [("x-amzn-requestid", request_id), ("content-type", f"application/x-amz-json-{service.json_version}")]
    _query_compatible(service, shape, err, request, headers)
    return HttpResponse(err.http_status, headers, _encode(body))


def _query_compatible(
    service: ServiceModel,
    shape: ErrorShape,
    err: AwsError,
    request: HttpRequest | None,
    headers: list[tuple[str, str]],
) -> None:
    if request is not None and request.headers.get("x-amzn-query-mode") and "awsQueryCompatible" in service.metadata:
        headers.append(("x-amzn-query-error", f"{shape.query_code};{_fault(err.http_status)}"))


def rest_json_error(service: ServiceModel, err: AwsError, request_id: str, request: HttpRequest | None) -> HttpResponse:
    shape = service.error_shape(err.wire_code)
    headers = [
        ("x-amzn-requestid", request_id),
        ("x-amzn-errortype", shape.name),
        ("content-type", "application/json"),
    ]
    members = dict(err.members)
    for name, ref in shape.members.items():
        if ref.get("location") == "header" and name in members:
            headers.append((ref.get("locationName", name), text_of(members.pop(name))))
    body: dict[str, Any] = {}
    if "Type" in shape.members and "Type" not in members:
        body["Type"] = "User" if err.http_status < 500 else "Service"
    body[shape.message_key] = err.message
    body.update(service.write_json_members(shape.name, members))
    return HttpResponse(err.http_status, headers, b"" if request and request.method == "HEAD" else _encode(body))


def query_error(service: ServiceModel, err: AwsError, request_id: str, request: HttpRequest | None) -> HttpResponse:
    shape = service.error_shape(err.wire_code)
    namespace = service.metadata.get("xmlNamespace", "")
    opening = f'<ErrorResponse xmlns="{namespace}">' if namespace else "<ErrorResponse>"
    body = (
        f'<?xml version="1.0"?>\n{opening}<Error><Type>{_fault(err.http_status)}</Type>'
        f"<Code>{escape(shape.query_code)}</Code><Message>{escape(shape.query_message or err.message)}</Message>"
        f"{service.write_xml_members(shape.name, err.members)}</Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    headers = [*request_id_headers(service.name, request_id), ("content-type", "text/xml")]
    return HttpResponse(err.http_status, headers, body.encode())


def ec2_error(service: ServiceModel, err: AwsError, request_id: str, request: HttpRequest | None) -> HttpResponse:
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>{escape(err.wire_code)}</Code>'
        f"<Message>{escape(err.message)}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>"
    )
    headers = [("x-amzn-requestid", request_id), ("content-type", "text/xml;charset=UTF-8")]
    return HttpResponse(err.http_status, headers, body.encode())


def s3_error(service: ServiceModel, err: AwsError, request_id: str, request: HttpRequest | None) -> HttpResponse:
    headers = [*request_id_headers("s3", request_id), ("content-type", "application/xml")]
    if err.http_status == 304 or (request is not None and request.method == "HEAD"):
        return HttpResponse(err.http_status, headers)
    members = {"Resource": request.path} if request is not None else {}
    extra = service.write_xml_members(err.wire_code, {**members, **err.members})
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{escape(err.wire_code)}</Code>'
        f"<Message>{escape(err.message)}</Message>{extra}<RequestId>{request_id}</RequestId>"
        f"<HostId>{request_id}cumulet</HostId></Error>"
    )
    return HttpResponse(err.http_status, headers, body.encode())


def rest_xml_error(service: ServiceModel, err: AwsError, request_id: str, request: HttpRequest | None) -> HttpResponse:
    write = s3_error if service.name == "s3" else query_error
    return write(service, err, request_id, request)


def cbor_error(service: ServiceModel, err: AwsError, request_id: str, request: HttpRequest | None) -> HttpResponse:
    shape = service.error_shape(err.wire_code)
    body = {"__type": shape.type, shape.message_key: err.message, **service.write_cbor_members(shape.name, err.members)}
    headers = [
        ("x-amzn-requestid", request_id),
        ("smithy-protocol", "rpc-v2-cbor"),
        ("content-type", "application/cbor"),
    ]
    _query_compatible(service, shape, err, request, headers)
    return HttpResponse(err.http_status, headers, cbor2.dumps(body))


ErrorWriter = Callable[["ServiceModel", AwsError, str, HttpRequest | None], HttpResponse]
WRITERS: dict[str, ErrorWriter] = {
    "json": json_error,
    "rest-json": rest_json_error,
    "query": query_error,
    "ec2": ec2_error,
    "rest-xml": rest_xml_error,
    "smithy-rpc-v2-cbor": cbor_error,
}


def guess_protocol(request: HttpRequest) -> str:
    """The protocol that a request which no operation claims seems to speak."""
    headers = request.headers
    if "smithy-protocol" in headers:
        return "smithy-rpc-v2-cbor"
    if "x-amz-target" in headers or "json" in headers.get("content-type", ""):
        return "json"
    if "x-www-form-urlencoded" in headers.get("content-type", "") or "Action=" in request.query:
        return "query"
    return "rest-xml"


def error(err: AwsError, request: HttpRequest, request_id: str) -> HttpResponse:
    """The answer to a request whose operation could not be determined, in the protocol it seems to speak."""
    protocol = guess_protocol(request)
    headers = [("x-amzn-requestid", request_id)]
    if protocol == "smithy-rpc-v2-cbor":
        headers += [("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor")]
        return HttpResponse(err.http_status, headers, cbor2.dumps({"__type": err.wire_code, "message": err.message}))
    if protocol == "json":
        headers += [("x-amzn-errortype", err.wire_code), ("content-type", "application/x-amz-json-1.0")]
        return HttpResponse(err.http_status, headers, _encode({"__type": err.wire_code, "message": err.message}))
    code, message = escape(err.wire_code), escape(err.message)
    headers.append(("content-type", "text/xml"))
    if request.method == "HEAD":
        return HttpResponse(err.http_status, headers)
    if protocol == "query":
        fault = _fault(err.http_status)
        body = (
            f"<ErrorResponse><Error><Type>{fault}</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    else:
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>'
            f"<Resource>{escape(request.path)}</Resource><RequestId>{request_id}</RequestId></Error>"
        )
    return HttpResponse(err.http_status, headers, body.encode())
