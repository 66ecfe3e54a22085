"""SNS's errors by wire code."""

from __future__ import annotations

from cumulet.aws.errors import AwsError, NotImplementedOnCumulet


class InvalidParameter(AwsError):
    """400: a parameter that does not comply with its constraints."""

    @classmethod
    def of(cls, what: str) -> InvalidParameter:
        """In SNS's usual words: "Invalid parameter: ..."."""
        return cls(f"Invalid parameter: {what}")

    def within(self, name: str) -> InvalidParameter:
        """The same about `name` in a map of attributes: "Invalid parameter: Attributes Reason: ..."."""
        what = self.message.removeprefix("Invalid parameter: ")
        return InvalidParameter.of(
            f"Attributes Reason: {f'Unknown attribute {name}' if what == 'AttributeName' else what}"
        )


class ParameterValueInvalid(AwsError):
    """400: a message attribute whose value does not comply with its type."""


class NotFound(AwsError):
    status = 404


class KMSAccessDenied(AwsError):
    pass


class KMSDisabled(AwsError):
    pass


class KMSInvalidState(AwsError):
    pass


class KMSNotFound(AwsError):
    pass


class ResourceNotFound(AwsError):
    status = 404


class AuthorizationError(AwsError):
    status = 403


class TopicLimitExceeded(AwsError):
    status = 403


class SubscriptionLimitExceeded(AwsError):
    status = 403


class FilterPolicyLimitExceeded(AwsError):
    status = 403


class TagLimitExceeded(AwsError):
    pass


class EmptyBatchRequest(AwsError):
    pass


class TooManyEntriesInBatchRequest(AwsError):
    pass


class BatchEntryIdsNotDistinct(AwsError):
    pass


class InvalidBatchEntryId(AwsError):
    pass


class BatchRequestTooLong(AwsError):
    pass


def no_topic() -> NotFound:
    return NotFound("Topic does not exist")


def no_subscription() -> NotFound:
    return NotFound("Subscription does not exist")


def unsupported(name: str) -> NotImplementedOnCumulet:
    return NotImplementedOnCumulet(
        f"SNS's setting {name} is not implemented by Cumulet.", hint="See docs/services/sns.md"
    )
