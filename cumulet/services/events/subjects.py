"""Which bus a request is for: what traces and the console's map show as a call of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cumulet.kernel.service import SubjectOf

DEFAULT_BUS = "default"


def _buses(req: dict[str, Any]) -> tuple[str, ...]:
    return tuple({entry.get("EventBusName", DEFAULT_BUS) for entry in req.get("Entries", ())})


def _default(req: dict[str, Any]) -> str:
    return DEFAULT_BUS


SUBJECTS: Mapping[str, SubjectOf] = {"PutEvents": _buses, "cumulet:Emit": _default, "cumulet:Forward": "Bus"}
