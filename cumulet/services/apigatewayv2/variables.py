"""`$context` of an HTTP API's request: what selection expressions and access logs may name.

Source: developer guide, "Customize HTTP API access logs" (the table of variables; read 2026-11).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cumulet.services.apigatewayv2.events import Exchange


def context_of(exchange: Exchange) -> dict[str, Any]:
    """The variables that are known so far; `identity`, `authorizer`, `integration` and `error` are maps."""
    http, stage = exchange.http, exchange.api.stage
    domain = domain_of(exchange)
    identity: dict[str, Any] = {"sourceIp": http.source_ip, "userAgent": http.headers.get("user-agent")}
    if exchange.target is not None and exchange.target.signed:
        identity.update(accountId=stage.account, caller=exchange.access_key, user=exchange.access_key,
                        userArn=exchange.principal)  # fmt: skip
    noted = exchange.noted
    return {
        "accountId": stage.account,
        "apiId": stage.api_id,
        "authorizer": exchange.authorizer,
        "awsEndpointRequestId": noted.get("requestId"),
        "domainName": domain,
        "domainPrefix": domain.partition(".")[0],
        "extendedRequestId": exchange.request_id,
        "httpMethod": http.method,
        "identity": identity,
        "integration": noted,
        "integrationErrorMessage": noted.get("error"),
        "integrationLatency": noted.get("latency"),
        "integrationStatus": noted.get("integrationStatus", noted.get("status")),
        "path": exchange.path,
        "protocol": f"HTTP/{http.http_version}",
        "requestId": exchange.request_id,
        "requestTime": clf_time(exchange.at),
        "requestTimeEpoch": int(exchange.at * 1000),
        "routeKey": exchange.target.key if exchange.target is not None else None,
        "stage": stage.name,
    }


def clf_time(at: float) -> str:
    return time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(at))


def domain_of(exchange: Exchange) -> str:
    """The host that the client addressed when it names the API, else AWS's name of it."""
    host = exchange.http.headers.get("host", "").partition(":")[0]
    stage = exchange.api.stage
    return host if ".execute-api." in host else f"{stage.api_id}.execute-api.{stage.region}.amazonaws.com"


def looked_up(values: Any, names: str) -> Any:
    """The value at `a.b.c` of nested maps; None where there is none."""
    for name in names.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values
