"""AWS's rules for the tags of alarms and dashboards."""

from __future__ import annotations

from collections.abc import Iterable

from cumulet.services.cloudwatch.errors import InvalidParameterValue

_MOST = 50


def checked_tags(now: dict[str, str], added: Iterable[dict[str, str]]) -> dict[str, str]:
    """`now` with `added`. Raises: InvalidParameterValue.

    Source: CloudWatch API_TagResource, API_Tag (read 2026-11).
    """
    tags = dict(now)
    for tag in added:
        key = tag["Key"]
        if key.lower().startswith("aws:") and not key.startswith("aws:cloudformation:"):
            raise InvalidParameterValue("Tag keys starting with aws: are reserved for system use.")
        tags[key] = tag["Value"]
    if len(tags) > _MOST:
        raise InvalidParameterValue("The maximum number of tags that can be applied to a resource is 50.")
    return tags
