"""Lambda's errors by wire code, with the fault type that SDKs read."""

from __future__ import annotations

from typing import ClassVar

from cumulet.aws.errors import AwsError


class LambdaError(AwsError):
    """An error of Lambda's: says whose fault it is (`Type`)."""

    fault: ClassVar[str] = "User"

    def __init__(self, message: str = "", *, hint: str | None = None, reason: str | None = None) -> None:
        members = {"Type": self.fault} if reason is None else {"Type": self.fault, "Reason": reason}
        super().__init__(message, hint=hint, members=members)


class ResourceNotFoundException(LambdaError):
    status = 404


class ResourceConflictException(LambdaError):
    status = 409


class ResourceInUseException(LambdaError):
    status = 400


class ProvisionedConcurrencyConfigNotFoundException(LambdaError):
    status = 404


class InvalidParameterValueException(LambdaError):
    status = 400


class InvalidRequestContentException(LambdaError):
    status = 400


class ValidationException(LambdaError):
    """What the model's own constraints say, for the ones that depend on the kind of name."""

    status = 400


class PreconditionFailedException(LambdaError):
    status = 412


class RequestTooLargeException(LambdaError):
    status = 413


class RequestEntityTooLargeException(LambdaError):
    """A deployment package over the limit of a direct upload."""

    status = 413


class PolicyLengthExceededException(LambdaError):
    status = 400


class TooManyRequestsException(LambdaError):
    """Throttled; the reason says by which limit."""

    status = 429


class ServiceException(LambdaError):
    fault = "Service"
    status = 500


class InvalidRuntimeException(LambdaError):
    fault = "Service"
    status = 502


class AccessDeniedException(LambdaError):
    status = 403


def revision_mismatch(what: str) -> PreconditionFailedException:
    """The answer to an update with an outdated RevisionId; `what` is "Function", "Alias" or "Policy"."""
    return PreconditionFailedException(
        f"The RevisionId provided does not match the latest RevisionId. Call the Get{what} API to retrieve the latest "
        "RevisionId for your resource."
    )
