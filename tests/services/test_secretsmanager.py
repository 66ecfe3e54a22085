"""Secrets Manager's secrets, versions, labels, policies and passwords, as boto3 sees them."""

import json
import string

import pytest
from botocore.exceptions import ClientError

DAY = 86_400
GONE = "Secrets Manager can't find the specified secret."
MARKED = "You can't perform this operation on the secret because it was marked for deletion."


@pytest.fixture
def sm(aws):
    return aws("secretsmanager")


@pytest.fixture
def secret(sm):
    return sm.create_secret(Name="app/db", SecretString="one", ClientRequestToken="1" * 32)["ARN"]


def refused(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def stages(sm):
    """label -> the digit of its version's id."""
    found = sm.describe_secret(SecretId="app/db").get("VersionIdsToStages", {})
    return {label: version[0] for version, labels in found.items() for label in labels}


def put(sm, digit, **request):
    return sm.put_secret_value(
        SecretId="app/db", SecretString=f"value {digit}", ClientRequestToken=str(digit) * 32, **request
    )


def test_a_secret_is_made_and_read_by_name_and_arn(sm, secret, clock):
    assert secret.startswith("arn:aws:secretsmanager:us-east-1:000000000000:secret:app/db-")
    assert len(secret.rsplit("-", 1)[1]) == 6
    for name in ("app/db", secret, secret[:-7]):
        found = sm.get_secret_value(SecretId=name)
        assert (found["SecretString"], found["VersionId"], found["VersionStages"]) == ("one", "1" * 32, ["AWSCURRENT"])
    made = sm.create_secret(Name="binary", SecretBinary=b"\x00\xff", Description="d", Tags=[{"Key": "a", "Value": "b"}])
    assert sm.get_secret_value(SecretId="binary")["SecretBinary"] == b"\x00\xff"
    shown = sm.describe_secret(SecretId="binary")
    assert (shown["ARN"], shown["Description"], shown["Tags"]) == (made["ARN"], "d", [{"Key": "a", "Value": "b"}])
    assert shown["CreatedDate"].timestamp() == pytest.approx(clock.now(), abs=1)
    assert shown["LastAccessedDate"].timestamp() == clock.now() // DAY * DAY
    assert "VersionId" not in sm.create_secret(Name="empty")
    assert refused(sm.get_secret_value, SecretId="empty") == (
        "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
    )  # fmt: skip


def test_creation_is_idempotent_by_its_token(sm, secret):
    again = sm.create_secret(Name="app/db", SecretString="one", ClientRequestToken="1" * 32)
    assert again["ARN"] == secret
    for request in ({"SecretString": "two", "ClientRequestToken": "1" * 32}, {"SecretString": "one"}):
        assert refused(sm.create_secret, Name="app/db", **request) == (
            "ResourceExistsException", "The operation failed because the secret app/db already exists.",
        )  # fmt: skip


def test_what_a_secret_cannot_be(sm):
    assert refused(sm.create_secret, Name="a b")[0] == "ValidationException"
    assert refused(sm.create_secret, Name="x" * 513)[0] == "ValidationException"
    both = refused(sm.create_secret, Name="x", SecretString="a", SecretBinary=b"a")
    assert both[0] == "InvalidParameterException"
    sm.create_secret(Name="large", SecretString="é" * 32_768)
    assert refused(sm.create_secret, Name="x", SecretString="é" * 32_768 + "e")[0] == "InvalidParameterException"
    assert refused(sm.create_secret, Name="x", SecretString="e" * 65_537)[0] == "ValidationException"
    assert "AddReplicaRegions" in refused(sm.create_secret, Name="x", AddReplicaRegions=[{"Region": "eu-west-1"}])[1]
    assert refused(sm.replicate_secret_to_regions, SecretId="x", AddReplicaRegions=[{"Region": "eu-west-1"}])[0] == (
        "NotImplemented"
    )


def test_the_quota_of_secrets(sm, cloud):
    async def fill():
        key = ("secretsmanager", "count", "000000000000", "us-east-1")
        await cloud.cloud.store.transact(lambda tx: tx.add(key, 499_999))

    cloud.run(fill())
    sm.create_secret(Name="last")
    assert refused(sm.create_secret, Name="more")[0] == "LimitExceededException"


def test_values_are_sealed_by_the_key_of_secrets_manager_or_ones_own(aws, sm, cloud, clock):
    kms = aws("kms")
    sm.create_secret(Name="a", SecretString="very secret")
    assert [one["AliasName"] for one in kms.list_aliases()["Aliases"]] == ["alias/aws/secretsmanager"]
    rows = b"".join(value for _, value in cloud.cloud.store.begin(None).scan_bytes(b"", b"\xff") if value)
    assert b"very secret" not in rows
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    sm.create_secret(Name="b", SecretString="x", KmsKeyId=key)
    kms.disable_key(KeyId=key)
    assert refused(sm.get_secret_value, SecretId="b")[0] == "DecryptionFailure"
    assert refused(sm.put_secret_value, SecretId="b", SecretString="y")[0] == "EncryptionFailure"
    sm.update_secret(SecretId="b", KmsKeyId="alias/aws/secretsmanager", Description="other key")
    sm.put_secret_value(SecretId="b", SecretString="y")
    assert sm.get_secret_value(SecretId="b")["SecretString"] == "y"
    assert refused(sm.get_secret_value, SecretId="b", VersionStage="AWSPREVIOUS")[0] == "DecryptionFailure"


# versions


def test_labels_follow_the_current_version(sm, secret):
    put(sm, 2)
    assert stages(sm) == {"AWSCURRENT": "2", "AWSPREVIOUS": "1"}
    answer = put(sm, 3, VersionStages=["AWSPENDING", "mine"])
    assert answer["VersionStages"] == ["AWSPENDING", "mine"]
    assert stages(sm) == {"AWSCURRENT": "2", "AWSPREVIOUS": "1", "AWSPENDING": "3", "mine": "3"}
    put(sm, 4)
    assert stages(sm) == {"AWSCURRENT": "4", "AWSPREVIOUS": "2", "AWSPENDING": "3", "mine": "3"}
    assert sm.get_secret_value(SecretId="app/db", VersionStage="mine")["SecretString"] == "value 3"
    assert sm.get_secret_value(SecretId="app/db", VersionId="1" * 32)["SecretString"] == "one"
    assert refused(sm.get_secret_value, SecretId="app/db", VersionId="1" * 32, VersionStage="mine") == (
        "InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId.",
    )  # fmt: skip
    assert refused(sm.get_secret_value, SecretId="app/db", VersionId="9" * 32)[0] == "ResourceNotFoundException"
    listed = sm.list_secret_version_ids(SecretId="app/db")["Versions"]
    assert {one["VersionId"][0] for one in listed} == {"2", "3", "4"}
    listed = sm.list_secret_version_ids(SecretId="app/db", IncludeDeprecated=True)["Versions"]
    assert {one["VersionId"][0] for one in listed} == {"1", "2", "3", "4"}


def test_putting_is_idempotent_by_its_token(sm, secret):
    put(sm, 2)
    put(sm, 3)
    assert put(sm, 2)["VersionStages"] == ["AWSPREVIOUS"]
    assert stages(sm) == {"AWSCURRENT": "3", "AWSPREVIOUS": "2"}
    code, message = refused(sm.put_secret_value, SecretId="app/db", SecretString="other", ClientRequestToken="2" * 32)
    assert code == "ResourceExistsException"
    assert "already in use" in message
    assert refused(sm.put_secret_value, SecretId="app/db")[0] == "InvalidParameterException"


def test_the_first_version_is_current_whatever_its_labels(sm):
    sm.create_secret(Name="app/db")
    put(sm, 1, VersionStages=["mine"])
    assert stages(sm) == {"AWSCURRENT": "1", "mine": "1"}


def test_labels_are_moved_by_hand(sm, secret):
    put(sm, 2)
    move = {"SecretId": "app/db", "VersionStage": "AWSCURRENT"}
    assert refused(sm.update_secret_version_stage, **move, MoveToVersionId="1" * 32)[0] == "InvalidParameterException"
    wrong = {"MoveToVersionId": "1" * 32, "RemoveFromVersionId": "1" * 32}
    assert refused(sm.update_secret_version_stage, **move, **wrong)[0] == "InvalidParameterException"
    sm.update_secret_version_stage(**move, MoveToVersionId="1" * 32, RemoveFromVersionId="2" * 32)
    assert stages(sm) == {"AWSCURRENT": "1", "AWSPREVIOUS": "2"}
    removal = refused(sm.update_secret_version_stage, **move, RemoveFromVersionId="1" * 32)
    assert "It can't be completely removed" in removal[1]
    sm.update_secret_version_stage(SecretId="app/db", VersionStage="mine", MoveToVersionId="2" * 32)
    sm.update_secret_version_stage(SecretId="app/db", VersionStage="mine", RemoveFromVersionId="2" * 32)
    assert stages(sm) == {"AWSCURRENT": "1", "AWSPREVIOUS": "2"}
    for version in ("MoveToVersionId", "RemoveFromVersionId"):
        code, _ = refused(sm.update_secret_version_stage, **move, **{version: "9" * 32})
        assert code == "ResourceNotFoundException"


def test_a_secret_has_twenty_labels_at_most(sm, secret):
    put(sm, 2, VersionStages=[f"label {number}" for number in range(19)])
    assert len(stages(sm)) == 20
    code, _ = refused(put, sm=sm, digit=3, VersionStages=["one more"])
    assert code == "LimitExceededException"


def test_deprecated_versions_over_a_hundred_go_when_they_are_a_day_old(sm, secret, clock):
    for _ in range(101):
        sm.put_secret_value(SecretId="app/db", SecretString="x")
    every = {"SecretId": "app/db", "IncludeDeprecated": True}
    first = sm.list_secret_version_ids(**every)
    assert len(first["Versions"]) == 100
    assert len(sm.list_secret_version_ids(**every, NextToken=first["NextToken"])["Versions"]) == 2
    clock.advance(DAY)
    sm.put_secret_value(SecretId="app/db", SecretString="y")
    left = sm.list_secret_version_ids(**every)
    assert len(left["Versions"]) == 100
    assert "NextToken" not in left
    assert refused(sm.get_secret_value, SecretId="app/db", VersionId="1" * 32)[0] == "ResourceNotFoundException"


def test_a_secret_is_updated(sm, secret):
    sm.update_secret(SecretId="app/db", Description="new", SecretString="two", ClientRequestToken="2" * 32)
    assert stages(sm) == {"AWSCURRENT": "2", "AWSPREVIOUS": "1"}
    sm.update_secret(SecretId="app/db", Description="newer")
    assert sm.describe_secret(SecretId="app/db")["Description"] == "newer"
    assert sm.get_secret_value(SecretId="app/db")["SecretString"] == "two"


# deletion


def test_a_secret_is_deleted_after_its_recovery_window(sm, secret, clock, cloud):
    answer = sm.delete_secret(SecretId="app/db", RecoveryWindowInDays=7)
    assert answer["DeletionDate"].timestamp() == pytest.approx(clock.now() + 7 * DAY, abs=1)
    for action, request in (
        (sm.get_secret_value, {}), (sm.put_secret_value, {"SecretString": "x"}), (sm.update_secret, {"Description": "x"}),
        (sm.tag_resource, {"Tags": []}),
    ):  # fmt: skip
        assert refused(action, SecretId="app/db", **request) == ("InvalidRequestException", MARKED)
    assert refused(sm.delete_secret, SecretId="app/db")[0] == "InvalidRequestException"
    assert refused(sm.create_secret, Name="app/db")[0] == "InvalidRequestException"
    assert sm.list_secrets()["SecretList"] == []
    assert sm.list_secrets(IncludePlannedDeletion=True)["SecretList"][0]["DeletedDate"]
    clock.advance(7 * DAY - 1)
    sm.describe_secret(SecretId="app/db")
    clock.advance(2)
    assert refused(sm.describe_secret, SecretId="app/db") == ("ResourceNotFoundException", GONE)
    assert [k for k in cloud.cloud.store.begin(None).scan_keys(("secretsmanager",)) if k[1] != "count"] == []


def test_a_secret_is_restored(sm, secret, clock):
    sm.delete_secret(SecretId="app/db")
    clock.advance(29 * DAY)
    assert sm.restore_secret(SecretId="app/db")["ARN"] == secret
    clock.advance(30 * DAY)
    assert sm.get_secret_value(SecretId="app/db")["SecretString"] == "one"


def test_a_second_deletion_has_its_own_window(sm, secret, clock):
    sm.delete_secret(SecretId="app/db", RecoveryWindowInDays=7)
    sm.restore_secret(SecretId="app/db")
    sm.delete_secret(SecretId="app/db", RecoveryWindowInDays=30)
    clock.advance(8 * DAY)
    assert sm.describe_secret(SecretId="app/db")["DeletedDate"]
    clock.advance(23 * DAY)
    assert refused(sm.describe_secret, SecretId="app/db") == ("ResourceNotFoundException", GONE)


def test_a_secret_is_deleted_at_once(sm, secret):
    for request in ({"RecoveryWindowInDays": 6}, {"RecoveryWindowInDays": 31}):
        assert refused(sm.delete_secret, SecretId="app/db", **request)[0] == "InvalidParameterException"
    both = {"RecoveryWindowInDays": 7, "ForceDeleteWithoutRecovery": True}
    assert refused(sm.delete_secret, SecretId="app/db", **both)[0] == "InvalidParameterException"
    sm.delete_secret(SecretId="app/db", ForceDeleteWithoutRecovery=True)
    assert refused(sm.get_secret_value, SecretId="app/db") == ("ResourceNotFoundException", GONE)
    sm.delete_secret(SecretId="app/db", ForceDeleteWithoutRecovery=True)
    assert refused(sm.delete_secret, SecretId="app/db")[0] == "ResourceNotFoundException"
    assert sm.create_secret(Name="app/db")["ARN"] != secret


# lists


@pytest.fixture
def several(sm, clock):
    for name, description, tag in (
        ("web/a", "Database of the shop", "red"),
        ("web/b", "token", "blue"),
        ("job/c", "", "red"),
    ):
        sm.create_secret(Name=name, SecretString=name, Description=description, Tags=[{"Key": "colour", "Value": tag}])
        clock.advance(1)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ([], {"web/a", "web/b", "job/c"}),
        ([("name", "web/")], {"web/a", "web/b"}),
        ([("name", "!web/")], {"job/c"}),
        ([("name", "WEB/")], set()),
        ([("description", "database")], {"web/a"}),
        ([("tag-key", "col")], {"web/a", "web/b", "job/c"}),
        ([("tag-value", "red"), ("name", "web")], {"web/a"}),
        ([("all", "SHOP")], {"web/a"}),
        ([("owning-service", "rds")], set()),
    ],
)
def test_secrets_are_filtered(sm, several, filters, names):
    found = sm.list_secrets(Filters=[{"Key": key, "Values": [value]} for key, value in filters])["SecretList"]
    assert {one["Name"] for one in found} == names


def test_secrets_are_sorted_and_paged(sm, several):
    assert [one["Name"] for one in sm.list_secrets()["SecretList"]] == ["job/c", "web/b", "web/a"]
    pages = list(
        sm.get_paginator("list_secrets").paginate(SortOrder="asc", SortBy="name", PaginationConfig={"PageSize": 2})
    )
    assert [[one["Name"] for one in page["SecretList"]] for page in pages] == [["job/c", "web/a"], ["web/b"]]
    assert refused(sm.list_secrets, NextToken="x")[0] == "InvalidNextTokenException"


def test_many_values_are_read_at_once(sm, several):
    answer = sm.batch_get_secret_value(SecretIdList=["web/a", "none", "job/c"])
    assert [one["SecretString"] for one in answer["SecretValues"]] == ["web/a", "job/c"]
    assert answer["Errors"] == [{"SecretId": "none", "ErrorCode": "ResourceNotFoundException", "Message": GONE}]
    answer = sm.batch_get_secret_value(Filters=[{"Key": "name", "Values": ["web/"]}], MaxResults=1)
    assert len(answer["SecretValues"]) == 1
    assert answer["NextToken"]
    assert refused(sm.batch_get_secret_value)[0] == "InvalidParameterException"
    assert refused(sm.batch_get_secret_value, SecretIdList=["a"] * 21)[0] == "ValidationException"


def test_tags_are_added_and_taken_off(sm, secret):
    sm.tag_resource(SecretId="app/db", Tags=[{"Key": f"t{number:02}", "Value": "v"} for number in range(50)])
    assert (
        refused(sm.tag_resource, SecretId="app/db", Tags=[{"Key": "x", "Value": ""}])[0] == "InvalidParameterException"
    )
    sm.untag_resource(SecretId="app/db", TagKeys=[f"t{number:02}" for number in range(49)])
    assert sm.describe_secret(SecretId="app/db")["Tags"] == [{"Key": "t49", "Value": "v"}]
    assert refused(sm.tag_resource, SecretId="app/db", Tags=[{"Key": "aws:x"}])[0] == "InvalidParameterException"


# policies and passwords


def test_policies_are_checked_and_kept(sm, secret):
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
              "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]}  # fmt: skip
    text = json.dumps(policy)
    assert "ResourcePolicy" not in sm.get_resource_policy(SecretId="app/db")
    sm.put_resource_policy(SecretId="app/db", ResourcePolicy=text)
    assert sm.get_resource_policy(SecretId="app/db")["ResourcePolicy"] == text
    assert sm.validate_resource_policy(ResourcePolicy=text)["PolicyValidationPassed"] is True
    policy["Statement"][0]["Principal"] = "*"
    public = json.dumps(policy)
    checked = sm.validate_resource_policy(SecretId="app/db", ResourcePolicy=public)
    assert [one["CheckName"] for one in checked["ValidationErrors"]] == ["PUBLIC_ACCESS"]
    code, _ = refused(sm.put_resource_policy, SecretId="app/db", ResourcePolicy=public, BlockPublicPolicy=True)
    assert code == "PublicPolicyException"
    sm.put_resource_policy(SecretId="app/db", ResourcePolicy=public)
    for wrong in ("{", "{}", '{"Statement": [{"Effect": "Maybe"}]}'):
        code, _ = refused(sm.put_resource_policy, SecretId="app/db", ResourcePolicy=wrong)
        assert code == "MalformedPolicyDocumentException"
    assert refused(sm.put_resource_policy, SecretId="app/db", ResourcePolicy="x" * 20_481)[0] == "ValidationException"
    sm.delete_resource_policy(SecretId="app/db")
    assert "ResourcePolicy" not in sm.get_resource_policy(SecretId="app/db")


def test_passwords_are_random_and_as_they_are_wanted(sm):
    kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits, string.punctuation)
    made = {sm.get_random_password()["RandomPassword"] for _ in range(5)}
    assert len(made) == 5
    for password in made:
        assert len(password) == 32
        assert all(set(password) & set(kind) for kind in kinds)
    short = sm.get_random_password(PasswordLength=4)["RandomPassword"]
    assert sorted(next(at for at, kind in enumerate(kinds) if letter in kind) for letter in short) == [0, 1, 2, 3]
    only = sm.get_random_password(
        PasswordLength=4096, ExcludePunctuation=True, ExcludeUppercase=True, ExcludeNumbers=True, ExcludeCharacters="abc",
        IncludeSpace=True,
    )["RandomPassword"]  # fmt: skip
    assert set(only) == set(string.ascii_lowercase + " ") - set("abc")
    assert refused(sm.get_random_password, PasswordLength=3)[0] == "InvalidParameterException"
    sm.get_random_password(PasswordLength=3, RequireEachIncludedType=False)
    none = {"ExcludePunctuation": True, "ExcludeUppercase": True, "ExcludeNumbers": True, "ExcludeLowercase": True}
    assert refused(sm.get_random_password, **none)[0] == "InvalidParameterException"
    assert refused(sm.get_random_password, PasswordLength=4097)[0] == "ValidationException"
