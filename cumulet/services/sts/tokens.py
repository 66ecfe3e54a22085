"""Operations of STS: who am I, and temporary credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cumulet.aws.arn import Arn
from cumulet.aws.errors import AccessDenied, AwsError, NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.services.sts.errors import InvalidClientTokenId, StsValidationError
from cumulet.services.sts.identity import identity as _identity
from cumulet.services.sts.model import assumed_role_arn as _assumed_role_arn
from cumulet.services.sts.model import credentials as _credentials
from cumulet.services.sts.model import open_session as _open_session
from cumulet.services.sts.model import role_name as _role_name

if TYPE_CHECKING:
    from cumulet.services.sts.api import (
        AssumeRoleRequest,
        AssumeRoleResult,
        GetAccessKeyInfoRequest,
        GetAccessKeyInfoResult,
        GetCallerIdentityRequest,
        GetCallerIdentityResult,
        GetSessionTokenRequest,
        GetSessionTokenResult,
    )

_DEFAULT_ROLE_S, _CHAINED_ROLE_S = 3600, 3600
_DEFAULT_USER_S, _ROOT_S = 43200, 3600


def get_caller_identity(ctx: Context, req: GetCallerIdentityRequest) -> GetCallerIdentityResult:
    """Account, ARN and unique id of the caller. Keys that IAM did not make act as the account's root user.

    Raises: ExpiredToken, InvalidClientTokenId. Source: STS API_GetCallerIdentity (read 2026-11).
    """
    known = _identity(ctx, {"AccessKeyId": ctx.access_key})
    if known:
        return {"Account": known["AccountId"], "Arn": known["Arn"], "UserId": known["UserId"]}
    arn = ctx.principal if ctx.principal.startswith("arn:") else f"arn:aws:iam::{ctx.account}:root"
    return {"Account": ctx.account, "Arn": arn, "UserId": ctx.account}


def get_access_key_info(ctx: Context, req: GetAccessKeyInfoRequest) -> GetAccessKeyInfoResult:
    """The account of an access key. A key of 12 digits is an account of its own.

    Raises: InvalidClientTokenId for a key that was not made here. Source: STS API_GetAccessKeyInfo (read 2026-11).
    """
    key = req["AccessKeyId"]
    if len(key) == 12 and key.isdigit():
        return {"Account": key}
    if key == ctx.access_key:
        return {"Account": ctx.account}
    known = _identity(ctx, {"AccessKeyId": key})
    if not known:
        raise InvalidClientTokenId()
    return {"Account": known["AccountId"]}


def get_session_token(ctx: Context, req: GetSessionTokenRequest) -> GetSessionTokenResult:
    """Temporary credentials of the calling user: 900 s to 36 h, 12 h by default; at most 1 h for the root user.

    Raises: AccessDenied when called with temporary credentials; NotImplemented for MFA (SerialNumber, TokenCode).
    Source: STS API_GetSessionToken (read 2026-11).
    """
    _refuse_mfa(dict(req))
    if ctx.access_key.startswith("ASIA"):
        raise AccessDenied("Cannot call GetSessionToken with session credentials")
    me = get_caller_identity(ctx, {})
    lasts_s = req.get("DurationSeconds", _DEFAULT_USER_S)
    if me["Arn"].endswith(":root"):
        lasts_s = min(lasts_s, _ROOT_S)
    session = _open_session(ctx, me["Account"], me["Arn"], me["UserId"], lasts_s)
    return {"Credentials": _credentials(session)}  # type: ignore[typeddict-item]


def assume_role(ctx: Context, req: AssumeRoleRequest) -> AssumeRoleResult:
    """Temporary credentials of a role: 900 s up to the role's MaxSessionDuration, 1 h by default and when chained.

    The role must exist; session policies, tags and SourceIdentity are kept with the session, and count, as the trust
    policy does, where IAM is enforced.
    Raises: AccessDenied (no such role), ValidationError, MalformedPolicyDocument; NotImplemented for MFA and
    ProvidedContexts.
    Source: STS API_AssumeRole; IAM user guide, "Methods to assume a role" (read 2026-11).
    """
    _refuse_mfa(dict(req))
    if "ProvidedContexts" in req:
        raise NotImplementedOnCumulet("AssumeRole: ProvidedContexts is not implemented by Cumulet.")
    try:
        arn = Arn.parse(req["RoleArn"])
    except ValueError as error:
        raise StsValidationError(f"{req['RoleArn']} is invalid") from error
    if arn.service != "iam" or not arn.resource.startswith("role/"):
        raise StsValidationError(f"{req['RoleArn']} is invalid")
    if "Policy" in req:
        ctx.call("iam", "cumulet:CheckPolicy", {"PolicyDocument": req["Policy"]})
    role_id, longest_s = _role(ctx, arn, req["RoleArn"])
    lasts_s = req.get("DurationSeconds", _DEFAULT_ROLE_S)
    if lasts_s > longest_s:
        raise StsValidationError("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    if lasts_s > _CHAINED_ROLE_S and ":assumed-role/" in get_caller_identity(ctx, {})["Arn"]:
        raise StsValidationError(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        )
    name = req["RoleSessionName"]
    session = _open_session(
        ctx,
        arn.account,
        _assumed_role_arn(arn, name),
        f"{role_id}:{name}",
        lasts_s,
        role_arn=req["RoleArn"],
        policies=[req["Policy"]] if "Policy" in req else [],
        policy_arns=[each["arn"] for each in req.get("PolicyArns", [])],
        tags={tag["Key"]: tag["Value"] for tag in req.get("Tags", [])},
        transitive_tags=list(req.get("TransitiveTagKeys", [])),
        source_identity=req.get("SourceIdentity", ""),
    )
    result: AssumeRoleResult = {
        "Credentials": _credentials(session),  # type: ignore[typeddict-item]
        "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
    }
    if session.policies:
        result["PackedPolicySize"] = max(1, len(req["Policy"]) * 100 // 2048)
    if session.source_identity:
        result["SourceIdentity"] = session.source_identity
    return result


def _refuse_mfa(req: dict[str, object]) -> None:
    for name in ("SerialNumber", "TokenCode"):
        if name in req:
            raise NotImplementedOnCumulet(f"{name}: multi-factor authentication is not implemented by Cumulet.")


def _role(ctx: Context, arn: Arn, text: str) -> tuple[str, int]:
    """Id and MaxSessionDuration of an existing role."""
    try:
        role = ctx.call("iam", "GetRole", {"RoleName": _role_name(arn)}, principal="", account=arn.account)["Role"]
    except NotImplementedOnCumulet:
        raise
    except AwsError:
        role = None
    if role is None or role["Arn"] != text:
        caller = get_caller_identity(ctx, {})["Arn"]
        raise AccessDenied(
            f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {text}",
            hint=f"there is no role {text}; see aws iam list-roles",
        )
    return role["RoleId"], role.get("MaxSessionDuration", _DEFAULT_ROLE_S)
