"""STS: who a key is, and temporary credentials."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cumulet.aws.errors import AwsError
from cumulet.services import iam, sts
from cumulet.testing.inprocess import ACCOUNT, InProcess

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
ROLE = f"arn:aws:iam::{ACCOUNT}:role/app/worker"


def in_process(test: Callable[[InProcess], Awaitable[None]]) -> None:
    async def run() -> None:
        async with InProcess([iam.SERVICE, sts.SERVICE]) as cloud:
            role = {
                "RoleName": "worker",
                "Path": "/app/",
                "AssumeRolePolicyDocument": TRUST,
                "MaxSessionDuration": 7200,
            }
            await cloud.call("iam", "CreateRole", role)
            await test(cloud)

    asyncio.run(run())


def test_a_role_keeps_its_credentials_until_an_hour_is_left() -> None:
    async def check(cloud: InProcess) -> None:
        request = {"RoleArn": ROLE, "RoleSessionName": "fn"}
        first = await cloud.call("sts", "cumulet:RoleCredentials", request)
        assert first["AccessKeyId"].startswith("ASIA") and len(first["AccessKeyId"]) == 20
        assert first["Expiration"] == cloud.clock.now() + 12 * 3600
        await cloud.advance(11 * 3600 - 1)
        assert await cloud.call("sts", "cumulet:RoleCredentials", request) == first
        await cloud.advance(1)
        second = await cloud.call("sts", "cumulet:RoleCredentials", request)
        assert second["AccessKeyId"] != first["AccessKeyId"]
        assert (await cloud.call("sts", "cumulet:Identity", {"AccessKeyId": first["AccessKeyId"]}))["SecretAccessKey"]

    in_process(check)


def test_the_caller_of_a_session_is_the_assumed_role() -> None:
    async def check(cloud: InProcess) -> None:
        made = await cloud.call("sts", "AssumeRole", {"RoleArn": ROLE, "RoleSessionName": "job-1"})
        key = made["Credentials"]["AccessKeyId"]
        me = await cloud.call("sts", "GetCallerIdentity", {}, access_key=key)
        role_id = (await cloud.call("iam", "GetRole", {"RoleName": "worker"}))["Role"]["RoleId"]
        assert me["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/job-1" == made["AssumedRoleUser"]["Arn"]
        assert me["UserId"] == f"{role_id}:job-1" == made["AssumedRoleUser"]["AssumedRoleId"]

    in_process(check)


def test_an_expired_session_says_so_and_is_then_forgotten() -> None:
    async def check(cloud: InProcess) -> None:
        request = {"RoleArn": ROLE, "RoleSessionName": "s", "DurationSeconds": 900}
        key = (await cloud.call("sts", "AssumeRole", request))["Credentials"]["AccessKeyId"]
        await cloud.advance(899)
        assert (await cloud.call("sts", "cumulet:Identity", {"AccessKeyId": key}))["AccountId"] == ACCOUNT
        await cloud.advance(1)
        with pytest.raises(AwsError) as caught:
            await cloud.call("sts", "GetCallerIdentity", {}, access_key=key)
        assert (caught.value.wire_code, caught.value.http_status) == ("ExpiredToken", 403)
        await cloud.advance(3600)
        assert await cloud.call("sts", "cumulet:Identity", {"AccessKeyId": key}) == {}

    in_process(check)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"DurationSeconds": 7201}, "ValidationError"),
        ({"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/none"}, "AccessDenied"),
        ({"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/worker"}, "AccessDenied"),  # the path is missing
        ({"RoleArn": f"arn:aws:iam::{ACCOUNT}:user/worker-worker"}, "ValidationError"),
        ({"Policy": "{"}, "MalformedPolicyDocument"),
        ({"SerialNumber": "arn:aws:iam::1:mfa/x", "TokenCode": "123456"}, "NotImplemented"),
    ],
)
def test_a_role_is_not_assumed_when(change: dict[str, Any], code: str) -> None:
    async def check(cloud: InProcess) -> None:
        with pytest.raises(AwsError) as caught:
            await cloud.call("sts", "AssumeRole", {"RoleArn": ROLE, "RoleSessionName": "s", **change})
        assert caught.value.wire_code == code

    in_process(check)


def test_a_chained_session_lasts_an_hour_at_most() -> None:
    async def check(cloud: InProcess) -> None:
        request = {"RoleArn": ROLE, "RoleSessionName": "s", "DurationSeconds": 3601}
        key = (await cloud.call("sts", "AssumeRole", request))["Credentials"]["AccessKeyId"]
        with pytest.raises(AwsError, match="1 hour session limit"):
            await cloud.call("sts", "AssumeRole", request, access_key=key)
        await cloud.call("sts", "AssumeRole", {**request, "DurationSeconds": 3600}, access_key=key)

    in_process(check)


def test_a_plain_key_is_the_root_and_twelve_digits_are_an_account(aws: Any) -> None:
    me = aws("sts").get_caller_identity()
    assert (me["Account"], me["Arn"], me["UserId"]) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)
    other = aws("sts", aws_access_key_id="123456789012")
    assert other.get_caller_identity()["Arn"] == "arn:aws:iam::123456789012:root"


def test_a_user_is_known_by_its_key_and_may_have_a_session(aws: Any) -> None:
    user = aws("iam").create_user(UserName="anna", Path="/team/")["User"]
    key = aws("iam").create_access_key(UserName="anna")["AccessKey"]
    plain = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    me = aws("sts", **plain).get_caller_identity()
    assert (me["Arn"], me["UserId"]) == (user["Arn"], user["UserId"])
    session = aws("sts", **plain).get_session_token()["Credentials"]
    temporary = {
        "aws_access_key_id": session["AccessKeyId"],
        "aws_secret_access_key": session["SecretAccessKey"],
        "aws_session_token": session["SessionToken"],
    }
    assert aws("sts", **temporary).get_caller_identity()["UserId"] == user["UserId"]
    with pytest.raises(ClientError, match="Cannot call GetSessionToken with session credentials"):
        aws("sts", **temporary).get_session_token()
    assert aws("sts").get_access_key_info(AccessKeyId=key["AccessKeyId"])["Account"] == ACCOUNT


def test_the_account_of_an_unknown_key_is_not_invented(aws: Any) -> None:
    with pytest.raises(ClientError) as caught:
        aws("sts").get_access_key_info(AccessKeyId="AKIAIOSFODNN7EXAMPLE")
    assert caught.value.response["Error"]["Code"] == "InvalidClientTokenId"
