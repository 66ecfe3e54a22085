"""What services and engines say to each other. Importing it costs nothing: engines load on first use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PostgresSpec:
    """One PostgreSQL server as it is wanted.

    ident     names its folder, and the server itself towards the supervisor; never used again for another one
    owner     given back when it ends unexpectedly
    port      on loopback
    master    the user it is made for, who owns `databases`
    verifier  SCRAM-SHA-256 verifier of the master's password; the password itself is kept nowhere
    databases made at its first start
    settings  postgresql.conf, beyond what the supervisor sets
    """

    ident: str
    owner: tuple[str, ...]
    port: int
    master: str
    verifier: str
    databases: tuple[str, ...]
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Started:
    """An engine accepts connections. `version` is its own word: "18.6"."""

    version: str


@dataclass(frozen=True)
class Measured:
    """How an engine does: client connections, and bytes free where its data is."""

    connections: int
    free_bytes: int
