"""Operations on rotation: switch it on and off, rotate now, and what was rotated when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.kms import rotation
from cumulet.services.kms.errors import LimitExceededException, UnsupportedOperationException
from cumulet.services.kms.lookup import enabled, key_itself, own, page
from cumulet.services.kms.making import changed
from cumulet.services.kms.model import (
    ON_DEMAND_ROTATIONS,
    PENDING_DELETION,
    PERIOD_DAYS,
    ROOT,
    Key,
    Material,
)

Json = dict[str, Any]


def _rotatable(ctx: Context, name: str, operation: str) -> Key:
    key = own(ctx, key_itself(ctx, name), operation)
    if not key.symmetric or key.origin != "AWS_KMS":
        raise UnsupportedOperationException(f"{key.arn} origin or key spec is not valid for this operation.")
    return enabled(key)


def enable_key_rotation(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Have a symmetric key's material rotated every 90 to 2,560 days (by default 365), counted from now.

    Raises: NotFoundException, DisabledException, KMSInvalidStateException, UnsupportedOperationException, AccessDeniedException.
    Source: KMS API_EnableKeyRotation (read 2026-11).
    """
    key = _rotatable(ctx, req["KeyId"], "EnableKeyRotation")
    days = req.get("RotationPeriodInDays", key.period_days or PERIOD_DAYS)
    if days != key.period_days:
        rotation.schedule(ctx, key, days)
    return {}


def disable_key_rotation(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Have a key's material stay as it is.

    Raises: as EnableKeyRotation. Source: KMS API_DisableKeyRotation (read 2026-11).
    """
    changed(ctx, _rotatable(ctx, req["KeyId"], "DisableKeyRotation"), period_days=0, rotates_at=0.0)
    return {}


def get_key_rotation_status(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Whether and when a key's material is rotated; never while the key is pending deletion.

    Raises: NotFoundException, UnsupportedOperationException. Source: KMS API_GetKeyRotationStatus (read 2026-11).
    """
    key = key_itself(ctx, req["KeyId"])
    if not key.symmetric:
        raise UnsupportedOperationException(f"{key.arn} key spec is not valid for this operation.")
    on = bool(key.period_days) and key.state != PENDING_DELETION
    answer: Json = {"KeyRotationEnabled": on, "KeyId": key.id}
    if on:
        answer |= {"RotationPeriodInDays": key.period_days, "NextRotationDate": key.rotates_at}
    return answer


def rotate_key_on_demand(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Rotate a symmetric key's material now, 25 times at most; the dates of automatic rotation stay.

    Raises: NotFoundException, DisabledException, KMSInvalidStateException, LimitExceededException,
    UnsupportedOperationException, AccessDeniedException.
    Source: KMS API_RotateKeyOnDemand; developer guide, "Resource quotas" (read 2026-11).
    """
    key = _rotatable(ctx, req["KeyId"], "RotateKeyOnDemand")
    if key.turned >= ON_DEMAND_ROTATIONS:
        raise LimitExceededException(
            f"You have exceeded the number of on-demand rotations limit: {ON_DEMAND_ROTATIONS}."
        )
    rotation.turned(ctx, changed(ctx, key, turned=key.turned + 1), "ON_DEMAND")
    return {"KeyId": key.id}


def list_key_rotations(ctx: Context, req: Mapping[str, Any]) -> Json:
    """A key's completed rotations, newest first; with ALL_KEY_MATERIAL the first material too.

    Raises: NotFoundException, UnsupportedOperationException, InvalidMarkerException. Source: KMS API_ListKeyRotations.
    """
    key = key_itself(ctx, req["KeyId"])
    if not key.symmetric:
        raise UnsupportedOperationException(f"{key.arn} key spec is not valid for this operation.")
    every = req.get("IncludeKeyMaterial") == "ALL_KEY_MATERIAL"
    rows = (
        (f"{10**9 - int(k[-1]):010d}", (int(k[-1]), row))  # type: ignore[arg-type]
        for k, row in ctx.tx.scan((ROOT, "material", key.id), Material, reverse=True)
        if row.kind or every
    )
    return page(req, "Rotations", rows, lambda row: _shown(key, *row))


def _shown(key: Key, number: int, row: Material) -> Json:
    shown: Json = {
        "KeyId": key.id,
        "KeyMaterialId": row.id,
        "KeyMaterialState": "CURRENT" if number == key.material else "NON_CURRENT",
    }
    if row.kind:
        shown |= {"RotationDate": row.at, "RotationType": row.kind}
    return shown
