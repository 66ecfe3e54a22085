"""AWS's rules for tags."""

from __future__ import annotations

from cumulet.services.lambda_.errors import InvalidParameterValueException

_MOST = 50


def check_tags(now: dict[str, str], added: dict[str, str]) -> dict[str, str]:
    """`now` with `added`. Raises: InvalidParameterValueException.

    Source: Lambda developer guide, "Using tags on Lambda functions" (read 2026-11).
    """
    for key, value in added.items():
        if key.lower().startswith("aws:") and not key.startswith("aws:cloudformation:"):
            raise InvalidParameterValueException(f"Tag keys starting with 'aws:' are reserved for system use: {key}")
        if not 1 <= len(key) <= 128:
            raise InvalidParameterValueException("Tag keys must have 1 to 128 characters.")
        if len(value) > 256:
            raise InvalidParameterValueException("Tag values must have at most 256 characters.")
    tags = {**now, **added}
    if len(tags) > _MOST:
        raise InvalidParameterValueException(f"Number of tags must not exceed {_MOST}.")
    return tags
