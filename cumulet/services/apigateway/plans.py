"""Operations on usage plans, their keys and their usage."""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Result
from cumulet.kernel.record import replace
from cumulet.services.apigateway import keyring, patch
from cumulet.services.apigateway.errors import BadRequestException, LimitExceededException, NotFoundException
from cumulet.services.apigateway.keyring import ApiKey, Pointer, Quota, Usage, UsagePlan
from cumulet.services.apigateway.model import page
from cumulet.services.apigateway.patch import Field
from cumulet.services.apigateway.planning import check_members, check_plan, join

USAGE_DAYS_MAX = 90
_KEPT = ("name", "description", "apiStages", "throttle", "quota")
_PATCHES = {
    "/name": Field(ops=("replace",)),
    "/description": Field(ops=("replace",)),
    "/productCode": Field(refused="productCode (AWS Marketplace)"),
    "/throttle": Field(ops=("remove",)),
    "/throttle/rateLimit": Field(convert=patch.number, ops=("add", "replace")),
    "/throttle/burstLimit": Field(convert=patch.whole, ops=("add", "replace")),
    "/quota": Field(ops=("remove",)),
    "/quota/limit": Field(convert=patch.whole, ops=("add", "replace")),
    "/quota/offset": Field(convert=patch.whole, ops=("add", "replace")),
    "/quota/period": Field(ops=("add", "replace")),
    "/stages/*/throttle": Field(ops=("remove",)),
    "/stages/*/throttle/*": Field(ops=("remove",)),
    "/stages/*/throttle/*/rateLimit": Field(convert=patch.number, ops=("add", "replace")),
    "/stages/*/throttle/*/burstLimit": Field(convert=patch.whole, ops=("add", "replace")),
}


def create_usage_plan(ctx: Context, req: Result) -> Result:
    """Make a plan: stages, a throttle for each key, a quota for each key by DAY, WEEK or MONTH.

    `quota.offset` is taken off a key's first period.
    Raises: BadRequestException; NotFoundException for a stage that is not there; LimitExceededException after 300.
    Source: API Gateway API reference, CreateUsagePlan; quotas (read 2026-11).
    """
    if sum(1 for _ in ctx.tx.scan_keys(keyring.plan_key(ctx))) >= keyring.PLANS_MAX:
        raise LimitExceededException(
            f"Usage Plans limit exceeded: an account has at most {keyring.PLANS_MAX} in a region"
        )
    settings = {name: req[name] for name in _KEPT if name in req}
    check_plan(ctx, settings)
    plan = UsagePlan(id=ctx.ids.lower(6), settings=settings, tags=req.get("tags") or {})
    ctx.tx.put(keyring.plan_key(ctx, plan.id), plan)
    return _described(plan)


def get_usage_plan(ctx: Context, req: Result) -> Result:
    """One plan. Raises: NotFoundException. Source: API reference, GetUsagePlan."""
    return _described(keyring.plan_at(ctx, req["usagePlanId"]))


def get_usage_plans(ctx: Context, req: Result) -> Result:
    """The account's plans, or those of a key, by id, 25 a page. Raises: NotFoundException. Source: API reference."""
    if "keyId" in req:
        found = keyring.plans_of(ctx, keyring.key_at(ctx, req["keyId"]).id)
    else:
        found = [plan for _, plan in ctx.tx.scan(keyring.plan_key(ctx), UsagePlan)]
    return page(((plan.id, _described(plan)) for plan in found), req)


def update_usage_plan(ctx: Context, req: Result) -> Result:
    """Patch a plan; a stage is added and removed as `/apiStages` with the value `{api}:{stage}`.

    Raises: NotFoundException, BadRequestException, ConflictException for a stage that one of its keys has a plan for.
    Source: API reference, UpdateUsagePlan; "Patch operations", UsagePlan (read 2026-11).
    """
    plan = keyring.plan_at(ctx, req["usagePlanId"])
    document = {name: value for name, value in plan.settings.items() if name != "apiStages"}
    stages = keyring.stages_of_plan(plan)
    for operation in req.get("patchOperations", []):
        path = operation.get("path", "")
        if path == "/apiStages":
            _change_stages(stages, operation)
            continue
        if path.startswith("/apiStages/"):
            name = patch.unescape(path.split("/")[2])
            if name not in stages:
                raise NotFoundException(f"API Stage not found: {name}")
            operation = {**operation, "path": "/stages/" + path.removeprefix("/apiStages/")}  # noqa: PLW2901
        changed = patch.apply({**document, "stages": stages}, [operation], _PATCHES)
        stages = changed.pop("stages")
        document = changed
    plan = replace(plan, settings={**document, "apiStages": list(stages.values())})
    check_plan(ctx, dict(plan.settings))
    check_members(ctx, plan)
    ctx.tx.put(keyring.plan_key(ctx, plan.id), plan)
    return _described(plan)


def _change_stages(stages: dict[str, Result], operation: Result) -> None:
    value = operation.get("value") or ""
    api_id, _, stage = value.partition(":")
    if operation.get("op") == "add":
        stages.setdefault(value, {"apiId": api_id, "stage": stage})
    elif operation.get("op") == "remove":
        if stages.pop(value, None) is None:
            raise NotFoundException(f"API Stage not found: {value}")
    else:
        raise BadRequestException(
            "Invalid patch path  '/apiStages' specified for op 'replace'. Must be one of: [add, remove]"
        )


def delete_usage_plan(ctx: Context, req: Result) -> Result:
    """Delete a plan that names no stage any more.

    Raises: NotFoundException, BadRequestException. Source: API reference, DeleteUsagePlan.
    """
    plan = keyring.plan_at(ctx, req["usagePlanId"])
    if plan.settings.get("apiStages"):
        raise BadRequestException(f"Cannot delete Usage Plan {plan.id} because it has API Stages associated to it")
    for member in ctx.tx.scan_keys(keyring.member_key(ctx, plan.id)):
        _leave(ctx, plan.id, str(member[-1]))
    ctx.tx.delete(keyring.plan_key(ctx, plan.id))
    return {}


def create_usage_plan_key(ctx: Context, req: Result) -> Result:
    """Put an API key into a plan.

    Raises: NotFoundException; BadRequestException for another keyType; ConflictException when it is there, or in another
    plan for the same stage; LimitExceededException after 10 plans. Source: API reference, CreateUsagePlanKey.
    """
    if req["keyType"] != "API_KEY":
        raise BadRequestException("Invalid key type specified. Valid options are [API_KEY]")
    plan, key = keyring.plan_at(ctx, req["usagePlanId"]), keyring.key_at(ctx, req["keyId"])
    join(ctx, plan, key)
    return _member(key)


def get_usage_plan_key(ctx: Context, req: Result) -> Result:
    """One key of a plan. Raises: NotFoundException. Source: API reference, GetUsagePlanKey."""
    return _member(_member_at(ctx, req))


def get_usage_plan_keys(ctx: Context, req: Result) -> Result:
    """A plan's keys by id, 25 a page. Raises: NotFoundException. Source: API reference, GetUsagePlanKeys."""
    plan, start = keyring.plan_at(ctx, req["usagePlanId"]), req.get("nameQuery", "")
    members = [keyring.key_at(ctx, str(member[-1])) for member in ctx.tx.scan_keys(keyring.member_key(ctx, plan.id))]
    return page(((key.id, _member(key)) for key in members if key.settings.get("name", "").startswith(start)), req)


def delete_usage_plan_key(ctx: Context, req: Result) -> Result:
    """Take a key out of a plan; its usage is forgotten. Raises: NotFoundException. Source: API reference."""
    key = _member_at(ctx, req)
    _leave(ctx, req["usagePlanId"], key.id)
    return {}


def get_usage(ctx: Context, req: Result) -> Result:
    """The usage of a plan's keys by day, both dates included: [used, left]. A plan without a quota shows 0 left.

    Raises: NotFoundException; BadRequestException for dates that are none, or more than 90 days. Source: API reference,
    GetUsage; quotas.
    """
    plan = keyring.plan_at(ctx, req["usagePlanId"])
    if "keyId" in req:
        members = [_member_at(ctx, req).id]
    else:
        members = [str(member[-1]) for member in ctx.tx.scan_keys(keyring.member_key(ctx, plan.id))]
    return _usage(ctx, plan, members, req)


def update_usage(ctx: Context, req: Result) -> Result:
    """Change what a key has left in the quota's running period (`/remaining`).

    Raises: NotFoundException; BadRequestException for a plan without a quota. Source: API reference, UpdateUsage.
    """
    plan, key = keyring.plan_at(ctx, req["usagePlanId"]), _member_at(ctx, req)
    fields = {"/remaining": Field(convert=patch.whole, ops=("replace",))}
    document = patch.apply({}, req.get("patchOperations", []), fields)
    quota = keyring.quota_of(ctx, plan, key.id)
    if quota is None:
        raise BadRequestException(f"Usage Plan {plan.id} has no quota")
    left = document.get("remaining", quota.left)
    if left < 0:
        raise BadRequestException("Remaining quota must not be negative")
    ctx.tx.put(keyring.quota_key(ctx, plan.id, key.id), Quota(began=quota.began, left=left))
    day = keyring.day_of(ctx.now)
    today = keyring.usage_key(ctx, plan.id, key.id, day)
    before = ctx.tx.get(today, Usage)
    ctx.tx.put(today, Usage(used=before.used if before else 0, left=left))
    return _usage(ctx, plan, [key.id], {"startDate": day, "endDate": day})


def _usage(ctx: Context, plan: UsagePlan, members: list[str], req: Result) -> Result:
    try:
        first, last = keyring.midnight_of(req["startDate"]), keyring.midnight_of(req["endDate"])
    except ValueError as error:
        raise BadRequestException("Usage dates must have the form YYYY-MM-DD") from error
    if not 0 <= (last - first) / keyring.DAY_S < USAGE_DAYS_MAX:
        raise BadRequestException(f"The usage's time range must be between 1 and {USAGE_DAYS_MAX} days")
    days = [first + number * keyring.DAY_S for number in range(int((last - first) / keyring.DAY_S) + 1)]
    pages = page(((key_id, {"id": key_id}) for key_id in members), req)
    result: Result = {"usagePlanId": plan.id, "startDate": req["startDate"], "endDate": req["endDate"]}
    result["items"] = {item["id"]: [_day(ctx, plan, item["id"], day) for day in days] for item in pages["items"]}
    if "position" in pages:
        result["position"] = pages["position"]
    return result


def _day(ctx: Context, plan: UsagePlan, key_id: str, day: float) -> list[int]:
    """A day without requests has as much left as the last one before it in its period."""
    rule = plan.settings.get("quota") or {}
    began, at = keyring.period_began(rule.get("period", "DAY"), day), day
    while at >= began:
        found = ctx.tx.get(keyring.usage_key(ctx, plan.id, key_id, keyring.day_of(at)), Usage)
        if found is not None:
            return [found.used if at == day else 0, found.left]
        at -= keyring.DAY_S
    return [0, rule.get("limit", 0)]


def _leave(ctx: Context, plan_id: str, key_id: str) -> None:
    ctx.tx.delete(keyring.member_key(ctx, plan_id, key_id))
    ctx.tx.delete(keyring.opened_key(ctx, key_id, plan_id))
    keyring.forget_usage(ctx, plan_id, key_id)


def _member_at(ctx: Context, req: Result) -> ApiKey:
    plan = keyring.plan_at(ctx, req["usagePlanId"])
    if ctx.tx.get(keyring.member_key(ctx, plan.id, req["keyId"]), Pointer) is None:
        raise NotFoundException("Invalid Usage Plan Key identifier specified")
    return keyring.key_at(ctx, req["keyId"])


def _member(key: ApiKey) -> Result:
    return {"id": key.id, "type": "API_KEY", "value": key.value, "name": key.settings.get("name", "")}


def _described(plan: UsagePlan) -> Result:
    result: Result = {"id": plan.id, **plan.settings}
    if plan.tags:
        result["tags"] = plan.tags
    return result
