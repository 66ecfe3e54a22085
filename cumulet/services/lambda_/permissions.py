"""Operations on functions' resource policies."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.services.lambda_.errors import InvalidParameterValueException
from cumulet.services.lambda_.model import LATEST, policy_key
from cumulet.services.lambda_.names import Ref, ref
from cumulet.services.lambda_.policies import add_statement, document, principal_of, remove_statement

Json = dict[str, Any]


def add_permission(ctx: Context, req: Json) -> Json:
    """Let a service, an account or a role use a function, a version or an alias.

    SourceArn becomes an ArnLike condition, SourceAccount, PrincipalOrgID, EventSourceToken and FunctionUrlAuthType
    StringEquals ones. Limit: 20 KB a policy.
    Raises: ResourceNotFoundException, ResourceConflictException, PreconditionFailedException,
    InvalidParameterValueException, PolicyLengthExceededException.
    Source: Lambda API_AddPermission (read 2026-11).
    """
    where = ref(ctx, req["FunctionName"], req.get("Qualifier"))
    where.version(ctx)
    if "FunctionUrlAuthType" in req and req["Action"] not in ("lambda:InvokeFunctionUrl", "lambda:*", "*"):
        raise InvalidParameterValueException(
            "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action"
        )
    conditions: dict[str, Json] = {}
    if "SourceArn" in req:
        conditions.setdefault("ArnLike", {})["AWS:SourceArn"] = req["SourceArn"]
    for member, name in (
        ("SourceAccount", "AWS:SourceAccount"),
        ("PrincipalOrgID", "aws:PrincipalOrgID"),
        ("EventSourceToken", "lambda:EventSourceToken"),
        ("FunctionUrlAuthType", "lambda:FunctionUrlAuthType"),
    ):
        if member in req:
            conditions.setdefault("StringEquals", {})[name] = req[member]
    if "InvokedViaFunctionUrl" in req:
        conditions["Bool"] = {"lambda:InvokedViaFunctionUrl": str(req["InvokedViaFunctionUrl"]).lower()}
    statement: Json = {
        "Sid": req["StatementId"],
        "Effect": "Allow",
        "Principal": principal_of(req["Principal"]),
        "Action": req["Action"],
        "Resource": where.arn,
    }
    if conditions:
        statement["Condition"] = conditions
    return {"Statement": add_statement(ctx, _key(where), statement, req.get("RevisionId"))}


def remove_permission(ctx: Context, req: Json) -> Json:
    """Take a statement out of a policy.

    Raises: ResourceNotFoundException, PreconditionFailedException. Source: Lambda API_RemovePermission (read 2026-11).
    """
    where = ref(ctx, req["FunctionName"], req.get("Qualifier"))
    where.version(ctx)
    remove_statement(ctx, _key(where), req["StatementId"], req.get("RevisionId"))
    return {}


def get_policy(ctx: Context, req: Json) -> Json:
    """The policy of a function, a version or an alias.

    Raises: ResourceNotFoundException. Source: Lambda API_GetPolicy (read 2026-11).
    """
    where = ref(ctx, req["FunctionName"], req.get("Qualifier"))
    where.version(ctx)
    return document(ctx, _key(where))


def _key(where: Ref) -> Key:
    if where.qualifier == LATEST:
        raise InvalidParameterValueException("We currently do not support adding policies for $LATEST.")
    return policy_key(where.account, where.region, where.name, where.qualifier)
