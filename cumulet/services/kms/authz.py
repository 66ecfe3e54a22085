"""What KMS's operations need of IAM: the key's policy must let the caller or his account in, whatever his own policies say.

Source: KMS developer guide, "Key policies in AWS KMS", "AWS KMS permissions"; Service Authorization Reference, "AWS KMS" (read
2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cumulet.aws.errors import AwsError
from cumulet.kernel.authz import Authz, Need, Needs
from cumulet.kernel.context import Context
from cumulet.services.kms.lookup import key_named
from cumulet.services.kms.material import key_id_in

Json = dict[str, Any]


def _need(ctx: Context, action: str, name: str, req: Json) -> Need:
    facts: Json = {"kms:RequestAlias": name if "alias/" in name else None}
    context = req.get("EncryptionContext") or {}
    facts |= {f"kms:EncryptionContext:{key}": value for key, value in context.items()}
    if context:
        facts["kms:EncryptionContextKeys"] = list(context)
    try:
        key = key_named(ctx, name)
    except AwsError:
        return Need(f"kms:{action}", name if name.startswith("arn:") else "*", facts=facts)
    facts |= {f"aws:ResourceTag/{tag}": value for tag, value in key.tags.items()}
    facts |= {"kms:KeySpec": key.spec, "kms:KeyUsage": key.usage}
    return Need(f"kms:{action}", key.arn, key.account, key.policy, facts, binding=True)


def _on_key(action: str, member: str = "KeyId") -> Needs:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        return (_need(ctx, action, req.get(member) or "*", req),)

    return needs


def _decrypt(action: str, prefix: str = "") -> Needs:
    """The key is the one that the ciphertext names, unless it cannot say."""

    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        name = req.get(f"{prefix}KeyId")
        if name is None and "CiphertextBlob" in req:
            name = key_id_in(req["CiphertextBlob"])
        yield _need(ctx, action, name or "*", req)
        if prefix:
            yield _need(ctx, "ReEncryptTo", req["DestinationKeyId"], req)

    return needs


def _alias(action: str) -> Needs:
    """The alias, and the key that it is for."""

    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        name = req["AliasName"]
        yield Need(f"kms:{action}", f"arn:aws:kms:{ctx.region}:{ctx.account}:{name}")
        yield _need(ctx, action, req.get("TargetKeyId") or name, {})

    return needs


_KEY = (
    "CancelKeyDeletion", "CreateGrant", "DeleteImportedKeyMaterial", "DeriveSharedSecret", "DescribeKey", "DisableKey",
    "DisableKeyRotation", "EnableKey", "EnableKeyRotation", "Encrypt", "GenerateDataKey", "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext", "GenerateDataKeyWithoutPlaintext", "GenerateMac", "GetKeyPolicy",
    "GetKeyRotationStatus", "GetParametersForImport", "GetPublicKey", "ImportKeyMaterial", "ListGrants", "ListKeyPolicies",
    "ListKeyRotations", "ListResourceTags", "PutKeyPolicy", "RevokeGrant", "RotateKeyOnDemand", "ScheduleKeyDeletion", "Sign",
    "TagResource", "UntagResource", "UpdateKeyDescription", "Verify", "VerifyMac",
)  # fmt: skip

AUTHZ = Authz(
    "kms",
    {
        **{name: _on_key(name) for name in _KEY},
        **{name: _alias(name) for name in ("CreateAlias", "DeleteAlias", "UpdateAlias")},
        "Decrypt": _decrypt("Decrypt"),
        "ReEncrypt": _decrypt("ReEncryptFrom", "Source"),
    },
)
