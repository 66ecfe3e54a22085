"""What Secrets Manager's operations need of IAM; a secret may have a policy of its own.

Source: Service Authorization Reference, "AWS Secrets Manager" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cumulet.aws.errors import AwsError
from cumulet.kernel.authz import Authz, Need, Needs
from cumulet.kernel.context import Context
from cumulet.services.secretsmanager.lookup import found

Json = dict[str, Any]


def _need(ctx: Context, action: str, name: str, req: Json) -> Need:
    facts: Json = {"secretsmanager:SecretId": name}
    for member in ("VersionId", "VersionStage", "RecoveryWindowInDays", "ForceDeleteWithoutRecovery"):
        if member in req:
            facts[f"secretsmanager:{member}"] = req[member]
    try:
        secret = found(ctx, name)
    except AwsError:
        arn = (
            name
            if name.startswith("arn:")
            else f"arn:aws:secretsmanager:{ctx.region}:{ctx.account}:secret:{name}-??????"
        )
        return Need(f"secretsmanager:{action}", arn, facts=facts)
    facts |= {f"aws:ResourceTag/{key}": value for key, value in secret.tags.items()}
    return Need(f"secretsmanager:{action}", secret.arn, secret.account, secret.policy or None, facts)


def _on_secret(action: str) -> Needs:
    return lambda ctx, req: (_need(ctx, action, req["SecretId"], req),)


def _create(ctx: Context, req: Json) -> Iterable[Need]:
    arn = f"arn:aws:secretsmanager:{ctx.region}:{ctx.account}:secret:{req['Name']}-??????"
    return (Need("secretsmanager:CreateSecret", arn, facts={"secretsmanager:Name": req["Name"]}),)


def _batch(ctx: Context, req: Json) -> Iterable[Need]:
    yield Need("secretsmanager:BatchGetSecretValue")
    for name in req.get("SecretIdList", ()):
        yield _need(ctx, "GetSecretValue", name, req)


def _rotate(ctx: Context, req: Json) -> Iterable[Need]:
    yield _need(ctx, "RotateSecret", req["SecretId"], req)
    if "RotationLambdaARN" in req:
        yield Need("lambda:InvokeFunction", req["RotationLambdaARN"])


AUTHZ = Authz(
    "secretsmanager",
    {
        "BatchGetSecretValue": _batch,
        "CreateSecret": _create,
        "RotateSecret": _rotate,
        **{
            name: _on_secret(name)
            for name in ("UpdateSecret", "DescribeSecret", "DeleteSecret", "RestoreSecret", "TagResource", "UntagResource",
                         "GetSecretValue", "PutSecretValue", "ListSecretVersionIds", "UpdateSecretVersionStage",
                         "CancelRotateSecret", "PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy")
        },
    },
)  # fmt: skip
