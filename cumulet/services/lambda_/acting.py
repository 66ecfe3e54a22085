"""As whom Lambda acts for a function: with the function's execution role, where IAM is enforced."""

from __future__ import annotations

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.services.lambda_.model import Version
from cumulet.services.lambda_.names import Ref

SERVICE_PRINCIPAL = "lambda.amazonaws.com"


def acting(ctx: Context, where: Ref) -> str:
    """The principal of what Lambda does for a function: reading its sources, its destinations, its dead letters."""
    if ctx.pipeline.authority is None:
        return SERVICE_PRINCIPAL
    try:
        return session_of(where.version(ctx))
    except AwsError:  # the function is gone
        return SERVICE_PRINCIPAL


def session_of(version: Version) -> str:
    """The session that a version runs in."""
    account = version.role.split(":")[4]
    return f"arn:aws:sts::{account}:assumed-role/{version.role.rpartition('/')[2]}/{version.name}"
