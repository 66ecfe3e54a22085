"""Tags on roles, users, policies and instance profiles: at most 50, unique keys without regard to case."""

from __future__ import annotations

from typing import Any

from cumulet.services.iam.errors import InvalidInput, LimitExceeded

_MOST = 50


def tagged(old: dict[str, str], tags: list[Any]) -> dict[str, str]:
    """`old` with `tags` ([{"Key", "Value"}]) put over it. Raises: InvalidInput, LimitExceeded."""
    names = [tag["Key"].lower() for tag in tags]
    if len(set(names)) < len(names):
        raise InvalidInput("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    for name in names:
        if name.startswith("aws:") and not name.startswith("aws:cloudformation:"):
            raise InvalidInput("Tag keys that begin with aws: are reserved for system use.")
    kept = {name: value for name, value in old.items() if name.lower() not in names}
    kept.update({tag["Key"]: tag["Value"] for tag in tags})
    if len(kept) > _MOST:
        raise LimitExceeded("The number of tags has reached the maximum limit.")
    return kept


def untagged(old: dict[str, str], names: list[str]) -> dict[str, str]:
    gone = {name.lower() for name in names}
    return {name: value for name, value in old.items() if name.lower() not in gone}
