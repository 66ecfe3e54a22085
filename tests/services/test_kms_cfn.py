"""KMS's CloudFormation types, through stacks."""

import json

import pytest

KEY = {"Type": "AWS::KMS::Key", "Properties": {"Description": "one", "EnableKeyRotation": True, "RotationPeriodInDays": 100,
       "Tags": [{"Key": "team", "Value": "a"}]}}  # fmt: skip
ALIAS = {"Type": "AWS::KMS::Alias", "Properties": {"AliasName": "alias/app", "TargetKeyId": {"Ref": "Key"}}}


@pytest.fixture
def deploy(aws, clock):
    cloudformation = aws("cloudformation")

    def run(resources, update=False):
        template = {
            "Resources": resources,
            "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Key", "Arn"]}}, "Id": {"Value": {"Ref": "Key"}}},
        }
        act = cloudformation.update_stack if update else cloudformation.create_stack
        act(StackName="s", TemplateBody=json.dumps(template))
        clock.advance(120)
        found = cloudformation.describe_stacks(StackName="s")["Stacks"][0]
        events = cloudformation.describe_stack_events(StackName="s")["StackEvents"]
        reasons = [str(event.get("ResourceStatusReason")) for event in events]
        assert found["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), reasons
        return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}

    return run


def test_a_key_and_its_alias_are_deployed_changed_and_deleted(aws, deploy, clock):
    kms = aws("kms")
    outputs = deploy({"Key": KEY, "Alias": ALIAS})
    shown = kms.describe_key(KeyId="alias/app")["KeyMetadata"]
    assert (shown["KeyId"], shown["Arn"], shown["Description"]) == (outputs["Id"], outputs["Arn"], "one")
    assert kms.get_key_rotation_status(KeyId=outputs["Id"])["RotationPeriodInDays"] == 100
    tags = {tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(KeyId=outputs["Id"])["Tags"]}
    assert tags["team"] == "a"
    policy = json.loads(kms.get_key_policy(KeyId=outputs["Id"])["Policy"])
    policy["Id"] = "mine"
    changed = {"Type": "AWS::KMS::Key", "Properties": {"Description": "two", "Enabled": False, "KeyPolicy": policy}}
    assert deploy({"Key": changed, "Alias": ALIAS}, update=True) == outputs
    shown = kms.describe_key(KeyId="alias/app")["KeyMetadata"]
    assert (shown["Description"], shown["KeyState"]) == ("two", "Disabled")
    assert json.loads(kms.get_key_policy(KeyId=outputs["Id"])["Policy"]) == policy
    assert kms.get_key_rotation_status(KeyId=outputs["Id"])["KeyRotationEnabled"] is False
    aws("cloudformation").delete_stack(StackName="s")
    clock.advance(120)
    assert kms.list_aliases()["Aliases"] == []
    assert kms.describe_key(KeyId=outputs["Id"])["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_a_key_pair_is_deployed(aws, deploy):
    pair = {
        "Type": "AWS::KMS::Key",
        "Properties": {"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY", "PendingWindowInDays": 7},
    }
    outputs = deploy({"Key": pair, "Alias": ALIAS})
    assert aws("kms").get_public_key(KeyId="alias/app")["KeyId"] == outputs["Arn"]
