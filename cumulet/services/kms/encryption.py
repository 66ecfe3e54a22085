"""Operations that encrypt, decrypt and make data keys.

Source: KMS API reference; developer guide, "Encryption context", "Using the symmetric encryption key" (read 2026-11).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Effect, EffectFailed
from cumulet.services.kms import material, pairs
from cumulet.services.kms.errors import (
    IncorrectKeyException,
    InvalidKeyUsageException,
    KMSInternalException,
    UnsupportedOperationException,
    ValidationException,
    no_access,
)
from cumulet.services.kms.lookup import no_dry_run, usable
from cumulet.services.kms.model import ENCRYPT, SYMMETRIC, Key, algorithms, key_key

Json = dict[str, Any]
_DATA_KEY_BYTES = {"AES_256": 32, "AES_128": 16}


def _algorithm(req: Mapping[str, Any], key: Key, member: str = "EncryptionAlgorithm") -> str:
    """What to encrypt with. Raises: InvalidKeyUsageException, ValidationException."""
    algorithm: str = req.get(member, SYMMETRIC)
    if algorithm not in algorithms(key.spec, key.usage)[1]:
        raise InvalidKeyUsageException(f"Algorithm {algorithm} is incompatible with key spec {key.spec}.")
    return algorithm


def _sealed(ctx: Context, key: Key, plaintext: bytes, algorithm: str, context: Mapping[str, str]) -> bytes:
    if algorithm == SYMMETRIC:
        return material.encrypt(ctx, key, plaintext, context)
    if context:
        raise ValidationException("Encryption context is not supported with asymmetric KMS keys.")
    return pairs.encrypt(key.spec, key.public, plaintext, algorithm)


def _opened(ctx: Context, req: Mapping[str, Any], operation: str, prefix: str = "") -> tuple[Key, bytes, str, str]:
    """(key, plaintext, algorithm, id of the key material or "") of a request's ciphertext."""
    if "DryRunModifiers" in req:
        raise UnsupportedOperationException("DryRunModifiers is not supported by Cumulet.")
    if "CiphertextBlob" not in req:
        raise ValidationException("CiphertextBlob must not be null.")
    blob: bytes = req["CiphertextBlob"]
    named = f"{prefix}KeyId"
    member, context = f"{prefix}EncryptionAlgorithm", req.get(f"{prefix}EncryptionContext", {})
    if req.get(member, SYMMETRIC) != SYMMETRIC:
        if named not in req:
            raise ValidationException(f"{named} is required to decrypt with an asymmetric KMS key.")
        key = usable(ctx, req, operation, ENCRYPT, named)
        algorithm = _algorithm(req, key, member)
        return key, pairs.decrypt(material.secret_of(ctx, key), blob, algorithm), algorithm, ""
    wanted = None
    if named in req:
        wanted = usable(ctx, req, operation, ENCRYPT, named)
        _algorithm(req, wanted, member)
    key_id = material.key_id_in(blob)
    if wanted is not None and wanted.id != key_id:
        raise IncorrectKeyException(
            "The key ID in the request does not identify a CMK that can perform this operation."
        )
    found = ctx.tx.get(key_key(key_id), Key)
    if found is None or found.region != ctx.region:
        raise no_access()
    key = usable(ctx, {**req, named: found.arn}, operation, ENCRYPT, named)
    plaintext, row = material.decrypt(ctx, key, blob, context)
    return key, plaintext, SYMMETRIC, row.id


def encrypt(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Encrypt up to 4,096 bytes; with an RSA key what its size leaves room for (190 bytes for RSA_2048 and SHA-256).

    A symmetric key's ciphertext names it, and binds the encryption context.
    Raises: NotFoundException, DisabledException, KMSInvalidStateException, InvalidKeyUsageException, ValidationException.
    Source: KMS API_Encrypt (read 2026-11).
    """
    key = usable(ctx, req, "Encrypt", ENCRYPT)
    algorithm = _algorithm(req, key)
    blob = _sealed(ctx, key, req["Plaintext"], algorithm, req.get("EncryptionContext", {}))
    no_dry_run(req)
    return {"CiphertextBlob": blob, "KeyId": key.arn, "EncryptionAlgorithm": algorithm}


def decrypt(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Decrypt with the key that the ciphertext names, which KeyId may insist on, in the same encryption context.

    Raises: InvalidCiphertextException, IncorrectKeyException, AccessDeniedException (the key is not here), NotFoundException,
    DisabledException, KMSInvalidStateException, InvalidKeyUsageException.
    Source: KMS API_Decrypt (read 2026-11).
    """
    key, plaintext, algorithm, row_id = _opened(ctx, req, "Decrypt")
    no_dry_run(req)
    answer: Json = {"KeyId": key.arn, "Plaintext": plaintext, "EncryptionAlgorithm": algorithm}
    if row_id:
        answer["KeyMaterialId"] = row_id
    return answer


def re_encrypt(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Decrypt, and encrypt with another key or context; the plaintext leaves KMS never.

    Raises: as Decrypt and Encrypt. Source: KMS API_ReEncrypt (read 2026-11).
    """
    source, plaintext, before, old = _opened(ctx, req, "ReEncryptFrom", "Source")
    key = usable(ctx, req, "ReEncryptTo", ENCRYPT, "DestinationKeyId")
    after = _algorithm(req, key, "DestinationEncryptionAlgorithm")
    blob = _sealed(ctx, key, plaintext, after, req.get("DestinationEncryptionContext", {}))
    no_dry_run(req)
    answer: Json = {
        "CiphertextBlob": blob,
        "SourceKeyId": source.arn,
        "KeyId": key.arn,
        "SourceEncryptionAlgorithm": before,
        "DestinationEncryptionAlgorithm": after,
    }
    if old:
        answer["SourceKeyMaterialId"] = old
    if key.symmetric:
        answer["DestinationKeyMaterialId"] = material.material_of(ctx, key).id
    return answer


def generate_data_key(ctx: Context, req: Mapping[str, Any]) -> Json:
    """A random key of 1 to 1,024 bytes (AES_128: 16, AES_256: 32), in the clear and encrypted.

    Raises: as Encrypt; ValidationException unless exactly one of KeySpec and NumberOfBytes is given.
    Source: KMS API_GenerateDataKey (read 2026-11).
    """
    return _data_key(ctx, req, "GenerateDataKey")


def generate_data_key_without_plaintext(ctx: Context, req: Mapping[str, Any]) -> Json:
    """As GenerateDataKey, encrypted alone. Source: KMS API_GenerateDataKeyWithoutPlaintext (read 2026-11)."""
    answer = _data_key(ctx, req, "GenerateDataKeyWithoutPlaintext")
    del answer["Plaintext"]
    return answer


def _wrapping_key(ctx: Context, req: Mapping[str, Any], operation: str) -> Key:
    key = usable(ctx, req, operation, ENCRYPT)
    if not key.symmetric:
        raise InvalidKeyUsageException(f"{key.arn} key spec is {key.spec} which is not valid for {operation}.")
    return key


def _data_key(ctx: Context, req: Mapping[str, Any], operation: str) -> Json:
    if ("KeySpec" in req) == ("NumberOfBytes" in req):
        raise ValidationException("Please specify either number of bytes or key spec.")
    key = _wrapping_key(ctx, req, operation)
    no_dry_run(req)
    plaintext = os.urandom(_DATA_KEY_BYTES[req["KeySpec"]] if "KeySpec" in req else req["NumberOfBytes"])
    return {
        "CiphertextBlob": material.encrypt(ctx, key, plaintext, req.get("EncryptionContext", {})),
        "Plaintext": plaintext,
        "KeyId": key.arn,
        "KeyMaterialId": material.material_of(ctx, key).id,
    }


def generate_data_key_pair(ctx: Context, req: Mapping[str, Any]) -> Json | Effect:
    """An RSA or elliptic-curve key pair: the private key in the clear (PKCS #8) and encrypted, the public one.

    Raises: as Encrypt; UnsupportedOperationException for SM2 and ML-KEM. Source: KMS API_GenerateDataKeyPair (read 2026-11).
    """
    return _pair(ctx, req, "GenerateDataKeyPair")


def generate_data_key_pair_without_plaintext(ctx: Context, req: Mapping[str, Any]) -> Json | Effect:
    """As GenerateDataKeyPair, without the private key in the clear. Source: KMS API_GenerateDataKeyPairWithoutPlaintext."""
    return _pair(ctx, req, "GenerateDataKeyPairWithoutPlaintext")


def _pair(ctx: Context, req: Mapping[str, Any], operation: str) -> Json | Effect:
    spec = req["KeyPairSpec"]
    if spec not in pairs.SPECS:
        raise UnsupportedOperationException(f"KeyPairSpec {spec} is not supported by Cumulet.")
    key = _wrapping_key(ctx, req, operation)
    no_dry_run(req)

    def settled(c: Context, private: bytes | EffectFailed) -> Json:
        if isinstance(private, EffectFailed):
            raise KMSInternalException(private.message)
        answer: Json = {
            "PrivateKeyCiphertextBlob": material.encrypt(c, key, private, req.get("EncryptionContext", {})),
            "PublicKey": pairs.public_der(private),
            "KeyId": key.arn,
            "KeyPairSpec": spec,
            "KeyMaterialId": material.material_of(c, key).id,
        }
        if operation == "GenerateDataKeyPair":
            answer["PrivateKeyPlaintext"] = private
        return answer

    if spec in pairs.RSA_BITS:
        return Effect("kms.pair", (pairs.RSA_BITS[spec],), settled)
    return settled(ctx, pairs.generated(spec))


def generate_random(ctx: Context, req: Mapping[str, Any]) -> Json:
    """1 to 1,024 random bytes of the operating system.

    Raises: ValidationException, UnsupportedOperationException. Source: KMS API_GenerateRandom (read 2026-11).
    """
    for member in ("CustomKeyStoreId", "Recipient"):
        if member in req:
            raise UnsupportedOperationException(f"{member} is not supported by Cumulet.")
    if "NumberOfBytes" not in req:
        raise ValidationException("NumberOfBytes must not be null.")
    return {"Plaintext": os.urandom(req["NumberOfBytes"])}
