"""Operations on connections: what API destinations are authorized with."""

from __future__ import annotations

from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.events.connected import Connection, connection_key, counted
from cumulet.services.events.errors import (
    LimitExceededException,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
    ValidationException,
)
from cumulet.services.events.model import ROOT
from cumulet.services.events.paging import page_of

Json = dict[str, Any]
_MOST = 3000
_PARAMETERS = {"API_KEY": "ApiKeyAuthParameters", "BASIC": "BasicAuthParameters"}
_SECRET = {"Password", "ApiKeyValue"}


def create_connection(ctx: Context, req: Json) -> Json:
    """Keep an API key, or a user name and a password, for API destinations. It is AUTHORIZED at once.

    The secret is kept in the connection, not in Secrets Manager; so there is no SecretArn.
    Raises: ResourceAlreadyExistsException, ValidationException, LimitExceededException, NotImplementedOnCumulet (OAuth, private
    APIs, KmsKeyIdentifier).
    Source: EventBridge API_CreateConnection; user guide, "Connections for API destinations" (read 2026-11).
    """
    name = req["Name"]
    if ctx.tx.get(connection_key(ctx.account, ctx.region, name), Connection) is not None:
        raise ResourceAlreadyExistsException(f"Connection {name} already exists.")
    _check(req, req["AuthorizationType"])
    if counted(ctx, "connection", 1) > _MOST:
        raise LimitExceededException("The requested resource exceeds the maximum number allowed.")
    connection = Connection(
        account=ctx.account, region=ctx.region, name=name, id=ctx.ids.uuid(), kind=req["AuthorizationType"],
        auth=req["AuthParameters"], created=ctx.now, modified=ctx.now, authorized=ctx.now,
        description=req.get("Description"),
    )  # fmt: skip
    ctx.tx.put(connection.key, connection)
    return _answer(connection, "CreationTime", "LastModifiedTime")


def update_connection(ctx: Context, req: Json) -> Json:
    """Change a connection's description or authorization.

    Raises: ResourceNotFoundException, ValidationException, NotImplementedOnCumulet. Source: EventBridge API_UpdateConnection (read 2026-11).
    """
    connection = _found(ctx, req["Name"])
    kind = req.get("AuthorizationType", connection.kind)
    auth = {**connection.auth, **req.get("AuthParameters", {})}
    auth = {
        member: value
        for member, value in auth.items()
        if member not in _PARAMETERS.values() or member == _PARAMETERS.get(kind)
    }
    if _PARAMETERS.get(kind) in req.get("AuthParameters", {}):
        auth[_PARAMETERS[kind]] = {**connection.auth.get(_PARAMETERS[kind], {}), **auth[_PARAMETERS[kind]]}
    _check({**req, "AuthParameters": auth}, kind)
    connection = replace(
        connection, kind=kind, auth=auth, description=req.get("Description", connection.description), modified=ctx.now,
        authorized=ctx.now, state="AUTHORIZED",
    )  # fmt: skip
    ctx.tx.put(connection.key, connection)
    return _answer(connection, "CreationTime", "LastModifiedTime", "LastAuthorizedTime")


def delete_connection(ctx: Context, req: Json) -> Json:
    """Delete a connection. Raises: ResourceNotFoundException. Source: EventBridge API_DeleteConnection (read 2026-11)."""
    connection = _found(ctx, req["Name"])
    ctx.tx.delete(connection.key)
    counted(ctx, "connection", -1)
    return {
        **_answer(connection, "CreationTime", "LastModifiedTime", "LastAuthorizedTime"),
        "ConnectionState": "DELETING",
    }


def deauthorize_connection(ctx: Context, req: Json) -> Json:
    """Forget a connection's secrets; until it is updated its API destinations get nothing.

    Raises: ResourceNotFoundException. Source: EventBridge API_DeauthorizeConnection (read 2026-11).
    """
    connection = replace(_found(ctx, req["Name"]), state="DEAUTHORIZED", auth={}, modified=ctx.now)
    ctx.tx.put(connection.key, connection)
    return _answer(connection, "CreationTime", "LastModifiedTime", "LastAuthorizedTime")


def describe_connection(ctx: Context, req: Json) -> Json:
    """A connection without its secrets.

    Raises: ResourceNotFoundException. Source: EventBridge API_DescribeConnection (read 2026-11).
    """
    connection = _found(ctx, req["Name"])
    described = {**_shown(connection), "AuthParameters": _without_secrets(connection.auth)}
    if connection.description is not None:
        described["Description"] = connection.description
    return described


def list_connections(ctx: Context, req: Json) -> Json:
    """The connections by name, 100 at a time. Raises: InvalidToken. Source: EventBridge API_ListConnections (read 2026-11)."""
    found = (
        (connection.name, _shown(connection))
        for _, connection in ctx.tx.scan((ROOT, "connection", ctx.account, ctx.region), Connection)
        if connection.name.startswith(req.get("NamePrefix", ""))
        and req.get("ConnectionState", connection.state) == connection.state
    )
    return page_of(req, found, "Connections")


def _check(req: Json, kind: str) -> None:
    if kind == "OAUTH_CLIENT_CREDENTIALS":
        raise NotImplementedOnCumulet(
            "EventBridge's authorization type OAUTH_CLIENT_CREDENTIALS is not implemented by Cumulet."
        )
    for member in ("InvocationConnectivityParameters", "KmsKeyIdentifier"):
        if member in req:
            raise NotImplementedOnCumulet(
                f"EventBridge's setting {member} of connections is not implemented by Cumulet."
            )
    auth = req["AuthParameters"]
    if "ConnectivityParameters" in auth:
        raise NotImplementedOnCumulet(
            "EventBridge's setting ConnectivityParameters of connections is not implemented by Cumulet."
        )
    given = [member for member in (*_PARAMETERS.values(), "OAuthParameters") if member in auth]
    if given != [_PARAMETERS[kind]]:
        raise ValidationException(
            f"Parameter AuthParameters is not valid. Reason: {kind} needs {_PARAMETERS[kind]} alone."
        )


def _found(ctx: Context, name: str) -> Connection:
    connection = ctx.tx.get(connection_key(ctx.account, ctx.region, name), Connection)
    if connection is None:
        raise ResourceNotFoundException(f"Failed to describe the connection(s). Connection '{name}' does not exist.")
    return connection


def _shown(connection: Connection) -> Json:
    return {
        "ConnectionArn": connection.arn,
        "Name": connection.name,
        "ConnectionState": connection.state,
        "AuthorizationType": connection.kind,
        "CreationTime": connection.created,
        "LastModifiedTime": connection.modified,
        "LastAuthorizedTime": connection.authorized,
    }


def _answer(connection: Connection, *times: str) -> Json:
    shown = _shown(connection)
    return {member: shown[member] for member in ("ConnectionArn", "ConnectionState", *times)}


def _without_secrets(auth: Json) -> Json:
    shown: Json = {}
    for member, value in auth.items():
        if member == "InvocationHttpParameters":
            shown[member] = {
                where: [
                    {name: each[name] for name in each if name != "Value" or not each.get("IsValueSecret")}
                    for each in parameters
                ]
                for where, parameters in value.items()
            }
        else:
            shown[member] = {name: each for name, each in value.items() if name not in _SECRET}
    return shown
