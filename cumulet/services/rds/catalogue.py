"""Operations that say what can be had: engine versions, instance classes."""

from __future__ import annotations

from typing import Any

from cumulet.kernel.context import Context
from cumulet.services.rds import pages
from cumulet.services.rds.classes import CLASSES
from cumulet.services.rds.model import ENGINE, ENGINE_VERSION, FAMILY, MAJOR_VERSION

Request = dict[str, Any]
Result = dict[str, Any]


def describe_db_engine_versions(ctx: Context, req: Request) -> Result:
    """The engine that is installed: PostgreSQL, one version. Raises: InvalidParameterValue.

    Source: RDS API_DescribeDBEngineVersions (read 2026-11).
    """
    filters = pages.chosen_by(req, ("db-parameter-group-family", "engine", "engine-mode", "engine-version", "status"))
    version: Result = {
        "Engine": ENGINE,
        "MajorEngineVersion": MAJOR_VERSION,
        "EngineVersion": ENGINE_VERSION,
        "DBParameterGroupFamily": FAMILY,
        "DBEngineDescription": "PostgreSQL",
        "DBEngineVersionDescription": f"PostgreSQL {ENGINE_VERSION}",
        "ValidUpgradeTarget": [],
        "ExportableLogTypes": [],
        "SupportsLogExportsToCloudwatchLogs": False,
        "SupportsReadReplica": False,
        "SupportedEngineModes": ["provisioned"],
        "SupportedFeatureNames": [],
        "Status": "available",
        "SupportsParallelQuery": False,
        "SupportsGlobalDatabases": False,
        "SupportsBabelfish": False,
        "SupportsLimitlessDatabase": False,
        "SupportsIntegrations": False,
    }
    fits = (
        req.get("Engine", ENGINE) == ENGINE
        and req.get("EngineVersion", ENGINE_VERSION) in (MAJOR_VERSION, ENGINE_VERSION)
        and req.get("DBParameterGroupFamily", FAMILY) == FAMILY
        and ENGINE in filters.get("engine", {ENGINE})
        and bool({MAJOR_VERSION, ENGINE_VERSION} & filters.get("engine-version", {ENGINE_VERSION}))
        and FAMILY in filters.get("db-parameter-group-family", {FAMILY})
        and "provisioned" in filters.get("engine-mode", {"provisioned"})
        and "available" in filters.get("status", {"available"})
    )
    chosen, more = pages.page([version] if fits else [], req, lambda one: str(one["EngineVersion"]))
    return {"DBEngineVersions": chosen, **more}


def describe_orderable_db_instance_options(ctx: Context, req: Request) -> Result:
    """The instance classes and storage types that CreateDBInstance accepts, in pages. Raises: InvalidParameterValue.

    Source: RDS API_DescribeOrderableDBInstanceOptions (read 2026-11).
    """
    if (
        req["Engine"] != ENGINE
        or req.get("EngineVersion", ENGINE_VERSION) not in (MAJOR_VERSION, ENGINE_VERSION)
        or req.get("LicenseModel", "postgresql-license") != "postgresql-license"
        or not req.get("Vpc", True)
    ):
        return {"OrderableDBInstanceOptions": []}
    found = [
        _option(ctx, name, storage)
        for name in sorted(CLASSES)
        for storage in ("gp2", "gp3", "standard")
        if req.get("DBInstanceClass", name) == name
    ]
    chosen, more = pages.page(found, req, lambda one: f"{one['DBInstanceClass']} {one['StorageType']}")
    return {"OrderableDBInstanceOptions": chosen, **more}


def _option(ctx: Context, name: str, storage: str) -> Result:
    return {
        "Engine": ENGINE,
        "EngineVersion": ENGINE_VERSION,
        "DBInstanceClass": name,
        "LicenseModel": "postgresql-license",
        "AvailabilityZones": [{"Name": f"{ctx.region}{letter}"} for letter in "abcdef"],
        "MultiAZCapable": False,
        "ReadReplicaCapable": False,
        "Vpc": True,
        "SupportsStorageEncryption": False,
        "StorageType": storage,
        "SupportsIops": False,
        "SupportsStorageThroughput": False,
        "SupportsEnhancedMonitoring": False,
        "SupportsIAMDatabaseAuthentication": False,
        "SupportsPerformanceInsights": False,
        "MinStorageSize": 5 if storage == "standard" else 20,
        "MaxStorageSize": 3072 if storage == "standard" else 65536,
        "SupportedEngineModes": ["provisioned"],
        "SupportsStorageAutoscaling": False,
        "SupportsKerberosAuthentication": False,
        "OutpostCapable": False,
        "SupportsGlobalDatabases": False,
        "SupportedNetworkTypes": ["IPV4"],
        "SupportsClusters": False,
    }
