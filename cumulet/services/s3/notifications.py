"""Operations on a bucket's notifications: which events go to which queues, topics and functions, and to EventBridge.

Source: S3 API_PutBucketNotificationConfiguration; user guide, "Configuring event notifications using object key name
filtering", "Enabling event notifications" (read 2026-11).
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

from cumulet.aws.arn import Arn
from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.s3 import announcing as _announcing
from cumulet.services.s3.access import open_bucket as _open_bucket
from cumulet.services.s3.errors import InvalidArgument, InvalidDestinations
from cumulet.services.s3.model import Bucket
from cumulet.services.s3.model import bucket_key as _bucket_key

if TYPE_CHECKING:
    from cumulet.services.s3 import api

Json = dict[str, Any]

_MOST = 100
_ID_CHARACTERS = 255
_VALUE_BYTES = 1024
_SERVICES = {"TopicArn": "sns", "QueueArn": "sqs", "LambdaFunctionArn": "lambda"}
_KINDS = {"sns": "topic", "sqs": "queue", "lambda": "function"}


def put_bucket_notification_configuration(
    ctx: Context, req: api.PutBucketNotificationConfigurationRequest
) -> api.PutBucketNotificationConfigurationResult:
    """Replace the bucket's notifications: at most 100; an empty configuration turns them off.

    Two configurations for the same event must differ in prefix or suffix. Every destination must be there, in the bucket's
    region; queues and topics get a test event. SkipDestinationValidation leaves that out.
    Raises: NoSuchBucket, InvalidArgument.
    """
    bucket, given = _open_bucket(ctx, req), req["NotificationConfiguration"]
    made = _normal(ctx, given)  # type: ignore[arg-type]
    listed = list(_announcing.configurations(made))
    if len(listed) > _MOST:
        raise InvalidArgument(
            f"The number of event notification configurations exceeds the limit of {_MOST} per bucket.",
            "NotificationConfiguration",
            len(listed),
        )
    for _, configuration in listed:
        _check_filter(configuration)
    _check_overlaps([configuration for _, configuration in listed])
    for member, name in _announcing.DESTINATIONS.items():
        for configuration in made.get(member, ()):
            _check_arn(bucket, name, configuration[name])
    if not req.get("SkipDestinationValidation"):
        _check_destinations(ctx, bucket, list(dict.fromkeys(arn for arn, _ in listed)))
    ctx.tx.put(_bucket_key(bucket.name), replace(bucket, notification=made or None))
    return {}


def get_bucket_notification_configuration(
    ctx: Context, req: api.GetBucketNotificationConfigurationRequest
) -> api.GetBucketNotificationConfigurationResult:
    """The bucket's notifications; empty without any. Raises: NoSuchBucket.

    Source: S3 API_GetBucketNotificationConfiguration (read 2026-11).
    """
    return _open_bucket(ctx, req).notification or {}  # type: ignore[return-value]


def _normal(ctx: Context, given: Json) -> Json:
    """The configuration as it is kept and shown: with an Id for each, names of filter rules as AWS writes them."""
    made: Json = {}
    for member, arn in _announcing.DESTINATIONS.items():
        kept = []
        for each in given.get(member, ()):
            configuration: Json = {
                "Id": each.get("Id") or ctx.ids.uuid(),
                arn: each[arn],
                "Events": list(each["Events"]),
            }
            rules = each.get("Filter", {}).get("Key", {}).get("FilterRules", [])
            if rules:
                named = [
                    {"Name": str(rule.get("Name", "")).capitalize(), "Value": rule.get("Value", "")} for rule in rules
                ]
                configuration["Filter"] = {"Key": {"FilterRules": named}}
            kept.append(configuration)
        if kept:
            made[member] = kept
    if "EventBridgeConfiguration" in given:
        made["EventBridgeConfiguration"] = {}
    return made


def _check_filter(configuration: Json) -> None:
    if len(configuration["Id"]) > _ID_CHARACTERS:
        raise InvalidArgument(
            f"ID length should not exceed allowed limit of {_ID_CHARACTERS}", "Id", configuration["Id"]
        )
    rules = configuration.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    seen = set()
    for rule in rules:
        name = rule["Name"].lower()
        if name not in ("prefix", "suffix"):
            raise InvalidArgument("filter rule name must be either prefix or suffix", "FilterRule.Name", rule["Name"])
        if name in seen:
            raise InvalidArgument(
                f"Cannot specify more than one {name} rule in a filter.", "FilterRule.Name", rule["Name"]
            )
        seen.add(name)
        if len(rule["Value"].encode("utf-8", "surrogatepass")) > _VALUE_BYTES:
            raise InvalidArgument(
                f"Size of filter rule value cannot exceed {_VALUE_BYTES} bytes in UTF-8 representation",
                "FilterRule.Value",
                rule["Value"],
            )
    if not configuration["Events"]:
        raise InvalidArgument("A specified event is not supported for notifications.", "Event", "")


def _check_overlaps(listed: list[Json]) -> None:
    """Raises: InvalidArgument when one event of one key could go by two configurations."""
    for one, other in combinations(listed, 2):
        shared = [(a, b) for a in one["Events"] for b in other["Events"] if _same(a, b)]
        if shared and _overlap(one, other):
            raise InvalidArgument(
                "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are "
                "overlapping for the same event type.",
                "Event",
                ", ".join(shared[0]),
            )


def _same(one: str, other: str) -> bool:
    """Whether two event types, perhaps with `*`, have an event in common."""
    return (
        one == other
        or (one.endswith("*") and other.startswith(one[:-1]))
        or (other.endswith("*") and one.startswith(other[:-1]))
    )


def _overlap(one: Json, other: Json) -> bool:
    (prefix, suffix), (other_prefix, other_suffix) = _announcing.filters(one), _announcing.filters(other)
    return (prefix.startswith(other_prefix) or other_prefix.startswith(prefix)) and (
        suffix.endswith(other_suffix) or other_suffix.endswith(suffix)
    )


def _check_arn(bucket: Bucket, member: str, text: str) -> None:
    wrong = InvalidArgument(
        "A specified destination ARN does not exist or is not well-formed. Verify the destination ARN.", member, text
    )
    try:
        arn = Arn.parse(text)
    except ValueError:
        raise wrong from None
    if arn.service != _SERVICES[member] or not arn.resource or not arn.account:
        raise wrong
    if arn.region != bucket.region:
        raise InvalidArgument(
            "The notification destination service region is not valid for the bucket location constraint", member, text
        )


def _check_destinations(ctx: Context, bucket: Bucket, arns: list[str]) -> None:
    """Queues and topics take a test event; functions must be there. Raises: InvalidArgument."""
    refused: list[tuple[str, str]] = []
    body = _announcing.test_event(ctx, bucket.name)
    for arn in arns:
        kind = _KINDS[arn.split(":")[2]]
        if kind != "function" and arn.endswith(".fifo"):
            refused.append((arn, f"The destination {kind} is a FIFO {kind}"))
            continue
        try:
            if kind == "function":
                _, _, _, region, account, _ = arn.split(":", 5)
                asked = {"FunctionName": arn, "InvocationType": "DryRun"}
                ctx.call("lambda", "Invoke", asked, principal=_announcing.PRINCIPAL, source=f"arn:aws:s3:::{bucket.name}",
                         region=region, account=account)  # fmt: skip
            else:
                _announcing.hand_over(ctx, bucket.name, arn, body)
        except AwsError as error:
            refused.append((arn, _why(kind, arn, error)))
    if refused:
        raise InvalidDestinations(refused)


def _why(kind: str, arn: str, error: AwsError) -> str:
    if kind == "function":
        return f"Not authorized to invoke function [{arn}]"
    if error.http_status == 404 or "NotFound" in error.wire_code or "DoesNotExist" in error.wire_code:
        return f"The destination {kind} does not exist"
    return f"Permissions on the destination {kind} do not allow S3 to publish notifications from this bucket"
