"""DynamoDB's errors, named by their wire codes."""

from __future__ import annotations

from cumulet.aws.errors import AwsError


class ValidationException(AwsError):
    pass


class SerializationException(AwsError):
    pass


class ResourceNotFoundException(AwsError):
    pass


class TableNotFoundException(AwsError):
    pass


class ResourceInUseException(AwsError):
    pass


class LimitExceededException(AwsError):
    pass


class ConditionalCheckFailedException(AwsError):
    pass


class DuplicateItemException(AwsError):
    pass


class ProvisionedThroughputExceededException(AwsError):
    pass


class ThrottlingException(AwsError):
    pass


class BackupNotFoundException(AwsError):
    pass


class BackupInUseException(AwsError):
    pass


class TableAlreadyExistsException(AwsError):
    pass


class TableInUseException(AwsError):
    pass


class PointInTimeRecoveryUnavailableException(AwsError):
    pass


class InvalidRestoreTimeException(AwsError):
    pass


class InvalidExportTimeException(AwsError):
    pass


class ExportNotFoundException(AwsError):
    pass


class ExportConflictException(AwsError):
    pass


class ImportNotFoundException(AwsError):
    pass


class ImportConflictException(AwsError):
    pass


class AccessDeniedException(AwsError):
    pass


class PolicyNotFoundException(AwsError):
    pass


class ItemCollectionSizeLimitExceededException(AwsError):
    pass


class TransactionCanceledException(AwsError):
    pass


class IdempotentParameterMismatchException(AwsError):
    pass


def invalid(text: str) -> ValidationException:
    """The commonest form: `One or more parameter values were invalid: ...`."""
    return ValidationException(f"One or more parameter values were invalid: {text}")


def no_table() -> ResourceNotFoundException:
    """What item operations answer for a table that is not there, or not yet."""
    return ResourceNotFoundException("Requested resource not found")
