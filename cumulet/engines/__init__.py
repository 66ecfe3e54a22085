"""Real engines as supervised child processes: a well-known server where AWS runs that server."""

from __future__ import annotations

from cumulet.engines.model import Measured, PostgresSpec, Started

__all__ = ["Measured", "PostgresSpec", "Started"]
