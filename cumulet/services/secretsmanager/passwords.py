"""Random passwords.

Source: Secrets Manager API_GetRandomPassword (read 2026-11).
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from typing import Any

from cumulet.services.secretsmanager.errors import InvalidParameterException

_TYPES = (
    ("ExcludeLowercase", string.ascii_lowercase),
    ("ExcludeUppercase", string.ascii_uppercase),
    ("ExcludeNumbers", string.digits),
    ("ExcludePunctuation", string.punctuation),
)
_LENGTH = 32


def made(req: Mapping[str, Any]) -> str:
    """A password as a request wants it. Raises: InvalidParameterException where there is none."""
    excluded = set(req.get("ExcludeCharacters", ""))
    kinds = [letters for member, letters in _TYPES if not req.get(member)]
    if req.get("IncludeSpace"):
        kinds.append(" ")
    kinds = ["".join(letter for letter in letters if letter not in excluded) for letters in kinds]
    length = req.get("PasswordLength", _LENGTH)
    required = [letters for letters in kinds if letters] if req.get("RequireEachIncludedType", True) else []
    if not "".join(kinds):
        raise InvalidParameterException("All character types are excluded from the password.")
    if len(required) > length:
        raise InvalidParameterException(f"The password length {length} is too short based on the required types.")
    letters = [secrets.choice(kind) for kind in required]
    pool = "".join(kinds)
    letters += [secrets.choice(pool) for _ in range(length - len(letters))]
    secrets.SystemRandom().shuffle(letters)
    return "".join(letters)
