"""KMS's errors by wire code, with AWS's own words where several operations say the same.

Source: KMS API reference, each operation's errors; developer guide, "Key states of AWS KMS keys" (read 2026-11).
"""

from __future__ import annotations

from cumulet.aws.errors import AwsError


class NotFoundException(AwsError):
    pass


class AlreadyExistsException(AwsError):
    pass


class DisabledException(AwsError):
    pass


class KMSInvalidStateException(AwsError):
    pass


class InvalidCiphertextException(AwsError):
    pass


class IncorrectKeyException(AwsError):
    pass


class InvalidKeyUsageException(AwsError):
    pass


class InvalidArnException(AwsError):
    pass


class InvalidAliasNameException(AwsError):
    pass


class InvalidGrantIdException(AwsError):
    pass


class InvalidGrantTokenException(AwsError):
    pass


class InvalidMarkerException(AwsError):
    pass


class InvalidImportTokenException(AwsError):
    pass


class ExpiredImportTokenException(AwsError):
    pass


class IncorrectKeyMaterialException(AwsError):
    pass


class KMSInvalidMacException(AwsError):
    pass


class KMSInvalidSignatureException(AwsError):
    pass


class KMSInternalException(AwsError):
    status = 500


class LimitExceededException(AwsError):
    pass


class MalformedPolicyDocumentException(AwsError):
    pass


class NotAuthorizedException(AwsError):
    pass


class AccessDeniedException(AwsError):
    pass


class DryRunOperationException(AwsError):
    status = 412


class TagException(AwsError):
    pass


class UnsupportedOperationException(AwsError):
    pass


class ValidationException(AwsError):
    pass


def no_access() -> AccessDeniedException:
    """What a ciphertext says whose key is not here."""
    return AccessDeniedException(
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not "
        "allowed to access."
    )
