"""Operations on event buses' resource policies."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.events.errors import (
    PolicyLengthExceededException,
    ResourceNotFoundException,
    ValidationException,
)
from cumulet.services.events.model import bus_asked
from cumulet.services.events.policy import policy_of, statement_asked, statements_in

Json = dict[str, Any]
_MOST_CHARACTERS = 10_240


def put_permission(ctx: Context, req: Json) -> Json:
    """Permit another account to put events on a bus: one statement, or a whole policy (Policy), at most 10,240 characters.

    A statement with the id of an earlier one takes its place.
    Raises: ResourceNotFoundException, ValidationException, PolicyLengthExceededException.
    Source: EventBridge API_PutPermission (read 2026-11).
    """
    bus = bus_asked(ctx, req)
    if "Policy" in req:
        if any(member in req for member in ("Action", "Principal", "StatementId", "Condition")):
            raise ValidationException(
                "Policy can't be given together with Action, Principal, StatementId or Condition."
            )
        statements = statements_in(req["Policy"])
    else:
        made = statement_asked(bus, req)
        statements = [each for each in bus.statements if each.get("Sid") != made["Sid"]] + [made]
    changed = replace(bus, statements=statements, modified=ctx.now)
    if len(policy_of(changed)) > _MOST_CHARACTERS:
        raise PolicyLengthExceededException("The policy length exceeds the maximum allowed: 10240 characters.")
    ctx.tx.put(changed.key, changed)
    return {}


def remove_permission(ctx: Context, req: Json) -> Json:
    """Take one statement, or all, out of a bus's policy.

    Raises: ResourceNotFoundException, ValidationException. Source: EventBridge API_RemovePermission (read 2026-11).
    """
    bus = bus_asked(ctx, req)
    if req.get("RemoveAllPermissions"):
        left: list[Json] = []
    else:
        if "StatementId" not in req:
            raise ValidationException("Parameter StatementId is not valid. Reason: StatementId is a required argument.")
        if not bus.statements:
            raise ResourceNotFoundException("EventBus does not have a policy.")
        left = [each for each in bus.statements if each.get("Sid") != req["StatementId"]]
        if len(left) == len(bus.statements):
            raise ResourceNotFoundException("Statement with the provided id does not exist.")
    ctx.tx.put(bus.key, replace(bus, statements=left, modified=ctx.now))
    return {}
