"""IAM's users, access keys, groups, instance profiles and what the account tells of itself."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError

TRUST = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
})  # fmt: skip
ALLOW = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}})
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def refusal(operation, **request):
    """(code, status, message) of the error."""
    with pytest.raises(ClientError) as caught:
        operation(**request)
    error = caught.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Message"]


@pytest.fixture
def iam(aws):
    return aws("iam")


@pytest.fixture
def client_of(cloud):
    """A client with an access key's credentials."""

    def make(service, key):
        return boto3.client(
            service, endpoint_url=cloud.endpoint, region_name="us-east-1",
            aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"],
        )  # fmt: skip

    return make


def test_a_user_is_made_read_listed_and_deleted(iam, clock):
    made = iam.create_user(UserName="Ann", Path="/team/", Tags=[{"Key": "a", "Value": "1"}])["User"]
    assert made["Arn"] == "arn:aws:iam::000000000000:user/team/Ann"
    assert made["UserId"].startswith("AIDA") and len(made["UserId"]) == 21
    assert made["CreateDate"].timestamp() == pytest.approx(clock.now(), abs=0.01)
    assert iam.get_user(UserName="ann")["User"] == made
    taken = ("EntityAlreadyExists", 409, "User with name ANN already exists.")
    assert refusal(iam.create_user, UserName="ANN") == taken
    iam.create_user(UserName="bob")
    assert [each["UserName"] for each in iam.list_users()["Users"]] == ["Ann", "bob"]
    assert [each["UserName"] for each in iam.list_users(PathPrefix="/team/")["Users"]] == ["Ann"]
    iam.delete_user(UserName="Ann")
    missing = ("NoSuchEntity", 404, "The user with name Ann cannot be found.")
    for operation in (iam.get_user, iam.delete_user, iam.update_user, iam.create_access_key, iam.list_user_tags):
        assert refusal(operation, UserName="Ann") == missing


def test_tags_of_a_user_are_put_listed_and_removed(iam):
    iam.create_user(UserName="u")
    iam.tag_user(UserName="u", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.untag_user(UserName="u", TagKeys=["A"])
    assert iam.list_user_tags(UserName="u")["Tags"] == [{"Key": "b", "Value": "2"}]
    twice = refusal(iam.tag_user, UserName="u", Tags=[{"Key": "k", "Value": ""}, {"Key": "K", "Value": ""}])
    assert twice == ("InvalidInput", 400, "Duplicate tag keys found. Please note that Tag keys are case insensitive.")


def test_a_renamed_user_keeps_policies_groups_boundary_tags_and_keys(iam, client_of):
    before = iam.create_user(UserName="old", PermissionsBoundary=READ_ONLY, Tags=[{"Key": "a", "Value": "1"}])["User"]
    iam.create_group(GroupName="g")
    iam.add_user_to_group(GroupName="g", UserName="old")
    iam.put_user_policy(UserName="old", PolicyName="p", PolicyDocument=ALLOW)
    iam.attach_user_policy(UserName="old", PolicyArn=READ_ONLY)
    key = iam.create_access_key(UserName="old")["AccessKey"]
    iam.create_user(UserName="taken")
    refused = refusal(iam.update_user, UserName="old", NewUserName="Taken")
    assert refused == ("EntityAlreadyExists", 409, "User with name Taken already exists.")
    iam.update_user(UserName="old", NewUserName="New", NewPath="/x/")
    iam.update_user(UserName="New", NewUserName="new")
    after = iam.get_user(UserName="new")["User"]
    assert (after["UserId"], after["Arn"]) == (before["UserId"], "arn:aws:iam::000000000000:user/x/new")
    assert (after["Tags"], after["PermissionsBoundary"]) == (before["Tags"], before["PermissionsBoundary"])
    assert iam.list_user_policies(UserName="new")["PolicyNames"] == ["p"]
    assert len(iam.list_attached_user_policies(UserName="new")["AttachedPolicies"]) == 1
    assert [each["UserName"] for each in iam.get_group(GroupName="g")["Users"]] == ["new"]
    assert [each["GroupName"] for each in iam.list_groups_for_user(UserName="new")["Groups"]] == ["g"]
    having = iam.list_entities_for_policy(PolicyArn=READ_ONLY)["PolicyUsers"]
    assert {each["UserName"] for each in having} == {"new"}
    assert iam.list_access_keys(UserName="new")["AccessKeyMetadata"][0]["AccessKeyId"] == key["AccessKeyId"]
    assert client_of("sts", key).get_caller_identity()["Arn"] == after["Arn"]
    iam.create_user(UserName="old")
    iam.delete_user(UserName="old")
    iam.delete_access_key(UserName="new", AccessKeyId=key["AccessKeyId"])
    iam.remove_user_from_group(GroupName="g", UserName="new")
    iam.delete_user_policy(UserName="new", PolicyName="p")
    iam.detach_user_policy(UserName="new", PolicyArn=READ_ONLY)
    iam.delete_user(UserName="new")
    assert iam.get_policy(PolicyArn=READ_ONLY)["Policy"]["PermissionsBoundaryUsageCount"] == 0


def test_a_user_with_keys_or_groups_is_not_deleted(iam):
    iam.create_user(UserName="u")
    iam.create_group(GroupName="g")
    key = iam.create_access_key(UserName="u")["AccessKey"]["AccessKeyId"]
    keys = ("DeleteConflict", 409, "Cannot delete entity, must delete access keys first.")
    assert refusal(iam.delete_user, UserName="u") == keys
    iam.delete_access_key(UserName="u", AccessKeyId=key)
    iam.add_user_to_group(GroupName="g", UserName="u")
    member = ("DeleteConflict", 409, "Cannot delete entity, must remove users from group first.")
    assert refusal(iam.delete_user, UserName="u") == member
    assert refusal(iam.delete_group, GroupName="g") == member
    iam.remove_user_from_group(GroupName="g", UserName="u")
    iam.delete_user(UserName="u")
    iam.delete_group(GroupName="g")


def test_a_user_has_two_access_keys_at_most(iam, clock):
    iam.create_user(UserName="u")
    made = [iam.create_access_key(UserName="u")["AccessKey"] for _ in range(2)]
    assert all(key["AccessKeyId"].startswith("AKIA") and len(key["AccessKeyId"]) == 20 for key in made)
    assert all(len(key["SecretAccessKey"]) == 40 and key["Status"] == "Active" for key in made)
    over = ("LimitExceeded", 409, "Cannot exceed quota for AccessKeysPerUser: 2")
    assert refusal(iam.create_access_key, UserName="u") == over
    iam.update_access_key(UserName="u", AccessKeyId=made[0]["AccessKeyId"], Status="Inactive")
    listed = {each["AccessKeyId"]: each["Status"] for each in iam.list_access_keys(UserName="u")["AccessKeyMetadata"]}
    assert listed == {made[0]["AccessKeyId"]: "Inactive", made[1]["AccessKeyId"]: "Active"}
    expired = refusal(iam.update_access_key, UserName="u", AccessKeyId=made[0]["AccessKeyId"], Status="Expired")
    assert expired[:2] == ("InvalidInput", 400)
    iam.create_user(UserName="other")
    missing = ("NoSuchEntity", 404, f"The Access Key with id {made[1]['AccessKeyId']} cannot be found.")
    assert refusal(iam.delete_access_key, UserName="other", AccessKeyId=made[1]["AccessKeyId"]) == missing
    iam.delete_access_key(UserName="u", AccessKeyId=made[1]["AccessKeyId"])
    assert len(iam.list_access_keys(UserName="u")["AccessKeyMetadata"]) == 1
    iam.create_access_key(UserName="u")


def test_an_access_key_is_its_user_to_sts_and_to_iam(iam, client_of):
    user = iam.create_user(UserName="u", Path="/p/")["User"]
    key = iam.create_access_key(UserName="u")["AccessKey"]
    identity = client_of("sts", key).get_caller_identity()
    assert (identity["Arn"], identity["UserId"], identity["Account"]) == (user["Arn"], user["UserId"], "000000000000")
    mine = client_of("iam", key)
    assert mine.get_user()["User"]["UserName"] == "u"
    assert mine.list_access_keys()["AccessKeyMetadata"][0]["AccessKeyId"] == key["AccessKeyId"]
    second = mine.create_access_key()["AccessKey"]
    mine.update_access_key(AccessKeyId=second["AccessKeyId"], Status="Inactive")
    mine.delete_access_key(AccessKeyId=second["AccessKeyId"])


def test_a_used_access_key_is_refused_once_inactive_and_works_again_once_active(iam, client_of):
    iam.create_user(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]
    sts = client_of("sts", key)
    assert sts.get_caller_identity()["Arn"].endswith(":user/u")
    iam.update_access_key(UserName="u", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert refusal(sts.get_caller_identity)[:2] == ("InvalidClientTokenId", 403)
    iam.update_access_key(UserName="u", AccessKeyId=key["AccessKeyId"], Status="Active")
    assert sts.get_caller_identity()["Arn"].endswith(":user/u")


def test_without_a_name_the_root_is_described_and_gets_no_keys(iam):
    assert iam.get_user()["User"]["Arn"] == "arn:aws:iam::000000000000:root"
    unnamed = ("ValidationError", 400, "Must specify userName when calling with non-User credentials")
    assert refusal(iam.create_access_key) == unnamed
    assert refusal(iam.list_access_keys) == unnamed


def test_the_last_use_of_a_key_that_was_never_used_is_not_available(iam):
    iam.create_user(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]["AccessKeyId"]
    used = iam.get_access_key_last_used(AccessKeyId=key)
    assert (used["UserName"], used["AccessKeyLastUsed"]) == ("u", {"ServiceName": "N/A", "Region": "N/A"})
    assert refusal(iam.get_access_key_last_used, AccessKeyId="AKIAAAAAAAAAAAAAAAAA")[0] == "NoSuchEntity"


def test_a_group_is_made_filled_renamed_and_deleted(iam):
    made = iam.create_group(GroupName="Devs", Path="/team/")["Group"]
    assert (made["Arn"], made["GroupId"][:4]) == ("arn:aws:iam::000000000000:group/team/Devs", "AGPA")
    assert refusal(iam.create_group, GroupName="devs") == (
        "EntityAlreadyExists",
        409,
        "Group with name devs already exists.",
    )
    iam.create_group(GroupName="ops")
    for name in ("ann", "bob", "cid"):
        iam.create_user(UserName=name)
        iam.add_user_to_group(GroupName="devs", UserName=name)
    iam.add_user_to_group(GroupName="Devs", UserName="ann")
    first = iam.get_group(GroupName="Devs", MaxItems=2)
    assert ([each["UserName"] for each in first["Users"]], first["IsTruncated"]) == (["ann", "bob"], True)
    assert [each["UserName"] for each in iam.get_group(GroupName="Devs", Marker=first["Marker"])["Users"]] == ["cid"]
    iam.remove_user_from_group(GroupName="Devs", UserName="cid")
    iam.put_group_policy(GroupName="Devs", PolicyName="p", PolicyDocument=ALLOW)
    iam.attach_group_policy(GroupName="Devs", PolicyArn=READ_ONLY)
    assert refusal(iam.update_group, GroupName="Devs", NewGroupName="OPS")[0] == "EntityAlreadyExists"
    iam.update_group(GroupName="Devs", NewGroupName="Makers", NewPath="/")
    found = iam.get_group(GroupName="Makers")
    assert (found["Group"]["Arn"], found["Group"]["GroupId"]) == (
        "arn:aws:iam::000000000000:group/Makers",
        made["GroupId"],
    )
    assert [each["UserName"] for each in found["Users"]] == ["ann", "bob"]
    assert [each["GroupName"] for each in iam.list_groups_for_user(UserName="ann")["Groups"]] == ["Makers"]
    assert iam.list_group_policies(GroupName="Makers")["PolicyNames"] == ["p"]
    assert [each["GroupName"] for each in iam.list_groups()["Groups"]] == ["Makers", "ops"]
    assert iam.list_groups(PathPrefix="/team/")["Groups"] == []
    for name in ("ann", "bob"):
        iam.remove_user_from_group(GroupName="Makers", UserName=name)
    iam.delete_group_policy(GroupName="Makers", PolicyName="p")
    iam.detach_group_policy(GroupName="Makers", PolicyArn=READ_ONLY)
    iam.delete_group(GroupName="Makers")
    missing = ("NoSuchEntity", 404, "The group with name Makers cannot be found.")
    assert refusal(iam.get_group, GroupName="Makers") == missing
    assert refusal(iam.add_user_to_group, GroupName="Makers", UserName="ann") == missing


def test_a_user_is_in_ten_groups_at_most(iam):
    iam.create_user(UserName="u")
    for i in range(11):
        iam.create_group(GroupName=f"g{i}")
    for i in range(10):
        iam.add_user_to_group(GroupName=f"g{i}", UserName="u")
    iam.add_user_to_group(GroupName="G3", UserName="u")
    over = ("LimitExceeded", 409, "Cannot exceed quota for GroupsPerUser: 10")
    assert refusal(iam.add_user_to_group, GroupName="g10", UserName="u") == over


def test_an_account_has_300_groups_at_most(iam):
    for i in range(300):
        iam.create_group(GroupName=f"g{i}")
    over = ("LimitExceeded", 409, "Cannot exceed quota for GroupsPerAccount: 300")
    assert refusal(iam.create_group, GroupName="one-more") == over
    iam.delete_group(GroupName="g7")
    iam.create_group(GroupName="one-more")


def test_an_instance_profile_holds_one_role(iam):
    role = iam.create_role(RoleName="Role", AssumeRolePolicyDocument=TRUST)["Role"]
    iam.create_role(RoleName="other", AssumeRolePolicyDocument=TRUST)
    made = iam.create_instance_profile(InstanceProfileName="P", Path="/x/", Tags=[{"Key": "a", "Value": "1"}])
    assert made["InstanceProfile"]["Arn"] == "arn:aws:iam::000000000000:instance-profile/x/P"
    assert made["InstanceProfile"]["Roles"] == []
    taken = ("EntityAlreadyExists", 409, "Instance Profile p already exists.")
    assert refusal(iam.create_instance_profile, InstanceProfileName="p") == taken
    iam.add_role_to_instance_profile(InstanceProfileName="P", RoleName="role")
    second = refusal(iam.add_role_to_instance_profile, InstanceProfileName="P", RoleName="other")
    assert second[:2] == ("LimitExceeded", 409)
    found = iam.get_instance_profile(InstanceProfileName="P")["InstanceProfile"]
    assert [each["Arn"] for each in found["Roles"]] == [role["Arn"]]
    assert [
        each["InstanceProfileName"] for each in iam.list_instance_profiles(PathPrefix="/x/")["InstanceProfiles"]
    ] == ["P"]
    assert iam.list_instance_profiles(PathPrefix="/y/")["InstanceProfiles"] == []
    of_role = iam.list_instance_profiles_for_role(RoleName="Role")["InstanceProfiles"]
    assert [each["InstanceProfileName"] for each in of_role] == ["P"]
    conflict = ("DeleteConflict", 409, "Cannot delete entity, must remove roles from instance profile first.")
    assert refusal(iam.delete_role, RoleName="Role") == conflict
    assert refusal(iam.delete_instance_profile, InstanceProfileName="P") == conflict
    wrong = ("NoSuchEntity", 404, "The role with name other cannot be found.")
    assert refusal(iam.remove_role_from_instance_profile, InstanceProfileName="P", RoleName="other") == wrong
    iam.tag_instance_profile(InstanceProfileName="P", Tags=[{"Key": "b", "Value": "2"}])
    iam.untag_instance_profile(InstanceProfileName="P", TagKeys=["a"])
    assert iam.list_instance_profile_tags(InstanceProfileName="P")["Tags"] == [{"Key": "b", "Value": "2"}]
    iam.remove_role_from_instance_profile(InstanceProfileName="P", RoleName="Role")
    iam.delete_instance_profile(InstanceProfileName="P")
    iam.delete_role(RoleName="Role")
    missing = ("NoSuchEntity", 404, "Instance Profile P cannot be found.")
    assert refusal(iam.get_instance_profile, InstanceProfileName="P") == missing


def test_an_account_has_one_alias_that_no_other_account_has(iam, client_of):
    iam.create_account_alias(AccountAlias="first")
    iam.create_account_alias(AccountAlias="second")
    assert iam.list_account_aliases()["AccountAliases"] == ["second"]
    other = client_of("iam", {"AccessKeyId": "111122223333", "SecretAccessKey": "x"})
    taken = ("EntityAlreadyExists", 409, "The account alias second already exists.")
    assert refusal(other.create_account_alias, AccountAlias="second") == taken
    other.create_account_alias(AccountAlias="first")
    missing = ("NoSuchEntity", 404, "The account alias first cannot be found.")
    assert refusal(iam.delete_account_alias, AccountAlias="first") == missing
    iam.delete_account_alias(AccountAlias="second")
    assert iam.list_account_aliases()["AccountAliases"] == []
    other.create_account_alias(AccountAlias="second")


def test_accounts_do_not_see_each_other(iam, client_of):
    iam.create_user(UserName="u")
    other = client_of("iam", {"AccessKeyId": "111122223333", "SecretAccessKey": "x"})
    assert other.list_users()["Users"] == []
    assert other.create_user(UserName="u")["User"]["Arn"] == "arn:aws:iam::111122223333:user/u"


def test_the_account_summary_counts_what_is_there(iam):
    iam.create_user(UserName="u")
    iam.create_group(GroupName="g")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName="p")
    arn = iam.create_policy(PolicyName="p", PolicyDocument=ALLOW)["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=ALLOW)
    found = iam.get_account_summary()["SummaryMap"]
    counts = ("Users", "Groups", "Roles", "InstanceProfiles", "Policies", "PolicyVersionsInUse")
    assert [found[name] for name in counts] == [1, 1, 1, 1, 1, 2]
    assert (found["UsersQuota"], found["AttachedPoliciesPerRoleQuota"], found["VersionsPerPolicyQuota"]) == (
        5000,
        10,
        5,
    )
