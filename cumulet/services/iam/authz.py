"""What IAM's operations need of IAM: their action on the user, role, group, policy or instance profile.

Source: Service Authorization Reference, "AWS Identity and Access Management" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cumulet.kernel.authz import Authz, Need, Needs
from cumulet.kernel.context import Context
from cumulet.services.iam.model import GROUP, ROLE, USER, AccessKey, Group, Profile, Role, User, key

Json = dict[str, Any]
_KINDS: tuple[tuple[str, str, str, type[Any]], ...] = (
    ("InstanceProfile", "profile", "instance-profile", Profile),
    ("Group", GROUP, "group", Group),
    ("Role", ROLE, "role", Role),
    ("User", USER, "user", User),
)
_SUBJECTS = {  # what an operation is about, where its name does not end with it
    "AddUserToGroup": "Group",
    "RemoveUserFromGroup": "Group",
    "ListGroupsForUser": "User",
    "ListInstanceProfilesForRole": "Role",
    "UpdateAssumeRolePolicy": "Role",
}
_FOR_ALL = frozenset(("CreateServiceLinkedRole", "DeleteServiceLinkedRole", "GetServiceLinkedRoleDeletionStatus",
                      "ListInstanceProfiles", "ListRoles", "ListUsers", "ListGroups"))  # fmt: skip
_KEYS = ("CreateAccessKey", "DeleteAccessKey", "ListAccessKeys", "UpdateAccessKey", "GetUser")


def needs_of(operation: str) -> Needs:
    """What one operation needs."""
    subject = _subject(operation)

    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        facts: Json = {}
        if "PermissionsBoundary" in req:
            facts["iam:PermissionsBoundary"] = req["PermissionsBoundary"]
        if "PolicyArn" in req and subject is not None:
            facts["iam:PolicyARN"] = req["PolicyArn"]
        arn = "*"
        tags: dict[str, str] = {}
        if subject is not None:
            arn, tags = _named(ctx, subject, req, operation in _KEYS)
        elif "PolicyArn" in req:
            arn = req["PolicyArn"]
        elif operation == "CreatePolicy":
            arn = f"arn:aws:iam::{ctx.account}:policy{req.get('Path', '/')}{req['PolicyName']}"
        facts |= {f"aws:ResourceTag/{name}": value for name, value in tags.items()}
        yield Need(f"iam:{operation}", arn, facts=facts)
        if operation == "AddRoleToInstanceProfile":
            role, _ = _named(ctx, "Role", req, False)
            yield Need("iam:PassRole", role, facts={"iam:PassedToService": "ec2.amazonaws.com"})

    return needs


def _subject(operation: str) -> str | None:
    if operation in _FOR_ALL:
        return None
    if operation in _SUBJECTS:
        return _SUBJECTS[operation]
    if operation in _KEYS:
        return "User"
    return next((name for name, *_ in _KINDS if name in operation), None)


def _named(ctx: Context, subject: str, req: Json, own: bool) -> tuple[str, dict[str, str]]:
    """(ARN, tags) of what a request names; of the caller where it may be left out."""
    _, kind, word, record = next(each for each in _KINDS if each[0] == subject)
    name = req.get(f"{subject}Name")
    if name is None and own:
        found = ctx.tx.get(("iam-access-key", ctx.access_key), AccessKey)
        name = found.user if found is not None else None
    if name is None:
        return "*", {}
    entity: Any = ctx.tx.get(key(ctx.account, kind, name), record)
    if entity is None:
        return f"arn:aws:iam::{ctx.account}:{word}{req.get('Path', '/')}{name}", {}
    return entity.arn, getattr(entity, "tags", {})


AUTHZ = Authz("iam", each=needs_of, code="AccessDenied", status=403)
