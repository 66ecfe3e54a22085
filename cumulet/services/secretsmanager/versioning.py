"""Versions of a secret: adding values, moving labels, forgetting what is deprecated; values sealed by KMS.

Source: Secrets Manager user guide, "What's in a Secrets Manager secret?", "Quotas"; API_PutSecretValue (read 2026-11).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from typing import Any

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.secretsmanager.errors import (
    DecryptionFailure,
    EncryptionFailure,
    InvalidParameterException,
    LimitExceededException,
    ResourceExistsException,
)
from cumulet.services.secretsmanager.model import (
    CURRENT,
    DAY_S,
    LABELS,
    PREVIOUS,
    VALUE_BYTES,
    VERSIONS,
    Secret,
    Value,
    Version,
    value_key,
)

_KMS = frozenset({"NotFoundException", "DisabledException", "KMSInvalidStateException", "InvalidKeyUsageException"})


def given(req: Mapping[str, Any]) -> tuple[bytes, bool] | None:
    """(a request's value, whether it is binary), or None without one. Raises: InvalidParameterException."""
    if "SecretString" in req and "SecretBinary" in req:
        raise InvalidParameterException("You can't specify both a binary secret value and a string secret value.")
    if "SecretBinary" in req:
        value: tuple[bytes, bool] = req["SecretBinary"], True
    elif "SecretString" in req:
        value = req["SecretString"].encode(), False
    else:
        return None
    if len(value[0]) > VALUE_BYTES:
        raise InvalidParameterException(f"The secret value is larger than {VALUE_BYTES} bytes.")
    return value


def put(ctx: Context, secret: Secret, version_id: str, value: tuple[bytes, bool], stages: Iterable[str]) -> Secret:
    """The secret with a value under a version id; labels move to it. The same value under the same id changes nothing.

    Raises: ResourceExistsException where the id has another value; EncryptionFailure, LimitExceededException.
    """
    there = secret.version(version_id)
    if there is not None and there.key:
        if not same(ctx, secret, there, value):
            raise ResourceExistsException(
                f"You can't use ClientRequestToken {version_id} because that value is already in use for a version of secret "
                f"{secret.arn}."
            )
        return secret
    version = replace(there, created=ctx.now) if there is not None else Version(id=version_id, created=ctx.now)
    ctx.tx.put(
        value_key(secret.uid, version_id), Value(sealed=_sealed(ctx, secret, version_id, value), binary=value[1])
    )
    version = replace(version, key=secret.kms_key or "DefaultEncryptionKey")
    others = tuple(each for each in secret.versions if each.id != version_id)
    secret = replace(secret, versions=(*others, version), changed=ctx.now)
    for stage in stages:
        secret = moved(secret, stage, version_id)
    return _trimmed(ctx, secret)


def moved(secret: Secret, stage: str, version_id: str | None) -> Secret:
    """The secret with a label on that version alone, or on none; AWSPREVIOUS follows AWSCURRENT. Raises: LimitExceededException."""
    before = secret.labelled(stage)
    if (before.id if before is not None else None) == version_id:
        return secret
    versions = []
    for version in secret.versions:
        stages = tuple(each for each in version.stages if each != stage)
        if version.id == version_id:
            stages = (*stages, stage)
        versions.append(replace(version, stages=stages))
    secret = replace(secret, versions=tuple(versions))
    if sum(len(version.stages) for version in secret.versions) > LABELS:
        raise LimitExceededException(f"A secret can have at most {LABELS} staging labels attached to its versions.")
    return moved(secret, PREVIOUS, before.id) if stage == CURRENT and before is not None else secret


def _trimmed(ctx: Context, secret: Secret) -> Secret:
    """Without the oldest deprecated versions over a hundred, except those of the last 24 hours."""
    over = len(secret.versions) - VERSIONS
    if over <= 0:
        return secret
    old = [version for version in secret.versions if not version.stages and version.created <= ctx.now - DAY_S]
    gone = {version.id for version in old[:over]}  # they are in the order in which they came
    for version_id in gone:
        ctx.tx.delete(value_key(secret.uid, version_id))
    return replace(secret, versions=tuple(version for version in secret.versions if version.id not in gone))


def _context(secret: Secret, version_id: str) -> dict[str, str]:
    return {"SecretARN": secret.arn, "SecretVersionId": version_id}


def _sealed(ctx: Context, secret: Secret, version_id: str, value: tuple[bytes, bool]) -> bytes:
    request = {
        "KeyId": secret.kms_key or "alias/aws/secretsmanager",
        "Context": _context(secret, version_id),
        "Plaintext": value[0],
    }
    try:
        sealed: bytes = _kms(ctx, secret, "cumulet:Seal", request)["Sealed"]
    except AwsError as error:
        if error.wire_code not in _KMS:
            raise
        raise EncryptionFailure(
            f"Secrets Manager can't encrypt the protected secret text using the specified KMS key. {error.message}"
        ) from error
    return sealed


def opened(ctx: Context, secret: Secret, version: Version) -> tuple[bytes, bool]:
    """(the value, whether it is binary) of a version that has one. Raises: DecryptionFailure."""
    row = ctx.tx.get(value_key(secret.uid, version.id), Value)
    assert row is not None, f"{secret.arn} has lost the value of {version.id}"
    try:
        plaintext: bytes = _kms(ctx, secret, "cumulet:Open", {"Sealed": row.sealed})["Plaintext"]
    except AwsError as error:
        if error.wire_code not in _KMS:
            raise
        raise DecryptionFailure(
            f"Secrets Manager can't decrypt the protected secret text using the provided KMS key. {error.message}"
        ) from error
    return plaintext, row.binary


def same(ctx: Context, secret: Secret, version: Version, value: tuple[bytes, bool]) -> bool:
    """Whether a version has this value."""
    kept, binary = opened(ctx, secret, version)
    return binary == value[1] and hmac.compare_digest(kept, value[0])


def _kms(ctx: Context, secret: Secret, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = ctx.call(
        "kms",
        operation,
        request,
        principal="secretsmanager.amazonaws.com",
        account=secret.account,
        region=secret.region,
    )
    return answer
