"""Event buses' resource policies: their form, and what they permit to other accounts.

A statement counts for PutEvents from another account. Conditions on events:source, events:detail-type and
aws:PrincipalAccount are known; an Allow with any other condition permits nothing, a Deny with one denies.
"""

from __future__ import annotations

import json
from typing import Any

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.aws.policy.documents import Document
from cumulet.aws.policy.facts import Facts
from cumulet.services.events.errors import ValidationException
from cumulet.services.events.model import Bus

Json = dict[str, Any]
_PUT = "events:PutEvents"


def policy_of(bus: Bus) -> str:
    """The policy as JSON."""
    return json.dumps({"Version": "2012-10-17", "Statement": bus.statements}, separators=(",", ":"))


def statement_asked(bus: Bus, req: Json) -> Json:
    for member in ("Action", "Principal", "StatementId"):
        if member not in req:
            raise ValidationException(f"Parameter {member} is not valid. Reason: {member} is a required argument.")
    if req["Action"] != "events:PutEvents":
        raise ValidationException("Provided value in parameter 'action' is not supported.")
    principal: Any = "*"
    if req["Principal"] != "*":
        principal = {"AWS": f"arn:aws:iam::{req['Principal']}:root"}
    made: Json = {
        "Sid": req["StatementId"], "Effect": "Allow", "Principal": principal, "Action": "events:PutEvents", "Resource": bus.arn,
    }  # fmt: skip
    if "Condition" in req:
        condition = req["Condition"]
        if condition["Type"] != "StringEquals" or condition["Key"] != "aws:PrincipalOrgID":
            raise ValidationException(
                "Parameter Condition is not valid. Reason: only StringEquals of aws:PrincipalOrgID is supported."
            )
        made["Condition"] = {"StringEquals": {"aws:PrincipalOrgID": condition["Value"]}}
    return made


def statements_in(text: str) -> list[Json]:
    """Raises: ValidationException."""
    try:
        policy = read_json(text)
    except NotJson as error:
        raise ValidationException("This policy contains invalid Json") from error
    statements = policy.get("Statement") if isinstance(policy, dict) else None
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise ValidationException("Parameter Policy is not valid. Reason: it has no Statement.")
    for each in statements:
        if (
            not isinstance(each, dict)
            or each.get("Effect") not in ("Allow", "Deny")
            or not {"Action", "Principal"} <= each.keys()
        ):
            raise ValidationException(
                "Parameter Policy is not valid. Reason: a statement needs Effect, Principal and Action."
            )
    return statements


def permits(bus: Bus, account: str, source: str, detail_type: str) -> bool:
    """Whether another account may put such an event on the bus."""
    facts = {"events:source": source, "events:detail-type": detail_type, "aws:principalaccount": account}
    names = dict.fromkeys((f"AWS:{account}", f"AWS:arn:aws:iam::{account}:root"), "direct")
    document = Document({"Version": "2012-10-17", "Statement": bus.statements}, known=facts)
    context = Facts(facts)
    if document.denies(_PUT, bus.arn, context, names):
        return False
    return document.grants(_PUT, bus.arn, context, names) != ""
