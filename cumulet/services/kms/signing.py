"""Operations that sign, verify, authenticate, agree on secrets, and give public keys.

Source: KMS API reference; developer guide, "Key spec reference" (read 2026-11).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.kms import material, pairs
from cumulet.services.kms.errors import (
    InvalidKeyUsageException,
    KMSInvalidMacException,
    UnsupportedOperationException,
)
from cumulet.services.kms.lookup import enabled, key_named, no_dry_run, usable
from cumulet.services.kms.model import AGREE, MAC, SIGN, Key, algorithms

Json = dict[str, Any]


def _can(key: Key, algorithm: str) -> str:
    """Raises: InvalidKeyUsageException, UnsupportedOperationException."""
    if algorithm == "ED25519_PH_SHA_512":
        raise UnsupportedOperationException(f"{algorithm} is not supported by Cumulet.")
    if algorithm not in algorithms(key.spec, key.usage)[1]:
        raise InvalidKeyUsageException(f"Algorithm {algorithm} is incompatible with key spec {key.spec}.")
    return algorithm


def _is_raw(req: Mapping[str, Any]) -> bool:
    kind = req.get("MessageType", "RAW")
    if kind == "EXTERNAL_MU":
        raise UnsupportedOperationException("MessageType EXTERNAL_MU is not supported by Cumulet.")
    return bool(kind == "RAW")


def sign(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Sign a message of up to 4,096 bytes, or its digest.

    Raises: NotFoundException, DisabledException, KMSInvalidStateException, InvalidKeyUsageException, ValidationException (a digest
    of another length than the algorithm's).
    Source: KMS API_Sign (read 2026-11).
    """
    key = usable(ctx, req, "Sign", SIGN)
    algorithm = _can(key, req["SigningAlgorithm"])
    signature = pairs.sign(material.secret_of(ctx, key), req["Message"], _is_raw(req), algorithm)
    no_dry_run(req)
    return {"KeyId": key.arn, "Signature": signature, "SigningAlgorithm": algorithm}


def verify(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Whether a signature is this key's over this message.

    Raises: KMSInvalidSignatureException where it is not; as Sign. Source: KMS API_Verify (read 2026-11).
    """
    key = usable(ctx, req, "Verify", SIGN)
    algorithm = _can(key, req["SigningAlgorithm"])
    pairs.verify(key.public, req["Message"], _is_raw(req), algorithm, req["Signature"])
    no_dry_run(req)
    return {"KeyId": key.arn, "SignatureValid": True, "SigningAlgorithm": algorithm}


def get_public_key(ctx: Context, req: Mapping[str, Any]) -> Json:
    """The public key of a pair, SubjectPublicKeyInfo.

    Raises: NotFoundException, DisabledException, KMSInvalidStateException, UnsupportedOperationException.
    Source: KMS API_GetPublicKey (read 2026-11).
    """
    key = enabled(key_named(ctx, req["KeyId"]))
    if not key.public:
        raise UnsupportedOperationException(f"{key.arn} key spec is {key.spec} which is not valid for GetPublicKey.")
    member, names = algorithms(key.spec, key.usage)
    return {
        "KeyId": key.arn,
        "PublicKey": key.public,
        "CustomerMasterKeySpec": key.spec,
        "KeySpec": key.spec,
        "KeyUsage": key.usage,
        member: names,
    }


def generate_mac(ctx: Context, req: Mapping[str, Any]) -> Json:
    """The HMAC of a message of up to 4,096 bytes.

    Raises: NotFoundException, DisabledException, KMSInvalidStateException, InvalidKeyUsageException.
    Source: KMS API_GenerateMac (read 2026-11).
    """
    key = usable(ctx, req, "GenerateMac", MAC)
    algorithm = _can(key, req["MacAlgorithm"])
    no_dry_run(req)
    return {"Mac": _mac(ctx, key, req["Message"], algorithm), "MacAlgorithm": algorithm, "KeyId": key.arn}


def _mac(ctx: Context, key: Key, message: bytes, algorithm: str) -> bytes:
    return hmac.digest(material.secret_of(ctx, key), message, f"sha{algorithm.removeprefix('HMAC_SHA_')}")


def verify_mac(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Whether an HMAC is this key's of this message.

    Raises: KMSInvalidMacException where it is not; as GenerateMac. Source: KMS API_VerifyMac (read 2026-11).
    """
    key = usable(ctx, req, "VerifyMac", MAC)
    algorithm = _can(key, req["MacAlgorithm"])
    if not hmac.compare_digest(_mac(ctx, key, req["Message"], algorithm), req["Mac"]):
        raise KMSInvalidMacException
    no_dry_run(req)
    return {"KeyId": key.arn, "MacValid": True, "MacAlgorithm": algorithm}


def derive_shared_secret(ctx: Context, req: Mapping[str, Any]) -> Json:
    """The secret that a key shares with somebody else's public key on the same curve (ECDH).

    Raises: NotFoundException, DisabledException, KMSInvalidStateException, InvalidKeyUsageException, ValidationException.
    Source: KMS API_DeriveSharedSecret (read 2026-11).
    """
    key = usable(ctx, req, "DeriveSharedSecret", AGREE)
    secret = pairs.agree(material.secret_of(ctx, key), req["PublicKey"])
    no_dry_run(req)
    return {
        "KeyId": key.arn,
        "SharedSecret": secret,
        "KeyAgreementAlgorithm": req["KeyAgreementAlgorithm"],
        "KeyOrigin": key.origin,
    }
