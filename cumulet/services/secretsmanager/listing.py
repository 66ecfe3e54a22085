"""How secrets are shown, filtered and sorted.

Source: Secrets Manager API_ListSecrets, API_Filter; user guide, "Find secrets" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.secretsmanager.errors import InvalidParameterException
from cumulet.services.secretsmanager.model import ROOT, Secret

Json = dict[str, Any]
_SORTS: dict[str, Callable[[Secret], Any]] = {
    "created-date": lambda secret: secret.created,
    "last-accessed-date": lambda secret: secret.accessed,
    "last-changed-date": lambda secret: secret.changed,
    "name": lambda secret: secret.name,
}


def matching(ctx: Context, req: Mapping[str, Any]) -> list[Secret]:
    """The secrets that a request's filters let pass, in its order. Raises: InvalidParameterException."""
    filters = req.get("Filters", ())
    for one in filters:
        if "Key" not in one or not one.get("Values"):
            raise InvalidParameterException("A filter must have a key and values.")
    found = [
        secret
        for _, secret in ctx.tx.scan((ROOT, "secret", ctx.account, ctx.region), Secret)
        if (not secret.deleted_at or req.get("IncludePlannedDeletion")) and all(_passes(secret, one) for one in filters)
    ]
    found.sort(key=_SORTS[req.get("SortBy", "created-date")], reverse=req.get("SortOrder", "desc") == "desc")
    return found


def _passes(secret: Secret, one: Mapping[str, Any]) -> bool:
    """Any of a filter's values matches; one that begins with ! matches what the rest of it does not."""
    return any(
        not _matches(secret, one["Key"], value[1:]) if value.startswith("!") else _matches(secret, one["Key"], value)
        for value in one["Values"]
    )


def _matches(secret: Secret, key: str, value: str) -> bool:
    """Prefixes: of names and tags in their case, of descriptions in any; `all` looks for each word in all of them in any case."""
    match key:
        case "name":
            return secret.name.startswith(value)
        case "description":
            return secret.description.lower().startswith(value.lower())
        case "tag-key":
            return any(name.startswith(value) for name in secret.tags)
        case "tag-value":
            return any(text.startswith(value) for text in secret.tags.values())
        case "all":
            words = value.lower().split()
            return any(_holds(text, words) for text in _texts(secret))
    return False  # primary-region, owning-service: there are no replicas and no secrets of services


def _texts(secret: Secret) -> Iterable[str]:
    yield secret.name
    yield secret.description
    for name, value in secret.tags.items():
        yield name
        yield value


def _holds(text: str, words: list[str]) -> bool:
    return any(word in text.lower() for word in words)


def described(secret: Secret, stages_member: str) -> Json:
    """A secret without its value; `stages_member` maps its versions to their labels."""
    shown: Json = {
        "ARN": secret.arn,
        "Name": secret.name,
        "LastChangedDate": secret.changed,
        "CreatedDate": secret.created,
        "Tags": [{"Key": name, "Value": value} for name, value in secret.tags.items()],
    }
    stages = {version.id: list(version.stages) for version in secret.versions if version.stages}
    if stages:
        shown[stages_member] = stages
    for member, value in (
        ("Description", secret.description),
        ("KmsKeyId", secret.kms_key),
        ("LastAccessedDate", secret.accessed),
        ("LastRotatedDate", secret.rotated),
        ("DeletedDate", secret.deleted_at),
    ):
        if value:
            shown[member] = value
    return shown | rotation(secret)


def rotation(secret: Secret) -> Json:
    """What is shown of a secret's rotation."""
    plan = secret.rotation
    if plan is None:
        return {}
    shown: Json = {"RotationEnabled": plan.enabled, "RotationLambdaARN": plan.function}
    rules: Json = {}
    if plan.days:
        rules["AutomaticallyAfterDays"] = plan.days
    if plan.expression:
        rules["ScheduleExpression"] = plan.expression
    if plan.hours:
        rules["Duration"] = f"{plan.hours}h"
    if rules:
        shown["RotationRules"] = rules
    if plan.enabled and plan.at:
        shown["NextRotationDate"] = plan.at + window_s(plan.expression, plan.hours)
    return shown


def window_s(expression: str, hours: int) -> float:
    """How long a rotation window is: as it was set, else an hour for schedules in hours and a day for others."""
    return 3600.0 * (hours or (1 if expression.startswith("rate(") and "hour" in expression else 24))
