"""Operations on the policies of roles: inline ones and attached managed ones. Kept, not enforced yet."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.iam import holding as _holding
from cumulet.services.iam.model import ROLE
from cumulet.services.iam.model import get_role as _get_role

Json = dict[str, Any]


def put_role_policy(ctx: Context, req: Json) -> Json:
    """Add or replace an inline policy; all of a role's have 10,240 characters together.

    Raises: NoSuchEntity, MalformedPolicyDocument, LimitExceeded.
    Source: IAM API_PutRolePolicy (read 2026-11).
    """
    _holding.put_inline(ctx, ROLE, _get_role(ctx, req["RoleName"]), req["PolicyName"], req["PolicyDocument"])
    return {}


def get_role_policy(ctx: Context, req: Json) -> Json:
    """An inline policy, its document percent-encoded. Raises: NoSuchEntity. Source: IAM API_GetRolePolicy."""
    role = _get_role(ctx, req["RoleName"])
    document = _holding.get_inline(ctx, ROLE, role, req["PolicyName"])
    return {"RoleName": role.name, "PolicyName": req["PolicyName"], "PolicyDocument": document}


def list_role_policies(ctx: Context, req: Json) -> Json:
    """The names of a role's inline policies. Raises: NoSuchEntity. Source: IAM API_ListRolePolicies."""
    return _holding.list_inline(ctx, ROLE, _get_role(ctx, req["RoleName"]), req)


def delete_role_policy(ctx: Context, req: Json) -> Json:
    """Delete an inline policy. Raises: NoSuchEntity. Source: IAM API_DeleteRolePolicy."""
    _holding.delete_inline(ctx, ROLE, _get_role(ctx, req["RoleName"]), req["PolicyName"])
    return {}


def attach_role_policy(ctx: Context, req: Json) -> Json:
    """Attach a managed policy, at most 10; twice is once.

    Raises: NoSuchEntity, LimitExceeded, InvalidInput. Source: IAM API_AttachRolePolicy (read 2026-11).
    """
    _holding.attach(ctx, ROLE, _get_role(ctx, req["RoleName"]), req["PolicyArn"])
    return {}


def detach_role_policy(ctx: Context, req: Json) -> Json:
    """Detach a managed policy. Raises: NoSuchEntity. Source: IAM API_DetachRolePolicy."""
    _holding.detach(ctx, ROLE, _get_role(ctx, req["RoleName"]), req["PolicyArn"])
    return {}


def list_attached_role_policies(ctx: Context, req: Json) -> Json:
    """A role's managed policies. Raises: NoSuchEntity. Source: IAM API_ListAttachedRolePolicies."""
    return _holding.list_attached(ctx, ROLE, _get_role(ctx, req["RoleName"]), req)
