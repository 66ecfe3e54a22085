"""Operations on rules' targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.events.checks import check_target, check_unmanaged
from cumulet.services.events.errors import LimitExceededException, ValidationException
from cumulet.services.events.model import ROOT, Rule, bus_asked, find_rule, touch
from cumulet.services.events.paging import page_of

Json = dict[str, Any]
_MOST = 5
_AT_ONCE = 10


def put_targets(ctx: Context, req: Json) -> Json:
    """Add targets to a rule, or replace those of the same id: at most 10 at once, 5 a rule.

    Raises: ResourceNotFoundException, ValidationException, LimitExceededException, ManagedRuleException,
    NotImplementedOnCumulet (targets and settings that are not honoured).
    Source: EventBridge API_PutTargets, API_Target; user guide, "Amazon EventBridge quotas" (read 2026-11).
    """
    bus = bus_asked(ctx, req)
    rule = find_rule(ctx, bus, req["Rule"])
    check_unmanaged(rule)
    _check_entries(len(req["Targets"]))
    for target in req["Targets"]:
        check_target(ctx, target, bus.arn)
    targets = {**rule.targets, **{target["Id"]: target for target in req["Targets"]}}
    if len(targets) > _MOST:
        raise LimitExceededException("The requested resource exceeds the maximum number allowed.")
    ctx.tx.put(rule.key, replace(rule, targets=targets))
    touch(ctx, bus)
    return {"FailedEntryCount": 0, "FailedEntries": []}


def remove_targets(ctx: Context, req: Json) -> Json:
    """Take targets off a rule, at most 10 at once; ids that it does not have are reported.

    Raises: ResourceNotFoundException, ValidationException, ManagedRuleException.
    Source: EventBridge API_RemoveTargets (read 2026-11).
    """
    bus = bus_asked(ctx, req)
    rule = find_rule(ctx, bus, req["Rule"])
    if not req.get("Force"):
        check_unmanaged(rule)
    _check_entries(len(req["Ids"]))
    failed = [
        {
            "TargetId": number,
            "ErrorCode": "ResourceNotFoundException",
            "ErrorMessage": f"Rule {rule.name} does not have a target with the Id {number}.",
        }
        for number in req["Ids"]
        if number not in rule.targets
    ]
    left = {number: target for number, target in rule.targets.items() if number not in req["Ids"]}
    ctx.tx.put(rule.key, replace(rule, targets=left))
    touch(ctx, bus)
    return {"FailedEntryCount": len(failed), "FailedEntries": failed}


def list_targets_by_rule(ctx: Context, req: Json) -> Json:
    """A rule's targets by id.

    Raises: ResourceNotFoundException, InvalidToken. Source: EventBridge API_ListTargetsByRule (read 2026-11).
    """
    rule = find_rule(ctx, bus_asked(ctx, req), req["Rule"])
    return page_of(req, sorted(rule.targets.items()), "Targets")


def list_rule_names_by_target(ctx: Context, req: Json) -> Json:
    """The names of a bus's rules that have a target.

    Raises: ResourceNotFoundException, InvalidToken. Source: EventBridge API_ListRuleNamesByTarget (read 2026-11).
    """
    bus = bus_asked(ctx, req)
    rows = ctx.tx.scan((ROOT, "rule", bus.account, bus.region, bus.name), Rule)
    return page_of(req, _aimed((rule for _, rule in rows), req["TargetArn"]), "RuleNames")


def _aimed(rules: Iterator[Rule], arn: str) -> Iterator[tuple[str, str]]:
    for rule in rules:
        if any(target["Arn"] == arn for target in rule.targets.values()):
            yield rule.name, rule.name


def _check_entries(count: int) -> None:
    if count > _AT_ONCE:
        raise ValidationException(f"Number of entries in the request exceeds the maximum of {_AT_ONCE}.")
