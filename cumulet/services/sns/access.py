"""Topics' access policies: the default one, checks of those that are set, statements of AddPermission.

They decide where IAM is enforced (`authz`).
Source: SNS developer guide, "Amazon SNS API permissions: Actions and resources reference", "Policy quotas" (read 2026-11).
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.services.sns.errors import InvalidParameter
from cumulet.services.sns.model import Topic

Json = dict[str, Any]

MAX_BYTES = 30_720
MAX_STATEMENTS = 100
MAX_PRINCIPALS = 200
_OWNER_MAY = (
    "GetTopicAttributes",
    "SetTopicAttributes",
    "AddPermission",
    "RemovePermission",
    "DeleteTopic",
    "Subscribe",
    "ListSubscriptionsByTopic",
    "Publish",
)
GRANTABLE = frozenset(
    (*_OWNER_MAY, "GetDataProtectionPolicy", "PutDataProtectionPolicy", "ListTagsForResource", "Receive")
)
_encode = msgspec.json.Encoder().encode


def document(topic: Topic) -> str:
    """The policy that is set, or the default one: the owner alone."""
    return topic.policy or default_document(topic.arn, topic.account)


def default_document(arn: str, account: str) -> str:
    """The policy of a topic that was given none: its owner may do everything."""
    policy = {
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [
            {
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [f"SNS:{action}" for action in _OWNER_MAY],
                "Resource": arn,
                "Condition": {"StringEquals": {"AWS:SourceOwner": account}},
            }
        ],
    }
    return _encode(policy).decode()


def checked(text: str) -> str:
    """A policy as it is kept. Raises: InvalidParameter."""
    if len(text.encode()) > MAX_BYTES:
        raise InvalidParameter.of(f"Policy Error: The policy is larger than {MAX_BYTES} bytes")
    try:
        policy = read_json(text)
    except NotJson as error:
        raise InvalidParameter.of(f"Policy Error: {error}") from error
    if not isinstance(policy, dict) or "Statement" not in policy:
        raise InvalidParameter.of("Policy Error: null")
    if policy.get("Version", "2008-10-17") not in ("2008-10-17", "2012-10-17"):
        raise InvalidParameter.of("Policy Error: The policy must contain a valid version string")
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    for statement in statements:
        _check(statement)
    sids = [str(statement["Sid"]) for statement in statements if "Sid" in statement]
    if len(set(sids)) < len(sids):
        raise InvalidParameter.of("Policy Error: Each statement must have a unique Sid")
    if len(statements) > MAX_STATEMENTS:
        raise InvalidParameter.of(f"Policy Error: The policy has more than {MAX_STATEMENTS} statements")
    return _encode(policy).decode()


def _check(statement: Any) -> None:
    if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
        raise InvalidParameter.of("Policy Error: A statement needs an Effect of Allow or Deny")
    if not 1 <= len(_principals(statement.get("Principal", statement.get("NotPrincipal")))) <= MAX_PRINCIPALS:
        raise InvalidParameter.of(f"Policy Error: A statement needs 1 to {MAX_PRINCIPALS} principals")
    if ("Action" in statement) == ("NotAction" in statement):
        raise InvalidParameter.of("Policy Error: A statement needs either Action or NotAction")
    actions = statement.get("Action", statement.get("NotAction"))
    for action in actions if isinstance(actions, list) else [actions]:
        if not isinstance(action, str) or (action != "*" and not action.lower().startswith("sns:")):
            raise InvalidParameter.of("Policy statement action out of service scope!")


def _principals(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [each for kind in value.values() for each in (kind if isinstance(kind, list) else [kind])]
    return value if isinstance(value, list) else [] if value is None else [value]


def with_statement(topic: Topic, label: str, accounts: list[str], actions: list[str]) -> str:
    """The policy with a statement that lets accounts do something. Raises: InvalidParameter."""
    policy = msgspec.json.decode(document(topic))
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    if any(statement.get("Sid") == label for statement in statements):
        raise InvalidParameter.of("Statement already exists")
    unknown = next((action for action in actions if action not in GRANTABLE and action != "*"), None)
    if unknown is not None or not actions:
        raise InvalidParameter.of("Policy statement action out of service scope!")
    if not accounts or not all(re.fullmatch(r"[0-9]{12}", account) for account in accounts):
        raise InvalidParameter.of("AWSAccountId")
    principals = [f"arn:aws:iam::{account}:root" for account in accounts]
    names = [f"SNS:{action}" for action in actions]
    statements.append(
        {
            "Sid": label,
            "Effect": "Allow",
            "Principal": {"AWS": principals[0] if len(principals) == 1 else principals},
            "Action": names[0] if len(names) == 1 else names,
            "Resource": topic.arn,
        }
    )
    return checked(_encode({**policy, "Statement": statements}).decode())


def without_statement(topic: Topic, label: str) -> str | None:
    """The policy without a statement; None when there is none of that label."""
    policy = msgspec.json.decode(document(topic))
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    left = [statement for statement in statements if statement.get("Sid") != label]
    return None if len(left) == len(statements) else _encode({**policy, "Statement": left}).decode()
