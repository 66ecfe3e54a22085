"""IAM's CloudFormation types, through stacks."""

import json

import pytest
from botocore.exceptions import ClientError


def document(action):
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}


TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
REF = {name: {"Ref": name} for name in ("Role", "User", "Group", "Managed", "Key", "Profile", "Linked")}


@pytest.fixture
def iam(aws):
    return aws("iam")


@pytest.fixture
def deploy(aws, clock):
    """Creates a stack, updates it the next time; returns its outputs. `status` is what it must end in."""
    cloudformation = aws("cloudformation")

    def run(resources, outputs=None, status=("CREATE_COMPLETE", "UPDATE_COMPLETE")):
        template = {"Resources": resources}
        if outputs:
            template["Outputs"] = {name: {"Value": value} for name, value in outputs.items()}
        request = {"StackName": "s", "TemplateBody": json.dumps(template), "Capabilities": ["CAPABILITY_NAMED_IAM"]}
        try:
            cloudformation.describe_stacks(StackName="s")
        except ClientError:
            cloudformation.create_stack(**request)
        else:
            cloudformation.update_stack(**request)
        clock.advance(120)
        found = cloudformation.describe_stacks(StackName="s")["Stacks"][0]
        events = cloudformation.describe_stack_events(StackName="s")["StackEvents"]
        reasons = [str(event.get("ResourceStatusReason")) for event in events]
        assert found["StackStatus"] in status, reasons
        return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", ())} or reasons

    return run


@pytest.fixture
def delete(aws, clock):
    def run():
        aws("cloudformation").delete_stack(StackName="s")
        clock.advance(120)

    return run


def typed(kind, **properties):
    return {"Type": f"AWS::IAM::{kind}", "Properties": properties}


def everything():
    return {
        "Role": typed("Role", AssumeRolePolicyDocument=TRUST, ManagedPolicyArns=[READ_ONLY], MaxSessionDuration="7200",
                      Policies=[{"PolicyName": "own", "PolicyDocument": document("s3:*")}],
                      Tags=[{"Key": "team", "Value": "a"}]),
        "Group": typed("Group", Path="/g/", ManagedPolicyArns=[READ_ONLY],
                       Policies=[{"PolicyName": "own", "PolicyDocument": document("s3:*")}]),
        "User": typed("User", UserName="ann", Groups=[REF["Group"]], PermissionsBoundary=REF["Managed"],
                      Policies=[{"PolicyName": "own", "PolicyDocument": document("s3:*")}]),
        "Addition": typed("UserToGroupAddition", GroupName=REF["Group"], Users=[{"Ref": "Second"}]),
        "Second": typed("User", UserName="bob"),
        "Key": typed("AccessKey", UserName=REF["User"]),
        "Profile": typed("InstanceProfile", Roles=[REF["Role"]]),
        "Policy": typed("Policy", PolicyName="shared", PolicyDocument=document("sqs:*"), Roles=[REF["Role"]],
                        Users=[REF["User"]], Groups=[REF["Group"]]),
        "RolePolicy": typed("RolePolicy", PolicyName="r", RoleName=REF["Role"], PolicyDocument=document("sns:*")),
        "UserPolicy": typed("UserPolicy", PolicyName="u", UserName=REF["User"], PolicyDocument=document("sns:*")),
        "GroupPolicy": typed("GroupPolicy", PolicyName="g", GroupName=REF["Group"], PolicyDocument=document("sns:*")),
        "Managed": typed("ManagedPolicy", Path="/m/", Description="d", PolicyDocument=document("sqs:Get*"), Roles=[REF["Role"]]),
        "Linked": typed("ServiceLinkedRole", AWSServiceName="lambda.amazonaws.com"),
    }  # fmt: skip


OUTPUTS = {
    **REF,
    "Secret": {"Fn::GetAtt": ["Key", "SecretAccessKey"]},
    **{f"{name}Arn": {"Fn::GetAtt": [name, "Arn"]} for name in ("Role", "User", "Group", "Profile")},
    "RoleId": {"Fn::GetAtt": ["Role", "RoleId"]},
    "PolicyId": {"Fn::GetAtt": ["Managed", "PolicyId"]},
}


def test_every_type_is_created_and_deleted(iam, aws, deploy, delete):
    out = deploy(everything(), OUTPUTS)
    role = iam.get_role(RoleName=out["Role"])["Role"]
    assert (role["Arn"], role["RoleId"], role["MaxSessionDuration"]) == (out["RoleArn"], out["RoleId"], 7200)
    assert {"Key": "team", "Value": "a"} in role["Tags"]
    assert sorted(iam.list_role_policies(RoleName=out["Role"])["PolicyNames"]) == ["own", "r", "shared"]
    attached = iam.list_attached_role_policies(RoleName=out["Role"])["AttachedPolicies"]
    assert {each["PolicyArn"] for each in attached} == {READ_ONLY, out["Managed"]}
    assert out["Managed"].startswith("arn:aws:iam::000000000000:policy/m/s-Managed-")
    assert iam.get_policy(PolicyArn=out["Managed"])["Policy"]["PolicyId"] == out["PolicyId"]
    group = iam.get_group(GroupName=out["Group"])
    assert group["Group"]["Arn"] == out["GroupArn"]
    assert [each["UserName"] for each in group["Users"]] == ["ann", "bob"]
    assert sorted(iam.list_group_policies(GroupName=out["Group"])["PolicyNames"]) == ["g", "own", "shared"]
    assert sorted(iam.list_user_policies(UserName="ann")["PolicyNames"]) == ["own", "shared", "u"]
    user = iam.get_user(UserName="ann")["User"]
    assert (user["Arn"], user["PermissionsBoundary"]["PermissionsBoundaryArn"]) == (out["UserArn"], out["Managed"])
    assert iam.list_access_keys(UserName="ann")["AccessKeyMetadata"][0]["AccessKeyId"] == out["Key"]
    assert len(out["Secret"]) == 40
    profile = iam.get_instance_profile(InstanceProfileName=out["Profile"])["InstanceProfile"]
    assert (profile["Arn"], profile["Roles"][0]["RoleName"]) == (out["ProfileArn"], out["Role"])
    assert iam.get_role(RoleName=out["Linked"])["Role"]["Path"] == "/aws-service-role/lambda.amazonaws.com/"
    delete()
    left = iam.get_account_summary()["SummaryMap"]
    assert [left[name] for name in ("Users", "Groups", "Roles", "InstanceProfiles", "Policies")] == [0, 0, 0, 0, 0]
    assert iam.list_policies()["Policies"] == []


def test_every_type_is_updated_in_place(iam, deploy, delete):
    first = deploy(everything(), OUTPUTS)
    changed = everything()
    change = {name: resource["Properties"] for name, resource in changed.items()}
    change["Role"].update(ManagedPolicyArns=[], Policies=[{"PolicyName": "new", "PolicyDocument": document("sns:*")}],
                          Description="now", Tags=[{"Key": "crew", "Value": "b"}])  # fmt: skip
    change["Group"].update(Path="/h/", ManagedPolicyArns=[])
    change["User"].update(Groups=[], Path="/u/", Policies=[])
    del change["User"]["PermissionsBoundary"]
    change["Addition"].update(Users=["ann"])
    change["Key"].update(Status="Inactive")
    change["Policy"].update(PolicyName="renamed", Users=[])
    change["RolePolicy"].update(PolicyDocument=document("sns:Publish"))
    change["Managed"].update(PolicyDocument=document("sqs:Send*"), Roles=[], Groups=[REF["Group"]])
    change["Linked"].update(Description="linked")
    second = deploy(changed, OUTPUTS)
    same = ("Role", "User", "Group", "Managed", "Key", "Profile", "Linked", "Secret", "RoleId")
    assert [second[name] for name in same] == [first[name] for name in same]
    role = iam.get_role(RoleName=second["Role"])["Role"]
    assert (role["Description"], role["MaxSessionDuration"]) == ("now", 7200)
    tags = {tag["Key"]: tag["Value"] for tag in role["Tags"]}
    assert (tags.get("crew"), "team" in tags) == ("b", False)
    assert sorted(iam.list_role_policies(RoleName=second["Role"])["PolicyNames"]) == ["new", "r", "renamed"]
    assert iam.list_attached_role_policies(RoleName=second["Role"])["AttachedPolicies"] == []
    inline = iam.get_role_policy(RoleName=second["Role"], PolicyName="r")["PolicyDocument"]
    assert inline == document("sns:Publish")
    assert second["GroupArn"].endswith(f":group/h/{second['Group']}")
    attached = iam.list_attached_group_policies(GroupName=second["Group"])["AttachedPolicies"]
    assert [each["PolicyArn"] for each in attached] == [second["Managed"]]
    assert [each["UserName"] for each in iam.get_group(GroupName=second["Group"])["Users"]] == ["ann"]
    assert "PermissionsBoundary" not in iam.get_user(UserName="ann")["User"]
    assert second["UserArn"].endswith(":user/u/ann")
    assert iam.list_user_policies(UserName="ann")["PolicyNames"] == ["u"]
    assert iam.list_access_keys(UserName="ann")["AccessKeyMetadata"][0]["Status"] == "Inactive"
    version = iam.get_policy_version(PolicyArn=second["Managed"], VersionId="v2")["PolicyVersion"]
    assert (version["IsDefaultVersion"], version["Document"]) == (True, document("sqs:Send*"))
    assert iam.get_role(RoleName=second["Linked"])["Role"]["Description"] == "linked"
    delete()
    left = iam.get_account_summary()["SummaryMap"]
    assert [left[name] for name in ("Users", "Groups", "Roles", "InstanceProfiles", "Policies")] == [0, 0, 0, 0, 0]


def test_a_managed_policy_is_updated_more_often_than_it_keeps_versions(iam, deploy):
    for i in range(7):
        out = deploy({"M": typed("ManagedPolicy", PolicyDocument=document(f"sqs:A{i}"))}, {"Arn": {"Ref": "M"}})
    versions = iam.list_policy_versions(PolicyArn=out["Arn"])["Versions"]
    assert [each["VersionId"] for each in versions] == ["v7", "v6", "v5", "v4", "v3"]
    assert [each["IsDefaultVersion"] for each in versions] == [True, False, False, False, False]


def test_a_new_serial_replaces_an_access_key(iam, deploy):
    def resources(serial):
        return {"U": typed("User", UserName="u"), "K": typed("AccessKey", UserName={"Ref": "U"}, Serial=serial)}

    shown = {"Id": {"Ref": "K"}, "Secret": {"Fn::GetAtt": ["K", "SecretAccessKey"]}}
    first, second = deploy(resources(1), shown), deploy(resources(2), shown)
    assert first["Id"] != second["Id"] and first["Secret"] != second["Secret"]
    assert [each["AccessKeyId"] for each in iam.list_access_keys(UserName="u")["AccessKeyMetadata"]] == [second["Id"]]


def test_a_policy_of_nobody_and_a_login_profile_are_refused(iam, deploy, delete):
    nobody = deploy(
        {"P": typed("Policy", PolicyName="p", PolicyDocument=document("s3:*"))}, status=("ROLLBACK_COMPLETE",)
    )
    assert any("At least one of [Groups,Roles,Users] must be non-empty." in reason for reason in nobody)
    delete()
    with pytest.raises(ClientError, match=r"Property LoginProfile of AWS::IAM::User is not supported by Cumulet"):
        deploy({"U": typed("User", LoginProfile={"Password": "x"})})
    assert iam.list_users()["Users"] == []
