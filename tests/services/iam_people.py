"""Users and roles for tests of enforcement."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

ACCOUNT, REGION = "000000000000", "us-east-1"
Json = dict[str, Any]


def document(*statements: Json) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> Json:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> Json:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def trust(principal: Json) -> str:
    return document({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})


class Person:
    """An IAM user; `p("sqs")` is a client with his keys."""

    def __init__(self, aws: Callable[..., Any], name: str, *statements: Json, **user: Any) -> None:
        self.aws, self.name = aws, name
        self.iam = aws("iam")
        self.arn = self.iam.create_user(UserName=name, **user)["User"]["Arn"]
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        self.keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
        self.may(*statements)

    def may(self, *statements: Json) -> None:
        """These statements and no others, from now on."""
        if statements:
            self.iam.put_user_policy(UserName=self.name, PolicyName="own", PolicyDocument=document(*statements))

    def __call__(self, service: str, **options: Any) -> Any:
        return self.aws(service, **self.keys, **options)


def make_role(aws: Callable[..., Any], name: str, *statements: Json, service: str = "lambda.amazonaws.com") -> str:
    """A role that a service may assume; its ARN."""
    iam = aws("iam")
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust({"Service": service}))["Role"]["Arn"]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(*statements))
    return arn
