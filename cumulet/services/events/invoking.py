"""API destinations and API Gateway's APIs as targets: one HTTP request an event.

Source: EventBridge user guide, "API destinations" (read 2026-11).
"""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import msgspec

from cumulet.aws.arn import Arn
from cumulet.aws.errors import AwsError, GenericAwsError
from cumulet.aws.http import HttpCall, HttpReply
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Effect, EffectFailed
from cumulet.services.events.connected import Connection, Destination, connection_key, destination_key
from cumulet.services.events.errors import ResourceNotFoundException
from cumulet.services.events.inputs import path_of, value_at
from cumulet.services.events.model import Delivery

Json = dict[str, Any]
_TIMEOUT_S = 5.0
_API_TIMEOUT_S = 30.0
_HEADERS = {
    "user-agent": "Amazon/EventBridge/ApiDestinations",
    "content-type": "application/json; charset=utf-8",
    "range": "bytes=0-1048575",
}


def invoke(ctx: Context, delivery: Delivery, arn: Arn) -> Effect:
    """The request to an API destination, or to an API of API Gateway by its execute-api ARN.

    Raises: ResourceNotFoundException, AccessDenied (a connection without authorization).
    """
    if arn.service == "execute-api":
        api, stage, method, *path = arn.resource.split("/")
        url = f"{ctx.endpoint}/_aws/execute-api/{api}/{stage}/{'/'.join(path)}"
        return Effect("http", (_request(delivery, method, url, {}, {}, _API_TIMEOUT_S),), _settle)
    name = arn.resource.split("/")[1]
    destination = ctx.tx.get(destination_key(arn.account, arn.region, name), Destination)
    if destination is None or destination.arn != str(arn):
        raise ResourceNotFoundException(f"Api-destination {name} does not exist.")
    connection = ctx.tx.get(connection_key(arn.account, arn.region, destination.connection), Connection)
    if connection is None:
        raise ResourceNotFoundException(f"Connection {destination.connection} does not exist.")
    if connection.state != "AUTHORIZED":
        raise GenericAwsError("AccessDenied", f"Connection {connection.name} is not authorized.", 403)
    invocation = connection.auth.get("InvocationHttpParameters", {})
    call = _request(
        delivery, destination.method, destination.endpoint, invocation, _authorization(connection), _TIMEOUT_S
    )
    return Effect("http", (call,), _settle)


def reserve(ctx: Context, target: Json, at: float) -> float:
    """When an API destination's rate lets an invocation begin that is due at `at`; other targets have no rate."""
    arn = Arn.parse(target["Arn"])
    if arn.service != "events" or not arn.resource.startswith("api-destination/"):
        return at
    destination = ctx.tx.get(destination_key(arn.account, arn.region, arn.resource.split("/")[1]), Destination)
    if destination is None:
        return at
    place = f"events.rate {target['Arn']}"
    free, as_of = ctx.pipeline.volatile.get(place, (0.0, 0.0))
    begin: float = max(at, free) if as_of <= ctx.now else at  # a clock that went back begins anew
    ctx.pipeline.volatile[place] = (begin + 1.0 / destination.rate, ctx.now)
    return begin


def _request(
    delivery: Delivery, method: str, url: str, invocation: Json, authorization: dict[str, str], timeout_s: float
) -> HttpCall:
    """`invocation` is what a connection adds. Stars in the URL's path are filled with the target's path parameters."""
    event = msgspec.json.decode(delivery.event)
    parameters = delivery.target.get("HttpParameters", {})
    headers = dict(_HEADERS)
    for name, value in parameters.get("HeaderParameters", {}).items():
        headers[name.lower()] = _dynamic(value, event)
    query = [(name, _dynamic(value, event)) for name, value in parameters.get("QueryStringParameters", {}).items()]
    for each in invocation.get("HeaderParameters", ()):
        headers[each["Key"].lower()] = each.get("Value", "")
    query += [(each["Key"], each.get("Value", "")) for each in invocation.get("QueryStringParameters", ())]
    headers.update(authorization)
    body = b"" if method in ("GET", "HEAD") else _with_body(delivery.payload, invocation.get("BodyParameters", ()))
    for value in parameters.get("PathParameterValues", ()):
        url = url.replace("*", quote(_dynamic(value, event), safe=""), 1)
    if query:
        parts = urlsplit(url)
        url = urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(query))))))
    return HttpCall(method, url, headers, body, timeout_s)


def _dynamic(value: str, event: Json) -> str:
    """A parameter's value; one that is a JSON path is taken from the event."""
    path = path_of(value)
    if path is None:
        return value
    found = value_at(event, path)
    if isinstance(found, str):
        return found
    try:
        return msgspec.json.encode(found).decode()
    except TypeError:  # nothing is there
        return ""


def _authorization(connection: Connection) -> dict[str, str]:
    if connection.kind == "BASIC":
        basic = connection.auth["BasicAuthParameters"]
        pair = f"{basic['Username']}:{basic['Password']}".encode()
        return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
    key = connection.auth["ApiKeyAuthParameters"]
    return {key["ApiKeyName"].lower(): key["ApiKeyValue"]}


def _with_body(payload: bytes, parameters: Any) -> bytes:
    """The payload with a connection's body parameters, where it is a JSON object."""
    if not parameters:
        return payload
    try:
        body = read_json(payload, type=dict[str, msgspec.Raw])
    except NotJson:
        return payload
    return msgspec.json.encode({**body, **{each["Key"]: each.get("Value", "") for each in parameters}})


def _settle(ctx: Context, outcome: HttpReply | EffectFailed) -> Json:
    """Raises: AwsError, judged by its status; 429 and 5xx are tried again, after Retry-After at the earliest."""
    if isinstance(outcome, EffectFailed):
        code = {"Timeout": "TIMEOUT", "ConnectionFailed": "CONNECTION_FAILURE"}.get(outcome.code)
        raise _refused(400 if code is None else 503, outcome.message, code or "INVALID_PARAMETER")
    if 200 <= outcome.status < 300:
        return {}
    again = outcome.status == 429 or outcome.status >= 500
    code = "THROTTLING" if outcome.status == 429 else "ERROR_FROM_TARGET"
    try:
        wait = float(outcome.headers.get("retry-after", ""))
    except ValueError:
        wait = 0.0
    status = outcome.status if again and outcome.status != 501 else 503 if again else 400
    raise _refused(status, f"The endpoint answered with status {outcome.status}.", code, wait)


def _refused(status: int, message: str, code: str, wait: float = 0.0) -> AwsError:
    return GenericAwsError("HttpError", message, status, members={"ErrorCode": code, "RetryAfter": wait})
