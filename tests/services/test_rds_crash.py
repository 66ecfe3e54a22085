"""RDS over SIGKILL of the server: committed rows stay, instances come back, no engine is left behind."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import pg8000.dbapi
import pytest

pytestmark = pytest.mark.crash

PASSWORD = "horse-battery#1"


def until(condition, within_s=180):
    """Another process does it: there is nothing to wait on but its state."""
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)
    return found


def available(server, name="shop"):
    def look():
        instance = server.client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
        return instance if instance["DBInstanceStatus"] == "available" else None

    return until(look)


def create(server):
    server.client("rds").create_db_instance(
        DBInstanceIdentifier="shop", DBInstanceClass="db.t4g.micro", Engine="postgres", AllocatedStorage=20,
        MasterUsername="shop", MasterUserPassword=PASSWORD,
    )  # fmt: skip


def connect(instance):
    return pg8000.dbapi.connect(
        user="shop",
        password=PASSWORD,
        host="127.0.0.1",
        port=instance["Endpoint"]["Port"],
        database="postgres",
        timeout=60,
    )


def engines_of(folder):
    """The processes that work in a data directory's engines."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(process / "cwd").startswith(str(folder / "engines")):
                found.append(int(process.name))
    return found


def test_every_committed_row_is_there_after_a_kill_and_no_engine_outlives_the_server(server_process):
    server = server_process().start()
    create(server)
    instance = available(server)
    connection = connect(instance)
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE t (n int)")
    connection.commit()
    enough, committed = threading.Event(), []

    def write():
        with contextlib.suppress(pg8000.dbapi.Error, OSError):
            for number in range(100_000):
                cursor.execute("INSERT INTO t VALUES (%s)", (number,))
                connection.commit()
                committed.append(number)
                if number == 50:
                    enough.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert enough.wait(180)
    assert engines_of(server.folder)
    server.kill()
    writer.join()
    until(lambda: not engines_of(server.folder))
    server.start()
    again = available(server)
    assert again["Endpoint"] == instance["Endpoint"]
    with contextlib.closing(connect(again)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT n FROM t")
        rows = {row[0] for row in cursor.fetchall()}
    assert len(committed) > 50
    assert set(committed) <= rows
    server.stop()
    assert engines_of(server.folder) == []


def test_server_and_engine_killed_together_go_on_where_they_were(server_process):
    server = server_process().start()
    create(server)
    with contextlib.closing(connect(available(server))) as connection:
        connection.cursor().execute("CREATE TABLE t AS SELECT 42 AS n")
        connection.commit()
    for pid in (server.process.pid, *engines_of(server.folder)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.process.wait()
    server.start()
    with contextlib.closing(connect(available(server))) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT n FROM t")
        assert cursor.fetchall() == ([42],)


@pytest.mark.parametrize("point", ["effect.perform:1", "effect.perform:2", "effect.settle:1", "effect.settle:2"])
def test_an_instance_that_was_being_created_is_created_wherever_the_server_dies(server_process, point):
    server = server_process().start(crash_at=point)
    create(server)
    server.ended()
    server.start()
    with contextlib.closing(connect(available(server))) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT current_user")
        assert cursor.fetchall() == (["shop"],)


def test_a_password_and_a_deletion_that_were_acknowledged_happen_after_a_kill(server_process):
    server = server_process().start()
    create(server)
    instance = available(server)
    server.client("rds").modify_db_instance(DBInstanceIdentifier="shop", MasterUserPassword="another-one")
    server.kill()
    server.start()
    available(server)
    with pytest.raises(pg8000.dbapi.DatabaseError, match="28P01"):
        connect(instance)
    server.client("rds").delete_db_instance(DBInstanceIdentifier="shop", SkipFinalSnapshot=True)
    server.kill()
    server.start()
    until(lambda: not server.client("rds").describe_db_instances()["DBInstances"])
    assert list((server.folder / "engines/postgres").iterdir()) == []
