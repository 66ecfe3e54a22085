"""Key material: made, wrapped for the store, and used to encrypt.

The store never holds material in the clear: each backing key is encrypted with AES-256-GCM by a master key, which lies in a
file of the data directory that only the server's user may read (`volatile["kms.master"]` reads it). A symmetric key's
ciphertext is our own format, as AWS's is undocumented:

    01 | key id, 16 bytes | number of the backing key, 4 bytes | nonce, 12 bytes | AES-256-GCM's output

The header and the encryption context are authenticated with it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from struct import Struct
from typing import TYPE_CHECKING, Any

from cumulet.kernel.context import Context
from cumulet.services.kms.errors import InvalidCiphertextException, KMSInternalException
from cumulet.services.kms.model import HMAC_BYTES, SYMMETRIC, Key, Material, material_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_HEADER = Struct(">B16sI")
_VERSION = 1
_NONCE_BYTES = 12
_KEPT = 4096


def aes(key: bytes) -> AESGCM:
    """AES-GCM with this key; imports the library at its first use."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def master(ctx: Context) -> bytes:
    """The machine's master key."""
    found: bytes = ctx.pipeline.volatile["kms.master"]()
    return found


def wrapped(ctx: Context, label: str, secret: bytes) -> bytes:
    """A secret as the store may hold it; `label` says where it belongs."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + aes(master(ctx)).encrypt(nonce, secret, label.encode())


def unwrapped(ctx: Context, label: str, kept: bytes) -> bytes:
    """Raises: KMSInternalException when the master key is not the one that wrapped it."""
    from cryptography.exceptions import InvalidTag

    try:
        return aes(master(ctx)).decrypt(kept[:_NONCE_BYTES], kept[_NONCE_BYTES:], label.encode())
    except InvalidTag:
        raise KMSInternalException(
            "The key material could not be read.",
            hint="the file kms.key of the data directory is not the one that this data was written with",
        ) from None


def random_material(spec: str) -> bytes:
    """New material for a symmetric or an HMAC key."""
    return os.urandom(32 if spec == SYMMETRIC else HMAC_BYTES[spec])


def keep(ctx: Context, key: Key, number: int, secret: bytes, kind: str = "") -> Material:
    """Write backing key `number` of a key."""
    material = Material(id=ctx.ids.hex(64), wrapped=wrapped(ctx, f"{key.id}/{number}", secret), at=ctx.now, kind=kind)
    ctx.tx.put(material_key(key.id, number), material)
    return material


def material_of(ctx: Context, key: Key, number: int = 0) -> Material:
    """A backing key's row, by default the current one's."""
    found = ctx.tx.get(material_key(key.id, number or key.material), Material)
    assert found is not None, f"{key.id} has lost its material"
    return found


def secret_of(ctx: Context, key: Key, number: int = 0) -> bytes:
    """Material in the clear. It is remembered, as long as the process lives."""
    number = number or key.material
    row = material_of(ctx, key, number)
    known: dict[str, bytes] = ctx.pipeline.volatile.setdefault("kms.secrets", {})
    found = known.get(row.id)
    if found is None:
        if len(known) >= _KEPT:
            known.clear()
        found = known[row.id] = unwrapped(ctx, f"{key.id}/{number}", row.wrapped)
    return found


def encrypt(ctx: Context, key: Key, plaintext: bytes, context: Mapping[str, str]) -> bytes:
    """A ciphertext that names the key and its present backing key."""
    header = _HEADER.pack(_VERSION, bytes.fromhex(key.id.replace("-", "")), key.material)
    nonce = os.urandom(_NONCE_BYTES)
    return header + nonce + aes(secret_of(ctx, key)).encrypt(nonce, plaintext, header + _canonical(context))


def key_id_in(blob: bytes) -> str:
    """The id of the key that made a ciphertext. Raises: InvalidCiphertextException."""
    if len(blob) < _HEADER.size + _NONCE_BYTES + 16 or blob[0] != _VERSION:
        raise InvalidCiphertextException
    text = blob[1:17].hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def decrypt(ctx: Context, key: Key, blob: bytes, context: Mapping[str, str]) -> tuple[bytes, Material]:
    """(the plaintext, the backing key's row). Raises: InvalidCiphertextException."""
    from cryptography.exceptions import InvalidTag

    header, nonce, rest = blob[: _HEADER.size], blob[_HEADER.size : _HEADER.size + 12], blob[_HEADER.size + 12 :]
    number: int = _HEADER.unpack(header)[2]
    material = ctx.tx.get(material_key(key.id, number), Material)
    if material is None:
        raise InvalidCiphertextException
    try:
        plaintext = aes(secret_of(ctx, key, number)).decrypt(nonce, rest, header + _canonical(context))
    except InvalidTag:
        raise InvalidCiphertextException from None
    return plaintext, material


def _canonical(context: Mapping[str, str]) -> bytes:
    """An encryption context as bytes: the same for the same pairs in any order."""
    parts: list[Any] = []
    for name in sorted(context):
        for text in (name.encode(), context[name].encode()):
            parts += [len(text).to_bytes(4, "big"), text]
    return b"".join(parts)
