"""The backends of AWS integrations: Lambda functions, and other services' operations as their integration URIs name them.

`arn:aws:apigateway:{region}:{service}:action/{Operation}` takes the mapped body as the operation's request: JSON, or a form
for services that speak the query protocol; query parameters add to it. `...:path/{path}` is for SQS queues and S3 objects.
Source: developer guide, "AWS service integrations"; API reference, Integration `uri` (read 2026-11).
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from cumulet.aws.errors import AwsError, NotImplementedOnCumulet
from cumulet.aws.http import FileBody
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result, Wait, settled
from cumulet.services.apigateway.answers import refuse
from cumulet.services.apigateway.checks import service_of
from cumulet.services.apigateway.exchange import Exchange, Leg
from cumulet.services.apigateway.integration import Answered, error_backend
from cumulet.services.apigateway.mapping import Backend
from cumulet.services.apigateway.settling import invoke, principal_of, source_of

_SERVICES = {"states": "stepfunctions", "monitoring": "cloudwatch", "streams.dynamodb": "dynamodbstreams"}
_TARGET = re.compile(r"[A-Za-z0-9_]+\.([A-Za-z0-9]+)")
_QUERY = frozenset(
    ("sqs", "sns", "cloudwatch", "rds", "iam", "sts", "cloudformation")
)  # in JSON for those who accept it
_S3 = {"GET": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject", "HEAD": "HeadObject"}


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
    accept = next((value for name, value in request["header"].items() if name.lower() == "accept"), "application/json")
    try:
        operation, arguments, style = _operation(ctx, exchange, service, named[1], named[2], request)
    except (ValueError, AwsError) as error:
        message = error.message if isinstance(error, AwsError) else str(error)
        return after(ctx, error_backend(400, "SerializationException", message))
    except (KeyError, OSError):  # no such service or operation in AWS's models
        message = f"{named[2]} of {service} is no operation that Cumulet knows."
        return after(ctx, _backend(NotImplementedOnCumulet(message), service, "", "", ctx))
    if style == "json" and "xml" in accept:
        style = "xml"

    exchange.leg = leg = Leg(exchange.endpoint.uris[exchange.method_name], ctx.now, request["header"], request["body"])

    def back(c: Context, outcome: Any) -> Any:
        made = _backend(outcome, service, operation, style, c)
        leg.back(c.now, made.status, made.headers, made.body)
        leg.request_id = c.request_id
        return after(c, made)

    def start() -> Any:
        try:
            typed = ctx.pipeline.coerce(service, operation, arguments)
        except (KeyError, OSError) as error:
            raise NotImplementedOnCumulet(f"{service}.{operation} is no operation that Cumulet knows.") from error
        return ctx.call(service, operation, typed, principal=principal_of(credentials), source=source_of(exchange), region=stage.region,
                        account=stage.account)  # fmt: skip

    outcome = settled(
        ctx,
        start,
        back,
        lambda error: back(ctx, error),
    )
    return _awaited(ctx, exchange, outcome) if isinstance(outcome, Wait) else outcome


def _awaited(ctx: Context, exchange: Exchange, wait: Wait) -> Any:
    """Long polling: the request waits, but no longer than the integration's timeout."""
    end = ctx.arrived + exchange.integration.get("timeoutInMillis", 29000) / 1000
    if ctx.now >= end:
        return refuse(exchange, "INTEGRATION_TIMEOUT", "Endpoint request timed out")
    ctx.pipeline.volatile.setdefault("apigateway.waiting", set()).add(ctx.request_id)
    return Wait(wait.on, min(wait.until, end))


def _function(ctx: Context, exchange: Exchange, request: Result, after: Answered) -> Any:
    kind = next((value for name, value in request["header"].items() if name.lower() == "x-amz-invocation-type"),
                "RequestResponse")  # fmt: skip

    def done(c: Context, result: Result) -> Any:
        payload: bytes = result.get("Payload") or b""
        if not result.get("FunctionError"):
            return after(c, Backend(int(result.get("StatusCode", 200)), "", payload))
        try:
            message = str(read_json(payload).get("errorMessage", ""))
        except (NotJson, AttributeError):
            message = payload.decode("utf-8", "replace")
        return after(c, Backend(200, message, payload, {"X-Amz-Function-Error": result["FunctionError"]}))

    return invoke(ctx, exchange, request["body"], done, kind)


def _operation(ctx: Context, exchange: Exchange, service: str, kind: str, rest: str,
               request: Result) -> tuple[str, Result, str]:  # fmt: skip
    """(operation, its request, the answer's style as `pipeline.answer` has it) of an integration URI.

    Raises: ValueError or an AwsError for a body that is none; KeyError for an operation that AWS does not have.
    """
    body, query = request["body"].decode("utf-8", "replace"), request["querystring"]
    if kind == "action":
        operation = rest.rpartition("/")[2].partition("&")[0]
        return operation, *_arguments(ctx, service, operation, body, query)
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
        return _S3[method], arguments, ""
    target = next((value for name, value in request["header"].items() if name.lower() == "x-amz-target"), "")
    match = _TARGET.fullmatch(target)
    named = dict(parse_qsl(body)).get("Action") if _is_form(body) else _document(body).get("Action")
    found = query.get("Action") or named or (match.group(1) if match else None)
    if found is None:
        raise ValueError("The request names no action")
    arguments, style = _arguments(ctx, service, str(found), body, query)
    if service == "sqs" and "QueueUrl" not in arguments and path.strip("/"):
        arguments["QueueUrl"] = f"{ctx.endpoint}/{path.strip('/')}"
    return str(found), arguments, "" if match else style


def _arguments(ctx: Context, service: str, operation: str, body: str, query: dict[str, str]) -> tuple[Result, str]:
    """The operation's request out of a form (nested members too) or a JSON document, and the query string."""
    style = "json" if service in _QUERY else ""
    if not _is_form(body):
        found = {
            name: value for name, value in {**_document(body), **query}.items() if name not in ("Action", "Version")
        }
        if not any("." in name for name in query):
            return found, style
    text = "&".join(part for part in (body if _is_form(body) else "", urlencode(query)) if part)
    return {**_document("" if _is_form(body) else body), **ctx.pipeline.form(service, operation, text)}, style


def _is_form(body: str) -> bool:
    text = body.strip()
    return bool(text) and text[0] != "{"


def _document(body: str) -> Result:
    found = read_json(body) if body.strip() else {}
    assert isinstance(found, dict)
    return found


def _backend(outcome: Any, service: str, operation: str, style: str, ctx: Context) -> Backend:
    """A service's answer as it is on the wire."""
    if service == "s3" and not isinstance(outcome, AwsError):
        return _object(outcome)
    if isinstance(outcome, AwsError) and not style:
        return error_backend(outcome.http_status, outcome.wire_code, outcome.message)
    made = ctx.pipeline.answer(service, operation, outcome, ctx.request_id, style)
    assert isinstance(made.body, bytes)
    return Backend(made.status, str(made.status), made.body, dict(made.headers))


def _object(result: Result) -> Backend:
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
