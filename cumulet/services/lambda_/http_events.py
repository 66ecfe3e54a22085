"""HTTP requests as events of payload format 2.0, and functions' answers as HTTP responses.

Source: Lambda developer guide, "Request and response payloads" under function URLs (read 2026-11).
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, unquote_plus

import msgspec

from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.context import Context
from cumulet.services.lambda_.model import Url

_TEXT = ("text/", "application/json", "application/javascript", "application/xml", "application/x-www-form-urlencoded")
_encode = msgspec.json.Encoder().encode

Json = dict[str, Any]


def event_of(ctx: Context, request: HttpRequest, url: Url, raw_path: str) -> Json:
    """The event for a request to a function's URL."""
    headers = {name: value for name, value in request.headers.items() if name != "cookie"}
    host = request.headers.get("host", "")
    path = unquote(raw_path)
    moment = datetime.fromtimestamp(ctx.now, UTC)
    event: Json = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": {
            "accountId": url.account if url.auth == "AWS_IAM" else "anonymous",
            "apiId": url.id,
            "domainName": host,
            "domainPrefix": url.id,
            "http": {
                "method": request.method,
                "path": path,
                "protocol": f"HTTP/{request.http_version}",
                "sourceIp": request.source_ip,
                "userAgent": request.headers.get("user-agent", ""),
            },
            "requestId": ctx.request_id,
            "routeKey": "$default",
            "stage": "$default",
            "time": f"{moment:%d/%b/%Y:%H:%M:%S} +0000",
            "timeEpoch": int(ctx.now * 1000),
        },
        "isBase64Encoded": False,
    }
    if "cookie" in request.headers:
        event["cookies"] = [part.strip() for part in request.headers["cookie"].split(";") if part.strip()]
    if request.query:
        event["queryStringParameters"] = _query(request.query)
    if url.auth == "AWS_IAM":
        event["requestContext"]["authorizer"] = {
            "iam": {
                "accessKey": ctx.access_key, "accountId": ctx.account, "callerId": ctx.access_key, "cognitoIdentity": None,
                "principalOrgId": None, "userArn": ctx.principal, "userId": ctx.access_key,
            }
        }  # fmt: skip
    body = request.read_body()
    if body:
        event |= _body(body, request.headers.get("content-type", ""))
    return event


def _query(raw: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for part in raw.split("&"):
        if part:
            name, _, value = part.partition("=")
            name, value = unquote_plus(name), unquote_plus(value)
            values[name] = f"{values[name]},{value}" if name in values else value
    return values


def _body(body: bytes, content_type: str) -> Json:
    kind = content_type.lower()
    if kind.startswith(_TEXT) or "+json" in kind or "+xml" in kind or "charset=" in kind:
        try:
            return {"body": body.decode(), "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def response_of(payload: bytes, extra: list[tuple[str, str]]) -> HttpResponse | None:
    """The response that a function's result means, or None for one that is not a response.

    Without `statusCode` the result is the body of a 200, as JSON. `extra` headers win over the function's own.
    """
    try:
        result = read_json(payload or b"null")
    except NotJson:
        return None
    if not isinstance(result, dict) or "statusCode" not in result:
        text = result.encode() if isinstance(result, str) else _encode(result)
        return HttpResponse(200, [("Content-Type", "application/json"), *extra], text)
    try:
        status = int(result["statusCode"])
        if not 100 <= status <= 599:
            return None
        headers = _headers(result, extra)
        return HttpResponse(status, headers, _response_body(result))
    except (TypeError, ValueError, binascii.Error):
        return None


def _headers(result: Json, extra: list[tuple[str, str]]) -> list[tuple[str, str]]:
    ours = {name.lower() for name, _ in extra} | {"content-length", "connection", "transfer-encoding", "date"}
    headers = [
        (name, _text(value)) for name, value in (result.get("headers") or {}).items() if name.lower() not in ours
    ]
    headers += [("Set-Cookie", _text(cookie)) for cookie in result.get("cookies") or ()]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return headers + extra


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise TypeError("a header is text, a number or a boolean")


def _response_body(result: Json) -> bytes:
    body = result.get("body")
    if body is None:
        return b""
    if isinstance(body, str):
        return base64.b64decode(body, validate=True) if result.get("isBase64Encoded") else body.encode()
    return _encode(body)
