"""Operations on groups and who is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.iam import renaming as _renaming
from cumulet.services.iam.errors import DeleteConflict, EntityAlreadyExists, LimitExceeded
from cumulet.services.iam.listing import page as _page
from cumulet.services.iam.model import GROUP, Attachment, Group, Inline, Membership
from cumulet.services.iam.model import check_room as _check_room
from cumulet.services.iam.model import get_group as _get_group
from cumulet.services.iam.model import get_user as _get_user
from cumulet.services.iam.model import key as _key
from cumulet.services.iam.model import new_id as _new_id
from cumulet.services.iam.users import _shown as _shown_user

if TYPE_CHECKING:
    from cumulet.services.iam import api


_GROUPS_PER_USER = 10


def create_group(ctx: Context, req: api.CreateGroupRequest) -> api.CreateGroupResult:
    """Make a group. Raises: EntityAlreadyExists. Source: IAM API_CreateGroup (read 2026-11)."""
    name = req["GroupName"]
    if ctx.tx.get(_key(ctx.account, GROUP, name), Group) is not None:
        raise EntityAlreadyExists(f"Group with name {name} already exists.")
    _check_room(ctx, GROUP)
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
    """Give a group another name or path; its policies and users come along.

    Raises: NoSuchEntity, EntityAlreadyExists. Source: IAM API_UpdateGroup (read 2026-11).
    """
    old = _get_group(ctx, req["GroupName"])
    new = replace(old, name=req.get("NewGroupName", old.name), path=req.get("NewPath", old.path))
    at, to = _key(ctx.account, GROUP, old.name), _key(ctx.account, GROUP, new.name)
    if at != to and ctx.tx.get(to, Group) is not None:
        raise EntityAlreadyExists(f"Group with name {new.name} already exists.")
    if new.name != old.name:
        _renaming.move(ctx, GROUP, old, new.name)
    ctx.tx.delete(at)
    ctx.tx.put(to, new)
    return {}


def delete_group(ctx: Context, req: api.DeleteGroupRequest) -> api.DeleteGroupResult:
    """Delete a group without users and policies.

    Raises: NoSuchEntity, DeleteConflict. Source: IAM API_DeleteGroup (read 2026-11).
    """
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
    """Put a user into a group, ten at most; again changes nothing.

    Raises: NoSuchEntity, LimitExceeded. Source: IAM API_AddUserToGroup; "IAM and AWS STS quotas" (read 2026-11).
    """
    group, user = _get_group(ctx, req["GroupName"]), _get_user(ctx, req["UserName"])
    groups = [key[-1] for key in ctx.tx.scan_keys(("iam", ctx.account, "group-of", user.name.lower()))]
    if group.name.lower() not in groups and len(groups) >= _GROUPS_PER_USER:
        raise LimitExceeded(f"Cannot exceed quota for GroupsPerUser: {_GROUPS_PER_USER}")
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
