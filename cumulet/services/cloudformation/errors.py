"""CloudFormation's errors, named by their wire codes."""

from cumulet.aws.errors import AwsError


class ValidationError(AwsError):
    """400: the template or the request is not acceptable."""


class AlreadyExistsException(AwsError):
    pass


class InsufficientCapabilitiesException(AwsError):
    pass


class LimitExceededException(AwsError):
    pass


class ChangeSetNotFound(AwsError):
    status = 404


class InvalidChangeSetStatus(AwsError):
    pass
