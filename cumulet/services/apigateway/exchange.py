"""One request to a deployed API, with everything that events, templates and answers say about it."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from cumulet.aws.http import HttpRequest
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.services.apigateway.routing import Deployed, Endpoint

_UNSIGNED = ("cognitoIdentityPoolId", "cognitoIdentityId", "principalOrgId", "cognitoAuthenticationType",
             "cognitoAuthenticationProvider")  # fmt: skip


@dataclass(slots=True)
class Leg:
    """The way to the backend and back: what was sent at `at`, and what came back at `ended`, if anything did."""

    uri: str
    at: float
    headers: Mapping[str, str]
    body: bytes
    status: int | None = None
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    answer: bytes = b""
    ended: float | None = None
    request_id: str | None = None

    def back(self, now: float, status: int | None, headers: Mapping[str, str], body: bytes) -> None:
        self.ended, self.status, self.answer_headers, self.answer = now, status, headers, body

    @property
    def latency_ms(self) -> int:
        return 0 if self.ended is None else int((self.ended - self.at) * 1000)


@dataclass(slots=True)
class Exchange:
    """A request on its way. `path` is raw, without the stage; `error` is what `$context.error` shows."""

    http: HttpRequest
    deployed: Deployed
    path: str
    request_id: str
    extended_id: str
    at: float
    trace: str
    access_key: str
    principal: str
    endpoint: Endpoint | None = None
    method: Result = field(default_factory=dict)
    method_name: str = ""
    path_parameters: dict[str, str] = field(default_factory=dict)
    headers: dict[str, list[str]] = field(default_factory=dict)  # as sent, and the forwarding headers
    query: dict[str, list[str]] = field(default_factory=dict)
    error: dict[str, str] = field(default_factory=dict)
    integration_status: int | None = None
    authorizer: dict[str, Any] = field(default_factory=dict)  # what becomes `$context.authorizer`
    usage_key: str | None = None  # an authorizer's usageIdentifierKey
    override: dict[str, Any] = field(default_factory=dict)  # what templates set with $context.responseOverride
    leg: Leg | None = None
    key_id: str | None = None  # of the API key that let the request in
    notes: list[str] = field(default_factory=list)  # what authorizers and usage plans tell the execution log

    @property
    def integration(self) -> Result:
        found: Result = self.method["methodIntegration"]
        return found

    def header(self, name: str) -> str | None:
        return self.http.headers.get(name.lower())

    def accepts_binary(self, content_type: str | None) -> bool:
        """Whether the API's binaryMediaTypes name this media type; `*/*` names all, also a missing one."""
        binary = self.deployed.binary
        if not binary:
            return False
        if "*/*" in binary:
            return True
        if content_type is None:
            return False
        kind = content_type.split(",")[0].split(";")[0].strip().lower()
        return kind in binary or f"{kind.split('/')[0]}/*" in binary


def begin(ctx: Context, http: HttpRequest, deployed: Deployed, path: str) -> Exchange:
    """An exchange for a request that arrived at a stage."""
    raw = ctx.ids.hex(22)
    return Exchange(
        http=http, deployed=deployed, path=path or "/", request_id=ctx.request_id,
        extended_id=b64encode(bytes.fromhex(raw)).decode().translate(_URL_SAFE), at=ctx.now, trace=ctx.trace,
        access_key=ctx.access_key, principal=ctx.principal, headers=_headers(http, ctx.trace), query=parse_query(http.query),
    )  # fmt: skip


_URL_SAFE = str.maketrans("+/", "-_")


def parse_query(query: str) -> dict[str, list[str]]:
    """A raw query string, decoded, every value kept, in order."""
    found: dict[str, list[str]] = {}
    for pair in query.split("&") if query else ():
        if pair:
            name, _, value = pair.partition("=")
            found.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return found


def _headers(http: HttpRequest, trace: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    spelt: dict[str, str] = {}
    for name, value in http.raw_headers or http.headers.items():
        found.setdefault(spelt.setdefault(name.lower(), name), []).append(value)
    port = http.headers.get("host", "").rpartition(":")[2]
    before = http.headers.get("x-forwarded-for")
    extra = {
        "X-Amzn-Trace-Id": trace,
        "X-Forwarded-For": f"{before}, {http.source_ip}" if before else http.source_ip,
        "X-Forwarded-Port": port if port.isdigit() else ("443" if http.scheme == "https" else "80"),
        "X-Forwarded-Proto": http.scheme,
    }
    for name, value in extra.items():
        found[spelt.get(name.lower(), name)] = [value]
    return found


def domain_of(exchange: Exchange) -> str:
    """The host that the client addressed when it names the API, else AWS's name of it."""
    host = exchange.http.headers.get("host", "").partition(":")[0]
    stage = exchange.deployed.stage
    return host if ".execute-api." in host else f"{stage.api_id}.execute-api.{stage.region}.amazonaws.com"


def request_context(exchange: Exchange) -> dict[str, Any]:
    """`requestContext` of proxy events, which is also `$context` of templates.

    Source: developer guide, "Input format of a Lambda function for proxy integration" (read 2026-11).
    """
    stage, http = exchange.deployed.stage, exchange.http
    domain = domain_of(exchange)
    identity: dict[str, Any] = dict.fromkeys(_UNSIGNED)
    signed = exchange.method.get("authorizationType") == "AWS_IAM"
    identity.update(
        accessKey=exchange.access_key if signed else None, accountId=stage.account if signed else None,
        caller=exchange.access_key if signed else None, user=exchange.access_key if signed else None,
        userArn=exchange.principal if signed else None, sourceIp=http.source_ip,
        userAgent=http.headers.get("user-agent"),
    )  # fmt: skip
    if exchange.usage_key is not None:
        identity["apiKey"] = exchange.usage_key
    if exchange.key_id is not None:
        identity["apiKeyId"] = exchange.key_id
    shown = exchange.path if exchange.path.startswith("/") else f"/{exchange.path}"
    authorizer = {"authorizer": exchange.authorizer} if exchange.authorizer else {}
    return {
        **authorizer,
        "resourceId": exchange.endpoint.resource_id if exchange.endpoint else None,
        "resourcePath": exchange.endpoint.path if exchange.endpoint else None,
        "httpMethod": http.method,
        "extendedRequestId": exchange.extended_id,
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(exchange.at)),
        "path": f"/{stage.name}{shown}",
        "accountId": stage.account,
        "protocol": f"HTTP/{http.http_version}",
        "stage": stage.name,
        "domainPrefix": domain.partition(".")[0],
        "requestTimeEpoch": int(exchange.at * 1000),
        "requestId": exchange.request_id,
        "identity": identity,
        "domainName": domain,
        "deploymentId": stage.deployment_id,
        "apiId": stage.api_id,
    }
