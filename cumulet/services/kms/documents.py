"""Key policies: what makes one valid.

Source: KMS API_PutKeyPolicy; developer guide, "Default key policy", "Resource quotas" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.context import Context
from cumulet.services.kms.errors import LimitExceededException, MalformedPolicyDocumentException
from cumulet.services.kms.model import POLICY_BYTES


def checked(ctx: Context, req: Mapping[str, Any]) -> str:
    """The policy of a request, as it is kept.

    Unless BypassPolicyLockoutSafetyCheck is set, it must let the caller, or the account, change it later.
    Raises: MalformedPolicyDocumentException, LimitExceededException.
    """
    text: str = req["Policy"]
    if len(text.encode()) > POLICY_BYTES:
        raise LimitExceededException(f"The key policy is larger than {POLICY_BYTES} bytes.")
    try:
        document = read_json(text)
    except NotJson:
        raise MalformedPolicyDocumentException("Policy contains invalid JSON.") from None
    statements = document.get("Statement") if isinstance(document, dict) else None
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list) or not statements or not all(isinstance(one, dict) for one in statements):
        raise MalformedPolicyDocumentException("Policy must have at least one statement.")
    for statement in statements:
        _check(statement)
    if not req.get("BypassPolicyLockoutSafetyCheck") and not any(_lets_back_in(ctx, one) for one in statements):
        raise MalformedPolicyDocumentException(
            "The new key policy will not allow you to update the key policy in the future."
        )
    return text


def _check(statement: Mapping[str, Any]) -> None:
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise MalformedPolicyDocumentException("Policy statement must have an Effect of Allow or Deny.")
    for one_of in (("Principal", "NotPrincipal"), ("Action", "NotAction"), ("Resource", "NotResource")):
        if sum(name in statement for name in one_of) != 1:
            raise MalformedPolicyDocumentException(f"Policy statement must contain {' or '.join(one_of)}.")


def _lets_back_in(ctx: Context, statement: Mapping[str, Any]) -> bool:
    if statement["Effect"] != "Allow":
        return False
    actions = _listed(statement.get("Action", ()))
    if not any(fnmatchcase("kms:putkeypolicy", str(action).lower()) for action in actions):
        return "NotAction" in statement
    principal = statement.get("Principal", "*")
    names = _listed(principal.get("AWS", ()) if isinstance(principal, dict) else principal)
    root = f"arn:aws:iam::{ctx.account}:root"
    return bool({"*", ctx.account, root, ctx.principal} & {str(name) for name in names})


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
