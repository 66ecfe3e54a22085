"""Rules for topics' tags: at most 50, no `aws:` keys but CloudFormation's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cumulet.services.sns.errors import InvalidParameter, TagLimitExceeded

_MOST = 50


def checked(now: dict[str, str], added: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """`now` with `added`. Raises: InvalidParameter, TagLimitExceeded. Source: SNS API_TagResource (read 2026-11)."""
    listed = [(tag["Key"], tag.get("Value", "")) for tag in added]
    if len({key for key, _ in listed}) < len(listed):
        raise InvalidParameter.of("Duplicated keys are not allowed.")
    for key, _ in listed:
        if key.lower().startswith("aws:") and not key.startswith("aws:cloudformation:"):
            raise InvalidParameter.of("Tag key cannot start with the reserved prefix aws:")
    tags = {**now, **dict(listed)}
    if len(tags) > _MOST:
        raise TagLimitExceeded("Could not complete request: tag quota of per resource exceeded")
    return tags
