"""Operations that bring key material from outside, and take it away again.

Imported material is the key's only backing key; the same bytes may be brought again after it expired or was deleted, others not.
Source: KMS developer guide, "Importing key material for AWS KMS keys" (read 2026-11).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Effect, EffectFailed
from cumulet.services.kms import expiry, material, pairs
from cumulet.services.kms.errors import (
    ExpiredImportTokenException,
    IncorrectKeyMaterialException,
    InvalidCiphertextException,
    InvalidImportTokenException,
    KMSInternalException,
    KMSInvalidStateException,
    UnsupportedOperationException,
    ValidationException,
)
from cumulet.services.kms.lookup import key_itself, living
from cumulet.services.kms.making import changed
from cumulet.services.kms.model import (
    DAY_S,
    ENABLED,
    HMAC_BYTES,
    PENDING_IMPORT,
    SYMMETRIC,
    Import,
    Key,
    Material,
    import_key,
    imported_key,
    material_key,
)

Json = dict[str, Any]
_ALGORITHMS = ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256")
_LONGEST_DAYS = 365


def _external(ctx: Context, name: str) -> Key:
    key = living(key_itself(ctx, name))
    if key.origin != "EXTERNAL":
        raise UnsupportedOperationException(f"{key.arn} origin is {key.origin} which is not valid for this operation.")
    return key


def get_parameters_for_import(ctx: Context, req: Mapping[str, Any]) -> Json | Effect:
    """A public key to wrap key material with, and a token, both good for 24 hours.

    Raises: NotFoundException, KMSInvalidStateException, UnsupportedOperationException.
    Source: KMS API_GetParametersForImport (read 2026-11).
    """
    key = _external(ctx, req["KeyId"])
    algorithm, spec = req["WrappingAlgorithm"], req["WrappingKeySpec"]
    if algorithm not in _ALGORITHMS or spec not in pairs.RSA_BITS:
        raise UnsupportedOperationException(f"WrappingAlgorithm {algorithm} with {spec} is not supported by Cumulet.")

    def settled(c: Context, private: bytes | EffectFailed) -> Json:
        if isinstance(private, EffectFailed):
            raise KMSInternalException(private.message)
        token = c.ids.secret(64).encode()
        until = c.now + DAY_S
        name = base64.b64encode(token).decode()
        kept = Import(
            key_id=key.id, algorithm=algorithm, private=material.wrapped(c, f"import/{name}", private), until=until
        )
        c.tx.put(import_key(name), kept)
        c.tx.wake(until, "kms.import_ends", (name,))
        return {
            "KeyId": key.arn,
            "ImportToken": token,
            "PublicKey": pairs.public_der(private),
            "ParametersValidTo": until,
        }

    return Effect("kms.pair", (pairs.RSA_BITS[spec],), settled)


def import_key_material(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Give a key of origin EXTERNAL its material, for ever or until ValidTo (365 days ahead at most).

    Raises: NotFoundException, KMSInvalidStateException, InvalidImportTokenException, ExpiredImportTokenException,
    InvalidCiphertextException, IncorrectKeyMaterialException, ValidationException, UnsupportedOperationException.
    Source: KMS API_ImportKeyMaterial (read 2026-11).
    """
    for member in ("ImportType", "KeyMaterialId", "KeyMaterialDescription"):
        if member in req and (member, req[member]) != ("ImportType", "EXISTING_KEY_MATERIAL"):
            raise UnsupportedOperationException(
                f"{member} (rotation of imported material) is not supported by Cumulet."
            )
    key = _external(ctx, req["KeyId"])
    valid_to = _valid_to(ctx, req)
    given = ctx.tx.get(import_key(base64.b64encode(req["ImportToken"]).decode()), Import)
    if given is None or given.key_id != key.id:
        raise InvalidImportTokenException("The import token is invalid or is associated with a different KMS key.")
    if given.until <= ctx.now:
        raise ExpiredImportTokenException("The import token is expired.")
    name = base64.b64encode(req["ImportToken"]).decode()
    try:
        private = material.unwrapped(ctx, f"import/{name}", given.private)
        secret = pairs.unwrap(private, req["EncryptedKeyMaterial"], given.algorithm)
    except ValueError:
        raise InvalidCiphertextException from None
    size = 32 if key.spec == SYMMETRIC else HMAC_BYTES[key.spec]
    if len(secret) != size:
        raise IncorrectKeyMaterialException(f"The key material must be {size} bytes long.")
    digest = sha256(secret + key.id.encode()).digest()
    known = ctx.tx.get_bytes(imported_key(key.id))
    if known is not None and not hmac.compare_digest(known, digest):
        raise IncorrectKeyMaterialException("The key material is not what was imported into this KMS key before.")
    ctx.tx.put(imported_key(key.id), digest)
    state = ENABLED if key.state == PENDING_IMPORT else key.state
    changed(ctx, key, material=1, state=state, valid_to=valid_to)
    row = ctx.tx.get(material_key(key.id, 1), Material) or material.keep(ctx, key, 1, secret)
    if valid_to:
        ctx.tx.wake(valid_to, "kms.expire", (key.id,))
    return {"KeyId": key.arn, "KeyMaterialId": row.id}


def _valid_to(ctx: Context, req: Mapping[str, Any]) -> float:
    expires = req.get("ExpirationModel", "KEY_MATERIAL_EXPIRES") == "KEY_MATERIAL_EXPIRES"
    if expires != ("ValidTo" in req):
        raise ValidationException("ValidTo must be set if, and only if, ExpirationModel is KEY_MATERIAL_EXPIRES.")
    if not expires:
        return 0.0
    at: float = req["ValidTo"]
    if not ctx.now < at <= ctx.now + _LONGEST_DAYS * DAY_S:
        raise ValidationException(f"ValidTo must be in the future, {_LONGEST_DAYS} days ahead at most.")
    return at


def delete_imported_key_material(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Take imported material away; the key waits for it to be imported again.

    Raises: NotFoundException, KMSInvalidStateException, UnsupportedOperationException.
    Source: KMS API_DeleteImportedKeyMaterial (read 2026-11).
    """
    key = _external(ctx, req["KeyId"])
    if not key.material:
        raise KMSInvalidStateException(f"{key.arn} is pending import.")
    row = material.material_of(ctx, key)
    expiry.forget(ctx, key)
    return {"KeyId": key.arn, "KeyMaterialId": row.id}
