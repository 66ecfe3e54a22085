"""IAM's CloudFormation types. Source: CloudFormation template reference, AWS::IAM::* (read 2026-11)."""

from __future__ import annotations

import json
from typing import Any

from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope


def _document(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _tags(p: Properties, scope: Scope) -> list[dict[str, str]]:
    own = {tag["Key"]: str(tag["Value"]) for tag in p.get("Tags", [])}
    stacks = {key: value for key, value in scope.tags.items() if not key.startswith("aws:")}
    return [{"Key": key, "Value": value} for key, value in {**stacks, **own}.items()]


def _inline(p: Properties) -> dict[str, str]:
    return {each["PolicyName"]: _document(each["PolicyDocument"]) for each in p.get("Policies", [])}


def _role(call: Call, name: str) -> Created:
    role = call("GetRole", RoleName=name)["Role"]
    return Created(name, {"Arn": role["Arn"], "RoleId": role["RoleId"]})


def _create_role(call: Call, p: Properties, scope: Scope) -> Created:
    name = p["RoleName"]
    copied = {key: p[key] for key in ("Path", "Description", "MaxSessionDuration", "PermissionsBoundary") if key in p}
    call("CreateRole", RoleName=name, AssumeRolePolicyDocument=_document(p["AssumeRolePolicyDocument"]),
         Tags=_tags(p, scope), **copied)  # fmt: skip
    for policy, document in _inline(p).items():
        call("PutRolePolicy", RoleName=name, PolicyName=policy, PolicyDocument=document)
    for arn in p.get("ManagedPolicyArns", []):
        call("AttachRolePolicy", RoleName=name, PolicyArn=arn)
    return _role(call, name)


def _update_role(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    name = p["RoleName"]
    if p["AssumeRolePolicyDocument"] != old["AssumeRolePolicyDocument"]:
        call("UpdateAssumeRolePolicy", RoleName=name, PolicyDocument=_document(p["AssumeRolePolicyDocument"]))
    defaults = {"Description": "", "MaxSessionDuration": 3600}
    changed = {key: p.get(key, default) for key, default in defaults.items() if p.get(key) != old.get(key)}
    if changed:
        call("UpdateRole", RoleName=name, **changed)
    if p.get("PermissionsBoundary") != old.get("PermissionsBoundary"):
        if "PermissionsBoundary" in p:
            call("PutRolePermissionsBoundary", RoleName=name, PermissionsBoundary=p["PermissionsBoundary"])
        else:
            call("DeleteRolePermissionsBoundary", RoleName=name)
    before, after = _inline(old), _inline(p)
    for policy in before.keys() - after.keys():
        call("DeleteRolePolicy", RoleName=name, PolicyName=policy)
    for policy, document in after.items():
        if before.get(policy) != document:
            call("PutRolePolicy", RoleName=name, PolicyName=policy, PolicyDocument=document)
    had, has = set(old.get("ManagedPolicyArns", [])), set(p.get("ManagedPolicyArns", []))
    for arn in sorted(had - has):
        call("DetachRolePolicy", RoleName=name, PolicyArn=arn)
    for arn in sorted(has - had):
        call("AttachRolePolicy", RoleName=name, PolicyArn=arn)
    gone = {tag["Key"] for tag in old.get("Tags", [])} - {tag["Key"] for tag in p.get("Tags", [])}
    if gone:
        call("UntagRole", RoleName=name, TagKeys=sorted(gone))
    if _tags(p, scope):
        call("TagRole", RoleName=name, Tags=_tags(p, scope))
    return _role(call, name)


def _delete_role(call: Call, p: Properties, scope: Scope) -> None:
    name = scope.physical_id
    for policy in call("ListRolePolicies", RoleName=name)["PolicyNames"]:
        call("DeleteRolePolicy", RoleName=name, PolicyName=policy)
    for attached in call("ListAttachedRolePolicies", RoleName=name)["AttachedPolicies"]:
        call("DetachRolePolicy", RoleName=name, PolicyArn=attached["PolicyArn"])
    call("DeleteRole", RoleName=name)


ROLE = Resource(
    type="AWS::IAM::Role",
    service="iam",
    properties=frozenset(
        [
            "AssumeRolePolicyDocument",
            "Description",
            "ManagedPolicyArns",
            "MaxSessionDuration",
            "Path",
            "PermissionsBoundary",
            "Policies",
            "RoleName",
            "Tags",
        ]
    ),
    required=frozenset({"AssumeRolePolicyDocument"}),
    create=_create_role,
    update=_update_role,
    delete=_delete_role,
    replace_on=frozenset({"RoleName", "Path"}),
    name="RoleName",
    name_max=64,
)

RESOURCES = (ROLE,)
