"""Operations on instance profiles, which hold one role for EC2 instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.iam.errors import DeleteConflict, EntityAlreadyExists, LimitExceeded, NoSuchEntity
from cumulet.services.iam.listing import page as _page
from cumulet.services.iam.listing import slice_of as _slice_of
from cumulet.services.iam.model import Profile
from cumulet.services.iam.model import check_room as _check_room
from cumulet.services.iam.model import get_role as _get_role
from cumulet.services.iam.model import key as _key
from cumulet.services.iam.model import new_id as _new_id
from cumulet.services.iam.model import tag_list as _tag_list
from cumulet.services.iam.protected import check as _check_modifiable
from cumulet.services.iam.roles import _profiles
from cumulet.services.iam.roles import _shown as _shown_role
from cumulet.services.iam.tags import tagged as _tagged
from cumulet.services.iam.tags import untagged as _untagged

if TYPE_CHECKING:
    from cumulet.services.iam import api


def create_instance_profile(ctx: Context, req: api.CreateInstanceProfileRequest) -> api.CreateInstanceProfileResult:
    """Make an instance profile without a role.

    Raises: EntityAlreadyExists, InvalidInput, LimitExceeded (1,000). Source: IAM API_CreateInstanceProfile (read 2026-11).
    """
    name = req["InstanceProfileName"]
    if ctx.tx.get(_key(ctx.account, "profile", name), Profile) is not None:
        raise EntityAlreadyExists(f"Instance Profile {name} already exists.")
    _check_room(ctx, "profile")
    profile = Profile(
        name=name,
        id=_new_id(ctx, "AIPA"),
        path=req.get("Path", "/"),
        account=ctx.account,
        created=ctx.now,
        tags=_tagged({}, req.get("Tags", [])),
    )
    ctx.tx.put(_key(ctx.account, "profile", name), profile)
    return {"InstanceProfile": _shown(ctx, profile)}


def get_instance_profile(ctx: Context, req: api.GetInstanceProfileRequest) -> api.GetInstanceProfileResult:
    """An instance profile with its role. Raises: NoSuchEntity. Source: IAM API_GetInstanceProfile (read 2026-11)."""
    return {"InstanceProfile": _shown(ctx, _get(ctx, req["InstanceProfileName"]))}


def list_instance_profiles(ctx: Context, req: api.ListInstanceProfilesRequest) -> api.ListInstanceProfilesResult:
    """Instance profiles by name. Source: IAM API_ListInstanceProfiles (read 2026-11)."""
    prefix = req.get("PathPrefix", "/")
    return _page(  # type: ignore[return-value]
        ctx,
        req,
        ("iam", ctx.account, "profile"),
        Profile,
        "InstanceProfiles",
        lambda profile: _shown(ctx, profile),
        lambda profile: profile.path.startswith(prefix),
    )


def list_instance_profiles_for_role(
    ctx: Context, req: api.ListInstanceProfilesForRoleRequest
) -> api.ListInstanceProfilesForRoleResult:
    """The instance profiles that hold a role. Raises: NoSuchEntity.

    Source: IAM API_ListInstanceProfilesForRole (read 2026-11).
    """
    role = _get_role(ctx, req["RoleName"])
    shown = [_shown(ctx, profile) for profile in _profiles(ctx, role.name)]
    return _slice_of(req, "InstanceProfiles", shown)  # type: ignore[return-value]


def delete_instance_profile(ctx: Context, req: api.DeleteInstanceProfileRequest) -> api.DeleteInstanceProfileResult:
    """Delete an instance profile without a role.

    Raises: NoSuchEntity, DeleteConflict. Source: IAM API_DeleteInstanceProfile (read 2026-11).
    """
    profile = _get(ctx, req["InstanceProfileName"])
    if profile.role is not None:
        raise DeleteConflict("Cannot delete entity, must remove roles from instance profile first.")
    ctx.tx.delete(_key(ctx.account, "profile", profile.name))
    return {}


def add_role_to_instance_profile(
    ctx: Context, req: api.AddRoleToInstanceProfileRequest
) -> api.AddRoleToInstanceProfileResult:
    """Put the role into the profile; there is room for one.

    Raises: NoSuchEntity, LimitExceeded, UnmodifiableEntity (service-linked).
    Source: IAM API_AddRoleToInstanceProfile (read 2026-11).
    """
    profile, role = _get(ctx, req["InstanceProfileName"]), _get_role(ctx, req["RoleName"])
    _check_modifiable(role)
    if profile.role is not None:
        raise LimitExceeded("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
    ctx.tx.put(_key(ctx.account, "profile", profile.name), replace(profile, role=role.name))
    return {}


def remove_role_from_instance_profile(
    ctx: Context, req: api.RemoveRoleFromInstanceProfileRequest
) -> api.RemoveRoleFromInstanceProfileResult:
    """Take the role out. Raises: NoSuchEntity. Source: IAM API_RemoveRoleFromInstanceProfile (read 2026-11)."""
    profile = _get(ctx, req["InstanceProfileName"])
    if profile.role is None or profile.role.lower() != req["RoleName"].lower():
        raise NoSuchEntity(f"The role with name {req['RoleName']} cannot be found.")
    ctx.tx.put(_key(ctx.account, "profile", profile.name), replace(profile, role=None))
    return {}


def tag_instance_profile(ctx: Context, req: api.TagInstanceProfileRequest) -> api.TagInstanceProfileResult:
    """Add or replace tags. Raises: NoSuchEntity, InvalidInput. Source: IAM API_TagInstanceProfile (read 2026-11)."""
    profile = _get(ctx, req["InstanceProfileName"])
    changed = replace(profile, tags=_tagged(profile.tags, req["Tags"]))
    ctx.tx.put(_key(ctx.account, "profile", profile.name), changed)
    return {}


def untag_instance_profile(ctx: Context, req: api.UntagInstanceProfileRequest) -> api.UntagInstanceProfileResult:
    """Remove tags by key. Raises: NoSuchEntity. Source: IAM API_UntagInstanceProfile (read 2026-11)."""
    profile = _get(ctx, req["InstanceProfileName"])
    changed = replace(profile, tags=_untagged(profile.tags, req["TagKeys"]))
    ctx.tx.put(_key(ctx.account, "profile", profile.name), changed)
    return {}


def list_instance_profile_tags(
    ctx: Context, req: api.ListInstanceProfileTagsRequest
) -> api.ListInstanceProfileTagsResult:
    """A profile's tags. Raises: NoSuchEntity. Source: IAM API_ListInstanceProfileTags (read 2026-11)."""
    tags = _tag_list(_get(ctx, req["InstanceProfileName"]).tags)
    return _slice_of(req, "Tags", tags)  # type: ignore[return-value]


def _get(ctx: Context, name: str) -> Profile:
    profile = ctx.tx.get(_key(ctx.account, "profile", name), Profile)
    if profile is None:
        raise NoSuchEntity(f"Instance Profile {name} cannot be found.")
    return profile


def _shown(ctx: Context, profile: Profile) -> Any:
    shown: dict[str, Any] = {
        "Path": profile.path,
        "InstanceProfileName": profile.name,
        "InstanceProfileId": profile.id,
        "Arn": profile.arn,
        "CreateDate": profile.created,
        "Roles": [] if profile.role is None else [_shown_role(_get_role(ctx, profile.role))],
    }
    if profile.tags:
        shown["Tags"] = _tag_list(profile.tags)
    return shown
