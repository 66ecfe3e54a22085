"""Operations on users and their access keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.iam import boundaries as _boundaries
from cumulet.services.iam import renaming as _renaming
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
from cumulet.services.iam.model import USER, AccessKey, Attachment, Inline, Membership, User
from cumulet.services.iam.model import check_room as _check_room
from cumulet.services.iam.model import get_user as _get_user
from cumulet.services.iam.model import key as _key
from cumulet.services.iam.model import new_id as _new_id
from cumulet.services.iam.model import tag_list as _tag_list
from cumulet.services.iam.tags import tagged as _tagged
from cumulet.services.iam.tags import untagged as _untagged

if TYPE_CHECKING:
    from cumulet.services.iam import api

_KEYS_PER_USER = 2


def create_user(ctx: Context, req: api.CreateUserRequest) -> api.CreateUserResult:
    """Make a user, without policies and keys.

    Raises: EntityAlreadyExists, InvalidInput, LimitExceeded (5,000), NoSuchEntity (boundary).
    Source: IAM API_CreateUser (read 2026-11).
    """
    name = req["UserName"]
    if ctx.tx.get(_key(ctx.account, USER, name), User) is not None:
        raise EntityAlreadyExists(f"User with name {name} already exists.")
    _check_room(ctx, USER)
    user = User(
        name=name,
        id=_new_id(ctx, "AIDA"),
        path=req.get("Path", "/"),
        account=ctx.account,
        created=ctx.now,
        tags=_tagged({}, req.get("Tags", [])),
    )
    ctx.tx.put(_key(ctx.account, USER, name), user)
    if "PermissionsBoundary" in req:
        user = _boundaries.put(ctx, USER, user, req["PermissionsBoundary"])
    return {"User": _shown(user)}


def get_user(ctx: Context, req: api.GetUserRequest) -> api.GetUserResult:
    """A user; without a name the caller, which may be the account's root.

    Raises: NoSuchEntity, ValidationError (no name, and the caller is a role). Source: IAM API_GetUser (read 2026-11).
    """
    if "UserName" in req:
        return {"User": _shown(_get_user(ctx, req["UserName"]))}
    name = _caller(ctx)
    if name is not None:
        return {"User": _shown(_get_user(ctx, name))}
    if ctx.principal and not ctx.principal.endswith(":root"):
        raise IamValidationError("Must specify userName when calling with non-User credentials")
    root: Any = {"UserId": ctx.account, "Arn": f"arn:aws:iam::{ctx.account}:root"}
    return {"User": root}


def _caller(ctx: Context) -> str | None:
    """The calling user's name, None for anybody else."""
    found = ctx.tx.get(("iam-access-key", ctx.access_key), AccessKey)
    return None if found is None else found.user


def _named(ctx: Context, req: Any) -> User:
    """The user a request names, or who calls."""
    name = req.get("UserName") or _caller(ctx)
    if name is None:
        raise IamValidationError("Must specify userName when calling with non-User credentials")
    return _get_user(ctx, name)


def list_users(ctx: Context, req: api.ListUsersRequest) -> api.ListUsersResult:
    """Users whose path begins with PathPrefix, by name. Source: IAM API_ListUsers (read 2026-11)."""
    prefix = req.get("PathPrefix", "/")

    def shown(user: User) -> Any:
        return {k: v for k, v in _shown(user).items() if k not in ("Tags", "PermissionsBoundary")}

    return _page(  # type: ignore[return-value]
        ctx, req, ("iam", ctx.account, USER), User, "Users", shown, lambda user: user.path.startswith(prefix)
    )


def update_user(ctx: Context, req: api.UpdateUserRequest) -> api.UpdateUserResult:
    """Give a user another name or path; its policies, groups, boundary and access keys come along.

    Raises: NoSuchEntity, EntityAlreadyExists. Source: IAM API_UpdateUser (read 2026-11).
    """
    old = _get_user(ctx, req["UserName"])
    new = replace(old, name=req.get("NewUserName", old.name), path=req.get("NewPath", old.path))
    at, to = _key(ctx.account, USER, old.name), _key(ctx.account, USER, new.name)
    if at != to and ctx.tx.get(to, User) is not None:
        raise EntityAlreadyExists(f"User with name {new.name} already exists.")
    if new.name != old.name:
        keys = _keys(ctx, old)
        _renaming.move(ctx, USER, old, new.name)
        for access_key in keys:
            ctx.tx.delete(("iam", ctx.account, "key-of", old.name.lower(), access_key.id))
            ctx.tx.put(("iam", ctx.account, "key-of", new.name.lower(), access_key.id), b"")
            ctx.tx.put(("iam-access-key", access_key.id), replace(access_key, user=new.name))
    ctx.tx.delete(at)
    ctx.tx.put(to, new)
    return {}


def delete_user(ctx: Context, req: api.DeleteUserRequest) -> api.DeleteUserResult:
    """Delete a user without access keys, policies and groups. Raises: NoSuchEntity, DeleteConflict.

    Source: IAM API_DeleteUser (read 2026-11).
    """
    user = _get_user(ctx, req["UserName"])
    name = user.name.lower()
    if _keys(ctx, user):
        raise DeleteConflict("Cannot delete entity, must delete access keys first.")
    if any(True for _ in ctx.tx.scan(("iam", ctx.account, "inline", USER, name), Inline, limit=1)):
        raise DeleteConflict("Cannot delete entity, must delete policies first.")
    if any(True for _ in ctx.tx.scan(("iam", ctx.account, "attachment", USER, name), Attachment, limit=1)):
        raise DeleteConflict("Cannot delete entity, must detach all policies first.")
    if any(True for _ in ctx.tx.scan(("iam", ctx.account, "group-of", name), Membership, limit=1)):
        raise DeleteConflict("Cannot delete entity, must remove users from group first.")
    _boundaries.delete(ctx, USER, user)
    ctx.tx.delete(_key(ctx.account, USER, user.name))
    return {}


def tag_user(ctx: Context, req: api.TagUserRequest) -> api.TagUserResult:
    """Add or replace tags. Raises: NoSuchEntity, InvalidInput. Source: IAM API_TagUser (read 2026-11)."""
    user = _get_user(ctx, req["UserName"])
    ctx.tx.put(_key(ctx.account, USER, user.name), replace(user, tags=_tagged(user.tags, req["Tags"])))
    return {}


def untag_user(ctx: Context, req: api.UntagUserRequest) -> api.UntagUserResult:
    """Remove tags by key. Raises: NoSuchEntity. Source: IAM API_UntagUser (read 2026-11)."""
    user = _get_user(ctx, req["UserName"])
    ctx.tx.put(_key(ctx.account, USER, user.name), replace(user, tags=_untagged(user.tags, req["TagKeys"])))
    return {}


def list_user_tags(ctx: Context, req: api.ListUserTagsRequest) -> api.ListUserTagsResult:
    """A user's tags. Raises: NoSuchEntity. Source: IAM API_ListUserTags (read 2026-11)."""
    return _slice_of(req, "Tags", _tag_list(_get_user(ctx, req["UserName"]).tags))  # type: ignore[return-value]


def put_user_permissions_boundary(
    ctx: Context, req: api.PutUserPermissionsBoundaryRequest
) -> api.PutUserPermissionsBoundaryResult:
    """Name the managed policy that bounds the user.

    Raises: NoSuchEntity. Source: IAM API_PutUserPermissionsBoundary (read 2026-11).
    """
    _boundaries.put(ctx, USER, _get_user(ctx, req["UserName"]), req["PermissionsBoundary"])
    return {}


def delete_user_permissions_boundary(
    ctx: Context, req: api.DeleteUserPermissionsBoundaryRequest
) -> api.DeleteUserPermissionsBoundaryResult:
    """Remove the boundary. Raises: NoSuchEntity. Source: IAM API_DeleteUserPermissionsBoundary (read 2026-11)."""
    _boundaries.delete(ctx, USER, _get_user(ctx, req["UserName"]))
    return {}


def create_access_key(ctx: Context, req: api.CreateAccessKeyRequest) -> api.CreateAccessKeyResult:
    """Make an access key for a user (two at most); the secret is answered this once.

    Raises: NoSuchEntity, LimitExceeded. Source: IAM API_CreateAccessKey (read 2026-11).
    """
    user = _named(ctx, req)
    if len(_keys(ctx, user)) >= _KEYS_PER_USER:
        raise LimitExceeded(f"Cannot exceed quota for AccessKeysPerUser: {_KEYS_PER_USER}")
    made = AccessKey(
        id=f"AKIA{ctx.ids.upper(16)}",
        secret=ctx.ids.secret(),
        account=ctx.account,
        user=user.name,
        created=ctx.now,
    )
    ctx.tx.put(("iam-access-key", made.id), made)
    ctx.tx.put(("iam", ctx.account, "key-of", user.name.lower(), made.id), b"")
    return {
        "AccessKey": {
            "UserName": user.name,
            "AccessKeyId": made.id,
            "Status": "Active",
            "SecretAccessKey": made.secret,
            "CreateDate": made.created,
        }
    }


def _keys(ctx: Context, user: User) -> list[AccessKey]:
    found = ctx.tx.scan_keys(("iam", ctx.account, "key-of", user.name.lower()))
    keys = [ctx.tx.get(("iam-access-key", str(at[-1])), AccessKey) for at in found]
    return [key for key in keys if key is not None]


def _own_key(ctx: Context, req: Any) -> AccessKey:
    user, wanted = _named(ctx, req), req["AccessKeyId"]
    for key in _keys(ctx, user):
        if key.id == wanted:
            return key
    raise NoSuchEntity(f"The Access Key with id {wanted} cannot be found.")


def list_access_keys(ctx: Context, req: api.ListAccessKeysRequest) -> api.ListAccessKeysResult:
    """A user's access keys, without secrets. Raises: NoSuchEntity. Source: IAM API_ListAccessKeys (read 2026-11)."""
    shown = [
        {"UserName": key.user, "AccessKeyId": key.id, "Status": key.status, "CreateDate": key.created}
        for key in _keys(ctx, _named(ctx, req))
    ]
    return _slice_of(req, "AccessKeyMetadata", shown)  # type: ignore[return-value]


def update_access_key(ctx: Context, req: api.UpdateAccessKeyRequest) -> api.UpdateAccessKeyResult:
    """Make a key Active or Inactive.

    Raises: NoSuchEntity, InvalidInput (Expired, which only AWS sets). Source: IAM API_UpdateAccessKey (read 2026-11).
    """
    key = _own_key(ctx, req)
    if req["Status"] == "Expired":
        raise InvalidInput("The status of an access key can be set to Active or Inactive only.")
    ctx.tx.put(("iam-access-key", key.id), replace(key, status=req["Status"]))
    return {}


def delete_access_key(ctx: Context, req: api.DeleteAccessKeyRequest) -> api.DeleteAccessKeyResult:
    """Delete a key. Raises: NoSuchEntity. Source: IAM API_DeleteAccessKey (read 2026-11)."""
    key = _own_key(ctx, req)
    ctx.tx.delete(("iam-access-key", key.id))
    ctx.tx.delete(("iam", ctx.account, "key-of", key.user.lower(), key.id))
    return {}


def get_access_key_last_used(ctx: Context, req: api.GetAccessKeyLastUsedRequest) -> api.GetAccessKeyLastUsedResult:
    """When and for what a key was last used, to the hour; N/A before its first use.

    Raises: NoSuchEntity. Source: IAM API_GetAccessKeyLastUsed (read 2026-11).
    """
    key = ctx.tx.get(("iam-access-key", req["AccessKeyId"]), AccessKey)
    if key is None or key.account != ctx.account:
        raise NoSuchEntity(f"The Access Key with id {req['AccessKeyId']} cannot be found.")
    used: Any = {"ServiceName": key.used_service, "Region": key.used_region}
    if key.used_at is not None:
        used["LastUsedDate"] = key.used_at
    return {"UserName": key.user, "AccessKeyLastUsed": used}


def _shown(user: User) -> Any:
    shown: dict[str, Any] = {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.id,
        "Arn": user.arn,
        "CreateDate": user.created,
    }
    if user.tags:
        shown["Tags"] = _tag_list(user.tags)
    if user.boundary is not None:
        shown["PermissionsBoundary"] = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": user.boundary}
    return shown
