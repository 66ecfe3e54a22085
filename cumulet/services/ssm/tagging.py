"""AWS's rules for the tags of parameters.

Source: Systems Manager API_AddTagsToResource (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cumulet.services.ssm.errors import TooManyTagsError, ValidationException
from cumulet.services.ssm.model import TAGS


def tagged(now: Mapping[str, str], added: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """`now` with the tags of a request. Raises: TooManyTagsError, ValidationException."""
    tags = dict(now)
    for tag in added:
        if tag["Key"].lower().startswith("aws:") and not tag["Key"].startswith("aws:cloudformation:"):
            raise ValidationException("aws: prefixed tag key names are not allowed for external use.")
        tags[tag["Key"]] = tag["Value"]
    if len(tags) > TAGS:
        raise TooManyTagsError(f"A parameter can have at most {TAGS} tags.")
    return tags
