"""Errors of the API Gateway control plane, by wire code."""

from __future__ import annotations

from cumulet.aws.errors import AwsError, NotImplementedOnCumulet


class BadRequestException(AwsError):
    status = 400


class NotFoundException(AwsError):
    status = 404


class ConflictException(AwsError):
    status = 409


class LimitExceededException(AwsError):
    status = 429


def not_honoured(setting: str, hint: str | None = None) -> NotImplementedOnCumulet:
    """The refusal of a setting that would otherwise be stored and ignored."""
    return NotImplementedOnCumulet(
        f"API Gateway {setting} is not implemented by Cumulet.", hint=hint or "See docs/services/apigateway.md"
    )
