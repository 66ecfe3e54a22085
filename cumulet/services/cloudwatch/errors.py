"""CloudWatch's errors by wire code."""

from __future__ import annotations

from cumulet.aws.errors import AwsError


class InvalidParameterValue(AwsError):
    pass


class InvalidParameterCombination(AwsError):
    pass


class MissingParameter(AwsError):
    pass


class ValidationError(AwsError):
    pass


class InvalidNextToken(AwsError):
    pass


class InvalidFormat(AwsError):
    pass


class LimitExceeded(AwsError):
    pass


class ResourceNotFound(AwsError):
    status = 404


class ResourceNotFoundException(AwsError):
    status = 404


class InvalidParameterInput(AwsError):
    """A dashboard's body that is wrong, with `dashboardValidationMessages`."""
