"""Operations on roles: make, read, change, delete, tag, trust policy, permissions boundary, service-linked roles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.iam import boundaries as _boundaries
from cumulet.services.iam import documents as _documents
from cumulet.services.iam.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    IamValidationError,
    InvalidInput,
    LimitExceeded,
    NoSuchEntity,
)
from cumulet.services.iam.listing import page as _page
from cumulet.services.iam.listing import slice_of as _slice_of
from cumulet.services.iam.model import ROLE, Attachment, Inline, Profile, Role
from cumulet.services.iam.model import check_room as _check_room
from cumulet.services.iam.model import get_role as _get_role
from cumulet.services.iam.model import key as _key
from cumulet.services.iam.model import new_id as _new_id
from cumulet.services.iam.model import tag_list as _tag_list
from cumulet.services.iam.protected import check as _check_modifiable
from cumulet.services.iam.tags import tagged as _tagged
from cumulet.services.iam.tags import untagged as _untagged

if TYPE_CHECKING:
    from cumulet.services.iam import api

_TRUST_MAX = 2048


def create_role(ctx: Context, req: api.CreateRoleRequest) -> api.CreateRoleResult:
    """Make a role that the principals of its trust policy may assume. The policy is checked and kept.

    Raises: EntityAlreadyExists, MalformedPolicyDocument, LimitExceeded, InvalidInput, NoSuchEntity (boundary).
    Source: IAM API_CreateRole (read 2026-11).
    """
    name, trust, path = req["RoleName"], req["AssumeRolePolicyDocument"], req.get("Path", "/")
    _check_trust(trust)
    if path.startswith("/aws-service-role/"):
        raise IamValidationError("The path /aws-service-role/ is reserved for service-linked roles.")
    role = Role(
        name=name,
        id=_new_id(ctx, "AROA"),
        path=path,
        account=ctx.account,
        created=ctx.now,
        trust=trust,
        description=req.get("Description"),
        max_session_s=req.get("MaxSessionDuration", 3600),
        tags=_tagged({}, req.get("Tags", [])),
    )
    _add(ctx, role)
    if "PermissionsBoundary" in req:
        role = _boundaries.put(ctx, ROLE, role, req["PermissionsBoundary"])
    return {"Role": _shown(role)}


def get_role(ctx: Context, req: api.GetRoleRequest) -> api.GetRoleResult:
    """A role. `RoleLastUsed` is empty: use is not recorded.

    Raises: NoSuchEntity. Source: IAM API_GetRole (read 2026-11).
    """
    role = _get_role(ctx, req["RoleName"])
    shown = _shown(role)
    shown["RoleLastUsed"] = {}
    return {"Role": shown}


def list_roles(ctx: Context, req: api.ListRolesRequest) -> api.ListRolesResult:
    """Roles whose path begins with PathPrefix, by name. Source: IAM API_ListRoles (read 2026-11)."""
    prefix = req.get("PathPrefix", "/")

    def shown(role: Role) -> Any:
        return {k: v for k, v in _shown(role).items() if k not in ("Tags", "PermissionsBoundary")}

    return _page(  # type: ignore[return-value]
        ctx, req, ("iam", ctx.account, ROLE), Role, "Roles", shown, lambda role: role.path.startswith(prefix)
    )


def update_role(ctx: Context, req: api.UpdateRoleRequest) -> api.UpdateRoleResult:
    """Change description and longest session (3600-43200 s). What the request leaves out becomes the default.

    Raises: NoSuchEntity, UnmodifiableEntity. Source: IAM API_UpdateRole (read 2026-11).
    """
    role = _modifiable(ctx, req["RoleName"])
    changed = replace(role, description=req.get("Description"), max_session_s=req.get("MaxSessionDuration", 3600))
    ctx.tx.put(_key(ctx.account, ROLE, role.name), changed)
    return {}


def update_role_description(ctx: Context, req: api.UpdateRoleDescriptionRequest) -> api.UpdateRoleDescriptionResult:
    """Change the description alone, of a service-linked role too.

    Raises: NoSuchEntity. Source: IAM API_UpdateRoleDescription (read 2026-11).
    """
    role = replace(_get_role(ctx, req["RoleName"]), description=req["Description"])
    ctx.tx.put(_key(ctx.account, ROLE, role.name), role)
    return {"Role": _shown(role)}


def update_assume_role_policy(ctx: Context, req: api.UpdateAssumeRolePolicyRequest) -> api.UpdateAssumeRolePolicyResult:
    """Replace the trust policy.

    Raises: NoSuchEntity, MalformedPolicyDocument, LimitExceeded, UnmodifiableEntity.
    Source: IAM API_UpdateAssumeRolePolicy (read 2026-11).
    """
    role = _modifiable(ctx, req["RoleName"])
    _check_trust(req["PolicyDocument"])
    ctx.tx.put(_key(ctx.account, ROLE, role.name), replace(role, trust=req["PolicyDocument"]))
    return {}


def delete_role(ctx: Context, req: api.DeleteRoleRequest) -> api.DeleteRoleResult:
    """Delete a role without policies, that no instance profile holds.

    Raises: NoSuchEntity, DeleteConflict, UnmodifiableEntity (service-linked).
    Source: IAM API_DeleteRole (read 2026-11).
    """
    role = _modifiable(ctx, req["RoleName"])
    name = role.name.lower()
    if any(True for _ in ctx.tx.scan(("iam", ctx.account, "inline", ROLE, name), Inline, limit=1)):
        raise DeleteConflict("Cannot delete entity, must delete policies first.")
    if any(not each.boundary for _, each in ctx.tx.scan(("iam", ctx.account, "attachment", ROLE, name), Attachment)):
        raise DeleteConflict("Cannot delete entity, must detach all policies first.")
    if _profiles(ctx, role.name):
        raise DeleteConflict("Cannot delete entity, must remove roles from instance profile first.")
    _boundaries.delete(ctx, ROLE, role)
    ctx.tx.delete(_key(ctx.account, ROLE, role.name))
    return {}


def tag_role(ctx: Context, req: api.TagRoleRequest) -> api.TagRoleResult:
    """Add or replace tags.

    Raises: NoSuchEntity, InvalidInput, LimitExceeded. Source: IAM API_TagRole (read 2026-11).
    """
    role = _get_role(ctx, req["RoleName"])
    ctx.tx.put(_key(ctx.account, ROLE, role.name), replace(role, tags=_tagged(role.tags, req["Tags"])))
    return {}


def untag_role(ctx: Context, req: api.UntagRoleRequest) -> api.UntagRoleResult:
    """Remove tags by key. Raises: NoSuchEntity. Source: IAM API_UntagRole (read 2026-11)."""
    role = _get_role(ctx, req["RoleName"])
    ctx.tx.put(_key(ctx.account, ROLE, role.name), replace(role, tags=_untagged(role.tags, req["TagKeys"])))
    return {}


def list_role_tags(ctx: Context, req: api.ListRoleTagsRequest) -> api.ListRoleTagsResult:
    """A role's tags. Raises: NoSuchEntity. Source: IAM API_ListRoleTags (read 2026-11)."""
    role = _get_role(ctx, req["RoleName"])
    return _slice_of(req, "Tags", _tag_list(role.tags))  # type: ignore[return-value]


def put_role_permissions_boundary(
    ctx: Context, req: api.PutRolePermissionsBoundaryRequest
) -> api.PutRolePermissionsBoundaryResult:
    """Name the managed policy that bounds the role.

    Raises: NoSuchEntity, UnmodifiableEntity. Source: IAM API_PutRolePermissionsBoundary (read 2026-11).
    """
    _boundaries.put(ctx, ROLE, _modifiable(ctx, req["RoleName"]), req["PermissionsBoundary"])
    return {}


def delete_role_permissions_boundary(
    ctx: Context, req: api.DeleteRolePermissionsBoundaryRequest
) -> api.DeleteRolePermissionsBoundaryResult:
    """Remove the boundary. Raises: NoSuchEntity. Source: IAM API_DeleteRolePermissionsBoundary (read 2026-11)."""
    _boundaries.delete(ctx, ROLE, _modifiable(ctx, req["RoleName"]))
    return {}


def create_service_linked_role(
    ctx: Context, req: api.CreateServiceLinkedRoleRequest
) -> api.CreateServiceLinkedRoleResult:
    """Make the role that an AWS service uses, `AWSServiceRoleFor...`, under /aws-service-role/{service}/.

    The name is derived from the service's name, as AWS does not publish its table of names.
    Raises: InvalidInput (not a service; the role exists). Source: IAM API_CreateServiceLinkedRole (read 2026-11).
    """
    service = req["AWSServiceName"]
    if "." not in service:
        raise InvalidInput(f"{service} is not a valid AWS service name.")
    words = service.split(".amazonaws.com")[0].replace("-", ".").split(".")
    name = "AWSServiceRoleFor" + "".join(word[:1].upper() + word[1:] for word in words)
    if "CustomSuffix" in req:
        name += f"_{req['CustomSuffix']}"
    if ctx.tx.get(_key(ctx.account, ROLE, name), Role) is not None:
        raise InvalidInput(f"Service role name {name} has been taken in this account, please try a different suffix.")
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    role = Role(
        name=name,
        id=_new_id(ctx, "AROA"),
        path=f"/aws-service-role/{service}/",
        account=ctx.account,
        created=ctx.now,
        trust=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        description=req.get("Description"),
        linked_to=service,
    )
    _add(ctx, role)
    return {"Role": _shown(role)}


def delete_service_linked_role(
    ctx: Context, req: api.DeleteServiceLinkedRoleRequest
) -> api.DeleteServiceLinkedRoleResult:
    """Delete a service-linked role at once; the task id tells GetServiceLinkedRoleDeletionStatus.

    Raises: NoSuchEntity. Source: IAM API_DeleteServiceLinkedRole (read 2026-11).
    """
    role = _get_role(ctx, req["RoleName"])
    if role.linked_to is None:
        raise InvalidInput(f"The role {role.name} is not a service-linked role.")
    for key, each in list(ctx.tx.scan(("iam", ctx.account, "attachment", ROLE, role.name.lower()), Attachment)):
        ctx.tx.delete(key)
        ctx.tx.delete(("iam", ctx.account, "entity", each.arn, ROLE, role.name.lower()))
    ctx.tx.delete(_key(ctx.account, ROLE, role.name))
    task = f"task{role.path}{role.name}/{ctx.ids.uuid()}"
    ctx.tx.put(("iam", ctx.account, "deletion", task), b"")
    return {"DeletionTaskId": task}


def get_service_linked_role_deletion_status(
    ctx: Context, req: api.GetServiceLinkedRoleDeletionStatusRequest
) -> api.GetServiceLinkedRoleDeletionStatusResult:
    """SUCCEEDED for every task there is: the role is gone as soon as DeleteServiceLinkedRole answers.

    Raises: NoSuchEntity. Source: IAM API_GetServiceLinkedRoleDeletionStatus (read 2026-11).
    """
    task = req["DeletionTaskId"]
    if ctx.tx.get_bytes(("iam", ctx.account, "deletion", task)) is None:
        raise NoSuchEntity(f"The deletion task with id {task} cannot be found.")
    return {"Status": "SUCCEEDED"}


def _check_trust(document: str) -> None:
    _documents.check_trust(document)
    if _documents.size(document) > _TRUST_MAX:
        raise LimitExceeded(f"Cannot exceed quota for ACLSizePerRole: {_TRUST_MAX}")


def _add(ctx: Context, role: Role) -> None:
    at = _key(ctx.account, ROLE, role.name)
    if ctx.tx.get(at, Role) is not None:
        raise EntityAlreadyExists(f"Role with name {role.name} already exists.")
    _check_room(ctx, ROLE)
    ctx.tx.put(at, role)


def _modifiable(ctx: Context, name: str) -> Role:
    role = _get_role(ctx, name)
    _check_modifiable(role)
    return role


def _profiles(ctx: Context, role_name: str) -> list[Profile]:
    found = ctx.tx.scan(("iam", ctx.account, "profile"), Profile)
    return [profile for _, profile in found if profile.role == role_name]


def _shown(role: Role) -> Any:
    shown: dict[str, Any] = {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn,
        "CreateDate": role.created,
        "AssumeRolePolicyDocument": _documents.encoded(role.trust),
        "MaxSessionDuration": role.max_session_s,
    }
    if role.description is not None:
        shown["Description"] = role.description
    if role.tags:
        shown["Tags"] = _tag_list(role.tags)
    if role.boundary is not None:
        shown["PermissionsBoundary"] = {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": role.boundary,
        }
    return shown
