"""Whose request it is: account keys, users' keys, sessions; and when a key stops working."""

import botocore.exceptions
import pytest


def identity(aws, **keys):
    return aws("sts", **keys).get_caller_identity()["Arn"]


def test_a_key_of_twelve_digits_is_the_account(aws):
    assert identity(aws, aws_access_key_id="123456789012") == "arn:aws:iam::123456789012:root"


def test_a_session_is_its_role_until_it_expires(aws, clock):
    trust = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}'
    )
    role = aws("iam").create_role(RoleName="r", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    made = aws("sts").assume_role(RoleArn=role, RoleSessionName="session", DurationSeconds=900)["Credentials"]
    keys = {
        "aws_access_key_id": made["AccessKeyId"],
        "aws_secret_access_key": made["SecretAccessKey"],
        "aws_session_token": made["SessionToken"],
    }
    assert identity(aws, **keys) == "arn:aws:sts::000000000000:assumed-role/r/session"
    clock.advance(901)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        identity(aws, **keys)
    assert error.value.response["Error"]["Code"] == "ExpiredToken"


def test_a_users_key_works_until_it_is_switched_off(aws):
    iam = aws("iam")
    iam.create_user(UserName="u")
    made = iam.create_access_key(UserName="u")["AccessKey"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    assert identity(aws, **keys) == "arn:aws:iam::000000000000:user/u"
    iam.update_access_key(UserName="u", AccessKeyId=made["AccessKeyId"], Status="Inactive")
    with pytest.raises(botocore.exceptions.ClientError) as error:
        identity(aws, **keys)
    assert error.value.response["Error"]["Code"] == "InvalidClientTokenId"
