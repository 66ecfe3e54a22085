"""SQS's errors by wire code, with AWS's own words where several operations say the same.

Source: SQS API reference, "Common errors" and each operation's errors (read 2026-11).
"""

from __future__ import annotations

from cumulet.aws.errors import AwsError


class QueueDoesNotExist(AwsError):
    pass


class QueueNameExists(AwsError):
    pass


class QueueDeletedRecently(AwsError):
    pass


class PurgeQueueInProgress(AwsError):
    pass


class InvalidAddress(AwsError):
    pass


class InvalidAttributeName(AwsError):
    pass


class InvalidAttributeValue(AwsError):
    pass


class InvalidMessageContents(AwsError):
    pass


class InvalidParameterValue(AwsError):
    pass


class MissingParameter(AwsError):
    pass


class ReceiptHandleIsInvalid(AwsError):
    pass


class MessageNotInflight(AwsError):
    pass


class OverLimit(AwsError):
    pass


class EmptyBatchRequest(AwsError):
    pass


class TooManyEntriesInBatchRequest(AwsError):
    pass


class BatchEntryIdsNotDistinct(AwsError):
    pass


class BatchRequestTooLong(AwsError):
    pass


class InvalidBatchEntryId(AwsError):
    pass


class KmsAccessDenied(AwsError):
    pass


class KmsDisabled(AwsError):
    pass


class KmsInvalidKeyUsage(AwsError):
    pass


class KmsInvalidState(AwsError):
    pass


class KmsNotFound(AwsError):
    pass


class ResourceNotFoundException(AwsError):
    pass


class UnsupportedOperation(AwsError):
    pass


def no_queue(name: str, region: str) -> QueueDoesNotExist:
    return QueueDoesNotExist("The specified queue does not exist.", hint=f"no queue {name} in {region}")


def invalid(value: object, parameter: str, reason: str) -> InvalidParameterValue:
    return InvalidParameterValue(f"Value {value} for parameter {parameter} is invalid. Reason: {reason}")


def missing(parameter: str) -> MissingParameter:
    return MissingParameter(f"The request must contain the parameter {parameter}.")


def bad_attribute(name: str) -> InvalidAttributeValue:
    return InvalidAttributeValue(f"Invalid value for the parameter {name}.")


def unknown_attribute(name: str) -> InvalidAttributeName:
    return InvalidAttributeName(f"Unknown Attribute {name}.")
