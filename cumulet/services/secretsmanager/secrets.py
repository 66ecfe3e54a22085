"""Operations on secrets: create, change, describe, list, delete, restore, tags."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.secretsmanager import listing, versioning
from cumulet.services.secretsmanager.errors import (
    InvalidParameterException,
    InvalidRequestException,
    LimitExceededException,
    ResourceExistsException,
    ResourceNotFoundException,
    ValidationException,
)
from cumulet.services.secretsmanager.lookup import found, page, secret_named
from cumulet.services.secretsmanager.model import (
    CURRENT,
    DAY_S,
    SECRETS,
    TAGS,
    Secret,
    count_key,
    secret_key,
)
from cumulet.services.secretsmanager.removal import removed

Json = dict[str, Any]
_NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]{1,512}")
_SHORTEST_DAYS, _LONGEST_DAYS = 7, 30
_REFUSED = ("AddReplicaRegions", "ForceOverwriteReplicaSecret", "Type", "CrossAccountPrimaryARN")


def _refuse(req: Mapping[str, Any]) -> None:
    for member in _REFUSED:
        if req.get(member):
            raise NotImplementedOnCumulet(f"Secrets Manager's setting {member} is not implemented by Cumulet.")


def create_secret(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Make a secret, with a first version where a value is given; the same request with the same token gives the same answer.

    Limits: 65,536 bytes, 500,000 secrets an account and region, 50 tags. Replicas and managed external secrets are refused.
    Raises: InvalidParameterException, ValidationException, ResourceExistsException, InvalidRequestException (the name's secret is
    marked for deletion), LimitExceededException, EncryptionFailure.
    Source: Secrets Manager API_CreateSecret; user guide, "Quotas" (read 2026-11).
    """
    _refuse(req)
    name, value = req["Name"], versioning.given(req)
    if not _NAME.fullmatch(name):
        raise ValidationException(
            "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"
        )
    there = ctx.tx.get(secret_key(ctx.account, ctx.region, name), Secret)
    if there is not None:
        return _again(ctx, there, req, value)
    if ctx.tx.add(count_key(ctx.account, ctx.region)) > SECRETS:
        raise LimitExceededException(f"You have exceeded the number of secrets limit: {SECRETS}.")
    secret = Secret(
        account=ctx.account, region=ctx.region, name=name, uid=ctx.ids.uuid(), suffix=ctx.ids.lower(6), created=ctx.now,
        changed=ctx.now, description=req.get("Description", ""), kms_key=req.get("KmsKeyId", ""),
        tags=_tagged({}, req.get("Tags", ())),
    )  # fmt: skip
    answer = {"ARN": secret.arn, "Name": name}
    if value is not None:
        answer["VersionId"] = version_id = req.get("ClientRequestToken") or ctx.ids.uuid()
        secret = versioning.put(ctx, secret, version_id, value, (CURRENT,))
    ctx.tx.put(secret.key, secret)
    return answer


def _again(ctx: Context, secret: Secret, req: Mapping[str, Any], value: tuple[bytes, bool] | None) -> Json:
    """The answer for a name that is taken. Raises: InvalidRequestException, ResourceExistsException."""
    if secret.deleted_at:
        raise InvalidRequestException(
            "You can't create this secret because a secret with this name is already scheduled for deletion."
        )
    version = secret.version(req.get("ClientRequestToken", ""))
    if version is not None and version.key and value is not None and versioning.same(ctx, secret, version, value):
        return {"ARN": secret.arn, "Name": secret.name, "VersionId": version.id}
    raise ResourceExistsException(f"The operation failed because the secret {secret.name} already exists.")


def update_secret(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Change a secret's description or key, and give it a new current value.

    Another key seals the versions that come from now on; those that there are stay as they are.
    Raises: ResourceNotFoundException, InvalidRequestException, InvalidParameterException, ResourceExistsException, EncryptionFailure.
    Source: Secrets Manager API_UpdateSecret (read 2026-11).
    """
    _refuse(req)
    secret, value = secret_named(ctx, req["SecretId"]), versioning.given(req)
    changes = {
        field: req[member]
        for member, field in (("Description", "description"), ("KmsKeyId", "kms_key"))
        if member in req
    }
    secret = replace(secret, changed=ctx.now, **changes)
    answer = {"ARN": secret.arn, "Name": secret.name}
    if value is not None:
        answer["VersionId"] = version_id = req.get("ClientRequestToken") or ctx.ids.uuid()
        secret = versioning.put(ctx, secret, version_id, value, (CURRENT,))
    ctx.tx.put(secret.key, secret)
    return answer


def describe_secret(ctx: Context, req: Mapping[str, Any]) -> Json:
    """All about a secret but its value.

    Raises: ResourceNotFoundException. Source: Secrets Manager API_DescribeSecret (read 2026-11).
    """
    return listing.described(found(ctx, req["SecretId"]), "VersionIdsToStages")


def list_secrets(ctx: Context, req: Mapping[str, Any]) -> Json:
    """The account's secrets, 100 a page, filtered and sorted; those marked for deletion only where they are asked for.

    Raises: InvalidNextTokenException, InvalidParameterException. Source: Secrets Manager API_ListSecrets (read 2026-11).
    """
    return page(
        req, "SecretList", listing.matching(ctx, req), lambda one: listing.described(one, "SecretVersionsToStages"), 100
    )


def delete_secret(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Mark a secret for deletion in 7 to 30 days (by default 30), or delete it at once; until then it can be restored.

    Raises: ResourceNotFoundException (not where it is forced), InvalidRequestException, InvalidParameterException.
    Source: Secrets Manager API_DeleteSecret (read 2026-11).
    """
    force = req.get("ForceDeleteWithoutRecovery", False)
    if force and "RecoveryWindowInDays" in req:
        raise InvalidParameterException(
            "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays."
        )
    days = req.get("RecoveryWindowInDays", _LONGEST_DAYS)
    if not _SHORTEST_DAYS <= days <= _LONGEST_DAYS:
        raise InvalidParameterException("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
    try:
        secret = found(ctx, req["SecretId"])
    except ResourceNotFoundException:
        if not force or req["SecretId"].startswith("arn:"):
            raise
        arn = f"arn:aws:secretsmanager:{ctx.region}:{ctx.account}:secret:{req['SecretId']}-{ctx.ids.lower(6)}"
        return {"ARN": arn, "Name": req["SecretId"], "DeletionDate": ctx.now}
    if force:
        removed(ctx, secret)
        return {"ARN": secret.arn, "Name": secret.name, "DeletionDate": ctx.now}
    if secret.deleted_at:
        raise InvalidRequestException(
            "You can't perform this operation on the secret because it was already scheduled for deletion."
        )
    at = ctx.now + days * DAY_S
    ctx.tx.put(secret.key, replace(secret, deleted_at=at))
    ctx.tx.wake(at, "secretsmanager.delete", (secret.account, secret.region, secret.name, secret.uid))
    return {"ARN": secret.arn, "Name": secret.name, "DeletionDate": at}


def restore_secret(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Keep a secret that was marked for deletion; one that was not stays as it is.

    Raises: ResourceNotFoundException. Source: Secrets Manager API_RestoreSecret (read 2026-11).
    """
    secret = found(ctx, req["SecretId"])
    ctx.tx.put(secret.key, replace(secret, deleted_at=0.0))
    if secret.rotation is not None and secret.rotation.at:
        ctx.tx.wake(
            max(ctx.now, secret.rotation.at), "secretsmanager.due", (secret.account, secret.region, secret.name)
        )
    return {"ARN": secret.arn, "Name": secret.name}


def tag_resource(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Add tags to a secret, 50 at most.

    Raises: ResourceNotFoundException, InvalidRequestException, InvalidParameterException.
    Source: Secrets Manager API_TagResource (read 2026-11).
    """
    secret = secret_named(ctx, req["SecretId"])
    ctx.tx.put(secret.key, replace(secret, tags=_tagged(secret.tags, req["Tags"])))
    return {}


def untag_resource(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Take tags off a secret. Raises: ResourceNotFoundException, InvalidRequestException. Source: API_UntagResource."""
    secret = secret_named(ctx, req["SecretId"])
    tags = {name: value for name, value in secret.tags.items() if name not in req["TagKeys"]}
    ctx.tx.put(secret.key, replace(secret, tags=tags))
    return {}


def _tagged(now: Mapping[str, str], added: Sequence[Mapping[str, str]]) -> dict[str, str]:
    tags = dict(now)
    for tag in added:
        name = tag.get("Key", "")
        if not name:
            raise InvalidParameterException("A tag must have a key.")
        if name.lower().startswith("aws:") and not name.startswith("aws:cloudformation:"):
            raise InvalidParameterException("Tag keys that begin with aws: are reserved.")
        tags[name] = tag.get("Value", "")
    if len(tags) > TAGS:
        raise InvalidParameterException(f"A secret can have at most {TAGS} tags.")
    return tags
