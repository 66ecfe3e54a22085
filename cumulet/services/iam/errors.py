"""Errors of IAM."""

from cumulet.aws.errors import AwsError


class NoSuchEntity(AwsError):
    status = 404


class EntityAlreadyExists(AwsError):
    status = 409


class DeleteConflict(AwsError):
    status = 409


class LimitExceeded(AwsError):
    status = 409


class MalformedPolicyDocument(AwsError):
    pass


class UnmodifiableEntity(AwsError):
    pass


class InvalidInput(AwsError):
    pass


class IamValidationError(AwsError):
    code = "ValidationError"
