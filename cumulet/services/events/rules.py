"""Operations on rules."""

from __future__ import annotations

from typing import Any

from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.aws.schedule import InvalidSchedule, parse
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.events.checks import check_pattern, check_unmanaged
from cumulet.services.events.errors import (
    LimitExceededException,
    ValidationException,
)
from cumulet.services.events.model import (
    DEFAULT,
    ROOT,
    Bus,
    Rule,
    bus_asked,
    find_rule,
    rule_key,
    touch,
)
from cumulet.services.events.paging import page_of, start_of
from cumulet.services.events.schedules import set_timer
from cumulet.services.events.tagging import merged_tags

Json = dict[str, Any]
_MOST = 300


def put_rule(ctx: Context, req: Json) -> Json:
    """Make a rule, or replace one but for its targets and tags. It is triggered by a pattern, a schedule, or both.

    A rate counts from the rule's creation, or from the change that gave it. At most 300 rules a bus, 2,048 characters a pattern.
    Raises: ResourceNotFoundException, InvalidEventPatternException, ValidationException, LimitExceededException,
    ManagedRuleException, NotImplementedOnCumulet (CloudTrail management events).
    Source: EventBridge API_PutRule; user guide, "Amazon EventBridge quotas" (read 2026-11).
    """
    bus = bus_asked(ctx, req)
    state = req.get("State", "ENABLED")
    if state == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS":
        raise NotImplementedOnCumulet(f"EventBridge's rule state {state} is not implemented by Cumulet.")
    if "EventPattern" not in req and "ScheduleExpression" not in req:
        raise ValidationException("Parameter(s) EventPattern or ScheduleExpression must be specified.")
    if "EventPattern" in req:
        check_pattern(req["EventPattern"])
    if "ScheduleExpression" in req:
        _check_schedule(bus, req["ScheduleExpression"])
    old = ctx.tx.get(rule_key(bus.account, bus.region, bus.name, req["Name"]), Rule)
    if old is None:
        _check_count(ctx, bus)
    else:
        check_unmanaged(old)
    schedule = req.get("ScheduleExpression")
    rule = Rule(
        account=bus.account, region=bus.region, bus=bus.name, name=req["Name"], version=ctx.ids.hex(16),
        created=old.created if old else ctx.now, pattern=req.get("EventPattern"), schedule=schedule,
        counted_from=old.counted_from if old and old.schedule == schedule else ctx.now, enabled=state != "DISABLED",
        state=state, description=req.get("Description"), role_arn=req.get("RoleArn"),
        targets=old.targets if old else {}, tags=old.tags if old else merged_tags({}, req.get("Tags", [])),
    )  # fmt: skip
    ctx.tx.put(rule.key, rule)
    touch(ctx, bus)
    set_timer(ctx, rule)
    return {"RuleArn": rule.arn}


def describe_rule(ctx: Context, req: Json) -> Json:
    """A rule. Raises: ResourceNotFoundException. Source: EventBridge API_DescribeRule (read 2026-11)."""
    rule = find_rule(ctx, bus_asked(ctx, req), req["Name"])
    return {**_shown(rule), "CreatedBy": rule.account}


def enable_rule(ctx: Context, req: Json) -> Json:
    """Let a rule match and run again.

    Raises: ResourceNotFoundException, ManagedRuleException. Source: EventBridge API_EnableRule (read 2026-11).
    """
    return _switch(ctx, req, True)


def disable_rule(ctx: Context, req: Json) -> Json:
    """Have a rule match no event and end its schedule.

    Raises: ResourceNotFoundException, ManagedRuleException. Source: EventBridge API_DisableRule (read 2026-11).
    """
    return _switch(ctx, req, False)


def delete_rule(ctx: Context, req: Json) -> Json:
    """Delete a rule without targets; one that does not exist is fine. A managed rule wants Force.

    Raises: ResourceNotFoundException (the bus), ValidationException, ManagedRuleException.
    Source: EventBridge API_DeleteRule (read 2026-11).
    """
    bus = bus_asked(ctx, req)
    rule = ctx.tx.get(rule_key(bus.account, bus.region, bus.name, req["Name"]), Rule)
    if rule is None:
        return {}
    if not req.get("Force"):
        check_unmanaged(rule)
    if rule.targets:
        raise ValidationException("Rule can't be deleted since it has targets.")
    ctx.tx.delete(rule.key)
    touch(ctx, bus)
    return {}


def list_rules(ctx: Context, req: Json) -> Json:
    """A bus's rules by name, 100 at a time.

    Raises: ResourceNotFoundException, InvalidToken. Source: EventBridge API_ListRules (read 2026-11).
    """
    bus, prefix = bus_asked(ctx, req), req.get("NamePrefix", "")
    first = rule_key(bus.account, bus.region, bus.name, max(prefix, start_of(req)))
    rows = ctx.tx.scan((ROOT, "rule", bus.account, bus.region, bus.name), Rule, start=first)
    return page_of(req, ((rule.name, _shown(rule)) for _, rule in rows if rule.name.startswith(prefix)), "Rules")


def _shown(rule: Rule) -> Json:
    """A rule as lists have it."""
    found = {
        "Name": rule.name,
        "Arn": rule.arn,
        "EventPattern": rule.pattern,
        "ScheduleExpression": rule.schedule,
        "State": rule.state,
        "Description": rule.description,
        "RoleArn": rule.role_arn,
        "ManagedBy": rule.managed_by,
        "EventBusName": rule.bus,
    }
    return {member: value for member, value in found.items() if value is not None}


def _check_schedule(bus: Bus, expression: str) -> None:
    if bus.name != DEFAULT:
        raise ValidationException("ScheduleExpression is supported only on the default event bus.")
    try:
        parse(expression)
    except InvalidSchedule as error:
        raise ValidationException("Parameter ScheduleExpression is not valid.", hint=str(error)) from error


def _check_count(ctx: Context, bus: Bus) -> None:
    rows = ctx.tx.scan((ROOT, "rule", bus.account, bus.region, bus.name), Rule)
    if sum(1 for _, rule in rows if rule.managed_by is None) >= _MOST:
        raise LimitExceededException("The requested resource exceeds the maximum number allowed.")


def _switch(ctx: Context, req: Json, enabled: bool) -> Json:
    bus = bus_asked(ctx, req)
    rule = find_rule(ctx, bus, req["Name"])
    check_unmanaged(rule)
    if rule.enabled != enabled:
        state = "ENABLED" if enabled else "DISABLED"
        rule = replace(rule, enabled=enabled, state=state, version=ctx.ids.hex(16))
        ctx.tx.put(rule.key, rule)
        touch(ctx, bus)
        set_timer(ctx, rule)
    return {}
