"""Operations on keys: create, describe, list, enable, disable, delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Effect, EffectFailed
from cumulet.services.kms import documents, making, material, pairs, rotation
from cumulet.services.kms.errors import (
    KMSInternalException,
    KMSInvalidStateException,
    LimitExceededException,
    UnsupportedOperationException,
    ValidationException,
)
from cumulet.services.kms.lookup import key_itself, key_named, living, own, page
from cumulet.services.kms.making import changed
from cumulet.services.kms.model import (
    DAY_S,
    DISABLED,
    ENABLED,
    ENCRYPT,
    KEYS,
    PENDING_DELETION,
    PENDING_IMPORT,
    SYMMETRIC,
    USAGES,
    Key,
    algorithms,
    count_key,
    listed_key,
)
from cumulet.services.kms.tagging import tagged

Json = dict[str, Any]
_SHORTEST_DAYS, _LONGEST_DAYS = 7, 30


def create_key(ctx: Context, req: Mapping[str, Any]) -> Json | Effect:
    """Make a key: symmetric, RSA, elliptic-curve or HMAC; or one without material, for what will be imported.

    Limits: 100,000 keys an account and region, policies of 32 KB, 50 tags. Multi-region keys, custom key stores, SM2, ML-DSA and
    ML-KEM are refused by name.
    Raises: ValidationException, LimitExceededException, MalformedPolicyDocumentException, TagException,
    UnsupportedOperationException.
    Source: KMS API_CreateKey; developer guide, "Key spec reference", "Resource quotas" (read 2026-11).
    """
    _refuse(req)
    if "KeySpec" in req and "CustomerMasterKeySpec" in req:
        raise ValidationException(
            "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated."
        )
    spec = req.get("KeySpec", req.get("CustomerMasterKeySpec", SYMMETRIC))
    if spec not in USAGES:
        raise UnsupportedOperationException(f"KeySpec {spec} is not supported by Cumulet.")
    if spec != SYMMETRIC and "KeyUsage" not in req:
        raise ValidationException(
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."
        )
    usage = req.get("KeyUsage", ENCRYPT)
    if usage not in USAGES[spec]:
        raise ValidationException(f"KeyUsage {usage} is not compatible with KeySpec {spec}")
    policy = documents.checked(ctx, req) if "Policy" in req else making.default_policy(ctx.account)
    external = req.get("Origin") == "EXTERNAL"
    if external and spec != SYMMETRIC and not spec.startswith("HMAC"):
        raise UnsupportedOperationException(f"Importing material for {spec} is not supported by Cumulet.")
    if ctx.tx.counter(count_key(ctx.account, ctx.region)) >= KEYS:
        raise LimitExceededException(f"You have exceeded the number of KMS keys limit: {KEYS}.")
    key = Key(
        account=ctx.account, region=ctx.region, id=ctx.ids.uuid(), created=ctx.now, spec=spec, usage=usage, policy=policy,
        description=req.get("Description", ""), tags=tagged({}, req.get("Tags", ())),
        origin="EXTERNAL" if external else "AWS_KMS", state=PENDING_IMPORT if external else ENABLED,
        material=0 if external else 1,
    )  # fmt: skip
    if spec in pairs.RSA_BITS:
        return Effect("kms.pair", (pairs.RSA_BITS[spec],), lambda c, made: _with_pair(c, key, made))
    if not external:
        secret = pairs.generated(spec) if spec in pairs.SPECS else material.random_material(spec)
        return _added(ctx, key, secret)
    making.add(ctx, key)
    return {"KeyMetadata": _metadata(ctx, key)}


def _refuse(req: Mapping[str, Any]) -> None:
    if req.get("MultiRegion"):
        raise UnsupportedOperationException("MultiRegion keys are not supported by Cumulet.")
    if req.get("Origin", "AWS_KMS") not in ("AWS_KMS", "EXTERNAL"):
        raise UnsupportedOperationException(f"Origin {req['Origin']} is not supported by Cumulet.")
    for member in ("CustomKeyStoreId", "XksKeyId"):
        if member in req:
            raise UnsupportedOperationException(f"{member} (custom key stores) is not supported by Cumulet.")


def _with_pair(ctx: Context, key: Key, made: bytes | EffectFailed) -> Json:
    if isinstance(made, EffectFailed):
        raise KMSInternalException(made.message)
    return _added(ctx, key, made)


def _added(ctx: Context, key: Key, secret: bytes) -> Json:
    making.add(ctx, key)
    material.keep(ctx, key, 1, secret)
    if key.spec in pairs.SPECS:
        key = changed(ctx, key, public=pairs.public_der(secret))
    return {"KeyMetadata": _metadata(ctx, key)}


def _metadata(ctx: Context, key: Key) -> Json:
    """A key as DescribeKey shows it."""
    member, names = algorithms(key.spec, key.usage)
    shown: Json = {
        "AWSAccountId": key.account,
        "KeyId": key.id,
        "Arn": key.arn,
        "CreationDate": key.created,
        "Enabled": key.state == ENABLED,
        "Description": key.description,
        "KeyUsage": key.usage,
        "KeyState": key.state,
        "Origin": key.origin,
        "KeyManager": key.manager,
        "CustomerMasterKeySpec": key.spec,
        "KeySpec": key.spec,
        "MultiRegion": False,
        member: names,
    }
    if key.state == PENDING_DELETION:
        shown["DeletionDate"] = key.deleted_at
    if key.origin == "EXTERNAL" and key.material:
        shown["ExpirationModel"] = "KEY_MATERIAL_EXPIRES" if key.valid_to else "KEY_MATERIAL_DOES_NOT_EXPIRE"
        if key.valid_to:
            shown["ValidTo"] = key.valid_to
    if key.symmetric and key.material:
        shown["CurrentKeyMaterialId"] = material.material_of(ctx, key).id
    return shown


def describe_key(ctx: Context, req: Mapping[str, Any]) -> Json:
    """What a key is. A predefined AWS alias that has no key yet gets it now.

    Raises: NotFoundException. Source: KMS API_DescribeKey (read 2026-11).
    """
    service = req["KeyId"].removeprefix("alias/aws/")
    if service != req["KeyId"] and service in making.AWS_SERVICES:
        return {"KeyMetadata": _metadata(ctx, making.aws_managed(ctx, service))}
    return {"KeyMetadata": _metadata(ctx, key_named(ctx, req["KeyId"]))}


def list_keys(ctx: Context, req: Mapping[str, Any]) -> Json:
    """The keys of the account and region, 100 a page (1,000 at most).

    Raises: InvalidMarkerException. Source: KMS API_ListKeys (read 2026-11).
    """
    if "ResourceOwners" in req:
        raise UnsupportedOperationException("ResourceOwners is not supported by Cumulet.")
    rows = ((str(k[-1]), str(k[-1])) for k in ctx.tx.scan_keys(listed_key(ctx.account, ctx.region, "")[:-1]))
    arn = f"arn:aws:kms:{ctx.region}:{ctx.account}:key/"
    return page(req, "Keys", rows, lambda key_id: {"KeyId": key_id, "KeyArn": arn + key_id})


def enable_key(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Have a key be used again; a rotation that fell due meanwhile is done now.

    Raises: NotFoundException, KMSInvalidStateException, AccessDeniedException. Source: KMS API_EnableKey (read 2026-11).
    """
    key = _settable(ctx, req, "EnableKey")
    if key.state == DISABLED:
        rotation.catch_up(ctx, changed(ctx, key, state=ENABLED))
    return {}


def disable_key(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Have a key not be used for a while.

    Raises: NotFoundException, KMSInvalidStateException, AccessDeniedException. Source: KMS API_DisableKey (read 2026-11).
    """
    changed(ctx, _settable(ctx, req, "DisableKey"), state=DISABLED)
    return {}


def _settable(ctx: Context, req: Mapping[str, Any], operation: str) -> Key:
    key = living(own(ctx, key_itself(ctx, req["KeyId"]), operation))
    if key.state == PENDING_IMPORT:
        raise KMSInvalidStateException(f"{key.arn} is pending import.")
    return key


def update_key_description(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Describe a key anew, in 8,192 characters at most.

    Raises: NotFoundException, KMSInvalidStateException, AccessDeniedException. Source: KMS API_UpdateKeyDescription.
    """
    key = living(own(ctx, key_itself(ctx, req["KeyId"]), "UpdateKeyDescription"))
    changed(ctx, key, description=req["Description"])
    return {}


def schedule_key_deletion(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Have a key deleted with all its material, aliases and grants after 7 to 30 days (by default 30), unless it is cancelled.

    Raises: NotFoundException, KMSInvalidStateException, ValidationException, AccessDeniedException.
    Source: KMS API_ScheduleKeyDeletion (read 2026-11).
    """
    key = living(own(ctx, key_itself(ctx, req["KeyId"]), "ScheduleKeyDeletion"))
    days = req.get("PendingWindowInDays", _LONGEST_DAYS)
    if not _SHORTEST_DAYS <= days <= _LONGEST_DAYS:
        raise ValidationException(
            f"PendingWindowInDays must be between {_SHORTEST_DAYS} and {_LONGEST_DAYS}, inclusive."
        )
    at = ctx.now + days * DAY_S
    changed(ctx, key, state=PENDING_DELETION, deleted_at=at, window_days=days)
    ctx.tx.wake(at, "kms.delete", (key.id,))
    return {"KeyId": key.arn, "DeletionDate": at, "KeyState": PENDING_DELETION, "PendingWindowInDays": days}


def cancel_key_deletion(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Keep a key that was to be deleted; it is disabled.

    Raises: NotFoundException, KMSInvalidStateException. Source: KMS API_CancelKeyDeletion (read 2026-11).
    """
    key = key_itself(ctx, req["KeyId"])
    if key.state != PENDING_DELETION:
        raise KMSInvalidStateException(f"{key.arn} is not pending deletion.")
    state = DISABLED if key.material else PENDING_IMPORT
    changed(ctx, key, state=state, deleted_at=0.0, window_days=0)
    return {"KeyId": key.arn}
