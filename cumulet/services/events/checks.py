"""What PutRule and PutTargets let pass: patterns that compile, targets whose every setting is honoured."""

from __future__ import annotations

from typing import Any

from cumulet.aws.arn import Arn
from cumulet.aws.errors import NotImplementedOnCumulet
from cumulet.aws.eventpattern import InvalidPattern, compile_pattern
from cumulet.kernel.context import Context
from cumulet.services.events.errors import (
    InvalidEventPatternException,
    LimitExceededException,
    ManagedRuleException,
    ValidationException,
)
from cumulet.services.events.inputs import check_input
from cumulet.services.events.model import Rule

Json = dict[str, Any]
_PATTERN_CHARACTERS = 2048

# the service of an ARN -> the operation that must be there
_DELIVERED_BY = {
    "lambda": ("lambda", "Invoke"),
    "sqs": ("sqs", "SendMessage"),
    "sns": ("sns", "Publish"),
    "events": ("events", "PutEvents"),
    "logs": ("logs", "PutLogEvents"),
    "states": ("stepfunctions", "StartExecution"),
    "kinesis": ("kinesis", "PutRecord"),
    "firehose": ("firehose", "PutRecord"),
}
_REFUSED = (
    "AppSyncParameters",
    "BatchParameters",
    "EcsParameters",
    "RedshiftDataParameters",
    "RunCommandParameters",
    "SageMakerPipelineParameters",
)


def check_unmanaged(rule: Rule) -> None:
    """Raises: ManagedRuleException."""
    if rule.managed_by is not None:
        raise ManagedRuleException(
            f"Rule {rule.name} is managed by an AWS service can only be modified if force parameter is set to true."
        )


def check_pattern(text: str) -> None:
    """Raises: InvalidEventPatternException, LimitExceededException."""
    if len(text) > _PATTERN_CHARACTERS:
        raise LimitExceededException(f"Event pattern exceeds the maximum of {_PATTERN_CHARACTERS} characters.")
    try:
        compile_pattern(text)
    except InvalidPattern as error:
        raise InvalidEventPatternException(str(error)) from error


def parsed(text: str) -> Arn:
    """Raises: ValidationException."""
    try:
        return Arn.parse(text)
    except ValueError as error:
        raise ValidationException(
            f"Parameter {text} is not valid. Reason: Provided Arn is not in correct format."
        ) from error


def kind_of(arn: Arn) -> str:
    """How a target is reached: "bus", "http", "logs", or "deliver" for what the table of targets knows."""
    if arn.service == "execute-api":
        return "http"
    if arn.service == "events":
        return "http" if arn.resource.startswith("api-destination/") else "bus"
    return "logs" if arn.service == "logs" else "deliver"


def check_target(ctx: Context, target: Json, bus_arn: str) -> None:
    """Raises: ValidationException, NotImplementedOnCumulet."""
    arn = parsed(target["Arn"])
    if not _is_there(ctx, arn):
        raise NotImplementedOnCumulet(f"EventBridge's target {target['Arn']} is not implemented by Cumulet.")
    for member in _REFUSED:
        if member in target:
            raise NotImplementedOnCumulet(f"EventBridge's setting {member} of targets is not implemented by Cumulet.")
    check_input(target)
    _check_address(target, arn, bus_arn)
    _check_parameters(target, arn)
    if "DeadLetterConfig" in target and "Arn" in target["DeadLetterConfig"]:
        queue = parsed(target["DeadLetterConfig"]["Arn"])
        if queue.service != "sqs" or queue.resource.endswith(".fifo"):
            raise ValidationException(
                f"Parameter {target['DeadLetterConfig']['Arn']} is not valid. Reason: a dead-letter queue must be a standard Amazon SQS queue."
            )


def _is_there(ctx: Context, arn: Arn) -> bool:
    if arn.service == "execute-api":
        return ctx.pipeline.services.door("execute-api") is not None
    operation = _DELIVERED_BY.get(arn.service)
    return operation is not None and ctx.pipeline.services.operation(*operation) is not None


def _check_address(target: Json, arn: Arn, bus_arn: str) -> None:
    wrong = ValidationException(
        f"Parameter {target['Arn']} is not valid. Reason: Provided Arn is not in correct format."
    )
    if arn.service == "lambda" and not arn.resource.startswith("function:"):
        raise wrong
    if arn.service == "execute-api" and arn.resource.count("/") < 2:
        raise wrong
    if arn.service == "logs" and not arn.resource.startswith("log-group:"):
        raise wrong
    if arn.service == "events":
        if not arn.resource.startswith(("event-bus/", "api-destination/")):
            raise wrong
        if arn.resource.startswith("event-bus/") and target.keys() & {"Input", "InputPath", "InputTransformer"}:
            raise ValidationException(
                f"Input, InputPath, and InputTransformer are not available with an event bus as target {target['Id']}."
            )
        if target["Arn"] == bus_arn:
            raise ValidationException(
                f"Parameter {target['Arn']} is not valid. Reason: Event bus cannot be a target of its own rule."
            )


def _check_parameters(target: Json, arn: Arn) -> None:
    number = target["Id"]
    if "SqsParameters" in target and arn.service != "sqs":
        raise ValidationException(f"Parameter(s) SqsParameters not valid for target: {number}.")
    if (
        arn.service == "sqs"
        and arn.resource.endswith(".fifo")
        and "MessageGroupId" not in target.get("SqsParameters", {})
    ):
        raise ValidationException(f"Parameter(s) SqsParameters must be specified for target: {number}.")
    if "KinesisParameters" in target and arn.service != "kinesis":
        raise ValidationException(f"Parameter(s) KinesisParameters not valid for target: {number}.")
    if "HttpParameters" in target and kind_of(arn) != "http":
        raise ValidationException(f"Parameter(s) HttpParameters not valid for target: {number}.")
