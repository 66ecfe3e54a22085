"""Making keys, the one behind alias/aws/SERVICE too, and taking them away."""

from __future__ import annotations

import json

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key as StoreKey
from cumulet.kernel.record import replace
from cumulet.services.kms import material
from cumulet.services.kms.model import (
    DAY_S,
    ENCRYPT,
    PENDING_DELETION,
    PERIOD_DAYS,
    ROOT,
    SYMMETRIC,
    Alias,
    Grant,
    Key,
    alias_key,
    count_key,
    grants_key,
    imported_key,
    key_key,
    listed_key,
    names_key,
    token_key,
)

AWS_SERVICES = {
    "dynamodb": "Default key that protects my DynamoDB data when no other key is defined",
    "lambda": "Default key that protects my Lambda functions when no other key is defined",
    "logs": "Default key that protects my CloudWatch Logs data when no other key is defined",
    "rds": "Default key that protects my RDS database volumes when no other key is defined",
    "s3": "Default key that protects my S3 objects when no other key is defined",
    "secretsmanager": "Default key that protects my Secrets Manager data when no other key is defined",
    "sns": "Default key that protects my SNS data when no other key is defined",
    "sqs": "Default key that protects my SQS messages when no other key is defined",
    "ssm": "Default key that protects my SSM Parameter Store data when no other key is defined",
}


def default_policy(account: str) -> str:
    """What a key has that is made without a policy: its account decides."""
    statement = {
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Id": "key-default-1", "Statement": [statement]}, indent=2)


def _service_policy(ctx: Context, service: str) -> str:
    """Who in the account may use the service may use its key through it."""
    statement = {
        "Sid": f"Allow access through {service} for all principals in the account that are authorized to use {service}",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
        "Resource": "*",
        "Condition": {
            "StringEquals": {
                "kms:CallerAccount": ctx.account,
                "kms:ViaService": f"{service}.{ctx.region}.amazonaws.com",
            }
        },
    }
    return json.dumps({"Version": "2012-10-17", "Id": f"auto-{service}-2", "Statement": [statement]}, indent=2)


def add(ctx: Context, key: Key) -> None:
    """Write a new key; a customer's counts."""
    ctx.tx.put(key.key, key)
    ctx.tx.put(listed_key(key.account, key.region, key.id), b"")
    if key.manager == "CUSTOMER":
        ctx.tx.add(count_key(key.account, key.region))


def aws_managed(ctx: Context, service: str) -> Key:
    """The key behind alias/aws/SERVICE, made when it is first needed; its material rotates every year."""
    name = f"alias/aws/{service}"
    alias = ctx.tx.get(alias_key(ctx.account, ctx.region, name), Alias)
    if alias is not None:
        found = ctx.tx.get(key_key(alias.key_id), Key)
        assert found is not None, f"{name} has lost its key"
        return found
    key = Key(
        account=ctx.account, region=ctx.region, id=ctx.ids.uuid(), created=ctx.now, spec=SYMMETRIC, usage=ENCRYPT,
        policy=_service_policy(ctx, service), description=AWS_SERVICES[service], manager="AWS", period_days=PERIOD_DAYS,
        rotates_at=ctx.now + PERIOD_DAYS * DAY_S,
    )  # fmt: skip
    add(ctx, key)
    material.keep(ctx, key, 1, material.random_material(SYMMETRIC))
    ctx.tx.wake(key.rotates_at, "kms.rotate", (key.id,))
    put_alias(ctx, key, name)
    return key


def put_alias(ctx: Context, key: Key, name: str, created: float | None = None) -> None:
    """Have a name stand for a key."""
    ctx.tx.put(
        alias_key(ctx.account, ctx.region, name),
        Alias(
            account=ctx.account, region=ctx.region, name=name, key_id=key.id,
            created=ctx.now if created is None else created, updated=ctx.now,
        ),
    )  # fmt: skip
    ctx.tx.put(names_key(key.id, name), b"")


def drop_alias(ctx: Context, alias: Alias) -> None:
    ctx.tx.delete(alias.key)
    ctx.tx.delete(names_key(alias.key_id, alias.name))


def drop_grant(ctx: Context, grant: Grant) -> None:
    ctx.tx.delete(grant.key)
    for token in grant.tokens:
        ctx.tx.delete(token_key(token))
    ctx.tx.add(grants_key(grant.key_id), -1)


def delete(ctx: Context, key: StoreKey) -> None:
    """Timer `kms.delete`: the waiting period of a key is over. Its material, aliases and grants go with it."""
    found = ctx.tx.get(key_key(str(key[0])), Key)
    if found is None or found.state != PENDING_DELETION or found.deleted_at > ctx.now:
        return
    for *_, name in list(ctx.tx.scan_keys((ROOT, "names", found.id))):
        alias = ctx.tx.get(alias_key(found.account, found.region, str(name)), Alias)
        assert alias is not None
        drop_alias(ctx, alias)
    for _, grant in list(ctx.tx.scan((ROOT, "grant", found.id), Grant)):
        drop_grant(ctx, grant)
    ctx.tx.delete_all((ROOT, "material", found.id))
    ctx.tx.delete(grants_key(found.id))
    ctx.tx.delete(imported_key(found.id))
    ctx.tx.delete(found.key)
    ctx.tx.delete(listed_key(found.account, found.region, found.id))
    ctx.tx.add(count_key(found.account, found.region), -1)


def changed(ctx: Context, key: Key, **changes: object) -> Key:
    """Write a key with changes."""
    after = replace(key, **changes)
    ctx.tx.put(after.key, after)
    return after
