"""Operations on values and versions: get, put, labels; random passwords."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cumulet.aws.errors import AwsError, NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.secretsmanager import listing, passwords, versioning
from cumulet.services.secretsmanager.errors import (
    InvalidParameterException,
    InvalidRequestException,
    no_value,
)
from cumulet.services.secretsmanager.lookup import found, page, secret_named
from cumulet.services.secretsmanager.model import CURRENT, DAY_S, Secret, Version

Json = dict[str, Any]
_BATCH = 20


def get_secret_value(ctx: Context, req: Mapping[str, Any]) -> Json:
    """A version's value: the one with a label (by default AWSCURRENT), or with an id.

    Raises: ResourceNotFoundException, InvalidRequestException, DecryptionFailure.
    Source: Secrets Manager API_GetSecretValue (read 2026-11).
    """
    return _value(ctx, secret_named(ctx, req["SecretId"]), req)


def _value(ctx: Context, secret: Secret, req: Mapping[str, Any]) -> Json:
    version = _asked(secret, req)
    plaintext, binary = versioning.opened(ctx, secret, version)
    today = ctx.now // DAY_S * DAY_S
    if secret.accessed != today:
        versions = tuple(replace(one, accessed=today) if one.id == version.id else one for one in secret.versions)
        ctx.tx.put(secret.key, replace(secret, accessed=today, versions=versions))
    return {
        "ARN": secret.arn,
        "Name": secret.name,
        "VersionId": version.id,
        "SecretBinary" if binary else "SecretString": plaintext if binary else plaintext.decode(),
        "VersionStages": list(version.stages),
        "CreatedDate": version.created,
    }


def _asked(secret: Secret, req: Mapping[str, Any]) -> Version:
    stage = req.get("VersionStage", CURRENT)
    if "VersionId" in req:
        version = secret.version(req["VersionId"])
        what = f"VersionId: {req['VersionId']}"
        if version is not None and "VersionStage" in req and stage not in version.stages:
            raise InvalidRequestException(
                "You provided a VersionStage that is not associated to the provided VersionId."
            )
    else:
        version, what = secret.labelled(stage), f"staging label: {stage}"
    if version is None or not version.key:
        raise no_value(what)
    return version


def batch_get_secret_value(ctx: Context, req: Mapping[str, Any]) -> Json:
    """The current values of up to 20 secrets, by ids or by filters; each that fails is listed with its error.

    Raises: InvalidParameterException, InvalidNextTokenException. Source: Secrets Manager API_BatchGetSecretValue (read 2026-11).
    """
    if ("SecretIdList" in req) == ("Filters" in req):
        raise InvalidParameterException("You must include Filters or SecretIdList, but not both.")
    if "SecretIdList" in req:
        if "MaxResults" in req:
            raise InvalidParameterException("To use MaxResults, you must also use Filters.")
        names: list[str] = req["SecretIdList"]
    else:
        names = [secret.arn for secret in listing.matching(ctx, req)]
    answer = page(req, "Names", names, str, _BATCH)
    values: list[Json] = []
    errors: list[Json] = []
    for name in answer.pop("Names"):
        try:
            values.append(_value(ctx, secret_named(ctx, name), {}))
        except AwsError as error:
            errors.append({"SecretId": name, "ErrorCode": error.wire_code, "Message": error.message})
    return {**answer, "SecretValues": values, "Errors": errors}


def put_secret_value(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Add a version with a value; labels (by default AWSCURRENT) move to it. Idempotent by ClientRequestToken, the version's id.

    The first version gets AWSCURRENT in any case. Limits: 65,536 bytes, 20 labels on all versions.
    Raises: ResourceNotFoundException, InvalidRequestException, InvalidParameterException, ResourceExistsException,
    LimitExceededException, EncryptionFailure.
    Source: Secrets Manager API_PutSecretValue (read 2026-11).
    """
    if "RotationToken" in req:
        raise NotImplementedOnCumulet("Secrets Manager's setting RotationToken is not implemented by Cumulet.")
    secret, value = secret_named(ctx, req["SecretId"]), versioning.given(req)
    if value is None:
        raise InvalidParameterException("You must provide either SecretString or SecretBinary.")
    stages = list(req.get("VersionStages", (CURRENT,)))
    if secret.labelled(CURRENT) is None and CURRENT not in stages:
        stages.append(CURRENT)
    version_id = req.get("ClientRequestToken") or ctx.ids.uuid()
    after = versioning.put(ctx, secret, version_id, value, stages)
    if after is not secret:
        ctx.tx.put(after.key, after)
    version = after.version(version_id)
    assert version is not None
    return {"ARN": after.arn, "Name": after.name, "VersionId": version_id, "VersionStages": list(version.stages)}


def list_secret_version_ids(ctx: Context, req: Mapping[str, Any]) -> Json:
    """A secret's versions, 100 a page; those without labels only where they are asked for.

    Raises: ResourceNotFoundException, InvalidNextTokenException. Source: Secrets Manager API_ListSecretVersionIds.
    """
    secret = found(ctx, req["SecretId"])
    versions = [version for version in secret.versions if version.stages or req.get("IncludeDeprecated")]
    return {"ARN": secret.arn, "Name": secret.name, **page(req, "Versions", versions, _shown, 100)}


def _shown(version: Version) -> Json:
    shown: Json = {"VersionId": version.id, "CreatedDate": version.created}
    if version.stages:
        shown["VersionStages"] = list(version.stages)
    if version.accessed:
        shown["LastAccessedDate"] = version.accessed
    if version.key:
        shown["KmsKeyIds"] = [version.key]
    return shown


def update_secret_version_stage(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Move a label to another version, add it, or take it away; AWSPREVIOUS goes where AWSCURRENT was.

    Raises: ResourceNotFoundException, InvalidRequestException, InvalidParameterException, LimitExceededException.
    Source: Secrets Manager API_UpdateSecretVersionStage (read 2026-11).
    """
    secret, stage = secret_named(ctx, req["SecretId"]), req["VersionStage"]
    source, target = req.get("RemoveFromVersionId"), req.get("MoveToVersionId")
    for version_id in (source, target):
        if version_id is not None and secret.version(version_id) is None:
            raise no_value(f"VersionId: {version_id}")
    if source is None and target is None:
        raise InvalidParameterException("You must provide RemoveFromVersionId or MoveToVersionId.")
    holder = secret.labelled(stage)
    if target is None and stage == CURRENT:
        raise InvalidParameterException(
            f"You can only move staging label {CURRENT} to a different secret version. It can't be completely removed."
        )
    if source is None and holder is not None and holder.id != target:
        raise InvalidParameterException(
            f"The parameter RemoveFromVersionId can't be empty. Staging label {stage} is currently attached to version "
            f"{holder.id}, so you must explicitly reference that version in RemoveFromVersionId."
        )
    if source is not None and (holder is None or holder.id != source):
        raise InvalidParameterException(
            f"The parameter RemoveFromVersionId is not correct. Staging label {stage} is not attached to version {source}."
        )
    ctx.tx.put(secret.key, replace(versioning.moved(secret, stage, target), changed=ctx.now))
    return {"ARN": secret.arn, "Name": secret.name}


def get_random_password(ctx: Context, req: Mapping[str, Any]) -> Json:
    """A random password of 1 to 4,096 characters (by default 32), with one of each type unless that is switched off.

    Raises: InvalidParameterException. Source: Secrets Manager API_GetRandomPassword (read 2026-11).
    """
    return {"RandomPassword": passwords.made(req)}
