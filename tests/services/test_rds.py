"""RDS with real engines: what an application and its operator see of a PostgreSQL instance."""

import os
import signal

import pg8000.dbapi
import pytest
from botocore.exceptions import ClientError

from cumulet.testing.process import free_port

PASSWORD = "horse-battery#1"


@pytest.fixture
def rds(aws):
    return aws("rds")


@pytest.fixture
def create(rds, clock):
    def make(name="shop", **settings):
        request = {
            "DBInstanceIdentifier": name, "DBInstanceClass": "db.t4g.micro", "Engine": "postgres", "AllocatedStorage": 20,
            "MasterUsername": "shop", "MasterUserPassword": PASSWORD, "DBName": "orders", **settings,
        }  # fmt: skip
        answer = rds.create_db_instance(**request)["DBInstance"]
        assert answer["DBInstanceStatus"] == "creating"
        assert "Endpoint" not in answer
        clock.quiet()
        return describe(rds, name)

    return make


def describe(rds, name="shop"):
    return rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]


def connect(instance, password=PASSWORD, database="orders"):
    return pg8000.dbapi.connect(
        user="shop", password=password, host=instance["Endpoint"]["Address"], port=instance["Endpoint"]["Port"],
        database=database, timeout=60,
    )  # fmt: skip


def query(instance, sql, **options):
    connection = connect(instance, **options)
    try:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(sql)
        return [list(row) for row in cursor.fetchall()] if cursor.description else []
    finally:
        connection.close()


def test_an_instance_is_a_real_postgresql_from_its_creation_to_its_end(rds, create, clock):
    instance = create("Shop", Tags=[{"Key": "team", "Value": "blue"}])
    assert instance["DBInstanceStatus"] == "available"
    assert instance["DBInstanceIdentifier"] == "shop"
    assert instance["Endpoint"]["Address"] == "127.0.0.1"
    assert query(instance, "SELECT current_user, current_database()") == [["shop", "orders"]]
    version = query(instance, "SHOW server_version")[0][0]
    assert version.split()[0] == instance["EngineVersion"]
    assert (
        rds.describe_db_engine_versions(Engine="postgres")["DBEngineVersions"][0]["EngineVersion"] == version.split()[0]
    )
    query(instance, "CREATE TABLE orders (n int)")
    query(instance, "INSERT INTO orders VALUES (1)")

    assert rds.reboot_db_instance(DBInstanceIdentifier="shop")["DBInstance"]["DBInstanceStatus"] == "rebooting"
    clock.quiet()
    assert describe(rds)["DBInstanceStatus"] == "available"
    assert query(instance, "SELECT n FROM orders") == [[1]]

    assert rds.stop_db_instance(DBInstanceIdentifier="shop")["DBInstance"]["DBInstanceStatus"] == "stopping"
    clock.quiet()
    assert describe(rds)["DBInstanceStatus"] == "stopped"
    with pytest.raises(pg8000.dbapi.InterfaceError):
        connect(instance)
    rds.start_db_instance(DBInstanceIdentifier="shop")
    clock.quiet()
    assert describe(rds)["Endpoint"] == instance["Endpoint"]
    assert query(instance, "SELECT n FROM orders") == [[1]]

    rds.delete_db_instance(DBInstanceIdentifier="shop", SkipFinalSnapshot=True)
    clock.quiet()
    with pytest.raises(rds.exceptions.DBInstanceNotFoundFault, match="DBInstance shop not found"):
        describe(rds)
    with pytest.raises(pg8000.dbapi.InterfaceError):
        connect(instance)


def test_the_master_user_gives_its_rights_to_others(create):
    instance = create()
    query(instance, "CREATE ROLE keeper LOGIN PASSWORD 'horse-battery#2'")
    query(instance, "GRANT rds_superuser, rds_password, rds_replication TO keeper")
    members = "SELECT pg_has_role('keeper', 'rds_superuser', 'member'), pg_has_role('keeper', 'pg_monitor', 'usage')"
    assert query(instance, members) == [[True, True]]
    query(instance, "REVOKE rds_superuser FROM keeper")
    assert query(instance, members) == [[False, False]]


def test_a_stopped_instance_starts_by_itself_after_seven_days(rds, create, clock):
    instance = create()
    rds.stop_db_instance(DBInstanceIdentifier="shop")
    clock.quiet()
    stopped = describe(rds)
    assert stopped["AutomaticRestartTime"].timestamp() == pytest.approx(clock.now() + 7 * 86400, abs=1)
    clock.advance(7 * 86400 - 5)
    assert describe(rds)["DBInstanceStatus"] == "stopped"
    clock.advance(10)
    assert describe(rds)["DBInstanceStatus"] == "available"
    assert query(instance, "SELECT 1") == [[1]]


def test_a_changed_password_is_pending_then_the_only_one(rds, create, clock):
    instance = create()
    answer = rds.modify_db_instance(DBInstanceIdentifier="shop", MasterUserPassword="another-one")["DBInstance"]
    assert answer["PendingModifiedValues"] == {"MasterUserPassword": "****"}
    clock.quiet()
    assert describe(rds)["DBInstanceStatus"] == "available"
    assert describe(rds)["PendingModifiedValues"] == {}
    with pytest.raises(pg8000.dbapi.DatabaseError, match="28P01"):
        connect(instance)
    assert query(instance, "SELECT 1", password="another-one") == [[1]]


def test_a_password_set_in_sql_outlives_a_reboot(rds, create, clock):
    instance = create()
    query(instance, "ALTER ROLE shop PASSWORD 'set-in-sql'")
    rds.reboot_db_instance(DBInstanceIdentifier="shop")
    clock.quiet()
    assert query(instance, "SELECT 1", password="set-in-sql") == [[1]]


def group_with(rds, parameters):
    rds.create_db_parameter_group(DBParameterGroupName="few", DBParameterGroupFamily="postgres18", Description="few")
    set_parameters(rds, parameters)


def set_parameters(rds, parameters):
    rds.modify_db_parameter_group(
        DBParameterGroupName="few",
        Parameters=[
            {"ParameterName": name, "ParameterValue": value, "ApplyMethod": method}
            for name, value, method in parameters
        ],
    )


def group_status(rds):
    return describe(rds)["DBParameterGroups"][0]["ParameterApplyStatus"]


def test_connections_beyond_max_connections_are_refused_by_the_server(rds, create):
    """B15.1: the database takes at most max_connections, three of them for its superusers."""
    group_with(rds, [("max_connections", "8", "pending-reboot")])
    instance = create(DBParameterGroupName="few")
    held = [connect(instance) for _ in range(8 - 3)]
    with pytest.raises(pg8000.dbapi.DatabaseError, match="53300"):
        connect(instance)
    held.pop().close()
    held.append(connect(instance))
    for connection in held:
        connection.close()


def test_static_parameters_wait_for_a_reboot_and_dynamic_ones_do_not(rds, create, clock):
    group_with(rds, [("max_connections", "8", "pending-reboot")])
    instance = create(DBParameterGroupName="few")
    assert group_status(rds) == "in-sync"
    set_parameters(
        rds,
        [
            ("max_connections", "9", "pending-reboot"),
            ("work_mem", "2048", "immediate"),
            ("geqo", "0", "pending-reboot"),
        ],
    )
    clock.quiet()
    read = "SELECT current_setting('max_connections'), current_setting('work_mem'), current_setting('geqo')"
    assert query(instance, read) == [["8", "2MB", "on"]]
    assert group_status(rds) == "pending-reboot"
    rds.reboot_db_instance(DBInstanceIdentifier="shop")
    clock.quiet()
    assert query(instance, read) == [["9", "2MB", "off"]]
    assert group_status(rds) == "in-sync"
    rds.reset_db_parameter_group(
        DBParameterGroupName="few", Parameters=[{"ParameterName": "work_mem", "ApplyMethod": "immediate"}]
    )
    clock.quiet()
    assert query(instance, read) == [["9", "4MB", "off"]]
    with pytest.raises(rds.exceptions.InvalidDBParameterGroupStateFault, match="still members"):
        rds.delete_db_parameter_group(DBParameterGroupName="few")


def test_the_class_sets_the_default_of_max_connections_and_changes_in_the_maintenance_window(rds, create, clock):
    window = "mon:10:00-mon:11:00"
    instance = create(PreferredMaintenanceWindow=window, PreferredBackupWindow="03:00-04:00")
    assert query(instance, "SHOW max_connections") == [[str(1024**3 // 9531392)]]
    rds.modify_db_instance(DBInstanceIdentifier="shop", DBInstanceClass="db.t4g.small", AllocatedStorage=21)
    clock.quiet()
    pending = describe(rds)
    assert pending["DBInstanceClass"] == "db.t4g.micro"
    assert pending["PendingModifiedValues"] == {"DBInstanceClass": "db.t4g.small", "AllocatedStorage": 22}
    monday = 4 * 86400 + 10 * 3600
    to_window = (monday - clock.now()) % (7 * 86400)
    if to_window < 6 * 86400:  # outside the window now
        rds.stop_db_instance(DBInstanceIdentifier="shop")  # else each minute on the way asks for its metrics
        clock.quiet()
        clock.advance(to_window - 10)
        rds.start_db_instance(DBInstanceIdentifier="shop")
        clock.quiet()
        assert describe(rds)["DBInstanceClass"] == "db.t4g.micro"
    clock.advance(20)
    changed = describe(rds)
    assert (changed["DBInstanceClass"], changed["AllocatedStorage"]) == ("db.t4g.small", 22)
    assert changed["PendingModifiedValues"] == {}
    assert changed["DBInstanceStatus"] == "available"
    assert query(instance, "SHOW max_connections") == [[str(2 * 1024**3 // 9531392)]]
    rds.modify_db_instance(DBInstanceIdentifier="shop", DBInstanceClass="db.t4g.micro", ApplyImmediately=True)
    clock.quiet()
    assert query(instance, "SHOW max_connections") == [["112"]]


def test_a_taken_port_fails_the_creation_and_a_free_one_is_kept(rds, create):
    port = free_port()
    assert create(Port=port)["Endpoint"]["Port"] == port
    with pytest.raises(ClientError, match=f"Port {port} is in use by the DB instance shop") as error:
        create("other", Port=port)
    assert error.value.response["Error"]["Code"] == "InvalidParameterValue"
    with pytest.raises(ClientError, match=r"Port \d+ is in use on 127.0.0.1"):
        create("other", Port=int(rds.meta.endpoint_url.rpartition(":")[2]))
    assert len(rds.describe_db_instances()["DBInstances"]) == 1


def test_an_engine_that_dies_is_started_again(rds, create, clock, server):
    instance = create()
    query(instance, "CREATE TABLE t (n int)")
    (ident,) = server.cloud.engines.running
    child = server.cloud.engines._clusters[ident].child
    os.kill(child.pid, signal.SIGKILL)

    async def until_told():
        await child.wait()

    server.run(until_told())
    clock.quiet()
    assert describe(rds)["DBInstanceStatus"] == "available"
    assert query(instance, "SELECT count(*) FROM t") == [[0]]


def test_a_snapshot_is_a_copy_from_which_another_instance_begins(rds, create, clock):
    instance = create(Tags=[{"Key": "team", "Value": "blue"}], CopyTagsToSnapshot=True)
    query(instance, "CREATE TABLE t (n int)")
    query(instance, "INSERT INTO t VALUES (1)")
    made = rds.create_db_snapshot(DBInstanceIdentifier="shop", DBSnapshotIdentifier="monday")["DBSnapshot"]
    assert (made["Status"], made["TagList"]) == ("creating", [{"Key": "team", "Value": "blue"}])
    clock.quiet()
    assert rds.describe_db_snapshots(DBInstanceIdentifier="shop")["DBSnapshots"][0]["Status"] == "available"
    query(instance, "INSERT INTO t VALUES (2)")
    rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="copy", DBSnapshotIdentifier="monday")
    with pytest.raises(rds.exceptions.InvalidDBSnapshotStateFault):
        rds.delete_db_snapshot(DBSnapshotIdentifier="monday")
    clock.quiet()
    copy = describe(rds, "copy")
    assert copy["DBInstanceStatus"] == "available"
    assert copy["Endpoint"]["Port"] != instance["Endpoint"]["Port"]
    assert query(copy, "SELECT n FROM t") == [[1]]
    assert query(instance, "SELECT count(*) FROM t") == [[2]]
    rds.delete_db_snapshot(DBSnapshotIdentifier="monday")
    clock.quiet()
    assert rds.describe_db_snapshots()["DBSnapshots"] == []


def test_deleting_keeps_a_final_snapshot_if_one_is_named(rds, create, clock):
    instance = create()
    query(instance, "CREATE TABLE t AS SELECT 7 AS n")
    rds.stop_db_instance(DBInstanceIdentifier="shop")
    clock.quiet()
    rds.delete_db_instance(DBInstanceIdentifier="shop", FinalDBSnapshotIdentifier="last")
    clock.quiet()
    assert rds.describe_db_instances()["DBInstances"] == []
    rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="again", DBSnapshotIdentifier="last")
    clock.quiet()
    assert query(describe(rds, "again"), "SELECT n FROM t") == [[7]]


def test_parameters_postgresql_cannot_start_with_are_told_and_can_be_mended(rds, create, clock):
    group_with(rds, [("shared_buffers", "{DBInstanceClassMemory/8192}", "pending-reboot")])
    create(DBParameterGroupName="few")
    set_parameters(rds, [("shared_buffers", "1000000000", "pending-reboot")])
    rds.reboot_db_instance(DBInstanceIdentifier="shop")
    clock.quiet()
    broken = describe(rds)
    assert broken["DBInstanceStatus"] == "incompatible-parameters"
    assert "shared memory" in broken["StatusInfos"][0]["Message"]
    set_parameters(rds, [("shared_buffers", "4096", "pending-reboot")])
    rds.reboot_db_instance(DBInstanceIdentifier="shop")
    clock.quiet()
    assert describe(rds)["DBInstanceStatus"] == "available"
    assert "StatusInfos" not in describe(rds)


def test_connections_are_a_metric(aws, create, clock):
    instance = create()
    connection = connect(instance)
    clock.advance(180)
    connection.close()
    dimensions = [{"Name": "DBInstanceIdentifier", "Value": "shop"}]
    points = aws("cloudwatch").get_metric_statistics(
        Namespace="AWS/RDS", MetricName="DatabaseConnections", Dimensions=dimensions, Period=60, Statistics=["Maximum"],
        StartTime=clock.now() - 600, EndTime=clock.now() + 60,
    )["Datapoints"]  # fmt: skip
    assert max(point["Maximum"] for point in points) == 1.0
