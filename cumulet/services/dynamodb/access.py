"""Resource policies of tables, evaluated: other accounts need an Allow, and a Deny holds for everybody.

Identity-based policies are not evaluated here, but where IAM is enforced (`authz`). `Condition` and `NotPrincipal` are refused when a policy is put.
Source: developer guide, "Using resource-based policies for DynamoDB"; IAM user guide, "Policy evaluation logic" (read 2026-11).
"""

from __future__ import annotations

import re
from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.aws.policy.documents import parse
from cumulet.aws.policy.facts import Facts
from cumulet.kernel.context import Context
from cumulet.services.dynamodb.errors import AccessDeniedException, ValidationException
from cumulet.services.dynamodb.model import Table

Json = dict[str, Any]
_SERVICE = "dynamodb."
_MAX_BYTES = 20 * 1024
_ROLE = re.compile(r"arn:aws:sts::([0-9]+):assumed-role/([^/]+)/.*").fullmatch


def authorize(ctx: Context, table: Table) -> None:
    """Whether the operation that runs may touch a table. Raises: AccessDeniedException."""
    if not ctx.span.name.startswith(_SERVICE):
        return  # our own timers
    if ctx.pipeline.authority is not None and not ctx.principal.endswith(":root"):
        return  # IAM is enforced: this was decided before, with the caller's own policies
    action = "dynamodb:" + ctx.span.name[len(_SERVICE) :]
    allowed, denied = decide(table.policy, ctx.principal, ctx.account, action, table.arn)
    if denied:
        raise _refused(ctx, action, table, "with an explicit deny in a resource-based policy")
    if not allowed and table.account != ctx.account:
        raise _refused(ctx, action, table, f"because no resource-based policy allows the {action} action")


def _refused(ctx: Context, action: str, table: Table, why: str) -> AccessDeniedException:
    return AccessDeniedException(
        f"User: {ctx.principal} is not authorized to perform: {action} on resource: {table.arn} {why}"
    )


def decide(policy: str, principal: str, account: str, action: str, arn: str) -> tuple[bool, bool]:
    """(whether a statement of a policy allows, whether one denies) a principal of an account an action on a table."""
    if not policy:
        return False, False
    document, names, nothing = parse(policy), _names(principal, account), Facts()
    touched = (arn, f"{arn}/index/*")
    allowed = any(document.grants(action, each, nothing, names) for each in touched)
    return allowed, any(document.denies(action, each, nothing, names) for each in touched)


def _names(principal: str, account: str) -> dict[str, str]:
    """What policies call a principal."""
    if principal.endswith(".amazonaws.com"):
        return {f"Service:{principal}": "direct"}
    known = [principal, account, f"arn:aws:iam::{account}:root"]
    role = _ROLE(principal)
    if role is not None:
        known.append(f"arn:aws:iam::{role[1]}:role/{role[2]}")
    return {f"AWS:{name}": "direct" for name in known}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def check_policy(policy: str) -> None:
    """Raises: ValidationException, NotImplementedOnCumulet."""
    if len(policy.encode()) > _MAX_BYTES:
        raise ValidationException("Policy size exceeds the maximum allowed size of 20 KB")
    try:
        document = read_json(policy)
    except NotJson as error:
        raise ValidationException(f"Invalid policy document: not valid JSON ({error})") from error
    if not isinstance(document, dict) or not document.get("Statement"):
        raise ValidationException("Invalid policy document: it must be an object with a Statement")
    for statement in _listed(document["Statement"]):
        if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
            raise ValidationException("Invalid policy document: a statement's Effect must be Allow or Deny")
        for member in ("Condition", "NotPrincipal"):
            if statement.get(member):
                raise NotImplementedOnCumulet(f"dynamodb: {member} in a resource policy is not implemented by Cumulet.")
        for names in (("Principal",), ("Action", "NotAction"), ("Resource", "NotResource")):
            if sum(name in statement for name in names) != 1:
                raise ValidationException(f"Invalid policy document: a statement must have {' or '.join(names)}")
