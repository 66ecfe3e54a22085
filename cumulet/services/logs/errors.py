"""CloudWatch Logs' errors by wire code."""

from __future__ import annotations

from cumulet.aws.errors import AwsError


class ResourceNotFoundException(AwsError):
    pass


class ResourceAlreadyExistsException(AwsError):
    pass


class InvalidParameterException(AwsError):
    pass


class ValidationException(AwsError):
    pass


class LimitExceededException(AwsError):
    pass


class TooManyTagsException(AwsError):
    pass


def no_group() -> ResourceNotFoundException:
    return ResourceNotFoundException("The specified log group does not exist.")


def no_stream() -> ResourceNotFoundException:
    return ResourceNotFoundException("The specified log stream does not exist.")
