"""Rotation of secrets by a function: four steps, one invocation each, and the dates when they begin.

    due   ->  a version AWSPENDING without a value; step createSecret
    step  ->  the function succeeded: the next of createSecret, setSecret, testSecret, finishSecret
          ->  it failed: all four again after 1, 2, 4, 8 minutes with the same version, then given up until the next date
    end   ->  AWSCURRENT is on the new version: rotated; otherwise as a failure

A crash during a step invokes the function for it again: rotation functions must bear repetition, on AWS too.
Source: Secrets Manager user guide, "Lambda function rotation", "Rotation schedules", "Rotation windows" (read 2026-11).
"""

from __future__ import annotations

import json
from typing import Any

from cumulet.aws import schedule
from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import then
from cumulet.kernel.record import replace
from cumulet.services.secretsmanager import versioning
from cumulet.services.secretsmanager.model import (
    CURRENT,
    DAY_S,
    PENDING,
    Rotation,
    Secret,
    Version,
    secret_key,
)

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
TEST = ("testSecret",)
_ATTEMPTS = 5
_RETRY_S = 60.0
_HOUR_S = 3600.0


def next_date(plan: Rotation, now: float) -> float:
    """When the next rotation window opens; 0: never."""
    if plan.days:
        return (now + plan.days * DAY_S) // DAY_S * DAY_S
    if not plan.expression:
        return 0.0
    times = schedule.parse(plan.expression)
    if isinstance(times, schedule.Rate):
        unit = _HOUR_S if "hour" in plan.expression else DAY_S
        return (now + times.period_s) // unit * unit
    return times.next(now) or 0.0


def set_date(ctx: Context, secret: Secret, plan: Rotation) -> Secret:
    """The secret with the date of its next rotation, and a timer for it."""
    at = next_date(plan, ctx.now)
    if at:
        ctx.tx.wake(at, "secretsmanager.due", (secret.account, secret.region, secret.name))
    return replace(secret, rotation=replace(plan, at=at))


def begin(ctx: Context, secret: Secret, token: str, steps: tuple[str, ...] = STEPS) -> Secret:
    """The secret with a rotation under way."""
    assert secret.rotation is not None
    if secret.version(token) is None:
        secret = replace(secret, versions=(*secret.versions, Version(id=token, created=ctx.now)))
    secret = versioning.moved(secret, PENDING, token)
    _later(ctx, secret, token, 0.0)
    return replace(secret, rotation=replace(_plan(secret), token=token, steps=steps, failures=0))


def _plan(secret: Secret) -> Rotation:
    assert secret.rotation is not None
    return secret.rotation


def _later(ctx: Context, secret: Secret, token: str, delay_s: float) -> None:
    key = (secret.account, secret.region, secret.name, secret.uid, token)
    ctx.tx.wake(ctx.now + delay_s, "secretsmanager.step", key)


def due(ctx: Context, key: Key) -> None:
    """Timer `secretsmanager.due`: a rotation window opens."""
    secret = ctx.tx.get(secret_key(*(str(part) for part in key)), Secret)
    if secret is None or secret.deleted_at or secret.rotation is None:
        return
    plan = secret.rotation
    if not plan.enabled or not plan.at or plan.at > ctx.now:
        return
    secret = set_date(ctx, secret, plan)
    if not plan.token:
        secret = begin(ctx, secret, ctx.ids.uuid())
    ctx.tx.put(secret.key, secret)


def step(ctx: Context, key: Key) -> Any:
    """Timer `secretsmanager.step`: the next step of a rotation."""
    secret = _under_way(ctx, key)
    if secret is None:
        return None
    plan = _plan(secret)
    event = {"SecretId": secret.arn, "ClientRequestToken": plan.token, "Step": plan.steps[0]}
    request = {"FunctionName": plan.function, "Payload": json.dumps(event).encode()}
    try:
        outcome = ctx.call(
            "lambda", "Invoke", request, principal="secretsmanager.amazonaws.com", source=secret.arn,
            account=secret.account, region=secret.region,
        )  # fmt: skip
    except AwsError:
        _failed(ctx, secret)
        return None
    return then(ctx, outcome, lambda after, answer: _stepped(after, key, answer))


def _under_way(ctx: Context, key: Key) -> Secret | None:
    account, region, name, uid, token = (str(part) for part in key)
    secret = ctx.tx.get(secret_key(account, region, name), Secret)
    if secret is None or secret.uid != uid or secret.deleted_at or secret.rotation is None:
        return None
    return secret if secret.rotation.token == token else None


def _stepped(ctx: Context, key: Key, answer: dict[str, Any]) -> None:
    secret = _under_way(ctx, key)  # the function has changed it meanwhile, or somebody cancelled
    if secret is None:
        return
    if "FunctionError" in answer:
        _failed(ctx, secret)
        return
    plan = _plan(secret)
    left = plan.steps[1:]
    if left:
        ctx.tx.put(secret.key, replace(secret, rotation=replace(plan, steps=left)))
        _later(ctx, secret, plan.token, 0.0)
    elif plan.steps == TEST:
        ctx.tx.put(secret.key, _ended(secret))
    else:
        _finish(ctx, secret)


def _finish(ctx: Context, secret: Secret) -> None:
    plan = _plan(secret)
    current = secret.labelled(CURRENT)
    if current is None or current.id != plan.token:
        _failed(ctx, secret)
        return
    secret = replace(secret, rotated=ctx.now, rotation=replace(plan, token="", steps=(), failures=0))
    ctx.tx.put(secret.key, set_date(ctx, secret, _plan(secret)))


def _failed(ctx: Context, secret: Secret) -> None:
    plan = _plan(secret)
    failures = plan.failures + 1
    if failures >= _ATTEMPTS or STEPS[-1] not in plan.steps:
        ctx.tx.put(secret.key, _ended(secret))
        return
    ctx.tx.put(secret.key, replace(secret, rotation=replace(plan, failures=failures, steps=STEPS)))
    _later(ctx, secret, plan.token, _RETRY_S * 2.0 ** (failures - 1))


def _ended(secret: Secret) -> Secret:
    """Nothing came of a rotation: its version goes if it never had a value, else it loses AWSPENDING."""
    plan = _plan(secret)
    secret = versioning.moved(secret, PENDING, None)
    versions = tuple(version for version in secret.versions if version.key or version.id != plan.token)
    return replace(secret, versions=versions, rotation=replace(plan, token="", steps=(), failures=0))
