"""Operations on managed policies and their versions (five at most)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.iam import documents as _documents
from cumulet.services.iam import managed as _managed
from cumulet.services.iam.errors import DeleteConflict, EntityAlreadyExists, LimitExceeded, NoSuchEntity
from cumulet.services.iam.listing import slice_of as _slice_of
from cumulet.services.iam.model import Attachment, Policy, Version
from cumulet.services.iam.model import check_room as _check_room
from cumulet.services.iam.model import key as _key
from cumulet.services.iam.model import new_id as _new_id
from cumulet.services.iam.model import tag_list as _tag_list
from cumulet.services.iam.tags import tagged as _tagged
from cumulet.services.iam.tags import untagged as _untagged

if TYPE_CHECKING:
    from cumulet.services.iam import api

_VERSIONS, _SIZE = 5, 6144


def _version_key(policy: Policy, number: int) -> tuple[str, str, str, str, int]:
    return ("iam", policy.account, "version", policy.name.lower(), number)


def _check(document: str) -> None:
    _documents.check_identity(document)
    if _documents.size(document) > _SIZE:
        raise LimitExceeded(f"Cannot exceed quota for PolicySize: {_SIZE}")


def create_policy(ctx: Context, req: api.CreatePolicyRequest) -> api.CreatePolicyResult:
    """Make a customer managed policy with version v1.

    Raises: EntityAlreadyExists, MalformedPolicyDocument, LimitExceeded, InvalidInput.
    Source: IAM API_CreatePolicy (read 2026-11).
    """
    name = req["PolicyName"]
    _check(req["PolicyDocument"])
    at = _key(ctx.account, "policy", name)
    if ctx.tx.get(at, Policy) is not None:
        raise EntityAlreadyExists(f"A policy called {name} already exists. Duplicate names are not allowed.")
    _check_room(ctx, "policy")
    policy = Policy(
        name=name,
        id=_new_id(ctx, "ANPA"),
        path=req.get("Path", "/"),
        account=ctx.account,
        created=ctx.now,
        updated=ctx.now,
        description=req.get("Description"),
        tags=_tagged({}, req.get("Tags", [])),
    )
    ctx.tx.put(at, policy)
    ctx.tx.put(_version_key(policy, 1), Version(number=1, document=req["PolicyDocument"], created=ctx.now))
    shown = _managed.shown(ctx, policy)
    if policy.tags:
        shown["Tags"] = _tag_list(policy.tags)
    return {"Policy": shown}  # type: ignore[typeddict-item]


def get_policy(ctx: Context, req: api.GetPolicyRequest) -> api.GetPolicyResult:
    """A managed policy. Of AWS's own, any well-formed name is answered with what its ARN tells.

    Raises: NoSuchEntity. Source: IAM API_GetPolicy (read 2026-11).
    """
    policy = _managed.find(ctx, req["PolicyArn"])
    if policy is None:
        raise NoSuchEntity(f"Policy {req['PolicyArn']} was not found.")
    shown = _managed.shown(ctx, policy)
    if policy.description is not None:
        shown["Description"] = policy.description
    if policy.account != "aws":
        shown["Tags"] = _tag_list(policy.tags)
    return {"Policy": shown}  # type: ignore[typeddict-item]


def list_policies(ctx: Context, req: api.ListPoliciesRequest) -> api.ListPoliciesResult:
    """Managed policies: the account's (Local), and those of AWS that something here has or is bounded by.

    Source: IAM API_ListPolicies (read 2026-11).
    """
    scope, prefix = req.get("Scope", "All"), req.get("PathPrefix", "/")
    found: list[Policy] = []
    if scope in ("All", "Local"):
        found += [each for _, each in ctx.tx.scan(("iam", ctx.account, "policy"), Policy)]
    if scope in ("All", "AWS"):
        used = (ctx.tx.scan(("iam", ctx.account, each), Attachment) for each in ("entity", "boundary"))
        arns = sorted({attachment.arn for found_here in used for _, attachment in found_here})
        found += [policy for arn in arns if (policy := _managed.find(ctx, arn)) is not None and policy.account == "aws"]
    shown = [_managed.shown(ctx, policy) for policy in found if policy.path.startswith(prefix)]
    if req.get("OnlyAttached"):
        shown = [each for each in shown if each["AttachmentCount"]]
    usage = req.get("PolicyUsageFilter")
    if usage is not None:
        member = "AttachmentCount" if usage == "PermissionsPolicy" else "PermissionsBoundaryUsageCount"
        shown = [each for each in shown if each[member]]
    return _slice_of(req, "Policies", shown)  # type: ignore[return-value]


def delete_policy(ctx: Context, req: api.DeletePolicyRequest) -> api.DeletePolicyResult:
    """Delete a policy that nothing has and that has only its default version.

    Raises: NoSuchEntity, DeleteConflict. Source: IAM API_DeletePolicy (read 2026-11).
    """
    policy = _managed.get_own(ctx, req["PolicyArn"])
    if _managed.attachments(ctx, policy.arn) or _managed.bounded(ctx, policy.arn):
        raise DeleteConflict("Cannot delete a policy attached to entities.")
    if len(_versions(ctx, policy)) > 1:
        raise DeleteConflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "
            "The default version is deleted with the policy."
        )
    ctx.tx.delete_all(("iam", ctx.account, "version", policy.name.lower()))
    ctx.tx.delete(_key(ctx.account, "policy", policy.name))
    return {}


def _versions(ctx: Context, policy: Policy) -> list[Version]:
    return [each for _, each in ctx.tx.scan(("iam", ctx.account, "version", policy.name.lower()), Version)]


def create_policy_version(ctx: Context, req: api.CreatePolicyVersionRequest) -> api.CreatePolicyVersionResult:
    """Add a version, perhaps as the default.

    Raises: NoSuchEntity, MalformedPolicyDocument, LimitExceeded. Source: IAM API_CreatePolicyVersion (read 2026-11).
    """
    policy = _managed.get_own(ctx, req["PolicyArn"])
    _check(req["PolicyDocument"])
    if len(_versions(ctx, policy)) >= _VERSIONS:
        raise LimitExceeded(
            "A managed policy can have up to 5 versions. Before you create a new version, "
            "you must delete an existing version."
        )
    number = policy.last_version + 1
    default = number if req.get("SetAsDefault") else policy.default_version
    changed = replace(policy, last_version=number, default_version=default, updated=ctx.now)
    version = Version(number=number, document=req["PolicyDocument"], created=ctx.now)
    ctx.tx.put(_key(ctx.account, "policy", policy.name), changed)
    ctx.tx.put(_version_key(policy, number), version)
    return {"PolicyVersion": _shown_version(changed, version)}


def get_policy_version(ctx: Context, req: api.GetPolicyVersionRequest) -> api.GetPolicyVersionResult:
    """A version with its document. Raises: NoSuchEntity; NotImplemented for AWS's own policies.

    Source: IAM API_GetPolicyVersion (read 2026-11).
    """
    if _managed.AWS_POLICY.fullmatch(req["PolicyArn"]):
        raise NotImplementedOnCumulet("GetPolicyVersion: Cumulet does not carry the documents of AWS managed policies.")
    policy = _managed.get_own(ctx, req["PolicyArn"])
    version = _version(ctx, policy, req["VersionId"])
    shown = _shown_version(policy, version)
    shown["Document"] = _documents.encoded(version.document)
    return {"PolicyVersion": shown}


def list_policy_versions(ctx: Context, req: api.ListPolicyVersionsRequest) -> api.ListPolicyVersionsResult:
    """A policy's versions, newest first. Raises: NoSuchEntity; NotImplemented for AWS's own policies.

    Source: IAM API_ListPolicyVersions (read 2026-11).
    """
    if _managed.AWS_POLICY.fullmatch(req["PolicyArn"]):
        raise NotImplementedOnCumulet(
            "ListPolicyVersions: Cumulet does not carry the versions of AWS managed policies."
        )
    policy = _managed.get_own(ctx, req["PolicyArn"])
    shown = [_shown_version(policy, each) for each in reversed(_versions(ctx, policy))]
    return _slice_of(req, "Versions", shown)  # type: ignore[return-value]


def set_default_policy_version(
    ctx: Context, req: api.SetDefaultPolicyVersionRequest
) -> api.SetDefaultPolicyVersionResult:
    """Make a version the one in force. Raises: NoSuchEntity. Source: IAM API_SetDefaultPolicyVersion (read 2026-11)."""
    policy = _managed.get_own(ctx, req["PolicyArn"])
    version = _version(ctx, policy, req["VersionId"])
    changed = replace(policy, default_version=version.number)
    ctx.tx.put(_key(ctx.account, "policy", policy.name), changed)
    return {}


def delete_policy_version(ctx: Context, req: api.DeletePolicyVersionRequest) -> api.DeletePolicyVersionResult:
    """Delete a version that is not the default.

    Raises: NoSuchEntity, DeleteConflict. Source: IAM API_DeletePolicyVersion (read 2026-11).
    """
    policy = _managed.get_own(ctx, req["PolicyArn"])
    version = _version(ctx, policy, req["VersionId"])
    if version.number == policy.default_version:
        raise DeleteConflict("Cannot delete the default version of a policy.")
    ctx.tx.delete(_version_key(policy, version.number))
    return {}


def _version(ctx: Context, policy: Policy, text: str) -> Version:
    version = next((each for each in _versions(ctx, policy) if f"v{each.number}" == text), None)
    if version is None:
        raise NoSuchEntity(f"Policy {policy.arn} version {text} does not exist or is not attachable.")
    return version


def _shown_version(policy: Policy, version: Version) -> Any:
    return {
        "VersionId": f"v{version.number}",
        "IsDefaultVersion": version.number == policy.default_version,
        "CreateDate": version.created,
    }


def tag_policy(ctx: Context, req: api.TagPolicyRequest) -> api.TagPolicyResult:
    """Add or replace tags. Raises: NoSuchEntity, InvalidInput. Source: IAM API_TagPolicy (read 2026-11)."""
    policy = _managed.get_own(ctx, req["PolicyArn"])
    ctx.tx.put(_key(ctx.account, "policy", policy.name), replace(policy, tags=_tagged(policy.tags, req["Tags"])))
    return {}


def untag_policy(ctx: Context, req: api.UntagPolicyRequest) -> api.UntagPolicyResult:
    """Remove tags by key. Raises: NoSuchEntity. Source: IAM API_UntagPolicy (read 2026-11)."""
    policy = _managed.get_own(ctx, req["PolicyArn"])
    ctx.tx.put(_key(ctx.account, "policy", policy.name), replace(policy, tags=_untagged(policy.tags, req["TagKeys"])))
    return {}


def list_policy_tags(ctx: Context, req: api.ListPolicyTagsRequest) -> api.ListPolicyTagsResult:
    """A policy's tags. Raises: NoSuchEntity. Source: IAM API_ListPolicyTags (read 2026-11)."""
    return _slice_of(req, "Tags", _tag_list(_managed.get_own(ctx, req["PolicyArn"]).tags))  # type: ignore[return-value]
