"""Whether a policy that a Lambda authorizer returned allows a request: `execute-api:Invoke` on one resource.

Source: API Gateway developer guide, "API Gateway resource policy examples", "Output from an API Gateway Lambda authorizer";
IAM user guide, "Policy evaluation logic" (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_ACTION = "execute-api:Invoke"


def decision(policy: Mapping[str, Any], resource: str) -> str:
    """Allow; Deny for an explicit one, which wins; or "" where nothing speaks of the resource.

    Conditions are not evaluated: a Deny holds whatever its condition says, an Allow with one does not.
    """
    statements = policy.get("Statement") or ()
    allowed = False
    for statement in [statements] if isinstance(statements, Mapping) else statements:
        if not isinstance(statement, Mapping) or not _names(statement, "Action", _ACTION, re.IGNORECASE):
            continue
        if not _names(statement, "Resource", resource):
            continue
        if statement.get("Effect") == "Deny":
            return "Deny"
        allowed = allowed or (statement.get("Effect") == "Allow" and not statement.get("Condition"))
    return "Allow" if allowed else ""


def _names(statement: Mapping[str, Any], member: str, value: str, flags: int = 0) -> bool:
    if member in statement:
        return any(_matches(pattern, value, flags) for pattern in _listed(statement[member]))
    excluded = statement.get(f"Not{member}")
    return excluded is not None and not any(_matches(pattern, value, flags) for pattern in _listed(excluded))


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _matches(pattern: Any, value: str, flags: int) -> bool:
    """`*` is any text, also across slashes; `?` is one letter."""
    if not isinstance(pattern, str):
        return False
    parts = (".*" if letter == "*" else "." if letter == "?" else re.escape(letter) for letter in pattern)
    return re.fullmatch("".join(parts), value, flags | re.DOTALL) is not None
