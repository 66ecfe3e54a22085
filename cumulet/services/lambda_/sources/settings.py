"""What requests say about a mapping, checked: what holds for all sources, and for queues."""

from __future__ import annotations

from typing import Any

from cumulet.aws.arn import Arn
from cumulet.aws.errors import AwsError, NotImplementedOnCumulet
from cumulet.kernel.context import Context
from cumulet.services.lambda_.acting import acting
from cumulet.services.lambda_.errors import InvalidParameterValueException, ResourceNotFoundException
from cumulet.services.lambda_.names import Ref, ref
from cumulet.services.lambda_.sources import streamsettings
from cumulet.services.lambda_.sources.feeds import FEEDS
from cumulet.services.lambda_.sources.filters import checked
from cumulet.services.lambda_.sources.model import Mapping

_DEFAULT_BATCH = 10
_MOST_WITHOUT_WINDOW = 10
_MOST_FIFO = 10
_OLD_CODES = {"QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue"}
_UNREAD = ("kinesis", "kafka", "mq", "rds")

Json = dict[str, Any]

# Settings of other kinds of sources, as AWS names them in its refusal.
_FOREIGN = (
    "ParallelizationFactor",
    "DestinationConfig",
    "MaximumRecordAgeInSeconds",
    "BisectBatchOnFunctionError",
    "MaximumRetryAttempts",
    "TumblingWindowInSeconds",
    "Topics",
    "Queues",
    "SourceAccessConfigurations",
    "AmazonManagedKafkaEventSourceConfig",
    "SelfManagedKafkaEventSourceConfig",
    "DocumentDBEventSourceConfig",
    "LoggingConfig",
)
_STARTING = ("StartingPosition", "StartingPositionTimestamp")


def default_batch(kind: str) -> int:
    """The batch size of a mapping that names none."""
    return streamsettings.DEFAULT_BATCH if kind in FEEDS else _DEFAULT_BATCH


def source_of(ctx: Context, req: Json) -> tuple[str, str]:
    """(kind, ARN) of a queue or stream here. Raises: InvalidParameterValueException, NotImplementedOnCumulet for other sources."""
    if req.get("SelfManagedEventSource"):
        _refuse("SelfManagedEventSource")
    if "EventSourceArn" not in req:
        raise InvalidParameterValueException("Event source ARN is required for this event source mapping.")
    text: str = req["EventSourceArn"]
    try:
        arn = Arn.parse(text)
    except ValueError as error:
        raise InvalidParameterValueException("Unrecognized event source.") from error
    if arn.service in FEEDS:
        streamsettings.check_source(ctx, arn, text, req)
        if arn.region != ctx.region:
            raise InvalidParameterValueException(
                f"The stream and the function must be in the same region: {text} is not in {ctx.region}."
            )
        return arn.service, text
    if arn.service in _UNREAD:
        raise NotImplementedOnCumulet(
            f"Event source mappings for {arn.service} are not implemented by Cumulet.",
            hint="SQS queues and DynamoDB streams are; see docs/services/lambda.md, Event source mappings.",
        )
    if arn.service != "sqs":
        raise InvalidParameterValueException("Unrecognized event source.")
    if arn.region != ctx.region:
        raise InvalidParameterValueException(
            f"The queue and the function must be in the same region: {text} is not in {ctx.region}."
        )
    return "sqs", text


def function_of(ctx: Context, name: str) -> Ref:
    """The function, version or alias that is to be invoked. Raises: InvalidParameterValueException."""
    where = ref(ctx, name)
    try:
        where.version(ctx)
    except ResourceNotFoundException as error:
        raise InvalidParameterValueException("Function does not exist", hint=error.hint) from error
    return where


def refuse_what_is_not_here(req: Json, kind: str) -> None:
    """Raises: NotImplementedOnCumulet for a setting that would not be honoured, InvalidParameterValueException for one of other sources."""
    if req.get("KMSKeyArn"):
        _refuse("KMSKeyArn")
    if kind in FEEDS:
        _refuse_foreign(req, streamsettings.FOREIGN)
        return
    if req.get("ProvisionedPollerConfig"):
        _refuse("ProvisionedPollerConfig")
    for name in _STARTING:
        if name in req:
            raise InvalidParameterValueException(f"{name} is not valid for SQS event sources.")
    _refuse_foreign(req, _FOREIGN)


def _refuse_foreign(req: Json, names: tuple[str, ...]) -> None:
    for name in names:
        if req.get(name):
            raise InvalidParameterValueException(f"Unsupported {name} parameter for given event source mapping type.")


def changes(req: Json, kind: str) -> Json:
    """The fields of a Mapping that a request sets. Raises: InvalidParameterValueException."""
    found: Json = streamsettings.changes(req) if kind in FEEDS else {}
    for member, field in (("BatchSize", "batch_size"), ("MaximumBatchingWindowInSeconds", "window_s")):
        if member in req:
            found[field] = req[member]
    if "Enabled" in req:
        found["enabled"] = req["Enabled"]
    if "ScalingConfig" in req:
        found["most"] = req["ScalingConfig"].get("MaximumConcurrency")
    if "FunctionResponseTypes" in req:
        found["responses"] = tuple(req["FunctionResponseTypes"])
    if "FilterCriteria" in req:
        found["filters"] = checked(req["FilterCriteria"])
    if "MetricsConfig" in req:
        found["metrics"] = tuple(req["MetricsConfig"].get("Metrics", ()))
        foreign = [metric for metric in found["metrics"] if metric != "EventCount"]
        if foreign:
            source = "a stream" if kind in FEEDS else "an SQS event source"
            raise InvalidParameterValueException(f"Unsupported metric for {source}: {', '.join(foreign)}")
    return found


def check(ctx: Context, mapping: Mapping) -> None:
    """What settings, source and function must be to each other. Raises: InvalidParameterValueException.

    Source: Lambda API_CreateEventSourceMapping; developer guide, "Creating and configuring an Amazon SQS event source mapping";
    texts as users of AWS quote them.
    """
    if mapping.stream:
        streamsettings.check(ctx, mapping)
        return
    if mapping.fifo:
        if mapping.window_s > 0:
            raise InvalidParameterValueException("Batching window is not supported for FIFO queues")
        if mapping.batch_size > _MOST_FIFO:
            raise InvalidParameterValueException(f"Batch size must be at most {_MOST_FIFO} for FIFO queues")
    elif mapping.batch_size > _MOST_WITHOUT_WINDOW and mapping.window_s == 0:
        raise InvalidParameterValueException(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
        )
    visible_s = _visibility(ctx, mapping)
    timeout_s = mapping.function.version(ctx).timeout_s
    if visible_s < timeout_s:
        raise InvalidParameterValueException(
            f"Queue visibility timeout: {visible_s} seconds is less than Function timeout: {timeout_s} seconds"
        )


def _visibility(ctx: Context, mapping: Mapping) -> int:
    try:
        backlog = ctx.call(
            "sqs", "cumulet:Backlog", {"QueueArn": mapping.source_arn}, principal=acting(ctx, mapping.function)
        )
    except AwsError as error:
        raise InvalidParameterValueException(
            f"Error occurred while ReceiveMessage. SQS Error Code: {_OLD_CODES.get(error.wire_code, error.wire_code)}. "
            f"SQS Error Message: {error.message}"
        ) from error
    return int(backlog["VisibilityTimeout"])


def _refuse(setting: str) -> None:
    raise NotImplementedOnCumulet(
        f"Lambda's setting {setting} is not implemented by Cumulet.",
        hint="See docs/services/lambda.md, Settings refused.",
    )
