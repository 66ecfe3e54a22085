"""RDS's rules that need no engine: what requests may say, parameter and subnet groups, tags, pages, quotas."""

import asyncio

import pytest
from botocore.exceptions import ClientError

from cumulet.aws.errors import AwsError
from cumulet.engines.model import Started
from cumulet.services import rds as rds_service
from cumulet.services.rds import settings
from cumulet.testing.inprocess import InProcess

NEW = {
    "DBInstanceIdentifier": "shop", "DBInstanceClass": "db.t4g.micro", "Engine": "postgres", "AllocatedStorage": 20,
    "MasterUsername": "shop", "MasterUserPassword": "horse-battery#1",
}  # fmt: skip


@pytest.fixture
def rds(aws):
    return aws("rds")


def refused(call, **request):
    with pytest.raises(ClientError) as error:
        call(**request)
    found = error.value.response["Error"]
    return found["Code"], found["Message"]


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        ({"Engine": "aurora-postgresql"}, "NotImplemented", "aurora-postgresql"),
        ({"Engine": "mysql"}, "NotImplemented", "mysql"),
        ({"Engine": "postgresql"}, "InvalidParameterValue", "Invalid DB engine"),
        ({"EngineVersion": "15.4"}, "InvalidParameterCombination", "Cannot find version 15.4 for postgres"),
        ({"DBInstanceIdentifier": "1shop"}, "InvalidParameterValue", "DBInstanceIdentifier"),
        ({"DBInstanceIdentifier": "shop--a"}, "InvalidParameterValue", "DBInstanceIdentifier"),
        ({"DBInstanceIdentifier": "s" * 64}, "InvalidParameterValue", "DBInstanceIdentifier"),
        ({"DBInstanceClass": "db.huge"}, "InvalidParameterValue", "Invalid DB Instance class: db.huge"),
        ({"MasterUsername": "admin"}, "InvalidParameterValue", "reserved word used by the engine"),
        ({"MasterUsername": "pg_me"}, "InvalidParameterValue", "reserved word used by the engine"),
        ({"MasterUsername": "1shop"}, "InvalidParameterValue", "MasterUsername"),
        ({"MasterUserPassword": "seven77"}, "InvalidParameterValue", "shorter than 8 characters"),
        ({"MasterUserPassword": "x" * 129}, "InvalidParameterValue", "longer than 128 characters"),
        ({"MasterUserPassword": "with/slash"}, "InvalidParameterValue", "Only printable ASCII characters besides"),
        ({"MasterUserPassword": "with space"}, "InvalidParameterValue", "Only printable ASCII characters besides"),
        ({"MasterUserPassword": "pässword"}, "InvalidParameterValue", "Only printable ASCII characters besides"),
        ({"ManageMasterUserPassword": True}, "NotImplemented", "ManageMasterUserPassword"),
        ({"DBName": "1orders"}, "InvalidParameterValue", "DBName"),
        ({"DBName": "select"}, "InvalidParameterValue", "reserved word"),
        ({"AllocatedStorage": 19}, "InvalidParameterCombination", "Invalid storage size"),
        ({"AllocatedStorage": 65537}, "InvalidParameterCombination", "Invalid storage size"),
        ({"StorageType": "io1"}, "NotImplemented", "io1"),
        ({"StorageType": "tape"}, "InvalidParameterValue", "Invalid storage type: tape"),
        ({"MaxAllocatedStorage": 19}, "InvalidParameterCombination", "Max storage size"),
        ({"Iops": 1000}, "NotImplemented", "Iops"),
        ({"Port": 1149}, "InvalidParameterValue", "1150"),
        ({"Port": 65536}, "InvalidParameterValue", "65535"),
        ({"MultiAZ": True}, "NotImplemented", "MultiAZ"),
        ({"StorageEncrypted": True}, "NotImplemented", "StorageEncrypted"),
        ({"BackupRetentionPeriod": 7}, "NotImplemented", "BackupRetentionPeriod"),
        ({"EnableIAMDatabaseAuthentication": True}, "NotImplemented", "EnableIAMDatabaseAuthentication"),
        ({"DBClusterIdentifier": "c"}, "NotImplemented", "DBClusterIdentifier"),
        ({"DBParameterGroupName": "none"}, "DBParameterGroupNotFound", "DBParameterGroup not found: none"),
        ({"DBSubnetGroupName": "none"}, "DBSubnetGroupNotFoundFault", "DB subnet group 'none' does not exist."),
        ({"OptionGroupName": "none"}, "OptionGroupNotFoundFault", "none"),
        ({"AvailabilityZone": "eu-west-1a"}, "InvalidParameterValue", "Unknown availability zone"),
        ({"LicenseModel": "license-included"}, "InvalidParameterCombination", "license-included"),
        ({"PreferredMaintenanceWindow": "mon:10:00-mon:10:29"}, "InvalidParameterValue", "at least 30 minutes"),
        ({"PreferredMaintenanceWindow": "mon:10:00-tue:10:01"}, "InvalidParameterValue", "24 hours"),
        ({"PreferredMaintenanceWindow": "noon"}, "InvalidParameterValue", "Invalid maintenance window format"),
        ({"PreferredBackupWindow": "10:00-10:29"}, "InvalidParameterValue", "at least 30 minutes"),
        ({"PreferredBackupWindow": "noon"}, "InvalidParameterValue", "Invalid backup window format"),
        (
            {"PreferredMaintenanceWindow": "mon:23:50-tue:00:30", "PreferredBackupWindow": "00:00-00:30"},
            "InvalidParameterCombination",
            "must not overlap",
        ),
        ({"Tags": [{"Key": f"k{n}"} for n in range(51)]}, "InvalidParameterValue", "50 tags"),
        ({"Tags": [{"Key": "aws:mine"}]}, "InvalidParameterValue", "aws:"),
    ],
)  # fmt: skip
def test_a_creation_that_cannot_be_honoured_is_refused(rds, settings, code, words):
    found, message = refused(rds.create_db_instance, **{**NEW, **settings})
    assert found == code
    assert words in message
    assert rds.describe_db_instances()["DBInstances"] == []


@pytest.mark.parametrize("missing", ["MasterUsername", "MasterUserPassword", "AllocatedStorage"])
def test_what_a_creation_needs_is_named(rds, missing):
    code, message = refused(rds.create_db_instance, **{name: value for name, value in NEW.items() if name != missing})
    assert code in ("MissingParameter", "InvalidParameterCombination")
    assert missing in message


def test_operations_on_an_instance_that_is_not_there(rds):
    for call in (rds.reboot_db_instance, rds.stop_db_instance, rds.start_db_instance, rds.modify_db_instance,
                 rds.describe_db_instances):  # fmt: skip
        assert refused(call, DBInstanceIdentifier="none") == ("DBInstanceNotFound", "DBInstance none not found.")
    assert (
        refused(rds.delete_db_instance, DBInstanceIdentifier="none", SkipFinalSnapshot=True)[0] == "DBInstanceNotFound"
    )
    assert (
        refused(rds.create_db_snapshot, DBInstanceIdentifier="none", DBSnapshotIdentifier="s")[0]
        == "DBInstanceNotFound"
    )
    assert refused(rds.describe_db_snapshots, DBSnapshotIdentifier="none")[0] == "DBSnapshotNotFound"
    assert refused(rds.delete_db_snapshot, DBSnapshotIdentifier="none")[0] == "DBSnapshotNotFound"
    restore = {"DBInstanceIdentifier": "a", "DBSnapshotIdentifier": "none"}
    assert refused(rds.restore_db_instance_from_db_snapshot, **restore)[0] == "DBSnapshotNotFound"


@pytest.mark.parametrize(
    ("window", "now", "begins"),
    [  # 1 January 1970 was a Thursday
        ("thu:10:00-thu:11:00", 0, 10 * 3600),
        ("thu:10:00-thu:11:00", 10 * 3600, 10 * 3600),
        ("thu:10:00-thu:11:00", 11 * 3600 - 1, 11 * 3600 - 1),
        ("thu:10:00-thu:11:00", 11 * 3600, 10 * 3600 + 7 * 86400),
        ("sun:23:45-mon:00:30", 4 * 86400 + 60, 4 * 86400 + 60),
        ("wed:10:00-wed:11:00", 0, 6 * 86400 + 10 * 3600),
    ],
)
def test_the_next_maintenance_window(window, now, begins):
    assert settings.next_window(window, now) == begins


# parameter groups


def make_group(rds, name="few"):
    return rds.create_db_parameter_group(
        DBParameterGroupName=name, DBParameterGroupFamily="postgres18", Description="few connections"
    )["DBParameterGroup"]


def parameters(rds, name="few", **options):
    pages = rds.get_paginator("describe_db_parameters").paginate(DBParameterGroupName=name, **options)
    return {one["ParameterName"]: one for page in pages for one in page["Parameters"]}


def change(name, value, method="immediate"):
    return {"ParameterName": name, "ParameterValue": value, "ApplyMethod": method}


def test_a_parameter_group_starts_with_the_engines_defaults_and_keeps_what_is_set(rds):
    group = make_group(rds, "Few")
    assert group["DBParameterGroupArn"] == "arn:aws:rds:us-east-1:000000000000:pg:few"
    found = parameters(rds)
    assert len(found) > 300
    connections = found["max_connections"]
    assert connections["ParameterValue"] == "LEAST({DBInstanceClassMemory/9531392},5000)"
    assert (connections["ApplyType"], connections["Source"], connections["IsModifiable"]) == ("static", "system", True)
    assert connections["AllowedValues"] == "6-262143"
    assert found["work_mem"]["ParameterValue"] == "4096"
    assert not found["fsync"]["IsModifiable"]
    rds.modify_db_parameter_group(
        DBParameterGroupName="few",
        Parameters=[change("work_mem", "64"), change("max_connections", "6", "pending-reboot")],
    )
    changed = parameters(rds, Source="user")
    assert {name: one["ParameterValue"] for name, one in changed.items()} == {"work_mem": "64", "max_connections": "6"}
    filters = [{"Name": "parameter-name", "Values": ["work_mem", "geqo"]}]
    assert set(parameters(rds, Filters=filters)) == {"work_mem", "geqo"}
    rds.reset_db_parameter_group(
        DBParameterGroupName="few", Parameters=[{"ParameterName": "work_mem", "ApplyMethod": "immediate"}]
    )
    assert set(parameters(rds, Source="user")) == {"max_connections"}
    rds.reset_db_parameter_group(DBParameterGroupName="few", ResetAllParameters=True)
    assert parameters(rds, Source="user") == {}
    defaults = rds.describe_engine_default_parameters(DBParameterGroupFamily="postgres18")["EngineDefaults"]
    assert defaults["Parameters"][0] == next(iter(found.values()))
    rds.delete_db_parameter_group(DBParameterGroupName="few")
    assert refused(rds.describe_db_parameter_groups, DBParameterGroupName="few")[0] == "DBParameterGroupNotFound"


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ([change("max_connections", "20")], "InvalidParameterCombination",
         "cannot use immediate apply method for static parameter"),
        ([change("max_connections", "5", "pending-reboot")], "InvalidParameterValue", "allowed values are: 6-262143"),
        ([change("max_connections", "262144", "pending-reboot")], "InvalidParameterValue", "6-262143"),
        ([change("max_connections", "many", "pending-reboot")], "InvalidParameterValue", "Invalid parameter value: many"),
        ([change("max_connections", "{Unknown/2}", "pending-reboot")], "InvalidParameterValue", "formula"),
        ([change("max_connections", "{DBInstanceVCPU/0}", "pending-reboot")], "InvalidParameterValue", "formula"),
        ([change("geqo", "maybe")], "InvalidParameterValue", "0,1"),
        ([change("bytea_output", "base64")], "InvalidParameterValue", "escape"),
        ([change("seq_page_cost", "-1")], "InvalidParameterValue", "seq_page_cost"),
        ([change("shared_preload_libraries", "evil", "pending-reboot")], "InvalidParameterValue", "pg_stat_statements"),
        ([change("search_path", "a\nfsync=off")], "InvalidParameterValue", "search_path"),
        ([change("fsync", "0")], "InvalidParameterValue", "cannot be modified"),
        ([change("listen_addresses", "*", "pending-reboot")], "InvalidParameterValue", "cannot be modified"),
        ([change("no_such", "1")], "InvalidParameterValue", "Could not find parameter with name: no_such"),
        ([{"ParameterName": "geqo", "ParameterValue": "1"}], "InvalidParameterValue", "ApplyMethod"),
        ([change("geqo", "1")] * 21, "InvalidParameterValue", "20 parameters"),
    ],
)  # fmt: skip
def test_a_parameter_that_cannot_be_set_is_refused_and_changes_nothing(rds, changes, code, words):
    make_group(rds)
    found, message = refused(
        rds.modify_db_parameter_group, DBParameterGroupName="few", Parameters=[change("work_mem", "64"), *changes][-21:]
    )
    assert found == code
    assert words in message
    assert parameters(rds, Source="user") == {}


def test_the_default_group_and_other_families_are_not_for_changing(rds):
    assert [one["DBParameterGroupName"] for one in rds.describe_db_parameter_groups()["DBParameterGroups"]] == [
        "default.postgres18"
    ]
    name = "default.postgres18"
    assert refused(rds.delete_db_parameter_group, DBParameterGroupName=name)[0] == "InvalidDBParameterGroupState"
    request = {"DBParameterGroupName": name, "Parameters": [change("geqo", "0")]}
    assert refused(rds.modify_db_parameter_group, **request)[0] == "InvalidDBParameterGroupState"
    make = {"DBParameterGroupName": "g", "Description": "d"}
    assert refused(rds.create_db_parameter_group, DBParameterGroupFamily="mysql8.0", **make)[0] == "NotImplemented"
    assert refused(rds.create_db_parameter_group, DBParameterGroupFamily="dust", **make)[0] == "InvalidParameterValue"
    make_group(rds)
    assert refused(make_group, rds=rds)[0] == "DBParameterGroupAlreadyExists"
    assert refused(make_group, rds=rds, name="few.")[0] == "InvalidParameterValue"
    for call in (rds.describe_db_parameters, rds.delete_db_parameter_group):
        assert refused(call, DBParameterGroupName="none") == (
            "DBParameterGroupNotFound",
            "DBParameterGroup not found: none",
        )


def test_fifty_parameter_groups_and_fifty_subnet_groups_are_enough(rds):
    for number in range(50):
        make_group(rds, f"g{number}")
        make_subnets(rds, f"g{number}")
    assert refused(make_group, rds=rds, name="one-more")[0] == "DBParameterGroupQuotaExceeded"
    assert refused(make_subnets, rds=rds, name="one-more")[0] == "DBSubnetGroupQuotaExceeded"
    first = rds.describe_db_parameter_groups(MaxRecords=20)
    rest = rds.describe_db_parameter_groups(MaxRecords=100, Marker=first["Marker"])
    names = [one["DBParameterGroupName"] for page in (first, rest) for one in page["DBParameterGroups"]]
    assert len(first["DBParameterGroups"]) == 20
    assert names == sorted(names)
    assert len(names) == 51
    assert "Marker" not in rest


# subnet groups, tags, pages, the catalogue


def make_subnets(rds, name="nets", subnets=("subnet-1", "subnet-2"), **options):
    return rds.create_db_subnet_group(
        DBSubnetGroupName=name, DBSubnetGroupDescription="two", SubnetIds=list(subnets), **options
    )["DBSubnetGroup"]


def test_a_subnet_group_is_made_changed_and_deleted(rds):
    group = make_subnets(rds, "Nets")
    assert group["DBSubnetGroupName"] == "nets"
    changed = rds.modify_db_subnet_group(DBSubnetGroupName="nets", SubnetIds=["subnet-3", "subnet-4"])["DBSubnetGroup"]
    assert [one["SubnetIdentifier"] for one in changed["Subnets"]] == ["subnet-3", "subnet-4"]
    assert rds.describe_db_subnet_groups(DBSubnetGroupName="nets")["DBSubnetGroups"] == [changed]
    assert refused(make_subnets, rds=rds)[0] == "DBSubnetGroupAlreadyExists"
    assert refused(make_subnets, rds=rds, name="default")[0] == "InvalidParameterValue"
    assert refused(make_subnets, rds=rds, name="one", subnets=["subnet-1"])[0] == "DBSubnetGroupDoesNotCoverEnoughAZs"
    many = [f"subnet-{number}" for number in range(21)]
    assert refused(make_subnets, rds=rds, name="many", subnets=many)[0] == "DBSubnetQuotaExceededFault"
    make_subnets(rds, "many", many[:20])
    rds.delete_db_subnet_group(DBSubnetGroupName="nets")
    assert refused(rds.describe_db_subnet_groups, DBSubnetGroupName="nets")[0] == "DBSubnetGroupNotFoundFault"


def test_tags_come_and_go(rds):
    arn = make_subnets(rds, Tags=[{"Key": "team", "Value": "blue"}])["DBSubnetGroupArn"]
    rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "stage", "Value": "dev"}, {"Key": "team", "Value": "red"}])
    assert rds.list_tags_for_resource(ResourceName=arn)["TagList"] == [
        {"Key": "team", "Value": "red"}, {"Key": "stage", "Value": "dev"}]  # fmt: skip
    rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["team", "none"])
    assert rds.list_tags_for_resource(ResourceName=arn)["TagList"] == [{"Key": "stage", "Value": "dev"}]
    many = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
    assert refused(rds.add_tags_to_resource, ResourceName=arn, Tags=many)[0] == "InvalidParameterValue"
    group = make_group(rds)["DBParameterGroupArn"]
    rds.add_tags_to_resource(ResourceName=group, Tags=many)
    assert len(rds.list_tags_for_resource(ResourceName=group)["TagList"]) == 50
    prefix = "arn:aws:rds:us-east-1:000000000000"
    for name, code in (("db:none", "DBInstanceNotFound"), ("pg:none", "DBParameterGroupNotFound"),
                       ("subgrp:none", "DBSubnetGroupNotFoundFault"), ("snapshot:none", "DBSnapshotNotFound"),
                       ("og:none", "InvalidParameterValue")):  # fmt: skip
        assert refused(rds.list_tags_for_resource, ResourceName=f"{prefix}:{name}")[0] == code


def test_pages_and_filters_are_checked(rds):
    assert refused(rds.describe_db_instances, MaxRecords=19)[0] == "InvalidParameterValue"
    assert refused(rds.describe_db_instances, MaxRecords=101)[0] == "InvalidParameterValue"
    assert refused(rds.describe_db_instances, Marker="?")[0] == "InvalidParameterValue"
    filters = [{"Name": "colour", "Values": ["blue"]}]
    assert refused(rds.describe_db_instances, Filters=filters)[0] == "InvalidParameterValue"


def test_the_catalogue_says_what_can_be_created(rds):
    (version,) = rds.describe_db_engine_versions()["DBEngineVersions"]
    assert (version["Engine"], version["DBParameterGroupFamily"]) == ("postgres", "postgres18")
    assert rds.describe_db_engine_versions(Engine="mysql")["DBEngineVersions"] == []
    assert rds.describe_db_engine_versions(EngineVersion="15")["DBEngineVersions"] == []
    pages = rds.get_paginator("describe_orderable_db_instance_options").paginate(Engine="postgres")
    options = [one for page in pages for one in page["OrderableDBInstanceOptions"]]
    assert {"db.t4g.micro", "db.m7g.large", "db.r6g.24xlarge"} <= {one["DBInstanceClass"] for one in options}
    assert not any(one["MultiAZCapable"] or one["SupportsStorageEncryption"] for one in options)
    assert rds.describe_orderable_db_instance_options(Engine="mysql")["OrderableDBInstanceOptions"] == []


# quotas that would need many engines


class FakeEngines:
    """Performers that know only what runs."""

    def __init__(self):
        self.running = set()

    def performers(self):
        async def port(span, first, count, taken):
            return next(number for number in range(first, first + count) if number not in taken)

        async def start(span, spec, again=False):
            self.running.add(spec.ident)
            return Started("18.6")

        async def nothing(span, *args):
            return None

        return {"postgres.port": port, "postgres.start": start, "postgres.backup": nothing, "postgres.remove": nothing}


def in_process(scenario):
    async def run():
        engines = FakeEngines()
        async with InProcess([rds_service.SERVICE], engines.performers()) as cloud:
            cloud.pipeline.volatile["engines.running"] = engines.running
            await scenario(cloud)

    asyncio.run(run())


def test_forty_instances_and_a_hundred_snapshots_are_enough():
    async def scenario(cloud):
        for number in range(40):
            await cloud.call("rds", "CreateDBInstance", {**NEW, "DBInstanceIdentifier": f"i{number}"})
            await cloud.quiet()
        found = (await cloud.call("rds", "DescribeDBInstances", {}))["DBInstances"]
        assert {one["DBInstanceStatus"] for one in found} == {"available"}
        assert {one["Endpoint"]["Port"] for one in found} == set(range(5432, 5472))
        with pytest.raises(AwsError, match="Cannot create more than 40") as error:
            await cloud.call("rds", "CreateDBInstance", {**NEW, "DBInstanceIdentifier": "one-more"})
        assert error.value.wire_code == "InstanceQuotaExceeded"
        first = await cloud.call("rds", "DescribeDBInstances", {"MaxRecords": 20})
        rest = await cloud.call("rds", "DescribeDBInstances", {"MaxRecords": 20, "Marker": first["Marker"]})
        names = {one["DBInstanceIdentifier"] for page in (first, rest) for one in page["DBInstances"]}
        assert len(names) == 40
        filters = [{"Name": "db-instance-id", "Values": ["i7", "i9"]}]
        some = await cloud.call("rds", "DescribeDBInstances", {"Filters": filters})
        assert [one["DBInstanceIdentifier"] for one in some["DBInstances"]] == ["i7", "i9"]
        for number in range(100):
            request = {"DBInstanceIdentifier": "i0", "DBSnapshotIdentifier": f"s{number}"}
            await cloud.call("rds", "CreateDBSnapshot", request)
            await cloud.quiet()
        with pytest.raises(AwsError) as error:
            await cloud.call(
                "rds", "CreateDBSnapshot", {"DBInstanceIdentifier": "i0", "DBSnapshotIdentifier": "one-more"}
            )
        assert error.value.wire_code == "SnapshotQuotaExceeded"

    in_process(scenario)


def test_a_hundred_thousand_gibibytes_are_enough():
    async def scenario(cloud):
        await cloud.call("rds", "CreateDBInstance", {**NEW, "AllocatedStorage": 65536})
        second = {**NEW, "DBInstanceIdentifier": "second"}
        with pytest.raises(AwsError) as error:
            await cloud.call("rds", "CreateDBInstance", {**second, "AllocatedStorage": 100_000 - 65536 + 1})
        assert error.value.wire_code == "StorageQuotaExceeded"
        await cloud.call("rds", "CreateDBInstance", {**second, "AllocatedStorage": 100_000 - 65536})

    in_process(scenario)


def test_a_name_is_taken_and_deletion_is_careful():
    async def scenario(cloud):
        await cloud.call("rds", "CreateDBInstance", {**NEW, "DeletionProtection": True})
        with pytest.raises(AwsError, match="DB instance already exists"):
            await cloud.call("rds", "CreateDBInstance", {**NEW, "DBInstanceIdentifier": "SHOP"})
        await cloud.quiet()
        name = {"DBInstanceIdentifier": "shop"}
        for request, words in (
            ({}, "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot"),
            ({"SkipFinalSnapshot": True, "FinalDBSnapshotIdentifier": "s"}, "can not be specified"),
            ({"SkipFinalSnapshot": True}, "Cannot delete protected DB Instance"),
        ):
            with pytest.raises(AwsError, match=words) as error:
                await cloud.call("rds", "DeleteDBInstance", {**name, **request})
            assert error.value.wire_code == "InvalidParameterCombination"
        await cloud.call("rds", "ModifyDBInstance", {**name, "DeletionProtection": False})
        await cloud.call("rds", "DeleteDBInstance", {**name, "SkipFinalSnapshot": True})
        with pytest.raises(AwsError, match="already being deleted"):
            await cloud.call("rds", "DeleteDBInstance", {**name, "SkipFinalSnapshot": True})
        await cloud.quiet()
        assert (await cloud.call("rds", "DescribeDBInstances", {}))["DBInstances"] == []

    in_process(scenario)
