"""A queue's policy document: its form, and the quotas of policies.

Source: SQS developer guide, "Amazon SQS policy quotas", "Custom policies"; IAM user guide, "Grammar of the IAM JSON policy
language" (read 2026-11).
"""

from __future__ import annotations

from typing import Any

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.services.sqs.errors import OverLimit, bad_attribute, invalid

_Json = dict[str, Any]
MOST_BYTES = 8192
MOST_ACTIONS = 7
MOST_CONDITIONS = 10
MOST_PRINCIPALS = 50
MOST_STATEMENTS = 20
_VERSIONS = ("2008-10-17", "2012-10-17")


def check(text: str) -> None:
    """Raises: InvalidAttributeValue, InvalidParameterValue, OverLimit."""
    try:
        policy = read_json(text)
    except NotJson:
        policy = None
    if (
        not isinstance(policy, dict)
        or policy.get("Version", _VERSIONS[0]) not in _VERSIONS
        or len(text.encode()) > MOST_BYTES
    ):
        raise bad_attribute("Policy")
    statements = listed(policy.get("Statement"))
    if not statements or not all(isinstance(statement, dict) for statement in statements):
        raise bad_attribute("Policy")
    limit(len(statements), "Statements", MOST_STATEMENTS)
    for statement in statements:
        _check_statement(statement)


def limit(count: int, what: str, most: int) -> None:
    """Raises: OverLimit."""
    if count > most:
        raise OverLimit(f"{count} {what} were found, maximum allowed is {most}.")


def listed(value: Any) -> list[Any]:
    """One or a list of them, as a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _check_statement(statement: _Json) -> None:
    actions = listed(statement.get("Action", statement.get("NotAction")))
    principals = _principals(statement.get("Principal", statement.get("NotPrincipal")))
    conditions = statement.get("Condition", {})
    if (
        statement.get("Effect") not in ("Allow", "Deny")
        or not actions
        or not principals
        or not all(isinstance(each, str) for each in (*actions, *principals))
        or not isinstance(conditions, dict)
        or not all(isinstance(each, dict) for each in conditions.values())
    ):
        raise bad_attribute("Policy")
    limit(len(actions), "Actions", MOST_ACTIONS)
    limit(len(principals), "Principals", MOST_PRINCIPALS)
    limit(sum(map(len, conditions.values())), "Conditions", MOST_CONDITIONS)
    for action in actions:
        if action != "*" and not action.lower().startswith("sqs:"):
            raise invalid(action, "ActionName", "Please refer to the appropriate WSDL for a list of valid actions.")


def _principals(value: Any) -> list[Any]:
    return [each for kind in value.values() for each in listed(kind)] if isinstance(value, dict) else listed(value)
