"""EventBridge's errors by wire code."""

from __future__ import annotations

from cumulet.aws.errors import AwsError


class ResourceNotFoundException(AwsError):
    pass


class ResourceAlreadyExistsException(AwsError):
    pass


class ValidationException(AwsError):
    pass


class InvalidEventPatternException(AwsError):
    pass


class LimitExceededException(AwsError):
    pass


class ManagedRuleException(AwsError):
    pass


class PolicyLengthExceededException(AwsError):
    pass


class IllegalStatusException(AwsError):
    pass


class InvalidTokenException(AwsError):
    code = "InvalidToken"
