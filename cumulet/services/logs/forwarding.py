"""Handing events to what a group's subscription filters name: compressed, in the transaction that keeps the events.

A destination that refuses loses nothing: the refusal is undone alone and leaves a row and a timer in the same commit,

    row + timer  ->  attempt  ->  delivered, or the group has the filter no more: row deleted
                              ->  refused: next timer after 1, 2, 4 ... 300 s, given up after a day

Source: CloudWatch Logs user guide, "Log group-level subscription filters", "Example 2: Subscription filters with AWS
Lambda" (read 2026-11).
"""

from __future__ import annotations

import gzip
from base64 import b64encode
from typing import Any

import msgspec

from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.kernel.keys import Key
from cumulet.kernel.record import Record, replace
from cumulet.services.logs.extracting import extracted
from cumulet.services.logs.model import ROOT, Group, Stream, SubscriptionFilter, group_key, place_of
from cumulet.services.logs.patterns import Matches, compiled

TIMER = "logs.forward"
PRINCIPAL = "logs.amazonaws.com"
_LONGEST_WAIT_S = 300.0
_AGE_S = 86_400
_PAYLOAD_BYTES = 256 * 1024  # what a function takes asynchronously
_REMEMBERED = 500
_encode = msgspec.json.Encoder().encode


class Notice(Record):
    """A payload that its destination refused."""

    account: str
    region: str
    group: str
    filter: str
    body: bytes
    first: float
    due: float
    failures: int = 1
    trace: str = ""


def forward(ctx: Context, group: Group, stream: Stream, events: list[tuple[int, str]], order: int) -> None:
    """Give each subscription filter of the group those of a batch's events that match it."""
    for filter_ in (group.subscriptions or {}).values():
        matches = matcher(ctx, filter_.pattern)
        chosen: list[dict[str, Any]] = [
            {"id": f"{place_of(at_ms, order, index):056d}", "timestamp": at_ms, "message": message}
            for index, (at_ms, message) in enumerate(events)
            if matches(message)
        ]
        if filter_.pattern.lstrip().startswith("["):
            for event in chosen:
                fields = extracted(filter_.pattern, event["message"])
                event["extractedFields"] = {name.removeprefix("$"): field for name, field in fields.items()}
        if chosen:
            _send(ctx, group, stream.name, filter_, chosen)


def matcher(ctx: Context, pattern: str) -> Matches:
    """The compiled pattern; the newest ones are remembered."""
    known: dict[str, Matches] = ctx.pipeline.volatile.setdefault("logs.patterns", {})
    found = known.get(pattern)
    if found is None:
        found = compiled(pattern)
        if len(known) >= _REMEMBERED:
            known.clear()
        known[pattern] = found
    return found


def _send(ctx: Context, group: Group, stream: str, filter_: SubscriptionFilter, events: list[dict[str, Any]]) -> None:
    body = _packed(group, stream, filter_, events)
    if len(body) > _PAYLOAD_BYTES and len(events) > 1:
        half = len(events) // 2
        _send(ctx, group, stream, filter_, events[:half])
        _send(ctx, group, stream, filter_, events[half:])
        return
    try:
        _hand_over(ctx, group, filter_, body)
    except AwsError:
        key = _notice_key(ctx.ids.uuid())
        notice = Notice(account=group.account, region=group.region, group=group.name, filter=filter_.name, body=body,
                        first=ctx.now, due=ctx.now + 1.0, trace=ctx.trace)  # fmt: skip
        ctx.tx.put(key, notice)
        ctx.tx.wake(notice.due, TIMER, key[2:])
        _meter(ctx, group, filter_, "DeliveryErrors", 1)
    else:
        _meter(ctx, group, filter_, "ForwardedLogEvents", len(events))
        _meter(ctx, group, filter_, "ForwardedBytes", len(body), "Bytes")


def _packed(group: Group, stream: str, filter_: SubscriptionFilter, events: list[dict[str, Any]]) -> bytes:
    message = {
        "messageType": "DATA_MESSAGE",
        "owner": group.account,
        "logGroup": group.name,
        "logStream": stream,
        "subscriptionFilters": [filter_.name],
        "logEvents": events,
    }
    return _encode({"awslogs": {"data": b64encode(gzip.compress(_encode(message), mtime=0)).decode()}})


def _hand_over(ctx: Context, group: Group, filter_: SubscriptionFilter, body: bytes) -> None:
    source = f"{group.arn}:*"
    ctx.deliver(filter_.destination, body, principal=PRINCIPAL, source=source, via=group.arn)


def _meter(
    ctx: Context, group: Group, filter_: SubscriptionFilter, name: str, value: float, unit: str = "Count"
) -> None:
    ctx.meter("AWS/Logs", name, value, unit, 1, LogGroupName=group.name, DestinationType="Lambda",
              FilterName=filter_.name)  # fmt: skip


def forward_again(ctx: Context, key: Key) -> None:
    """Timer logs.forward: the next attempt of a payload that was refused."""
    at = _notice_key(str(key[0]))
    notice = ctx.tx.get(at, Notice)
    if notice is None or notice.due > ctx.now:
        return
    group = ctx.tx.get(group_key(notice.account, notice.region, notice.group), Group)
    filter_ = None if group is None else (group.subscriptions or {}).get(notice.filter)
    if group is not None and filter_ is not None:
        ctx.follow([notice.trace], at=group.arn)
        try:
            _hand_over(ctx, group, filter_, notice.body)
        except AwsError:
            _meter(ctx, group, filter_, "DeliveryErrors", 1)
            due = ctx.now + min(2.0 ** min(notice.failures, 16), _LONGEST_WAIT_S)
            if due - notice.first <= _AGE_S:
                ctx.tx.put(at, replace(notice, failures=notice.failures + 1, due=due))
                ctx.tx.wake(due, TIMER, at[2:])
                return
    ctx.tx.delete(at)


def _notice_key(number: str) -> Key:
    return (ROOT, "notice", number)
