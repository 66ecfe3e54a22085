"""API keys and usage plans in the store: which key opens which stage, and how much of its quota is used.

An API key belongs to an account and a region, and opens the stages of the usage plans that it is in. Of the plans that it
is in, one at most names a stage. Usage is kept by day; the quota by the period that runs.
Source: developer guide, "Usage plans and API keys for REST APIs"; quotas: 10,000 keys, 300 plans, 10 plans for each key
(read 2026-11).
"""

from __future__ import annotations

import calendar
import datetime
import time
from collections.abc import Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import Record
from cumulet.services.apigateway.errors import NotFoundException
from cumulet.services.apigateway.model import S

KEYS_MAX, PLANS_MAX, PLANS_OF_KEY_MAX = 10_000, 300, 10
DAY_S = 86_400


class ApiKey(Record):
    """`settings` are CreateApiKey's members that are kept."""

    id: str
    value: str
    created_at: float
    updated_at: float
    enabled: bool = False
    settings: Mapping[str, Any] = {}
    tags: Mapping[str, str] = {}


class UsagePlan(Record):
    """`settings` are CreateUsagePlan's members: apiStages, throttle, quota."""

    id: str
    settings: Mapping[str, Any]
    tags: Mapping[str, str] = {}


class Pointer(Record):
    """From a key's value to its id, or a row that a key is in a plan."""

    id: str


class Quota(Record):
    """What a key has left in the period that began at `began` (epoch seconds of a midnight, UTC)."""

    began: float
    left: int


class Usage(Record):
    """One day of a key in a plan."""

    used: int
    left: int


def key_key(ctx: Context, key_id: str = "") -> Key:
    return (S, "apikey", ctx.account, ctx.region, key_id) if key_id else (S, "apikey", ctx.account, ctx.region)


def value_key(ctx: Context, value: str) -> Key:
    return (S, "apikey-value", ctx.account, ctx.region, value)


def plan_key(ctx: Context, plan_id: str = "") -> Key:
    return (S, "plan", ctx.account, ctx.region, plan_id) if plan_id else (S, "plan", ctx.account, ctx.region)


def member_key(ctx: Context, plan_id: str, key_id: str = "") -> Key:
    """A plan's keys."""
    below = (S, "plan-key", ctx.account, ctx.region, plan_id)
    return (*below, key_id) if key_id else below


def opened_key(ctx: Context, key_id: str, plan_id: str = "") -> Key:
    """A key's plans."""
    below = (S, "key-plan", ctx.account, ctx.region, key_id)
    return (*below, plan_id) if plan_id else below


def usage_key(ctx: Context, plan_id: str, key_id: str = "", day: str = "") -> Key:
    below: Key = (S, "usage", ctx.account, ctx.region, plan_id)
    return (*below, *(part for part in (key_id, day) if part))


def quota_key(ctx: Context, plan_id: str, key_id: str) -> Key:
    return (S, "quota", ctx.account, ctx.region, plan_id, key_id)


def key_at(ctx: Context, key_id: str) -> ApiKey:
    """Raises: NotFoundException."""
    key = ctx.tx.get(key_key(ctx, key_id), ApiKey)
    if key is None:
        raise NotFoundException("Invalid API Key identifier specified")
    return key


def plan_at(ctx: Context, plan_id: str) -> UsagePlan:
    """Raises: NotFoundException."""
    plan = ctx.tx.get(plan_key(ctx, plan_id), UsagePlan)
    if plan is None:
        raise NotFoundException("Invalid Usage Plan ID specified")
    return plan


def plans_of(ctx: Context, key_id: str) -> list[UsagePlan]:
    """The plans that a key is in."""
    return [plan_at(ctx, str(key[-1])) for key in ctx.tx.scan_keys(opened_key(ctx, key_id))]


def stages_of_plan(plan: UsagePlan) -> dict[str, Result]:
    """The plan's stages by `{api}:{stage}`."""
    return {f"{one['apiId']}:{one['stage']}": one for one in plan.settings.get("apiStages", ())}


def day_of(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def midnight_of(day: str) -> float:
    """Epoch seconds of a day's first moment. Raises: ValueError."""
    return float(calendar.timegm(datetime.date.fromisoformat(day).timetuple()))


def period_began(period: str, now: float) -> float:
    """When the quota's running period began: at midnight, on Sunday, on the month's first day (UTC)."""
    today = datetime.datetime.fromtimestamp(now, datetime.UTC).date()
    if period == "WEEK":
        today -= datetime.timedelta(days=(today.weekday() + 1) % 7)
    elif period == "MONTH":
        today = today.replace(day=1)
    return float(calendar.timegm(today.timetuple()))


def quota_of(ctx: Context, plan: UsagePlan, key_id: str) -> Quota | None:
    """What a key has left now; None for a plan without a quota. Its first period is shorter by the quota's offset."""
    rule = plan.settings.get("quota")
    if not rule:
        return None
    began = period_began(rule["period"], ctx.now)
    kept = ctx.tx.get(quota_key(ctx, plan.id, key_id), Quota)
    if kept is not None and kept.began >= began:
        return kept
    return Quota(began=began, left=rule["limit"] if kept is not None else rule["limit"] - rule.get("offset", 0))


def forget_usage(ctx: Context, plan_id: str, key_id: str) -> None:
    ctx.tx.delete_all(usage_key(ctx, plan_id, key_id))
    ctx.tx.delete(quota_key(ctx, plan_id, key_id))
