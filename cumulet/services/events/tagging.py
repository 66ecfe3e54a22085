"""AWS's rules for the tags of buses and rules.

Source: EventBridge user guide, "Amazon EventBridge tags"; API_Tag (read 2026-11).
"""

from __future__ import annotations

from cumulet.services.events.errors import ValidationException

_MOST = 50


def merged_tags(now: dict[str, str], added: list[dict[str, str]]) -> dict[str, str]:
    """`now` with `added`. Raises: ValidationException."""
    for tag in added:
        if tag["Key"].lower().startswith("aws:") and not tag["Key"].startswith("aws:cloudformation:"):
            raise ValidationException("System tags cannot be added/updated by requester")
    tags = {**now, **{tag["Key"]: tag["Value"] for tag in added}}
    if len(tags) > _MOST:
        raise ValidationException(f"Tag limit exceeded: a resource can have at most {_MOST} tags.")
    return tags


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
