"""Which tables a request is for: what traces and the console's map show as a call of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from cumulet.kernel.service import SubjectOf

_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+\"?([\w.-]+)", re.I)
_Json = dict[str, Any]


def _batched(req: _Json) -> tuple[str, ...]:
    return tuple(req.get("RequestItems", ()))


def _in_actions(req: _Json) -> tuple[str, ...]:
    """A transaction's tables: each entry has one action, with its table."""
    return tuple({action["TableName"]: None for entry in req["TransactItems"] for action in entry.values()})


def _in_statements(entries: Iterable[_Json]) -> tuple[str, ...]:
    """The tables that PartiQL statements name first."""
    found = (_TABLE.search(entry.get("Statement", "")) for entry in entries)
    return tuple(dict.fromkeys(match[1] for match in found if match))


SUBJECTS: Mapping[str, SubjectOf] = {
    **dict.fromkeys(("PutItem", "GetItem", "UpdateItem", "DeleteItem", "Query", "Scan"), "TableName"),
    "BatchGetItem": _batched,
    "BatchWriteItem": _batched,
    "TransactGetItems": _in_actions,
    "TransactWriteItems": _in_actions,
    "ExecuteStatement": lambda req: _in_statements([req]),
    "BatchExecuteStatement": lambda req: _in_statements(req.get("Statements", ())),
    "ExecuteTransaction": lambda req: _in_statements(req.get("TransactStatements", ())),
}
