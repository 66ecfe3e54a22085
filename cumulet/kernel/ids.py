"""Identifiers in AWS's forms. `Ids` is random in a real cloud and seeded in tests that need repeatable names."""

import random
import string

_ALPHANUMERIC = string.ascii_uppercase + string.digits
_LOWER = string.ascii_lowercase + string.digits


class Ids:
    """A source of identifiers; not for secrets that guard anything beyond this machine."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed) if seed is not None else random.SystemRandom()
        self._fast = random.Random(seed)

    def uuid(self) -> str:
        """A version-4 UUID, `8-4-4-4-12` hexadecimal digits."""
        text = self._fast.getrandbits(128).to_bytes(16, "big").hex()
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"

    def hex(self, digits: int) -> str:
        return f"{self._fast.getrandbits(4 * digits):0{digits}x}"

    def upper(self, length: int) -> str:
        """Upper-case letters and digits, as in access keys and CloudFormation's generated names."""
        return "".join(self._random.choices(_ALPHANUMERIC, k=length))

    def lower(self, length: int) -> str:
        """Lower-case letters and digits, as in API ids."""
        return "".join(self._random.choices(_LOWER, k=length))

    def digits(self, length: int) -> str:
        return "".join(self._random.choices(string.digits, k=length))

    def secret(self, length: int = 40) -> str:
        """A secret of letters, digits, `+` and `/`, from the operating system's randomness."""
        return "".join(random.SystemRandom().choices(string.ascii_letters + string.digits + "+/", k=length))
