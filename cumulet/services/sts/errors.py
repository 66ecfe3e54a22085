"""Errors of STS."""

from cumulet.aws.errors import AwsError


class ExpiredToken(AwsError):
    status = 403

    def __init__(self) -> None:
        super().__init__("The security token included in the request is expired")


class InvalidClientTokenId(AwsError):
    status = 403

    def __init__(self) -> None:
        super().__init__("The security token included in the request is invalid.")


class StsValidationError(AwsError):
    code = "ValidationError"
