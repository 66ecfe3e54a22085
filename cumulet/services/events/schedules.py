"""Rules that run on a schedule: one durable timer for each.

The timer's key has the rule's version, so that a rule that is changed, disabled or deleted leaves a timer that does nothing.
Each firing sets the next in its transaction. What was due while the server was down fires once at the start.

Source: EventBridge user guide, "Creating a rule that runs on a schedule" (read 2026-11).
"""

from __future__ import annotations

from cumulet.aws.schedule import next_fire
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.services.events.event import Event, iso
from cumulet.services.events.metrics import count
from cumulet.services.events.model import Rule, rule_key
from cumulet.services.events.routing import run_rule, shapes_of

TIMER = "events.schedule"


def set_timer(ctx: Context, rule: Rule) -> None:
    """Wait for the rule's next time, if it has one."""
    if rule.schedule is None or not rule.enabled:
        return
    due = next_fire(rule.schedule, ctx.now, rule.counted_from)
    if due is not None:
        ctx.tx.wake(due, TIMER, (rule.account, rule.region, rule.bus, rule.name, rule.version), fresh=True)


def fire(ctx: Context, key: Key) -> None:
    """Timer events.schedule: send a "Scheduled Event" to the rule's targets."""
    account, region, bus, name, version = (str(part) for part in key)
    rule = ctx.tx.get(rule_key(account, region, bus, name), Rule)
    if rule is None or rule.version != version:
        return
    set_timer(ctx, rule)
    envelope = {
        "version": "0",
        "id": ctx.ids.uuid(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": account,
        "time": iso(ctx.now),
        "region": region,
        "resources": [rule.arn],
    }
    count(ctx, "MatchedEvents")
    run_rule(ctx, rule, shapes_of(rule), Event.made(envelope, {}, b"{}", ctx.now))
