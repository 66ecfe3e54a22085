"""Getting events to targets: at once where that succeeds, else again and again, at last to a dead-letter queue.

The first attempt is made in the transaction that took the event: it is in the target's store when the event is acknowledged.
A failed attempt leaves a row and a timer in that same transaction; each further attempt moves the row's due time with its
timer, or deletes it. So a crash leaves an event delivered or with its timer. Attempts that are effects (HTTP) may be
performed twice around a crash.
The waits are 2, 4, 8 ... 480 s, without AWS's random part: 185 attempts take a day.

Source: EventBridge user guide, "How EventBridge retries delivering events", "Using dead-letter queues" (read 2026-11).
"""

from __future__ import annotations

from typing import Any

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.outcome import Effect
from cumulet.kernel.record import replace
from cumulet.services.events.invoking import reserve
from cumulet.services.events.metrics import count_rule
from cumulet.services.events.model import Delivery, delivery_key
from cumulet.services.events.sending import PRINCIPAL, send, verdict

Json = dict[str, Any]
TIMER = "events.deliver"
_ATTEMPTS = 185
_AGE_S = 86_400
_LONGEST_WAIT_S = 480.0
_MESSAGE_CHARACTERS = 1000


def deliver(ctx: Context, delivery: Delivery) -> None:
    """Make the first attempt; what takes time is left to a timer that is due at once."""
    mark = ctx.tx.savepoint()
    try:
        outcome = send(ctx, delivery)
    except AwsError as error:
        ctx.tx.rollback(mark)
        _failed(ctx, ctx.ids.uuid(), delivery, *verdict(error), error.message)
        return
    if isinstance(outcome, Effect):
        ctx.tx.rollback(mark)
        _wait(ctx, ctx.ids.uuid(), replace(delivery, due=reserve(ctx, delivery.target, delivery.due)))
        return
    _succeeded(ctx, None, delivery)


def deliver_again(ctx: Context, key: Key) -> Effect | None:
    """Timer events.deliver: make an attempt that is due."""
    number = str(key[0])
    delivery = ctx.tx.get(delivery_key(number), Delivery)
    if delivery is None or delivery.due > ctx.now:
        return None
    ctx.follow([delivery.trace], at=delivery.rule_arn)
    mark = ctx.tx.savepoint()
    try:
        outcome = send(ctx, delivery)
    except AwsError as error:
        ctx.tx.rollback(mark)
        _failed(ctx, number, delivery, *verdict(error), error.message)
        return None
    if isinstance(outcome, Effect):
        return _watched(outcome, number)
    _succeeded(ctx, number, delivery)
    return None


def _watched(effect: Effect, number: str) -> Effect:
    def settle(ctx: Context, outcome: Any) -> Any:
        delivery = ctx.tx.get(delivery_key(number), Delivery)
        if delivery is None:
            return None
        mark = ctx.tx.savepoint()
        try:
            following = effect.settle(ctx, outcome)
        except AwsError as error:
            ctx.tx.rollback(mark)
            wait = error.members.get("RetryAfter")
            code, again = verdict(error)
            code = str(error.members.get("ErrorCode", code))
            if isinstance(wait, float) and wait < 0:
                again = False
            _failed(ctx, number, delivery, code, again, error.message, wait if isinstance(wait, float) else 0.0)
            return None
        if isinstance(following, Effect):
            return _watched(following, number)
        _succeeded(ctx, number, delivery)
        return None

    return Effect(effect.kind, effect.args, settle)


def _succeeded(ctx: Context, number: str | None, delivery: Delivery) -> None:
    if number is not None:
        ctx.tx.delete(delivery_key(number))
    _count(ctx, "Invocations", delivery)
    _count(ctx, "InvocationAttempts", delivery)
    _count(ctx, "SuccessfulInvocationAttempts", delivery)
    if delivery.attempts:
        _count(ctx, "RetryInvocationAttempts", delivery)


def _failed(
    ctx: Context, number: str, delivery: Delivery, code: str, again: bool, message: str, at_least_s: float = 0.0
) -> None:
    """An attempt failed: set the next one, or give up."""
    _count(ctx, "InvocationAttempts", delivery)
    if delivery.attempts:
        _count(ctx, "RetryInvocationAttempts", delivery)
    policy = delivery.target.get("RetryPolicy", {})
    attempts = delivery.attempts + 1
    due = ctx.now + max(min(2.0 ** min(attempts, 16), _LONGEST_WAIT_S), at_least_s)
    condition = None
    if again and attempts > policy.get("MaximumRetryAttempts", _ATTEMPTS):
        condition = "MaximumRetryAttempts"
    elif again and due - delivery.first > policy.get("MaximumEventAgeInSeconds", _AGE_S):
        condition = "MaximumEventAgeInSeconds"
    if again and condition is None:
        _wait(ctx, number, replace(delivery, attempts=attempts, due=reserve(ctx, delivery.target, due)))
        return
    ctx.tx.delete(delivery_key(number))
    _count(ctx, "Invocations", delivery)
    _count(ctx, "FailedInvocations", delivery)
    if "Arn" in delivery.target.get("DeadLetterConfig", {}):
        _bury(ctx, delivery, code, message, condition)


def _wait(ctx: Context, number: str, delivery: Delivery) -> None:
    ctx.tx.put(delivery_key(number), replace(delivery, trace=delivery.trace or ctx.trace))
    ctx.tx.wake(delivery.due, TIMER, (number,))


def _bury(ctx: Context, delivery: Delivery, code: str, message: str, condition: str | None) -> None:
    """Send the event to the target's dead-letter queue, with the reason as message attributes."""
    attributes = {
        "RULE_ARN": _text(delivery.rule_arn),
        "TARGET_ARN": _text(delivery.target["Arn"]),
        "ERROR_CODE": _text(code),
        "ERROR_MESSAGE": _text(message[:_MESSAGE_CHARACTERS] or code),
        "RETRY_ATTEMPTS": {"DataType": "Number", "StringValue": str(delivery.attempts)},
    }
    if condition is not None:
        attributes["EXHAUSTED_RETRY_CONDITION"] = _text(condition)
    queue = delivery.target["DeadLetterConfig"]["Arn"]
    try:
        ctx.deliver(
            queue,
            delivery.event,
            principal=PRINCIPAL,
            source=delivery.rule_arn,
            extra={"MessageAttributes": attributes},
            via=delivery.rule_arn,
            lost=True,
        )
    except AwsError:
        _count(ctx, "InvocationsFailedToBeSentToDlq", delivery)
    else:
        _count(ctx, "InvocationsSentToDlq", delivery)


def _text(value: str) -> Json:
    return {"DataType": "String", "StringValue": value}


def _count(ctx: Context, name: str, delivery: Delivery) -> None:
    here = (ctx.account, ctx.region) == (delivery.account, delivery.region)
    count_rule(ctx if here else ctx.at(delivery.account, delivery.region), name, delivery.bus, delivery.rule)
