"""Whether a policy that a Lambda authorizer returned allows a request: `execute-api:Invoke` on one resource.

Source: API Gateway developer guide, "API Gateway resource policy examples", "Output from an API Gateway Lambda authorizer";
IAM user guide, "Policy evaluation logic" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cumulet.aws.policy.documents import Document, MalformedPolicy
from cumulet.aws.policy.facts import Facts

_ACTION = "execute-api:Invoke"


def decision(policy: Mapping[str, Any], resource: str, facts: Mapping[str, Any] | None = None) -> str:
    """Allow; Deny for an explicit one, which wins; or "" where nothing speaks of the resource.

    `facts` are the keys of the context that conditions may ask for, in lower case.
    """
    try:
        document = Document(policy)
    except MalformedPolicy:
        return ""
    context = Facts(facts or {})
    if document.denies(_ACTION, resource, context):
        return "Deny"
    return "Allow" if document.allows(_ACTION, resource, context) else ""
