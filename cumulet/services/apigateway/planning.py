"""The rules of usage plans: what one may say, and how keys join it."""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.services.apigateway import keyring
from cumulet.services.apigateway.errors import (
    BadRequestException,
    ConflictException,
    LimitExceededException,
    NotFoundException,
)
from cumulet.services.apigateway.keyring import ApiKey, Pointer, UsagePlan
from cumulet.services.apigateway.model import RestApi, Stage, api_key, stage_key

PERIODS = ("DAY", "WEEK", "MONTH")


def check_plan(ctx: Context, settings: Result) -> None:
    """Raises: BadRequestException, NotFoundException."""
    if not settings.get("name"):
        raise BadRequestException("Usage Plan name cannot be empty")
    _check_throttle(settings.get("throttle") or {})
    quota = settings.get("quota")
    if quota:
        if quota.get("period") not in PERIODS:
            raise BadRequestException(f"Usage Plan quota period must be one of [{', '.join(PERIODS)}]")
        if quota.get("limit", 0) < 1:
            raise BadRequestException("Usage Plan quota limit must be greater than zero")
        if not 0 <= quota.get("offset", 0) <= quota["limit"]:
            raise BadRequestException("Usage Plan quota offset must be between zero and the limit")
    seen = set()
    for one in settings.get("apiStages", ()):
        name = f"{one.get('apiId', '')}:{one.get('stage', '')}"
        if name in seen:
            raise ConflictException(f"API Stage {name} is in the usage plan already")
        seen.add(name)
        api = ctx.tx.get(api_key(one.get("apiId") or " "), RestApi)
        known = api is not None and (api.account, api.region) == (ctx.account, ctx.region)
        if not known or ctx.tx.get(stage_key(one["apiId"], one.get("stage") or " "), Stage) is None:
            raise NotFoundException(f"API Stage not found: {name}")
        for limits in (one.get("throttle") or {}).values():
            _check_throttle(limits)


def _check_throttle(limits: Result) -> None:
    if limits.get("rateLimit", 0) < 0 or limits.get("burstLimit", 0) < 0:
        raise BadRequestException("Usage Plan throttle limits must not be negative")


def check_members(ctx: Context, plan: UsagePlan) -> None:
    """A key has one plan for a stage. Raises: ConflictException."""
    for member in ctx.tx.scan_keys(keyring.member_key(ctx, plan.id)):
        _check_overlap(ctx, plan, str(member[-1]))


def _check_overlap(ctx: Context, plan: UsagePlan, key_id: str) -> None:
    stages = set(keyring.stages_of_plan(plan))
    for other in keyring.plans_of(ctx, key_id):
        shared = stages & set(keyring.stages_of_plan(other)) if other.id != plan.id else set()
        if shared:
            raise ConflictException(
                f"API Key {key_id} is in the usage plan {other.id} for the API Stage {min(shared)} already"
            )


def join(ctx: Context, plan: UsagePlan, key: ApiKey) -> None:
    """Put a key into a plan. Raises: ConflictException, LimitExceededException."""
    if ctx.tx.get(keyring.member_key(ctx, plan.id, key.id), Pointer) is not None:
        raise ConflictException("Usage Plan Key already exists")
    if len(keyring.plans_of(ctx, key.id)) >= keyring.PLANS_OF_KEY_MAX:
        raise LimitExceededException(f"An API Key can be in at most {keyring.PLANS_OF_KEY_MAX} usage plans")
    _check_overlap(ctx, plan, key.id)
    ctx.tx.put(keyring.member_key(ctx, plan.id, key.id), Pointer(id=key.id))
    ctx.tx.put(keyring.opened_key(ctx, key.id, plan.id), Pointer(id=plan.id))
