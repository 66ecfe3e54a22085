"""Operations on grants. They are kept and listed; like policies, they are not enforced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.kms import making
from cumulet.services.kms.errors import (
    InvalidGrantIdException,
    InvalidGrantTokenException,
    LimitExceededException,
    NotFoundException,
    ValidationException,
)
from cumulet.services.kms.lookup import enabled, key_itself, no_dry_run, own, page
from cumulet.services.kms.model import (
    AGREE,
    ENCRYPT,
    GRANTS_A_KEY,
    MAC,
    ROOT,
    SIGN,
    Grant,
    Key,
    grant_key,
    grants_key,
    token_key,
)

Json = dict[str, Any]
_ALWAYS = {"CreateGrant", "RetireGrant", "DescribeKey"}
_BY_USAGE = {
    ENCRYPT: {
        "Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo",
    },
    SIGN: {"Sign", "Verify", "GetPublicKey"},
    MAC: {"GenerateMac", "VerifyMac"},
    AGREE: {"DeriveSharedSecret", "GetPublicKey"},
}  # fmt: skip


def create_grant(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Let a principal use a key; the same grant with a name asked for again gives the first one's id with a new token.

    Limit: 50,000 grants a key.
    Raises: NotFoundException, DisabledException, KMSInvalidStateException, ValidationException, LimitExceededException,
    AccessDeniedException.
    Source: KMS API_CreateGrant; developer guide, "Resource quotas" (read 2026-11).
    """
    key = enabled(own(ctx, key_itself(ctx, req["KeyId"]), "CreateGrant"))
    if ("GranteePrincipal" in req) == ("GranteeServicePrincipal" in req):
        raise ValidationException("Exactly one of GranteePrincipal and GranteeServicePrincipal must be specified.")
    possible = _ALWAYS | _BY_USAGE[key.usage] | ({"GetPublicKey"} if key.public else set())
    wrong = [name for name in req["Operations"] if name not in possible]
    if wrong:
        raise ValidationException(f"Grant Operation {wrong[0]} is not valid for a key with KeyUsage {key.usage}.")
    no_dry_run(req)
    token = ctx.ids.secret(64)
    grant = Grant(
        key_id=key.id, id=ctx.ids.hex(64), tokens=[token], created=ctx.now, issuer=f"arn:aws:iam::{ctx.account}:root",
        operations=list(dict.fromkeys(req["Operations"])), grantee=req.get("GranteePrincipal", ""),
        grantee_service=req.get("GranteeServicePrincipal", ""), retiring=req.get("RetiringPrincipal", ""),
        retiring_service=req.get("RetiringServicePrincipal", ""), name=req.get("Name", ""),
        constraints=dict(req.get("Constraints", {})),
    )  # fmt: skip
    if grant.name:
        for _, there in ctx.tx.scan((ROOT, "grant", key.id), Grant):
            if _terms(there) == _terms(grant):
                return _granted(ctx, replace(there, tokens=[*there.tokens, token]), token)
    if ctx.tx.add(grants_key(key.id)) > GRANTS_A_KEY:
        raise LimitExceededException(f"You have exceeded the number of grants per KMS key limit: {GRANTS_A_KEY}.")
    return _granted(ctx, grant, token)


def _granted(ctx: Context, grant: Grant, token: str) -> Json:
    ctx.tx.put(grant.key, grant)
    ctx.tx.put(token_key(token), f"{grant.key_id}/{grant.id}".encode())
    return {"GrantToken": token, "GrantId": grant.id}


def _terms(grant: Grant) -> tuple[Any, ...]:
    return (
        grant.name, grant.operations, grant.grantee, grant.grantee_service, grant.retiring, grant.retiring_service,
        grant.constraints,
    )  # fmt: skip


def list_grants(ctx: Context, req: Mapping[str, Any]) -> Json:
    """A key's grants, 50 a page: all, one by its id, or those of a grantee.

    Raises: NotFoundException, InvalidGrantIdException, InvalidMarkerException. Source: KMS API_ListGrants (read 2026-11).
    """
    key = key_itself(ctx, req["KeyId"])
    if "GrantId" in req and ctx.tx.get(grant_key(key.id, req["GrantId"]), Grant) is None:
        raise InvalidGrantIdException(f"Grant ID {req['GrantId']} not found")
    wanted = {"id": req.get("GrantId"), "grantee": req.get("GranteePrincipal"), "grantee_service": req.get("GranteeServicePrincipal")}  # fmt: skip
    rows = (
        (grant.id, grant)
        for _, grant in ctx.tx.scan((ROOT, "grant", key.id), Grant)
        if all(value is None or getattr(grant, field) == value for field, value in wanted.items())
    )
    return page(req, "Grants", rows, lambda grant: _shown(key, grant), 50)


def list_retirable_grants(ctx: Context, req: Mapping[str, Any]) -> Json:
    """The grants of the account's keys that a principal may retire.

    Raises: ValidationException, InvalidMarkerException. Source: KMS API_ListRetirableGrants (read 2026-11).
    """
    if ("RetiringPrincipal" in req) == ("RetiringServicePrincipal" in req):
        raise ValidationException("Exactly one of RetiringPrincipal and RetiringServicePrincipal must be specified.")
    keys = [str(k[-1]) for k in ctx.tx.scan_keys((ROOT, "of", ctx.account, ctx.region))]
    rows = (
        (f"{key_id}.{grant.id}", grant)
        for key_id in keys
        for _, grant in ctx.tx.scan((ROOT, "grant", key_id), Grant)
        if req.get("RetiringPrincipal", "") == grant.retiring
        and req.get("RetiringServicePrincipal", "") == grant.retiring_service
    )
    return page(req, "Grants", rows, lambda grant: _shown(key_itself(ctx, grant.key_id), grant), 50)


def _shown(key: Key, grant: Grant) -> Json:
    shown: Json = {
        "KeyId": key.arn,
        "GrantId": grant.id,
        "CreationDate": grant.created,
        "IssuingAccount": grant.issuer,
        "Operations": grant.operations,
    }
    for member, value in (
        ("GranteePrincipal", grant.grantee),
        ("GranteeServicePrincipal", grant.grantee_service),
        ("RetiringPrincipal", grant.retiring),
        ("RetiringServicePrincipal", grant.retiring_service),
        ("Name", grant.name),
        ("Constraints", grant.constraints),
    ):
        if value:
            shown[member] = value
    return shown


def revoke_grant(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Take a grant back. Raises: NotFoundException, KMSInvalidStateException. Source: KMS API_RevokeGrant (read 2026-11)."""
    key = key_itself(ctx, req["KeyId"])
    found = ctx.tx.get(grant_key(key.id, req["GrantId"]), Grant)
    if found is None:
        raise NotFoundException(f"Grant ID {req['GrantId']} not found")
    no_dry_run(req)
    making.drop_grant(ctx, found)
    return {}


def retire_grant(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Give a grant up, by its token, or by its id and key.

    Raises: ValidationException, InvalidGrantTokenException, NotFoundException. Source: KMS API_RetireGrant (read 2026-11).
    """
    if "GrantToken" in req:
        where = ctx.tx.get_bytes(token_key(req["GrantToken"]))
        if where is None:
            raise InvalidGrantTokenException("The grant token is not valid.")
        key_id, _, grant_id = where.decode().partition("/")
    elif "KeyId" in req and "GrantId" in req:
        key_id, grant_id = key_itself(ctx, req["KeyId"]).id, req["GrantId"]
    else:
        raise ValidationException("GrantToken, or KeyId and GrantId, must be specified.")
    found = ctx.tx.get(grant_key(key_id, grant_id), Grant)
    if found is None:
        raise NotFoundException(f"Grant ID {grant_id} not found")
    no_dry_run(req)
    making.drop_grant(ctx, found)
    return {}
