"""Parameters and their versions, and their keys.

A parameter's present version is in its own row; every version, the present one too, is a row of the history.
"""

from __future__ import annotations

import msgspec

from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record

ROOT = "ssm"
STANDARD, ADVANCED = "Standard", "Advanced"
MOST = {STANDARD: 10_000, ADVANCED: 100_000}
BYTES = {STANDARD: 4096, ADVANCED: 8192}
VERSIONS = 100
LABELS = 10
LEVELS = 15
NAME_LENGTH = 1011
TAGS = 50


class Version(Record):
    """One version of a parameter. The value of a SecureString is in `sealed`, and `value` is empty."""

    number: int
    type: str
    modified: float
    user: str
    value: str = ""
    sealed: bytes = b""
    key_id: str = ""
    description: str = ""
    pattern: str = ""
    tier: str = STANDARD
    data_type: str = "text"


class Parameter(Record):
    """A parameter with its present version; `labels` says which version each label is on."""

    account: str
    region: str
    name: str
    now: Version
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    labels: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def key(self) -> Key:
        return parameter_key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        return arn_of(self.account, self.region, self.name)


def arn_of(account: str, region: str, name: str) -> str:
    return f"arn:aws:ssm:{region}:{account}:parameter{'' if name.startswith('/') else '/'}{name}"


def parameter_key(account: str, region: str, name: str) -> Key:
    return (ROOT, "parameter", account, region, name)


def versions_of(account: str, region: str, name: str) -> Key:
    return (ROOT, "version", account, region, name)


def count_key(account: str, region: str, tier: str) -> Key:
    return (ROOT, "count", account, region, tier)
