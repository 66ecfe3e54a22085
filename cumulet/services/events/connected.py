"""Connections and API destinations, and their keys."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record
from cumulet.services.events.model import ROOT


class Connection(Record):
    """How API destinations are authorized. `auth` holds secrets."""

    account: str
    region: str
    name: str
    id: str
    kind: str  # API_KEY or BASIC
    auth: dict[str, Any]
    created: float
    modified: float
    authorized: float
    state: str = "AUTHORIZED"
    description: str | None = None

    @property
    def key(self) -> Key:
        return connection_key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        return f"arn:aws:events:{self.region}:{self.account}:connection/{self.name}/{self.id}"


class Destination(Record):
    """An HTTP endpoint that rules may have as a target. `connection` is a name."""

    account: str
    region: str
    name: str
    id: str
    connection: str
    connection_arn: str
    endpoint: str
    method: str
    rate: int
    created: float
    modified: float
    description: str | None = None

    @property
    def key(self) -> Key:
        return destination_key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        return f"arn:aws:events:{self.region}:{self.account}:api-destination/{self.name}/{self.id}"


def connection_key(account: str, region: str, name: str) -> Key:
    return (ROOT, "connection", account, region, name)


def destination_key(account: str, region: str, name: str) -> Key:
    return (ROOT, "destination", account, region, name)


def counted(ctx: Context, kind: str, by: int) -> int:
    """The number of connections or destinations of this account and region, after a change."""
    return ctx.tx.add((ROOT, "count", kind, ctx.account, ctx.region), by)
