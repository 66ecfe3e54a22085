"""IAM against a model in plain dicts: users, groups, memberships, policies, renames and what a deletion refuses."""

import json

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ALLOW = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}})
USERS, GROUPS, POLICIES = ("u", "U", "v"), ("g", "h"), ("arn:aws:iam::aws:policy/A", "arn:aws:iam::aws:policy/B")
user, group, policy = st.sampled_from(USERS), st.sampled_from(GROUPS), st.sampled_from(POLICIES)
STEPS = st.one_of(
    st.tuples(st.just("create_user"), user),
    st.tuples(st.just("create_group"), group),
    st.tuples(st.just("delete_user"), user),
    st.tuples(st.just("delete_group"), group),
    st.tuples(st.just("rename_user"), user, user),
    st.tuples(st.just("rename_group"), group, group),
    st.tuples(st.just("join"), user, group),
    st.tuples(st.just("leave"), user, group),
    st.tuples(st.just("attach"), user, policy),
    st.tuples(st.just("detach"), user, policy),
    st.tuples(st.just("put"), user),
    st.tuples(st.just("drop"), user),
    st.tuples(st.just("key"), user),
)


class Model:
    """Lower-case names to what the entity has; every step answers the error code that IAM must answer, or None."""

    def __init__(self):
        self.users, self.groups = {}, set()

    def create_user(self, name):
        if name.lower() in self.users:
            return "EntityAlreadyExists"
        self.users[name.lower()] = {"name": name, "groups": set(), "attached": set(), "inline": False, "keys": 0}
        return None

    def create_group(self, name):
        if name in self.groups:
            return "EntityAlreadyExists"
        self.groups.add(name)
        return None

    def delete_user(self, name):
        found = self.users.get(name.lower())
        if found is None:
            return "NoSuchEntity"
        if found["groups"] or found["attached"] or found["inline"] or found["keys"]:
            return "DeleteConflict"
        del self.users[name.lower()]
        return None

    def delete_group(self, name):
        if name not in self.groups:
            return "NoSuchEntity"
        if any(name in each["groups"] for each in self.users.values()):
            return "DeleteConflict"
        self.groups.remove(name)
        return None

    def rename_user(self, name, new):
        if name.lower() not in self.users:
            return "NoSuchEntity"
        if new.lower() != name.lower() and new.lower() in self.users:
            return "EntityAlreadyExists"
        self.users[new.lower()] = {**self.users.pop(name.lower()), "name": new}
        return None

    def rename_group(self, name, new):
        if name not in self.groups:
            return "NoSuchEntity"
        if new != name and new in self.groups:
            return "EntityAlreadyExists"
        self.groups = self.groups - {name} | {new}
        for each in self.users.values():
            if name in each["groups"]:
                each["groups"] = each["groups"] - {name} | {new}
        return None

    def join(self, name, of):
        if name.lower() not in self.users or of not in self.groups:
            return "NoSuchEntity"
        self.users[name.lower()]["groups"].add(of)
        return None

    def leave(self, name, of):
        if name.lower() not in self.users or of not in self.groups:
            return "NoSuchEntity"
        self.users[name.lower()]["groups"].discard(of)
        return None

    def attach(self, name, arn):
        if name.lower() not in self.users:
            return "NoSuchEntity"
        self.users[name.lower()]["attached"].add(arn)
        return None

    def detach(self, name, arn):
        if name.lower() not in self.users or arn not in self.users[name.lower()]["attached"]:
            return "NoSuchEntity"
        self.users[name.lower()]["attached"].remove(arn)
        return None

    def put(self, name):
        if name.lower() not in self.users:
            return "NoSuchEntity"
        self.users[name.lower()]["inline"] = True
        return None

    def drop(self, name):
        if name.lower() not in self.users or not self.users[name.lower()]["inline"]:
            return "NoSuchEntity"
        self.users[name.lower()]["inline"] = False
        return None

    def key(self, name):
        if name.lower() not in self.users:
            return "NoSuchEntity"
        if self.users[name.lower()]["keys"] == 2:
            return "LimitExceeded"
        self.users[name.lower()]["keys"] += 1
        return None


def calls(iam):
    return {
        "create_user": lambda u: iam.create_user(UserName=u),
        "create_group": lambda g: iam.create_group(GroupName=g),
        "delete_user": lambda u: iam.delete_user(UserName=u),
        "delete_group": lambda g: iam.delete_group(GroupName=g),
        "rename_user": lambda u, new: iam.update_user(UserName=u, NewUserName=new),
        "rename_group": lambda g, new: iam.update_group(GroupName=g, NewGroupName=new),
        "join": lambda u, g: iam.add_user_to_group(UserName=u, GroupName=g),
        "leave": lambda u, g: iam.remove_user_from_group(UserName=u, GroupName=g),
        "attach": lambda u, p: iam.attach_user_policy(UserName=u, PolicyArn=p),
        "detach": lambda u, p: iam.detach_user_policy(UserName=u, PolicyArn=p),
        "put": lambda u: iam.put_user_policy(UserName=u, PolicyName="p", PolicyDocument=ALLOW),
        "drop": lambda u: iam.delete_user_policy(UserName=u, PolicyName="p"),
        "key": lambda u: iam.create_access_key(UserName=u),
    }


def check(iam, model):
    listed = [each["UserName"] for each in iam.list_users()["Users"]]
    assert listed == [each["name"] for _, each in sorted(model.users.items())]
    assert {each["GroupName"] for each in iam.list_groups()["Groups"]} == model.groups
    for of in model.groups:
        members = {each["UserName"] for each in iam.get_group(GroupName=of)["Users"]}
        assert members == {each["name"] for each in model.users.values() if of in each["groups"]}
    for each in model.users.values():
        name = each["name"]
        assert {g["GroupName"] for g in iam.list_groups_for_user(UserName=name)["Groups"]} == each["groups"]
        attached = iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
        assert {p["PolicyArn"] for p in attached} == each["attached"]
        assert iam.list_user_policies(UserName=name)["PolicyNames"] == ["p"] * each["inline"]
        keys = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
        assert [key["UserName"] for key in keys] == [name] * each["keys"]
    for arn in POLICIES:
        having = {each["UserName"] for each in iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"]}
        assert having == {each["name"] for each in model.users.values() if arn in each["attached"]}


@settings(max_examples=25, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=25))
def test_users_groups_and_policies_are_as_in_the_model(cloud, aws, steps):
    cloud.reset()
    iam, model = aws("iam"), Model()
    do = calls(iam)
    for name, *arguments in [("create_user", "u"), ("create_group", "g"), *steps]:
        expected = getattr(model, name)(*arguments)
        if expected is None:
            do[name](*arguments)
        else:
            with pytest.raises(ClientError) as caught:
                do[name](*arguments)
            assert caught.value.response["Error"]["Code"] == expected, (name, arguments)
    check(iam, model)
