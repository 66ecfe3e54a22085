"""IAM's CloudFormation types. Source: CloudFormation template reference, AWS::IAM::* (read 2026-11)."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope
from cumulet.services.iam import cfn_policies
from cumulet.services.iam.cfn_policies import document, drop_policies, put_policies, unless_gone


def _tags(p: Properties, scope: Scope) -> list[dict[str, str]]:
    own = {tag["Key"]: str(tag["Value"]) for tag in p.get("Tags", [])}
    stacks = {key: value for key, value in scope.tags.items() if not key.startswith("aws:")}
    return [{"Key": key, "Value": value} for key, value in {**stacks, **own}.items()]


def _retag(call: Call, kind: str, of: dict[str, str], p: Properties, old: Properties, scope: Scope) -> None:
    tags = _tags(p, scope)
    gone = {tag["Key"].lower() for tag in old.get("Tags", [])} - {tag["Key"].lower() for tag in tags}
    if gone:
        call(f"Untag{kind}", TagKeys=sorted(gone), **of)
    if tags:
        call(f"Tag{kind}", Tags=tags, **of)


def _bound(call: Call, kind: str, name: str, p: Properties, old: Properties) -> None:
    if p.get("PermissionsBoundary") == old.get("PermissionsBoundary"):
        return
    of: dict[str, Any] = {f"{kind}Name": name}
    if "PermissionsBoundary" in p:
        call(f"Put{kind}PermissionsBoundary", PermissionsBoundary=p["PermissionsBoundary"], **of)
    else:
        call(f"Delete{kind}PermissionsBoundary", **of)


def _role(call: Call, name: str) -> Created:
    role = call("GetRole", RoleName=name)["Role"]
    return Created(name, {"Arn": role["Arn"], "RoleId": role["RoleId"]})


def _create_role(call: Call, p: Properties, scope: Scope) -> Created:
    name = p["RoleName"]
    copied = {key: p[key] for key in ("Path", "Description", "MaxSessionDuration", "PermissionsBoundary") if key in p}
    call("CreateRole", RoleName=name, AssumeRolePolicyDocument=document(p["AssumeRolePolicyDocument"]),
         Tags=_tags(p, scope), **copied)  # fmt: skip
    put_policies(call, "Role", name, p, {})
    return _role(call, name)


def _update_role(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    name = p["RoleName"]
    if p["AssumeRolePolicyDocument"] != old["AssumeRolePolicyDocument"]:
        call("UpdateAssumeRolePolicy", RoleName=name, PolicyDocument=document(p["AssumeRolePolicyDocument"]))
    if any(p.get(key) != old.get(key) for key in ("Description", "MaxSessionDuration")):
        session_s = p.get("MaxSessionDuration", 3600)  # the API takes what a request leaves out as the default
        call("UpdateRole", RoleName=name, Description=p.get("Description", ""), MaxSessionDuration=session_s)
    _bound(call, "Role", name, p, old)
    put_policies(call, "Role", name, p, old)
    _retag(call, "Role", {"RoleName": name}, p, old, scope)
    return _role(call, name)


def _delete_role(call: Call, p: Properties, scope: Scope) -> None:
    name = str(scope.physical_id)
    drop_policies(call, "Role", name)
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


def _user(call: Call, name: str) -> Created:
    return Created(name, {"Arn": call("GetUser", UserName=name)["User"]["Arn"]})


def _create_user(call: Call, p: Properties, scope: Scope) -> Created:
    name = p["UserName"]
    copied = {key: p[key] for key in ("Path", "PermissionsBoundary") if key in p}
    call("CreateUser", UserName=name, Tags=_tags(p, scope), **copied)
    put_policies(call, "User", name, p, {})
    for group in p.get("Groups", []):
        call("AddUserToGroup", GroupName=group, UserName=name)
    return _user(call, name)


def _update_user(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    name = p["UserName"]
    if p.get("Path", "/") != old.get("Path", "/"):
        call("UpdateUser", UserName=name, NewPath=p.get("Path", "/"))
    _bound(call, "User", name, p, old)
    put_policies(call, "User", name, p, old)
    had, has = set(old.get("Groups", [])), set(p.get("Groups", []))
    for group in sorted(had - has):
        call("RemoveUserFromGroup", GroupName=group, UserName=name)
    for group in sorted(has - had):
        call("AddUserToGroup", GroupName=group, UserName=name)
    _retag(call, "User", {"UserName": name}, p, old, scope)
    return _user(call, name)


def _delete_user(call: Call, p: Properties, scope: Scope) -> None:
    name = str(scope.physical_id)
    drop_policies(call, "User", name)
    for group in call("ListGroupsForUser", UserName=name)["Groups"]:
        call("RemoveUserFromGroup", GroupName=group["GroupName"], UserName=name)
    call("DeleteUser", UserName=name)


USER = Resource(
    type="AWS::IAM::User",
    service="iam",
    properties=frozenset(
        {"Groups", "ManagedPolicyArns", "Path", "PermissionsBoundary", "Policies", "Tags", "UserName"},
    ),
    create=_create_user,
    update=_update_user,
    delete=_delete_user,
    replace_on=frozenset({"UserName"}),
    name="UserName",
    name_max=64,
)


def _group(call: Call, name: str) -> Created:
    return Created(name, {"Arn": call("GetGroup", GroupName=name)["Group"]["Arn"]})


def _create_group(call: Call, p: Properties, scope: Scope) -> Created:
    name = p["GroupName"]
    call("CreateGroup", GroupName=name, Path=p.get("Path", "/"))
    put_policies(call, "Group", name, p, {})
    return _group(call, name)


def _update_group(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    name = p["GroupName"]
    if p.get("Path", "/") != old.get("Path", "/"):
        call("UpdateGroup", GroupName=name, NewPath=p.get("Path", "/"))
    put_policies(call, "Group", name, p, old)
    return _group(call, name)


def _delete_group(call: Call, p: Properties, scope: Scope) -> None:
    name = str(scope.physical_id)
    drop_policies(call, "Group", name)
    call("DeleteGroup", GroupName=name)


GROUP = Resource(
    type="AWS::IAM::Group",
    service="iam",
    properties=frozenset({"GroupName", "ManagedPolicyArns", "Path", "Policies"}),
    create=_create_group,
    update=_update_group,
    delete=_delete_group,
    replace_on=frozenset({"GroupName"}),
    name="GroupName",
    name_max=128,
)


def _create_access_key(call: Call, p: Properties, scope: Scope) -> Created:
    key = call("CreateAccessKey", UserName=p["UserName"])["AccessKey"]
    if p.get("Status", "Active") != "Active":
        call("UpdateAccessKey", UserName=p["UserName"], AccessKeyId=key["AccessKeyId"], Status=p["Status"])
    return Created(key["AccessKeyId"], {"SecretAccessKey": key["SecretAccessKey"]})


def _update_access_key(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    status = p.get("Status", "Active")
    call("UpdateAccessKey", UserName=p["UserName"], AccessKeyId=scope.physical_id, Status=status)
    return Created(str(scope.physical_id))


def _delete_access_key(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteAccessKey", UserName=p["UserName"], AccessKeyId=scope.physical_id)


ACCESS_KEY = Resource(
    type="AWS::IAM::AccessKey",
    service="iam",
    properties=frozenset({"Serial", "Status", "UserName"}),
    required=frozenset({"UserName"}),
    create=_create_access_key,
    update=_update_access_key,
    delete=_delete_access_key,
    replace_on=frozenset({"Serial", "UserName"}),
)


def _put_roles(call: Call, name: str, had: list[str], has: list[str]) -> Created:
    for role in had:
        if role not in has:
            call("RemoveRoleFromInstanceProfile", InstanceProfileName=name, RoleName=role)
    for role in has:
        if role not in had:
            call("AddRoleToInstanceProfile", InstanceProfileName=name, RoleName=role)
    return Created(name, {"Arn": call("GetInstanceProfile", InstanceProfileName=name)["InstanceProfile"]["Arn"]})


def _create_profile(call: Call, p: Properties, scope: Scope) -> Created:
    name = p["InstanceProfileName"]
    call("CreateInstanceProfile", InstanceProfileName=name, Path=p.get("Path", "/"))
    return _put_roles(call, name, [], p["Roles"])


def _update_profile(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    return _put_roles(call, str(scope.physical_id), old["Roles"], p["Roles"])


def _delete_profile(call: Call, p: Properties, scope: Scope) -> None:
    name = scope.physical_id
    for role in call("GetInstanceProfile", InstanceProfileName=name)["InstanceProfile"]["Roles"]:
        call("RemoveRoleFromInstanceProfile", InstanceProfileName=name, RoleName=role["RoleName"])
    call("DeleteInstanceProfile", InstanceProfileName=name)


INSTANCE_PROFILE = Resource(
    type="AWS::IAM::InstanceProfile",
    service="iam",
    properties=frozenset({"InstanceProfileName", "Path", "Roles"}),
    required=frozenset({"Roles"}),
    create=_create_profile,
    update=_update_profile,
    delete=_delete_profile,
    replace_on=frozenset({"InstanceProfileName", "Path"}),
    name="InstanceProfileName",
    name_max=128,
)


def _members(p: Properties) -> set[tuple[str, str]]:
    return {(p["GroupName"], user) for user in p["Users"]}


def _create_addition(call: Call, p: Properties, scope: Scope) -> Created:
    for group, user in sorted(_members(p)):
        call("AddUserToGroup", GroupName=group, UserName=user)
    return Created(scope.generated_name, {"Id": scope.generated_name})


def _remove_members(call: Call, members: set[tuple[str, str]]) -> None:
    for group, user in sorted(members):
        unless_gone(call, "RemoveUserFromGroup", GroupName=group, UserName=user)


def _update_addition(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    for group, user in sorted(_members(p) - _members(old)):
        call("AddUserToGroup", GroupName=group, UserName=user)
    _remove_members(call, _members(old) - _members(p))
    return Created(str(scope.physical_id))


def _delete_addition(call: Call, p: Properties, scope: Scope) -> None:
    _remove_members(call, _members(p))


USER_TO_GROUP_ADDITION = Resource(
    type="AWS::IAM::UserToGroupAddition",
    service="iam",
    properties=frozenset({"GroupName", "Users"}),
    required=frozenset({"GroupName", "Users"}),
    create=_create_addition,
    update=_update_addition,
    delete=_delete_addition,
)


def _create_linked_role(call: Call, p: Properties, scope: Scope) -> Created:
    name = call("CreateServiceLinkedRole", **p)["Role"]["RoleName"]
    return Created(name, {"RoleName": name})


def _update_linked_role(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    call("UpdateRoleDescription", RoleName=scope.physical_id, Description=p.get("Description", ""))
    return Created(str(scope.physical_id))


def _delete_linked_role(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteServiceLinkedRole", RoleName=scope.physical_id)


SERVICE_LINKED_ROLE = Resource(
    type="AWS::IAM::ServiceLinkedRole",
    service="iam",
    properties=frozenset({"AWSServiceName", "CustomSuffix", "Description"}),
    required=frozenset({"AWSServiceName"}),
    create=_create_linked_role,
    update=_update_linked_role,
    delete=_delete_linked_role,
    replace_on=frozenset({"AWSServiceName", "CustomSuffix"}),
)

RESOURCES: tuple[Resource, ...] = (
    ROLE,
    USER,
    GROUP,
    ACCESS_KEY,
    INSTANCE_PROFILE,
    USER_TO_GROUP_ADDITION,
    SERVICE_LINKED_ROLE,
    *cfn_policies.RESOURCES,
)
