"""Operations that attach managed policies to roles, users and groups.

Any well-formed ARN of an AWS managed policy can be attached, since Cumulet does not carry AWS's list of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cumulet.kernel.context import Context
from cumulet.services.iam import managed as _managed
from cumulet.services.iam.errors import LimitExceeded, NoSuchEntity
from cumulet.services.iam.listing import page as _page
from cumulet.services.iam.listing import slice_of as _slice_of
from cumulet.services.iam.model import GROUP, ROLE, USER, Attachment
from cumulet.services.iam.model import attachment_key as _attachment_key
from cumulet.services.iam.model import entity_key as _entity_key
from cumulet.services.iam.model import get_entity as _get_entity
from cumulet.services.iam.protected import check as _check_modifiable

if TYPE_CHECKING:
    from cumulet.services.iam import api

_QUOTA = 10  # managed policies per role, user and group. Source: IAM user guide, "IAM and AWS STS quotas"


def _attach(ctx: Context, kind: str, name: str, arn: str) -> None:
    entity = _get_entity(ctx, kind, name)
    _check_modifiable(entity)
    policy = _managed.require_policy(ctx, arn)
    at = _attachment_key(ctx.account, kind, entity.name, arn)
    others = sum(
        1 for key in ctx.tx.scan_keys(("iam", ctx.account, "attachment", kind, entity.name.lower())) if key != at
    )
    if others >= _QUOTA:
        raise LimitExceeded(f"Cannot exceed quota for PoliciesPer{kind.capitalize()}: {_QUOTA}")
    attachment = Attachment(arn=policy.arn, entity=entity.name)
    ctx.tx.put(at, attachment)
    ctx.tx.put(_entity_key(ctx.account, arn, kind, entity.name), attachment)


def _detach(ctx: Context, kind: str, name: str, arn: str) -> None:
    entity = _get_entity(ctx, kind, name)
    _check_modifiable(entity)
    at = _attachment_key(ctx.account, kind, entity.name, arn)
    if ctx.tx.get(at, Attachment) is None:
        raise NoSuchEntity(f"Policy {arn} was not found.")
    ctx.tx.delete(at)
    ctx.tx.delete(_entity_key(ctx.account, arn, kind, entity.name))


def _list(ctx: Context, kind: str, name: str, req: Mapping[str, Any]) -> Any:
    entity = _get_entity(ctx, kind, name)
    path = req.get("PathPrefix", "/")
    return _page(
        ctx,
        req,
        ("iam", ctx.account, "attachment", kind, entity.name.lower()),
        Attachment,
        "AttachedPolicies",
        lambda each: {"PolicyName": each.arn.rsplit("/", 1)[-1], "PolicyArn": each.arn},
        lambda each: each.arn.partition(":policy")[2].startswith(path),
    )


def list_entities_for_policy(ctx: Context, req: api.ListEntitiesForPolicyRequest) -> api.ListEntitiesForPolicyResult:
    """The roles, users and groups that have a policy, or (PolicyUsageFilter) are bounded by it.

    Raises: NoSuchEntity. Source: IAM API_ListEntitiesForPolicy (read 2026-11).
    """
    arn = req["PolicyArn"]
    _managed.require_policy(ctx, arn)
    usage, kind, prefix = req.get("PolicyUsageFilter"), req.get("EntityFilter"), req.get("PathPrefix", "/")
    found = _managed.attachments(ctx, arn) if usage != "PermissionsBoundary" else []
    found += _managed.bounded(ctx, arn) if usage != "PermissionsPolicy" else []
    shown = []
    for each_kind, attachment in found:
        entity = _get_entity(ctx, each_kind, attachment.entity)
        name = each_kind.capitalize()
        if kind in (None, name) and entity.path.startswith(prefix):
            shown.append((f"Policy{name}s", {f"{name}Name": entity.name, f"{name}Id": entity.id}))
    page = _slice_of(req, "all", shown)
    result: dict[str, Any] = {"PolicyRoles": [], "PolicyUsers": [], "PolicyGroups": []}
    for member, each in page.pop("all"):
        result[member].append(each)
    return {**result, **page}  # type: ignore[typeddict-item]


def attach_role_policy(ctx: Context, req: api.AttachRolePolicyRequest) -> api.AttachRolePolicyResult:
    """Attach a managed policy to a role; attaching it again changes nothing.

    Raises: NoSuchEntity, LimitExceeded, InvalidInput. Source: IAM API_AttachRolePolicy (read 2026-11).
    """
    _attach(ctx, ROLE, req["RoleName"], req["PolicyArn"])
    return {}


def detach_role_policy(ctx: Context, req: api.DetachRolePolicyRequest) -> api.DetachRolePolicyResult:
    """Detach a managed policy from a role. Raises: NoSuchEntity. Source: IAM API_DetachRolePolicy (read 2026-11)."""
    _detach(ctx, ROLE, req["RoleName"], req["PolicyArn"])
    return {}


def list_attached_role_policies(
    ctx: Context, req: api.ListAttachedRolePoliciesRequest
) -> api.ListAttachedRolePoliciesResult:
    """The managed policies of a role. Raises: NoSuchEntity. Source: IAM API_ListAttachedRolePolicies (read 2026-11)."""
    return _list(ctx, ROLE, req["RoleName"], req)  # type: ignore[no-any-return]


def attach_user_policy(ctx: Context, req: api.AttachUserPolicyRequest) -> api.AttachUserPolicyResult:
    """Attach a managed policy to a user; attaching it again changes nothing.

    Raises: NoSuchEntity, LimitExceeded, InvalidInput. Source: IAM API_AttachUserPolicy (read 2026-11).
    """
    _attach(ctx, USER, req["UserName"], req["PolicyArn"])
    return {}


def detach_user_policy(ctx: Context, req: api.DetachUserPolicyRequest) -> api.DetachUserPolicyResult:
    """Detach a managed policy from a user. Raises: NoSuchEntity. Source: IAM API_DetachUserPolicy (read 2026-11)."""
    _detach(ctx, USER, req["UserName"], req["PolicyArn"])
    return {}


def list_attached_user_policies(
    ctx: Context, req: api.ListAttachedUserPoliciesRequest
) -> api.ListAttachedUserPoliciesResult:
    """The managed policies of a user. Raises: NoSuchEntity. Source: IAM API_ListAttachedUserPolicies (read 2026-11)."""
    return _list(ctx, USER, req["UserName"], req)  # type: ignore[no-any-return]


def attach_group_policy(ctx: Context, req: api.AttachGroupPolicyRequest) -> api.AttachGroupPolicyResult:
    """Attach a managed policy to a group; attaching it again changes nothing.

    Raises: NoSuchEntity, LimitExceeded, InvalidInput. Source: IAM API_AttachGroupPolicy (read 2026-11).
    """
    _attach(ctx, GROUP, req["GroupName"], req["PolicyArn"])
    return {}


def detach_group_policy(ctx: Context, req: api.DetachGroupPolicyRequest) -> api.DetachGroupPolicyResult:
    """Detach a managed policy from a group. Raises: NoSuchEntity. Source: IAM API_DetachGroupPolicy (read 2026-11)."""
    _detach(ctx, GROUP, req["GroupName"], req["PolicyArn"])
    return {}


def list_attached_group_policies(
    ctx: Context, req: api.ListAttachedGroupPoliciesRequest
) -> api.ListAttachedGroupPoliciesResult:
    """The managed policies of a group. Raises: NoSuchEntity. Source: IAM API_ListAttachedGroupPolicies (read 2026-11)."""
    return _list(ctx, GROUP, req["GroupName"], req)  # type: ignore[no-any-return]
