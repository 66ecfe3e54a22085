"""The events that functions get, in payload formats 2.0 and 1.0, and the answers that are made of what they return.

Source: developer guide, "Create AWS Lambda proxy integrations for HTTP APIs in API Gateway" (read 2026-11).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from cumulet.aws.http import HttpRequest, HttpResponse
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.services.apigatewayv2.expressions import query_of
from cumulet.services.apigatewayv2.routing import Deployed, Target
from cumulet.services.apigatewayv2.variables import clf_time, domain_of

_TEXT_TYPES = frozenset(("application/json", "application/javascript", "application/xml"))
_NOT_SENT = frozenset(("content-length", "transfer-encoding", "connection"))
_ERROR = b'{"message":"Internal Server Error"}'


@dataclass(slots=True)
class Exchange:
    """One request on its way. `path` is decoded, with the stage's name unless that is `$default`; `inner_path` without.

    noted       what becomes `$context.integration`: status, error, latency
    authorizer  what becomes `$context.authorizer`: the context that an authorizer returned, and principalId or error
    """

    http: HttpRequest
    api: Deployed
    target: Target
    path: str
    inner_path: str
    parameters: dict[str, str]
    request_id: str
    at: float
    trace: str
    access_key: str
    principal: str
    noted: dict[str, Any] = field(default_factory=dict)
    authorizer: dict[str, Any] = field(default_factory=dict)

    def with_request(self, http: HttpRequest, path: str) -> Exchange:
        """The same exchange as seen with another request; what is noted there is noted here."""
        return replace(self, http=http, path=path)


def event(exchange: Exchange) -> bytes:
    """The function's event as JSON."""
    return msgspec.json.encode(_event_2(exchange) if exchange.target.version == "2.0" else _event_1(exchange))


def _event_2(exchange: Exchange) -> dict[str, Any]:
    http, api = exchange.http, exchange.api
    headers = _headers(exchange)
    event: dict[str, Any] = {
        "version": "2.0", "routeKey": exchange.target.key, "rawPath": exchange.path, "rawQueryString": http.query,
    }  # fmt: skip
    cookies = headers.pop("cookie", None)
    if cookies:
        event["cookies"] = [part.strip() for part in cookies.split(";") if part.strip()]
    event["headers"] = headers
    if http.query:
        event["queryStringParameters"] = {name: ",".join(values) for name, values in query_of(http.query).items()}
    event["requestContext"] = _context_2(exchange, headers.get("user-agent", ""))
    if exchange.parameters:
        event["pathParameters"] = exchange.parameters
    if api.variables:
        event["stageVariables"] = api.variables
    body, encoded = _body(exchange.http)
    if body is not None:
        event["body"] = body
    event["isBase64Encoded"] = encoded
    return event


def authorizer_event(exchange: Exchange, version: str, arn: str, identity: list[str]) -> bytes:
    """The event of a Lambda authorizer as JSON: the function's event without a body, with the route and the identity.

    Source: developer guide, "Control access to HTTP APIs with AWS Lambda authorizers", "Payload format version".
    """
    first: dict[str, Any] = {"version": version, "type": "REQUEST"}
    if version == "2.0":
        event = _event_2(exchange)
        first.update(routeArn=arn, identitySource=identity or None)
    else:
        event = _event_1(exchange)
        joined = ",".join(identity)
        first.update(methodArn=arn, identitySource=joined, authorizationToken=joined)
        for name in ("multiValueHeaders", "multiValueQueryStringParameters"):
            del event[name]
    for name in ("version", "body", "isBase64Encoded"):
        event.pop(name, None)
    return msgspec.json.encode({**first, **event})


def _context_2(exchange: Exchange, agent: str) -> dict[str, Any]:
    http, stage = exchange.http, exchange.api.stage
    domain = domain_of(exchange)
    context: dict[str, Any] = {
        "accountId": stage.account,
        "apiId": stage.api_id,
        "domainName": domain,
        "domainPrefix": domain.partition(".")[0],
        "http": {
            "method": http.method, "path": exchange.path, "protocol": f"HTTP/{http.http_version}",
            "sourceIp": http.source_ip, "userAgent": agent,
        },
        "requestId": exchange.request_id,
        "routeKey": exchange.target.key,
        "stage": stage.name,
        "time": clf_time(exchange.at),
        "timeEpoch": int(exchange.at * 1000),
    }  # fmt: skip
    if exchange.target.signed:
        context["authorizer"] = {"iam": {
            "accessKey": exchange.access_key, "accountId": stage.account, "callerId": exchange.access_key,
            "cognitoIdentity": None, "principalOrgId": None, "userArn": exchange.principal,
            "userId": exchange.access_key,
        }}  # fmt: skip
    if exchange.target.authorizer is not None and exchange.authorizer:
        given = {name: value for name, value in exchange.authorizer.items() if name != "principalId"}
        context["authorizer"] = {"lambda": given}
    return context


def _event_1(exchange: Exchange) -> dict[str, Any]:
    http, stage = exchange.http, exchange.api.stage
    headers = _headers(exchange)
    multi = _multi_headers(exchange, headers)
    query = query_of(http.query)
    body, encoded = _body(http)
    domain, signed = domain_of(exchange), exchange.target.signed
    resource = exchange.target.key.partition(" ")[2] or exchange.target.key
    identity = dict.fromkeys(("accessKey", "accountId", "caller", "cognitoAmr", "cognitoAuthenticationProvider",
                              "cognitoAuthenticationType", "cognitoIdentityId", "cognitoIdentityPoolId",
                              "principalOrgId", "user", "userArn"))  # fmt: skip
    who: dict[str, Any] = {**identity, "sourceIp": http.source_ip, "userAgent": headers.get("user-agent", "")}
    if signed:
        who.update(accessKey=exchange.access_key, accountId=stage.account, caller=exchange.access_key,
                   user=exchange.access_key, userArn=exchange.principal)  # fmt: skip
    event: dict[str, Any] = {
        "version": "1.0",
        "resource": resource,
        "path": exchange.path,
        "httpMethod": http.method,
        "headers": {name: values[-1] for name, values in multi.items()},
        "multiValueHeaders": multi,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "requestContext": {
            "accountId": stage.account, "apiId": stage.api_id, "domainName": domain,
            "domainPrefix": domain.partition(".")[0], "extendedRequestId": exchange.request_id,
            "httpMethod": http.method, "identity": who, "path": exchange.path, "protocol": f"HTTP/{http.http_version}",
            "requestId": exchange.request_id, "requestTime": clf_time(exchange.at),
            "requestTimeEpoch": int(exchange.at * 1000), "resourceId": exchange.target.key, "resourcePath": resource,
            "stage": stage.name,
        },
        "pathParameters": exchange.parameters or None,
        "stageVariables": exchange.api.variables or None,
        "body": body,
        "isBase64Encoded": encoded,
    }  # fmt: skip
    if exchange.target.authorizer is not None and exchange.authorizer:
        event["requestContext"]["authorizer"] = exchange.authorizer
    return event


def _forwarded(exchange: Exchange) -> dict[str, str]:
    http = exchange.http
    port = http.headers.get("host", "").rpartition(":")[2]
    before = http.headers.get("x-forwarded-for")
    return {
        "x-amzn-trace-id": exchange.trace,
        "x-forwarded-for": f"{before}, {http.source_ip}" if before else http.source_ip,
        "x-forwarded-port": port if port.isdigit() else ("443" if http.scheme == "https" else "80"),
        "x-forwarded-proto": http.scheme,
    }


def _headers(exchange: Exchange) -> dict[str, str]:
    """Names in lower case, repeated ones joined by commas."""
    http = exchange.http
    if not http.raw_headers:
        return {**http.headers, **_forwarded(exchange)}
    headers: dict[str, str] = {}
    for sent, value in http.raw_headers:
        name = sent.lower()
        joint = "; " if name == "cookie" else ","
        headers[name] = f"{headers[name]}{joint}{value}" if name in headers else value
    headers.update(_forwarded(exchange))
    return headers


def _multi_headers(exchange: Exchange, joined: dict[str, str]) -> dict[str, list[str]]:
    if not exchange.http.raw_headers:
        return {name: [value] for name, value in joined.items()}
    multi: dict[str, list[str]] = {}
    for name, value in exchange.http.raw_headers:
        multi.setdefault(name, []).append(value)
    spelt = {name.lower(): name for name in multi}
    for name, value in _forwarded(exchange).items():
        multi[spelt.get(name, "-".join(part.capitalize() for part in name.split("-")))] = [value]
    return multi


def _body(http: HttpRequest) -> tuple[str | None, bool]:
    """The body as text for textual media types, else in base64."""
    raw = http.read_body()
    if not raw:
        return None, False
    kind = http.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
    if kind in _TEXT_TYPES or kind.startswith("text/") or kind.endswith(("+json", "+xml")):
        try:
            return raw.decode(), False
        except UnicodeDecodeError:
            pass
    return b64encode(raw).decode(), True


def failure(status: int, message: str, request_id: str) -> HttpResponse:
    """An answer of API Gateway's own."""
    headers = [("Content-Type", "application/json"), ("Apigw-Requestid", request_id)]
    return HttpResponse(status, headers, msgspec.json.encode({"message": message}))


def answer(exchange: Exchange, payload: bytes) -> HttpResponse:
    """The HTTP response that a function's payload stands for; 500 for one that is malformed."""
    own = ("Apigw-Requestid", exchange.request_id)
    try:
        output = read_json(payload) if payload else None
    except NotJson:
        return HttpResponse(500, [("Content-Type", "application/json"), own], _ERROR)
    if not isinstance(output, dict) or "statusCode" not in output:
        if exchange.target.version == "2.0":
            return HttpResponse(200, [("Content-Type", "application/json"), own], payload)
        return HttpResponse(500, [("Content-Type", "application/json"), own], _ERROR)
    found = _structured(output, exchange.target.version)
    if found is None:
        return HttpResponse(500, [("Content-Type", "application/json"), own], _ERROR)
    status, headers, body = found
    return HttpResponse(status, [*headers, own], body)


def _structured(output: dict[str, Any], version: str) -> tuple[int, list[tuple[str, str]], bytes] | None:
    """Status, headers and body of an answer with a statusCode; None when it is malformed."""
    status, text = output["statusCode"], output.get("body")
    if isinstance(status, str) and status.isdigit():
        status = int(status)
    single, multi = output.get("headers") or {}, output.get("multiValueHeaders") or {}
    cookies = output.get("cookies") or []
    well = type(status) is int and 100 <= status <= 599 and isinstance(single, dict) and isinstance(cookies, list)
    if not well or not isinstance(multi, dict) or not isinstance(text, str | None):
        return None
    headers = [(name, _text(value)) for name, value in single.items()]
    if version == "1.0":
        repeated = [(name, _text(value)) for name, values in multi.items() for value in values]
        headers = [pair for pair in headers if pair[0] not in multi] + repeated
    else:
        headers.extend(("set-cookie", str(cookie)) for cookie in cookies)
    headers = [pair for pair in headers if pair[0].lower() not in _NOT_SENT]
    if text is not None and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "text/plain; charset=utf-8"))
    body = (text or "").encode()
    if output.get("isBase64Encoded") is True:
        try:
            body = b64decode(body, validate=True)
        except NotBase64:
            return None
    return status, headers, body


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)
