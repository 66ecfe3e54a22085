"""Operations on inline policies of roles, users and groups: put, get, list, delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cumulet.kernel.context import Context
from cumulet.services.iam import documents as _documents
from cumulet.services.iam.errors import LimitExceeded, NoSuchEntity
from cumulet.services.iam.listing import page as _page
from cumulet.services.iam.model import GROUP, ROLE, USER, Inline
from cumulet.services.iam.model import get_entity as _get_entity
from cumulet.services.iam.model import inline_key as _inline_key
from cumulet.services.iam.protected import check as _check_modifiable

if TYPE_CHECKING:
    from cumulet.services.iam import api

_QUOTAS = {ROLE: 10_240, USER: 2_048, GROUP: 5_120}  # characters of all inline policies together


def _put(ctx: Context, kind: str, name: str, req: Mapping[str, Any]) -> None:
    entity = _get_entity(ctx, kind, name)
    _check_modifiable(entity)
    _documents.check_identity(req["PolicyDocument"])
    at = _inline_key(ctx.account, kind, entity.name, req["PolicyName"])
    others = ctx.tx.scan(("iam", ctx.account, "inline", kind, entity.name.lower()), Inline)
    total = sum(_documents.size(each.document) for key, each in others if key != at)
    if total + _documents.size(req["PolicyDocument"]) > _QUOTAS[kind]:
        raise LimitExceeded(f"Maximum policy size of {_QUOTAS[kind]} bytes exceeded for {kind} {entity.name}")
    ctx.tx.put(at, Inline(name=req["PolicyName"], document=req["PolicyDocument"]))


def _find(ctx: Context, kind: str, name: str, policy: str) -> Inline:
    entity = _get_entity(ctx, kind, name)
    found = ctx.tx.get(_inline_key(ctx.account, kind, entity.name, policy), Inline)
    if found is None:
        raise NoSuchEntity(f"The {kind} policy with name {policy} cannot be found.")
    return found


def _delete(ctx: Context, kind: str, name: str, policy: str) -> None:
    _check_modifiable(_get_entity(ctx, kind, name))
    _find(ctx, kind, name, policy)
    ctx.tx.delete(_inline_key(ctx.account, kind, name, policy))


def _list(ctx: Context, kind: str, name: str, req: Mapping[str, Any]) -> Any:
    entity = _get_entity(ctx, kind, name)
    prefix = ("iam", ctx.account, "inline", kind, entity.name.lower())
    return _page(ctx, req, prefix, Inline, "PolicyNames", lambda each: each.name)


def put_role_policy(ctx: Context, req: api.PutRolePolicyRequest) -> api.PutRolePolicyResult:
    """Put an inline policy on a role, replacing one of the same name.

    Raises: NoSuchEntity, MalformedPolicyDocument, LimitExceeded. Source: IAM API_PutRolePolicy (read 2026-11).
    """
    _put(ctx, ROLE, req["RoleName"], req)
    return {}


def get_role_policy(ctx: Context, req: api.GetRolePolicyRequest) -> api.GetRolePolicyResult:
    """An inline policy of a role. Raises: NoSuchEntity. Source: IAM API_GetRolePolicy (read 2026-11)."""
    found = _find(ctx, ROLE, req["RoleName"], req["PolicyName"])
    document = _documents.encoded(found.document)
    return {"RoleName": req["RoleName"], "PolicyName": found.name, "PolicyDocument": document}


def list_role_policies(ctx: Context, req: api.ListRolePoliciesRequest) -> api.ListRolePoliciesResult:
    """Names of a role's inline policies. Raises: NoSuchEntity. Source: IAM API_ListRolePolicies (read 2026-11)."""
    return _list(ctx, ROLE, req["RoleName"], req)  # type: ignore[no-any-return]


def delete_role_policy(ctx: Context, req: api.DeleteRolePolicyRequest) -> api.DeleteRolePolicyResult:
    """Delete an inline policy of a role. Raises: NoSuchEntity. Source: IAM API_DeleteRolePolicy (read 2026-11)."""
    _delete(ctx, ROLE, req["RoleName"], req["PolicyName"])
    return {}


def put_user_policy(ctx: Context, req: api.PutUserPolicyRequest) -> api.PutUserPolicyResult:
    """Put an inline policy on a user, replacing one of the same name.

    Raises: NoSuchEntity, MalformedPolicyDocument, LimitExceeded. Source: IAM API_PutUserPolicy (read 2026-11).
    """
    _put(ctx, USER, req["UserName"], req)
    return {}


def get_user_policy(ctx: Context, req: api.GetUserPolicyRequest) -> api.GetUserPolicyResult:
    """An inline policy of a user. Raises: NoSuchEntity. Source: IAM API_GetUserPolicy (read 2026-11)."""
    found = _find(ctx, USER, req["UserName"], req["PolicyName"])
    document = _documents.encoded(found.document)
    return {"UserName": req["UserName"], "PolicyName": found.name, "PolicyDocument": document}


def list_user_policies(ctx: Context, req: api.ListUserPoliciesRequest) -> api.ListUserPoliciesResult:
    """Names of a user's inline policies. Raises: NoSuchEntity. Source: IAM API_ListUserPolicies (read 2026-11)."""
    return _list(ctx, USER, req["UserName"], req)  # type: ignore[no-any-return]


def delete_user_policy(ctx: Context, req: api.DeleteUserPolicyRequest) -> api.DeleteUserPolicyResult:
    """Delete an inline policy of a user. Raises: NoSuchEntity. Source: IAM API_DeleteUserPolicy (read 2026-11)."""
    _delete(ctx, USER, req["UserName"], req["PolicyName"])
    return {}


def put_group_policy(ctx: Context, req: api.PutGroupPolicyRequest) -> api.PutGroupPolicyResult:
    """Put an inline policy on a group, replacing one of the same name.

    Raises: NoSuchEntity, MalformedPolicyDocument, LimitExceeded. Source: IAM API_PutGroupPolicy (read 2026-11).
    """
    _put(ctx, GROUP, req["GroupName"], req)
    return {}


def get_group_policy(ctx: Context, req: api.GetGroupPolicyRequest) -> api.GetGroupPolicyResult:
    """An inline policy of a group. Raises: NoSuchEntity. Source: IAM API_GetGroupPolicy (read 2026-11)."""
    found = _find(ctx, GROUP, req["GroupName"], req["PolicyName"])
    document = _documents.encoded(found.document)
    return {"GroupName": req["GroupName"], "PolicyName": found.name, "PolicyDocument": document}


def list_group_policies(ctx: Context, req: api.ListGroupPoliciesRequest) -> api.ListGroupPoliciesResult:
    """Names of a group's inline policies. Raises: NoSuchEntity. Source: IAM API_ListGroupPolicies (read 2026-11)."""
    return _list(ctx, GROUP, req["GroupName"], req)  # type: ignore[no-any-return]


def delete_group_policy(ctx: Context, req: api.DeleteGroupPolicyRequest) -> api.DeleteGroupPolicyResult:
    """Delete an inline policy of a group. Raises: NoSuchEntity. Source: IAM API_DeleteGroupPolicy (read 2026-11)."""
    _delete(ctx, GROUP, req["GroupName"], req["PolicyName"])
    return {}
