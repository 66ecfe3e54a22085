"""AWS's rules for the tags of log groups."""

from __future__ import annotations

from cumulet.services.logs.errors import InvalidParameterException, TooManyTagsException

_MOST = 50


def checked_tags(now: dict[str, str], added: dict[str, str]) -> dict[str, str]:
    """`now` with `added`. Raises: InvalidParameterException, TooManyTagsException.

    Source: CloudWatch Logs API_TagResource (read 2026-11).
    """
    for key in added:
        if key.lower().startswith("aws:") and not key.startswith("aws:cloudformation:"):
            raise InvalidParameterException("aws: prefixed tag key names are not allowed for external use.")
    tags = {**now, **added}
    if len(tags) > _MOST:
        raise TooManyTagsException("The maximum number of tags that can be applied to this resource is 50.")
    return tags
