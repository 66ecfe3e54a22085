"""CloudFormation types of policies, and how the types of roles, users and groups keep the policies they name.

Source: CloudFormation template reference, AWS::IAM::Policy, ::RolePolicy, ::UserPolicy, ::GroupPolicy, ::ManagedPolicy
(read 2026-11).
"""

from __future__ import annotations

import json
from typing import Any

from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope
from cumulet.services.iam.errors import IamValidationError, NoSuchEntity

_HOLDERS = {"Role": "Roles", "User": "Users", "Group": "Groups"}
_VERSIONS = 5


def document(value: Any) -> str:
    """A policy document as text, whatever the template gives."""
    return value if isinstance(value, str) else json.dumps(value)


def put_policies(call: Call, kind: str, name: str, p: Properties, old: Properties) -> None:
    """Bring the policies of a Role, User or Group from the `Policies` and `ManagedPolicyArns` of `old` to those of `p`."""
    of: dict[str, Any] = {f"{kind}Name": name}
    before, after = _inline(old), _inline(p)
    for policy in before.keys() - after.keys():
        call(f"Delete{kind}Policy", PolicyName=policy, **of)
    for policy, text in after.items():
        if before.get(policy) != text:
            call(f"Put{kind}Policy", PolicyName=policy, PolicyDocument=text, **of)
    had, has = set(old.get("ManagedPolicyArns", [])), set(p.get("ManagedPolicyArns", []))
    for arn in sorted(had - has):
        call(f"Detach{kind}Policy", PolicyArn=arn, **of)
    for arn in sorted(has - had):
        call(f"Attach{kind}Policy", PolicyArn=arn, **of)


def drop_policies(call: Call, kind: str, name: str) -> None:
    """Remove every policy that a Role, User or Group has, as its deletion asks for."""
    of: dict[str, Any] = {f"{kind}Name": name}
    for policy in call(f"List{kind}Policies", MaxItems=1000, **of)["PolicyNames"]:
        call(f"Delete{kind}Policy", PolicyName=policy, **of)
    for attached in call(f"ListAttached{kind}Policies", **of)["AttachedPolicies"]:
        call(f"Detach{kind}Policy", PolicyArn=attached["PolicyArn"], **of)


def _inline(p: Properties) -> dict[str, str]:
    return {each["PolicyName"]: document(each["PolicyDocument"]) for each in p.get("Policies", [])}


def _holders(p: Properties) -> set[tuple[str, str]]:
    return {(kind, name) for kind, member in _HOLDERS.items() for name in p.get(member, [])}


def unless_gone(call: Call, operation: str, **request: Any) -> None:
    """Somebody may have deleted the role, the user or the policy already."""
    try:
        call(operation, **request)
    except NoSuchEntity:
        return


def _put_policy(call: Call, p: Properties) -> None:
    if not _holders(p):
        raise IamValidationError("At least one of [Groups,Roles,Users] must be non-empty.")
    for kind, name in sorted(_holders(p)):
        request = {f"{kind}Name": name, "PolicyName": p["PolicyName"], "PolicyDocument": document(p["PolicyDocument"])}
        call(f"Put{kind}Policy", **request)


def _drop_policy(call: Call, policy: str, holders: set[tuple[str, str]]) -> None:
    for kind, name in sorted(holders):
        unless_gone(call, f"Delete{kind}Policy", PolicyName=policy, **{f"{kind}Name": name})


def _create_policy(call: Call, p: Properties, scope: Scope) -> Created:
    _put_policy(call, p)
    return Created(scope.generated_name, {"Id": scope.generated_name})


def _update_policy(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    _put_policy(call, p)
    kept = _holders(p) if p["PolicyName"] == old["PolicyName"] else set()
    _drop_policy(call, old["PolicyName"], _holders(old) - kept)
    return Created(str(scope.physical_id))


def _delete_policy(call: Call, p: Properties, scope: Scope) -> None:
    _drop_policy(call, p["PolicyName"], _holders(p))


POLICY = Resource(
    type="AWS::IAM::Policy",
    service="iam",
    properties=frozenset({"Groups", "PolicyDocument", "PolicyName", "Roles", "Users"}),
    required=frozenset({"PolicyDocument", "PolicyName"}),
    create=_create_policy,
    update=_update_policy,
    delete=_delete_policy,
)


def _policy_of(kind: str) -> Resource:
    """AWS::IAM::RolePolicy and its like: one inline policy of one role, user or group."""
    holder = f"{kind}Name"

    def create(call: Call, p: Properties, scope: Scope) -> Created:
        name, policy, text = p[holder], p["PolicyName"], document(p["PolicyDocument"])
        call(f"Put{kind}Policy", **{holder: name, "PolicyName": policy, "PolicyDocument": text})
        return Created(f"{policy}|{name}")

    def update(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
        return create(call, p, scope)

    def delete(call: Call, p: Properties, scope: Scope) -> None:
        call(f"Delete{kind}Policy", **{holder: p[holder], "PolicyName": p["PolicyName"]})

    return Resource(
        type=f"AWS::IAM::{kind}Policy",
        service="iam",
        properties=frozenset({holder, "PolicyDocument", "PolicyName"}),
        required=frozenset({holder, "PolicyDocument", "PolicyName"}),
        create=create,
        update=update,
        delete=delete,
        replace_on=frozenset({holder, "PolicyName"}),
    )


def _managed(call: Call, arn: str) -> Created:
    policy = call("GetPolicy", PolicyArn=arn)["Policy"]
    shown = ("PolicyId", "DefaultVersionId", "AttachmentCount", "PermissionsBoundaryUsageCount", "IsAttachable")
    return Created(arn, {"PolicyArn": arn, **{name: policy[name] for name in shown}})


def _attach_each(call: Call, arn: str, holders: set[tuple[str, str]]) -> None:
    for kind, name in sorted(holders):
        call(f"Attach{kind}Policy", PolicyArn=arn, **{f"{kind}Name": name})


def _detach_each(call: Call, arn: str, holders: set[tuple[str, str]]) -> None:
    for kind, name in sorted(holders):
        unless_gone(call, f"Detach{kind}Policy", PolicyArn=arn, **{f"{kind}Name": name})


def _create_managed(call: Call, p: Properties, scope: Scope) -> Created:
    copied = {name: p[name] for name in ("Path", "Description") if name in p}
    made = call(
        "CreatePolicy", PolicyName=p["ManagedPolicyName"], PolicyDocument=document(p["PolicyDocument"]), **copied
    )
    arn = made["Policy"]["Arn"]
    _attach_each(call, arn, _holders(p))
    return _managed(call, arn)


def _update_managed(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    arn = str(scope.physical_id)
    if document(p["PolicyDocument"]) != document(old["PolicyDocument"]):
        versions = call("ListPolicyVersions", PolicyArn=arn)["Versions"]
        if len(versions) >= _VERSIONS:
            oldest = [each["VersionId"] for each in versions if not each["IsDefaultVersion"]][-1]
            call("DeletePolicyVersion", PolicyArn=arn, VersionId=oldest)
        call("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=document(p["PolicyDocument"]), SetAsDefault=True)
    _detach_each(call, arn, _holders(old) - _holders(p))
    _attach_each(call, arn, _holders(p) - _holders(old))
    return _managed(call, arn)


def _delete_managed(call: Call, p: Properties, scope: Scope) -> None:
    arn = str(scope.physical_id)
    versions = call("ListPolicyVersions", PolicyArn=arn)["Versions"]
    _detach_each(call, arn, _holders(p))
    for version in versions:
        if not version["IsDefaultVersion"]:
            call("DeletePolicyVersion", PolicyArn=arn, VersionId=version["VersionId"])
    call("DeletePolicy", PolicyArn=arn)


MANAGED_POLICY = Resource(
    type="AWS::IAM::ManagedPolicy",
    service="iam",
    properties=frozenset(
        {"Description", "Groups", "ManagedPolicyName", "Path", "PolicyDocument", "Roles", "Users"},
    ),
    required=frozenset({"PolicyDocument"}),
    create=_create_managed,
    update=_update_managed,
    delete=_delete_managed,
    replace_on=frozenset({"Description", "ManagedPolicyName", "Path"}),
    name="ManagedPolicyName",
    name_max=128,
)

RESOURCES: tuple[Resource, ...] = (POLICY, *map(_policy_of, _HOLDERS), MANAGED_POLICY)
