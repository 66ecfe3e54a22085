"""KMS's keys, aliases, policies, grants, tags and rotation, as boto3 sees them."""

import json

import pytest
from botocore.exceptions import ClientError

DAY = 86_400
MISSING = "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-0000-0000-000000000000"


@pytest.fixture
def kms(aws):
    return aws("kms")


@pytest.fixture
def key(kms):
    return kms.create_key()["KeyMetadata"]["KeyId"]


def refused(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def arn_of(key):
    return f"arn:aws:kms:us-east-1:000000000000:key/{key}"


def state(kms, key):
    return kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]


def test_a_key_says_what_it_is(kms, clock):
    made = kms.create_key(Description="orders", Tags=[{"TagKey": "team", "TagValue": "a"}])["KeyMetadata"]
    assert made == kms.describe_key(KeyId=made["Arn"])["KeyMetadata"]
    assert made["Arn"] == arn_of(made["KeyId"])
    assert made["CreationDate"].timestamp() == pytest.approx(clock.now(), abs=1)
    shown = {
        name: made[name]
        for name in ("Description", "Enabled", "KeyState", "KeySpec", "KeyUsage", "Origin", "KeyManager")
    }
    assert shown == {
        "Description": "orders", "Enabled": True, "KeyState": "Enabled", "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyUsage": "ENCRYPT_DECRYPT", "Origin": "AWS_KMS", "KeyManager": "CUSTOMER",
    }  # fmt: skip
    assert made["EncryptionAlgorithms"] == ["SYMMETRIC_DEFAULT"]
    assert kms.list_resource_tags(KeyId=made["KeyId"])["Tags"] == [{"TagKey": "team", "TagValue": "a"}]


@pytest.mark.parametrize(
    ("spec", "usage", "member", "names"),
    [
        ("RSA_2048", "ENCRYPT_DECRYPT", "EncryptionAlgorithms", {"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"}),
        ("ECC_NIST_P384", "SIGN_VERIFY", "SigningAlgorithms", {"ECDSA_SHA_384"}),
        ("ECC_NIST_P256", "KEY_AGREEMENT", "KeyAgreementAlgorithms", {"ECDH"}),
        ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY", "SigningAlgorithms", {"ED25519_SHA_512"}),
        ("HMAC_512", "GENERATE_VERIFY_MAC", "MacAlgorithms", {"HMAC_SHA_512"}),
    ],
)
def test_other_specs_say_what_they_can_do(kms, spec, usage, member, names):
    made = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
    assert set(made[member]) == names
    assert made["KeyUsage"] == usage


def test_what_a_key_cannot_be_is_refused(kms):
    assert refused(kms.create_key, KeySpec="RSA_2048")[0] == "ValidationException"
    assert refused(kms.create_key, KeySpec="HMAC_256", KeyUsage="SIGN_VERIFY")[0] == "ValidationException"
    assert refused(kms.create_key, KeySpec="RSA_2048", CustomerMasterKeySpec="RSA_2048")[0] == "ValidationException"
    assert "MultiRegion" in refused(kms.create_key, MultiRegion=True)[1]
    assert "AWS_CLOUDHSM" in refused(kms.create_key, Origin="AWS_CLOUDHSM")[1]
    assert "CustomKeyStoreId" in refused(kms.create_key, CustomKeyStoreId="cks-1")[1]
    assert "ML_DSA_44" in refused(kms.create_key, KeySpec="ML_DSA_44", KeyUsage="SIGN_VERIFY")[1]
    assert refused(kms.create_key, Description="d" * 8193)[0] == "ValidationException"
    kms.create_key(Description="d" * 8192)
    assert refused(kms.replicate_key, KeyId="k", ReplicaRegion="eu-west-1")[0] == "NotImplemented"


def test_keys_that_are_not_there(kms, aws):
    assert refused(kms.describe_key, KeyId=MISSING) == ("NotFoundException", f"Key '{MISSING}' does not exist")
    assert refused(kms.describe_key, KeyId="nothing") == ("NotFoundException", "Invalid keyId 'nothing'")
    assert refused(kms.describe_key, KeyId="alias/none") == (
        "NotFoundException", "Alias arn:aws:kms:us-east-1:000000000000:alias/none is not found.",
    )  # fmt: skip
    there = kms.create_key()["KeyMetadata"]
    assert refused(aws("kms", region_name="eu-west-1").describe_key, KeyId=there["KeyId"])[0] == "NotFoundException"
    assert refused(aws("kms", region_name="eu-west-1").describe_key, KeyId=there["Arn"]) == (
        "NotFoundException", "Invalid arn us-east-1",
    )  # fmt: skip


def test_keys_are_listed_in_pages(kms):
    made = {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(5)}
    pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["Keys"]) for page in pages] == [2, 2, 1]
    assert {one["KeyId"] for page in pages for one in page["Keys"]} == made
    assert refused(kms.list_keys, Marker="x")[0] == "InvalidMarkerException"


def test_the_quota_of_keys(kms, cloud, key):
    async def fill(left):
        await cloud.cloud.store.transact(lambda tx: tx.add(("kms", "count", "000000000000", "us-east-1"), left))

    cloud.run(fill(99_999 - 1))
    second = kms.create_key()["KeyMetadata"]["KeyId"]
    assert refused(kms.create_key)[0] == "LimitExceededException"
    assert refused(kms.create_key, KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")[0] == "LimitExceededException"
    kms.describe_key(KeyId="alias/aws/sqs")  # those of AWS do not count
    assert state(kms, second) == "Enabled"


# states


def test_a_disabled_key_is_not_used(kms, key):
    kms.disable_key(KeyId=key)
    assert refused(kms.encrypt, KeyId=key, Plaintext=b"x") == ("DisabledException", f"{arn_of(key)} is disabled.")
    assert refused(kms.enable_key_rotation, KeyId=key)[0] == "DisabledException"
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Enabled"] is False
    kms.enable_key(KeyId=key)
    kms.encrypt(KeyId=key, Plaintext=b"x")


def test_a_key_is_deleted_after_its_waiting_period(kms, key, clock, cloud):
    kms.create_alias(AliasName="alias/a", TargetKeyId=key)
    kms.create_grant(KeyId=key, GranteePrincipal="arn:aws:iam::000000000000:role/r", Operations=["Decrypt"])
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    answer = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert (answer["KeyId"], answer["KeyState"], answer["PendingWindowInDays"]) == (arn_of(key), "PendingDeletion", 7)
    for action, request in (
        (kms.encrypt, {"Plaintext": b"x"}), (kms.enable_key, {}), (kms.disable_key, {}), (kms.schedule_key_deletion, {}),
        (kms.create_grant, {"GranteePrincipal": "p", "Operations": ["Decrypt"]}), (kms.update_key_description, {"Description": "d"}),
    ):  # fmt: skip
        assert refused(action, KeyId=key, **request) == (
            "KMSInvalidStateException", f"{arn_of(key)} is pending deletion.",
        )  # fmt: skip
    assert refused(kms.decrypt, CiphertextBlob=blob)[0] == "KMSInvalidStateException"
    assert refused(kms.create_alias, AliasName="alias/b", TargetKeyId=key)[0] == "KMSInvalidStateException"
    clock.advance(7 * DAY - 1)
    assert state(kms, key) == "PendingDeletion"
    clock.advance(2)
    assert refused(kms.describe_key, KeyId=key)[0] == "NotFoundException"
    assert refused(kms.decrypt, CiphertextBlob=blob)[0] == "AccessDeniedException"
    assert kms.list_aliases()["Aliases"] == []
    left = [k for k in cloud.cloud.store.begin(None).scan_keys(("kms",)) if k[1] != "count"]
    assert left == []


def test_a_deletion_can_be_cancelled(kms, key, clock):
    assert refused(kms.cancel_key_deletion, KeyId=key) == (
        "KMSInvalidStateException", f"{arn_of(key)} is not pending deletion.",
    )  # fmt: skip
    for days in (6, 31):
        assert refused(kms.schedule_key_deletion, KeyId=key, PendingWindowInDays=days)[0] == "ValidationException"
    kms.schedule_key_deletion(KeyId=key)
    clock.advance(29 * DAY)
    assert kms.cancel_key_deletion(KeyId=key)["KeyId"] == arn_of(key)
    assert state(kms, key) == "Disabled"
    clock.advance(30 * DAY)
    kms.enable_key(KeyId=key)
    assert state(kms, key) == "Enabled"


def test_a_description_is_changed(kms, key):
    kms.update_key_description(KeyId=key, Description="new")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Description"] == "new"


# aliases


def test_an_alias_stands_for_a_key(kms, key):
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/app", TargetKeyId=key)
    assert kms.encrypt(KeyId="alias/app", Plaintext=b"x")["KeyId"] == arn_of(key)
    kms.update_alias(AliasName="alias/app", TargetKeyId=other)
    alias = "arn:aws:kms:us-east-1:000000000000:alias/app"
    assert kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"] == other
    listed = kms.list_aliases(KeyId=other)["Aliases"]
    assert [(one["AliasName"], one["AliasArn"], one["TargetKeyId"]) for one in listed] == [("alias/app", alias, other)]
    assert kms.list_aliases(KeyId=key)["Aliases"] == []
    kms.delete_alias(AliasName="alias/app")
    assert refused(kms.delete_alias, AliasName="alias/app") == ("NotFoundException", f"Alias {alias} is not found.")


def test_an_alias_that_moved_survives_the_key_it_had(kms, key, clock):
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/app", TargetKeyId=key)
    kms.update_alias(AliasName="alias/app", TargetKeyId=other)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    clock.advance(8 * DAY)
    assert refused(kms.describe_key, KeyId=key)[0] == "NotFoundException"
    assert kms.describe_key(KeyId="alias/app")["KeyMetadata"]["KeyId"] == other


def test_aliases_that_cannot_be(kms, key):
    kms.create_alias(AliasName="alias/app", TargetKeyId=key)
    assert refused(kms.create_alias, AliasName="alias/app", TargetKeyId=key) == (
        "AlreadyExistsException",
        "An alias with the name arn:aws:kms:us-east-1:000000000000:alias/app already exists",
    )
    assert refused(kms.create_alias, AliasName="app", TargetKeyId=key)[0] == "ValidationException"
    assert refused(kms.create_alias, AliasName="alias/aws/app", TargetKeyId=key)[0] == "NotAuthorizedException"
    assert refused(kms.create_alias, AliasName="alias/b", TargetKeyId="alias/app")[0] == "NotFoundException"
    assert refused(kms.disable_key, KeyId="alias/app") == ("NotFoundException", "Invalid keyId 'alias/app'")
    mac = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    assert refused(kms.update_alias, AliasName="alias/app", TargetKeyId=mac)[0] == "ValidationException"


def test_a_key_has_fifty_aliases_at_most(kms, key):
    for number in range(50):
        kms.create_alias(AliasName=f"alias/{number:02}", TargetKeyId=key)
    assert refused(kms.create_alias, AliasName="alias/50", TargetKeyId=key)[0] == "LimitExceededException"
    pages = list(kms.get_paginator("list_aliases").paginate(PaginationConfig={"PageSize": 20}))
    assert [len(page["Aliases"]) for page in pages] == [20, 20, 10]


def test_a_key_of_aws_is_made_at_its_first_use_and_is_for_its_service_alone(kms, clock):
    assert kms.list_aliases()["Aliases"] == []
    made = kms.describe_key(KeyId="alias/aws/sqs")["KeyMetadata"]
    assert (made["KeyManager"], kms.describe_key(KeyId="alias/aws/sqs")["KeyMetadata"]["KeyId"]) == (
        "AWS",
        made["KeyId"],
    )
    assert [one["AliasName"] for one in kms.list_aliases()["Aliases"]] == ["alias/aws/sqs"]
    for action, request in ((kms.encrypt, {"Plaintext": b"x"}), (kms.schedule_key_deletion, {}), (kms.disable_key, {})):
        assert refused(action, KeyId=made["KeyId"], **request)[0] == "AccessDeniedException"
    assert kms.get_key_rotation_status(KeyId=made["KeyId"])["RotationPeriodInDays"] == 365
    clock.advance(366 * DAY)
    assert len(kms.list_key_rotations(KeyId=made["KeyId"])["Rotations"]) == 1
    assert refused(kms.describe_key, KeyId="alias/aws/nothing")[0] == "NotFoundException"


# policies and tags


def test_a_key_policy_is_kept_and_checked(kms, key):
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    assert policy["Statement"][0]["Principal"] == {"AWS": "arn:aws:iam::000000000000:root"}
    policy["Statement"].append({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:Decrypt", "Resource": "*"})
    kms.put_key_policy(KeyId=key, Policy=json.dumps(policy))
    assert json.loads(kms.get_key_policy(KeyId=key)["Policy"]) == policy
    assert kms.list_key_policies(KeyId=key)["PolicyNames"] == ["default"]
    assert refused(kms.get_key_policy, KeyId=key, PolicyName="other") == ("NotFoundException", "No such policy exists")
    locked = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:Decrypt", "Resource": "*"}]}
    assert refused(kms.put_key_policy, KeyId=key, Policy=json.dumps(locked)) == (
        "MalformedPolicyDocumentException", "The new key policy will not allow you to update the key policy in the future.",
    )  # fmt: skip
    kms.put_key_policy(KeyId=key, Policy=json.dumps(locked), BypassPolicyLockoutSafetyCheck=True)
    for wrong in ("{", "{}", '{"Statement": [{"Effect": "Allow", "Principal": "*"}]}'):
        assert refused(kms.put_key_policy, KeyId=key, Policy=wrong)[0] == "MalformedPolicyDocumentException"
        assert refused(kms.create_key, Policy=wrong)[0] == "MalformedPolicyDocumentException"


def test_a_key_policy_has_32_kilobytes_at_most(kms, key):
    text = kms.get_key_policy(KeyId=key)["Policy"]
    kms.put_key_policy(KeyId=key, Policy=text + " " * (32_768 - len(text)))
    code, _ = refused(kms.put_key_policy, KeyId=key, Policy=text + " " * (32_769 - len(text)))
    assert code == "LimitExceededException"


def test_tags_are_added_and_taken_off(kms, key):
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": f"t{number:02}", "TagValue": ""} for number in range(50)])
    assert refused(kms.tag_resource, KeyId=key, Tags=[{"TagKey": "x", "TagValue": ""}])[0] == "LimitExceededException"
    kms.untag_resource(KeyId=key, TagKeys=[f"t{number:02}" for number in range(49)])
    assert kms.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "t49", "TagValue": ""}]
    assert refused(kms.tag_resource, KeyId=key, Tags=[{"TagKey": "aws:x", "TagValue": ""}])[0] == "TagException"


# grants


def test_grants_are_made_listed_and_taken_back(kms, key, cloud):
    role, retiring = "arn:aws:iam::000000000000:role/r", "arn:aws:iam::000000000000:role/retiring"
    terms = {
        "KeyId": key, "GranteePrincipal": role, "RetiringPrincipal": retiring, "Operations": ["Decrypt", "Encrypt"], "Name": "n",
        "Constraints": {"EncryptionContextSubset": {"a": "b"}},
    }  # fmt: skip
    first = kms.create_grant(**terms)
    second = kms.create_grant(**terms)
    assert first["GrantId"] == second["GrantId"]
    assert first["GrantToken"] != second["GrantToken"]
    shown = kms.list_grants(KeyId=key)["Grants"]
    assert [one["GrantId"] for one in shown] == [first["GrantId"]]
    assert (shown[0]["Constraints"], shown[0]["Name"]) == (terms["Constraints"], "n")
    assert kms.list_retirable_grants(RetiringPrincipal=retiring)["Grants"] == shown
    assert kms.list_grants(KeyId=key, GranteePrincipal="other")["Grants"] == []
    kms.encrypt(KeyId=key, Plaintext=b"x", GrantTokens=[second["GrantToken"]])
    assert refused(kms.create_grant, **{**terms, "Operations": ["Sign"]})[0] == "ValidationException"
    assert refused(kms.create_grant, **terms, DryRun=True)[0] == "DryRunOperationException"
    kms.retire_grant(GrantToken=second["GrantToken"])
    for token in (first["GrantToken"], second["GrantToken"]):
        assert refused(kms.encrypt, KeyId=key, Plaintext=b"x", GrantTokens=[token])[0] == "InvalidGrantTokenException"
    third = kms.create_grant(KeyId=key, GranteePrincipal=role, Operations=["DescribeKey"])
    kms.revoke_grant(KeyId=key, GrantId=third["GrantId"])
    assert refused(kms.revoke_grant, KeyId=key, GrantId=third["GrantId"])[0] == "NotFoundException"
    assert refused(kms.list_grants, KeyId=key, GrantId=third["GrantId"])[0] == "InvalidGrantIdException"
    fourth = kms.create_grant(KeyId=key, GranteePrincipal=role, Operations=["DescribeKey"])
    kms.retire_grant(KeyId=arn_of(key), GrantId=fourth["GrantId"])
    assert kms.list_grants(KeyId=key)["Grants"] == []


def test_the_quota_of_grants(kms, key, cloud):
    async def fill():
        await cloud.cloud.store.transact(lambda tx: tx.add(("kms", "grants", key), 49_999))

    cloud.run(fill())
    kms.create_grant(KeyId=key, GranteePrincipal="p", Operations=["Decrypt"])
    assert (
        refused(kms.create_grant, KeyId=key, GranteePrincipal="p", Operations=["Decrypt"])[0]
        == "LimitExceededException"
    )


# rotation


def test_material_rotates_by_the_clock_and_the_old_one_still_decrypts(kms, key, clock):
    blobs = [kms.encrypt(KeyId=key, Plaintext=b"0")["CiphertextBlob"]]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    due = kms.get_key_rotation_status(KeyId=key)["NextRotationDate"].timestamp()
    assert due == pytest.approx(clock.now() + 90 * DAY, abs=1)
    materials = []
    for number in (b"1", b"2"):
        clock.advance(90 * DAY + 1)
        blobs.append(kms.encrypt(KeyId=key, Plaintext=number)["CiphertextBlob"])
    for number, blob in enumerate(blobs):
        answer = kms.decrypt(CiphertextBlob=blob)
        assert answer["Plaintext"] == str(number).encode()
        materials.append(answer["KeyMaterialId"])
    assert len(set(materials)) == 3
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"] == materials[2]
    rotations = kms.list_key_rotations(KeyId=key)["Rotations"]
    assert [(one["KeyMaterialId"], one["RotationType"], one["KeyMaterialState"]) for one in rotations] == [
        (materials[2], "AUTOMATIC", "CURRENT"),
        (materials[1], "AUTOMATIC", "NON_CURRENT"),
    ]
    every = kms.list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert [one["KeyMaterialId"] for one in every] == materials[::-1]
    kms.disable_key_rotation(KeyId=key)
    clock.advance(400 * DAY)
    assert len(kms.list_key_rotations(KeyId=key)["Rotations"]) == 2


def test_a_rotation_that_fell_due_while_the_key_was_disabled_is_done_when_it_is_enabled(kms, key, clock):
    kms.enable_key_rotation(KeyId=key)
    kms.disable_key(KeyId=key)
    clock.advance(366 * DAY)
    assert kms.list_key_rotations(KeyId=key)["Rotations"] == []
    kms.enable_key(KeyId=key)
    assert len(kms.list_key_rotations(KeyId=key)["Rotations"]) == 1
    clock.advance(364 * DAY)
    assert len(kms.list_key_rotations(KeyId=key)["Rotations"]) == 1
    clock.advance(2 * DAY)
    assert len(kms.list_key_rotations(KeyId=key)["Rotations"]) == 2


def test_a_key_is_rotated_on_demand_25_times_at_most(kms, key):
    for _ in range(25):
        assert kms.rotate_key_on_demand(KeyId=key)["KeyId"] == key
    assert refused(kms.rotate_key_on_demand, KeyId=key)[0] == "LimitExceededException"
    pages = list(kms.get_paginator("list_key_rotations").paginate(KeyId=key, PaginationConfig={"PageSize": 10}))
    kinds = [[one["RotationType"] for one in page["Rotations"]] for page in pages]
    assert kinds == [["ON_DEMAND"] * 10, ["ON_DEMAND"] * 10, ["ON_DEMAND"] * 5]


def test_only_symmetric_keys_rotate(kms):
    mac = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    for action in (
        kms.enable_key_rotation,
        kms.rotate_key_on_demand,
        kms.get_key_rotation_status,
        kms.list_key_rotations,
    ):
        assert refused(action, KeyId=mac)[0] == "UnsupportedOperationException"
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    assert refused(kms.enable_key_rotation, KeyId=key, RotationPeriodInDays=2561)[0] == "ValidationException"
