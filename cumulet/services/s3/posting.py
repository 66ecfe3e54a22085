"""Browser uploads (POST Object): a policy says what a form may hold, then the file is put as by PutObject.

Source: S3 API reference, "POST Object", "POST Policy" (read 2026-11).
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cumulet.aws.errors import AccessDenied
from cumulet.aws.jsontext import read_json
from cumulet.kernel.context import Context
from cumulet.services.s3.errors import EntityTooLarge, EntityTooSmall, InvalidPolicyDocument
from cumulet.services.s3.objects import put_object

_UNCOVERED = frozenset({"policy", "file", "x-amz-signature", "signature", "awsaccesskeyid"})


def post_object(ctx: Context, req: dict[str, Any]) -> dict[str, Any]:
    """Store the file of a form, after its policy, if there is one, was held against its fields; answers as PutObject.

    `Fields` are the form's by name in lower case, `Put` the PutObject request that they mean.
    Raises: AccessDenied (the policy), InvalidPolicyDocument, EntityTooLarge, EntityTooSmall, and PutObject's.
    """
    put, fields = req["Put"], req["Fields"]
    if "policy" in fields:
        body = put.get("Body", b"")
        size = len(body) if isinstance(body, bytes) else body.size
        _check(ctx, fields["policy"], {**fields, "bucket": put["Bucket"], "key": put["Key"]}, size)
    return put_object(ctx, put, how="Post")  # type: ignore[return-value]


def _check(ctx: Context, policy: str, fields: Mapping[str, str], size: int) -> None:
    document = _document(policy)
    if ctx.now >= _expiration(document["expiration"]):
        raise _against("Policy expired.")
    covered = set()
    for condition in document["conditions"]:
        operator, name, value = _condition(condition)
        if operator == "content-length-range":
            _check_size(int(name), int(value), size)
            continue
        covered.add(name)
        if not _holds(operator, name, value, fields):
            shown = json.dumps([operator, f"${name}", value], ensure_ascii=False)
            raise _against(f"Policy Condition failed: {shown}")
    extra = [name for name in fields if name not in covered | _UNCOVERED and not name.startswith(("x-ignore-", "${"))]
    if extra:
        raise _against(f"Extra input fields: {', '.join(extra)}")


def _against(what: str) -> AccessDenied:
    return AccessDenied(f"Invalid according to Policy: {what}")


def _holds(operator: str, name: str, value: str, fields: Mapping[str, str]) -> bool:
    given = fields.get(name)
    if given is None:
        return False
    if operator == "eq":
        return given == value
    parts = given.split(",") if name == "content-type" else [given]  # a list of types: each must begin so
    return all(part.strip().startswith(value) for part in parts)


def _check_size(least: int, most: int, size: int) -> None:
    if size > most:
        members = {"ProposedSize": size, "MaxSizeAllowed": most}
        raise EntityTooLarge("Your proposed upload exceeds the maximum allowed size", members=members)
    if size < least:
        members = {"ProposedSize": size, "MinSizeAllowed": least}
        raise EntityTooSmall("Your proposed upload is smaller than the minimum allowed size", members=members)


def _document(policy: str) -> dict[str, Any]:
    try:
        found = read_json(b64decode(policy, validate=True))
    except ValueError as error:
        raise InvalidPolicyDocument("Invalid Policy: Invalid JSON.") from error
    if not isinstance(found, dict):
        raise InvalidPolicyDocument("Invalid Policy: Invalid JSON.")
    for name, kind in (("expiration", str), ("conditions", list)):
        if name not in found:
            raise InvalidPolicyDocument(f"Invalid Policy: Policy missing {name}.")
        if not isinstance(found[name], kind):
            raise InvalidPolicyDocument(f"Invalid Policy: Invalid '{name}' value.")
    return found


def _expiration(text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise InvalidPolicyDocument(f"Invalid Policy: Invalid 'expiration' value: '{text}'")
    return at.timestamp()


def _condition(condition: Any) -> tuple[str, str, str]:
    """(operator, field in lower case, value); for content-length-range the bounds. Raises: InvalidPolicyDocument."""
    if isinstance(condition, dict):
        if len(condition) != 1:
            raise InvalidPolicyDocument(
                "Invalid Policy: Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."
            )
        name, value = next(iter(condition.items()))
        if not isinstance(value, str):
            raise InvalidPolicyDocument("Invalid Policy: Invalid Simple-Condition: value must be a string.")
        return "eq", name.lower(), value
    if not isinstance(condition, list) or len(condition) != 3 or not isinstance(condition[0], str):
        raise InvalidPolicyDocument(f"Invalid Policy: Invalid Condition: {json.dumps(condition)}")
    operator, first, second = condition[0].lower(), condition[1], condition[2]
    if operator == "content-length-range":
        try:
            return operator, str(int(first)), str(int(second))
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidPolicyDocument(
                "Invalid Policy: Invalid content-length-range: numbers are expected."
            ) from error
    named = isinstance(first, str) and first.startswith("$") and isinstance(second, str)
    if operator not in ("eq", "starts-with") or not named:
        raise InvalidPolicyDocument(f"Invalid Policy: Invalid Condition: {json.dumps(condition)}")
    return operator, first[1:].lower(), second
