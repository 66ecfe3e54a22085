"""Encryption for other services: data keys, and payloads sealed with them.

`cumulet:Seal` encrypts with a data key that is itself encrypted by a KMS key and lies beside what it sealed. A data key is used
again for `ReuseSeconds`, in memory only; so, as on AWS, a key that is disabled may go on serving for so long.
What is sealed is MessagePack: (encrypted data key, encryption context, nonce, AES-256-GCM's output).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from cumulet.kernel.context import Context
from cumulet.services.kms import making, material
from cumulet.services.kms.errors import InvalidCiphertextException, InvalidKeyUsageException, NotFoundException
from cumulet.services.kms.lookup import enabled, key_named
from cumulet.services.kms.model import Key, key_key

Json = dict[str, Any]
_KEPT = 4096
_encode = msgspec.msgpack.Encoder().encode
_Sealed = tuple[bytes, dict[str, str], bytes, bytes]
_decode = msgspec.msgpack.Decoder(_Sealed).decode


@dataclass(frozen=True, slots=True)
class _DataKey:
    """A data key in use until a time."""

    cipher: Any
    blob: bytes
    context: dict[str, str]
    arn: str
    until: float


def key_for(ctx: Context, name: str) -> Key:
    """The symmetric key that a service was told to use, enabled; alias/aws/SERVICE is made where it is missing.

    Raises: NotFoundException, DisabledException, KMSInvalidStateException, InvalidKeyUsageException.
    """
    service = name.rpartition("alias/aws/")[2]
    if service != name and service in making.AWS_SERVICES:
        return enabled(making.aws_managed(ctx, service))
    key = enabled(key_named(ctx, name))
    if not key.symmetric:
        raise InvalidKeyUsageException(f"{key.arn} key spec is {key.spec} which is not valid for GenerateDataKey.")
    return key


def key_in_use(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Internal `cumulet:Key`: the ARN of the key that KeyId names, if it can be used now."""
    return {"Arn": key_for(ctx, req["KeyId"]).arn}


def data_key(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Internal `cumulet:DataKey`: 32 random bytes, in the clear and encrypted by KeyId in Context."""
    key = key_for(ctx, req["KeyId"])
    plaintext = os.urandom(32)
    return {
        "Plaintext": plaintext,
        "CiphertextBlob": material.encrypt(ctx, key, plaintext, req.get("Context", {})),
        "KeyId": key.arn,
    }


def open_data_key(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Internal `cumulet:OpenDataKey`: the Plaintext of a data key's CiphertextBlob in Context.

    Raises: DisabledException, KMSInvalidStateException, NotFoundException.
    """
    return {"Plaintext": _opened(ctx, req["CiphertextBlob"], req.get("Context", {}))}


def _opened(ctx: Context, blob: bytes, context: Mapping[str, str]) -> bytes:
    key = ctx.tx.get(key_key(material.key_id_in(blob)), Key)
    if key is None:
        raise NotFoundException("The key that this was encrypted with does not exist.")
    return material.decrypt(ctx, enabled(key), blob, context)[0]


def seal(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Internal `cumulet:Seal`: Plaintext sealed under KeyId in Context, with the data key of the last ReuseSeconds.

    Gives Sealed and the key's ARN. An empty Plaintext only asks whether the key can be used.
    Raises: as `key_for`.
    """
    used = _in_use(ctx, req["KeyId"], dict(req["Context"]), float(req.get("ReuseSeconds", 0)))
    if not req["Plaintext"]:
        return {"KeyId": used.arn}
    nonce = os.urandom(12)
    sealed: _Sealed = (used.blob, used.context, nonce, used.cipher.encrypt(nonce, req["Plaintext"], None))
    return {"Sealed": _encode(sealed), "KeyId": used.arn}


def _in_use(ctx: Context, name: str, context: dict[str, str], reuse_s: float) -> _DataKey:
    known: dict[Any, _DataKey] = ctx.pipeline.volatile.setdefault("kms.sealing", {})
    place = (ctx.account, ctx.region, name, tuple(sorted(context.items())))
    found = known.get(place)
    if found is not None and found.until > ctx.now:
        return found
    made = data_key(ctx, {"KeyId": name, "Context": context})
    found = _DataKey(material.aes(made["Plaintext"]), made["CiphertextBlob"], context, made["KeyId"], ctx.now + reuse_s)
    if reuse_s:
        if len(known) >= _KEPT:
            known.clear()
        known[place] = found
    return found


def unseal(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Internal `cumulet:Open`: the Plaintext of what was Sealed; a data key is remembered for ReuseSeconds.

    Raises: DisabledException, KMSInvalidStateException, NotFoundException.
    """
    blob, context, nonce, rest = _decode(req["Sealed"])
    known: dict[bytes, tuple[Any, float]] = ctx.pipeline.volatile.setdefault("kms.opening", {})
    cipher, until = known.get(blob, (None, 0.0))
    if until <= ctx.now:
        cipher = material.aes(_opened(ctx, blob, context))
        reuse_s = float(req.get("ReuseSeconds", 0))
        if reuse_s:
            if len(known) >= _KEPT:
                known.clear()
            known[blob] = (cipher, ctx.now + reuse_s)
    from cryptography.exceptions import InvalidTag

    try:
        return {"Plaintext": cipher.decrypt(nonce, rest, None)}
    except InvalidTag:
        raise InvalidCiphertextException from None
