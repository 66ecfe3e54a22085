"""Policy documents: checked as IAM checks them, and the form in which answers carry them.

Source: IAM user guide, "Grammar of the IAM JSON policy language", "IAM and AWS STS quotas" (read 2026-11).
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from cumulet.aws.jsontext import NotJson, read_json
from cumulet.services.iam.errors import MalformedPolicyDocument

_SYNTAX = "Syntax errors in policy."
_VERSIONS = ("2012-10-17", "2008-10-17")
_DOCUMENT = frozenset({"Version", "Id", "Statement"})
_STATEMENT = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
_SID = re.compile(r"[A-Za-z0-9]*")
_TRUST_ACTION = re.compile(r"sts:(\*|AssumeRole|TagSession|SetSourceIdentity|SetContext)")
Json = dict[str, Any]


def encoded(document: str) -> str:
    """The form of a document in answers: percent-encoded as RFC 3986 says."""
    return quote(document, safe="-_.~")


def check_trust(document: str) -> None:
    """A role's trust policy. Raises: MalformedPolicyDocument."""
    try:
        parsed = read_json(document)
    except NotJson as error:
        raise MalformedPolicyDocument("This policy contains invalid Json") from error
    if not isinstance(parsed, dict):
        raise MalformedPolicyDocument("This policy contains invalid Json")
    for statement in _statements(parsed, "Missing required field Statement"):
        for name in ("Resource", "NotResource"):
            if name in statement:
                raise MalformedPolicyDocument(f"Has prohibited field {name}")
        if "Effect" not in statement:
            raise MalformedPolicyDocument("Missing required field Effect")
        if "Principal" not in statement and "NotPrincipal" not in statement:
            raise MalformedPolicyDocument("Missing required field Principal")
        if "Action" not in statement and "NotAction" not in statement:
            raise MalformedPolicyDocument("Missing required field Action")
        _check_statement(statement)
        _check_principal(statement.get("Principal", statement.get("NotPrincipal")))
        for action in _texts(statement.get("Action", statement.get("NotAction"))):
            if action != "*" and not _TRUST_ACTION.match(action):
                raise MalformedPolicyDocument("AssumeRole policy may only specify STS AssumeRole actions.")


def check_identity(document: str) -> None:
    """A policy of a role, user or group. Raises: MalformedPolicyDocument."""
    try:
        parsed = read_json(document)
    except NotJson as error:
        raise MalformedPolicyDocument(_SYNTAX) from error
    if not isinstance(parsed, dict):
        raise MalformedPolicyDocument(_SYNTAX)
    for statement in _statements(parsed, _SYNTAX):
        if "Principal" in statement or "NotPrincipal" in statement:
            raise MalformedPolicyDocument("Policy document should not specify a principal.")
        if "Effect" not in statement:
            raise MalformedPolicyDocument(_SYNTAX)
        if "Action" not in statement and "NotAction" not in statement:
            raise MalformedPolicyDocument("Policy statement must contain actions.")
        if "Resource" not in statement and "NotResource" not in statement:
            raise MalformedPolicyDocument("Policy statement must contain resources.")
        _check_statement(statement)
        for action in _texts(statement.get("Action", statement.get("NotAction"))):
            _check_action(action)
        for resource in _texts(statement.get("Resource", statement.get("NotResource"))):
            if resource != "*" and not resource.startswith("arn:") and "*" not in resource.partition(":")[0]:
                raise MalformedPolicyDocument(f'Resource {resource} must be in ARN format or "*".')


def _statements(document: Json, missing: str) -> list[Json]:
    if not document.keys() <= _DOCUMENT:
        raise MalformedPolicyDocument(_SYNTAX)
    if "Version" in document and document["Version"] not in _VERSIONS:
        raise MalformedPolicyDocument("The policy must contain a valid version string")
    if "Statement" not in document:
        raise MalformedPolicyDocument(missing)
    found = document["Statement"]
    statements = [found] if isinstance(found, dict) else found
    if not isinstance(statements, list) or not statements or not all(isinstance(each, dict) for each in statements):
        raise MalformedPolicyDocument(_SYNTAX)
    sids = [each["Sid"] for each in statements if each.get("Sid")]
    if not all(isinstance(sid, str) and _SID.fullmatch(sid) for sid in sids):
        raise MalformedPolicyDocument(
            "Statement IDs (SID) must be alpha-numeric. "
            "Check that your input satisfies the regular expression [A-Za-z0-9]*"
        )
    if len(set(sids)) < len(sids):
        raise MalformedPolicyDocument("Statement IDs (SID) in a single policy must be unique.")
    return statements


def _check_statement(statement: Json) -> None:
    if not statement.keys() <= _STATEMENT or statement["Effect"] not in ("Allow", "Deny"):
        raise MalformedPolicyDocument(_SYNTAX)
    for name in ("Action", "Resource", "Principal"):
        if name in statement and f"Not{name}" in statement:
            raise MalformedPolicyDocument(_SYNTAX)
    condition = statement.get("Condition", {})
    if not isinstance(condition, dict) or not all(isinstance(each, dict) for each in condition.values()):
        raise MalformedPolicyDocument(_SYNTAX)


def _texts(value: Any) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise MalformedPolicyDocument(_SYNTAX)
    return texts


def _check_action(action: str) -> None:
    if action == "*":
        return
    vendor, colon, name = action.partition(":")
    if not colon or not vendor or not name:
        raise MalformedPolicyDocument("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    if not re.fullmatch(r"[A-Za-z0-9-]+", vendor):
        raise MalformedPolicyDocument(f"Vendor {vendor} is not valid")


def _check_principal(principal: Any) -> None:
    if principal == "*":
        return
    if not isinstance(principal, dict) or not principal:
        raise MalformedPolicyDocument(f'Invalid principal in policy: "{principal}"')
    for kind, value in principal.items():
        if kind not in ("AWS", "Service", "Federated", "CanonicalUser"):
            raise MalformedPolicyDocument(f'Invalid principal in policy: "{kind}":"{value}"')
        for text in _texts(value):
            if (
                kind == "AWS"
                and text != "*"
                and not text.startswith("arn:")
                and not re.fullmatch(r"\d{12}|A[A-Z0-9]+", text)
            ):
                raise MalformedPolicyDocument(f'Invalid principal in policy: "AWS":"{text}"')


def size(document: str) -> int:
    """Characters that count against a quota: white space does not."""
    return len(document) - sum(char.isspace() for char in document)
