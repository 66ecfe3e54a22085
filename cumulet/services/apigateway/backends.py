"""The backends of AWS integrations: Lambda functions, and other services' operations as their integration URIs name them.

`arn:aws:apigateway:{region}:{service}:action/{Operation}` takes the mapped body as the operation's request: JSON, or a form
for services that speak the query protocol; query parameters add to it. `...:path/{path}` is for SQS queues and S3 objects.
Source: developer guide, "AWS service integrations"; API reference, Integration `uri` (read 2026-11).
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from binascii import Error as NotBase64
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from cumulet.aws.errors import AwsError, NotImplementedOnCumulet
from cumulet.aws.http import FileBody
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result, Wait
from cumulet.services.apigateway.checks import service_of
from cumulet.services.apigateway.errors import not_honoured
from cumulet.services.apigateway.exchange import Exchange
from cumulet.services.apigateway.integration import Answered, error_backend
from cumulet.services.apigateway.mapping import Backend
from cumulet.services.apigateway.settling import PRINCIPAL, invoke, settled

_SERVICES = {"states": "stepfunctions", "monitoring": "cloudwatch", "streams.dynamodb": "dynamodbstreams"}
_TARGET = re.compile(r"[A-Za-z0-9_]+\.([A-Za-z0-9]+)")
_S3 = {"GET": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject", "HEAD": "HeadObject"}
_BLOBS = {  # members that JSON carries in base64; `*` is every element
    ("kinesis", "PutRecord"): (("Data",),),
    ("kinesis", "PutRecords"): (("Records", "*", "Data"),),
    ("firehose", "PutRecord"): (("Record", "Data"),),
    ("firehose", "PutRecordBatch"): (("Records", "*", "Data"),),
    ("kms", "Encrypt"): (("Plaintext",),),
    ("kms", "Decrypt"): (("CiphertextBlob",),),
    ("secretsmanager", "PutSecretValue"): (("SecretBinary",),),
}


def call(ctx: Context, exchange: Exchange, request: Result, after: Answered) -> Any:
    """Reach the integration's backend with the mapped request and go on with its answer."""
    assert exchange.endpoint is not None
    if exchange.endpoint.functions[exchange.method_name] is not None:
        return _function(ctx, exchange, request, after)
    named = service_of(exchange.endpoint.uris[exchange.method_name])
    if named is None:
        return after(ctx, error_backend(500, "InternalFailure", "Invalid integration URI"))
    service = _SERVICES.get(named[0], named[0])
    stage, credentials = exchange.deployed.stage, exchange.integration.get("credentials")
    try:
        operation, arguments = _operation(ctx, exchange, service, named[1], named[2], request)
    except ValueError as error:
        return after(ctx, error_backend(400, "SerializationException", str(error)))

    def start() -> Any:
        try:
            typed = ctx.pipeline.coerce(service, operation, arguments)
        except (KeyError, OSError) as error:  # no such service or operation in AWS's models
            raise NotImplementedOnCumulet(f"{service}.{operation} is no operation that Cumulet knows.") from error
        outcome = ctx.call(service, operation, _blobs(service, operation, typed), principal=credentials or PRINCIPAL,
                           region=stage.region, account=stage.account)  # fmt: skip
        if isinstance(outcome, Wait):
            raise not_honoured(f"long polling with {service}.{operation}")
        return outcome

    return settled(
        ctx,
        start,
        lambda c, result: after(c, _answer(service, operation, result, c.request_id)),
        lambda error: after(ctx, _refused(error)),
    )


def _function(ctx: Context, exchange: Exchange, request: Result, after: Answered) -> Any:
    kind = next((value for name, value in request["header"].items() if name.lower() == "x-amz-invocation-type"),
                "RequestResponse")  # fmt: skip

    def done(c: Context, result: Result) -> Any:
        payload: bytes = result.get("Payload") or b""
        if not result.get("FunctionError"):
            return after(c, Backend(int(result.get("StatusCode", 200)), "", payload))
        try:
            message = str(json.loads(payload).get("errorMessage", ""))
        except (ValueError, AttributeError):
            message = payload.decode("utf-8", "replace")
        return after(c, Backend(200, message, payload, {"X-Amz-Function-Error": result["FunctionError"]}))

    return invoke(ctx, exchange, request["body"], done, kind)


def _operation(ctx: Context, exchange: Exchange, service: str, kind: str, rest: str,
               request: Result) -> tuple[str, Result]:  # fmt: skip
    """(operation, its request) of an integration URI. Raises: ValueError for a body that is none."""
    body, query = request["body"].decode("utf-8", "replace"), request["querystring"]
    if kind == "action":
        return rest.rpartition("/")[2].partition("&")[0], {**_document(body), **query}
    path = re.sub(r"\{([^}]+)\}", lambda match: request["path"].get(match.group(1), ""), rest)
    if service == "s3":
        bucket, _, key = path.lstrip("/").partition("/")
        arguments: Result = {"Bucket": bucket, "Key": unquote(key)}
        method = exchange.integration["httpMethod"]
        if method not in _S3 or not key:
            raise ValueError(f"S3 integrations reach objects with {', '.join(_S3)}")
        if method == "PUT":
            arguments["Body"] = request["body"]
            for name, value in request["header"].items():
                if name.lower() == "content-type":
                    arguments["ContentType"] = value
        return _S3[method], arguments
    arguments = {**_document(body), **query}
    target = next((value for name, value in request["header"].items() if name.lower() == "x-amz-target"), "")
    match = _TARGET.fullmatch(target)
    operation = arguments.pop("Action", None) or (match.group(1) if match else None)
    if operation is None:
        raise ValueError("The request names no action")
    if service == "sqs" and "QueueUrl" not in arguments and path.strip("/"):
        arguments["QueueUrl"] = f"{ctx.endpoint}/{path.strip('/')}"
    return str(operation), arguments


def _document(body: str) -> Result:
    text = body.strip()
    if not text:
        return {}
    if text[0] != "{":
        form = {name: value for name, value in parse_qsl(text, keep_blank_values=True) if name != "Version"}
        nested = next((name for name in form if "." in name), None)
        if nested is not None:
            raise ValueError(f"The form member {nested} is not implemented by Cumulet; send JSON")
        return form
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def _blobs(service: str, operation: str, arguments: Result) -> Result:
    for path in _BLOBS.get((service, operation), ()):
        _decode(arguments, path)
    return arguments


def _decode(value: Any, path: tuple[str, ...]) -> None:
    name, *rest = path
    if name == "*":
        for one in value if isinstance(value, list) else ():
            _decode(one, tuple(rest))
    elif isinstance(value, dict) and name in value:
        if rest:
            _decode(value[name], tuple(rest))
        elif isinstance(value[name], str):
            try:
                value[name] = b64decode(value[name], validate=True)
            except NotBase64:  # the operation's check refuses it in AWS's words
                return


def _answer(service: str, operation: str, result: Any, request_id: str) -> Backend:
    if service == "s3":
        body = result.get("Body", b"")
        if isinstance(body, FileBody):
            with body.path.open("rb") as file:
                file.seek(body.offset)
                body = file.read(body.size)
        headers = {
            "Content-Type": str(result.get("ContentType", "binary/octet-stream")),
            "ETag": str(result.get("ETag", "")),
        }
        return Backend(200, "200", bytes(body), headers)
    body = msgspec.json.encode(result)  # bytes become base64, as on the wire
    if service in ("sqs", "sns"):  # the query protocol's JSON form
        answer = {f"{operation}Result": msgspec.Raw(body), "ResponseMetadata": {"RequestId": request_id}}
        body = msgspec.json.encode({f"{operation}Response": answer})
    return Backend(200, "200", body, {"Content-Type": "application/json"})


def _refused(error: AwsError) -> Backend:
    return error_backend(error.http_status, error.wire_code, error.message)
