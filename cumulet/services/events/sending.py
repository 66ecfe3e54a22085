"""One attempt to give an event to a target."""

from __future__ import annotations

from typing import Any

import msgspec

from cumulet.aws.arn import Arn
from cumulet.aws.errors import AwsError
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.context import Context
from cumulet.services.events.checks import kind_of
from cumulet.services.events.inputs import path_of, value_at
from cumulet.services.events.invoking import invoke
from cumulet.services.events.model import Delivery

Json = dict[str, Any]
PRINCIPAL = "events.amazonaws.com"
_GONE = ("NotFound", "NoSuch", "NonExistent", "DoesNotExist")
_DENIED = ("AccessDenied", "Forbidden", "NotAuthorized", "Unauthorized")
_BUSY = ("Throttl", "TooManyRequests", "ProvisionedThroughputExceeded", "RequestLimitExceeded", "SlowDown")


def send(ctx: Context, delivery: Delivery) -> Any:
    """Try once. Returns an Effect where the target takes time. Raises: AwsError; `verdict` judges it."""
    target = delivery.target
    arn = Arn.parse(target["Arn"])
    kind = kind_of(arn)
    if kind == "http":
        return invoke(ctx, delivery, arn)
    if kind == "bus":
        asked = {"Bus": target["Arn"], "Event": delivery.event, "Hops": delivery.hops, "From": delivery.account}
        return ctx.call(
            "events",
            "cumulet:Forward",
            asked,
            principal=target.get("RoleArn", PRINCIPAL),
            source=delivery.rule_arn,
            region=arn.region,
            account=arn.account,
        )
    if kind == "logs":
        return _log(ctx, delivery, arn)
    return ctx.deliver(
        target["Arn"],
        delivery.payload,
        principal=target.get("RoleArn", PRINCIPAL),
        source=delivery.rule_arn,
        extra=_extra(delivery, arn),
        via=delivery.rule_arn,
    )


def _extra(delivery: Delivery, arn: Arn) -> Json:
    target = delivery.target
    if "MessageGroupId" in target.get("SqsParameters", {}):
        return {"MessageGroupId": target["SqsParameters"]["MessageGroupId"]}
    if arn.service == "kinesis":
        event = msgspec.json.decode(delivery.event)
        if "KinesisParameters" in target:
            key = value_at(event, path_of(target["KinesisParameters"]["PartitionKeyPath"]))
            if isinstance(key, (str, int, float)):
                return {"PartitionKey": str(key)}
        return {"PartitionKey": event["id"]}
    return {}


def _log(ctx: Context, delivery: Delivery, arn: Arn) -> Json:
    """An event is a line in a stream of its own. A template may give {"timestamp": ..., "message": ...}."""
    group = arn.resource.removeprefix("log-group:").removesuffix(":*")
    text, at = delivery.payload.decode(), int(ctx.now * 1000)
    if "InputTransformer" in delivery.target:
        shaped = _parsed(delivery.payload)
        if isinstance(shaped, dict) and "message" in shaped:
            message = shaped["message"]
            text = message if isinstance(message, str) else msgspec.json.encode(message).decode()
            at = shaped["timestamp"] if isinstance(shaped.get("timestamp"), int) else at
    stream = ctx.ids.uuid()
    where: dict[str, Any] = {"principal": "", "region": arn.region, "account": arn.account}
    ctx.call("logs", "CreateLogStream", {"logGroupName": group, "logStreamName": stream}, **where)
    line = {"timestamp": at, "message": text}
    ctx.call("logs", "PutLogEvents", {"logGroupName": group, "logStreamName": stream, "logEvents": [line]}, **where)
    return {}


def _parsed(payload: bytes) -> Any:
    """What a template gave; None where it is no JSON (values put into strings are not escaped)."""
    try:
        return read_json(payload)
    except NotJson:
        return None


def verdict(error: AwsError) -> tuple[str, bool]:
    """(ERROR_CODE as dead-letter queues have it, whether another attempt may help)."""
    code, status = error.wire_code, error.http_status
    if any(part in code for part in _BUSY) or status == 429:
        return "THROTTLING", True
    if status >= 500 and status != 501:
        return "INTERNAL_ERROR", True
    if code == "THIRD_ACCOUNT_HOP_DETECTED":
        return code, False
    if any(part in code for part in _GONE) or status == 404:
        return "NO_RESOURCE", False
    if any(part in code for part in _DENIED) or status == 403:
        return "NO_PERMISSIONS", False
    return "INVALID_PARAMETER", False
