"""Parameter Store, as boto3 sees it, and in templates."""

import json

import pytest
from botocore.exceptions import ClientError

ARN = "arn:aws:ssm:us-east-1:000000000000:parameter"


@pytest.fixture
def ssm(aws):
    return aws("ssm")


def refused(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    return caught.value.response["Error"]["Code"]


def put(ssm, name="/app/a", value="v", **request):
    return ssm.put_parameter(**{"Name": name, "Value": value, "Type": "String", **request})


def names(answer):
    return [one["Name"] for one in answer["Parameters"]]


def test_a_parameter_is_put_and_read(ssm, clock):
    assert {**put(ssm), "ResponseMetadata": None} == {"Version": 1, "Tier": "Standard", "ResponseMetadata": None}
    found = ssm.get_parameter(Name="/app/a")["Parameter"]
    assert found.pop("LastModifiedDate").timestamp() == pytest.approx(clock.now(), abs=1)
    assert found == {
        "Name": "/app/a", "Type": "String", "Value": "v", "Version": 1, "ARN": f"{ARN}/app/a", "DataType": "text",
    }  # fmt: skip
    put(ssm, name="plain", value="p")
    assert ssm.get_parameter(Name=f"{ARN}/plain")["Parameter"]["Name"] == "plain"
    assert ssm.get_parameter(Name=f"{ARN}/app/a")["Parameter"]["Name"] == "/app/a"
    assert refused(ssm.get_parameter, Name="/none") == "ParameterNotFound"
    answer = ssm.get_parameters(Names=["/app/a", "/none", "plain:1", "plain:7"])
    assert (names(answer), answer["InvalidParameters"]) == (["/app/a", "plain"], ["/none", "plain:7"])
    assert refused(ssm.get_parameters, Names=["x"] * 11) == "ValidationException"


def test_versions_and_their_history(ssm):
    put(ssm, value="one", Description="first")
    assert refused(put, ssm=ssm, value="two") == "ParameterAlreadyExists"
    assert ssm.put_parameter(Name="/app/a", Value="two", Overwrite=True)["Version"] == 2
    assert refused(put, ssm=ssm, value="x", Overwrite=True, Type="StringList") == "HierarchyTypeMismatchException"
    assert ssm.get_parameter(Name="/app/a")["Parameter"]["Value"] == "two"
    found = ssm.get_parameter(Name="/app/a:1")["Parameter"]
    assert (found["Value"], found["Selector"], found["Version"]) == ("one", ":1", 1)
    assert refused(ssm.get_parameter, Name="/app/a:3") == "ParameterVersionNotFound"
    history = ssm.get_parameter_history(Name="/app/a")["Parameters"]
    assert [(one["Version"], one["Value"], one.get("Description")) for one in history] == [
        (1, "one", "first"),
        (2, "two", None),
    ]
    pages = list(ssm.get_paginator("get_parameter_history").paginate(Name="/app/a", PaginationConfig={"PageSize": 1}))
    assert [len(page["Parameters"]) for page in pages] == [1, 1]
    ssm.delete_parameter(Name="/app/a")
    assert refused(ssm.get_parameter_history, Name="/app/a") == "ParameterNotFound"
    assert put(ssm)["Version"] == 1
    assert len(ssm.get_parameter_history(Name="/app/a")["Parameters"]) == 1


def test_a_hundred_versions_are_kept_unless_the_oldest_has_a_label(ssm):
    put(ssm)
    for _ in range(99):
        put(ssm, Overwrite=True)
    ssm.label_parameter_version(Name="/app/a", ParameterVersion=1, Labels=["prod"])
    assert refused(put, ssm=ssm, Overwrite=True) == "ParameterMaxVersionLimitExceeded"
    ssm.label_parameter_version(Name="/app/a", ParameterVersion=2, Labels=["prod"])
    assert put(ssm, Overwrite=True)["Version"] == 101
    assert refused(ssm.get_parameter, Name="/app/a:1") == "ParameterVersionNotFound"
    assert ssm.get_parameter(Name="/app/a:prod")["Parameter"]["Version"] == 2


def test_labels_are_put_moved_and_taken_off(ssm):
    put(ssm, value="one")
    put(ssm, value="two", Overwrite=True)
    answer = ssm.label_parameter_version(Name="/app/a", ParameterVersion=1, Labels=["prod", "1x", "awsx", "a b"])
    assert (answer["InvalidLabels"], answer["ParameterVersion"]) == (["1x", "awsx", "a b"], 1)
    assert ssm.get_parameter(Name="/app/a:prod")["Parameter"]["Value"] == "one"
    assert ssm.label_parameter_version(Name="/app/a", Labels=["prod"])["ParameterVersion"] == 2
    assert ssm.get_parameter(Name="/app/a:prod")["Parameter"]["Value"] == "two"
    assert [one["Labels"] for one in ssm.get_parameter_history(Name="/app/a")["Parameters"]] == [[], ["prod"]]
    more = [f"l{number}" for number in range(9)]
    ssm.label_parameter_version(Name="/app/a", Labels=more)
    assert (
        refused(ssm.label_parameter_version, Name="/app/a", Labels=["eleventh"]) == "ParameterVersionLabelLimitExceeded"
    )
    assert (
        refused(ssm.label_parameter_version, Name="/app/a", ParameterVersion=9, Labels=["x"])
        == "ParameterVersionNotFound"
    )
    answer = ssm.unlabel_parameter_version(Name="/app/a", ParameterVersion=2, Labels=["prod", "none"])
    assert (answer["RemovedLabels"], answer["InvalidLabels"]) == (["prod"], ["none"])
    assert refused(ssm.get_parameter, Name="/app/a:prod") == "ParameterVersionNotFound"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("aws", "ValidationException"), ("awsome", "ValidationException"), ("/ssm-x", "ValidationException"),
        ("/aws/x", "AccessDeniedException"), ("a/b", "ValidationException"), ("/a//b", "ValidationException"),
        ("a b", "ValidationException"), ("/a/", "ValidationException"), ("/a:b", "ValidationException"),
        ("/x" * 16, "HierarchyLevelLimitExceededException"), ("x" * (1012 - len(ARN)), "ValidationException"),
    ],
)  # fmt: skip
def test_names_that_cannot_be(ssm, name, code):
    assert refused(put, ssm=ssm, name=name) == code


def test_names_that_just_can_be(ssm):
    for name in ("/x" * 15, "x" * (1010 - len(ARN)), " spaces-around "):
        put(ssm, name=name)
    assert ssm.get_parameter(Name="spaces-around")["Parameter"]["Value"] == "v"


def test_values_and_tiers(ssm):
    put(ssm, name="a", value="x" * 4096)
    assert refused(put, ssm=ssm, name="b", value="x" * 4097) == "ValidationException"
    assert put(ssm, name="b", value="x" * 8192, Tier="Advanced")["Tier"] == "Advanced"
    assert refused(put, ssm=ssm, name="c", value="x" * 8193, Tier="Advanced") == "ValidationException"
    assert put(ssm, name="c", value="x" * 4097, Tier="Intelligent-Tiering")["Tier"] == "Advanced"
    assert put(ssm, name="d", value="x", Tier="Intelligent-Tiering")["Tier"] == "Standard"
    assert put(ssm, name="d", value="x", Tier="Advanced", Overwrite=True)["Tier"] == "Advanced"
    assert refused(put, ssm=ssm, name="d", Tier="Standard", Overwrite=True) == "ValidationException"
    assert put(ssm, name="d", Overwrite=True)["Tier"] == "Advanced"
    assert refused(put, ssm=ssm, name="e", value="") == "ValidationException"
    assert refused(ssm.put_parameter, Name="e", Value="x") == "ValidationException"
    pattern = {"AllowedPattern": "^[0-9]+$"}
    assert refused(put, ssm=ssm, name="e", value="x", **pattern) == "ParameterPatternMismatchException"
    assert refused(put, ssm=ssm, name="e", AllowedPattern="(") == "InvalidAllowedPatternException"
    put(ssm, name="e", value="1,2", Type="StringList", **pattern)
    assert refused(put, ssm=ssm, name="f", Policies='[{"Type": "Expiration"}]') == "NotImplemented"
    assert refused(put, ssm=ssm, name="f", DataType="aws:ec2:image") == "NotImplemented"
    assert refused(ssm.send_command, DocumentName="AWS-RunShellScript") == "NotImplemented"


@pytest.mark.parametrize(("tier", "most"), [("Standard", 10_000), ("Advanced", 100_000)])
def test_the_quota_of_parameters(ssm, cloud, tier, most):
    async def fill():
        key = ("ssm", "count", "000000000000", "us-east-1", tier)
        await cloud.cloud.store.transact(lambda tx: tx.add(key, most - 1))

    cloud.run(fill())
    put(ssm, name="last", Tier=tier)
    assert refused(put, ssm=ssm, name="more", Tier=tier) == "ParameterLimitExceeded"
    ssm.delete_parameter(Name="last")
    put(ssm, name="more", Tier=tier)


def test_secure_strings_are_sealed(aws, ssm, cloud):
    kms = aws("kms")
    put(ssm, name="s", value="very secret", Type="SecureString")
    assert [one["AliasName"] for one in kms.list_aliases()["Aliases"]] == ["alias/aws/ssm"]
    rows = b"".join(value for _, value in cloud.cloud.store.begin(None).scan_bytes(b"", b"\xff") if value)
    assert b"very secret" not in rows
    assert ssm.get_parameter(Name="s", WithDecryption=True)["Parameter"]["Value"] == "very secret"
    assert "secret" not in ssm.get_parameter(Name="s")["Parameter"]["Value"]
    assert ssm.describe_parameters()["Parameters"][0]["KeyId"] == "alias/aws/ssm"
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    put(ssm, name="t", value="x", Type="SecureString", KeyId=key)
    kms.disable_key(KeyId=key)
    assert refused(ssm.get_parameter, Name="t", WithDecryption=True) == "InvalidKeyId"
    assert refused(put, ssm=ssm, name="t", value="y", Type="SecureString", Overwrite=True) == "InvalidKeyId"
    ssm.get_parameter(Name="t")
    assert refused(put, ssm=ssm, name="u", Type="SecureString", KeyId="alias/none") == "InvalidKeyId"
    assert refused(put, ssm=ssm, name="u", KeyId=key) == "ValidationException"
    history = ssm.get_parameter_history(Name="s", WithDecryption=True)["Parameters"]
    assert history[0]["Value"] == "very secret"


@pytest.fixture
def several(ssm):
    for name in ("/app/a", "/app/b", "/app/web/c", "/other", "plain"):
        put(ssm, name=name, value=name, Type="StringList" if name == "/app/b" else "String")


def test_parameters_are_found_by_path(ssm, several):
    assert names(ssm.get_parameters_by_path(Path="/app")) == ["/app/a", "/app/b"]
    assert names(ssm.get_parameters_by_path(Path="/app/", Recursive=True)) == ["/app/a", "/app/b", "/app/web/c"]
    assert names(ssm.get_parameters_by_path(Path="/")) == ["/other", "plain"]
    pages = ssm.get_paginator("get_parameters_by_path").paginate(
        Path="/", Recursive=True, PaginationConfig={"PageSize": 2}
    )
    assert [len(page["Parameters"]) for page in pages] == [2, 2, 1]
    types = [{"Key": "Type", "Values": ["StringList"]}]
    assert names(ssm.get_parameters_by_path(Path="/app", ParameterFilters=types)) == ["/app/b"]
    ssm.label_parameter_version(Name="/app/a", Labels=["prod"])
    put(ssm, name="/app/a", value="new", Overwrite=True)
    labels = [{"Key": "Label", "Values": ["prod"]}]
    [found] = ssm.get_parameters_by_path(Path="/app", ParameterFilters=labels)["Parameters"]
    assert (found["Name"], found["Value"]) == ("/app/a", "/app/a")
    assert refused(ssm.get_parameters_by_path, Path="app") == "ValidationException"
    wrong = [{"Key": "Name", "Values": ["x"]}]
    assert refused(ssm.get_parameters_by_path, Path="/", ParameterFilters=wrong) == "InvalidFilterKey"
    assert refused(ssm.get_parameters_by_path, Path="/", NextToken="x") == "InvalidNextToken"


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([{"Key": "Name", "Values": ["/app/a"]}], ["/app/a"]),
        ([{"Key": "Name", "Option": "BeginsWith", "Values": ["/app/"]}], ["/app/a", "/app/b", "/app/web/c"]),
        ([{"Key": "Name", "Option": "Contains", "Values": ["a"]}], ["/app/a", "/app/b", "/app/web/c", "plain"]),
        ([{"Key": "Path", "Option": "Recursive", "Values": ["/app/web", "/other"]}], ["/app/web/c"]),
        ([{"Key": "Path", "Values": ["/app"]}], ["/app/a", "/app/b"]),
        ([{"Key": "Type", "Values": ["StringList"]}, {"Key": "Tier", "Values": ["Standard"]}], ["/app/b"]),
        ([{"Key": "tag:team", "Values": ["red"]}], ["plain"]),
    ],
)
def test_parameters_are_filtered(ssm, several, filters, found):
    ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId="plain", Tags=[{"Key": "team", "Value": "red"}])
    assert names(ssm.describe_parameters(ParameterFilters=filters)) == found


def test_filters_that_cannot_be(ssm, several):
    old = [{"Key": "Name", "Values": ["/app/"]}]
    assert names(ssm.describe_parameters(Filters=old)) == ["/app/a", "/app/b", "/app/web/c"]
    assert refused(ssm.describe_parameters, Filters=old, ParameterFilters=old) == "ValidationException"
    for code, one in (
        ("InvalidFilterKey", {"Key": "Label", "Values": ["x"]}), ("InvalidFilterValue", {"Key": "Name"}),
        ("InvalidFilterOption", {"Key": "Path", "Option": "Equals", "Values": ["/"]}),
        ("InvalidFilterOption", {"Key": "Type", "Option": "Contains", "Values": ["S"]}),
    ):  # fmt: skip
        assert refused(ssm.describe_parameters, ParameterFilters=[one]) == code


def test_parameters_are_deleted(ssm, several, cloud):
    answer = ssm.delete_parameters(Names=["/app/a", "none", "plain"])
    assert (answer["DeletedParameters"], answer["InvalidParameters"]) == (["/app/a", "plain"], ["none"])
    assert refused(ssm.delete_parameter, Name="plain") == "ParameterNotFound"
    ssm.delete_parameters(Names=["/app/b", "/app/web/c", "/other"])
    assert [k for k in cloud.cloud.store.begin(None).scan_keys(("ssm",)) if k[1] != "count"] == []


def test_tags(ssm):
    put(ssm, Tags=[{"Key": "a", "Value": "1"}])
    where = {"ResourceType": "Parameter", "ResourceId": "/app/a"}
    ssm.add_tags_to_resource(**where, Tags=[{"Key": f"t{number}", "Value": ""} for number in range(49)])
    assert refused(ssm.add_tags_to_resource, **where, Tags=[{"Key": "b", "Value": ""}]) == "TooManyTagsError"
    ssm.remove_tags_from_resource(**where, TagKeys=[f"t{number}" for number in range(49)])
    assert ssm.list_tags_for_resource(**where)["TagList"] == [{"Key": "a", "Value": "1"}]
    assert refused(ssm.list_tags_for_resource, ResourceType="Parameter", ResourceId="x") == "InvalidResourceId"
    assert refused(ssm.list_tags_for_resource, ResourceType="Document", ResourceId="x") == "NotImplemented"
    assert refused(put, ssm=ssm, Overwrite=True, Tags=[{"Key": "a", "Value": "1"}]) == "ValidationException"


# templates


@pytest.fixture
def deploy(aws, clock):
    cloudformation = aws("cloudformation")

    def run(template, update=False, **request):
        act = cloudformation.update_stack if update else cloudformation.create_stack
        act(StackName="s", TemplateBody=json.dumps(template), **request)
        clock.advance(60)
        stack = cloudformation.describe_stacks(StackName="s")["Stacks"][0]
        events = cloudformation.describe_stack_events(StackName="s")["StackEvents"]
        reasons = [str(event.get("ResourceStatusReason")) for event in events]
        assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), reasons
        return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", ())}

    return run


def test_a_template_makes_parameters(aws, ssm, deploy, clock):
    def template(**properties):
        parameter = {"Type": "String", "Value": "21", "Tags": {"team": "a"}, **properties}
        return {
            "Resources": {
                "Version": {"Type": "AWS::SSM::Parameter", "Properties": parameter},
                "List": {
                    "Type": "AWS::SSM::Parameter",
                    "Properties": {"Type": "StringList", "Value": "a,b", "Name": "/l"},
                },
            },
            "Outputs": {
                "Name": {"Value": {"Ref": "Version"}},
                "Value": {"Value": {"Fn::GetAtt": ["Version", "Value"]}},
                "Type": {"Value": {"Fn::GetAtt": ["Version", "Type"]}},
            },
        }

    outputs = deploy(template(Name={"Fn::Sub": "/cdk-bootstrap/${AWS::Region}/version"}))
    assert outputs == {"Name": "/cdk-bootstrap/us-east-1/version", "Value": "21", "Type": "String"}
    tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=outputs["Name"])["TagList"]
    assert {"Key": "team", "Value": "a"} in tags
    outputs = deploy(template(Name=outputs["Name"], Value="22", Description="d", Tags={"team": "b"}), update=True)
    found = ssm.get_parameter(Name=outputs["Name"])["Parameter"]
    assert (found["Value"], found["Version"]) == ("22", 2)
    tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=outputs["Name"])["TagList"]
    assert {"Key": "team", "Value": "b"} in tags
    outputs = deploy(template(), update=True)
    assert names(ssm.describe_parameters()) == ["/l", outputs["Name"]]
    aws("cloudformation").delete_stack(StackName="s")
    clock.advance(60)
    assert names(ssm.describe_parameters()) == []


def test_templates_read_parameters(aws, ssm, deploy):
    put(ssm, name="/name", value="from a parameter")
    put(ssm, name="/name", value="newer", Overwrite=True)
    put(ssm, name="/list", value="a, b", Type="StringList")
    put(ssm, name="/secret", value="hidden", Type="SecureString")

    def topic(name):
        return {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": name}}

    template = {
        "Parameters": {
            "One": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/name"},
            "Many": {"Type": "AWS::SSM::Parameter::Value<List<String>>", "Default": "/list"},
        },
        "Resources": {
            "Versioned": topic("{{resolve:ssm:/name:1}}"),
            "Newest": topic("{{resolve:ssm:/name}}"),
            "Secure": topic("{{resolve:ssm-secure:/secret:1}}"),
        },
        "Outputs": {
            "One": {"Value": {"Ref": "One"}},
            "Second": {"Value": {"Fn::Select": [1, {"Ref": "Many"}]}},
            **{name: {"Value": {"Ref": name}} for name in ("Versioned", "Newest", "Secure")},
        },
    }
    outputs = deploy(template)
    assert (outputs["One"], outputs["Second"]) == ("newer", "b")
    shown = {
        name: aws("sns").get_topic_attributes(TopicArn=outputs[name])["Attributes"]["DisplayName"]
        for name in ("Versioned", "Newest", "Secure")
    }
    assert shown == {"Versioned": "from a parameter", "Newest": "newer", "Secure": "hidden"}
    cloudformation = aws("cloudformation")
    template["Parameters"]["One"]["Default"] = "/secret"
    code = refused(cloudformation.create_stack, StackName="t", TemplateBody=json.dumps(template))
    assert code == "ValidationError"
