"""Operations on rotation: set it up, rotate now, cancel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cumulet.aws import schedule
from cumulet.aws.errors import AwsError, NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.secretsmanager import rotation
from cumulet.services.secretsmanager.errors import (
    AccessDeniedException,
    InvalidParameterException,
    InvalidRequestException,
    ResourceExistsException,
)
from cumulet.services.secretsmanager.lookup import secret_named
from cumulet.services.secretsmanager.model import CURRENT, Rotation, Secret

Json = dict[str, Any]
_FOUR_HOURS_S = 14_400.0
_LONGEST_S = 999 * 86_400.0


def rotate_secret(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Set a secret's rotation up, and rotate it now unless RotateImmediately is false (its function then only tests).

    The function is invoked for createSecret, setSecret, testSecret and finishSecret, which put the new value under the version
    AWSPENDING and move AWSCURRENT to it. The answer does not wait for them.
    Raises: ResourceNotFoundException, InvalidRequestException (no function, no value, a rotation under way),
    InvalidParameterException, AccessDeniedException (the function is not there).
    Source: Secrets Manager API_RotateSecret; user guide, "Schedule expressions" (read 2026-11).
    """
    for member in ("ExternalSecretRotationMetadata", "ExternalSecretRotationRoleArn"):
        if member in req:
            raise NotImplementedOnCumulet(f"Secrets Manager's setting {member} is not implemented by Cumulet.")
    secret = secret_named(ctx, req["SecretId"])
    before = secret.rotation
    function = req.get("RotationLambdaARN", before.function if before is not None else "")
    if not function:
        raise InvalidRequestException("No Lambda rotation function ARN is associated with this secret.")
    current = secret.labelled(CURRENT)
    if current is None or not current.key:
        raise InvalidRequestException("You can't rotate a secret that doesn't have a value.")
    if before is not None and before.token:
        raise InvalidRequestException("A previous rotation isn't complete. That rotation will be reattempted.")
    plan = _planned(before or Rotation(function=function), req)
    _check_function(ctx, secret, function)
    secret = rotation.set_date(ctx, secret, replace(plan, function=function, enabled=True))
    token = req.get("ClientRequestToken") or ctx.ids.uuid()
    if secret.version(token) is not None:
        raise ResourceExistsException(f"A version of the secret with the id {token} already exists.")
    immediately = req.get("RotateImmediately", True)
    secret = rotation.begin(ctx, secret, token, rotation.STEPS if immediately else rotation.TEST)
    ctx.tx.put(secret.key, secret)
    answer = {"ARN": secret.arn, "Name": secret.name}
    return {**answer, "VersionId": token} if immediately else answer


def _planned(plan: Rotation, req: Mapping[str, Any]) -> Rotation:
    """The rules of a request, or those that there are. Raises: InvalidParameterException."""
    rules = req.get("RotationRules")
    if rules is None:
        return plan
    if ("AutomaticallyAfterDays" in rules) == ("ScheduleExpression" in rules):
        raise InvalidParameterException("Specify either AutomaticallyAfterDays or ScheduleExpression in RotationRules.")
    hours = int(rules["Duration"].removesuffix("h")) if "Duration" in rules else 0
    expression = rules.get("ScheduleExpression", "")
    if expression:
        _check_expression(expression)
    if "Duration" in rules and not 1 <= hours <= 24:
        raise InvalidParameterException("The Duration of the rotation window must be 1 to 24 hours.")
    return replace(plan, days=rules.get("AutomaticallyAfterDays", 0), expression=expression, hours=hours)


def _check_expression(expression: str) -> None:
    wrong = InvalidParameterException(f"Invalid ScheduleExpression: {expression}")
    try:
        times = schedule.parse(expression)
    except schedule.InvalidSchedule:
        raise wrong from None
    if isinstance(times, schedule.Rate):
        if "minute" in expression or not _FOUR_HOURS_S <= times.period_s <= _LONGEST_S:
            raise wrong
    elif not re.fullmatch(r"cron\(\s*0\s.*\s\*\s*\)", expression):  # on the hour, in every year
        raise wrong


def _check_function(ctx: Context, secret: Secret, function: str) -> None:
    request = {"FunctionName": function}
    try:
        ctx.call(
            "lambda", "GetFunctionConfiguration", request, principal="", account=secret.account, region=secret.region
        )
    except AwsError as error:
        raise AccessDeniedException(
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the "
            "principal secretsmanager.amazonaws.com.",
            hint=error.message,
        ) from error


def cancel_rotate_secret(ctx: Context, req: Mapping[str, Any]) -> Json:
    """Rotate a secret no more; a rotation under way stops, and its version keeps AWSPENDING.

    Raises: ResourceNotFoundException, InvalidRequestException. Source: Secrets Manager API_CancelRotateSecret (read 2026-11).
    """
    secret = secret_named(ctx, req["SecretId"])
    plan = secret.rotation
    if plan is None:
        raise InvalidRequestException("You can't cancel the rotation of a secret that was never set up to rotate.")
    stopped = replace(plan, enabled=False, at=0.0, token="", steps=(), failures=0)
    ctx.tx.put(secret.key, replace(secret, rotation=stopped))
    answer = {"ARN": secret.arn, "Name": secret.name}
    return {**answer, "VersionId": plan.token} if plan.token else answer
