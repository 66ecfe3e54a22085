"""Secrets Manager's errors by wire code, with AWS's own words where several operations say the same.

Source: Secrets Manager API reference, each operation's errors (read 2026-11).
"""

from __future__ import annotations

from cumulet.aws.errors import AwsError


class ResourceNotFoundException(AwsError):
    pass


class ResourceExistsException(AwsError):
    pass


class InvalidParameterException(AwsError):
    pass


class InvalidRequestException(AwsError):
    pass


class InvalidNextTokenException(AwsError):
    pass


class LimitExceededException(AwsError):
    pass


class MalformedPolicyDocumentException(AwsError):
    pass


class PublicPolicyException(AwsError):
    pass


class DecryptionFailure(AwsError):
    pass


class EncryptionFailure(AwsError):
    pass


class AccessDeniedException(AwsError):
    pass


class ValidationException(AwsError):
    pass


def no_secret() -> ResourceNotFoundException:
    return ResourceNotFoundException("Secrets Manager can't find the specified secret.")


def no_value(what: str) -> ResourceNotFoundException:
    return ResourceNotFoundException(f"Secrets Manager can't find the specified secret value for {what}")


def marked() -> InvalidRequestException:
    return InvalidRequestException("You can't perform this operation on the secret because it was marked for deletion.")
