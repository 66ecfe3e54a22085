"""Secrets, their versions and values, and their keys.

A version is an id with staging labels; at most one version has a label. Its value is a row of its own, sealed by KMS: a rotation
begins with a version that has no value yet. A version without labels is deprecated, and goes when there are more than a hundred.

    AWSCURRENT   what GetSecretValue gives
    AWSPREVIOUS  what was AWSCURRENT before
    AWSPENDING   what a rotation is making
"""

from __future__ import annotations

import msgspec

from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record

ROOT = "secretsmanager"
CURRENT, PREVIOUS, PENDING = "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"
DAY_S = 86_400.0
SECRETS = 500_000
VERSIONS = 100
LABELS = 20
VALUE_BYTES = 65_536
TAGS = 50


class Version(Record):
    """One version: its labels, and when it was made and read. `key`: the KMS key that seals it, "" without a value."""

    id: str
    created: float
    stages: tuple[str, ...] = ()
    accessed: float = 0.0
    key: str = ""


class Rotation(Record):
    """How a secret rotates, and what of it is going on.

    function    the ARN of the function that does it
    days, expression, hours   RotationRules: AutomaticallyAfterDays, ScheduleExpression, Duration (0: not given)
    enabled     False once it was cancelled: the function is remembered
    at          when the next rotation begins; 0: none is due
    token       the version that a rotation under way is making; "" between rotations
    steps       what is left of it; `failures` in a row
    """

    function: str
    days: int = 0
    expression: str = ""
    hours: int = 0
    enabled: bool = True
    at: float = 0.0
    token: str = ""
    steps: tuple[str, ...] = ()
    failures: int = 0


class Secret(Record):
    """A secret; `uid` is new with each creation, `deleted_at` when it goes for good, or 0."""

    account: str
    region: str
    name: str
    uid: str
    suffix: str
    created: float
    changed: float
    accessed: float = 0.0
    rotated: float = 0.0
    deleted_at: float = 0.0
    description: str = ""
    kms_key: str = ""
    policy: str = ""
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    versions: tuple[Version, ...] = ()
    rotation: Rotation | None = None

    @property
    def key(self) -> Key:
        return secret_key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        return f"arn:aws:secretsmanager:{self.region}:{self.account}:secret:{self.name}-{self.suffix}"

    def version(self, version_id: str) -> Version | None:
        return next((version for version in self.versions if version.id == version_id), None)

    def labelled(self, stage: str) -> Version | None:
        return next((version for version in self.versions if stage in version.stages), None)


class Value(Record):
    """A version's value, sealed: `binary` says which of SecretString and SecretBinary it was."""

    sealed: bytes
    binary: bool = False


def secret_key(account: str, region: str, name: str) -> Key:
    return (ROOT, "secret", account, region, name)


def value_key(uid: str, version_id: str) -> Key:
    return (ROOT, "value", uid, version_id)


def count_key(account: str, region: str) -> Key:
    return (ROOT, "count", account, region)
