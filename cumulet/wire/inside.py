"""The wire for callers inside: requests out of forms, and the HTTP responses that outcomes stand for.

API Gateway's service integrations speak to services as a client would, but without a socket in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from cumulet.aws.errors import AwsError
from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.wire.json import writer
from cumulet.wire.models import Models

if TYPE_CHECKING:
    from cumulet.wire.models import OperationModel

_encode = msgspec.json.encode


def form(models: Models, service: str, operation: str, text: str, path: str = "/") -> Any:
    """The operation's request that a form says: `MessageBody=hi&MessageAttribute.1.Name=a`; `path` may name a queue.

    Raises: KeyError for an operation that the model does not have; AwsError for a form that cannot be read.
    """
    op = models.service(service).operation(operation)
    return op.parse(HttpRequest("POST", path, "", {}, text.encode()), "query")


def answer(
    models: Models, service: str, operation: str, outcome: Any, request_id: str, style: str = ""
) -> HttpResponse:
    """The HTTP response of an operation's result, or of its AwsError.

    style  "" as the service's own protocol has it; "xml" the query protocol's; "json" the query protocol's JSON form,
           which it has for `Accept: application/json`
    """
    try:
        op = models.service(service).operation(operation)
    except KeyError:
        assert isinstance(outcome, AwsError)
        body = {"__type": outcome.wire_code, "message": outcome.message}
        return HttpResponse(outcome.http_status, [("content-type", "application/json")], _encode(body))
    if style == "json":
        return _json(op, outcome, request_id)
    protocol = "query" if style == "xml" else None
    if isinstance(outcome, AwsError):
        return op.error(outcome, request_id, protocol)
    return op.serialize(outcome, request_id, protocol)


def _json(op: OperationModel, outcome: Any, request_id: str) -> HttpResponse:
    """`{"SendMessageResponse": {"SendMessageResult": {...}, "ResponseMetadata": {...}}}`, or `{"Error": {...}}`."""
    headers = [("content-type", "application/json"), ("x-amzn-requestid", request_id)]
    if isinstance(outcome, AwsError):
        kind = "Sender" if outcome.http_status < 500 else "Receiver"
        code = op.service.error_shape(outcome.wire_code).query_code
        error = {"Code": code, "Message": outcome.message, "Type": kind}
        return HttpResponse(outcome.http_status, headers, _encode({"Error": error, "RequestId": request_id}))
    convert = writer(op.service, op.output) if op.output else None
    result = convert(outcome) if convert else outcome
    inside = {f"{op.name}Result": result, "ResponseMetadata": {"RequestId": request_id}}
    return HttpResponse(200, headers, _encode({f"{op.name}Response": inside}))
