"""PostgreSQL as a supervised child: made, started, stopped, found again, never left behind."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pg8000.dbapi
import pytest

from cumulet.engines.model import PostgresSpec
from cumulet.engines.pgtools import port_is_free
from cumulet.engines.postgres import Cluster
from cumulet.engines.supervisor import Engines
from cumulet.kernel.outcome import EffectFailed
from cumulet.kernel.trace import Tracer
from cumulet.services.rds.secrets import scram_verifier
from cumulet.testing.process import free_port

SPAN = Tracer().begin("test", "effect", 0.0)
PASSWORD = "correct horse #1"


def spec(port, **changes):
    plain = {
        "ident": "db-1", "owner": ("me",), "port": port, "master": "shop", "databases": ("postgres", "Orders"),
        "verifier": scram_verifier(PASSWORD, b"0123456789abcdef"),
    }  # fmt: skip
    return PostgresSpec(**{**plain, **changes})


def connect(port, password=PASSWORD, database="postgres"):
    return pg8000.dbapi.connect(
        user="shop", password=password, host="127.0.0.1", port=port, database=database, timeout=60
    )


def rows(port, sql, **options):
    connection = connect(port, **options)
    try:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(sql)
        return [list(row) for row in cursor.fetchall()] if cursor.description else []
    finally:
        connection.close()


async def ask(function, *args):
    return await asyncio.to_thread(function, *args)


def test_a_cluster_keeps_its_rows_over_stop_and_start_and_leaves_no_process(tmp_path):
    async def scenario():
        told = []
        engines = Engines(tmp_path, True, lambda owner, status: told.append(owner))
        port = await engines.choose_port(SPAN, free_port(), 1, ())
        started = await engines.start(SPAN, spec(port))
        assert started.version.startswith("18.")
        assert await ask(rows, port, "SELECT datname FROM pg_database WHERE datname IN ('postgres', 'Orders') ORDER BY 1") == [
            ["Orders"], ["postgres"]]  # fmt: skip
        await ask(rows, port, "CREATE TABLE t (n int)")
        await ask(rows, port, "INSERT INTO t VALUES (1)")
        assert (await engines.start(SPAN, spec(port))).version == started.version  # it runs already
        await engines.stop(SPAN, "db-1")
        assert port_is_free(port)
        await engines.start(SPAN, spec(port, settings=(("max_connections", "7"),)))
        assert await ask(rows, port, "SELECT n, current_setting('max_connections') FROM t") == [[1, "7"]]
        await engines.close()
        assert port_is_free(port)
        assert told == []

    asyncio.run(scenario())


def test_only_the_password_opens_it_and_the_master_is_no_superuser(tmp_path):
    async def scenario():
        engines = Engines(tmp_path, False, lambda owner, status: None)
        port = free_port()
        await engines.start(SPAN, spec(port))
        with pytest.raises(pg8000.dbapi.DatabaseError, match="28P01"):
            await ask(connect, port, "wrong")
        assert await ask(rows, port, "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = 'shop'") == [
            [False, True, True]]  # fmt: skip
        changed = spec(port, verifier=scram_verifier("another one", b"fedcba9876543210"))
        await engines.change(SPAN, changed, True)
        with pytest.raises(pg8000.dbapi.DatabaseError, match="28P01"):
            await ask(connect, port)
        open_one = await ask(connect, port, "another one")
        while (await engines.measure(SPAN, "db-1")).connections > 1:  # the one before may still be hanging up
            pass
        assert (await engines.measure(SPAN, "db-1")).connections == 1
        open_one.close()
        await engines.close()  # from now on no file comes or goes
        assert PASSWORD not in "".join(
            path.read_text(errors="replace")
            for path in tmp_path.rglob("*")
            if path.is_file() and "base" not in str(path)
        )

    asyncio.run(scenario())


def test_the_owner_is_told_when_it_dies_and_not_when_it_is_stopped(tmp_path):
    async def scenario():
        told = asyncio.Queue()
        engines = Engines(tmp_path, True, lambda owner, status: told.put_nowait((owner, status)))
        port = free_port()
        await engines.start(SPAN, spec(port))
        await ask(rows, port, "CREATE TABLE t (n int)")
        os.kill(engines._clusters["db-1"].child.pid, signal.SIGKILL)
        assert await asyncio.wait_for(told.get(), 60) == (("me",), -9)
        await engines.start(SPAN, spec(port))
        assert await ask(rows, port, "SELECT count(*) FROM t") == [[0]]
        await engines.stop(SPAN, "db-1")
        await engines.remove(SPAN, "db-1")
        await engines.remove(SPAN, "db-1")
        assert told.empty()
        assert not (tmp_path / "postgres/db-1").exists()
        await engines.close()

    asyncio.run(scenario())


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(not Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists(), reason="reads /proc")
def test_it_starts_again_when_the_last_process_of_a_killed_one_has_ended(tmp_path):
    """On a busy machine they end some time after their server, and PostgreSQL refuses to start before."""

    async def scenario():
        told = asyncio.Queue()
        engines = Engines(tmp_path, False, lambda owner, status: told.put_nowait(status))
        port, log = free_port(), tmp_path / "postgres/db-1/log"
        await engines.start(SPAN, spec(port))
        server = engines._clusters["db-1"].child.pid
        last = children(server)[0]
        os.kill(last, signal.SIGSTOP)
        os.kill(server, signal.SIGKILL)
        assert await asyncio.wait_for(told.get(), 60) == -signal.SIGKILL
        starting = asyncio.ensure_future(engines.start(SPAN, spec(port)))
        try:
            while "pre-existing shared memory block" not in log.read_text():
                assert not starting.done(), await starting
                await asyncio.sleep(0)
        finally:
            os.kill(last, signal.SIGCONT)
        await starting
        assert await ask(rows, port, "SELECT 1") == [[1]]
        await engines.close()

    asyncio.run(scenario())


def test_a_bad_setting_and_a_taken_port_are_told_in_postgresql_words(tmp_path):
    async def scenario():
        engines = Engines(tmp_path, False, lambda owner, status: None)
        port = free_port()
        with pytest.raises(EffectFailed, match="max_connections") as failed:
            await engines.start(SPAN, spec(port, settings=(("max_connections", "many"),)))
        assert failed.value.code == "EngineFailed"
        await engines.start(SPAN, spec(port))
        with pytest.raises(EffectFailed) as failed:
            await engines.start(SPAN, spec(port, ident="db-2"))
        assert failed.value.code == "PortInUse"
        with pytest.raises(EffectFailed, match=f"Port {port} is in use"):
            await engines.choose_port(SPAN, port, 1, ())
        assert await engines.choose_port(SPAN, port, 50, {port + 1}) > port + 1
        await engines.reset()
        assert port_is_free(port)
        assert not tmp_path.exists() or not list(tmp_path.rglob("*"))
        await engines.close()

    asyncio.run(scenario())


def test_an_engine_that_is_made_while_the_others_are_deleted_stays(tmp_path):
    async def scenario():
        engines = Engines(tmp_path, False, lambda owner, status: None)
        await engines.start(SPAN, spec(free_port()))
        emptying = asyncio.ensure_future(engines.reset())
        await asyncio.sleep(0)  # lets it begin
        await engines.start(SPAN, spec(port := free_port(), ident="db-2"))
        await emptying
        assert [path.name for path in tmp_path.glob("postgres/*")] == ["db-2"]
        assert engines.running == {"db-2"}
        assert await ask(rows, port, "SELECT 1") == [[1]]
        await engines.close()

    asyncio.run(scenario())


SERVER = """
import asyncio, sys
from pathlib import Path
from cumulet.engines.model import PostgresSpec
from cumulet.engines.supervisor import Engines
from cumulet.kernel.trace import Tracer

async def main():
    engines = Engines(Path(sys.argv[1]), True, lambda owner, status: None)
    spec = PostgresSpec("db-1", ("me",), int(sys.argv[2]), "shop", sys.argv[3], ("postgres",))
    await engines.start(Tracer().begin("test", "effect", 0.0), spec)
    print(engines._clusters["db-1"].child.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def wait_until_ended(watch):
    poll = select.poll()
    poll.register(watch, select.POLLIN)
    assert poll.poll(60_000), "PostgreSQL outlives its server"
    os.close(watch)


@pytest.mark.crash
def test_it_ends_with_a_killed_server_and_goes_on_with_the_next(tmp_path):
    port = free_port()
    verifier = scram_verifier(PASSWORD, b"0123456789abcdef")
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path), str(port), verifier], stdout=subprocess.PIPE, text=True
    )
    pid = int(server.stdout.readline())
    rows(port, "CREATE TABLE t (n int)")
    rows(port, "INSERT INTO t VALUES (42)")
    watch = os.pidfd_open(pid)  # readable when it has ended, be it that nobody buries it
    server.kill()
    server.wait()
    server.stdout.close()
    wait_until_ended(watch)

    async def scenario():
        engines = Engines(tmp_path, True, lambda owner, status: None)
        await engines.start(SPAN, spec(port))
        assert await ask(rows, port, "SELECT n FROM t") == [[42]]
        await engines.close()

    asyncio.run(scenario())


def test_a_survivor_of_a_killed_server_is_ended_first_and_a_stale_pid_file_forgotten(tmp_path):
    async def scenario():
        port = free_port()
        first, second = Cluster(tmp_path / "one", True), Cluster(tmp_path / "one", True)
        await first.start(spec(port))
        survivor = first.child
        await second.start(spec(port))  # as a new server does, which knows nothing of the first one's child
        assert not survivor.running
        await second.stop()
        pid_file = tmp_path / "one/data/postmaster.pid"
        pid_file.write_text(f"{os.getpid()}\n")  # a number that somebody else has by now
        await second.start(spec(port))
        assert await ask(rows, port, "SELECT 1") == [[1]]
        await second.stop()

    asyncio.run(scenario())
