"""AWS's rules for the tags of keys.

Source: KMS API_TagResource; developer guide, "Tags in AWS KMS" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cumulet.services.kms.errors import LimitExceededException, TagException
from cumulet.services.kms.model import TAGS


def tagged(now: Mapping[str, str], added: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """`now` with the tags of a request. Raises: TagException, LimitExceededException."""
    tags, seen = dict(now), set()
    for tag in added:
        name = tag["TagKey"]
        if name.lower().startswith("aws:") and not name.startswith("aws:cloudformation:"):
            raise TagException("Tags beginning with aws: are reserved")
        if name in seen:
            raise TagException("Duplicate tag keys")
        seen.add(name)
        tags[name] = tag["TagValue"]
    if len(tags) > TAGS:
        raise LimitExceededException(f"You have exceeded the number of tags limit: {TAGS}.")
    return tags
