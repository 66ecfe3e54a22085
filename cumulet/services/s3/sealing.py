"""Objects encrypted with KMS keys (SSE-KMS): which key, how it is shown, and bytes in frames that can be read from anywhere.

Each stored run of bytes has a data key of its own, kept beside it encrypted by the KMS key. The bytes are frames of 64 KiB, each
encrypted with AES-256-GCM under its number, so that a range is read without what comes before it.
Source: S3 user guide, "Using server-side encryption with AWS KMS keys (SSE-KMS)" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Protocol

from cumulet.aws.errors import AwsError, GenericAwsError
from cumulet.kernel.context import Context
from cumulet.services.s3.model import Bucket

KMS = "aws:kms"
_FRAME, _TAG = 64 * 1024, 16
_ERRORS = frozenset({"NotFoundException", "DisabledException", "KMSInvalidStateException", "InvalidKeyUsageException"})
Json = dict[str, Any]


class Encrypted(Protocol):
    """A Version or an Upload."""

    @property
    def encryption(self) -> str: ...

    @property
    def kms_key(self) -> str: ...

    @property
    def bucket_key(self) -> bool: ...


def resolved(ctx: Context, bucket: Bucket, settings: Json) -> Json:
    """What is kept of a write's headers, with the ARN of its KMS key, which must be usable. Raises: KMS.NotFoundException, ..."""
    if settings["encryption"] != KMS:
        return settings
    request = {"KeyId": settings["kms_key"] or "alias/aws/s3"}
    return {**settings, "kms_key": _ask(ctx, bucket.account, bucket.region, "cumulet:Key", request)["Arn"]}


def shown(found: Encrypted) -> Json:
    """The encryption as answers name it."""
    answer: Json = {"ServerSideEncryption": found.encryption}
    if found.kms_key:
        answer["SSEKMSKeyId"] = found.kms_key
    if found.bucket_key:
        answer["BucketKeyEnabled"] = True
    return answer


def new_key(ctx: Context, kms_key: str) -> tuple[Any, bytes]:
    """(a cipher with a new data key, the data key encrypted). Raises: KMS.NotFoundException, KMS.DisabledException, ..."""
    made = _of_key(ctx, kms_key, "cumulet:DataKey", {"KeyId": kms_key})
    return _cipher(made["Plaintext"]), made["CiphertextBlob"]


def known_key(ctx: Context, kms_key: str, blob: bytes) -> Any:
    """The cipher of a data key. Raises: KMS.NotFoundException, KMS.DisabledException, KMS.KMSInvalidStateException."""
    return _cipher(_of_key(ctx, kms_key, "cumulet:OpenDataKey", {"CiphertextBlob": blob})["Plaintext"])


def _cipher(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _of_key(ctx: Context, arn: str, operation: str, request: Json) -> Json:
    _, _, _, region, account, _ = arn.split(":", 5)
    return _ask(ctx, account, region, operation, request)


def _ask(ctx: Context, account: str, region: str, operation: str, request: Json) -> Json:
    try:
        answer: Json = ctx.call("kms", operation, request, principal="s3.amazonaws.com", account=account, region=region)
    except AwsError as error:
        if error.wire_code not in _ERRORS:
            raise
        raise GenericAwsError(f"KMS.{error.wire_code}", error.message) from error
    return answer


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def sealed(cipher: Any, data: Iterable[bytes]) -> Iterator[bytes]:
    """Bytes as frames. A cipher is for one run of bytes: the frames' numbers are its nonces."""
    number, rest = 0, b""
    for piece in data:
        rest += piece
        whole = len(rest) - len(rest) % _FRAME
        for at in range(0, whole, _FRAME):
            yield cipher.encrypt(_nonce(number), rest[at : at + _FRAME], None)
            number += 1
        rest = rest[whole:]
    if rest:
        yield cipher.encrypt(_nonce(number), rest, None)


def opened(cipher: Any, file: BinaryIO, start: int, size: int) -> Iterator[bytes]:
    """The bytes [start, start + size) of what was sealed into a file. Raises: OSError where the file is too short."""
    number, skip = divmod(start, _FRAME)
    file.seek(number * (_FRAME + _TAG))
    while size:
        raw = file.read(_FRAME + _TAG)
        if not raw:
            raise OSError("an encrypted blob is shorter than it should be")
        data = cipher.decrypt(_nonce(number), raw, None)[skip : skip + size]
        yield data
        size -= len(data)
        number, skip = number + 1, 0
