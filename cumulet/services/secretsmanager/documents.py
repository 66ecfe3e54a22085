"""Resource policies: what makes one well formed, and whether it lets everybody in.

Source: Secrets Manager user guide, "Resource-based policies"; API_PutResourcePolicy (read 2026-11).
"""

from __future__ import annotations

from typing import Any

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.services.secretsmanager.errors import MalformedPolicyDocumentException


def checked(text: str) -> bool:
    """Whether a policy allows everybody something without a condition. Raises: MalformedPolicyDocumentException."""
    try:
        document = read_json(text)
    except NotJson:
        raise MalformedPolicyDocumentException("This resource policy contains invalid Json.") from None
    statements = document.get("Statement") if isinstance(document, dict) else None
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list) or not statements:
        raise MalformedPolicyDocumentException("This resource policy contains a syntax error.")
    for statement in statements:
        if (
            not isinstance(statement, dict)
            or statement.get("Effect") not in ("Allow", "Deny")
            or ("Principal" in statement) == ("NotPrincipal" in statement)
            or ("Action" in statement) == ("NotAction" in statement)
        ):
            raise MalformedPolicyDocumentException("This resource policy contains a syntax error.")
    return any(_public(statement) for statement in statements)


def _public(statement: dict[str, Any]) -> bool:
    principal = statement.get("Principal", "*")
    names = principal.get("AWS", ()) if isinstance(principal, dict) else principal
    everybody = "*" in ([names] if isinstance(names, str) else names)
    return statement["Effect"] == "Allow" and everybody and not statement.get("Condition")
