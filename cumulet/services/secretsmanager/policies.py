"""Operations on resource policies; they are checked and kept, not enforced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cumulet.aws.errors import AwsError, NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.secretsmanager import documents
from cumulet.services.secretsmanager.errors import PublicPolicyException
from cumulet.services.secretsmanager.lookup import found, secret_named

Json = dict[str, Any]


def _refuse(req: Mapping[str, Any]) -> None:
    if req.get("PolicyName", "default") != "default":
        raise NotImplementedOnCumulet("Secrets Manager's setting PolicyName is not implemented by Cumulet.")


def put_resource_policy(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Give a secret a policy of 20,480 characters at most; with BlockPublicPolicy not one that lets everybody in.

    Raises: ResourceNotFoundException, InvalidRequestException, MalformedPolicyDocumentException, PublicPolicyException.
    Source: Secrets Manager API_PutResourcePolicy (read 2026-11).
    """
    _refuse(req)
    secret = secret_named(ctx, req["SecretId"])
    public = documents.checked(req["ResourcePolicy"])
    if public and req.get("BlockPublicPolicy"):
        raise PublicPolicyException("The resource policy grants broad access to the secret.")
    ctx.tx.put(secret.key, replace(secret, policy=req["ResourcePolicy"]))
    return {"ARN": secret.arn, "Name": secret.name}


def get_resource_policy(ctx: Context, req: Mapping[str, Any]) -> Json:
    """A secret's policy, where it has one. Raises: ResourceNotFoundException. Source: API_GetResourcePolicy (read 2026-11)."""
    _refuse(req)
    secret = found(ctx, req["SecretId"])
    answer = {"ARN": secret.arn, "Name": secret.name}
    return {**answer, "ResourcePolicy": secret.policy} if secret.policy else answer


def delete_resource_policy(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Take a secret's policy away.

    Raises: ResourceNotFoundException, InvalidRequestException. Source: API_DeleteResourcePolicy (read 2026-11).
    """
    _refuse(req)
    secret = secret_named(ctx, req["SecretId"])
    ctx.tx.put(secret.key, replace(secret, policy=""))
    return {"ARN": secret.arn, "Name": secret.name}


def validate_resource_policy(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Whether a policy could be put: well formed, and not letting everybody in.

    Raises: ResourceNotFoundException, InvalidRequestException. Source: API_ValidateResourcePolicy (read 2026-11).
    """
    if "SecretId" in req:
        secret_named(ctx, req["SecretId"])
    errors: list[Json] = []
    try:
        if documents.checked(req["ResourcePolicy"]):
            errors.append(
                {"CheckName": "PUBLIC_ACCESS", "ErrorMessage": "The policy grants broad access to the secret."}
            )
    except AwsError as error:
        errors.append({"CheckName": "POLICY_VALIDATION", "ErrorMessage": error.message})
    return {"PolicyValidationPassed": not errors, "ValidationErrors": errors}
