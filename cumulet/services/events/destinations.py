"""Operations on API destinations."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.events.connected import Connection, Destination, connection_key, counted, destination_key
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
_RATE = 300


def create_api_destination(ctx: Context, req: Json) -> Json:
    """Name an HTTP endpoint, with a connection, that rules may have as a target; by default 300 requests a second at most.

    Plain http is taken too, for what runs on this machine.
    Raises: ResourceAlreadyExistsException, ResourceNotFoundException, ValidationException, LimitExceededException.
    Source: EventBridge API_CreateApiDestination; user guide, "API destinations" (read 2026-11).
    """
    name = req["Name"]
    if ctx.tx.get(destination_key(ctx.account, ctx.region, name), Destination) is not None:
        raise ResourceAlreadyExistsException(f"An api-destination '{name}' already exists.")
    _check_endpoint(req["InvocationEndpoint"])
    connection = _connection(ctx, req["ConnectionArn"])
    if counted(ctx, "destination", 1) > _MOST:
        raise LimitExceededException("The requested resource exceeds the maximum number allowed.")
    destination = Destination(
        account=ctx.account, region=ctx.region, name=name, id=ctx.ids.uuid(), connection=connection.name,
        connection_arn=connection.arn, endpoint=req["InvocationEndpoint"], method=req["HttpMethod"],
        rate=req.get("InvocationRateLimitPerSecond", _RATE), created=ctx.now, modified=ctx.now,
        description=req.get("Description"),
    )  # fmt: skip
    ctx.tx.put(destination.key, destination)
    return _answer(ctx, destination)


def update_api_destination(ctx: Context, req: Json) -> Json:
    """Change an API destination.

    Raises: ResourceNotFoundException, ValidationException. Source: EventBridge API_UpdateApiDestination (read 2026-11).
    """
    destination = _found(ctx, req["Name"])
    if "ConnectionArn" in req:
        connection = _connection(ctx, req["ConnectionArn"])
        destination = replace(destination, connection=connection.name, connection_arn=connection.arn)
    if "InvocationEndpoint" in req:
        _check_endpoint(req["InvocationEndpoint"])
    destination = replace(
        destination,
        endpoint=req.get("InvocationEndpoint", destination.endpoint),
        method=req.get("HttpMethod", destination.method),
        rate=req.get("InvocationRateLimitPerSecond", destination.rate),
        description=req.get("Description", destination.description),
        modified=ctx.now,
    )
    ctx.tx.put(destination.key, destination)
    return _answer(ctx, destination)


def delete_api_destination(ctx: Context, req: Json) -> Json:
    """Delete an API destination. Raises: ResourceNotFoundException. Source: EventBridge API_DeleteApiDestination (read 2026-11)."""
    ctx.tx.delete(_found(ctx, req["Name"]).key)
    counted(ctx, "destination", -1)
    return {}


def describe_api_destination(ctx: Context, req: Json) -> Json:
    """An API destination; INACTIVE while its connection is not authorized.

    Raises: ResourceNotFoundException. Source: EventBridge API_DescribeApiDestination (read 2026-11).
    """
    destination = _found(ctx, req["Name"])
    described = _shown(ctx, destination)
    if destination.description is not None:
        described["Description"] = destination.description
    return described


def list_api_destinations(ctx: Context, req: Json) -> Json:
    """The API destinations by name, 100 at a time.

    Raises: InvalidToken. Source: EventBridge API_ListApiDestinations (read 2026-11).
    """
    found = (
        (destination.name, _shown(ctx, destination))
        for _, destination in ctx.tx.scan((ROOT, "destination", ctx.account, ctx.region), Destination)
        if destination.name.startswith(req.get("NamePrefix", ""))
        and req.get("ConnectionArn", destination.connection_arn) == destination.connection_arn
    )
    return page_of(req, found, "ApiDestinations")


def _check_endpoint(endpoint: str) -> None:
    if not endpoint.startswith(("https://", "http://")):
        raise ValidationException("Parameter InvocationEndpoint is not valid. Reason: it must be an HTTP endpoint.")


def _connection(ctx: Context, arn: str) -> Connection:
    name = arn.split("/")[1]
    connection = ctx.tx.get(connection_key(ctx.account, ctx.region, name), Connection)
    if connection is None or connection.arn != arn:
        raise ResourceNotFoundException(f"Connection '{arn}' does not exist.")
    return connection


def _found(ctx: Context, name: str) -> Destination:
    destination = ctx.tx.get(destination_key(ctx.account, ctx.region, name), Destination)
    if destination is None:
        raise ResourceNotFoundException(
            f"Failed to describe the api-destination(s). An api-destination '{name}' does not exist."
        )
    return destination


def _state(ctx: Context, destination: Destination) -> str:
    key = connection_key(destination.account, destination.region, destination.connection)
    connection = ctx.tx.get(key, Connection)
    return "ACTIVE" if connection is not None and connection.state == "AUTHORIZED" else "INACTIVE"


def _shown(ctx: Context, destination: Destination) -> Json:
    return {
        "ApiDestinationArn": destination.arn,
        "Name": destination.name,
        "ApiDestinationState": _state(ctx, destination),
        "ConnectionArn": destination.connection_arn,
        "InvocationEndpoint": destination.endpoint,
        "HttpMethod": destination.method,
        "InvocationRateLimitPerSecond": destination.rate,
        "CreationTime": destination.created,
        "LastModifiedTime": destination.modified,
    }


def _answer(ctx: Context, destination: Destination) -> Json:
    shown = _shown(ctx, destination)
    members = ("ApiDestinationArn", "ApiDestinationState", "CreationTime", "LastModifiedTime")
    return {member: shown[member] for member in members}
