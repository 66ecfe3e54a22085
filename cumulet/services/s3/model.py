"""S3's records and where they lie.

    s3 / bucket / name                    the bucket (one namespace for all accounts)
    s3 / owned / account / name           for ListBuckets
    s3 / current / bucket / key           a key's newest version, which may be a delete marker
    s3 / older / bucket / key / -sequence its other versions, newest first
    s3 / bytes / id                       a small body's bytes; larger ones are blobs
    s3 / sequencer / bucket               the last number given to an event
    s3 / notice / id                      an event's message that its destination refused
    s3 / sweep / bucket                   where the lifecycle's sweep is, while one is under way
    s3 / upload / bucket / key / id       a multipart upload; s3 / part / id / number its parts

Key order is the order of the UTF-8 bytes, which is S3's order.
"""

from __future__ import annotations

import hashlib
from typing import Any

from msgspec import field

from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record

ENABLED, SUSPENDED = "Enabled", "Suspended"
NULL = "null"


class Bucket(Record):
    name: str
    account: str
    region: str
    created: float
    versioning: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    policy: str | None = None
    public_access: dict[str, bool] | None = None
    ownership: str | None = "BucketOwnerEnforced"
    encryption: list[dict[str, Any]] | None = None
    cors: list[dict[str, Any]] | None = None
    notification: dict[str, Any] | None = None  # as GetBucketNotificationConfiguration answers
    lifecycle: list[dict[str, Any]] | None = None
    lifecycle_size: str = ""  # TransitionDefaultMinimumObjectSize
    website: dict[str, Any] | None = None
    accelerate: str = ""

    @property
    def default_encryption(self) -> str:
        """What a new object gets: AES256 (SSE-S3) or aws:kms."""
        return str(self._rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm", "AES256"))

    @property
    def default_key(self) -> str:
        """The KMS key of a new object; "": the AWS managed one."""
        return str(self._rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID", ""))

    @property
    def bucket_key(self) -> bool:
        return bool(self._rule.get("BucketKeyEnabled", False))

    @property
    def _rule(self) -> dict[str, Any]:
        return self.encryption[0] if self.encryption else {}


class Segment(Record):
    """A run of an object's bytes: in a row (`row`) or in a blob (`blob`, from `offset`)."""

    size: int
    row: str = ""
    blob: str = ""
    offset: int = 0
    kms_key: str = ""  # the ARN of the KMS key that encrypts them; `offset` then counts what they are decrypted
    data_key: bytes = b""  # encrypted by it


class PartOf(Record):
    """What a completed object remembers of one of its parts."""

    number: int
    size: int
    checksum: str = ""


class Version(Record):
    """One version of an object, or a delete marker."""

    key: str
    version: str
    sequence: int
    modified: float
    etag: str = ""
    size: int = 0
    marker: bool = False
    segments: list[Segment] = field(default_factory=list)
    headers: dict[str, Any] = field(default_factory=dict)  # ContentType, CacheControl, ..., as members
    metadata: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)  # ChecksumCRC32 -> base64
    checksum_type: str = ""
    storage_class: str = "STANDARD"
    encryption: str = "AES256"
    redirect: str = ""  # WebsiteRedirectLocation
    kms_key: str = ""
    bucket_key: bool = False
    parts: list[PartOf] = field(default_factory=list)


class Upload(Record):
    id: str
    key: str
    started: float
    headers: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    storage_class: str = "STANDARD"
    encryption: str = "AES256"
    redirect: str = ""
    kms_key: str = ""
    bucket_key: bool = False
    algorithm: str = ""
    checksum_type: str = ""


class Part(Record):
    number: int
    segments: list[Segment]
    size: int
    etag: str
    modified: float
    checksums: dict[str, str] = field(default_factory=dict)


def bucket_key(name: str) -> Key:
    return ("s3", "bucket", name)


def current_key(bucket: str, key: str) -> Key:
    return ("s3", "current", bucket, key)


def older_key(bucket: str, key: str, sequence: int) -> Key:
    return ("s3", "older", bucket, key, -sequence)


def upload_key(bucket: str, key: str, upload: str) -> Key:
    return ("s3", "upload", bucket, key, upload)


def part_key(upload: str, number: int) -> Key:
    return ("s3", "part", upload, number)


def owner(account: str) -> dict[str, str]:
    """The canonical user of an account: 64 hexadecimal digits."""
    return {"ID": hashlib.sha256(f"canonical user {account}".encode()).hexdigest()}
