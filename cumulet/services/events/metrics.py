"""EventBridge's metrics in AWS/Events.

Metrics of a rule on the default bus have the dimension RuleName, on another bus EventBusName too; the sum over all rules has none.
Source: EventBridge user guide, "Monitoring Amazon EventBridge" (read 2026-11).
"""

from __future__ import annotations

from cumulet.kernel.context import Context
from cumulet.services.events.model import DEFAULT

_NAMESPACE = "AWS/Events"


def count(ctx: Context, name: str, value: float = 1.0) -> None:
    """Count something of the whole account and region."""
    ctx.meter(_NAMESPACE, name, value)


def count_rule(ctx: Context, name: str, bus: str, rule: str) -> None:
    """Count something of a rule, and of all rules."""
    ctx.meter(_NAMESPACE, name, 1.0)
    if bus == DEFAULT:
        ctx.meter(_NAMESPACE, name, 1.0, RuleName=rule)
    else:
        ctx.meter(_NAMESPACE, name, 1.0, EventBusName=bus, RuleName=rule)
