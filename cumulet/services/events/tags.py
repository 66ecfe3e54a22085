"""Operations on the tags of event buses and rules."""

from __future__ import annotations

from typing import Any

from cumulet.aws.arn import Arn
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.events.errors import ResourceNotFoundException, ValidationException
from cumulet.services.events.model import DEFAULT, Bus, Rule, find_bus, rule_key
from cumulet.services.events.tagging import merged_tags, tag_list

Json = dict[str, Any]


def tag_resource(ctx: Context, req: Json) -> Json:
    """Add tags to a bus or a rule, at most 50.

    Raises: ResourceNotFoundException, ValidationException. Source: EventBridge API_TagResource (read 2026-11).
    """
    found = _tagged(ctx, req["ResourceARN"])
    ctx.tx.put(found.key, replace(found, tags=merged_tags(found.tags, req["Tags"])))
    return {}


def untag_resource(ctx: Context, req: Json) -> Json:
    """Take tags off a bus or a rule.

    Raises: ResourceNotFoundException, ValidationException. Source: EventBridge API_UntagResource (read 2026-11).
    """
    found = _tagged(ctx, req["ResourceARN"])
    left = {key: value for key, value in found.tags.items() if key not in req["TagKeys"]}
    ctx.tx.put(found.key, replace(found, tags=left))
    return {}


def list_tags_for_resource(ctx: Context, req: Json) -> Json:
    """The tags of a bus or a rule.

    Raises: ResourceNotFoundException, ValidationException. Source: EventBridge API_ListTagsForResource (read 2026-11).
    """
    return {"Tags": tag_list(_tagged(ctx, req["ResourceARN"]).tags)}


def _tagged(ctx: Context, text: str) -> Bus | Rule:
    try:
        arn = Arn.parse(text)
    except ValueError as error:
        raise ValidationException(
            f"Parameter {text} is not valid. Reason: Provided Arn is not in correct format."
        ) from error
    kind, _, path = arn.resource.partition("/")
    here = ctx.at(arn.account, arn.region)
    if kind == "event-bus":
        bus = find_bus(here, path)
        if bus is None:
            raise ResourceNotFoundException(f"Event bus {path} does not exist.")
        return bus
    if kind == "rule":
        bus_name, _, name = path.rpartition("/")
        rule = ctx.tx.get(rule_key(arn.account, arn.region, bus_name or DEFAULT, name), Rule)
        if rule is None:
            raise ResourceNotFoundException(f"Rule {name} does not exist on EventBus {bus_name or DEFAULT}.")
        return rule
    raise ValidationException(f"Parameter {text} is not valid. Reason: Provided Arn is not in correct format.")
