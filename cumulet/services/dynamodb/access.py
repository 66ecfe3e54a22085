"""Resource policies of tables, evaluated: other accounts need an Allow, and a Deny holds for everybody.

Identity-based policies are not evaluated here. `Condition` and `NotPrincipal` are refused when a policy is put.
Source: developer guide, "Using resource-based policies for DynamoDB"; IAM user guide, "Policy evaluation logic" (read 2026-11).
"""

from __future__ import annotations

import json
import re
from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
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
    action = "dynamodb:" + ctx.span.name[len(_SERVICE) :]
    allowed, denied = decide(statements(table.policy), ctx.principal, ctx.account, action, table.arn)
    if denied:
        raise _refused(ctx, action, table, "with an explicit deny in a resource-based policy")
    if not allowed and table.account != ctx.account:
        raise _refused(ctx, action, table, f"because no resource-based policy allows the {action} action")


def _refused(ctx: Context, action: str, table: Table, why: str) -> AccessDeniedException:
    return AccessDeniedException(
        f"User: {ctx.principal} is not authorized to perform: {action} on resource: {table.arn} {why}"
    )


def statements(policy: str) -> list[Json]:
    if not policy:
        return []
    found = json.loads(policy).get("Statement", [])
    return found if isinstance(found, list) else [found]


def decide(found: list[Json], principal: str, account: str, action: str, arn: str) -> tuple[bool, bool]:
    """(whether a statement allows, whether one denies)."""
    fitting = [
        statement["Effect"]
        for statement in found
        if _is_principal(statement.get("Principal"), principal, account)
        and _named(statement, "Action", action, re.IGNORECASE)
        and any(_named(statement, "Resource", each) for each in (arn, f"{arn}/index/*"))
    ]
    return "Allow" in fitting, "Deny" in fitting


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_principal(given: Any, principal: str, account: str) -> bool:
    if given == "*":
        return True
    if not isinstance(given, dict):
        return False
    known = {principal, account, f"arn:aws:iam::{account}:root", "*"}
    role = _ROLE(principal)
    if role is not None:
        known.add(f"arn:aws:iam::{role[1]}:role/{role[2]}")
    kinds = ("Service",) if principal.endswith(".amazonaws.com") else ("AWS",)
    return any(name in known for kind in kinds if kind in given for name in _listed(given[kind]))


def _named(statement: Json, member: str, value: str, flags: int = 0) -> bool:
    if f"Not{member}" in statement:
        return not any(_matches(pattern, value, flags) for pattern in _listed(statement[f"Not{member}"]))
    return any(_matches(pattern, value, flags) for pattern in _listed(statement.get(member, [])))


def _matches(pattern: Any, value: str, flags: int) -> bool:
    parts = (".*" if letter == "*" else "." if letter == "?" else re.escape(letter) for letter in str(pattern))
    return re.fullmatch("".join(parts), value, flags | re.DOTALL) is not None


def check_policy(policy: str) -> None:
    """Raises: ValidationException, NotImplementedOnCumulet."""
    if len(policy.encode()) > _MAX_BYTES:
        raise ValidationException("Policy size exceeds the maximum allowed size of 20 KB")
    try:
        document = json.loads(policy)
    except ValueError as error:
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
