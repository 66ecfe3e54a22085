"""Whether a bucket's policy lets anyone in.

Conditions are not evaluated: a Deny holds whatever its condition says, an Allow with one does not.
Source: S3 user guide, "Setting permissions for website access", "Blocking public access" (read 2026-11).
"""

from __future__ import annotations

import json
import re
from typing import Any

from cumulet.services.s3.model import Bucket


def allows_anyone(bucket: Bucket, action: str, resource: str) -> bool:
    """Whether an unsigned request may do `action` ("s3:GetObject") on `resource` (an ARN)."""
    if bucket.policy is None or (bucket.public_access or {}).get("RestrictPublicBuckets"):
        return False
    found = json.loads(bucket.policy)["Statement"]
    allowed = False
    for statement in [found] if isinstance(found, dict) else found:
        if not _is_for(statement, action, resource):
            continue
        if statement["Effect"] == "Deny":
            return False
        allowed = allowed or not statement.get("Condition")
    return allowed


def _is_for(statement: dict[str, Any], action: str, resource: str) -> bool:
    return (
        _names_anyone(statement)
        and _names(statement, "Action", action, re.IGNORECASE)
        and _names(statement, "Resource", resource)
    )


def _names_anyone(statement: dict[str, Any]) -> bool:
    if "Principal" not in statement:  # NotPrincipal: everyone but those named
        return True
    principal = statement["Principal"]
    return "*" in _listed(principal.get("AWS", []) if isinstance(principal, dict) else principal)


def _names(statement: dict[str, Any], member: str, value: str, flags: int = 0) -> bool:
    if member in statement:
        return any(_matches(each, value, flags) for each in _listed(statement[member]))
    return not any(_matches(each, value, flags) for each in _listed(statement.get(f"Not{member}", [])))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _matches(pattern: str, value: str, flags: int) -> bool:
    parts = (".*" if letter == "*" else "." if letter == "?" else re.escape(letter) for letter in pattern)
    return re.fullmatch("".join(parts), value, flags | re.DOTALL) is not None
