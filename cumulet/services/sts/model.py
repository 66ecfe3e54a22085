"""Sessions: temporary credentials, whose they are, and until when."""

from __future__ import annotations

import hashlib
from typing import Any

from msgspec import field

from cumulet.aws.arn import Arn
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record

FORGET_AFTER_S = 3600.0  # an expired session is remembered this long, so that its user hears ExpiredToken


class Session(Record):
    """One set of temporary credentials. `role_arn` is "" for those of GetSessionToken."""

    access_key: str
    secret: str
    token: str
    account: str
    arn: str
    user_id: str
    expires: float
    role_arn: str = ""
    policies: list[str] = field(default_factory=list)
    policy_arns: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    transitive_tags: list[str] = field(default_factory=list)
    source_identity: str = ""


class Current(Record):
    """The session that a service's role uses now."""

    access_key: str


def session_key(access_key: str) -> Key:
    return ("sts", "session", access_key)


def current_key(account: str, role_arn: str, name: str) -> Key:
    return ("sts", "current", account, role_arn, name)


def open_session(ctx: Context, account: str, arn: str, user_id: str, lasts_s: float, **more: Any) -> Session:
    """Make credentials that end after `lasts_s` seconds."""
    session = Session(
        access_key=f"ASIA{ctx.ids.upper(16)}",
        secret=ctx.ids.secret(),
        token=f"IQoJb3JpZ2lu{ctx.ids.secret(300)}",
        account=account,
        arn=arn,
        user_id=user_id,
        expires=ctx.now + lasts_s,
        **more,
    )
    ctx.tx.put(session_key(session.access_key), session)
    ctx.tx.wake(session.expires + FORGET_AFTER_S, "sts.forget", (session.access_key,))
    return session


def forget(ctx: Context, key: Key) -> None:
    """Timer: remove an expired session."""
    ctx.tx.delete(session_key(str(key[0])))


def credentials(session: Session) -> dict[str, Any]:
    return {
        "AccessKeyId": session.access_key,
        "SecretAccessKey": session.secret,
        "SessionToken": session.token,
        "Expiration": session.expires,
    }


def role_name(arn: Arn) -> str:
    return arn.resource.rsplit("/", 1)[-1]


def assumed_role_arn(arn: Arn, name: str) -> str:
    return f"arn:{arn.partition}:sts::{arn.account}:assumed-role/{role_name(arn)}/{name}"


def id_of_unknown_role(arn: str) -> str:
    """A stable id, in AWS's form, of a role that IAM has no record of."""
    return "AROA" + str(int(hashlib.sha256(arn.encode()).hexdigest(), 16))[:17]
