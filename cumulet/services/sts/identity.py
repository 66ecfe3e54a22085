"""Who an access key is, and the credentials of services' roles: what only the gateway and other services may ask."""

from __future__ import annotations

from typing import Any

from cumulet.aws.arn import Arn
from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.services.sts.errors import ExpiredToken, InvalidClientTokenId
from cumulet.services.sts.model import (
    Current,
    Session,
    assumed_role_arn,
    credentials,
    current_key,
    id_of_unknown_role,
    open_session,
    role_name,
    session_key,
)

ROLE_SESSION_S = 12 * 3600.0
RENEW_BEFORE_S = 3600.0


def identity(ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
    """`cumulet:Identity`: account, ARN, user id and secret of an access key; {} for a key that nobody made here.

    `ServiceName` and `Region`, when given, become what GetAccessKeyLastUsed tells of a user's key.
    Raises: ExpiredToken; InvalidClientTokenId for a user's inactive key.
    """
    access_key = req["AccessKeyId"]
    if access_key.startswith("ASIA"):
        session = ctx.tx.get(session_key(access_key), Session)
        if session is None:
            return {}
        if ctx.now >= session.expires:
            raise ExpiredToken()
        return {
            "AccountId": session.account,
            "Arn": session.arn,
            "UserId": session.user_id,
            "SecretAccessKey": session.secret,
            "Expiration": session.expires,
            "SessionToken": session.token,
            "RoleArn": session.role_arn,
        }
    if not access_key.startswith("AKIA"):
        return {}
    key: dict[str, Any] = ctx.call("iam", "cumulet:AccessKey", dict(req), principal="")
    if key and key["Status"] != "Active":
        raise InvalidClientTokenId()
    return {name: key[name] for name in ("AccountId", "Arn", "UserId", "SecretAccessKey")} if key else {}


def session(ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
    """`cumulet:Session`: Arn, Tags, SourceIdentity and Policies (documents, None where it has no session policies) of temporary
    credentials; {} for unknown ones.
    """
    found = ctx.tx.get(session_key(req["AccessKeyId"]), Session)
    if found is None:
        return {}
    policies: list[str] | None = None
    if found.policies or found.policy_arns:
        asked = {"PolicyArns": found.policy_arns}
        documents = ctx.call("iam", "cumulet:Documents", asked, principal="", account=found.account)["Documents"]
        policies = [*found.policies, *documents]
    return {"Arn": found.arn, "Tags": found.tags, "SourceIdentity": found.source_identity, "Policies": policies}


def role_credentials(ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
    """`cumulet:RoleCredentials`: credentials of RoleArn for RoleSessionName, valid for at least another hour.

    They last 12 h, and the same ones are answered until one hour is left. The role need not be on IAM's records:
    local set-ups often name one that they never made. Where IAM is enforced such a role may do nothing.
    """
    name, arn = req["RoleSessionName"], Arn.parse(req["RoleArn"])
    at = current_key(arn.account, req["RoleArn"], name)
    current = ctx.tx.get(at, Current)
    session = ctx.tx.get(session_key(current.access_key), Session) if current is not None else None
    if session is None or session.expires - ctx.now <= RENEW_BEFORE_S:
        user_id = f"{_role_id(ctx, arn)}:{name}"
        session = open_session(
            ctx, arn.account, assumed_role_arn(arn, name), user_id, ROLE_SESSION_S, role_arn=req["RoleArn"]
        )
        ctx.tx.put(at, Current(access_key=session.access_key))
    return credentials(session)


def _role_id(ctx: Context, arn: Arn) -> str:
    try:
        found: str = ctx.call("iam", "GetRole", {"RoleName": role_name(arn)}, principal="", account=arn.account)[
            "Role"
        ]["RoleId"]
    except AwsError:
        return id_of_unknown_role(str(arn))
    return found
