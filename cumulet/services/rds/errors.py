"""RDS's errors by wire code."""

from __future__ import annotations

from cumulet.aws.errors import AwsError, NotImplementedOnCumulet


class InvalidParameterValue(AwsError):
    pass


class InvalidParameterCombination(AwsError):
    pass


class MissingParameter(AwsError):
    pass


class DBInstanceNotFound(AwsError):
    status = 404


class DBInstanceAlreadyExists(AwsError):
    pass


class InvalidDBInstanceState(AwsError):
    pass


class InstanceQuotaExceeded(AwsError):
    pass


class StorageQuotaExceeded(AwsError):
    pass


class DBParameterGroupNotFound(AwsError):
    status = 404


class DBParameterGroupAlreadyExists(AwsError):
    pass


class DBParameterGroupQuotaExceeded(AwsError):
    pass


class InvalidDBParameterGroupState(AwsError):
    pass


class DBSubnetGroupNotFoundFault(AwsError):
    status = 404


class DBSubnetGroupAlreadyExists(AwsError):
    pass


class DBSubnetGroupQuotaExceeded(AwsError):
    pass


class DBSubnetQuotaExceededFault(AwsError):
    pass


class DBSubnetGroupDoesNotCoverEnoughAZs(AwsError):
    pass


class InvalidDBSubnetGroupStateFault(AwsError):
    pass


class DBSnapshotNotFound(AwsError):
    status = 404


class DBSnapshotAlreadyExists(AwsError):
    pass


class SnapshotQuotaExceeded(AwsError):
    pass


class InvalidDBSnapshotState(AwsError):
    pass


class OptionGroupNotFoundFault(AwsError):
    status = 404


def refused(what: str, why: str) -> NotImplementedOnCumulet:
    return NotImplementedOnCumulet(f"{what} is not implemented by Cumulet: {why}", hint="See docs/services/rds.md")
