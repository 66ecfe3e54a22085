"""DynamoDB Streams' errors, named by their wire codes."""

from __future__ import annotations

from cumulet.aws.errors import AwsError


class ValidationException(AwsError):
    pass


class LimitExceededException(AwsError):
    pass


class ExpiredIteratorException(AwsError):
    pass


class TrimmedDataAccessException(AwsError):
    pass


def trimmed() -> TrimmedDataAccessException:
    return TrimmedDataAccessException("The data you are trying to access has been trimmed")


def at_most(member: str, value: int, limit: int) -> ValidationException:
    """A number above what the service takes, in the words of its other checks."""
    return ValidationException(
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: "
        f"Member must have value less than or equal to {limit}"
    )
