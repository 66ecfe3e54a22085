"""RSA and elliptic-curve keys: sign, verify, encrypt, agree.

Source: KMS developer guide, "Key spec reference"; RFC 8017; FIPS 186-5 (read 2026-11).
"""

from __future__ import annotations

import hashlib
from typing import Any

from cumulet.services.kms.errors import (
    InvalidCiphertextException,
    InvalidKeyUsageException,
    KMSInvalidSignatureException,
    UnsupportedOperationException,
    ValidationException,
)

_CURVES = {
    "ECC_NIST_P256": "SECP256R1",
    "ECC_NIST_P384": "SECP384R1",
    "ECC_NIST_P521": "SECP521R1",
    "ECC_SECG_P256K1": "SECP256K1",
}
RSA_BITS = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
SPECS = frozenset({*_CURVES, *RSA_BITS, "ECC_NIST_EDWARDS25519"})


def generated(spec: str) -> bytes:
    """A new elliptic-curve key, PKCS #8. RSA keys take too long to be made here: they are an effect."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    key: Any
    if spec == "ECC_NIST_EDWARDS25519":
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        key = ec.generate_private_key(getattr(ec, _CURVES[spec])())
    return private_der(key)


def private_der(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization as s

    der: bytes = key.private_bytes(s.Encoding.DER, s.PrivateFormat.PKCS8, s.NoEncryption())
    return der


def public_der(private: bytes) -> bytes:
    """SubjectPublicKeyInfo of a private key."""
    from cryptography.hazmat.primitives import serialization as s

    der: bytes = _private(private).public_key().public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
    return der


def _private(der: bytes) -> Any:
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    return load_der_private_key(der, None)


def _public(der: bytes) -> Any:
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    return load_der_public_key(der)


def _oaep(algorithm: str) -> Any:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    digest = hashes.SHA1() if algorithm.endswith("SHA_1") else hashes.SHA256()
    return padding.OAEP(padding.MGF1(digest), digest, None)


def encrypt(spec: str, public: bytes, plaintext: bytes, algorithm: str) -> bytes:
    """Raises: ValidationException for more than the key's size leaves room for."""
    most = RSA_BITS[spec] // 8 - 2 * (20 if algorithm.endswith("SHA_1") else 32) - 2
    if len(plaintext) > most:
        raise ValidationException(
            f"Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {most} bytes."
        )
    sealed: bytes = _public(public).encrypt(plaintext, _oaep(algorithm))
    return sealed


def decrypt(private: bytes, blob: bytes, algorithm: str) -> bytes:
    """Raises: InvalidCiphertextException."""
    try:
        plaintext: bytes = _private(private).decrypt(blob, _oaep(algorithm))
    except ValueError:
        raise InvalidCiphertextException from None
    return plaintext


def sign(private: bytes, message: bytes, raw: bool, algorithm: str) -> bytes:
    """Sign a message, or its digest. Raises: ValidationException for a digest of the wrong length."""
    key = _private(private)
    if algorithm.startswith("ED25519"):
        _only_raw(raw, algorithm)
        return bytes(key.sign(message))
    digest, prehashed = _digest(message, raw, algorithm)
    if algorithm.startswith("ECDSA"):
        from cryptography.hazmat.primitives.asymmetric import ec

        return bytes(key.sign(digest, ec.ECDSA(prehashed)))
    return bytes(key.sign(digest, _padding(algorithm), prehashed))


def verify(public: bytes, message: bytes, raw: bool, algorithm: str, signature: bytes) -> None:
    """Raises: KMSInvalidSignatureException, ValidationException."""
    from cryptography.exceptions import InvalidSignature

    key = _public(public)
    try:
        if algorithm.startswith("ED25519"):
            _only_raw(raw, algorithm)
            key.verify(signature, message)
            return
        digest, prehashed = _digest(message, raw, algorithm)
        if algorithm.startswith("ECDSA"):
            from cryptography.hazmat.primitives.asymmetric import ec

            key.verify(signature, digest, ec.ECDSA(prehashed))
        else:
            key.verify(signature, digest, _padding(algorithm), prehashed)
    except InvalidSignature:
        raise KMSInvalidSignatureException from None


def _only_raw(raw: bool, algorithm: str) -> None:
    if algorithm != "ED25519_SHA_512":
        raise UnsupportedOperationException(f"{algorithm} is not supported by Cumulet.")
    if not raw:
        raise ValidationException(f"MessageType DIGEST is not valid for {algorithm}.")


def _digest(message: bytes, raw: bool, algorithm: str) -> tuple[bytes, Any]:
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

    size = int(algorithm[-3:])
    hashed = _hash(size)
    digest = hashlib.new(f"sha{size}", message).digest() if raw else message
    if len(digest) * 8 != size:
        raise ValidationException(f"Digest is invalid length for algorithm {algorithm}.")
    return digest, Prehashed(hashed)


def _hash(bits: int) -> Any:
    from cryptography.hazmat.primitives import hashes

    return getattr(hashes, f"SHA{bits}")()


def _padding(algorithm: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import padding

    if algorithm.startswith("RSASSA_PKCS1"):
        return padding.PKCS1v15()
    hashed = _hash(int(algorithm[-3:]))
    return padding.PSS(padding.MGF1(hashed), padding.PSS.DIGEST_LENGTH)


def agree(private: bytes, public: bytes) -> bytes:
    """The shared secret of ECDH. Raises: ValidationException, InvalidKeyUsageException for a key of another curve."""
    from cryptography.hazmat.primitives.asymmetric import ec

    mine = _private(private)
    try:
        theirs = _public(public)
    except ValueError:
        raise ValidationException("The public key is not valid.") from None
    if not isinstance(theirs, ec.EllipticCurvePublicKey) or theirs.curve.name != mine.curve.name:
        raise InvalidKeyUsageException("The public key must be on the same curve as the KMS key.")
    return bytes(mine.exchange(ec.ECDH(), theirs))


def unwrap(private: bytes, sealed: bytes, algorithm: str) -> bytes:
    """Imported material out of what wraps it: RSAES_OAEP_*, or RSA_AES_KEY_WRAP_* with an AES key in front. Raises: ValueError."""
    key = _private(private)
    if algorithm.startswith("RSAES_OAEP"):
        return bytes(key.decrypt(sealed, _oaep(algorithm)))
    from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding

    size = key.key_size // 8
    wrapping = key.decrypt(sealed[:size], _oaep(algorithm))
    try:
        return aes_key_unwrap_with_padding(wrapping, sealed[size:])
    except InvalidUnwrap as error:
        raise ValueError("wrapped wrongly") from error
