"""Operations on a queue's permissions: statements of its policy with a label.

The policy decides where IAM is enforced (`authz`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.sqs import policies
from cumulet.services.sqs.errors import invalid, missing
from cumulet.services.sqs.lookup import queue_at
from cumulet.services.sqs.model import Queue

_Json = dict[str, Any]
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,80}")
_ACTIONS = frozenset(
    {
        "*",
        "ChangeMessageVisibility",
        "DeleteMessage",
        "GetQueueAttributes",
        "GetQueueUrl",
        "ListDeadLetterSourceQueues",
        "PurgeQueue",
        "ReceiveMessage",
        "SendMessage",
    }
)
_OWNERS = frozenset(
    {
        "AddPermission",
        "CancelMessageMoveTask",
        "CreateQueue",
        "DeleteQueue",
        "ListMessageMoveTasks",
        "ListQueueTags",
        "ListQueues",
        "RemovePermission",
        "SetQueueAttributes",
        "StartMessageMoveTask",
        "TagQueue",
        "UntagQueue",
    }
)


def add_permission(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """Add a statement to the queue's policy that allows Actions to AWSAccountIds.

    Limits: 7 actions, none of which is the owner's alone, 50 principals, 20 statements, 8,192 bytes; a label of 80 letters, digits,
    `-` and `_`, used once.
    Raises: QueueDoesNotExist, MissingParameter, InvalidParameterValue, OverLimit.
    Source: SQS API_AddPermission; developer guide, "Amazon SQS policy quotas" (read 2026-11).
    """
    queue = queue_at(ctx, req["QueueUrl"])
    label, accounts, actions = req["Label"], req["AWSAccountIds"], req["Actions"]
    if not _LABEL.fullmatch(label):
        raise invalid(
            label, "Label", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
        )
    for name in ("AWSAccountIds", "Actions"):
        if not req[name]:
            raise missing(name)
    policies.limit(len(actions), "Actions", policies.MOST_ACTIONS)
    for action in actions:
        if action in _OWNERS:
            raise invalid(f"SQS:{action}", "ActionName", "Only the queue owner is allowed to invoke this action.")
        if action not in _ACTIONS:
            raise invalid(
                f"SQS:{action}", "ActionName", "Please refer to the appropriate WSDL for a list of valid actions."
            )
    for account in accounts:
        if not re.fullmatch(r"[0-9]{12}", account):
            raise invalid(f"[{account}]", "PrincipalId", "Unable to verify principal.")
    policies.limit(len(accounts), "Principals", policies.MOST_PRINCIPALS)
    policy = _policy(queue)
    statements = policy["Statement"]
    if any(statement.get("Sid") == label for statement in statements):
        raise invalid(label, "Label", "Already exists.")
    policies.limit(len(statements) + 1, "Statements", policies.MOST_STATEMENTS)
    principals = [f"arn:aws:iam::{account}:root" for account in accounts]
    names = [f"SQS:{action}" for action in actions]
    statement = {
        "Sid": label,
        "Effect": "Allow",
        "Principal": {"AWS": principals[0] if len(principals) == 1 else principals},
        "Action": names[0] if len(names) == 1 else names,
        "Resource": queue.arn,
    }
    _keep(ctx, queue, {**policy, "Statement": [*statements, statement]})
    return {}


def remove_permission(ctx: Context, req: Mapping[str, Any]) -> _Json:
    """Take the statement with this label out of the queue's policy.

    Raises: QueueDoesNotExist, InvalidParameterValue.
    Source: SQS API_RemovePermission (read 2026-11).
    """
    queue = queue_at(ctx, req["QueueUrl"])
    policy = _policy(queue)
    left = [statement for statement in policy["Statement"] if statement.get("Sid") != req["Label"]]
    if len(left) == len(policy["Statement"]):
        raise invalid(req["Label"], "Label", "can't find label on existing policy.")
    _keep(ctx, queue, {**policy, "Statement": left})
    return {}


def _policy(queue: Queue) -> _Json:
    if not queue.policy:
        return {"Version": "2008-10-17", "Id": f"{queue.arn}/SQSDefaultPolicy", "Statement": []}
    policy: _Json = msgspec.json.decode(queue.policy)
    return {**policy, "Statement": policies.listed(policy["Statement"])}


def _keep(ctx: Context, queue: Queue, policy: _Json) -> None:
    text = msgspec.json.encode(policy).decode() if policy["Statement"] else ""
    if text:
        policies.check(text)
    ctx.tx.put(queue.key, replace(queue, policy=text, modified=float(int(ctx.now))))
