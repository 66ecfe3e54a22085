"""What a queue's tags may be.

Source: SQS developer guide, "Amazon SQS standard queue quotas", queue tag (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from cumulet.services.sqs.errors import InvalidParameterValue

_MOST = 50
_KEY = re.compile(r"[\w\s.:/=+\-@]{1,128}")
_VALUE = re.compile(r"[\w\s.:/=+\-@]{0,256}")


def checked(given: Mapping[str, str], there: Mapping[str, str]) -> dict[str, str]:
    """The tags there together with those given. Raises: InvalidParameterValue."""
    for key, value in given.items():
        if not _KEY.fullmatch(key):
            raise InvalidParameterValue("Tag keys must be between 1 and 128 characters in length.")
        if key.lower().startswith("aws:") and not key.startswith("aws:cloudformation:"):
            raise InvalidParameterValue("Tag keys that begin with aws: are reserved for AWS use.")
        if not _VALUE.fullmatch(value):
            raise InvalidParameterValue("Tag values must be between 0 and 256 characters in length.")
    together = {**there, **given}
    if len(together) > _MOST:
        raise InvalidParameterValue(f"Too many tags added for queue. Maximum number of tags is {_MOST}.")
    return together
