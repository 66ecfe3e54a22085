"""Capacity units: what a request consumed, and ConsumedCapacity in its three forms.

Source: developer guide, "DynamoDB read and write operations" (read 2026-11).
"""

from __future__ import annotations

from typing import Any

_READ_UNIT, _WRITE_UNIT = 4096, 1024


def read_units(size: int, consistent: bool) -> float:
    """Units for reading `size` bytes: one per 4 KiB, half of it when eventually consistent."""
    units = max(1, -(-size // _READ_UNIT))
    return float(units) if consistent else units / 2


def write_units(size: int) -> float:
    """Units for writing `size` bytes: one per KiB."""
    return float(max(1, -(-size // _WRITE_UNIT)))


class Tally:
    """What one request consumed of one table and of its indexes."""

    __slots__ = ("global_", "local", "name", "read", "table", "write")

    def __init__(self, name: str) -> None:
        self.name = name
        self.table = 0.0
        self.global_: dict[str, float] = {}
        self.local: dict[str, float] = {}

    def add_index(self, name: str, local: bool, units: float) -> None:
        units_of = self.local if local else self.global_
        units_of[name] = units_of.get(name, 0.0) + units

    def join(self, other: Tally) -> None:
        """Add what another request consumed of the same table."""
        self.table += other.table
        for mine, theirs in ((self.global_, other.global_), (self.local, other.local)):
            for name, units in theirs.items():
                mine[name] = mine.get(name, 0.0) + units

    def times(self, factor: float) -> None:
        """Transactions consume twice."""
        self.table *= factor
        for units in (self.global_, self.local):
            for name in units:
                units[name] *= factor

    def answer(self, level: str, split: str = "") -> dict[str, Any]:
        """ConsumedCapacity for TOTAL or INDEXES; `split` names the units as Read- or WriteCapacityUnits, too."""
        total = self.table + sum(self.global_.values()) + sum(self.local.values())
        out: dict[str, Any] = {"TableName": self.name, **_units(total, split)}
        if level == "INDEXES":
            out["Table"] = _units(self.table, split)
            if self.local:
                out["LocalSecondaryIndexes"] = {name: _units(units, split) for name, units in self.local.items()}
            if self.global_:
                out["GlobalSecondaryIndexes"] = {name: _units(units, split) for name, units in self.global_.items()}
        return out


def _units(units: float, split: str) -> dict[str, float]:
    out = {"CapacityUnits": units}
    if split:
        out[f"{split}CapacityUnits"] = units
    return out
