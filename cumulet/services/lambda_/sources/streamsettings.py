"""What requests say about a mapping of a stream, checked.

Source: Lambda API_CreateEventSourceMapping; developer guide, "Lambda parameters for Amazon DynamoDB event source mappings" (read
2026-11); texts as users of AWS quote them.
"""

from __future__ import annotations

from typing import Any

from cumulet.aws.arn import Arn
from cumulet.aws.errors import AwsError
from cumulet.kernel.context import Context
from cumulet.services.lambda_.errors import InvalidParameterValueException
from cumulet.services.lambda_.sources import feeds
from cumulet.services.lambda_.sources.feeds import FEEDS
from cumulet.services.lambda_.sources.model import Mapping

DEFAULT_BATCH = 100
YOUNGEST_LIMIT_S = 60
FOREIGN = (
    "ScalingConfig",
    "Topics",
    "Queues",
    "SourceAccessConfigurations",
    "AmazonManagedKafkaEventSourceConfig",
    "SelfManagedKafkaEventSourceConfig",
    "DocumentDBEventSourceConfig",
    "LoggingConfig",
    "ProvisionedPollerConfig",
)
_FIELDS = {
    "ParallelizationFactor": "factor",
    "MaximumRecordAgeInSeconds": "max_age_s",
    "BisectBatchOnFunctionError": "bisect",
    "MaximumRetryAttempts": "retries",
    "TumblingWindowInSeconds": "tumbling_s",
    "StartingPosition": "position",
    "StartingPositionTimestamp": "position_at",
}
_DESTINATIONS = ("sqs", "sns", "s3")

Json = dict[str, Any]


def changes(req: Json) -> Json:
    """The fields of a Mapping that a request sets for streams. Raises: InvalidParameterValueException."""
    found: Json = {field: req[member] for member, field in _FIELDS.items() if member in req}
    if 0 <= found.get("max_age_s", -1) < YOUNGEST_LIMIT_S:
        raise InvalidParameterValueException(
            f"MaximumRecordAgeInSeconds must be -1 or at least {YOUNGEST_LIMIT_S}: {found['max_age_s']}"
        )
    if "DestinationConfig" in req:
        found["on_failure"] = _destination(req["DestinationConfig"])
    return found


def _destination(config: Json) -> str:
    """A standard queue or topic, or a bucket; "" for none."""
    if config.get("OnSuccess", {}).get("Destination"):
        raise InvalidParameterValueException(
            "Unsupported DestinationConfig parameter for given event source mapping type."
        )
    target: str = config.get("OnFailure", {}).get("Destination", "")
    if not target:
        return ""
    try:
        arn = Arn.parse(target)
    except ValueError:
        arn = None
    if arn is None or arn.service not in _DESTINATIONS or (arn.service != "s3" and arn.resource.endswith(".fifo")):
        raise InvalidParameterValueException(
            "The provided destination config DestinationConfig(onSuccess=null, "
            f"onFailure=OnFailure(destination={target})) is invalid."
        )
    return target


def check_source(ctx: Context, arn: Arn, text: str, req: Json) -> None:
    """Whether the ARN is a stream's, and where reading is to start. Raises: InvalidParameterValueException."""
    if arn.service == "dynamodb" and "/stream/" not in arn.resource:
        raise InvalidParameterValueException(
            f"Unrecognized event source, must be kinesis, dynamodb stream or sqs. Unsupported source arn : {text}"
        )
    position = req.get("StartingPosition")
    if position is None:
        raise InvalidParameterValueException(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null."
        )
    if position not in FEEDS[arn.service].positions:
        raise InvalidParameterValueException(f"Unsupported starting position for arn type: {text}")
    if position == "AT_TIMESTAMP":
        if "StartingPositionTimestamp" not in req:
            raise InvalidParameterValueException("Need to specify a timestamp")
        if req["StartingPositionTimestamp"] > ctx.now:
            raise InvalidParameterValueException("StartingPositionTimestamp cannot be in the future.")
    elif "StartingPositionTimestamp" in req:
        raise InvalidParameterValueException("StartingPositionTimestamp is only valid with AT_TIMESTAMP.")


def check(ctx: Context, mapping: Mapping) -> None:
    """Whether there is such a stream. Raises: InvalidParameterValueException."""
    try:
        feeds.ask(ctx, mapping, "cumulet:Shards")
    except AwsError as error:
        raise InvalidParameterValueException(f"Stream not found: {mapping.source_arn}", hint=error.message) from error
