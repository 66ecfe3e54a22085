"""IAM's roles and policies: trust, inline and managed policies, versions, boundaries, service-linked roles."""

import json

import pytest
from botocore.exceptions import ClientError

TRUST = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
})  # fmt: skip
ALLOW = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}})
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
OWNERS = ["role", "user", "group"]


def statement(**members):
    found = {"Effect": "Allow", "Action": "s3:*", "Resource": "*", **members}
    return json.dumps({"Statement": [{name: value for name, value in found.items() if value is not None}]})


def refusal(operation, **request):
    """(code, status, message) of the error."""
    with pytest.raises(ClientError) as caught:
        operation(**request)
    error = caught.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Message"]


@pytest.fixture
def iam(aws):
    return aws("iam")


class Owner:
    """A role, a user or a group: the same operations under other names."""

    def __init__(self, iam, kind):
        self.kind, self.iam, self.of = kind, iam, {f"{kind.title()}Name": "it"}
        more = {"AssumeRolePolicyDocument": TRUST} if kind == "role" else {}
        getattr(iam, f"create_{kind}")(**self.of, **more)

    def __call__(self, pattern, **request):
        return getattr(self.iam, pattern.format(self.kind))(**self.of, **request)

    def refusal(self, pattern, **request):
        return refusal(getattr(self.iam, pattern.format(self.kind)), **self.of, **request)


@pytest.fixture(params=OWNERS)
def owner(iam, request):
    return Owner(iam, request.param)


def test_a_role_is_made_read_changed_and_deleted(iam, clock):
    made = iam.create_role(RoleName="Work", Path="/team/", AssumeRolePolicyDocument=TRUST, Description="d",
                           Tags=[{"Key": "a", "Value": "1"}])["Role"]  # fmt: skip
    assert made["Arn"] == "arn:aws:iam::000000000000:role/team/Work"
    assert made["RoleId"].startswith("AROA") and len(made["RoleId"]) == 21
    assert made["CreateDate"].timestamp() == pytest.approx(clock.now(), abs=0.01)
    found = iam.get_role(RoleName="work")["Role"]
    assert found["AssumeRolePolicyDocument"] == json.loads(TRUST)
    assert (found["Description"], found["MaxSessionDuration"], found["Tags"]) == ("d", 3600, made["Tags"])
    iam.update_role(RoleName="Work", MaxSessionDuration=7200)
    iam.update_role_description(RoleName="Work", Description="new")
    iam.update_assume_role_policy(RoleName="Work", PolicyDocument=TRUST.replace("lambda", "states"))
    found = iam.get_role(RoleName="Work")["Role"]
    assert (found["Description"], found["MaxSessionDuration"]) == ("new", 7200)
    assert found["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "states.amazonaws.com"}
    taken = refusal(iam.create_role, RoleName="WORK", AssumeRolePolicyDocument=TRUST)
    assert taken == ("EntityAlreadyExists", 409, "Role with name WORK already exists.")
    iam.delete_role(RoleName="Work")
    assert refusal(iam.get_role, RoleName="Work") == ("NoSuchEntity", 404, "The role with name Work cannot be found.")


def test_roles_are_listed_by_path_in_pages(iam):
    for name in "cab":
        iam.create_role(RoleName=name, Path="/x/" if name != "b" else "/", AssumeRolePolicyDocument=TRUST)
    first = iam.list_roles(MaxItems=2)
    assert [role["RoleName"] for role in first["Roles"]] == ["a", "b"]
    assert first["IsTruncated"]
    rest = iam.list_roles(MaxItems=2, Marker=first["Marker"])
    assert ([role["RoleName"] for role in rest["Roles"]], rest["IsTruncated"]) == (["c"], False)
    assert [role["RoleName"] for role in iam.list_roles(PathPrefix="/x/")["Roles"]] == ["a", "c"]
    for marker in ("nonsense", "²", "AAAA", "MAAA"):
        assert refusal(iam.list_roles, Marker=marker)[:2] == ("ValidationError", 400)
    assert refusal(iam.list_role_tags, RoleName="a", Marker="٣")[:2] == ("ValidationError", 400)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "This policy contains invalid Json"),
        ("{}", "Missing required field Statement"),
        (statement(Action="sts:AssumeRole"), "Has prohibited field Resource"),
        (statement(Resource=None, Action="sts:AssumeRole"), "Missing required field Principal"),
        (statement(Resource=None, Principal="*"), "AssumeRole policy may only specify STS AssumeRole actions."),
        (statement(Resource=None, Principal={"AWS": "bob"}), 'Invalid principal in policy: "AWS":"bob"'),
    ],
)
def test_a_malformed_trust_policy_is_refused(iam, document, message):
    refused = refusal(iam.create_role, RoleName="r", AssumeRolePolicyDocument=document)
    assert refused == ("MalformedPolicyDocument", 400, message)
    assert iam.list_roles()["Roles"] == []


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("[]", "Syntax errors in policy."),
        (statement(Resource=None), "Policy statement must contain resources."),
        (statement(Action=None), "Policy statement must contain actions."),
        (statement(Effect="allow"), "Syntax errors in policy."),
        (statement(Principal="*"), "Policy document should not specify a principal."),
        (statement(Action="GetObject"), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
        (statement(Resource="bucket"), 'Resource bucket must be in ARN format or "*".'),
        ('{"Version": "2013-10-17", "Statement": []}', "The policy must contain a valid version string"),
    ],
)
def test_a_malformed_identity_policy_is_refused(iam, document, message):
    assert refusal(iam.create_policy, PolicyName="p", PolicyDocument=document) == (
        "MalformedPolicyDocument",
        400,
        message,
    )


def test_tags_of_a_role_are_put_listed_and_removed(iam):
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST, Tags=[{"Key": "a", "Value": "1"}])
    iam.tag_role(RoleName="r", Tags=[{"Key": "A", "Value": "2"}, {"Key": "b", "Value": ""}])
    assert iam.list_role_tags(RoleName="r")["Tags"] == [{"Key": "A", "Value": "2"}, {"Key": "b", "Value": ""}]
    iam.untag_role(RoleName="r", TagKeys=["a"])
    assert iam.list_role_tags(RoleName="r")["Tags"] == [{"Key": "b", "Value": ""}]
    many = [{"Key": f"k{i}", "Value": ""} for i in range(50)]
    assert refusal(iam.tag_role, RoleName="r", Tags=many)[0] == "LimitExceeded"


def test_an_inline_policy_is_put_read_replaced_and_deleted(owner):
    missing = ("NoSuchEntity", 404, f"The {owner.kind} policy with name p cannot be found.")
    assert owner.refusal("get_{}_policy", PolicyName="p") == missing
    owner("put_{}_policy", PolicyName="p", PolicyDocument=ALLOW)
    owner("put_{}_policy", PolicyName="q", PolicyDocument=ALLOW)
    found = owner("get_{}_policy", PolicyName="p")
    assert (found["PolicyName"], found["PolicyDocument"]) == ("p", json.loads(ALLOW))
    owner("put_{}_policy", PolicyName="p", PolicyDocument=statement())
    assert owner("get_{}_policy", PolicyName="p")["PolicyDocument"] == json.loads(statement())
    first = owner("list_{}_policies", MaxItems=1)
    assert (first["PolicyNames"], first["IsTruncated"]) == (["p"], True)
    assert owner("list_{}_policies", Marker=first["Marker"])["PolicyNames"] == ["q"]
    conflict = ("DeleteConflict", 409, "Cannot delete entity, must delete policies first.")
    assert owner.refusal("delete_{}") == conflict
    for name in "pq":
        owner("delete_{}_policy", PolicyName=name)
    assert owner.refusal("delete_{}_policy", PolicyName="p") == missing
    owner("delete_{}")


def test_inline_policies_have_a_quota_of_characters_without_white_space(owner):
    room = {"role": 10_240, "user": 2_048, "group": 5_120}[owner.kind]
    bare = len("".join(statement(Resource="arn:").split()))
    fits = statement(Resource="arn:" + "x" * (room - bare))
    owner("put_{}_policy", PolicyName="p", PolicyDocument=fits.replace(": ", ":    "))
    owner("put_{}_policy", PolicyName="p", PolicyDocument=fits)
    over = ("LimitExceeded", 409, f"Maximum policy size of {room} bytes exceeded for {owner.kind} it")
    assert owner.refusal("put_{}_policy", PolicyName="p", PolicyDocument=fits.replace("arn:", "arn:x")) == over
    assert owner.refusal("put_{}_policy", PolicyName="q", PolicyDocument=statement()) == over


def test_managed_policies_are_attached_listed_by_path_and_detached(iam, owner):
    arn = iam.create_policy(PolicyName="mine", Path="/team/", PolicyDocument=ALLOW)["Policy"]["Arn"]
    for each in (arn, BASIC, arn):
        owner("attach_{}_policy", PolicyArn=each)
    attached = owner("list_attached_{}_policies")["AttachedPolicies"]
    mine = {"PolicyName": "mine", "PolicyArn": arn}
    assert attached == [mine, {"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": BASIC}]
    assert owner("list_attached_{}_policies", PathPrefix="/team/")["AttachedPolicies"] == [mine]
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    entities = iam.list_entities_for_policy(PolicyArn=arn)
    member = f"Policy{owner.kind.title()}s"
    assert [each[f"{owner.kind.title()}Name"] for each in entities[member]] == ["it"]
    assert sum(len(entities[each]) for each in ("PolicyRoles", "PolicyUsers", "PolicyGroups")) == 1
    assert owner.refusal("delete_{}")[2] == "Cannot delete entity, must detach all policies first."
    in_use = ("DeleteConflict", 409, "Cannot delete a policy attached to entities.")
    assert refusal(iam.delete_policy, PolicyArn=arn) == in_use
    for each in (arn, BASIC):
        owner("detach_{}_policy", PolicyArn=each)
    gone = ("NoSuchEntity", 404, f"Policy {arn} was not found.")
    assert owner.refusal("detach_{}_policy", PolicyArn=arn) == gone
    owner("delete_{}")
    iam.delete_policy(PolicyArn=arn)
    assert refusal(iam.get_policy, PolicyArn=arn) == gone


def test_ten_policies_can_be_attached(owner):
    arns = [f"arn:aws:iam::aws:policy/P{i}" for i in range(11)]
    for arn in arns[:10]:
        owner("attach_{}_policy", PolicyArn=arn)
    owner("attach_{}_policy", PolicyArn=arns[0])
    over = ("LimitExceeded", 409, f"Cannot exceed quota for PoliciesPer{owner.kind.title()}: 10")
    assert owner.refusal("attach_{}_policy", PolicyArn=arns[10]) == over


def test_a_policy_that_is_not_there_cannot_be_attached(owner):
    arn = "arn:aws:iam::000000000000:policy/none"
    missing = ("NoSuchEntity", 404, f"Policy {arn} does not exist or is not attachable.")
    assert owner.refusal("attach_{}_policy", PolicyArn=arn) == missing
    assert owner.refusal("attach_{}_policy", PolicyArn="arn:aws:s3:::bucket/some")[0] == "InvalidInput"


def test_policies_of_a_missing_owner_are_no_such_entity(iam):
    for kind in OWNERS:
        missing = ("NoSuchEntity", 404, f"The {kind} with name no cannot be found.")
        of = {f"{kind.title()}Name": "no"}
        put = getattr(iam, f"put_{kind}_policy")
        assert refusal(put, PolicyName="p", PolicyDocument=ALLOW, **of) == missing
        assert refusal(getattr(iam, f"attach_{kind}_policy"), PolicyArn=BASIC, **of) == missing
        assert refusal(getattr(iam, f"list_attached_{kind}_policies"), **of) == missing


def test_a_managed_policy_keeps_five_versions_and_numbers_them_once(iam, clock):
    made = iam.create_policy(PolicyName="p", PolicyDocument=ALLOW, Description="d", Tags=[{"Key": "k", "Value": "v"}])
    arn = made["Policy"]["Arn"]
    assert arn == "arn:aws:iam::000000000000:policy/p"
    assert (made["Policy"]["DefaultVersionId"], made["Policy"]["Tags"]) == ("v1", [{"Key": "k", "Value": "v"}])
    taken = "A policy called P already exists. Duplicate names are not allowed."
    assert refusal(iam.create_policy, PolicyName="P", PolicyDocument=ALLOW) == ("EntityAlreadyExists", 409, taken)
    clock.advance(60)
    second = iam.create_policy_version(PolicyArn=arn, PolicyDocument=statement(), SetAsDefault=True)["PolicyVersion"]
    assert (second["VersionId"], second["IsDefaultVersion"]) == ("v2", True)
    for _ in range(3):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=ALLOW)
    found = iam.get_policy(PolicyArn=arn)["Policy"]
    assert (found["DefaultVersionId"], found["Description"]) == ("v2", "d")
    assert (found["UpdateDate"] - found["CreateDate"]).total_seconds() == pytest.approx(60, abs=0.01)
    code, status, text = refusal(iam.create_policy_version, PolicyArn=arn, PolicyDocument=ALLOW)
    assert (code, status) == ("LimitExceeded", 409)
    assert text.startswith("A managed policy can have up to 5 versions.")
    version = iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]
    assert version["Document"] == json.loads(statement())
    default = ("DeleteConflict", 409, "Cannot delete the default version of a policy.")
    assert refusal(iam.delete_policy_version, PolicyArn=arn, VersionId="v2") == default
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v4")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    for gone in ("v2", "v2.x", f"v{'9' * 60}"):
        missing = f"Policy {arn} version {gone} does not exist or is not attachable."
        assert refusal(iam.get_policy_version, PolicyArn=arn, VersionId=gone) == ("NoSuchEntity", 404, missing)
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=ALLOW)
    listed = iam.list_policy_versions(PolicyArn=arn, MaxItems=3)
    assert [each["VersionId"] for each in listed["Versions"]] == ["v6", "v5", "v4"]
    rest = iam.list_policy_versions(PolicyArn=arn, Marker=listed["Marker"])["Versions"]
    assert [(each["VersionId"], each["IsDefaultVersion"]) for each in rest] == [("v3", False), ("v1", False)]
    code, _, text = refusal(iam.delete_policy, PolicyArn=arn)
    assert (code, text[:41]) == ("DeleteConflict", "This policy has more than one version. Be")
    for each in ("v1", "v3", "v5", "v6"):
        iam.delete_policy_version(PolicyArn=arn, VersionId=each)
    iam.delete_policy(PolicyArn=arn)
    assert iam.list_policies(Scope="Local")["Policies"] == []


def test_a_managed_policy_has_at_most_6144_characters(iam):
    bare = len("".join(statement(Resource="arn:").split()))
    fits = statement(Resource="arn:" + "x" * (6144 - bare))
    iam.create_policy(PolicyName="p", PolicyDocument=fits)
    over = refusal(iam.create_policy, PolicyName="q", PolicyDocument=fits.replace("arn:", "arn:x"))
    assert over == ("LimitExceeded", 409, "Cannot exceed quota for PolicySize: 6144")


def test_policies_are_listed_by_scope_path_and_use(iam):
    used, bound, free = (
        iam.create_policy(PolicyName=name, Path=f"/{name}/", PolicyDocument=ALLOW)["Policy"]["Arn"]
        for name in ("used", "bound", "free")
    )
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=bound)
    for arn in (used, BASIC):
        iam.attach_role_policy(RoleName="r", PolicyArn=arn)
    iam.create_user(UserName="u", PermissionsBoundary=READ_ONLY)

    def listed(**request):
        return {
            each["Arn"] for page in iam.get_paginator("list_policies").paginate(**request) for each in page["Policies"]
        }

    assert listed() == {used, bound, free, BASIC, READ_ONLY}
    assert listed(PaginationConfig={"PageSize": 2}) == listed()
    assert listed(Scope="Local") == {used, bound, free}
    assert listed(Scope="AWS") == {BASIC, READ_ONLY}
    assert listed(OnlyAttached=True) == {used, BASIC}
    assert listed(PathPrefix="/free/") == {free}
    assert listed(PolicyUsageFilter="PermissionsBoundary") == {bound, READ_ONLY}
    assert listed(PolicyUsageFilter="PermissionsPolicy") == {used, BASIC}


def test_tags_of_a_policy_are_put_listed_and_removed(iam):
    arn = iam.create_policy(PolicyName="p", PolicyDocument=ALLOW)["Policy"]["Arn"]
    iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.untag_policy(PolicyArn=arn, TagKeys=["a"])
    assert iam.list_policy_tags(PolicyArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    assert iam.get_policy(PolicyArn=arn)["Policy"]["Tags"] == [{"Key": "b", "Value": "2"}]


def test_an_aws_policy_is_known_by_its_arn_but_its_document_is_refused(iam):
    assert iam.get_policy(PolicyArn=BASIC)["Policy"]["PolicyName"] == "AWSLambdaBasicExecutionRole"
    assert refusal(iam.get_policy_version, PolicyArn=BASIC, VersionId="v1")[:2] == ("NotImplemented", 501)
    assert refusal(iam.list_policy_versions, PolicyArn=BASIC)[:2] == ("NotImplemented", 501)
    assert refusal(iam.delete_policy, PolicyArn=BASIC)[0] == "NoSuchEntity"


@pytest.mark.parametrize("kind", ["role", "user"])
def test_a_permissions_boundary_is_kept_counted_and_removed(iam, kind):
    owner = Owner(iam, kind)
    arn = iam.create_policy(PolicyName="p", PolicyDocument=ALLOW)["Policy"]["Arn"]
    owner("put_{}_permissions_boundary", PermissionsBoundary=READ_ONLY)
    owner("put_{}_permissions_boundary", PermissionsBoundary=arn)
    shown = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}
    assert owner("get_{}")[kind.title()]["PermissionsBoundary"] == shown
    assert iam.get_policy(PolicyArn=arn)["Policy"]["PermissionsBoundaryUsageCount"] == 1
    assert iam.get_policy(PolicyArn=READ_ONLY)["Policy"]["PermissionsBoundaryUsageCount"] == 0
    bounded = iam.list_entities_for_policy(PolicyArn=arn, PolicyUsageFilter="PermissionsBoundary")
    assert len(bounded[f"Policy{kind.title()}s"]) == 1
    attached = iam.list_entities_for_policy(PolicyArn=arn, PolicyUsageFilter="PermissionsPolicy")
    assert attached[f"Policy{kind.title()}s"] == []
    assert refusal(iam.delete_policy, PolicyArn=arn)[0] == "DeleteConflict"
    owner("delete_{}_permissions_boundary")
    assert "PermissionsBoundary" not in owner("get_{}")[kind.title()]
    iam.delete_policy(PolicyArn=arn)
    missing = f"Scope ARN: {arn} does not exist or is not attachable."
    refused = owner.refusal("put_{}_permissions_boundary", PermissionsBoundary=arn)
    assert refused == ("NoSuchEntity", 404, missing)


def test_the_entities_of_a_policy_are_chosen_by_kind_and_path(iam):
    for kind in OWNERS:
        Owner(iam, kind)("attach_{}_policy", PolicyArn=BASIC)
    iam.create_user(UserName="far", Path="/far/")
    iam.attach_user_policy(UserName="far", PolicyArn=BASIC)
    groups = iam.list_entities_for_policy(PolicyArn=BASIC, EntityFilter="Group")
    assert [len(groups[each]) for each in ("PolicyRoles", "PolicyUsers", "PolicyGroups")] == [0, 0, 1]
    far = iam.list_entities_for_policy(PolicyArn=BASIC, PathPrefix="/far/")
    assert [each["UserName"] for each in far["PolicyUsers"]] == ["far"]
    seen = []
    for page in iam.get_paginator("list_entities_for_policy").paginate(
        PolicyArn=BASIC, PaginationConfig={"PageSize": 1}
    ):
        seen += [name for member in ("PolicyRoles", "PolicyUsers", "PolicyGroups") for name in page[member]]
    assert len(seen) == 4


def test_a_service_linked_role_is_only_aws_to_modify(iam):
    role = iam.create_service_linked_role(AWSServiceName="lambda.amazonaws.com", CustomSuffix="x")["Role"]
    assert role["Path"] == "/aws-service-role/lambda.amazonaws.com/"
    name = role["RoleName"]
    taken = refusal(iam.create_service_linked_role, AWSServiceName="lambda.amazonaws.com", CustomSuffix="x")
    assert taken[:2] == ("InvalidInput", 400)
    for operation, request in (
        (iam.delete_role, {}),
        (iam.update_role, {}),
        (iam.attach_role_policy, {"PolicyArn": BASIC}),
        (iam.put_role_policy, {"PolicyName": "p", "PolicyDocument": ALLOW}),
    ):
        assert refusal(operation, RoleName=name, **request)[:2] == ("UnmodifiableEntity", 400)
    iam.create_instance_profile(InstanceProfileName="i")
    adding = refusal(iam.add_role_to_instance_profile, InstanceProfileName="i", RoleName=name)
    assert adding[0] == "UnmodifiableEntity"
    iam.update_role_description(RoleName=name, Description="new")
    assert iam.get_role(RoleName=name)["Role"]["Description"] == "new"
    task = iam.delete_service_linked_role(RoleName=name)["DeletionTaskId"]
    assert iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"] == "SUCCEEDED"
    assert refusal(iam.get_role, RoleName=name)[0] == "NoSuchEntity"
    assert refusal(iam.get_service_linked_role_deletion_status, DeletionTaskId=f"{task}x")[0] == "NoSuchEntity"
    iam.create_role(RoleName="plain", AssumeRolePolicyDocument=TRUST)
    assert refusal(iam.delete_service_linked_role, RoleName="plain")[0] == "InvalidInput"
    reserved = refusal(iam.create_role, RoleName="r", Path="/aws-service-role/x/", AssumeRolePolicyDocument=TRUST)
    assert reserved[0] == "ValidationError"
