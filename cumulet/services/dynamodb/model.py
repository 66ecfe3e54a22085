"""What DynamoDB keeps: tables, their indexes, and the keys of all rows.

`dynamodb/table/{account}/{region}/{name}`            Table
`dynamodb/item/{number}/{bucket}/{pk}[/{sk}]`         an item: its size (4 bytes, big endian), then its JSON
`dynamodb/index/{index}/{bucket}/{ipk}[/{isk}]/{pk}[/{sk}]`   an index row, in the same form
`dynamodb/ttl/{number}/{expiry}/{item's key}`         an item that expires
`dynamodb/size/{number}/{pk}`                         bytes of an item collection (tables with local indexes)
`dynamodb/stream/...`, `shard`, `record`, `sequence`   streams: see `streammodel`
`dynamodb/past/...`, `version`, `holder`              what tables were: see `past`
`dynamodb/count of account/...`                       what quotas limit: see `quotas`

Numbers come from a counter and are never used twice, so what remains of a deleted table or index is never seen again.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record

AttributeValue = dict[str, Any]
Item = dict[str, AttributeValue]

COUNTER: Key = ("dynamodb", "counter")


class Index(Record):
    """A global or local secondary index."""

    name: str
    number: int
    pk: str
    sk: str | None = None
    local: bool = False
    projection: str = "ALL"
    include: tuple[str, ...] = ()
    status: str = "ACTIVE"
    backfilling: bool = False
    cursor: bytes = b""
    read_units: int = 0
    write_units: int = 0
    max_read_units: int = 0
    max_write_units: int = 0
    increased_at: float = 0.0
    decreased_at: float = 0.0
    decreases: int = 0  # as a table's
    decreases_left: int = 0

    @property
    def rows(self) -> Key:
        return ("dynamodb", "index", self.number)


class TableStream(Record):
    """A table's latest stream: what a write must know of it.

    open    the number of the open shard of each of the 16 buckets that keys are hashed to; empty once it is disabled
    """

    number: int
    label: str
    view: str
    open: tuple[int, ...] = ()


class Restored(Record):
    """What a table was restored from: the ARNs of the table and, where it was one, of the backup; the moment."""

    table: str
    backup: str
    at: float
    going_on: bool


class Table(Record):
    """A table; `number` names its rows."""

    name: str
    account: str
    region: str
    table_id: str
    number: int
    attributes: dict[str, str]
    pk: str
    created_at: float
    sk: str | None = None
    status: str = "CREATING"
    billing_mode: str = "PROVISIONED"
    billed_since: float = 0.0
    read_units: int = 0
    write_units: int = 0
    increased_at: float = 0.0
    decreased_at: float = 0.0
    decreases: int = 0  # on the day of `decreased_at`
    decreases_left: int = 0  # as of `decreased_at`
    on_demand_at: tuple[float, ...] = ()  # the latest switches to on-demand mode
    indexes: tuple[Index, ...] = ()
    deletion_protection: bool = False
    table_class: str = ""
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    ttl_attribute: str = ""
    ttl_changed_at: float = 0.0
    stream: TableStream | None = None
    max_read_units: int = 0
    max_write_units: int = 0
    restored: Restored | None = None
    past: str = ""  # what writes must remember of what they replace: see `past`
    snapshot: int = -1
    pitr_since: float = 0.0
    pitr_days: int = 0
    policy: str = ""
    importing: str = ""  # the id of the import that fills it

    @property
    def arn(self) -> str:
        return f"arn:aws:dynamodb:{self.region}:{self.account}:table/{self.name}"

    @property
    def rows(self) -> Key:
        return ("dynamodb", "item", self.number)

    @property
    def ttl_rows(self) -> Key:
        return ("dynamodb", "ttl", self.number)

    @property
    def collection_rows(self) -> Key:
        return ("dynamodb", "size", self.number)

    @property
    def stream_arn(self) -> str:
        assert self.stream is not None
        return f"{self.arn}/stream/{self.stream.label}"

    @property
    def key(self) -> Key:
        return table_key(self.account, self.region, self.name)


def table_key(account: str, region: str, name: str) -> Key:
    return ("dynamodb", "table", account, region, name)
