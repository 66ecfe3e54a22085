"""Operations on groups and who is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.iam.errors import DeleteConflict, EntityAlreadyExists, IamValidationError
from cumulet.services.iam.listing import page as _page
from cumulet.services.iam.model import GROUP, Attachment, Group, Inline, Membership
from cumulet.services.iam.model import get_group as _get_group
from cumulet.services.iam.model import get_user as _get_user
from cumulet.services.iam.model import key as _key
from cumulet.services.iam.model import new_id as _new_id
from cumulet.services.iam.users import _shown as _shown_user

if TYPE_CHECKING:
    from cumulet.services.iam import api


def create_group(ctx: Context, req: api.CreateGroupRequest) -> api.CreateGroupResult:
    """Make a group. Raises: EntityAlreadyExists. Source: IAM API_CreateGroup (read 2026-11)."""
    name = req["GroupName"]
    if ctx.tx.get(_key(ctx.account, GROUP, name), Group) is not None:
        raise EntityAlreadyExists(f"Group with name {name} already exists.")
    path = req.get("Path", "/")
    group = Group(name=name, id=_new_id(ctx, "AGPA"), path=path, account=ctx.account, created=ctx.now)
    ctx.tx.put(_key(ctx.account, GROUP, name), group)
    return {"Group": _shown(group)}


def get_group(ctx: Context, req: api.GetGroupRequest) -> api.GetGroupResult:
    """A group and its users. Raises: NoSuchEntity. Source: IAM API_GetGroup (read 2026-11)."""
    group = _get_group(ctx, req["GroupName"])
    prefix = ("iam", ctx.account, "member", group.name.lower())
    page = _page(ctx, req, prefix, Membership, "Users", lambda each: _shown_user(_get_user(ctx, each.user)))
    return {"Group": _shown(group), **page}  # type: ignore[typeddict-item]


def list_groups(ctx: Context, req: api.ListGroupsRequest) -> api.ListGroupsResult:
    """Groups whose path begins with PathPrefix, by name. Source: IAM API_ListGroups (read 2026-11)."""
    prefix = req.get("PathPrefix", "/")
    return _page(  # type: ignore[return-value]
        ctx, req, ("iam", ctx.account, GROUP), Group, "Groups", _shown, lambda group: group.path.startswith(prefix)
    )


def list_groups_for_user(ctx: Context, req: api.ListGroupsForUserRequest) -> api.ListGroupsForUserResult:
    """The groups a user is in. Raises: NoSuchEntity. Source: IAM API_ListGroupsForUser (read 2026-11)."""
    user = _get_user(ctx, req["UserName"])
    prefix = ("iam", ctx.account, "group-of", user.name.lower())
    return _page(  # type: ignore[return-value]
        ctx, req, prefix, Membership, "Groups", lambda each: _shown(_get_group(ctx, each.group))
    )


def update_group(ctx: Context, req: api.UpdateGroupRequest) -> api.UpdateGroupResult:
    """Move a group to another path. Raises: NoSuchEntity; ValidationError for a new name, which is not supported."""
    group = _get_group(ctx, req["GroupName"])
    if req.get("NewGroupName", group.name) != group.name:
        raise IamValidationError("Renaming a group is not implemented by Cumulet.")
    ctx.tx.put(_key(ctx.account, GROUP, group.name), replace(group, path=req.get("NewPath", group.path)))
    return {}


def delete_group(ctx: Context, req: api.DeleteGroupRequest) -> api.DeleteGroupResult:
    """Delete a group without users and policies. Raises: NoSuchEntity, DeleteConflict. Source: IAM API_DeleteGroup."""
    group = _get_group(ctx, req["GroupName"])
    name = group.name.lower()
    if any(True for _ in ctx.tx.scan(("iam", ctx.account, "member", name), Membership, limit=1)):
        raise DeleteConflict("Cannot delete entity, must remove users from group first.")
    if any(True for _ in ctx.tx.scan(("iam", ctx.account, "inline", GROUP, name), Inline, limit=1)):
        raise DeleteConflict("Cannot delete entity, must delete policies first.")
    if any(True for _ in ctx.tx.scan(("iam", ctx.account, "attachment", GROUP, name), Attachment, limit=1)):
        raise DeleteConflict("Cannot delete entity, must detach all policies first.")
    ctx.tx.delete(_key(ctx.account, GROUP, group.name))
    return {}


def add_user_to_group(ctx: Context, req: api.AddUserToGroupRequest) -> api.AddUserToGroupResult:
    """Put a user into a group; again changes nothing. Raises: NoSuchEntity. Source: IAM API_AddUserToGroup."""
    group, user = _get_group(ctx, req["GroupName"]), _get_user(ctx, req["UserName"])
    membership = Membership(user=user.name, group=group.name)
    ctx.tx.put(("iam", ctx.account, "member", group.name.lower(), user.name.lower()), membership)
    ctx.tx.put(("iam", ctx.account, "group-of", user.name.lower(), group.name.lower()), membership)
    return {}


def remove_user_from_group(ctx: Context, req: api.RemoveUserFromGroupRequest) -> api.RemoveUserFromGroupResult:
    """Take a user out of a group. Raises: NoSuchEntity. Source: IAM API_RemoveUserFromGroup (read 2026-11)."""
    group, user = _get_group(ctx, req["GroupName"]), _get_user(ctx, req["UserName"])
    ctx.tx.delete(("iam", ctx.account, "member", group.name.lower(), user.name.lower()))
    ctx.tx.delete(("iam", ctx.account, "group-of", user.name.lower(), group.name.lower()))
    return {}


def _shown(group: Group) -> Any:
    return {
        "Path": group.path,
        "GroupName": group.name,
        "GroupId": group.id,
        "Arn": group.arn,
        "CreateDate": group.created,
    }
