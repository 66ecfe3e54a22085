"""One PostgreSQL cluster: its folder, its server process, and what is asked of it as its administrator.

    {folder}/data        the cluster, as initdb made it
    {folder}/admin       the administrator's password; only the server's own user may read it
    {folder}/log         what PostgreSQL says
    {folder}/new, made   a cluster in the making; that its master user and databases are there

The administrator `rdsadmin` is the only superuser, reached over loopback with a random password. A cluster is made in `new`
and renamed to `data` when it is whole; `made` is written after the first SQL, all of which may be repeated. So a crash at
any line is repaired by the next start.

As root (in a container) the server runs as nobody, because PostgreSQL refuses root. It then reaches its folder through a
descriptor it inherits (`/proc/self/fd/N`), so folders above it may stay closed to others.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from cumulet.engines.model import Measured, PostgresSpec
from cumulet.engines.pgtools import HOST, binaries, first_sql, literal, master_sql
from cumulet.engines.process import Child, engine_user
from cumulet.kernel.outcome import EffectFailed

ADMIN = "rdsadmin"
LOG_MAX_BYTES = 16 * 1024 * 1024
_START_WITHIN_S = 300.0  # it may have to recover from a crash
_LOOK_EVERY_S = 0.01
_MEASURE_EVERY_S = 1.0
_STOP = ((signal.SIGINT, 8.0), (signal.SIGQUIT, 4.0))  # fast, then immediate shutdown
_ABORT = ((signal.SIGQUIT, 4.0),)
_SHARED = "pre-existing shared memory block"  # what PostgreSQL says while its last processes have not ended
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

_HBA = f"""# TYPE DATABASE USER ADDRESS METHOD
host all all {HOST}/32 scram-sha-256
host replication {ADMIN} {HOST}/32 scram-sha-256
"""

_OWNED = {  # what the supervisor says, whatever a parameter group holds
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "logging_collector": "off",
    "log_destination": "stderr",
}
_FORGETFUL = {"fsync": "off", "full_page_writes": "off"}  # no more than the death of the machine costs
_DEFAULTS = {  # where initdb or RDS say something else than PostgreSQL's own default
    "default_text_search_config": "pg_catalog.english",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


async def _copy(source: Path, target: Path) -> None:
    """Copy a folder with owners and modes."""
    process = await asyncio.create_subprocess_exec("cp", "-a", str(source), str(target))
    try:
        status = await process.wait()
    except asyncio.CancelledError:
        process.kill()
        raise
    if status != 0:
        raise EffectFailed("EngineFailed", f"cp ended with status {status}.")


class Cluster:
    """A cluster's files and, while it runs, its process."""

    def __init__(self, folder: Path, durable: bool) -> None:
        self.folder = folder
        self._durable = durable
        self._user = engine_user()
        self.child: Child | None = None
        self.port = 0
        self._said_from = 0
        self._measured: tuple[float, Measured] | None = None

    # files

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def _prepare_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            os.chown(self.folder, self._user.uid, self._user.gid)
        self.folder.chmod(0o700)
        log = self.folder / "log"
        if log.exists() and log.stat().st_size > LOG_MAX_BYTES:
            os.truncate(log, 0)

    @contextlib.contextmanager
    def _reachable(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The folder's path as the engine's user sees it, and the descriptors to hand on."""
        if self._user is None:
            yield str(self.folder), ()
            return
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{descriptor}", (descriptor,)
        finally:
            os.close(descriptor)

    def _write(self, path: Path, text: str, *, ours: bool = False) -> None:
        """Write a file for the engine's user, or for us alone: whole or not at all."""
        fresh = path.with_name(path.name + ".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            if self._user is not None and not ours:
                os.fchown(file.fileno(), self._user.uid, self._user.gid)
            file.flush()
            if self._durable:
                os.fsync(file.fileno())
        fresh.rename(path)

    def _arrive(self) -> None:
        """The cluster in the making is whole: from now on it is the cluster, whatever happens."""
        (self.folder / "new").rename(self.data)
        for folder in (self.folder, self.folder.parent) if self._durable else ():
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _admin_password(self) -> str:
        path = self.folder / "admin"
        if not path.exists():
            self._write(path, secrets.token_urlsafe(24), ours=True)
        return path.read_text()

    def configure(self, spec: PostgresSpec) -> None:
        """Write what the server reads at its start and at a reload."""
        settings = {**_DEFAULTS, **dict(spec.settings), **_OWNED, "port": str(spec.port)}
        if not self._durable:
            settings.update(_FORGETFUL)
        lines = [f"{name} = {literal(value)}\n" for name, value in sorted(settings.items())]
        self._write(self.data / "postgresql.conf", "".join(lines))
        self._write(self.data / "pg_hba.conf", _HBA)

    # life

    async def start(self, spec: PostgresSpec) -> str:
        """Start the server and wait until it accepts connections; make the cluster first if it is new.

        Raises: EffectFailed.
        """
        programs = binaries()
        self._prepare_folder()
        if not self.data.exists():
            await self._initialize()
        await self._end_survivor()
        self.configure(spec)
        self.port = spec.port
        until = time.monotonic() + _START_WITHIN_S
        while not await self._began(programs, until):
            pass
        try:
            if not (self.folder / "made").exists():
                await self._make(spec)
            return (await self.sql("SHOW server_version")).split()[0]
        except BaseException:
            await asyncio.shield(self.stop())
            raise

    async def _began(self, programs: Path, until: float) -> bool:
        """Start the server and wait until it accepts connections; False, but not after `until`, while processes of a killed one
        share memory.

        Raises: EffectFailed.
        """
        self._mark_log()
        with self._reachable() as (place, descriptors):
            self.child = Child.start(
                [str(programs / "postgres"), "-D", f"{place}/data"],
                log=self.folder / "log",
                user=self._user,
                environment=_ENVIRONMENT,
                last_signal=signal.SIGINT,
                descriptors=descriptors,
            )
        try:
            await self._until_ready(self.child)
        except BaseException as error:
            await asyncio.shield(self.stop())
            if isinstance(error, EffectFailed) and _SHARED in str(error) and time.monotonic() < until:
                await asyncio.sleep(_LOOK_EVERY_S)  # they are not our children: nothing tells when the last has ended
                return False
            raise
        return True

    async def _initialize(self) -> None:
        await asyncio.to_thread(shutil.rmtree, self.folder / "new", True)
        password = self.folder / "password"
        self._write(password, self._admin_password() + "\n")
        await self._program(
            "initdb", "-D", "{place}/new", "-U", ADMIN, "--pwfile={place}/password", "--auth=scram-sha-256",
            "--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--data-checksums",
            "--no-instructions", *([] if self._durable else ["--no-sync"]),
        )  # fmt: skip
        password.unlink()
        self._arrive()

    async def _program(self, program: str, *arguments: str, password: str = "") -> None:
        """Run one of PostgreSQL's programs on this folder, which is `{place}` in its arguments. Raises: EffectFailed."""
        self._mark_log()
        with self._reachable() as (place, descriptors):
            child = Child.start(
                [str(binaries() / program), *(argument.replace("{place}", place) for argument in arguments)],
                log=self.folder / "log",
                user=self._user,
                environment={**_ENVIRONMENT, "PGPASSWORD": password},
                descriptors=descriptors,
            )
        try:
            status = await child.wait()
        except asyncio.CancelledError:
            await asyncio.shield(child.end(()))
            raise
        if status != 0:
            raise EffectFailed("EngineFailed", f"{program} ended with status {status}: {self._said()}")

    async def _until_ready(self, child: Child) -> None:
        """PostgreSQL says in its pid file what it is doing; there is nothing to wait on but that."""
        file = self.data / "postmaster.pid"
        looks = int(_START_WITHIN_S / _LOOK_EVERY_S)
        for _ in range(looks):
            if not child.running:
                code = "PortInUse" if "Address already in use" in self._said() else "EngineFailed"
                raise EffectFailed(code, f"PostgreSQL ended with status {await child.wait()}: {self._said()}")
            with contextlib.suppress(OSError):
                lines = file.read_text().split("\n")
                if len(lines) > 7 and lines[0] == str(child.pid) and lines[7].strip() == "ready":
                    return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), _LOOK_EVERY_S)
        raise EffectFailed("EngineFailed", f"PostgreSQL did not start within {_START_WITHIN_S:.0f} s.")

    async def _make(self, spec: PostgresSpec) -> None:
        """The first SQL: the master user with RDS's rights, and its databases. May be repeated."""
        await self.sql(first_sql(spec))
        self._write(self.folder / "made", "")

    async def stop(self) -> None:
        """Fast shutdown: sessions end, transactions in progress are undone, the cluster is left clean."""
        child, self.child = self.child, None
        if child is not None:
            await child.end(_STOP)

    async def abort(self) -> None:
        """Immediate shutdown, for a cluster that nobody wants any more."""
        child, self.child = self.child, None
        if child is not None:
            await child.end(_ABORT)

    async def backup(self, target: Cluster) -> None:
        """Copy the cluster, running or not, into a new one's folder. Raises: EffectFailed."""
        if target.data.exists():  # done before, by an effect that is repeated
            return
        target._prepare_folder()
        await asyncio.to_thread(shutil.rmtree, target.folder / "new", True)
        if self.child is None:
            await self._end_survivor()
            await _copy(self.data, target.folder / "new")
            if self._durable:
                await target._program("initdb", "-D", "{place}/new", "--sync-only")
        else:  # with the part of the log that makes it whole, over the replication protocol
            connection = ("-h", HOST, "-p", str(self.port), "-U", ADMIN, "--no-password")
            copying = ("-D", "{place}/new", "-X", "stream", "-c", "fast", *([] if self._durable else ["--no-sync"]))
            await target._program("pg_basebackup", *connection, *copying, password=self._admin_password())
        for name in ("admin", "made"):
            shutil.copy2(self.folder / name, target.folder / name)
        target._arrive()

    async def restore(self, source: Cluster) -> None:
        """Be a copy of a cluster that does not run, unless it is one already. Raises: EffectFailed."""
        if self.data.exists():
            return
        if not source.data.exists():
            raise EffectFailed("SnapshotGone", "The snapshot's files are not there.")
        await source.backup(self)

    async def remove(self) -> None:
        """Delete the cluster's files."""
        await asyncio.to_thread(shutil.rmtree, self.folder, True)

    async def _end_survivor(self) -> None:
        """End a server that outlived a killed Cumulet (where the system does not tell it), and forget a stale pid file.

        A pid alone proves nothing: after a crash, and in containers, another process may have it.
        """
        file = self.data / "postmaster.pid"
        try:
            pid = int(file.read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return
        numbers = [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL]
        looks = 0
        while self._serves(pid):
            if looks % 500 == 0 and numbers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, numbers.pop(0))
            looks += 1
            await asyncio.sleep(_LOOK_EVERY_S)  # not our child: nothing tells when it ends
        file.unlink(missing_ok=True)

    def _serves(self, pid: int) -> bool:
        """Whether a process is a PostgreSQL server on this very cluster: that is where it works."""
        try:
            if Path("/proc/self").exists():
                return os.path.samefile(f"/proc/{pid}/cwd", self.data)
        except OSError:
            return False
        command = ["ps", "-o", "command=", "-p", str(pid)]
        return str(self.data) in subprocess.run(command, capture_output=True, text=True, check=False).stdout

    # questions

    async def sql(self, script: str) -> str:
        """Run SQL as the administrator; what it selects, unadorned. Raises: EffectFailed with PostgreSQL's words."""
        process = await asyncio.create_subprocess_exec(
            str(binaries() / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
            "-h", HOST, "-p", str(self.port), "-U", ADMIN, "-d", "postgres",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**_ENVIRONMENT, "PGPASSWORD": self._admin_password(), "PGCONNECT_TIMEOUT": "10"},
        )  # fmt: skip
        try:
            out, said = await process.communicate(script.encode())
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            raise
        if process.returncode != 0:
            raise EffectFailed("EngineRefused", said.decode(errors="replace").strip())
        return out.decode()

    async def change(self, spec: PostgresSpec, password: bool) -> None:
        """Make a running server follow its spec: settings that need no restart, and if wanted the master's password."""
        self.configure(spec)
        await self.sql("SELECT pg_reload_conf();")
        if password:
            await self.sql(master_sql(spec))

    async def measure(self) -> Measured:
        """Client connections, but for the administrator's own, and the free space of the disk.

        Looked at once a second at most: hours of virtual time may pass in one, and the engine knows real time alone.
        """
        if self._measured is not None and time.monotonic() - self._measured[0] < _MEASURE_EVERY_S:
            return self._measured[1]
        log = self.folder / "log"
        if log.stat().st_size > LOG_MAX_BYTES:
            os.truncate(log, 0)
        text = await self.sql(
            f"SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename <> '{ADMIN}'"
        )
        measured = Measured(int(text), shutil.disk_usage(self.folder).free)
        self._measured = (time.monotonic(), measured)
        return measured

    def _mark_log(self) -> None:
        log = self.folder / "log"
        self._said_from = log.stat().st_size if log.exists() else 0

    def _said(self) -> str:
        """What the process that was started last has said, without time stamps; the end of it when it is long."""
        with contextlib.suppress(OSError), (self.folder / "log").open("rb") as file:
            file.seek(max(self._said_from, file.seek(0, os.SEEK_END) - 4000))
            lines = file.read().decode(errors="replace").strip().split("\n")
            return " ".join(re.sub(r"^[-0-9]+ [0-9:.]+ UTC \[\d+\] ", "", line) for line in lines[-6:])
        return ""
