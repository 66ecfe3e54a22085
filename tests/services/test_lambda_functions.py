"""Lambda: functions, versions, aliases, layers, permissions, tags, concurrency, as boto3 sees them."""

import base64
import hashlib
import io
import json
import urllib.error
import urllib.request
import zipfile

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::000000000000:role/functions"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
ECHO = "def handler(event, context):\n    return event\n"


def packed(code=ECHO, name="index.py", **more):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), code)
        for path, text in more.items():
            archive.writestr(zipfile.ZipInfo(path.replace("__", "/") + ".py"), text)
    return sink.getvalue()


def create(client, name="f", code=ECHO, **settings):
    settings = {"Runtime": "python3.12", "Role": ROLE, "Handler": "index.handler", **settings}
    return client.create_function(FunctionName=name, Code={"ZipFile": packed(code)}, **settings)


def refused(action, **request):
    """(code, message, status) of the error that a call answers."""
    with pytest.raises(ClientError) as caught:
        action(**request)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture
def client(aws):
    return aws("lambda")


def test_a_created_function_is_active_and_shows_its_settings(client):
    code = packed()
    made = client.create_function(
        FunctionName="f", Runtime="python3.12", Role=ROLE, Handler="index.handler", Code={"ZipFile": code}, Description="d",
        Timeout=7, MemorySize=256, Environment={"Variables": {"AB": "1"}}, EphemeralStorage={"Size": 1024}, Tags={"k": "v"},
        Architectures=["arm64"], TracingConfig={"Mode": "Active"},
    )  # fmt: skip
    assert made["FunctionArn"] == f"{ARN}f"
    assert made["CodeSha256"] == base64.b64encode(hashlib.sha256(code).digest()).decode()
    assert made["CodeSize"] == len(code)
    assert (made["State"], made["LastUpdateStatus"], made["Version"]) == ("Active", "Successful", "$LATEST")
    shown = client.get_function(FunctionName="f")
    assert {k: v for k, v in made.items() if k != "ResponseMetadata"} == shown["Configuration"]
    assert shown["Tags"] == {"k": "v"}
    assert shown["Configuration"]["EphemeralStorage"] == {"Size": 1024}
    client.get_waiter("function_active_v2").wait(FunctionName="f")
    client.get_waiter("function_updated_v2").wait(FunctionName="f")


def test_the_code_link_gives_the_package_without_credentials_for_ten_minutes(client, clock):
    code = packed()
    create(client)
    link = client.get_function(FunctionName="f")["Code"]["Location"]
    with urllib.request.urlopen(link) as answer:
        assert answer.read() == code
    clock.advance(601)
    for wrong in (link, link[:-4] + "0000"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(wrong)
        assert caught.value.code == 403
        caught.value.close()


@pytest.mark.parametrize("name", ["f", f"{ARN}f", "000000000000:function:f", "function:f", f"{ARN}f:$LATEST"])
def test_a_function_is_found_by_name_and_by_partial_and_whole_arn(client, name):
    create(client)
    assert client.get_function_configuration(FunctionName=name)["FunctionName"] == "f"


def test_a_missing_function_is_named_in_the_error(client):
    expected = ("ResourceNotFoundException", f"Function not found: {ARN}nope", 404)
    for action in (client.get_function, client.get_function_configuration, client.delete_function, client.invoke,
                   client.publish_version, client.list_versions_by_function, client.list_aliases):  # fmt: skip
        assert refused(action, FunctionName="nope") == expected
    assert refused(client.get_function, FunctionName="nope", Qualifier="3")[1] == f"Function not found: {ARN}nope:3"


def test_a_function_of_another_region_is_out_of_reach(client):
    create(client)
    code, message, status = refused(client.get_function, FunctionName=f"{ARN}f".replace("us-east-1", "eu-west-1"))
    assert (code, status) == ("ResourceNotFoundException", 404)
    assert message == "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"


def test_a_name_is_taken_once(client):
    create(client)
    code, message, status = refused(lambda: create(client))
    assert (code, message, status) == ("ResourceConflictException", "Function already exist: f", 409)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"Timeout": 901}, "less than or equal to 900"),
        ({"MemorySize": 10241}, "less than or equal to 10240"),
        ({"Environment": {"Variables": {"AB": "x" * 4096}}}, "exceeded the 4KB limit"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "Reserved keys used in this request: AWS_REGION"),
        ({"Layers": [f"arn:aws:lambda:us-east-1:000000000000:layer:l{n}:1" for n in range(6)]}, "more than 5 layers"),
        ({"Layers": ["arn:aws:lambda:us-east-1:000000000000:layer:l:1"]}, "layer:l:1 does not exist."),
        ({"LoggingConfig": {"LogFormat": "Text", "ApplicationLogLevel": "INFO"}}, "LogFormat must be JSON"),
    ],
)
def test_settings_over_their_limits_are_refused(client, settings, message):
    code, text, status = refused(lambda: create(client, **settings))
    beyond = "ValidationException" if message.startswith("less") else "InvalidParameterValueException"
    assert (code, status) == (beyond, 400)
    assert message in text
    assert client.list_functions()["Functions"] == []


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("VpcConfig", {"SubnetIds": ["subnet-0123456789abcdef0"], "SecurityGroupIds": ["sg-0123456789abcdef0"]}),
        ("KMSKeyArn", "arn:aws:kms:us-east-1:000000000000:key/k"),
        ("SnapStart", {"ApplyOn": "PublishedVersions"}),
        ("FileSystemConfigs", [{"Arn": "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0",
                                "LocalMountPath": "/mnt/x"}]),
        ("CodeSigningConfigArn", "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-0123456789abcdef0"),
        ("PackageType", "Image"),
    ],
)  # fmt: skip
def test_a_setting_that_would_not_be_honoured_is_refused_by_name(client, setting, value):
    code, message, status = refused(lambda: create(client, **{setting: value}))
    assert (code, status) == ("NotImplemented", 501)
    assert setting in message


def test_empty_settings_that_mean_nothing_are_accepted(client):
    made = create(client, VpcConfig={"SubnetIds": [], "SecurityGroupIds": []}, DeadLetterConfig={"TargetArn": ""},
                  SnapStart={"ApplyOn": "None"}, TracingConfig={"Mode": "PassThrough"})  # fmt: skip
    assert made["State"] == "Active"


@pytest.mark.parametrize("runtime", ["java21", "ruby3.3", "python2.7"])
def test_a_runtime_that_does_not_run_here_is_refused_with_those_that_do(client, runtime):
    code, message, status = refused(lambda: create(client, Runtime=runtime))
    assert (code, status) == ("NotImplemented", 501)
    assert runtime in message
    assert "python3.12" in message


@pytest.mark.parametrize("runtime", [f"python3.{minor}" for minor in range(6, 15)])
def test_python_runtimes_are_accepted(client, runtime):
    assert create(client, Runtime=runtime)["Runtime"] == runtime


def test_a_package_of_50_mb_is_taken_and_a_larger_one_refused(client):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), ECHO)
        archive.writestr(zipfile.ZipInfo("large"), bytes(50 * 1024 * 1024 - 400))
    settings = {"FunctionName": "f", "Runtime": "python3.12", "Role": ROLE, "Handler": "index.handler"}
    assert client.create_function(Code={"ZipFile": sink.getvalue()}, **settings)["CodeSize"] == len(sink.getvalue())
    assert client.invoke(FunctionName="f", Payload=b"1")["Payload"].read() == b"1"
    code, message, status = refused(client.update_function_code, FunctionName="f", ZipFile=sink.getvalue() + bytes(400))
    assert (code, status) == ("RequestEntityTooLargeException", 413)
    assert message.startswith("Request must be smaller than")


def test_a_function_without_code_signing_says_so(client):
    create(client)
    answer = client.get_function_code_signing_config(FunctionName="f")
    assert answer["FunctionName"] == "f"
    assert not answer.get("CodeSigningConfigArn")


def test_what_is_no_zip_is_refused(client):
    text = "Could not unzip uploaded file. Please check your file, then try to upload again."
    settings = {"FunctionName": "f", "Runtime": "python3.12", "Role": ROLE, "Handler": "a.b"}
    assert refused(client.create_function, Code={"ZipFile": b"no zip"}, **settings) == (
        "InvalidParameterValueException", text, 400,
    )  # fmt: skip


def test_a_package_that_says_it_is_too_large_is_refused(client):
    packed_size = io.BytesIO()
    with zipfile.ZipFile(packed_size, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros", "w") as sink:
        for _ in range(251):
            sink.write(bytes(1 << 20))
    settings = {"FunctionName": "f", "Runtime": "python3.12", "Role": ROLE, "Handler": "a.b"}
    code, message, _ = refused(client.create_function, Code={"ZipFile": packed_size.getvalue()}, **settings)
    assert (code, message) == ("InvalidParameterValueException", "Unzipped size must be smaller than 262144000 bytes")


def test_runtime_and_handler_are_mandatory_for_zips(client):
    code, message, _ = refused(client.create_function, FunctionName="f", Role=ROLE, Code={"ZipFile": packed()})
    assert code == "InvalidParameterValueException"
    assert message.startswith("Runtime and Handler are mandatory")


def test_code_comes_from_a_bucket(client, aws):
    s3 = aws("s3")
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key="f.zip", Body=packed())
    settings = {"FunctionName": "f", "Runtime": "python3.12", "Role": ROLE, "Handler": "index.handler"}
    client.create_function(Code={"S3Bucket": "code", "S3Key": "f.zip"}, **settings)
    assert client.invoke(FunctionName="f", Payload=b"7")["Payload"].read() == b"7"
    s3.put_object(Bucket="code", Key="g.zip", Body=packed("def handler(e, c):\n    return 'new'\n"))
    client.update_function_code(FunctionName="f", S3Bucket="code", S3Key="g.zip")
    assert client.invoke(FunctionName="f")["Payload"].read() == b'"new"'
    code, message, _ = refused(client.update_function_code, FunctionName="f", S3Bucket="code", S3Key="none.zip")
    assert code == "InvalidParameterValueException"
    assert message.startswith("Error occurred while GetObject. S3 Error Code: NoSuchKey.")


def test_functions_are_listed_in_pages_by_name(client):
    for number in range(5):
        create(client, f"f{number}")
    client.publish_version(FunctionName="f1")
    first = client.list_functions(MaxItems=2)
    assert [f["FunctionName"] for f in first["Functions"]] == ["f0", "f1"]
    pages = client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2})
    assert [f["FunctionName"] for page in pages for f in page["Functions"]] == ["f0", "f1", "f2", "f3", "f4"]
    everything = client.list_functions(FunctionVersion="ALL")["Functions"]
    assert [(f["FunctionName"], f["Version"]) for f in everything][1:3] == [("f1", "$LATEST"), ("f1", "1")]
    assert refused(client.list_functions, Marker="!")[0] == "InvalidParameterValueException"


def test_new_code_runs_at_the_next_invocation(client):
    create(client)
    before = client.get_function_configuration(FunctionName="f")
    assert client.invoke(FunctionName="f", Payload=b"1")["Payload"].read() == b"1"
    code = packed("def handler(event, context):\n    return 'new'\n")
    dry = client.update_function_code(FunctionName="f", ZipFile=code, DryRun=True)
    assert dry["CodeSha256"] != before["CodeSha256"]
    assert client.get_function_configuration(FunctionName="f")["CodeSha256"] == before["CodeSha256"]
    updated = client.update_function_code(FunctionName="f", ZipFile=code)
    assert updated["RevisionId"] != before["RevisionId"]
    assert client.invoke(FunctionName="f")["Payload"].read() == b'"new"'


def test_an_update_with_an_outdated_revision_is_refused(client):
    revision = create(client)["RevisionId"]
    client.update_function_configuration(FunctionName="f", Timeout=5, RevisionId=revision)
    for action, request in (
        (client.update_function_configuration, {"Timeout": 6}),
        (client.update_function_code, {"ZipFile": packed()}),
        (client.publish_version, {}),
    ):
        code, _, status = refused(action, FunctionName="f", RevisionId=revision, **request)
        assert (code, status) == ("PreconditionFailedException", 412)


def test_configuration_changes_what_is_named_and_reaches_the_function(client):
    create(
        client,
        code="import os\ndef handler(event, context):\n    return [os.environ.get('AB'), context.memory_limit_in_mb]\n",
    )
    assert json.load(client.invoke(FunctionName="f")["Payload"]) == [None, "128"]
    changed = client.update_function_configuration(
        FunctionName="f", Environment={"Variables": {"AB": "x"}}, MemorySize=512, Description="new"
    )
    assert (changed["Timeout"], changed["MemorySize"], changed["Description"]) == (3, 512, "new")
    assert json.load(client.invoke(FunctionName="f")["Payload"]) == ["x", "512"]


def test_a_deleted_function_leaves_nothing_behind(client):
    create(client, Publish=True)
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    client.add_permission(
        FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
    )
    client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=10)
    client.delete_function(FunctionName="f")
    assert refused(client.get_function, FunctionName="f")[0] == "ResourceNotFoundException"
    usage = client.get_account_settings()
    assert usage["AccountUsage"] == {"TotalCodeSize": 0, "FunctionCount": 0}
    assert usage["AccountLimit"]["UnreservedConcurrentExecutions"] == 1000
    assert create(client)["Version"] == "$LATEST"
    assert client.list_versions_by_function(FunctionName="f")["Versions"][-1]["Version"] == "$LATEST"
    assert refused(client.get_policy, FunctionName="f")[0] == "ResourceNotFoundException"


# versions and aliases


def test_a_version_keeps_its_code_and_settings_while_latest_moves_on(client):
    create(client, code="def handler(event, context):\n    return context.function_version\n")
    one = client.publish_version(FunctionName="f", Description="first")
    assert (one["Version"], one["FunctionArn"], one["Description"]) == ("1", f"{ARN}f:1", "first")
    client.update_function_code(FunctionName="f", ZipFile=packed("def handler(event, context):\n    return 'latest'\n"))
    assert client.invoke(FunctionName="f", Qualifier="1")["Payload"].read() == b'"1"'
    answer = client.invoke(FunctionName="f:1")
    assert answer["ExecutedVersion"] == "1"
    assert client.invoke(FunctionName="f")["Payload"].read() == b'"latest"'


def test_publishing_without_a_change_gives_the_newest_version_again(client):
    create(client)
    assert client.publish_version(FunctionName="f")["Version"] == "1"
    assert client.publish_version(FunctionName="f")["Version"] == "1"
    client.update_function_configuration(FunctionName="f", Timeout=9)
    assert client.publish_version(FunctionName="f")["Version"] == "2"
    versions = client.list_versions_by_function(FunctionName="f")["Versions"]
    assert [(v["Version"], v["Timeout"]) for v in versions] == [("$LATEST", 9), ("1", 3), ("2", 9)]


def test_publishing_checks_the_code_that_the_caller_expects(client):
    sha = create(client)["CodeSha256"]
    code, message, _ = refused(client.publish_version, FunctionName="f", CodeSha256="x")
    assert code == "InvalidParameterValueException"
    assert sha in message
    assert client.publish_version(FunctionName="f", CodeSha256=sha)["Version"] == "1"


def test_version_numbers_are_never_used_again(client):
    create(client, Publish=True)
    client.delete_function(FunctionName="f", Qualifier="1")
    assert refused(client.get_function, FunctionName="f", Qualifier="1")[0] == "ResourceNotFoundException"
    assert client.publish_version(FunctionName="f")["Version"] == "2"


def test_a_version_that_an_alias_needs_cannot_be_deleted(client):
    create(client, Publish=True)
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    code, message, status = refused(client.delete_function, FunctionName="f", Qualifier="1")
    assert (code, status) == ("ResourceConflictException", 409)
    assert message.endswith(f"[{ARN}f:live]")
    assert refused(client.delete_function, FunctionName="f", Qualifier="$LATEST")[0] == "InvalidParameterValueException"


def test_an_alias_is_a_name_for_a_version(client):
    create(client, code="def handler(event, context):\n    return context.invoked_function_arn\n", Publish=True)
    made = client.create_alias(FunctionName="f", Name="live", FunctionVersion="1", Description="d")
    assert made["AliasArn"] == f"{ARN}f:live"
    assert json.load(client.invoke(FunctionName="f", Qualifier="live")["Payload"]) == f"{ARN}f:live"
    assert client.get_alias(FunctionName="f", Name="live")["FunctionVersion"] == "1"
    client.update_alias(FunctionName="f", Name="live", FunctionVersion="$LATEST", RevisionId=made["RevisionId"])
    code, _, status = refused(client.update_alias, FunctionName="f", Name="live", RevisionId=made["RevisionId"])
    assert (code, status) == ("PreconditionFailedException", 412)
    assert [a["Name"] for a in client.list_aliases(FunctionName="f", FunctionVersion="$LATEST")["Aliases"]] == ["live"]
    assert client.list_aliases(FunctionName="f", FunctionVersion="1")["Aliases"] == []
    conflict = refused(client.create_alias, FunctionName="f", Name="live", FunctionVersion="1")
    assert conflict == ("ResourceConflictException", f"Alias already exists: {ARN}f:live", 409)
    client.delete_alias(FunctionName="f", Name="live")
    missing = refused(client.get_alias, FunctionName="f", Name="live")
    assert missing == ("ResourceNotFoundException", f"Cannot find alias arn: {ARN}f:live", 404)


def test_an_alias_splits_invocations_by_weight(client):
    """C10: a new version is tried out on a share of the invocations."""
    create(client, code="def handler(event, context):\n    return context.function_version\n", Publish=True)
    client.update_function_configuration(FunctionName="f", Timeout=9)
    client.publish_version(FunctionName="f")
    client.create_alias(
        FunctionName="f", Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}}
    )
    seen = [client.invoke(FunctionName="f", Qualifier="live") for _ in range(60)]
    counts = [sum(answer["ExecutedVersion"] == version for answer in seen) for version in ("1", "2")]
    assert all(answer["Payload"].read() == json.dumps(answer["ExecutedVersion"]).encode() for answer in seen)
    assert sum(counts) == 60
    assert min(counts) >= 5  # below that once in 10^10 runs
    client.update_alias(FunctionName="f", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 1.0}})
    assert {client.invoke(FunctionName="f", Qualifier="live")["ExecutedVersion"] for _ in range(10)} == {"2"}


def test_weights_are_for_one_other_published_version(client):
    create(client, Publish=True)

    def weighted(version, weights):
        return refused(client.create_alias, FunctionName="f", Name="a", FunctionVersion=version,
                       RoutingConfig={"AdditionalVersionWeights": weights})[0]  # fmt: skip

    assert weighted("1", {"1": 0.5}) == "InvalidParameterValueException"
    assert weighted("$LATEST", {"1": 0.5}) == "InvalidParameterValueException"
    assert weighted("1", {"7": 0.5}) == "ResourceNotFoundException"


# layers


def test_a_layer_is_importable_and_stays_so_after_its_deletion(client):
    content = {"ZipFile": packed("VALUE = 'from the layer'\n", "python/shared.py")}
    layer = client.publish_layer_version(
        LayerName="shared", Content=content, CompatibleRuntimes=["python3.12"], Description="d"
    )
    assert layer["LayerVersionArn"] == "arn:aws:lambda:us-east-1:000000000000:layer:shared:1"
    create(client, code="import shared\ndef handler(event, context):\n    return shared.VALUE\n",
           Layers=[layer["LayerVersionArn"]])  # fmt: skip
    client.delete_layer_version(LayerName="shared", VersionNumber=1)
    assert refused(client.get_layer_version, LayerName="shared", VersionNumber=1)[2] == 404
    assert json.load(client.invoke(FunctionName="f")["Payload"]) == "from the layer"
    assert client.publish_layer_version(LayerName="shared", Content=content)["Version"] == 2


def test_layers_are_read_and_listed(client):
    content = {"ZipFile": packed()}
    for name in ("a", "a", "b"):
        client.publish_layer_version(
            LayerName=name, Content=content, CompatibleRuntimes=["python3.11"], LicenseInfo="MIT"
        )
    assert [v["Version"] for v in client.list_layer_versions(LayerName="a")["LayerVersions"]] == [2, 1]
    pages = client.get_paginator("list_layer_versions").paginate(LayerName="a", PaginationConfig={"PageSize": 1})
    assert [v["Version"] for page in pages for v in page["LayerVersions"]] == [2, 1]
    layers = client.list_layers(CompatibleRuntime="python3.11")["Layers"]
    assert [(item["LayerName"], item["LatestMatchingVersion"]["Version"]) for item in layers] == [("a", 2), ("b", 1)]
    assert client.list_layers(CompatibleRuntime="python3.9")["Layers"] == []
    pages = client.get_paginator("list_layers").paginate(PaginationConfig={"PageSize": 1})
    assert [item["LayerName"] for page in pages for item in page["Layers"]] == ["a", "b"]
    arn = layers[0]["LatestMatchingVersion"]["LayerVersionArn"]
    by_arn = client.get_layer_version_by_arn(Arn=arn)
    with urllib.request.urlopen(by_arn["Content"]["Location"]) as answer:
        assert answer.read() == content["ZipFile"]
    assert by_arn["LicenseInfo"] == "MIT"


def test_layer_permissions_are_kept(client):
    client.publish_layer_version(LayerName="a", Content={"ZipFile": packed()})
    where = {"LayerName": "a", "VersionNumber": 1}
    assert refused(client.get_layer_version_policy, **where)[0] == "ResourceNotFoundException"
    statement = {"StatementId": "s", "Action": "lambda:GetLayerVersion", "Principal": "123456789012"}
    client.add_layer_version_permission(**where, **statement)
    assert refused(client.add_layer_version_permission, **where, **statement)[0] == "ResourceConflictException"
    policy = json.loads(client.get_layer_version_policy(**where)["Policy"])
    assert policy["Statement"][0]["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    client.remove_layer_version_permission(**where, StatementId="s")
    assert refused(client.get_layer_version_policy, **where)[0] == "ResourceNotFoundException"


def test_code_and_layers_share_one_limit(client):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros", "w") as member:
        for _ in range(130):
            member.write(bytes(1 << 20))
    arns = [
        client.publish_layer_version(LayerName=name, Content={"ZipFile": sink.getvalue()})["LayerVersionArn"]
        for name in "ab"
    ]
    code, message, _ = refused(lambda: create(client, Layers=arns))
    assert code == "InvalidParameterValueException"
    assert message.startswith("Function code combined with layers exceeds the maximum allowed size of 262144000 bytes.")


# permissions, tags, concurrency


def test_permissions_become_a_policy_document(client):
    create(client)
    assert refused(client.get_policy, FunctionName="f")[1] == "The resource you requested does not exist."
    added = client.add_permission(
        FunctionName="f", StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com",
        SourceArn="arn:aws:s3:::bucket", SourceAccount="000000000000",
    )  # fmt: skip
    expected = {
        "Sid": "s3", "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "lambda:InvokeFunction",
        "Resource": f"{ARN}f",
        "Condition": {"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::bucket"}, "StringEquals": {"AWS:SourceAccount": "000000000000"}},
    }  # fmt: skip
    assert json.loads(added["Statement"]) == expected
    got = client.get_policy(FunctionName="f")
    assert json.loads(got["Policy"]) == {"Version": "2012-10-17", "Id": "default", "Statement": [expected]}
    taken = refused(
        client.add_permission, FunctionName="f", StatementId="s3", Action="lambda:InvokeFunction", Principal="*"
    )
    assert (taken[0], taken[2]) == ("ResourceConflictException", 409)
    stale = refused(client.remove_permission, FunctionName="f", StatementId="s3", RevisionId="x")
    assert stale[0] == "PreconditionFailedException"
    client.remove_permission(FunctionName="f", StatementId="s3", RevisionId=got["RevisionId"])
    assert refused(client.get_policy, FunctionName="f")[0] == "ResourceNotFoundException"
    assert refused(client.remove_permission, FunctionName="f", StatementId="s3")[0] == "ResourceNotFoundException"


def test_a_policy_belongs_to_its_qualifier(client):
    create(client, Publish=True)
    client.add_permission(
        FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="*", Qualifier="1"
    )
    assert f"{ARN}f:1" in client.get_policy(FunctionName="f", Qualifier="1")["Policy"]
    assert refused(client.get_policy, FunctionName="f")[0] == "ResourceNotFoundException"


def test_tags_are_added_and_taken_off(client):
    create(client, Tags={"a": "1"})
    client.tag_resource(Resource=f"{ARN}f", Tags={"b": "2"})
    client.untag_resource(Resource=f"{ARN}f", TagKeys=["a", "none"])
    assert client.list_tags(Resource=f"{ARN}f")["Tags"] == {"b": "2"}
    assert refused(client.tag_resource, Resource=f"{ARN}f", Tags={f"k{n}": "" for n in range(50)})[0] == (
        "InvalidParameterValueException"
    )
    assert refused(client.list_tags, Resource=f"{ARN}none")[0] == "ResourceNotFoundException"


def test_reserved_concurrency_leaves_a_hundred_for_the_rest(client):
    create(client)
    create(client, "g")
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName="f")
    client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=900)
    client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=899)
    assert client.get_function(FunctionName="f")["Concurrency"] == {"ReservedConcurrentExecutions": 899}
    code, message, _ = refused(client.put_function_concurrency, FunctionName="g", ReservedConcurrentExecutions=2)
    assert code == "InvalidParameterValueException"
    assert message.endswith("below its minimum value of [100].")
    client.delete_function_concurrency(FunctionName="f")
    client.put_function_concurrency(FunctionName="g", ReservedConcurrentExecutions=2)
    assert client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 998


def test_account_settings_count_functions_and_code(client):
    size = create(client, Publish=True)["CodeSize"]
    create(client, "g")
    assert client.get_account_settings()["AccountUsage"] == {"TotalCodeSize": 3 * size, "FunctionCount": 2}


def test_what_cumulet_does_about_loops_and_runtimes_can_be_set_and_nothing_else(client):
    create(client, Publish=True)
    assert client.put_function_recursion_config(FunctionName="f", RecursiveLoop="Allow")["RecursiveLoop"] == "Allow"
    assert client.get_function_recursion_config(FunctionName="f")["RecursiveLoop"] == "Allow"
    _, message, status = refused(client.put_function_recursion_config, FunctionName="f", RecursiveLoop="Terminate")
    assert (status, message) == (501, "Lambda's setting RecursiveLoop Terminate is not implemented by Cumulet.")
    answer = client.put_runtime_management_config(FunctionName="f", UpdateRuntimeOn="Auto")
    assert (answer["UpdateRuntimeOn"], answer["FunctionArn"]) == ("Auto", f"{ARN}f:$LATEST")
    answer = client.get_runtime_management_config(FunctionName="f", Qualifier="1")
    assert (answer["UpdateRuntimeOn"], answer["FunctionArn"]) == ("Auto", f"{ARN}f:1")
    for mode in ("Manual", "FunctionUpdate"):
        arn = {"RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:" + "0" * 64} if mode == "Manual" else {}
        asked = {"FunctionName": "f", "UpdateRuntimeOn": mode, **arn}
        assert refused(client.put_runtime_management_config, **asked)[2] == 501
    for get in (client.get_function_recursion_config, client.get_runtime_management_config):
        assert refused(get, FunctionName="gone")[0] == "ResourceNotFoundException"


def test_there_are_no_functions_of_lambda_at_edge(client):
    create(client)
    assert client.list_functions(MasterRegion="us-east-1", FunctionVersion="ALL")["Functions"] == []
    assert refused(client.list_functions, MasterRegion="us-east-1")[0] == "InvalidParameterValueException"


def test_operations_that_are_not_there_are_refused_by_name(client):
    create(client)
    _, message, status = refused(client.get_function_scaling_config, FunctionName="f", Qualifier="1")
    assert status == 501
    assert "GetFunctionScalingConfig" in message
