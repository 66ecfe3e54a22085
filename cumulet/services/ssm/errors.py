"""Parameter Store's errors by wire code.

Source: Systems Manager API reference, each operation's errors (read 2026-11).
"""

from __future__ import annotations

from cumulet.aws.errors import AwsError


class ParameterNotFound(AwsError):
    pass


class ParameterVersionNotFound(AwsError):
    pass


class ParameterAlreadyExists(AwsError):
    pass


class ParameterLimitExceeded(AwsError):
    pass


class ParameterMaxVersionLimitExceeded(AwsError):
    pass


class ParameterVersionLabelLimitExceeded(AwsError):
    pass


class ParameterPatternMismatchException(AwsError):
    pass


class InvalidAllowedPatternException(AwsError):
    pass


class HierarchyLevelLimitExceededException(AwsError):
    pass


class HierarchyTypeMismatchException(AwsError):
    pass


class InvalidKeyId(AwsError):
    pass


class InvalidFilterKey(AwsError):
    pass


class InvalidFilterOption(AwsError):
    pass


class InvalidFilterValue(AwsError):
    pass


class InvalidNextToken(AwsError):
    pass


class InvalidResourceId(AwsError):
    pass


class TooManyTagsError(AwsError):
    pass


class AccessDeniedException(AwsError):
    pass


class ValidationException(AwsError):
    pass
