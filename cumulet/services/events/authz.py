"""What EventBridge's operations need of IAM.

Source: Service Authorization Reference, "Amazon EventBridge"; user guide, "Using IAM policy conditions" (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from cumulet.aws.arn import Arn
from cumulet.kernel.authz import Authz, Need
from cumulet.kernel.context import Context
from cumulet.services.events.model import DEFAULT, Bus, bus_key
from cumulet.services.events.policy import policy_of

Json = dict[str, Any]
Needs = Callable[[Context, Json], Iterable[Need]]
_PASSED = {"iam:PassedToService": "events.amazonaws.com"}


def _bus(ctx: Context, action: str, asked: str, **facts: Any) -> Need:
    account, region, name = ctx.account, ctx.region, asked
    if asked.startswith("arn:"):
        arn = Arn.parse(asked)
        account, region, name = arn.account, arn.region, arn.resource.removeprefix("event-bus/")
    bus = ctx.tx.get(bus_key(account, region, name), Bus)
    policy = policy_of(bus) if bus is not None and bus.statements else None
    if bus is not None:
        facts |= {f"aws:ResourceTag/{key}": value for key, value in bus.tags.items()}
    return Need(f"events:{action}", f"arn:aws:events:{region}:{account}:event-bus/{name}", account, policy, facts)


def _put_events(ctx: Context, req: Json) -> Iterable[Need]:
    seen = set()
    for entry in req["Entries"]:
        about = (entry.get("EventBusName", DEFAULT), entry.get("Source"), entry.get("DetailType"))
        if about not in seen:
            seen.add(about)
            facts = {"events:source": about[1], "events:detail-type": about[2]}
            yield _bus(ctx, "PutEvents", about[0], **facts)


def _forward(ctx: Context, req: Json) -> Iterable[Need]:
    """A bus that is a target: a service hands over what somebody put on another one."""
    return (_bus(ctx, "PutEvents", req["Bus"]),)


def _on_bus(action: str, member: str = "Name") -> Needs:
    return lambda ctx, req: (_bus(ctx, action, req.get(member, DEFAULT)),)


def _rule_arn(ctx: Context, name: str, bus: str) -> str:
    bus = bus.rpartition("/")[2]
    path = name if bus == DEFAULT else f"{bus}/{name}"
    return f"arn:aws:events:{ctx.region}:{ctx.account}:rule/{path}"


def _on_rule(action: str, member: str = "Name") -> Needs:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        facts: Json = {}
        if "Targets" in req:
            facts["events:TargetArn"] = [target["Arn"] for target in req["Targets"]]
        yield Need(f"events:{action}", _rule_arn(ctx, req[member], req.get("EventBusName", DEFAULT)), facts=facts)
        roles = [target["RoleArn"] for target in req.get("Targets", ()) if "RoleArn" in target]
        for role in sorted({*roles, *([req["RoleArn"]] if "RoleArn" in req else [])}):
            yield Need("iam:PassRole", role, facts=_PASSED)

    return needs


def _named(action: str, kind: str, member: str = "Name") -> Needs:
    def needs(ctx: Context, req: Json) -> Iterable[Need]:
        return (Need(f"events:{action}", f"arn:aws:events:{ctx.region}:{ctx.account}:{kind}/{req[member]}"),)

    return needs


def _by_arn(action: str) -> Needs:
    return lambda ctx, req: (Need(f"events:{action}", req["ResourceARN"]),)


AUTHZ = Authz(
    "events",
    {
        "PutEvents": _put_events,
        "cumulet:Forward": _forward,
        **{name: _on_bus(name) for name in ("CreateEventBus", "DeleteEventBus", "DescribeEventBus", "UpdateEventBus")},
        **{name: _on_bus(name, "EventBusName") for name in ("PutPermission", "RemovePermission")},
        **{name: _on_rule(name) for name in ("DeleteRule", "DescribeRule", "DisableRule", "EnableRule", "PutRule")},
        **{name: _on_rule(name, "Rule") for name in ("ListTargetsByRule", "PutTargets", "RemoveTargets")},
        **{f"{verb}Archive": _named(f"{verb}Archive", "archive", "ArchiveName") for verb in ("Create", "Delete", "Describe", "Update")},
        **{f"{verb}Connection": _named(f"{verb}Connection", "connection")
           for verb in ("Create", "Deauthorize", "Delete", "Describe", "Update")},
        **{f"{verb}ApiDestination": _named(f"{verb}ApiDestination", "api-destination")
           for verb in ("Create", "Delete", "Describe", "Update")},
        **{f"{verb}Replay": _named(f"{verb}Replay", "replay", "ReplayName") for verb in ("Cancel", "Describe", "Start")},
        **{name: _by_arn(name) for name in ("ListTagsForResource", "TagResource", "UntagResource")},
    },
)  # fmt: skip
