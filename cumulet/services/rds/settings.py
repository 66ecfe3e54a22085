"""What a request for a DB instance may say: checks beyond the model's, and what is refused by name.

Source: RDS API reference, CreateDBInstance, ModifyDBInstance; RDS user guide, "Settings for DB instances", "Quotas and
constraints for Amazon RDS" (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.rds import classes
from cumulet.services.rds.errors import (
    DBParameterGroupNotFound,
    DBSubnetGroupNotFoundFault,
    InvalidParameterCombination,
    InvalidParameterValue,
    OptionGroupNotFoundFault,
    refused,
)
from cumulet.services.rds.model import (
    DEFAULT_GROUP,
    ENGINE,
    ENGINE_VERSION,
    FAMILY,
    MAJOR_VERSION,
    OPTION_GROUP,
    Group,
    Instance,
    SubnetGroup,
    group_key,
    subnet_group_key,
)

TAGS_MAX = 50
_SAID = frozenset(  # honoured, or described though there is nothing on one machine for them to do
    {
        "AllocatedStorage", "AllowMajorVersionUpgrade", "ApplyImmediately", "AutoMinorVersionUpgrade", "AvailabilityZone",
        "CopyTagsToSnapshot", "DBInstanceClass", "DBInstanceIdentifier", "DBName", "DBParameterGroupName",
        "DBSnapshotIdentifier", "DBSubnetGroupName", "DeletionProtection", "Engine", "EngineVersion", "LicenseModel",
        "MasterUserPassword", "MasterUsername", "MaxAllocatedStorage", "OptionGroupName", "Port", "PreferredBackupWindow",
        "PreferredMaintenanceWindow", "PubliclyAccessible", "StorageType", "Tags", "VpcSecurityGroupIds",
    }
)  # fmt: skip
_NEUTRAL: dict[str, tuple[Any, str]] = {  # the one value that is true here -> why others are refused
    "BackupRetentionPeriod": (0, "there are no automated backups; take snapshots with CreateDBSnapshot."),
    "BackupTarget": ("region", "there is one place for data."),
    "DBSecurityGroups": ([], "there is no network between instances."),
    "DatabaseInsightsMode": ("standard", "there is no Database Insights."),
    "DedicatedLogVolume": (False, "there is one disk."),
    "EnableCloudwatchLogsExports": ([], "the engine's log is a file in its folder."),
    "EnableCustomerOwnedIp": (False, "the engine listens on loopback."),
    "EnableIAMDatabaseAuthentication": (False, "the engine knows passwords only."),
    "EnablePerformanceInsights": (False, "there is no Performance Insights."),
    "EngineLifecycleSupport": ("open-source-rds-extended-support", "the engine's version is the installed one."),
    "ManageMasterUserPassword": (False, "give MasterUserPassword."),
    "MasterUserAuthenticationType": ("password", "the engine knows passwords only."),
    "MonitoringInterval": (0, "there is no Enhanced Monitoring."),
    "MultiAZ": (False, "there is one machine."),
    "NetworkType": ("IPV4", "the engine listens on 127.0.0.1."),
    "StorageEncrypted": (False, "the engine's files are not encrypted."),
}
_STORAGE_GB = {"gp2": (20, 65536), "gp3": (20, 65536), "standard": (5, 3072)}
_WORDS = """
admin all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create
current_catalog current_date current_role current_time current_timestamp current_user default deferrable desc distinct do
else end except false fetch for foreign from grant group having in initially intersect into lateral leading limit localtime
localtimestamp not null offset on only or order placing primary rdsadmin rdsrepladmin rdstopmgr rds_ad rds_password
rds_replication rds_superuser references returning select session_user some symmetric system_user table then to trailing
true union unique user using variadic when where window with
"""
_RESERVED = frozenset(_WORDS.split())
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOUR = r"([01]\d|2[0-3]):([0-5]\d)"
DAY_S, WEEK_S = 86400, 7 * 86400


def refuse(operation: str, req: Mapping[str, Any]) -> None:
    """Raises: NotImplementedOnCumulet for a setting that is not honoured."""
    for name, value in req.items():
        if name in _NEUTRAL:
            neutral, why = _NEUTRAL[name]
            if value != neutral:
                raise refused(f"{operation} with {name}", why)
        elif name not in _SAID:
            raise refused(f"{operation} with {name}", "there is nothing behind it here.")


def identifier(value: str, member: str, longest: int) -> str:
    """In lower case. Raises: InvalidParameterValue."""
    if not re.fullmatch(r"[A-Za-z](?:-?[A-Za-z0-9])*", value) or len(value) > longest:
        raise InvalidParameterValue(
            f"The parameter {member} is not a valid identifier. Identifiers must begin with a letter; must contain only "
            "ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens."
        )
    return value.lower()


# Source: RDS API_CreateDBInstance, Engine (read 2026-11).
_ENGINES = re.compile(
    r"aurora-(mysql|postgresql)|mariadb|mysql|db2-(ae|se)|oracle-(ee|se2)(-cdb)?|sqlserver-(ee|se|ex|web|dev-ee)|"
    r"custom-(oracle-(ee|se2)(-cdb)?|sqlserver-(ee|se|web|dev))"
)


def engine(req: Mapping[str, Any]) -> None:
    """Raises: NotImplementedOnCumulet, InvalidParameterValue, InvalidParameterCombination."""
    name = req.get("Engine", ENGINE)
    if name != ENGINE:
        if not _ENGINES.fullmatch(name):
            raise InvalidParameterValue("Invalid DB engine", hint=f"RDS has no engine {name}")
        raise refused(f"The engine {name}", "RDS here is PostgreSQL.")
    version = req.get("EngineVersion", ENGINE_VERSION)
    if version not in (MAJOR_VERSION, ENGINE_VERSION):
        raise InvalidParameterCombination(
            f"Cannot find version {version} for postgres", hint=f"the installed PostgreSQL is {ENGINE_VERSION}"
        )
    if req.get("LicenseModel", "postgresql-license") != "postgresql-license":
        raise InvalidParameterCombination(f"Invalid license model '{req['LicenseModel']}' for engine 'postgres'.")
    if req.get("OptionGroupName", OPTION_GROUP) != OPTION_GROUP:
        raise OptionGroupNotFoundFault(f"Specified OptionGroupName: {req['OptionGroupName']} not found.")


def master_user(name: str) -> None:
    """Raises: InvalidParameterValue."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,62}", name):
        raise InvalidParameterValue(
            "The parameter MasterUsername is not valid: 1 to 63 letters, digits or underscores, the first of them a letter."
        )
    if name.lower() in _RESERVED or name.lower().startswith("pg_"):
        raise InvalidParameterValue(f"MasterUsername {name} cannot be used as it is a reserved word used by the engine")


def password(value: str) -> None:
    """Raises: InvalidParameterValue."""
    if not 8 <= len(value) <= 128:
        few = len(value) < 8
        raise InvalidParameterValue(
            "The parameter MasterUserPassword is not a valid password because it is "
            + ("shorter than 8 characters." if few else "longer than 128 characters.")
        )
    if not re.fullmatch(r"[!-~]+", value) or set(value) & set('/"@'):
        raise InvalidParameterValue(
            "The parameter MasterUserPassword is not a valid password. "
            "Only printable ASCII characters besides '/', '@', '\"', ' ' may be used."
        )


def database(name: str) -> None:
    """Raises: InvalidParameterValue."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", name):
        raise InvalidParameterValue(
            "DBName must begin with a letter or underscore and contain only alphanumeric characters and underscores."
        )
    if name.lower() in _RESERVED or name.lower() in ("template0", "template1", "rdsadmin"):
        raise InvalidParameterValue(f"DBName {name} cannot be used.  It is a reserved word for this engine")


def port(value: int) -> None:
    """Raises: InvalidParameterValue."""
    if not 1150 <= value <= 65535:
        raise InvalidParameterValue(f"Invalid DB instance port: {value}. Must be between 1150 and 65535.")


def storage(req: Mapping[str, Any]) -> tuple[int, str]:
    """Size in GiB and type. Raises: MissingParameter's kin, NotImplementedOnCumulet."""
    kind = req.get("StorageType", "gp3")
    if kind in ("io1", "io2"):
        raise refused(f"StorageType {kind}", "no I/O rate can be promised on this machine's disk.")
    if kind not in _STORAGE_GB:
        raise InvalidParameterValue(f"Invalid storage type: {kind}")
    if "AllocatedStorage" not in req:
        raise InvalidParameterCombination("The parameter AllocatedStorage must be provided and must not be blank.")
    low, high = _STORAGE_GB[kind]
    size = int(req["AllocatedStorage"])
    if not low <= size <= high:
        raise InvalidParameterCombination(
            f"Invalid storage size for engine name postgres and storage type {kind}: {size}"
        )
    return size, str(kind)


def max_storage(value: int, size: int) -> int:
    """Raises: InvalidParameterCombination."""
    if value < size:
        raise InvalidParameterCombination("Max storage size must be greater than storage size")
    return value


def zone(ctx: Context, req: Mapping[str, Any]) -> str:
    """The availability zone. Raises: InvalidParameterValue."""
    name = req.get("AvailabilityZone", f"{ctx.region}a")
    if not re.fullmatch(re.escape(ctx.region) + "[a-f]", name):
        raise InvalidParameterValue(f"Unknown availability zone: {name}.")
    return str(name)


def parameter_group(ctx: Context, name: str) -> str:
    """Raises: DBParameterGroupNotFound, InvalidParameterCombination."""
    name = name.lower()
    if name == DEFAULT_GROUP:
        return name
    group = ctx.tx.get(group_key(ctx.account, ctx.region, name), Group)
    if group is None:
        raise DBParameterGroupNotFound(f"DBParameterGroup not found: {name}")
    assert group.family == FAMILY
    return name


def subnet_group(ctx: Context, name: str) -> str:
    """Raises: DBSubnetGroupNotFoundFault."""
    name = name.lower()
    if ctx.tx.get(subnet_group_key(ctx.account, ctx.region, name), SubnetGroup) is None:
        raise DBSubnetGroupNotFoundFault(f"DB subnet group '{name}' does not exist.")
    return name


def tags(given: Any) -> dict[str, str]:
    """Tags by key. Raises: InvalidParameterValue."""
    found = {tag.get("Key", ""): tag.get("Value", "") for tag in given}
    for key, value in found.items():
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise InvalidParameterValue("Tag keys have 1 to 128 characters, tag values at most 256.")
        if key.lower().startswith("aws:") and not key.startswith("aws:cloudformation:"):
            raise InvalidParameterValue("Tag keys must not begin with aws:.")
    if len(found) > TAGS_MAX:
        raise InvalidParameterValue(f"A resource has at most {TAGS_MAX} tags.")
    return found


# windows


def maintenance_window(text: str) -> str:
    """A weekly window "ddd:hh:mm-ddd:hh:mm" in lower case. Raises: InvalidParameterValue."""
    start, end = _weekly(text)
    if (end - start) % WEEK_S < 1800:
        raise InvalidParameterValue("The maintenance window must be at least 30 minutes.")
    if (end - start) % WEEK_S > DAY_S:
        raise InvalidParameterValue("Maintenance window must be less than 24 hours.")
    return text.lower()


def backup_window(text: str) -> str:
    """A daily window "hh:mm-hh:mm". Raises: InvalidParameterValue."""
    found = re.fullmatch(f"{_HOUR}-{_HOUR}", text)
    if found is None:
        raise InvalidParameterValue(
            f"Invalid backup window format: {text}. Should be specified as a range hh24:mi-hh24:mi (24H Clock UTC)."
        )
    first, second, third, fourth = map(int, found.groups())
    if ((third * 60 + fourth) - (first * 60 + second)) % 1440 < 30:
        raise InvalidParameterValue("The backup window must be at least 30 minutes.")
    return text


def apart(maintenance: str, backup: str) -> None:
    """Raises: InvalidParameterCombination when the two windows overlap."""
    start, end = _weekly(maintenance)
    length = (end - start) % WEEK_S
    first, second = (int(part[:2]) * 3600 + int(part[3:]) * 60 for part in backup.split("-"))
    daily = (second - first) % DAY_S
    into_day = start % DAY_S
    if (first - into_day) % DAY_S < length or (into_day - first) % DAY_S < daily:
        raise InvalidParameterCombination("The backup window and maintenance window must not overlap.")


def _weekly(text: str) -> tuple[int, int]:
    found = re.fullmatch(f"({'|'.join(_DAYS)}):{_HOUR}-({'|'.join(_DAYS)}):{_HOUR}", text.lower())
    if found is None:
        raise InvalidParameterValue(
            f"Invalid maintenance window format: {text}. "
            "Should be specified as a range ddd:hh24:mi-ddd:hh24:mi (24H Clock UTC)."
        )
    start = _DAYS.index(found[1]) * DAY_S + int(found[2]) * 3600 + int(found[3]) * 60
    end = _DAYS.index(found[4]) * DAY_S + int(found[5]) * 3600 + int(found[6]) * 60
    return start, end


def next_window(window: str, now: float) -> float:
    """When the window begins next: now, if it has begun."""
    start, end = _weekly(window)
    since_monday = (now - 4 * DAY_S) % WEEK_S  # 1 January 1970 was a Thursday
    if (since_monday - start) % WEEK_S < (end - start) % WEEK_S:
        return now
    return now + (start - since_monday) % WEEK_S


def checked_class(name: str) -> str:
    """Raises: InvalidParameterValue."""
    classes.memory_bytes(name)
    return name


def default_windows(ctx: Context) -> tuple[str, str]:
    """A maintenance and a backup window, each half an hour somewhere in a block of hours of its own."""
    day = _DAYS[int(ctx.ids.digits(6)) % 7]
    hour, backup_hour = 7 + int(ctx.ids.digits(4)) % 4, 3 + int(ctx.ids.digits(4)) % 4
    return f"{day}:{hour:02}:00-{day}:{hour:02}:30", f"{backup_hour:02}:00-{backup_hour:02}:30"


def pending_storage(instance: Instance, req: Mapping[str, Any]) -> int:
    """A larger size, by at least a tenth. Raises: InvalidParameterCombination."""
    size = int(req["AllocatedStorage"])
    if size == instance.storage_gb:
        return size
    if size < instance.storage_gb:
        raise InvalidParameterCombination("Invalid storage size: the allocated storage cannot be made smaller.")
    low, high = _STORAGE_GB[instance.storage_type]
    size = max(size, -(-instance.storage_gb * 11 // 10))
    if not low <= size <= high:
        raise InvalidParameterCombination(
            f"Invalid storage size for engine name postgres and storage type {instance.storage_type}: {size}"
        )
    return size
