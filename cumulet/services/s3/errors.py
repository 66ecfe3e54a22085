"""Errors of S3, with AWS's messages. Source: S3 API reference, "Error responses" (read 2026-11)."""

from __future__ import annotations

from cumulet.aws.errors import AwsError, NotImplementedOnCumulet


class NoSuchBucket(AwsError):
    status = 404

    def __init__(self, bucket: str) -> None:
        super().__init__("The specified bucket does not exist", members={"BucketName": bucket})


class NoSuchKey(AwsError):
    status = 404

    def __init__(self, key: str) -> None:
        super().__init__("The specified key does not exist.", members={"Key": key})


class NoSuchVersion(AwsError):
    status = 404

    def __init__(self, key: str, version: str) -> None:
        super().__init__("The specified version does not exist.", members={"Key": key, "VersionId": version})


class NoSuchUpload(AwsError):
    status = 404

    def __init__(self, upload: str) -> None:
        super().__init__(
            "The specified upload does not exist. The upload ID may be invalid, "
            "or the upload may have been aborted or completed.",
            members={"UploadId": upload},
        )


class NotModified(AwsError):
    status = 304

    def __init__(self) -> None:
        super().__init__("Not Modified")


class PreconditionFailed(AwsError):
    status = 412

    def __init__(self, condition: str) -> None:
        super().__init__(
            "At least one of the pre-conditions you specified did not hold", members={"Condition": condition}
        )


class InvalidRange(AwsError):
    status = 416

    def __init__(self, asked: str, size: int) -> None:
        super().__init__(
            "The requested range is not satisfiable", members={"RangeRequested": asked, "ActualObjectSize": size}
        )


class InvalidPartNumber(AwsError):
    status = 416

    def __init__(self, asked: int, count: int) -> None:
        super().__init__(
            "The requested partnumber is not satisfiable",
            members={"PartNumberRequested": asked, "ActualPartCount": count},
        )


class MethodNotAllowed(AwsError):
    status = 405

    def __init__(self, method: str) -> None:
        super().__init__(
            "The specified method is not allowed against this resource.",
            members={"Method": method, "ResourceType": "DeleteMarker"},
        )


class BucketConflict(AwsError):
    """409 with the code given: BucketNotEmpty, BucketAlreadyExists, BucketAlreadyOwnedByYou, OperationAborted."""

    status = 409

    def __init__(self, code: str, message: str, bucket: str) -> None:
        super().__init__(message, members={"BucketName": bucket})
        self._code = code

    @property
    def wire_code(self) -> str:
        return self._code


class InvalidBucketName(AwsError):
    def __init__(self, bucket: str) -> None:
        super().__init__("The specified bucket is not valid.", members={"BucketName": bucket})


class InvalidArgument(AwsError):
    def __init__(self, message: str, name: str, value: object) -> None:
        super().__init__(message, members={"ArgumentName": name, "ArgumentValue": value})


class InvalidDestinations(AwsError):
    """Destinations of notifications that cannot be used, as (ARN, reason)."""

    code = "InvalidArgument"

    def __init__(self, refused: list[tuple[str, str]]) -> None:
        members: dict[str, object] = {}
        for number, (arn, reason) in enumerate(refused, 1):
            members[f"ArgumentName{number}"] = f"{arn}, null"
            members[f"ArgumentValue{number}"] = reason
        super().__init__("Unable to validate the following destination configurations", members=members)


class InvalidRequest(AwsError):
    pass


class InvalidPart(AwsError):
    pass


class InvalidPartOrder(AwsError):
    pass


class EntityTooSmall(AwsError):
    pass


class EntityTooLarge(AwsError):
    pass


class BadDigest(AwsError):
    pass


class InvalidDigest(AwsError):
    pass


class InvalidRedirectLocation(AwsError):
    pass


class InvalidTag(AwsError):
    pass


class BadRequest(AwsError):
    pass


class MalformedXML(AwsError):
    def __init__(self) -> None:
        super().__init__("The XML you provided was not well-formed or did not validate against our published schema")


class MalformedPolicy(AwsError):
    pass


class InvalidPolicyDocument(AwsError):
    pass


class IllegalLocationConstraintException(AwsError):
    pass


class InvalidLocationConstraint(AwsError):
    pass


class KeyTooLongError(AwsError):
    def __init__(self, size: int) -> None:
        super().__init__("Your key is too long", members={"Size": size, "MaxSizeAllowed": 1024})


class AccessControlListNotSupported(AwsError):
    def __init__(self) -> None:
        super().__init__("The bucket does not allow ACLs")


class NotThere(AwsError):
    """404 for a configuration that was never put: its code is the configuration's own."""

    status = 404

    def __init__(self, code: str, message: str, bucket: str) -> None:
        super().__init__(message, members={"BucketName": bucket})
        self._code = code

    @property
    def wire_code(self) -> str:
        return self._code


def refused(setting: str) -> NotImplementedOnCumulet:
    return NotImplementedOnCumulet(f"S3: {setting} is not implemented by Cumulet.", hint="See docs/services/s3.md")
